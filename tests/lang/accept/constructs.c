/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 32
#define RMT_PREFETCH_RATE 20000
#define RMT_PREFETCH_WINDOW_NS 500000000ull
#define RMT_BREACH_ACCURACY 40
#define RMT_BREACH_WINDOW_NS 10000000000ull
#define RMT_BREACH_HOLD_NS 0ull
#define RMT_HAS_FAULT
#define RMT_HAS_OUTCOME
#define RMT_HAS_COLLECT
#define RMT_HAS_TRAIN
#define RMT_USES_FAULT_DELTA
#define RMT_USES_FAULT_WRITE
#define RMT_USES_FAULT_MAJOR
#define RMT_USES_VMA_KIND
#define RMT_USES_MEMCG_USAGE_PERCENT
#define RMT_USES_COMM
#define RMT_USES_TGID
#define RMT_USES_TS
#define RMT_USES_FAULT_PAGE
#define RMT_USES_CGROUP
#define RMT_USES_PID
#define RMT_USES_CPU
#define RMT_USES_OUTCOME_KIND
#define RMT_USES_OUTCOME_PAGE
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__u64 c0_ts;
	__u64 c1_comm[2];
	__u64 c2_cgroup;
	__u32 c3_pid;
	__u32 c4_cpu;
	__u64 c5_fault_page;
	__s32 c6_small[4];
	__s32 c7_small_1__;
	__u8 c8_a;
	__u8 rmt_gap0[3];
	__u64 c9_gap;
	__u64 c10_seen;
	__u8 c11_far;
	__u8 rmt_gap1[3];
	__s32 c12_choose_action;
};
RMT_SIZE(struct rmt_collect_record, 96);

struct rmt_policy_state {
#line 24 "constructs.rmt"
	__u8 a;
#line 51 "constructs.rmt.c"
	__u8 rmt_gap0[1];
#line 24 "constructs.rmt"
	__u16 b;
#line 24 "constructs.rmt"
	__u32 c;
#line 24 "constructs.rmt"
	__u64 d;
	__s8 e;
#line 60 "constructs.rmt.c"
	__u8 rmt_gap1[1];
#line 25 "constructs.rmt"
	__s16 f;
#line 25 "constructs.rmt"
	__s32 g;
#line 25 "constructs.rmt"
	__s64 h;
	__u8 flag;
#line 69 "constructs.rmt.c"
	__u8 rmt_gap2[7];
#line 27 "constructs.rmt"
	__u64 last;
	__u64 since;
	struct { __s32 v[4]; } small;
	struct { __s32 v[4]; } copy;
	struct { __u32 head; __u16 v[64]; } large;
#line 77 "constructs.rmt.c"
	__u8 rmt_gap3[4];
#line 32 "constructs.rmt"
	struct rmt_ewma gap;
	__u64 seen;
#line 82 "constructs.rmt.c"
	__s32 rmt_in_delta[16];
	__s32 rmt_in_kind[16];
	__s32 rmt_in_worth[16];
	struct rmt_collect_record rmt_record;
};
RMT_SIZE(struct rmt_policy_state, 536);
#include "hooks/mm.bpf.h"

#line 36 "constructs.rmt"
RMT_MODEL(delta, 0, 1, 8, 1024);

#line 94 "constructs.rmt.c"
static __noinline __s64 rmt_answer_delta(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_delta(st->rmt_in_delta, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, -4096, 4096);
}

static __always_inline __s64 rmt_infer_delta(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3)
{
	st->rmt_in_delta[0] = rmt_sat_i32(x0);
	st->rmt_in_delta[1] = rmt_sat_i32(x1);
	st->rmt_in_delta[2] = rmt_sat_i32(x2);
	st->rmt_in_delta[3] = rmt_sat_i32(x3);
	return rmt_answer_delta(ev, st);
}

#line 43 "constructs.rmt"
RMT_MODEL(kind, 1, 1, 8, 1024);

#line 118 "constructs.rmt.c"
static __noinline __s64 rmt_answer_kind(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_kind(st->rmt_in_kind, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, 0, 2);
}

static __always_inline __s64 rmt_infer_kind(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2)
{
	st->rmt_in_kind[0] = rmt_sat_i32(x0);
	st->rmt_in_kind[1] = rmt_sat_i32(x1);
	st->rmt_in_kind[2] = rmt_sat_i32(x2);
	return rmt_answer_kind(ev, st);
}

#line 49 "constructs.rmt"
RMT_MODEL(worth, 2, 1, 8, 1024);

#line 141 "constructs.rmt.c"
static __noinline __s64 rmt_answer_worth(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_worth(st->rmt_in_worth, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return -1;
	}
	return rmt_clamp(answer, -32768, 32767);
}

static __always_inline __s64 rmt_infer_worth(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1)
{
	st->rmt_in_worth[0] = rmt_sat_i32(x0);
	st->rmt_in_worth[1] = rmt_sat_i32(x1);
	return rmt_answer_worth(ev, st);
}

struct rmt_entry_choose {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_text k2;
	struct rmt_range k3;
	struct rmt_range k4;
	struct rmt_range k5;
	struct rmt_entry_tail tail;
	__s64 arg[4];
};
#line 95 "constructs.rmt"
RMT_TABLE(choose, 256);

#line 173 "constructs.rmt.c"
struct rmt_entry_names {
	struct rmt_text k0;
	struct rmt_range k1;
	struct rmt_entry_tail tail;
};
#line 107 "constructs.rmt"
RMT_TABLE(names, 16);

#line 56 "constructs.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 184 "constructs.rmt.c"
{
}

#line 57 "constructs.rmt"
static __always_inline void rmt_action_numbers(struct rmt_event *ev, struct rmt_policy_state *st, __s64 n, __s64 step, __s64 wait, __s64 on)
#line 190 "constructs.rmt.c"
{
#line 58 "constructs.rmt"
	__s64 x = 7 - (__s64)((__u64)2 % (__u64)3);
	__s64 y = n;
	__s64 z = ((rmt_shl64(x, 2) >> 1) & 255) | ((__s64)1 ^ 2);
	x = rmt_add64((rmt_min(x, 10) + rmt_max(y, 2)) + rmt_abs(step), -3);
	y = rmt_sat_u8((__s64)(z) + 16);
	st->h = x;
	if ((on && (!(__s64)st->flag)) || (wait > 3000000)) {
#line 64 "constructs.rmt"
		st->since = rmt_field_ts(ev);
	} else {
#line 64 "constructs.rmt"
		if ((rmt_field_ts(ev) - (__s64)st->since) >= 5000) {
#line 64 "constructs.rmt"
			st->since = 0;
		} else {
#line 64 "constructs.rmt"
			st->flag = 1;
		}
	}
#line 65 "constructs.rmt"
	st->d = (__s64)(wait);
	st->last = (__s64)(rmt_sat_page((__s64)st->d));
#line 215 "constructs.rmt.c"
}

#line 68 "constructs.rmt"
static __always_inline void rmt_action_walk(struct rmt_event *ev, struct rmt_policy_state *st, __s64 depth)
#line 220 "constructs.rmt.c"
{
#line 69 "constructs.rmt"
	int rmt_i0;
#line 69 "constructs.rmt"
	bpf_for(rmt_i0, 0, 32) {
#line 69 "constructs.rmt"
		__s64 i = rmt_i0;
		if (i >= depth) {
#line 70 "constructs.rmt"
			break;
		}
#line 71 "constructs.rmt"
		__s64 next = rmt_infer_delta(ev, st, (__s64)st->copy.v[0], (__s64)st->copy.v[1], (__s64)st->copy.v[2], (__s64)st->copy.v[3]);
		if ((next == 0) || (rmt_infer_worth(ev, st, (__s64)st->small.v[0], rmt_field_fault_major(ev)) < 10)) {
#line 72 "constructs.rmt"
			break;
		}
#line 73 "constructs.rmt"
		RMT_RING_PUSH(st->copy, 4, next);
		RMT_RING_PUSH_LARGE(st->large, 64, i);
		st->c = rmt_sat_u32(((__s64)st->c + RMT_RING_AT_LARGE(st->large, 64, 64, i)) + RMT_RING_AT_LARGE(st->large, 64, 64, 63));
		rmt_prefetch(ev, rmt_sat_page(rmt_field_fault_page(ev) + (next * (i + 1))));
	}
#line 244 "constructs.rmt.c"
}

#line 79 "constructs.rmt"
static __always_inline void rmt_action_by_kind(struct rmt_event *ev, struct rmt_policy_state *st, __s64 pages)
#line 249 "constructs.rmt.c"
{
#line 80 "constructs.rmt"
	__s64 rmt_m0 = rmt_infer_kind(ev, st, (__s64)st->a, rmt_ewma_mean(&st->gap, 8), rmt_field_fault_write(ev));
#line 80 "constructs.rmt"
	if (rmt_m0 == 1) {
		RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, 1, 64);
	} else if (rmt_m0 == 2) {
#line 82 "constructs.rmt"
		RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, -1, 64);
#line 82 "constructs.rmt"
		rmt_action_none(ev, st);
	} else {
#line 83 "constructs.rmt"
		rmt_action_none(ev, st);
	}
	__s64 rmt_m1 = (__s64)st->a;
#line 85 "constructs.rmt"
	if (rmt_m1 == 0 || rmt_m1 == 1) {
		st->b = 1;
	} else if (rmt_m1 >= 2 && rmt_m1 <= 9) {
#line 87 "constructs.rmt"
		rmt_action_numbers(ev, st, 1, -1, 5000, 0);
	} else if (rmt_m1 >= 10 && rmt_m1 <= 255) {
#line 88 "constructs.rmt"
		rmt_action_walk(ev, st, pages);
	}
	if (rmt_field_vma_kind(ev) == 2) {
#line 90 "constructs.rmt"
		st->e = -1;
	}
#line 91 "constructs.rmt"
	__s64 k = rmt_infer_kind(ev, st, (__s64)st->a, rmt_ewma_mean(&st->gap, 8), rmt_field_fault_write(ev));
	if (k != 0) {
#line 92 "constructs.rmt"
		rmt_count_feed(&st->seen, 1);
	}
#line 286 "constructs.rmt.c"
}

#line 95 "constructs.rmt"
static __noinline int rmt_apply_choose(struct rmt_event *ev, struct rmt_policy_state *st)
#line 291 "constructs.rmt.c"
{
	struct rmt_value_choose *table = rmt_table_now(&rmt_table_choose);
	__u64 k0 = rmt_key(rmt_field_vma_kind(ev));
	__u64 k1 = rmt_key(rmt_field_memcg_usage_percent(ev));
	__u64 k2[2];
	rmt_field_comm(ev, k2);
	__u64 k3 = rmt_key(rmt_field_fault_write(ev));
	__u64 k4 = rmt_key(rmt_ewma_mean(&st->gap, 8));
	__u64 k5 = rmt_key((__s64)st->small.v[0]);
	__u32 action = 0, slot = 256;
	__s64 arg0 = 0;
	__s64 arg1 = 0;
	__s64 arg2 = 0;
	__s64 arg3 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 256) {
			struct rmt_entry_choose *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_in_range(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			if (!rmt_is_text(&e->k2, k2))
				continue;
			if (!rmt_in_range(&e->k3, k3))
				continue;
			if (!rmt_in_range(&e->k4, k4))
				continue;
			if (!rmt_in_range(&e->k5, k5))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			arg1 = e->arg[1];
			arg2 = e->arg[2];
			arg3 = e->arg[3];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_choose, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_numbers(ev, st, rmt_sat_u8(arg0), rmt_sat_i16(arg1), rmt_sat_ns(arg2), rmt_sat_bool(arg3));
		break;
	case 2:
		rmt_action_walk(ev, st, rmt_sat_u8(arg0));
		break;
	case 3:
		rmt_action_by_kind(ev, st, rmt_sat_u8(arg0));
		break;
	}
	return action;
}

#line 107 "constructs.rmt"
static __noinline int rmt_apply_names(struct rmt_event *ev, struct rmt_policy_state *st)
#line 355 "constructs.rmt.c"
{
	struct rmt_value_names *table = rmt_table_now(&rmt_table_names);
	__u64 k0[2];
	rmt_field_comm(ev, k0);
	__u64 k1 = rmt_key(rmt_field_tgid(ev));
	__u32 action = 0, slot = 16;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_names *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_is_text(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			break;
		}
	}
	rmt_table_hit(&rmt_hits_names, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	}
	return action;
}

#line 113 "constructs.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 390 "constructs.rmt.c"
{
	int rmt_chosen_choose __attribute__((unused)) = -1;
	int rmt_chosen_names __attribute__((unused)) = -1;
#line 41 "constructs.rmt"
	st->rmt_in_delta[0] = (__s64)st->small.v[0];
#line 41 "constructs.rmt"
	st->rmt_in_delta[1] = (__s64)st->small.v[1];
#line 41 "constructs.rmt"
	st->rmt_in_delta[2] = (__s64)st->small.v[2];
#line 41 "constructs.rmt"
	st->rmt_in_delta[3] = (__s64)st->small.v[3];
#line 41 "constructs.rmt"
	rmt_train_out(ev, 0, st->rmt_in_delta, 4, rmt_field_fault_delta(ev));
#line 53 "constructs.rmt"
	st->rmt_in_worth[0] = (__s64)st->small.v[0];
#line 53 "constructs.rmt"
	st->rmt_in_worth[1] = rmt_field_fault_major(ev);
#line 53 "constructs.rmt"
	rmt_train_out(ev, 2, st->rmt_in_worth, 2, rmt_field_fault_delta(ev));
#line 114 "constructs.rmt"
	rmt_ewma_feed(&st->gap, rmt_sat_ns(rmt_field_ts(ev) - (__s64)st->since), 8);
	RMT_RING_PUSH(st->small, 4, rmt_field_fault_delta(ev));
	RMT_RING_COPY(st->copy, st->small, 4);
	rmt_chosen_choose = rmt_apply_choose(ev, st);
	if (rmt_chosen_choose == 2) {
#line 118 "constructs.rmt"
		rmt_chosen_names = rmt_apply_names(ev, st);
	}
#line 119 "constructs.rmt"
	__s64 far = rmt_abs(rmt_field_fault_delta(ev)) > 64;
	if (bpf_get_prandom_u32() % 64 == 0) {
#line 120 "constructs.rmt"
		st->rmt_record.c0_ts = rmt_field_ts(ev);
#line 120 "constructs.rmt"
		rmt_field_comm(ev, st->rmt_record.c1_comm);
#line 120 "constructs.rmt"
		st->rmt_record.c2_cgroup = rmt_field_cgroup(ev);
#line 120 "constructs.rmt"
		st->rmt_record.c3_pid = rmt_field_pid(ev);
#line 120 "constructs.rmt"
		st->rmt_record.c4_cpu = rmt_field_cpu(ev);
#line 120 "constructs.rmt"
		st->rmt_record.c5_fault_page = rmt_field_fault_page(ev);
#line 120 "constructs.rmt"
		RMT_RING_EXPORT(st->rmt_record.c6_small, st->small, 4);
#line 120 "constructs.rmt"
		st->rmt_record.c7_small_1__ = (__s64)st->small.v[1];
#line 120 "constructs.rmt"
		st->rmt_record.c8_a = (__s64)st->a;
#line 120 "constructs.rmt"
		st->rmt_record.c9_gap = rmt_ewma_mean(&st->gap, 8);
#line 120 "constructs.rmt"
		st->rmt_record.c10_seen = (__s64)st->seen;
#line 120 "constructs.rmt"
		st->rmt_record.c11_far = far;
#line 120 "constructs.rmt"
		st->rmt_record.c12_choose_action = rmt_chosen_choose;
#line 120 "constructs.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 451 "constructs.rmt.c"
	return 0;
}

#line 122 "constructs.rmt"
static __noinline int rmt_on_outcome(struct rmt_event *ev, struct rmt_policy_state *st)
#line 457 "constructs.rmt.c"
{
#line 123 "constructs.rmt"
	if (rmt_field_outcome_kind(ev) == 3) {
#line 123 "constructs.rmt"
		st->a = rmt_sat_u8((__s64)st->a + 1);
	}
#line 124 "constructs.rmt"
	st->last = rmt_field_outcome_page(ev);
#line 466 "constructs.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
