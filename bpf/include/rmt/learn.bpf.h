/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Learning in the kernel: one step of stochastic gradient descent in fixed point, for a linear model and for a small MLP
 * (RMT_LEARN_INPUTS inputs, RMT_LEARN_HIDDEN hidden units with relu, one output). Called once for each event whose label is
 * known; the prediction of the step is returned. What a policy's `train online` becomes is in online.bpf.h.
 *
 * - Products are rounded to the nearest when they are shifted. A plain `>>` rounds down: every step then takes a little away from
 *   every weight, and the MLP drifts off for good (tests/models/learn_test.cpp shows both).
 * - Errors and gradients are clamped, weights saturate: no label and no input can make a weight run away within one step.
 * - No branch depends on the data. One writer: a learner belongs to one CPU (a per-CPU map) or one task. Updates that race lose
 *   updates, nothing else: every word is valid by itself.
 * - All zero is a learner that has not begun. The first step makes it begin, whatever else stands there: who wants it to forget
 *   writes zeros over it, and a step that runs meanwhile can spoil nothing.
 *
 * Inputs are divided by a power of two, rounded, and clamped to -256..255; label and prediction are of the caller's unit,
 * within -2^20..2^20. Include after model.bpf.h. Compiled natively (tests) it offers the same functions. */
#ifndef RMT_LEARN_BPF_H
#define RMT_LEARN_BPF_H

#include "learn_layout.h"

/* The constants of a program, all known where the functions are inlined. */
struct rmt_learn_setup {
	__u32 rate;   /* a step of 2^-rate of the gradient: 4..12 */
	__u32 inputs; /* in use, 1..RMT_LEARN_INPUTS */
	__s32 shift[RMT_LEARN_INPUTS]; /* input i is divided by 2^shift[i]; below 0: multiplied. -7..22 */
};

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

/* An input of the policy as the learner takes it. */
rmt_engine_inline __s64 rmt_learn_input(__s64 x, const __s32 shift, const int round)
{
	if (shift > 0)
		x = rmt_learn_scale(x, shift, round);
	else
		x *= 1 << -shift;
	return rmt_learn_clamp(x, RMT_LEARN_X);
}

rmt_engine_inline void rmt_learn_inputs(__s64 *in, const __s32 *x, const struct rmt_learn_setup s, const int round)
{
	__u32 i;

	rmt_engine_unroll
	for (i = 0; i < s.inputs; i++)
		in[i] = rmt_learn_input(x[i], s.shift[i], round);
}

rmt_engine_inline void rmt_learn_keep_score(struct rmt_learn_score *score, __s64 label, __s64 error)
{
	__s64 off = label - (score->mean >> RMT_LEARN_WINDOW_BITS);

	score->steps++;
	score->squares += (__u64)(error * error);
	score->recent += (__u64)(error * error) - (score->recent >> RMT_LEARN_WINDOW_BITS);
	score->spread += (__u64)(off * off) - (score->spread >> RMT_LEARN_WINDOW_BITS);
	score->mean += label - (score->mean >> RMT_LEARN_WINDOW_BITS);
}

rmt_engine_inline void rmt_learn_begin(struct rmt_learn_score *score)
{
	score->begun = 1;
	score->steps = 0;
	score->squares = 0;
	score->recent = 0;
	score->spread = 0;
	score->mean = 0;
}

/* ---- linear ----------------------------------------------------------------------------------------------------------- */

/* With 8 fraction bits more than the label. */
rmt_engine_inline __s64 rmt_learn_linear_sum(const struct rmt_learn_linear *l, const __s64 *in, const struct rmt_learn_setup s, const int round)
{
	__s64 sum = l->bias;
	__u32 i;

	rmt_engine_unroll
	for (i = 0; i < s.inputs; i++)
		sum += rmt_learn_scale(l->weight[i] * in[i], 8, round);
	return sum;
}

rmt_engine_inline __s64 rmt_learn_linear_predict(const struct rmt_learn_linear *l, const __s32 *x, const struct rmt_learn_setup s)
{
	__s64 in[RMT_LEARN_INPUTS];

	rmt_learn_inputs(in, x, s, 1);
	return rmt_learn_scale(rmt_learn_linear_sum(l, in, s, 1), 8, 1);
}

rmt_engine_inline void rmt_learn_linear_begin(struct rmt_learn_linear *l)
{
	int i;

	rmt_learn_begin(&l->score);
	rmt_engine_unroll
	for (i = 0; i < RMT_LEARN_INPUTS; i++)
		l->weight[i] = 0;
	l->bias = 0;
}

/* Returns the prediction before the step. */
rmt_engine_inline __s64 rmt_learn_linear_step(struct rmt_learn_linear *l, const __s32 *x, __s64 label, const struct rmt_learn_setup s, const int round)
{
	__s64 in[RMT_LEARN_INPUTS], sum, error;
	__u32 i;

	if (!l->score.begun)
		rmt_learn_linear_begin(l);
	rmt_learn_inputs(in, x, s, round);
	sum = rmt_learn_linear_sum(l, in, s, round);
	label = rmt_learn_clamp(label, RMT_LEARN_LABEL);
	error = rmt_learn_clamp(sum - (label << 8), (__s64)RMT_LEARN_LABEL << 8);
	rmt_engine_unroll
	for (i = 0; i < s.inputs; i++)
		l->weight[i] = rmt_learn_clamp(l->weight[i] - rmt_learn_scale(error * in[i], 8 + s.rate, round), (__s64)RMT_LEARN_WEIGHT << 8);
	l->bias = rmt_learn_clamp(l->bias - rmt_learn_scale(error, s.rate, round), (__s64)RMT_LEARN_LABEL << 8);
	rmt_learn_keep_score(&l->score, label, error >> 8);
	return rmt_learn_scale(sum, 8, round);
}

/* ---- MLP ---------------------------------------------------------------------------------------------------------------- */

/* A hidden unit's activation. */
rmt_engine_inline __s64 rmt_learn_mlp_unit(const struct rmt_learn_mlp *l, const int k, const __s64 *in, const struct rmt_learn_setup s, const int round)
{
	__s64 h = l->first_bias[k], off;
	__u32 i;

	rmt_engine_unroll
	for (i = 0; i < s.inputs; i++)
		h += l->first[k][i] * in[i];
	h = rmt_learn_scale(h, 12, round);
	off = h >> 63;
	rmt_learn_opaque(off);
	return h & ~off;
}

rmt_engine_inline __s64 rmt_learn_mlp_predict(const struct rmt_learn_mlp *l, const __s32 *x, const struct rmt_learn_setup s)
{
	__s64 in[RMT_LEARN_INPUTS], sum = l->bias;
	int k;

	rmt_learn_inputs(in, x, s, 1);
	rmt_engine_for(k, RMT_LEARN_HIDDEN)
		sum += rmt_learn_scale(l->second[k] * rmt_learn_mlp_unit(l, k, in, s, 1), 12, 1);
	return sum;
}

/* Small weights, all different: equal units would learn the same for ever. */
rmt_engine_inline void rmt_learn_mlp_begin(struct rmt_learn_mlp *l)
{
	int i, k;

	rmt_learn_begin(&l->score);
	rmt_engine_for(k, RMT_LEARN_HIDDEN) {
		rmt_engine_unroll
		for (i = 0; i < RMT_LEARN_INPUTS; i++)
			l->first[k][i] = (__s64)((__u32)(8 * k + i) * 2654435761u >> 17) - 16384;
		l->first_bias[k] = 0;
		l->second[k] = (__s64)((__u32)(64 + k) * 2654435761u >> 19) - 4096;
		l->hidden[k] = 0;
	}
	l->bias = 0;
}

/* Full back-propagation. Errors beyond +-4096 count as 4096. */
rmt_engine_inline __s64 rmt_learn_mlp_step(struct rmt_learn_mlp *l, const __s32 *x, __s64 label, const struct rmt_learn_setup s, const int round)
{
	__s64 in[RMT_LEARN_INPUTS], sum, error;
	__u32 i;
	int k;

	if (!l->score.begun)
		rmt_learn_mlp_begin(l);
	sum = l->bias;
	rmt_learn_inputs(in, x, s, round);
	rmt_engine_for(k, RMT_LEARN_HIDDEN) {
		__s64 h = rmt_learn_mlp_unit(l, k, in, s, round);

		l->hidden[k] = h;
		sum += rmt_learn_scale(l->second[k] * h, 12, round);
	}
	label = rmt_learn_clamp(label, RMT_LEARN_LABEL);
	rmt_learn_keep_score(&l->score, label, rmt_learn_clamp(sum - label, RMT_LEARN_LABEL));
	error = rmt_learn_clamp(sum - label, 4096);
	rmt_engine_for(k, RMT_LEARN_HIDDEN) {
		__s64 h = l->hidden[k], on = (-h) >> 63, back;

		rmt_learn_opaque(on);
		back = rmt_learn_scale(error * l->second[k], 12, round) & on;
		back = rmt_learn_clamp(back, 8192);
		l->second[k] = rmt_learn_clamp(l->second[k] - rmt_learn_scale(error * h, 7 + s.rate, round), RMT_LEARN_WEIGHT);
		l->first_bias[k] = rmt_learn_clamp(l->first_bias[k] - rmt_learn_scale(back, 1, round), (__s64)RMT_LEARN_WEIGHT << 8);
		rmt_engine_unroll
		for (i = 0; i < s.inputs; i++)
			l->first[k][i] = rmt_learn_clamp(l->first[k][i] - rmt_learn_scale(back * in[i], 5 + s.rate, round), RMT_LEARN_WEIGHT);
	}
	l->bias = rmt_learn_clamp(l->bias - rmt_learn_scale(error, s.rate, round), (__s64)RMT_LEARN_LABEL << 8);
	return sum;
}

#endif
