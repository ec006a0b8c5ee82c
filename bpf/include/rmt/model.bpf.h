/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Inference of trees and forests in the kernel. The model is data: the program is verified once, for the largest model of
 * its class, and a model is swapped by one update of the outer map. No branch depends on the model or on the inputs while
 * a tree is walked, which is what makes it quick on unpredictable inputs and cheap for the kernel's verifier.
 *
 * What holds whatever the map contains: the number of steps is a constant, every index is masked, a zeroed or foreign
 * value answers RMT_MODEL_NONE. What user space must have checked (models/lower.cpp): that the nodes form trees.
 *
 * Include after the kernel types and <bpf/bpf_helpers.h>, with the kfuncs of bpf_for declared. Compiled natively (tests,
 * bench) it offers the same functions without the maps. */
#ifndef RMT_MODEL_BPF_H
#define RMT_MODEL_BPF_H

#include "model_layout.h"

#ifdef __bpf__
#define rmt_model_inline static __always_inline
#define rmt_model_for(i, end) bpf_for(i, 0, end)
#else
#define rmt_model_inline static inline __attribute__((always_inline))
#define rmt_model_for(i, end) for (i = 0; i < (end); i++)
#endif

#ifdef __clang__
#define rmt_model_unroll _Pragma("clang loop unroll(full)")
#else
#define rmt_model_unroll
#endif

/* Without the empty asm clang turns the sign bit back into a branch: then each step leaves the verifier a pending state. */
#define rmt_model_step(node, mask, n, f)                                                \
	do {                                                                            \
		__u32 d_ = (__u32)(node)[n].threshold;                                  \
		__u32 link_ = (node)[n].link;                                           \
		d_ -= (__u32)(f)[link_ & (RMT_MODEL_SLOTS - 1)];                        \
		asm volatile("" : "+r"(d_));                                            \
		(n) = ((link_ >> 8) + (d_ >> 31)) & (mask);                             \
	} while (0)

/* Not 0 when an input lies outside lo..lo+span. The difference is taken modulo 2^32, so one unsigned compare covers both
 * ends for any 32-bit input; the compares are collected in a sign bit. */
rmt_model_inline int rmt_model_outside(const struct rmt_model_header *h, const __s32 *f)
{
	__u64 bad = 0;
	int i;

	rmt_model_unroll
	for (i = 0; i < 8; i++)
		bad |= (__u64)h->span[i] - (__u32)((__u32)f[i] - (__u32)h->lo[i]);
	if (h->inputs > 8) {
		rmt_model_unroll
		for (i = 8; i < RMT_MODEL_SENTINEL_SLOT; i++)
			bad |= (__u64)h->span[i] - (__u32)((__u32)f[i] - (__u32)h->lo[i]);
	}
	return (int)(bad >> 63);
}

rmt_model_inline __s64 rmt_model_tree(const struct rmt_model_node *node, const __s32 *f, const __u32 depth, const __u32 mask)
{
	__u32 n = 0, i;

	rmt_model_unroll
	for (i = 0; i < depth; i++)
		rmt_model_step(node, mask, n, f);
	return node[n].threshold;
}

/* Four trees at a time: their loads do not wait for each other. */
rmt_model_inline __s64 rmt_model_forest(const struct rmt_model_header *h, const __u32 *root, const struct rmt_model_node *node,
					const __s32 *f, const int groups, const __u32 depth, const __u32 mask)
{
	__s64 out = h->base;
	int g;

	rmt_model_for(g, groups) {
		__u32 a, b, c, d, i;

		if ((__u32)g >= h->groups)
			break;
		a = root[4 * g] & mask;
		b = root[4 * g + 1] & mask;
		c = root[4 * g + 2] & mask;
		d = root[4 * g + 3] & mask;
		rmt_model_unroll
		for (i = 0; i < depth; i++) {
			rmt_model_step(node, mask, a, f);
			rmt_model_step(node, mask, b, f);
			rmt_model_step(node, mask, c, f);
			rmt_model_step(node, mask, d, f);
		}
		out += (__s64)node[a].threshold + node[b].threshold + node[c].threshold + node[d].threshold;
	}
	out = (out >> (h->shift & 63)) + h->bias;
	if (out < h->out_min)
		out = h->out_min;
	if (out > h->out_max)
		out = h->out_max;
	return out;
}

/* f: 16 slots on the caller's stack, all of them initialised; 0..14 are the inputs, 15 is written here. */
rmt_model_inline int rmt_model_infer(const struct rmt_model_header *h, const __u32 *root, const struct rmt_model_node *node,
				     __s32 *f, __s64 *out, const int trees, const __u32 depth, const __u32 nodes)
{
	if (h->layout != RMT_MODEL_LAYOUT || h->depth > depth ||
	    h->kind != (trees == 1 ? RMT_MODEL_TREE : RMT_MODEL_FOREST))
		return RMT_MODEL_NONE;
	f[RMT_MODEL_SENTINEL_SLOT] = RMT_MODEL_SENTINEL;
	if (rmt_model_outside(h, f))
		return RMT_MODEL_OUTSIDE;
	if (trees == 1)
		*out = rmt_model_tree(node, f, depth, nodes - 1);
	else
		*out = rmt_model_forest(h, root, node, f, trees / RMT_MODEL_GROUP, depth, nodes - 1);
	return RMT_MODEL_OK;
}

#ifdef __bpf__
/* RMT_MODEL(name, index, trees, depth, nodes): map `rmt_model_<name>` and
 *     int rmt_model_infer_<name>(__s32 *f16, __s64 *out)    0: *out is the answer; else an enum rmt_model_status
 * trees: 1 or a multiple of 4; depth: 1..16; nodes: a power of two. index is the model's number in the policy: it names
 * the model to tools that read the object. The outer map starts empty. */
#define RMT_MODEL(name, index, trees, depth, nodes)                                                            \
	_Static_assert((trees) == 1 || ((trees) > 0 && (trees) % RMT_MODEL_GROUP == 0), "trees: 1 or a multiple of 4"); \
	_Static_assert((depth) >= 1 && (depth) <= RMT_MODEL_MAX_DEPTH, "depth: 1..16");                        \
	_Static_assert((nodes) >= 2 && ((nodes) & ((nodes) - 1)) == 0 && (nodes) <= RMT_MODEL_MAX_NODES,        \
		       "nodes: a power of two");                                                               \
	enum { rmt_model_index_##name = (index) };                                                             \
	struct rmt_model_value_##name {                                                                        \
		struct rmt_model_header header;                                                                \
		__u32 root[RMT_MODEL_ROOTS(trees)];                                                            \
		struct rmt_model_node node[nodes];                                                             \
	};                                                                                                     \
	RMT_SIZE(struct rmt_model_value_##name, RMT_MODEL_VALUE_SIZE(trees, nodes));                           \
	struct rmt_model_inner_##name {                                                                        \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                              \
		__uint(max_entries, 1);                                                                        \
		__uint(key_size, sizeof(__u32)); /* sizes, not types: clang leaves an inner map's value type a mere */ \
		__uint(value_size, sizeof(struct rmt_model_value_##name)); /* forward declaration in BTF */    \
	};                                                                                                     \
	struct {                                                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                      \
		__uint(max_entries, 1);                                                                        \
		__type(key, __u32);                                                                            \
		__array(values, struct rmt_model_inner_##name);                                                \
	} rmt_model_##name SEC(".maps");                                                                       \
	static __always_inline int rmt_model_infer_##name(__s32 *f16, __s64 *out)                              \
	{                                                                                                      \
		__u32 zero = 0;                                                                                \
		void *inner = bpf_map_lookup_elem(&rmt_model_##name, &zero);                                   \
		struct rmt_model_value_##name *v;                                                              \
                                                                                                               \
		if (!inner)                                                                                    \
			return RMT_MODEL_NONE;                                                                 \
		v = bpf_map_lookup_elem(inner, &zero);                                                         \
		if (!v)                                                                                        \
			return RMT_MODEL_NONE;                                                                 \
		return rmt_model_infer(&v->header, v->root, v->node, f16, out, trees, depth, nodes);           \
	}
#endif

#endif
