/* SPDX-License-Identifier: GPL-2.0-only */
/* Models that learn in the kernel, `train online`: each CPU has its own weights, so there is no lock, and its own figures. The
 * handler of the labelled event calls rmt_step_<name>; nothing else writes the map, which the RMT verifier shows (V08).
 * Several tasks may interleave on one CPU where the kernel preempts: an update may then be lost, or be made with the hidden
 * activations of the other's. Each is still within its clamps. */
#ifndef RMT_ONLINE_BPF_H
#define RMT_ONLINE_BPF_H

#include "rmt/learn.bpf.h"

#define RMT_ONLINE_NONE RMT_S64_MIN /* no answer yet */

/* learner: linear or mlp. after: steps before there is an answer. The rest: an rmt_learn_setup. */
#define RMT_ONLINE(name, learner, after, rate, inputs, ...)                                                        \
	struct {                                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                           \
		__uint(max_entries, 1);                                                                            \
		__type(key, __u32);                                                                                \
		__type(value, struct rmt_learn_##learner);                                                         \
	} rmt_online_##name SEC(".maps");                                                                          \
                                                                                                                   \
	static __noinline int rmt_step_##name(const __s32 *x, __s64 label)                                         \
	{                                                                                                          \
		const struct rmt_learn_setup setup = { rate, inputs, { __VA_ARGS__ } };                            \
		__u32 zero = 0;                                                                                    \
		struct rmt_learn_##learner *l = bpf_map_lookup_elem(&rmt_online_##name, &zero);                    \
                                                                                                                   \
		if (l && x)                                                                                        \
			rmt_learn_##learner##_step(l, x, label, setup, 1);                                         \
		return 0;                                                                                          \
	}                                                                                                          \
                                                                                                                   \
	static __noinline __s64 rmt_predict_##name(const __s32 *x)                                                 \
	{                                                                                                          \
		const struct rmt_learn_setup setup = { rate, inputs, { __VA_ARGS__ } };                            \
		__u32 zero = 0;                                                                                    \
		const struct rmt_learn_##learner *l = bpf_map_lookup_elem(&rmt_online_##name, &zero);              \
                                                                                                                   \
		if (!l || !x || !l->score.begun || l->score.steps < (after))                                       \
			return RMT_ONLINE_NONE;                                                                    \
		return rmt_learn_##learner##_predict(l, x, setup);                                                 \
	}

#endif
