/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Inference of trees and forests in the kernel. The model is data: the program is verified once, for the largest model of
 * its class, and a model is swapped by one update of the outer map. No branch depends on the inputs while a tree is walked,
 * which is what makes it quick on unpredictable inputs and cheap for the kernel's verifier. How many steps, trees and columns
 * a model has is read from its header: a class that is larger than the model costs no time.
 *
 * What holds whatever the map contains: every loop has a constant as its bound, every index is masked, a zeroed or foreign
 * value answers RMT_MODEL_NONE. What user space must have checked (models/lower_check.cpp): that the nodes form trees.
 *
 * Include after the kernel types and <bpf/bpf_helpers.h>, with the kfuncs of bpf_for declared. Compiled natively (tests,
 * bench) it offers the same functions without the maps. */
#ifndef RMT_MODEL_BPF_H
#define RMT_MODEL_BPF_H

#include "loop.bpf.h"
#include "model_layout.h"

#ifdef __bpf__
#define rmt_engine_inline static __always_inline
#define rmt_engine_for(i, end) bpf_for(i, 0, end)
#else
#define rmt_engine_inline static inline __attribute__((always_inline))
#define rmt_engine_for(i, end) for (i = 0; i < (end); i++)
#endif

#ifdef __clang__
#define rmt_engine_unroll _Pragma("clang loop unroll(full)")
#else
#define rmt_engine_unroll
#endif

/* The constants of a program, all known where the functions are inlined. */
struct rmt_model_class {
	__u32 kind, trees, depth, nodes, slots, derived, outputs;
};

/* Without the empty asm clang turns the sign bit back into a branch: then each step leaves the verifier a pending state. */
#define rmt_engine_hide(x) asm volatile("" : "+r"(x))

/* Is the header's count `field` reached at number i? Read anew each time and reduced to one bit, so that the verifier finds
 * the same state wherever a loop is left, and follows what comes after it once instead of once for each number of steps. */
#define rmt_engine_done(h, field, i)                                                     \
	({                                                                              \
		__u32 left_ = *(const volatile __u32 *)&(h)->field - (__u32)(i) - 1;    \
		rmt_engine_hide(left_);                                                  \
		left_ >>= 31;                                                           \
		rmt_engine_hide(left_);                                                  \
		left_;                                                                  \
	})

/* number += pointer. clang would copy the pointer first. */
#ifdef __bpf__
#define rmt_engine_plus(number, pointer) asm("%[n] += %[p]" : [n] "+r"(number) : [p] "r"(pointer))
#else
#define rmt_engine_plus(number, pointer) ((number) += (__u64)(pointer))
#endif

/* n: distance in bytes of a node from the first one. The shift leaves other bits of link and difference below bit 3: the mask
 * takes them away. */
#define rmt_engine_step(node, mask, slots, n, f)                                                 \
	do {                                                                                    \
		__u64 at_ = (n), input_;                                                        \
		__u32 link_, d_;                                                                \
                                                                                                \
		rmt_engine_plus(at_, node);                                                     \
		link_ = ((const struct rmt_model_node *)at_)->link;                             \
		input_ = link_ & (4 * (slots) - 4);                                             \
		rmt_engine_plus(input_, f);                                                     \
		d_ = (__u32)((const struct rmt_model_node *)at_)->threshold - *(const __u32 *)input_; \
		rmt_engine_hide(d_);                                                            \
		(n) = (link_ >> 5 | d_ >> 28) & (mask);                                         \
		rmt_engine_hide(n);                                                             \
	} while (0)

/* Not 0 when an input lies outside lo..lo+span. The difference is taken modulo 2^32, so one unsigned compare covers both
 * ends for any 32-bit input; the compares are collected in a sign bit. */
rmt_engine_inline __u64 rmt_engine_outside(const struct rmt_model_header *h, const struct rmt_model_bound *bound, const __s32 *f,
					 const __u32 slots)
{
	__u64 bad = 0;
	__u32 i, k;

	rmt_engine_unroll
	for (i = 0; i < slots; i += slots / 4) {
		if (rmt_engine_done(h, inputs, i))
			break;
		rmt_engine_unroll
		for (k = i; k < i + slots / 4; k++)
			bad |= (__u64)bound[k].span - (__u32)((__u32)f[k] - (__u32)bound[k].lo);
	}
	return bad >> 63;
}

/* Columns made from inputs. Not 0 when one of these inputs is neither missing nor within its range. */
rmt_engine_inline __u64 rmt_engine_derive(const struct rmt_model_header *h, const struct rmt_model_derive *derive, __s32 *f,
					const struct rmt_model_class c)
{
	struct rmt_loop loop;
	__u64 bad = h->zero;
	__u32 i;

	rmt_loop_begin(loop, h->zero);
	while (rmt_loop_next(loop, i, c.derived)) {
		const struct rmt_model_derive *d = &derive[i];
		__u32 x, t, y, missing;

		if (rmt_engine_done(h, derived, i))
			break;
		x = (__u32)f[d->from & (c.slots - 1)];
		t = x - (__u32)d->lo;
		missing = (__u32)(((__u64)(x ^ (__u32)d->missing) - 1) >> 32); /* all ones or 0 */
		rmt_engine_hide(missing);
		if (d->mask) {
			__u64 within = ((__u64)t - 64) >> 63;

			y = (__u32)(d->mask >> (t & 63) & within);
			y |= (__u32)f[d->to & (c.slots - 1)] & -(__u32)(d->more & 1);
		} else {
			bad |= ((__u64)d->span - t) & ((__u64)(__u32)~missing << 32);
			y = x;
		}
		f[d->to & (c.slots - 1)] = (__s32)(y ^ ((y ^ (__u32)d->fill) & missing));
	}
	return bad >> 63;
}

/* Two levels of a tree. */
#define rmt_engine_block_step(block, mask, n, f)                                                    \
	do {                                                                                       \
		__u32 link_ = (block)[n].link;                                                     \
		__u32 a_ = (__u32)(block)[n].threshold[0] - (__u32)(f)[link_ & 15];                \
		__u32 b_ = (__u32)(block)[n].threshold[1] - (__u32)(f)[link_ >> 4 & 15];           \
		__u32 e_ = (__u32)(block)[n].threshold[2] - (__u32)(f)[link_ >> 8 & 15];           \
		rmt_engine_hide(a_);                                                                \
		rmt_engine_hide(b_);                                                                \
		rmt_engine_hide(e_);                                                                \
		a_ >>= 31;                                                                         \
		b_ = (b_ >> 31) | (e_ >> 31) << 1;                                                 \
		(n) = ((link_ >> 12) + 2 * a_ + (b_ >> a_ & 1)) & (mask);                          \
	} while (0)

rmt_engine_inline __s64 rmt_engine_tree(const struct rmt_model_header *h, const struct rmt_model_block *block, const __s32 *f,
				      const struct rmt_model_class c)
{
	const __u32 mask = RMT_MODEL_BLOCKS(c.depth, c.nodes) - 1;
	__u32 n = 0, i;

	rmt_engine_unroll
	for (i = 0; i < c.depth; i += 2) {
		if (rmt_engine_done(h, depth, i))
			break;
		rmt_engine_block_step(block, mask, n, f);
	}
	return block[n].threshold[0];
}

/* The sums of a forest, in the order of its trees: the answer is of the only one, or of the first of the largest. */
struct rmt_model_sum {
	__s64 sum, best, answer;
};

/* Of several outputs without a branch, each of which would have the kernel's verifier follow the rest of the loop again. Sums
 * lie within RMT_MODEL_SUM, so the sign of a difference is right. */
rmt_engine_inline void rmt_engine_add(struct rmt_model_sum *s, const struct rmt_model_output *output, const __u32 *group, __s64 leaves,
				    const struct rmt_model_class c)
{
	s->sum += leaves;
	if (c.outputs > 1) {
		const struct rmt_model_output *o = &output[*group & (c.outputs - 1)];
		__s64 total = s->sum + o->base, better = (__s64)((__u64)s->best - (__u64)total) >> 63;
		__s64 last = (__s64)((__u64)*group << 32) >> 63;

		rmt_engine_hide(last);
		rmt_engine_hide(better);
		better &= last;
		s->best ^= (s->best ^ total) & better;
		s->answer ^= (s->answer ^ o->answer) & better;
		s->sum &= ~last;
	}
}

rmt_engine_inline __s64 rmt_engine_answer(const struct rmt_model_header *h, const struct rmt_model_output *output,
					const struct rmt_model_sum *s, const struct rmt_model_class c)
{
	__s64 out;

	if (c.outputs > 1 && h->outputs > 1)
		return s->answer;
	out = c.outputs > 1 ? s->best : s->sum + output[0].base;
	out = (out >> (h->shift & 63)) + h->bias;
	if (out < h->out_min)
		out = h->out_min;
	if (out > h->out_max)
		out = h->out_max;
	return out;
}

#define rmt_engine_levels(levels, node, mask, slots, a, b, d, e, f)       \
	do {                                                             \
		__u32 level_;                                            \
                                                                         \
		rmt_engine_unroll                                        \
		for (level_ = 0; level_ < (levels); level_++) {          \
			rmt_engine_step(node, mask, slots, a, f);        \
			rmt_engine_step(node, mask, slots, b, f);        \
			rmt_engine_step(node, mask, slots, d, f);        \
			rmt_engine_step(node, mask, slots, e, f);        \
		}                                                        \
	} while (0)

/* Four trees at a time, from the group's first root on: their loads do not wait for each other. More steps than a tree is deep
 * stay at its leaf. */
rmt_engine_inline __s64 rmt_engine_group(const struct rmt_model_header *h, const struct rmt_model_node *node, const __s32 *f, __u64 root,
				       const struct rmt_model_class c)
{
	const __u32 mask = (c.nodes - 1) * sizeof(*node);
	const char *first = (const char *)node;
	__u64 a = root, b = a + sizeof(*node), d = b + sizeof(*node), e = d + sizeof(*node);
	__u32 i;

	if (c.depth <= 8) {
		rmt_engine_unroll
		for (i = 0; i < c.depth; i += 2) {
			if (i && rmt_engine_done(h, depth, i))
				break;
			rmt_engine_levels(2, node, mask, c.slots, a, b, d, e, f);
		}
	} else {
		struct rmt_loop loop;

		rmt_loop_begin(loop, h->zero);
		while (rmt_loop_next(loop, i, (c.depth + 3) / 4)) {
			if (rmt_engine_done(h, depth, 4 * i))
				break;
			rmt_engine_levels(4, node, mask, c.slots, a, b, d, e, f);
		}
	}
	return (__s64) * (const __s32 *)(first + a) + *(const __s32 *)(first + b) + *(const __s32 *)(first + d) + *(const __s32 *)(first + e);
}

rmt_engine_inline __s64 rmt_engine_forest(const struct rmt_model_header *h, const struct rmt_model_output *output,
					const __u32 *group, const struct rmt_model_node *node, const __s32 *f,
					const struct rmt_model_class c)
{
	struct rmt_model_sum s = { h->zero, h->lowest, h->zero };
	struct rmt_loop loop;
	__u32 g;

	rmt_loop_begin(loop, h->zero);
	while (rmt_loop_next(loop, g, c.trees / RMT_MODEL_GROUP)) {
		if (rmt_engine_done(h, groups, g))
			break;
		rmt_engine_add(&s, output, group + g, rmt_engine_group(h, node, f, g * (RMT_MODEL_GROUP * sizeof(*node)), c), c);
	}
	return rmt_engine_answer(h, output, &s, c);
}

/* The compares of a tree do not wait for each other: together they are the number of the leaf. All levels of the class are
 * compared (of a deep one only the first eight, if the model has no more); those that the model does not have are of the next tree,
 * and masked out. */
rmt_engine_inline __s64 rmt_engine_leaf(const struct rmt_model_header *h, const struct rmt_model_level *level, const __s32 *leaf,
				      const __s32 *f, __u32 tree, const struct rmt_model_class c)
{
	__u32 depth = *(const volatile __u32 *)&h->depth & 31, bits = 0, i;

	level += tree * depth & (RMT_MODEL_LEVELS(c.trees, c.depth) - 1);
	rmt_engine_unroll
	for (i = 0; i < c.depth; i++) {
		__u64 input = level[i].slot4 & (4 * c.slots - 4);
		__u32 d;

		if (i == 8 && rmt_engine_done(h, depth, i))
			break;
		rmt_engine_plus(input, f);
		d = (__u32)level[i].threshold - *(const __u32 *)input;
		rmt_engine_hide(d);
		bits |= d >> 31 << i;
		rmt_engine_hide(bits); /* one after the other: else clang loads all of them first, and spills */
	}
	return leaf[((tree << depth) + (bits & ((1u << depth) - 1))) & (c.nodes - 1)];
}

rmt_engine_inline __s64 rmt_engine_oblivious(const struct rmt_model_header *h, const struct rmt_model_output *output,
					   const __u32 *group, const struct rmt_model_level *level, const __s32 *leaf,
					   const __s32 *f, const struct rmt_model_class c)
{
	struct rmt_model_sum s = { h->zero, h->lowest, h->zero };
	struct rmt_loop loop;
	__u32 g, k;

	rmt_loop_begin(loop, h->zero);
	while (rmt_loop_next(loop, g, c.trees / RMT_MODEL_GROUP)) {
		__s64 sum = 0;

		if (rmt_engine_done(h, groups, g))
			break;
		rmt_engine_unroll
		for (k = 0; k < RMT_MODEL_GROUP; k++)
			sum += rmt_engine_leaf(h, level, leaf, f, RMT_MODEL_GROUP * g + k, c);
		rmt_engine_add(&s, output, group + g, sum, c);
	}
	return rmt_engine_answer(h, output, &s, c);
}

/* value: of this class. f: c.slots numbers, all of them initialised; the first ones are the inputs, the last one is written
 * here, and so are the columns that are made. */
rmt_engine_inline int rmt_engine_infer(const void *value, __s32 *f, __s64 *out, const struct rmt_model_class c)
{
	const struct rmt_model_header *h = value;
	const char *at = value;
	const struct rmt_model_output *output = (const void *)(at + RMT_MODEL_AT_OUTPUT(c.slots, c.derived));
	const __u32 *group = (const void *)(at + RMT_MODEL_AT_GROUP(c.kind, c.slots, c.derived, c.outputs));
	const void *body = at + RMT_MODEL_AT_BODY(c.kind, c.trees, c.slots, c.derived, c.outputs);

	if (h->layout != RMT_MODEL_LAYOUT || h->kind != c.kind || h->depth > c.depth)
		return RMT_MODEL_NONE;
	f[c.slots - 1] = RMT_MODEL_SENTINEL;
	if (rmt_engine_outside(h, (const void *)(at + RMT_MODEL_AT_BOUND), f, c.slots))
		return RMT_MODEL_OUTSIDE;
	if (c.derived && rmt_engine_derive(h, (const void *)(at + RMT_MODEL_AT_DERIVE(c.slots)), f, c))
		return RMT_MODEL_OUTSIDE;
	if (c.kind == RMT_MODEL_TREE)
		*out = rmt_engine_tree(h, body, f, c);
	else if (c.kind == RMT_MODEL_FOREST)
		*out = rmt_engine_forest(h, output, group, body, f, c);
	else
		*out = rmt_engine_oblivious(h, output, group, body,
					   (const void *)(at + RMT_MODEL_AT_LEAF(c.trees, c.depth, c.slots, c.derived, c.outputs)),
					   f, c);
	return RMT_MODEL_OK;
}

#ifdef __bpf__
/* RMT_MODEL_CLASS(name, index, kind, trees, depth, nodes, slots, derived, outputs): map `rmt_model_<name>` and
 *     int rmt_infer_model_<name>(__s32 *f, __s64 *out)    0: *out is the answer; else an enum rmt_model_status
 * trees: a multiple of 4, or 1 of kind tree; depth: 1..RMT_MODEL_MAX_DEPTH; nodes: a power of two; slots: 16 or 64; outputs:
 * 1 or a power of two. index is the model's number in the policy: it names the model to tools that read the object. The outer
 * map starts empty. RMT_MODEL(name, index, trees, depth, nodes) is a tree, or a forest when trees is not 1. */
#define RMT_MODEL(name, index, trees, depth, nodes)                                                            \
	RMT_MODEL_CLASS(name, index, (trees) == 1 ? RMT_MODEL_TREE : RMT_MODEL_FOREST, trees, depth, nodes, RMT_MODEL_SLOTS, 0, 1)

#define RMT_MODEL_CLASS(name, index, kind, trees, depth, nodes, slots, derived, outputs)                       \
	_Static_assert((kind) == RMT_MODEL_TREE ? (trees) == 1 && (slots) == RMT_MODEL_SLOTS                   \
						: (trees) > 0 && (trees) % RMT_MODEL_GROUP == 0,               \
		       "trees: a multiple of 4; of kind tree 1, with 16 slots");                               \
	_Static_assert((depth) >= 1 && (depth) <= ((kind) == RMT_MODEL_OBLIVIOUS ? RMT_MODEL_MAX_LEVELS : RMT_MODEL_MAX_DEPTH), \
		       "depth: 1..32, of kind oblivious 1..16");                                               \
	_Static_assert((nodes) >= 2 && ((nodes) & ((nodes) - 1)) == 0 && (nodes) <= RMT_MODEL_MAX_NODES,        \
		       "nodes: a power of two");                                                               \
	_Static_assert((kind) != RMT_MODEL_FOREST || (trees) <= (nodes), "nodes: at least one for each tree");          \
	_Static_assert((kind) != RMT_MODEL_TREE || RMT_MODEL_BLOCKS(depth, nodes) <= RMT_MODEL_MAX_BLOCKS, "too many blocks"); \
	_Static_assert((slots) == RMT_MODEL_SLOTS || (slots) == RMT_MODEL_MAX_SLOTS, "slots: 16 or 64");        \
	_Static_assert((derived) <= RMT_MODEL_MAX_DERIVED, "derived: at most 64");                             \
	_Static_assert((outputs) >= 1 && ((outputs) & ((outputs) - 1)) == 0 && (outputs) <= RMT_MODEL_MAX_OUTPUTS, \
		       "outputs: a power of two");                                                             \
	enum { rmt_index_model_##name = (index) };                                                             \
	enum { rmt_model_size_##name = RMT_MODEL_VALUE_SIZE(kind, trees, depth, nodes, slots, derived, outputs) }; \
	struct rmt_model_inner_##name {                                                                        \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                              \
		__uint(max_entries, 1);                                                                        \
		__uint(key_size, sizeof(__u32)); /* sizes, not types: clang leaves an inner map's value type a mere */ \
		__uint(value_size, rmt_model_size_##name); /* forward declaration in BTF */                    \
	};                                                                                                     \
	struct {                                                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                      \
		__uint(max_entries, 1);                                                                        \
		__type(key, __u32);                                                                            \
		__array(values, struct rmt_model_inner_##name);                                                \
	} rmt_model_##name SEC(".maps");                                                                       \
	static __always_inline int rmt_infer_model_##name(__s32 *f, __s64 *out)                                \
	{                                                                                                      \
		const struct rmt_model_class c = { kind, trees, depth, nodes, slots, derived, outputs };       \
		__u32 zero = 0;                                                                                \
		void *inner = bpf_map_lookup_elem(&rmt_model_##name, &zero);                                   \
		void *value;                                                                                   \
                                                                                                               \
		if (!inner)                                                                                    \
			return RMT_MODEL_NONE;                                                                 \
		value = bpf_map_lookup_elem(inner, &zero);                                                     \
		if (!value)                                                                                    \
			return RMT_MODEL_NONE;                                                                 \
		return rmt_engine_infer(value, f, out, c);                                                      \
	}
#endif

#endif
