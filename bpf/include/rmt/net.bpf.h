/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Inference of nets in the kernel: linear models, MLPs, 1-D convolutions. One program for all of them: the net is a list of
 * tiles in a map value (net_layout.h), swapped by one update of the outer map. A tile is RMT_NET_WORDS multiplications
 * without a branch; clamping has none either, so that the kernel verifies the loop's body once, whatever the net.
 *
 * What holds whatever the map contains: the number of tiles is bounded by a constant, every index is masked, a zeroed or
 * foreign value answers RMT_MODEL_NONE. What user space must have checked (models/net.cpp, net_lower.cpp): that no sum
 * overflows, and that lanes stay within their 21 bits.
 *
 * Include after model.bpf.h. Compiled natively (tests, bench) it offers the same functions without the maps. */
#ifndef RMT_NET_BPF_H
#define RMT_NET_BPF_H

#include "net_layout.h"

/* Keeps a mask a mask: clang would make a branch of it. */
#define rmt_net_opaque(x) asm volatile("" : "+r"(x))

/* Products and sums are taken modulo 2^64: lanes borrow from their neighbours. */
#define rmt_net_multiply(a, b) ((__s64)((__u64)(a) * (__u64)(b)))
#define rmt_net_plus(a, b) ((__s64)((__u64)(a) + (__u64)(b)))
#define rmt_net_minus(a, b) ((__s64)((__u64)(a) - (__u64)(b)))

#define RMT_NET_SCALED 4 /* inputs for each turn of the loop */

/* Trained range and scale of RMT_NET_SCALED inputs; the sign bit of the result is set when one lies outside. */
rmt_engine_inline __u64 rmt_net_scale(const struct rmt_net_input *in, const __s32 *f, __s64 *act, const __u32 shift)
{
	__u64 bad = 0;
	int k;

	rmt_engine_unroll
	for (k = 0; k < RMT_NET_SCALED; k++) {
		bad |= (__u64)in[k].span - (__u32)((__u32)f[k] - (__u32)in[k].lo);
		act[k] = rmt_net_plus(rmt_net_multiply((__s64)f[k], in[k].multiplier), in[k].add) >> shift;
		asm volatile("" : "+r"(bad) : : "memory"); /* one after the other: else clang loads all first, and spills */
	}
	return bad;
}

/* The matrix product: RMT_NET_TILE activations by a block of weights, for two accumulators. */
rmt_engine_inline void rmt_net_product(const __s64 *word, const __s64 *act, __s64 *first, __s64 *second)
{
	__s64 a = *first, b = *second;
	int k;

	rmt_engine_unroll
	for (k = 0; k < RMT_NET_TILE; k++) {
		__s64 x = act[k];

		a = rmt_net_plus(a, rmt_net_multiply(word[2 * k], x));
		b = rmt_net_plus(b, rmt_net_multiply(word[2 * k + 1], x));
		rmt_net_opaque(a); /* in this order: else clang loads first, and spills what it loaded */
		rmt_net_opaque(b);
	}
	*first = a;
	*second = b;
}

/* clamp((sum * multiplier + add) >> shift, lo, hi), stored; with `keep` (all bits or none) the larger of old and new: the old one
 * is then the lower end, being within lo..hi already. */
rmt_engine_inline void rmt_net_store(const struct rmt_net_row *row, const int output, const __s64 sum, const __u32 shift, __s64 *to,
				    const __s64 keep)
{
	__s64 floor = rmt_net_plus(row->lo, rmt_net_minus(to[output], row->lo) & keep), value, sign;

	value = rmt_net_minus(rmt_net_plus(rmt_net_multiply(sum, row->multiplier[output]), row->add[output]) >> shift, floor);
	sign = value >> 63;
	rmt_net_opaque(sign);
	value &= ~sign; /* above the floor */
	value = rmt_net_minus(rmt_net_minus(row->hi, floor), value);
	sign = value >> 63;
	rmt_net_opaque(sign);
	value &= ~sign; /* below the top */
	to[output] = rmt_net_minus(row->hi, value);
}

#define rmt_net_lane(word) (((__s64)((__u64)(word) << (64 - RMT_NET_LANE_BITS))) >> (64 - RMT_NET_LANE_BITS))

rmt_engine_inline void rmt_net_unpack(const struct rmt_net_row *row, const int output, const __s64 word, const __u32 shift, __s64 *to,
				     const __s64 keep)
{
	__s64 low = rmt_net_lane(word), rest = rmt_net_minus(word, low) >> RMT_NET_LANE_BITS;
	__s64 middle = rmt_net_lane(rest);

	rmt_net_store(row, output, low, shift, to, keep);
	rmt_net_store(row, output + 1, middle, shift, to, keep);
	rmt_net_store(row, output + 2, rmt_net_minus(rest, middle) >> RMT_NET_LANE_BITS, shift, to, keep);
}

/* The end of a row: its sums become activations. */
rmt_engine_inline void rmt_net_finish(const struct rmt_net_row *row, const __u32 flags, __s64 a, __s64 b, __s64 *to)
{
	__s64 keep = -(__s64)((flags / RMT_NET_MAX) & 1);
	__u32 shift = row->shift & 63;

	if (flags & RMT_NET_PACKED) {
		rmt_net_unpack(row, 0, a, shift, to, keep);
		rmt_net_unpack(row, RMT_NET_LANES, b, shift, to, keep);
	} else {
		rmt_net_store(row, 0, a, shift, to, keep);
		rmt_net_store(row, 1, b, shift, to, keep);
	}
}

rmt_engine_inline __s64 rmt_net_answer(const struct rmt_net_header *h, const __s64 *answer, const __s64 *act, const int width,
				      const int outputs)
{
	const __s64 *result = act + (h->result & (__u32)(width - 1));
	__s64 best = *result, out;

	if (outputs > 1 && h->link == RMT_NET_ARGMAX) {
		__u32 which = 0;
		struct rmt_loop loop;
		__u32 k;

		rmt_loop_begin(loop, h->zero);
		while (rmt_loop_next(loop, k, outputs)) {
			__s64 other;

			if (k >= h->outputs)
				break;
			other = act[(h->result + k) & (__u32)(width - 1)];
			if (other > best) {
				best = other;
				which = k;
			}
		}
		return answer[which & (__u32)(outputs - 1)];
	}
	if (h->link == RMT_NET_POSITIVE)
		return best > 0;
	out = best < h->out_min ? h->out_min : best;
	return out > h->out_max ? h->out_max : out;
}

rmt_engine_inline void rmt_net_tile_step(const struct rmt_net_header *h, const struct rmt_net_tile *tile, const struct rmt_net_row *row, const __s64 *word, __s64 *act,
					__s64 *a, __s64 *b, const int rows, const int blocks, const int width)
{
	__u32 flags = tile->row;
	const __s64 *from = act + (tile->from & (__u32)(width - 1));

	rmt_net_product(word + (tile->block & (__u32)(blocks - 1)) * RMT_NET_WORDS, from, a, b);
	if (flags & RMT_NET_WIDE)
		rmt_net_product(word + ((tile->block + 1) & (__u32)(blocks - 1)) * RMT_NET_WORDS, from + RMT_NET_TILE, a, b);
	if (flags & RMT_NET_LAST) {
		rmt_net_finish(row + (flags & (__u32)(rows - 1)), flags, *a, *b, act + (tile->to & (__u32)(width - 1)));
		*a = h->zero;
		*b = h->zero;
	}
}

/* act: width + RMT_NET_SLACK activations, of nobody else while this runs; whatever they hold. f: `inputs` numbers. */
rmt_engine_inline int rmt_net_run(const struct rmt_net_header *h, const struct rmt_net_input *in, const __s64 *answer,
				 const struct rmt_net_tile *tile, const struct rmt_net_row *row, const __s64 *word, const __s32 *f,
				 __s64 *act, __s64 *out, const int inputs, const int tiles, const int rows, const int blocks,
				 const int width, const int outputs)
{
	__s64 a = h->zero, b = a;
	__u64 bad = h->zero;
	struct rmt_loop loop;
	__u32 g, t;

	if (h->layout != RMT_NET_LAYOUT || h->kind != RMT_NET_KIND)
		return RMT_MODEL_NONE;
	rmt_loop_begin(loop, h->zero);
	while (rmt_loop_next(loop, g, inputs / RMT_NET_SCALED)) {
		__u32 at = g * RMT_NET_SCALED;

		if (at >= h->inputs)
			break;
		bad |= rmt_net_scale(in + at, f + at, act + at, h->input_shift & 63);
	}
	if (bad >> 63)
		return RMT_MODEL_OUTSIDE;
	rmt_loop_begin(loop, h->zero);
	while (rmt_loop_next(loop, t, tiles)) {
		if (t >= h->tiles)
			break;
		rmt_net_tile_step(h, tile + t, row, word, act, &a, &b, rows, blocks, width);
	}
	*out = rmt_net_answer(h, answer, act, width, outputs);
	return RMT_MODEL_OK;
}

#define rmt_net_term(in, f, i, bad, sum)                                                                       \
	do {                                                                                                   \
		(bad) |= (__u64)(in)[i].span - (__u32)((__u32)(f)[i] - (__u32)(in)[i].lo);                     \
		(sum) = rmt_net_plus(sum, rmt_net_multiply((__s64)(f)[i], (in)[i].multiplier));                \
	} while (0)

/* One linear model: no activations, no tiles. */
rmt_engine_inline int rmt_net_linear(const struct rmt_net_header *h, const struct rmt_net_input *in, const __s32 *f, __s64 *out,
				    const int inputs)
{
	__s64 sum = h->base, answer;
	__u64 bad = 0;
	int i;

	if (h->layout != RMT_NET_LAYOUT || h->kind != RMT_NET_LINEAR_KIND)
		return RMT_MODEL_NONE;
	rmt_engine_unroll
	for (i = 0; i < (inputs < 16 ? inputs : 16); i++)
		rmt_net_term(in, f, i, bad, sum);
	if (inputs > 16 && h->inputs > 16) {
		rmt_engine_unroll
		for (i = 16; i < inputs; i++)
			rmt_net_term(in, f, i, bad, sum);
	}
	if (bad >> 63)
		return RMT_MODEL_OUTSIDE;
	answer = rmt_net_plus(rmt_net_multiply(sum, h->multiplier), h->add) >> (h->input_shift & 63);
	if (answer < h->out_min)
		answer = h->out_min;
	if (answer > h->out_max)
		answer = h->out_max;
	*out = h->link == RMT_NET_POSITIVE ? answer > 0 : answer;
	return RMT_MODEL_OK;
}

#ifdef __bpf__
#define RMT_NET_OUTER(name, value_type)                                                                        \
	struct rmt_model_inner_##name {                                                                        \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                              \
		__uint(max_entries, 1);                                                                        \
		__uint(key_size, sizeof(__u32));                                                               \
		__uint(value_size, sizeof(value_type));                                                        \
	};                                                                                                     \
	struct {                                                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                      \
		__uint(max_entries, 1);                                                                        \
		__type(key, __u32);                                                                            \
		__array(values, struct rmt_model_inner_##name);                                                \
	} rmt_model_##name SEC(".maps");                                                                       \
	static __always_inline value_type *rmt_net_value_##name(void)                                          \
	{                                                                                                      \
		__u32 zero = 0;                                                                                \
		void *inner = bpf_map_lookup_elem(&rmt_model_##name, &zero);                                   \
                                                                                                               \
		return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;                                       \
	}

/* RMT_NET(name, index, inputs, tiles, rows, blocks, width, outputs): maps `rmt_model_<name>` and `rmt_act_<name>` and
 *     int rmt_infer_model_<name>(__s32 *f, __s64 *out)    0: *out is the answer; else an enum rmt_model_status
 * f: `inputs` numbers, all of them initialised. See net_layout.h for the numbers.
 *
 * Activations lie in a per-CPU map. A program that interrupts another one on its CPU, or preempts it, must not write over
 * them: each takes a slot by compare-and-swap, and answers RMT_MODEL_NONE when none is free. */
#define RMT_NET(name, index, inputs, tiles, rows, blocks, width, outputs)                                      \
	_Static_assert((inputs) % RMT_NET_INPUT_GROUP == 0 && (inputs) <= RMT_NET_MAX_INPUTS, "inputs: a multiple of 8"); \
	_Static_assert(((tiles) & ((tiles) - 1)) == 0 && (tiles) <= RMT_NET_MAX_TILES, "tiles: a power of two"); \
	_Static_assert(((rows) & ((rows) - 1)) == 0 && ((blocks) & ((blocks) - 1)) == 0, "rows, blocks: powers of two"); \
	_Static_assert(((width) & ((width) - 1)) == 0 && (width) >= (inputs) && (width) <= RMT_NET_MAX_WIDTH, "width: a power of two"); \
	_Static_assert(((outputs) & ((outputs) - 1)) == 0 && (outputs) <= RMT_NET_MAX_OUTPUTS, "outputs: a power of two"); \
	enum { rmt_index_model_##name = (index) };                                                             \
	struct rmt_net_value_##name {                                                                          \
		struct rmt_net_header header;                                                                  \
		struct rmt_net_input input[inputs];                                                            \
		__s64 answer[RMT_NET_ANSWERS(outputs)];                                                        \
		struct rmt_net_tile tile[tiles];                                                               \
		struct rmt_net_row row[rows];                                                                  \
		__s64 word[(blocks) * RMT_NET_WORDS];                                                          \
	};                                                                                                     \
	RMT_SIZE(struct rmt_net_value_##name, RMT_NET_VALUE_SIZE(inputs, tiles, rows, blocks, outputs));       \
	RMT_NET_OUTER(name, struct rmt_net_value_##name)                                                       \
	struct rmt_net_act_##name {                                                                            \
		__u64 busy;                                                                                    \
		__s64 act[(width) + RMT_NET_SLACK];                                                            \
	};                                                                                                     \
	struct {                                                                                               \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                       \
		__uint(max_entries, RMT_NET_SLOTS);                                                            \
		__type(key, __u32);                                                                            \
		__type(value, struct rmt_net_act_##name);                                                      \
	} rmt_act_##name SEC(".maps");                                                                         \
	static __always_inline struct rmt_net_act_##name *rmt_net_take_##name(void)                            \
	{                                                                                                      \
		__u32 slot = 0;                                                                                \
		struct rmt_net_act_##name *s = bpf_map_lookup_elem(&rmt_act_##name, &slot);                    \
                                                                                                               \
		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)                                     \
			return s;                                                                              \
		slot = 1;                                                                                      \
		s = bpf_map_lookup_elem(&rmt_act_##name, &slot);                                               \
		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)                                     \
			return s;                                                                              \
		return NULL;                                                                                   \
	}                                                                                                      \
	static __always_inline int rmt_infer_model_##name(__s32 *f, __s64 *out)                                \
	{                                                                                                      \
		struct rmt_net_value_##name *v = rmt_net_value_##name();                                       \
		struct rmt_net_act_##name *s;                                                                  \
		int status;                                                                                    \
                                                                                                               \
		if (!v)                                                                                        \
			return RMT_MODEL_NONE;                                                                 \
		s = rmt_net_take_##name();                                                                     \
		if (!s)                                                                                        \
			return RMT_MODEL_NONE;                                                                 \
		status = rmt_net_run(&v->header, v->input, v->answer, v->tile, v->row, v->word, f, s->act, out, \
				     inputs, tiles, rows, blocks, width, outputs);                             \
		*(volatile __u64 *)&s->busy = 0;                                                               \
		return status;                                                                                 \
	}

/* RMT_LINEAR(name, index, inputs): map `rmt_model_<name>` and rmt_infer_model_<name>() as above, for linear models only. */
#define RMT_LINEAR(name, index, inputs)                                                                        \
	_Static_assert((inputs) % RMT_NET_INPUT_GROUP == 0 && (inputs) <= RMT_NET_MAX_INPUTS, "inputs: a multiple of 8"); \
	enum { rmt_index_model_##name = (index) };                                                             \
	struct rmt_net_value_##name {                                                                          \
		struct rmt_net_header header;                                                                  \
		struct rmt_net_input input[inputs];                                                            \
	};                                                                                                     \
	RMT_SIZE(struct rmt_net_value_##name, RMT_NET_VALUE_SIZE(inputs, 0, 0, 0, 1));                         \
	RMT_NET_OUTER(name, struct rmt_net_value_##name)                                                       \
	static __always_inline int rmt_infer_model_##name(__s32 *f, __s64 *out)                                \
	{                                                                                                      \
		struct rmt_net_value_##name *v = rmt_net_value_##name();                                       \
                                                                                                               \
		return v ? rmt_net_linear(&v->header, v->input, f, out, inputs) : RMT_MODEL_NONE;              \
	}
#endif

#endif
