// SPDX-License-Identifier: MIT
// A BPF object as the verifier reasons about it: functions of decoded instructions with relocations resolved, maps with
// their declared sizes, and the policy line of each instruction. Decoding does not judge; it refuses what it cannot read
// the way libbpf would (linux: tools/lib/bpf/libbpf.c, bpf_object__collect_relos, bpf_object__add_programs).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "verifier_ext/btf.h"
#include "verifier_ext/bytes.h"
#include "verifier_ext/insn.h"
#include "verifier_ext/verdict.h"

namespace rmt::verify {

struct Function {
    std::string name;
    std::string section;       // ".text" for what is only called
    bool global = false;       // binding of its symbol
    bool program = false;      // the kernel may start here
    uint32_t first_slot = 0;   // in its section
    std::vector<Insn> insns;   // by slot: a jump's offset counts these
    std::vector<LineRecord> lines;  // ascending, slots of this function
};

// What the kernel registers: an object of section `.struct_ops.link`.
struct Control {
    std::string name, type;              // "rmt_control", "tcp_congestion_ops"
    std::string kernel_name;             // its member `name`
    bool plain = true;                   // all but its name and its functions is 0
    std::vector<std::pair<std::string, uint32_t>> functions;  // member, and index of this object's program
};

struct Object {
    std::vector<Function> functions;
    std::vector<MapDef> maps;
    std::vector<std::string> externs;  // kernel functions, symbols and config values, by name
    std::vector<std::string> fields;   // of kernel types, "tcp_sock.snd_cwnd": Insn::field
    std::vector<Control> controls;
    std::vector<std::string> data;     // names of data sections that instructions or libbpf may turn into maps

    const Function* find_function(const std::string& name) const;
    int find_map(const std::string& name) const;  // -1: none

    // The line of the instruction; with `own`, the nearest one before it in the policy's own file when there is one.
    Place place(const Function& function, uint32_t slot, const std::string& own = {}) const;
};

// Rejection: V0001 the file, V0002 an instruction, V0007 a relocation, V0106 a global function that is no program.
struct Decoded {
    Object object;
    std::optional<Rejected> rejected;
};
Decoded decode(Bytes file);

}  // namespace rmt::verify
