/* SPDX-License-Identifier: GPL-2.0-only */
/* Typed state of a policy: rings, means, counts. It belongs to one task and only that task's events touch it, so there
 * is no lock and nothing atomic. A ring's element 0 is the newest; what was never pushed reads as 0.
 *
 * Small rings (n <= 8) are `struct { T v[n]; }`, shifted by a push: a constant index is a constant offset, which the
 * kernel's verifier need not reason about. Large ones are `struct { __u32 head; T v[p]; }`, p the next power of two, and
 * every index is masked, because the verifier accepts only what it can bound. */
#ifndef RMT_STATE_BPF_H
#define RMT_STATE_BPF_H

#include "rmt/arith.bpf.h"

/* Names in macros end in an underscore: no name that the emitter makes of a policy's does so alone. */

#define RMT_RING_PUSH(ring, n, value)                                       \
	do {                                                                \
		__typeof__((ring).v[0]) rmt_new_ = (value);                 \
		_Pragma("unroll") for (int rmt_i_ = (n) - 1; rmt_i_ > 0; rmt_i_--) \
			(ring).v[rmt_i_] = (ring).v[rmt_i_ - 1];            \
		(ring).v[0] = rmt_new_;                                     \
	} while (0)

#define RMT_RING_COPY(to, from, n)                                          \
	do {                                                                \
		_Pragma("unroll") for (int rmt_i_ = 0; rmt_i_ < (n); rmt_i_++) \
			(to).v[rmt_i_] = (from).v[rmt_i_];                  \
	} while (0)

/* Any index: those outside 0..n-1 read as 0. p is the power of two that v[] can be bounded by (n <= p). */
#define RMT_RING_AT(ring, n, index)                                         \
	({                                                                  \
		__u64 rmt_at_ = (__u64)(index);                             \
		__s64 rmt_value_ = 0;                                       \
		if (rmt_at_ < (n))                                          \
			rmt_value_ = (__s64)(ring).v[rmt_at_];              \
		rmt_value_;                                                 \
	})

#define RMT_RING_PUSH_LARGE(ring, p, value)                                 \
	do {                                                                \
		__typeof__((ring).v[0]) rmt_new_ = (value);                 \
		__u32 rmt_head_ = ((ring).head + 1) & ((p) - 1);            \
		(ring).head = rmt_head_;                                    \
		(ring).v[rmt_head_] = rmt_new_;                             \
	} while (0)

#define RMT_RING_AT_LARGE(ring, n, p, index)                                \
	({                                                                  \
		__u64 rmt_at_ = (__u64)(index);                             \
		__s64 rmt_value_ = 0;                                       \
		if (rmt_at_ < (n)) {                                        \
			__u64 rmt_slot_ = ((ring).head - rmt_at_) & ((p) - 1); \
			rmt_value_ = (__s64)(ring).v[rmt_slot_];            \
		}                                                           \
		rmt_value_;                                                 \
	})

/* A loop and not a memcpy: clang calls a library for more than 128 stores. */
#define RMT_RING_COPY_LARGE(to, from, p)                                    \
	do {                                                                \
		int rmt_i_;                                                 \
		(to).head = (from).head;                                    \
		bpf_for(rmt_i_, 0, (p)) {                                   \
			__u64 rmt_slot_ = (__u64)rmt_i_ & ((p) - 1);        \
			(to).v[rmt_slot_] = (from).v[rmt_slot_];            \
		}                                                           \
	} while (0)

/* All elements of a ring, newest first, into an array (of a collected record). */
#define RMT_RING_EXPORT(to, ring, n)                                        \
	do {                                                                \
		_Pragma("unroll") for (int rmt_i_ = 0; rmt_i_ < (n); rmt_i_++) \
			(to)[rmt_i_] = (ring).v[rmt_i_];                    \
	} while (0)

#define RMT_RING_EXPORT_LARGE(to, ring, n, p)                               \
	do {                                                                \
		__u32 rmt_head_ = (ring).head;                              \
		int rmt_i_;                                                 \
		bpf_for(rmt_i_, 0, (n))                                     \
			(to)[rmt_i_] = (ring).v[(rmt_head_ - (__u32)rmt_i_) & ((p) - 1)]; \
	} while (0)

/* Exponentially weighted mean, weight 1/n of each sample; `sum` is n times the mean, so that small steps are not lost.
 * The first sample is the mean. The mean settles exactly on a constant input. */
struct rmt_ewma {
	__s64 sum;
	__u64 seen;
};

static __always_inline void rmt_ewma_feed(struct rmt_ewma *ewma, __s64 sample, __s64 n)
{
	if (!ewma->seen) {
		ewma->seen = 1;
		ewma->sum = rmt_mul64(sample, n);
		return;
	}
	ewma->sum = rmt_add64(ewma->sum, rmt_sub64(sample, rmt_div(ewma->sum, n)));
}

static __always_inline __s64 rmt_ewma_mean(const struct rmt_ewma *ewma, __s64 n)
{
	return rmt_div(ewma->sum, n);
}

static __always_inline void rmt_count_feed(__u64 *count, __s64 amount)
{
	*count = rmt_sat_u64(rmt_add64((__s64)*count, amount));
}

/* Zeroes a state, which is 8-aligned. By a loop when it is large: clang calls a library for more than 128 stores. */
static __always_inline void rmt_zero(void *state, const __u32 size)
{
	__u64 *word = (__u64 *)state;
	int i;

	if (size <= 512) {
		__builtin_memset(state, 0, size);
		return;
	}
	bpf_for(i, 0, size / 8)
		word[i] = 0;
	__builtin_memset(word + size / 8, 0, size % 8);
}

/* prefetch(n, step): base + step, base + 2 step, ... n pages, at most `most`, a constant. Each page is computed from the
 * loop's counter: of a page that grew from step to step the verifier would keep every value apart. Base and step are cut
 * to the pages there are, so that nothing leaves 64 bits. */
#define RMT_PREFETCH_RUN(ev, base, n, step, most)                           \
	do {                                                                \
		__s64 rmt_base_ = rmt_sat_page(base), rmt_n_ = (n);         \
		__s64 rmt_step_ = rmt_clamp(step, -RMT_PAGE_MAX, RMT_PAGE_MAX); \
		int rmt_i_;                                                 \
		bpf_for(rmt_i_, 0, (most)) {                                \
			if (rmt_i_ >= rmt_n_)                               \
				break;                                      \
			rmt_prefetch(ev, rmt_sat_page(rmt_base_ + rmt_step_ * (rmt_i_ + 1))); \
		}                                                           \
	} while (0)

#endif
