/* SPDX-License-Identifier: MIT */
#ifndef RMT_LEARN_NATIVE_H
#define RMT_LEARN_NATIVE_H

#include <linux/types.h>

struct rmt_learn_linear;
struct rmt_learn_mlp;

#ifdef __cplusplus
extern "C" {
#endif

__s64 rmt_native_learn_linear(struct rmt_learn_linear* l, const __s32* x, __s64 label, __u32 rate, int round);
__s64 rmt_native_learn_mlp(struct rmt_learn_mlp* l, const __s32* x, __s64 label, __u32 rate, int round);

#ifdef __cplusplus
}
#endif

#endif
