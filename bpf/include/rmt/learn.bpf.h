/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Learning in the kernel: one step of stochastic gradient descent in fixed point, for a linear model and for a small MLP
 * (RMT_LEARN_INPUTS inputs, RMT_LEARN_HIDDEN hidden units with relu, one output). Called once for each event whose label is
 * known; the prediction of the step is returned, so that who calls can keep score.
 *
 * - Products are rounded to the nearest when they are shifted. A plain `>>` rounds down: every step then takes a little away from
 *   every weight, and the MLP drifts off for good (tests/models/learn_test.cpp shows both).
 * - Errors and gradients are clamped, weights saturate: no label and no input can make a weight run away within one step.
 * - No branch depends on the data. One writer: a learner belongs to one CPU (a per-CPU map) or one task. Updates that race lose
 *   updates, nothing else: every word is valid by itself.
 *
 * Inputs x lie in -256..255 (the caller scales: what is outside is clamped); label and prediction are of the caller's unit,
 * within -2^20..2^20. Include after model.bpf.h. Compiled natively (tests) it offers the same functions. */
#ifndef RMT_LEARN_BPF_H
#define RMT_LEARN_BPF_H

#include "intf.h"

#define RMT_LEARN_INPUTS 8
#define RMT_LEARN_HIDDEN 8
#define RMT_LEARN_X 256                 /* inputs are clamped to -X..X-1 */
#define RMT_LEARN_LABEL (1 << 20)
#define RMT_LEARN_WEIGHT (1 << 26)      /* weights saturate here */

struct rmt_learn_linear {
	__s64 weight[RMT_LEARN_INPUTS]; /* 16 fraction bits; x has 8, sums 8 more than the label */
	__s64 bias;
	__u64 steps;
	__u64 squares;                  /* sum of squared errors, for who reads it */
};
RMT_SIZE(struct rmt_learn_linear, 88);

struct rmt_learn_mlp {
	__s64 first[RMT_LEARN_HIDDEN][RMT_LEARN_INPUTS];
	__s64 first_bias[RMT_LEARN_HIDDEN];
	__s64 second[RMT_LEARN_HIDDEN];
	__s64 bias;
	__s64 hidden[RMT_LEARN_HIDDEN]; /* of the last step */
	__u64 steps;
	__u64 squares;
};
RMT_SIZE(struct rmt_learn_mlp, 728);

#define rmt_learn_opaque(x) asm volatile("" : "+r"(x))

/* A mask is never combined with a constant: kernels since 6.18 verify `mask & constant` as two programs, one for each value of
 * the mask, which doubles the work with every clamp; and 6.18.44 dereferences NULL when it runs out of room for them. */
rmt_engine_inline __s64 rmt_learn_clamp(__s64 value, const __s64 limit)
{
	__s64 sign;

	value += limit;
	sign = value >> 63;
	rmt_learn_opaque(sign);
	value = 2 * limit - (value & ~sign);
	sign = value >> 63;
	rmt_learn_opaque(sign);
	return limit - (value & ~sign);
}

/* value / 2^shift, rounded to the nearest; `round` 0 rounds down, and is there for the test that shows why not. */
rmt_engine_inline __s64 rmt_learn_scale(__s64 value, const __u32 shift, const int round)
{
	return (value + (round ? (__s64)1 << (shift - 1) : 0)) >> shift;
}

/* rate: a step of 2^-rate of the gradient; 4..12. Returns the prediction before the step. */
rmt_engine_inline __s64 rmt_learn_linear_step(struct rmt_learn_linear *l, const __s32 *x, __s64 label, const __u32 rate, const int round)
{
	__s64 in[RMT_LEARN_INPUTS], sum = l->bias, error;
	int i;

	rmt_engine_unroll
	for (i = 0; i < RMT_LEARN_INPUTS; i++) {
		in[i] = rmt_learn_clamp(x[i], RMT_LEARN_X);
		sum += rmt_learn_scale(l->weight[i] * in[i], 8, round);
	}
	label = rmt_learn_clamp(label, RMT_LEARN_LABEL) << 8;
	error = rmt_learn_clamp(sum - label, (__s64)RMT_LEARN_LABEL << 8);
	rmt_engine_unroll
	for (i = 0; i < RMT_LEARN_INPUTS; i++)
		l->weight[i] = rmt_learn_clamp(l->weight[i] - rmt_learn_scale(error * in[i], 8 + rate, round), (__s64)RMT_LEARN_WEIGHT << 8);
	l->bias = rmt_learn_clamp(l->bias - rmt_learn_scale(error, rate, round), (__s64)RMT_LEARN_LABEL << 8);
	l->steps++;
	l->squares += (__u64)((error >> 8) * (error >> 8));
	return sum >> 8;
}

/* Full back-propagation. The same, for an MLP; its weights must not all be equal at the beginning. */
rmt_engine_inline __s64 rmt_learn_mlp_step(struct rmt_learn_mlp *l, const __s32 *x, __s64 label, const __u32 rate, const int round)
{
	__s64 in[RMT_LEARN_INPUTS], sum = l->bias, error;
	int i, k;

	rmt_engine_unroll
	for (i = 0; i < RMT_LEARN_INPUTS; i++)
		in[i] = rmt_learn_clamp(x[i], RMT_LEARN_X);
	rmt_engine_for(k, RMT_LEARN_HIDDEN) {
		__s64 h = l->first_bias[k], off;

		rmt_engine_unroll
		for (i = 0; i < RMT_LEARN_INPUTS; i++)
			h += l->first[k][i] * in[i];
		h = rmt_learn_scale(h, 12, round);
		off = h >> 63;
		rmt_learn_opaque(off);
		h &= ~off;
		l->hidden[k] = h;
		sum += rmt_learn_scale(l->second[k] * h, 12, round);
	}
	label = rmt_learn_clamp(label, RMT_LEARN_LABEL);
	error = rmt_learn_clamp(sum - label, 4096);
	rmt_engine_for(k, RMT_LEARN_HIDDEN) {
		__s64 h = l->hidden[k], on = (-h) >> 63, back;

		rmt_learn_opaque(on);
		back = rmt_learn_scale(error * l->second[k], 12, round) & on;
		back = rmt_learn_clamp(back, 8192);
		l->second[k] = rmt_learn_clamp(l->second[k] - rmt_learn_scale(error * h, 7 + rate, round), RMT_LEARN_WEIGHT);
		l->first_bias[k] = rmt_learn_clamp(l->first_bias[k] - rmt_learn_scale(back, 1, round), (__s64)RMT_LEARN_WEIGHT << 8);
		rmt_engine_unroll
		for (i = 0; i < RMT_LEARN_INPUTS; i++)
			l->first[k][i] = rmt_learn_clamp(l->first[k][i] - rmt_learn_scale(back * in[i], 5 + rate, round), RMT_LEARN_WEIGHT);
	}
	l->bias = rmt_learn_clamp(l->bias - rmt_learn_scale(error, rate, round), (__s64)RMT_LEARN_LABEL << 8);
	l->steps++;
	l->squares += (__u64)(error * error);
	return sum;
}

#endif
