// SPDX-License-Identifier: MIT
// One BPF instruction, decoded and with what its relocation refers to. Opcodes: linux/bpf.h, Documentation/bpf/standardization.
#pragma once

#include <linux/bpf.h>

#include <cstdint>

#ifndef BPF_MEMSX
#define BPF_MEMSX 0x80
#endif

namespace rmt::verify {

// What a relocation made of an instruction.
enum class Ref : uint8_t {
    None,
    Helper,    // call of a kernel helper; target: its id
    Kfunc,     // call of a kernel function; target: index into Object::externs
    Function,  // call of a function of this object; target: index into Object::functions
    Callback,  // address of a function of this object; target: likewise
    Map,       // address of a map; target: index into Object::maps
    Data,      // address in a data section (read-only data); target: index into Object::data
    Extern,    // address or value of a kernel symbol or config; target: index into Object::externs
};

struct Insn {
    uint8_t code = 0;
    uint8_t dst = 0, src = 0;
    int16_t off = 0;
    int32_t imm = 0;
    int64_t imm64 = 0;       // of a load of 64 bits, which takes two slots
    Ref ref = Ref::None;
    uint32_t target = 0;
    bool second = false;     // the second slot of a load of 64 bits, or a later one of a loop's step; never executed by itself
    bool core = false;       // CO-RE: the loader writes another immediate, offset or width here; take nothing for granted

    uint32_t field = 0;      // of a CO-RE record: 1 + index into Object::fields, 0: not the offset of a member

    bool loop_step = false;  // of a counted loop (loop_step.h): dst the counter after it, imm the most steps, imm64 the counter's place

    static constexpr uint32_t kLoopStep = 5;  // slots
    uint32_t width() const { return loop_step ? kLoopStep : is_wide() ? 2 : 1; }
    uint8_t cls() const { return code & 0x07; }
    uint8_t op() const { return code & 0xf0; }
    uint8_t mode() const { return code & 0xe0; }
    bool from_register() const { return code & BPF_X; }
    bool is_wide() const { return code == (BPF_LD | BPF_DW | BPF_IMM); }
    bool is_alu() const { return cls() == BPF_ALU || cls() == BPF_ALU64; }
    bool is_jump() const { return (cls() == BPF_JMP || cls() == BPF_JMP32) && op() != BPF_CALL && op() != BPF_EXIT; }
    bool is_goto() const { return is_jump() && op() == BPF_JA; }
    bool is_call() const { return code == (BPF_JMP | BPF_CALL); }
    bool is_exit() const { return code == (BPF_JMP | BPF_EXIT); }
    bool is_load() const { return cls() == BPF_LDX; }
    bool is_store() const { return cls() == BPF_ST || (cls() == BPF_STX && mode() == BPF_MEM); }
    bool is_atomic() const { return cls() == BPF_STX && mode() == BPF_ATOMIC; }
    int size() const {
        switch (code & 0x18) {
            case BPF_W: return 4;
            case BPF_H: return 2;
            case BPF_B: return 1;
            default: return 8;
        }
    }
    // Slot of the jump's target relative to the slot behind this one.
    int64_t jump() const { return code == (BPF_JMP32 | BPF_JA) ? imm : off; }
};

}  // namespace rmt::verify
