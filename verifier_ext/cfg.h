// SPDX-License-Identifier: MIT
// Control flow of one function: blocks, loops, and which registers and stack slots may still be read. Purely syntactic.
#pragma once

#include <bitset>
#include <vector>

#include "verifier_ext/object.h"

namespace rmt::verify {

// Registers 0..9 and the 64 words of the stack that direct loads through r10 read.
struct LiveSet {
    uint16_t regs = 0;
    uint64_t words = 0;  // bit i: bytes -8 (i + 1) .. -8 i of r10
    bool operator==(const LiveSet&) const = default;
};

struct Block {
    uint32_t begin = 0, end = 0;     // slots, end exclusive
    std::vector<uint32_t> next;      // blocks
    LiveSet live;                    // at its beginning
    bool steps_iterator = false;     // begins with a call of bpf_iter_num_next
    bool in_loop = false;
};

struct Loop {
    uint32_t header = 0;             // block
    std::vector<uint32_t> blocks;    // header included
    bool iterates = false;           // an iterator is stepped here, not in an inner loop
    LiveSet changed;                 // registers and stack words that its blocks write
};

struct Cfg {
    std::vector<Block> blocks;       // ascending; block 0 is the entry
    std::vector<Loop> loops;         // natural loops, one per header
    std::vector<int> block_at;       // by slot: the block that begins there, or -1
    std::vector<int> loop_at;        // by block: the loop whose header it is, or -1
};

// The function must have passed check_instructions (allow.h): jumps stay inside and nothing runs off the end.
Cfg make_cfg(const Object& object, const Function& function);

// Registers that an instruction reads and writes, as bits; a call may read 1..5 and forgets 0..5.
struct RegisterUse {
    uint16_t reads = 0, writes = 0;
};
RegisterUse registers_of(const Insn& insn);

inline uint64_t stack_word(int32_t offset) {
    int32_t word = (-offset + 7) / 8 - 1;
    return offset < 0 && word < 64 ? uint64_t{1} << word : 0;
}

}  // namespace rmt::verify
