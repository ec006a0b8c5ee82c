/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A counted loop without a call: what bpf_for does, where each turn of bpf_for calls the kernel (10 ns on a processor whose kernel
 * returns through a thunk). The kernel's verifier follows the body once or twice, because the counter begins at a number that it
 * does not know, and because may_goto bounds the loop whatever the counter does. The RMT verifier takes the five instructions of a
 * step for one, and bounds the loop by its constant (verifier_ext/loop_step.h): the counter, in a stack slot that nothing else writes,
 * grows with each step.
 *
 *     struct rmt_loop loop;
 *     rmt_loop_begin(loop, zero);              zero: a 0 that the compiler and the kernel do not know
 *     while (rmt_loop_next(loop, i, END))      END: a constant; i: 0, 1, ... END - 1
 *             ...
 *
 * Compiled natively it is an ordinary loop. */
#ifndef RMT_LOOP_BPF_H
#define RMT_LOOP_BPF_H

#include "intf.h"

struct rmt_loop {
	__u64 turn;
};

#ifdef __bpf__
#define rmt_loop_begin(loop, zero) asm volatile("*(u64 *)%[at] = %[from]" : [at] "=m"((loop).turn) : [from] "r"((__u64)(zero)))

#define rmt_loop_next(loop, i, end)                                                                            \
	({                                                                                                     \
		__label__ stop_, out_;                                                                         \
		__u64 turn_;                                                                                   \
		int more_ = 1;                                                                                 \
		asm volatile goto("may_goto %l[stop_]\n"                                                        \
				  "%[turn] = *(u64 *)%[at]\n"                                                  \
				  "if %[turn] > %[last] goto %l[stop_]\n"                                      \
				  "%[turn] += 1\n"                                                             \
				  "*(u64 *)%[at] = %[turn]"                                                     \
				  : [turn] "=&r"(turn_), [at] "+m"((loop).turn)                                \
				  : [last] "i"((end) - 1)                                                      \
				  :                                                                            \
				  : stop_);                                                                    \
		(i) = (__u32)turn_ - 1;                                                                        \
		goto out_;                                                                                     \
	stop_:                                                                                                 \
		more_ = 0;                                                                                     \
	out_:                                                                                                  \
		more_;                                                                                         \
	})
#else
#define rmt_loop_begin(loop, zero) ((loop).turn = (zero))
#define rmt_loop_next(loop, i, end) ((loop).turn < (end) ? ((i) = (__u32)(loop).turn++, 1) : 0)
#endif

#endif
