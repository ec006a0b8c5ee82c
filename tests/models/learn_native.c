/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "bpf/include/rmt/model.bpf.h"
#include "bpf/include/rmt/learn.bpf.h"

#include "learn_native.h"

__s64 rmt_native_learn_linear(struct rmt_learn_linear *l, const __s32 *x, __s64 label, const struct rmt_learn_setup *setup, int round)
{
	return rmt_learn_linear_step(l, x, label, *setup, round);
}

__s64 rmt_native_learn_mlp(struct rmt_learn_mlp *l, const __s32 *x, __s64 label, const struct rmt_learn_setup *setup, int round)
{
	return rmt_learn_mlp_step(l, x, label, *setup, round);
}

__s64 rmt_native_predict_linear(const struct rmt_learn_linear *l, const __s32 *x, const struct rmt_learn_setup *setup)
{
	return rmt_learn_linear_predict(l, x, *setup);
}

__s64 rmt_native_predict_mlp(const struct rmt_learn_mlp *l, const __s32 *x, const struct rmt_learn_setup *setup)
{
	return rmt_learn_mlp_predict(l, x, *setup);
}
