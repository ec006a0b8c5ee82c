/* SPDX-License-Identifier: MIT */
#ifndef RMT_LEARN_NATIVE_H
#define RMT_LEARN_NATIVE_H

#include <linux/types.h>

struct rmt_learn_linear;
struct rmt_learn_mlp;
struct rmt_learn_setup;

#ifdef __cplusplus
extern "C" {
#endif

__s64 rmt_native_learn_linear(struct rmt_learn_linear* l, const __s32* x, __s64 label, const struct rmt_learn_setup* setup, int round);
__s64 rmt_native_learn_mlp(struct rmt_learn_mlp* l, const __s32* x, __s64 label, const struct rmt_learn_setup* setup, int round);
__s64 rmt_native_predict_linear(const struct rmt_learn_linear* l, const __s32* x, const struct rmt_learn_setup* setup);
__s64 rmt_native_predict_mlp(const struct rmt_learn_mlp* l, const __s32* x, const struct rmt_learn_setup* setup);

#ifdef __cplusplus
}
#endif

#endif
