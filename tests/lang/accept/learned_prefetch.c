/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 32
#define RMT_PREFETCH_RATE 50000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_BREACH_ACCURACY 30
#define RMT_BREACH_WINDOW_NS 2000000000ull
#define RMT_BREACH_HOLD_NS 5000000000ull
#define RMT_HAS_FAULT
#define RMT_HAS_COLLECT
#define RMT_HAS_TRAIN
#define RMT_USES_FAULT_DELTA
#define RMT_USES_VMA_KIND
#define RMT_USES_MEMCG_USAGE_PERCENT
#define RMT_USES_FAULT_PREFETCHED
#define RMT_USES_FAULT_PAGE
#define RMT_USES_TS
#define RMT_USES_TGID
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__u64 c0_ts;
	__u32 c1_tgid;
	__u8 rmt_gap0[4];
	__u64 c2_fault_page;
	__s32 c3_deltas[4];
};
RMT_SIZE(struct rmt_collect_record, 40);

struct rmt_policy_state {
#line 16 "learned_prefetch.rmt"
	struct { __s32 v[4]; } deltas;
	__u64 head;
	struct { __s32 v[4]; } ahead_deltas;
	__u8 ahead;
#line 36 "learned_prefetch.rmt.c"
	__u8 rmt_gap0[3];
	__s32 rmt_in_next_delta[16];
	__u8 rmt_gap1[4];
	struct rmt_collect_record rmt_record;
};
RMT_SIZE(struct rmt_policy_state, 152);
#include "hooks/mm.bpf.h"

#line 22 "learned_prefetch.rmt"
RMT_MODEL(next_delta, 0, 1, 8, 1024);

#line 48 "learned_prefetch.rmt.c"
static __noinline __s64 rmt_answer_next_delta(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_next_delta(st->rmt_in_next_delta, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, -4096, 4096);
}

static __always_inline __s64 rmt_infer_next_delta(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3)
{
	st->rmt_in_next_delta[0] = rmt_sat_i32(x0);
	st->rmt_in_next_delta[1] = rmt_sat_i32(x1);
	st->rmt_in_next_delta[2] = rmt_sat_i32(x2);
	st->rmt_in_next_delta[3] = rmt_sat_i32(x3);
	return rmt_answer_next_delta(ev, st);
}

struct rmt_entry_by_pressure {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 47 "learned_prefetch.rmt"
RMT_TABLE(by_pressure, 16);

#line 30 "learned_prefetch.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 80 "learned_prefetch.rmt.c"
{
}

#line 31 "learned_prefetch.rmt"
static __always_inline void rmt_action_follow(struct rmt_event *ev, struct rmt_policy_state *st, __s64 depth)
#line 86 "learned_prefetch.rmt.c"
{
#line 32 "learned_prefetch.rmt"
	if (rmt_field_fault_prefetched(ev)) {
#line 32 "learned_prefetch.rmt"
		st->ahead = rmt_sat_u8((__s64)st->ahead - 1);
	} else {
#line 33 "learned_prefetch.rmt"
		st->head = rmt_field_fault_page(ev);
#line 33 "learned_prefetch.rmt"
		RMT_RING_COPY(st->ahead_deltas, st->deltas, 4);
#line 33 "learned_prefetch.rmt"
		st->ahead = 0;
	}
#line 34 "learned_prefetch.rmt"
	if ((__s64)st->ahead <= (__s64)((__u64)depth / (__u64)2)) {
		int rmt_i0;
#line 35 "learned_prefetch.rmt"
		bpf_for(rmt_i0, 0, 32) {
			if ((__s64)st->ahead >= depth) {
#line 36 "learned_prefetch.rmt"
				break;
			}
#line 37 "learned_prefetch.rmt"
			__s64 step = rmt_infer_next_delta(ev, st, (__s64)st->ahead_deltas.v[0], (__s64)st->ahead_deltas.v[1], (__s64)st->ahead_deltas.v[2], (__s64)st->ahead_deltas.v[3]);
			if (step == 0) {
#line 38 "learned_prefetch.rmt"
				break;
			}
#line 39 "learned_prefetch.rmt"
			st->head = rmt_sat_page((__s64)st->head + step);
			RMT_RING_PUSH(st->ahead_deltas, 4, step);
			rmt_prefetch(ev, (__s64)st->head);
			st->ahead = rmt_sat_u8((__s64)st->ahead + 1);
		}
	}
#line 122 "learned_prefetch.rmt.c"
}

#line 47 "learned_prefetch.rmt"
static __noinline int rmt_apply_by_pressure(struct rmt_event *ev, struct rmt_policy_state *st)
#line 127 "learned_prefetch.rmt.c"
{
	struct rmt_value_by_pressure *table = rmt_table_now(&rmt_table_by_pressure);
	__u64 k0 = rmt_key(rmt_field_vma_kind(ev));
	__u64 k1 = rmt_key(rmt_field_memcg_usage_percent(ev));
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_by_pressure *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_in_range(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_by_pressure, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_follow(ev, st, rmt_sat_u8(arg0));
		break;
	}
	return action;
}

#line 57 "learned_prefetch.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 166 "learned_prefetch.rmt.c"
{
	int rmt_chosen_by_pressure __attribute__((unused)) = -1;
#line 27 "learned_prefetch.rmt"
	st->rmt_in_next_delta[0] = (__s64)st->deltas.v[0];
#line 27 "learned_prefetch.rmt"
	st->rmt_in_next_delta[1] = (__s64)st->deltas.v[1];
#line 27 "learned_prefetch.rmt"
	st->rmt_in_next_delta[2] = (__s64)st->deltas.v[2];
#line 27 "learned_prefetch.rmt"
	st->rmt_in_next_delta[3] = (__s64)st->deltas.v[3];
#line 27 "learned_prefetch.rmt"
	rmt_train_out(ev, 0, st->rmt_in_next_delta, 4, rmt_field_fault_delta(ev));
#line 57 "learned_prefetch.rmt"
	RMT_RING_PUSH(st->deltas, 4, rmt_field_fault_delta(ev));
#line 57 "learned_prefetch.rmt"
	rmt_chosen_by_pressure = rmt_apply_by_pressure(ev, st);
#line 57 "learned_prefetch.rmt"
	{
#line 57 "learned_prefetch.rmt"
		st->rmt_record.c0_ts = rmt_field_ts(ev);
#line 57 "learned_prefetch.rmt"
		st->rmt_record.c1_tgid = rmt_field_tgid(ev);
#line 57 "learned_prefetch.rmt"
		st->rmt_record.c2_fault_page = rmt_field_fault_page(ev);
#line 57 "learned_prefetch.rmt"
		RMT_RING_EXPORT(st->rmt_record.c3_deltas, st->deltas, 4);
#line 57 "learned_prefetch.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 196 "learned_prefetch.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
