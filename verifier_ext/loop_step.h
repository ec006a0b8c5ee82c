// SPDX-License-Identifier: MIT
// The step of a counted loop (bpf/include/rmt/loop.bpf.h): five instructions that together are "another turn, if there were fewer
// than K since the counter was set, and if the kernel's own bound allows":
//
//     may_goto OUT
//     rT = *(u64 *)(r10 - X)
//     if rT > K - 1 goto OUT
//     rT += 1
//     *(u64 *)(r10 - X) = rT
//
// They are folded into one, at the place of the first; a jump into the middle is refused as one into the middle of a load of
// 64 bits is. The other passes then know it as they know the step of an iterator: whatever number the counter begins with, it
// grows by 1 with each step and is below K before it, so there are at most K steps from one write of the slot to the next.
#pragma once

#include <vector>

#include "verifier_ext/insn.h"

namespace rmt::verify {

// May_goto anywhere else stays, and is refused by the allow-list.
void fold_loop_steps(std::vector<Insn>& insns);

}  // namespace rmt::verify
