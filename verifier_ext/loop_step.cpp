// SPDX-License-Identifier: MIT
#include "verifier_ext/loop_step.h"

#include <algorithm>

namespace rmt::verify {
namespace {

constexpr uint8_t kMayGoto = BPF_JMP | 0xe0;  // linux/bpf.h: BPF_JCOND, source register 0

bool is_plain(const Insn& insn) { return !insn.second && !insn.core && insn.ref == Ref::None; }

bool is_step(const Insn* i) {
    if (!std::all_of(i, i + Insn::kLoopStep, is_plain)) return false;
    const Insn &bound = i[0], &load = i[1], &compare = i[2], &add = i[3], &store = i[4];
    const uint8_t turn = load.dst;
    const bool leaves = bound.off != Insn::kLoopStep - 1;  // OUT is elsewhere than the turn
    return leaves && bound.code == kMayGoto && bound.dst == 0 && bound.src == 0 && bound.imm == 0 &&
           load.code == (BPF_LDX | BPF_MEM | BPF_DW) && turn < 10 && load.src == 10 && load.imm == 0 && load.off < 0 && load.off % 8 == 0 &&
           compare.code == (BPF_JMP | BPF_JGT | BPF_K) && compare.dst == turn && compare.src == 0 && compare.imm >= 0 &&
           compare.imm < INT32_MAX && compare.off == bound.off - 2 &&
           add.code == (BPF_ALU64 | BPF_ADD | BPF_K) && add.dst == turn && add.src == 0 && add.off == 0 && add.imm == 1 &&
           store.code == (BPF_STX | BPF_MEM | BPF_DW) && store.dst == 10 && store.src == turn && store.off == load.off && store.imm == 0;
}

}  // namespace

void fold_loop_steps(std::vector<Insn>& insns) {
    for (size_t at = 0; at + Insn::kLoopStep <= insns.size(); at++) {
        if (!is_step(&insns[at])) continue;
        Insn& step = insns[at];
        step.loop_step = true;
        step.dst = insns[at + 1].dst;
        step.imm = insns[at + 2].imm + 1;
        step.imm64 = insns[at + 1].off;
        for (size_t k = 1; k < Insn::kLoopStep; k++) insns[at + k].second = true;
    }
}

}  // namespace rmt::verify
