// SPDX-License-Identifier: MIT
// Reader of .BTF and .BTF.ext: what the verifier needs of them, which is the definitions of maps, line info, and which
// instructions the loader will rewrite (CO-RE). Every offset is checked; nothing here trusts the bytes.
#pragma once

#include <linux/btf.h>

#include <map>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"
#include "verifier_ext/bytes.h"

namespace rmt::verify {

// A map as its BTF definition declares it. 0 where nothing is declared.
struct MapDef {
    std::string name;
    uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
    std::vector<MapDef> inner;  // one of a map of maps, else none
};

struct LineRecord {
    uint32_t slot = 0;  // in its section
    std::string file;
    uint32_t line = 0, column = 0;
};

// An instruction that the loader rewrites. `field`: "tcp_sock.snd_cwnd" when what it writes there is that member's offset.
struct CoreRecord {
    uint32_t slot = 0;  // in its section
    std::string field;
};

struct ExtInfo {
    std::map<std::string, std::vector<LineRecord>> lines;     // by section, ascending
    std::map<std::string, std::vector<CoreRecord>> core;      // by section
};

// A variable of section `.struct_ops.link`: an object of a kernel struct, which the kernel registers.
struct ControlDef {
    std::string name, type;                    // "rmt_control", "tcp_congestion_ops"
    uint32_t size = 0;
    uint32_t name_offset = 0, name_size = 0;   // its member `name`, 0 bytes: it has none
    std::map<uint32_t, std::string> members;   // by offset in bytes
};

class Btf {
public:
    // Errors: Input, what is wrong with the section.
    static Result<Btf> parse(Bytes section);

    // The variables of section `.maps`. Their places are with the symbols: BTF has them only after linking.
    Result<std::vector<MapDef>> maps() const;
    Result<ExtInfo> ext(Bytes section) const;
    Result<std::vector<ControlDef>> controls(const std::string& section) const;

private:
    struct Type {
        btf_type head;
        Bytes rest;
        uint32_t kind() const { return head.info >> 24 & 0x1f; }
        uint32_t count() const { return head.info & 0xffff; }
    };
    const Type* type(uint32_t id) const;
    std::string text(uint32_t offset) const;
    uint32_t skip_names(uint32_t id) const;              // through typedef and qualifiers
    std::optional<uint64_t> size_of(uint32_t id, int depth = 0) const;
    std::optional<uint32_t> number(uint32_t id) const;   // __uint(x, n): pointer to an array of n
    Result<MapDef> map_of(uint32_t id, int depth) const;
    std::string field_of(uint32_t id, const std::string& access, uint32_t kind) const;
    bool may_hold_kernel_pointers() const;

    std::vector<Type> types_;  // [0] is void
    Bytes strings_;
};

}  // namespace rmt::verify
