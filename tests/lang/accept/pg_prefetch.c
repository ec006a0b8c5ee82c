/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 32
#define RMT_PREFETCH_RATE 20000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_BREACH_ACCURACY 40
#define RMT_BREACH_WINDOW_NS 10000000000ull
#define RMT_BREACH_HOLD_NS 0ull
#define RMT_HAS_FAULT
#define RMT_HAS_COLLECT
#define RMT_USES_VMA_KIND
#define RMT_USES_FAULT_DELTA
#define RMT_USES_COMM
#define RMT_USES_FAULT_PAGE
#define RMT_USES_TS
#define RMT_USES_PID
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__u64 c0_ts;
	__u32 c1_pid;
	__s32 c2_fault_delta;
	__s32 c3_deltas[4];
	__s32 c4_choose_action;
	__u8 rmt_gap0[4];
};
RMT_SIZE(struct rmt_collect_record, 40);

struct rmt_policy_state {
#line 18 "pg_prefetch.rmt"
	struct { __s32 v[4]; } deltas;
#line 32 "pg_prefetch.rmt.c"
	__s32 rmt_in_next_delta[16];
	struct rmt_collect_record rmt_record;
};
RMT_SIZE(struct rmt_policy_state, 120);
#include "hooks/mm.bpf.h"

#line 20 "pg_prefetch.rmt"
RMT_MODEL(next_delta, 0, 1, 8, 1024);

#line 42 "pg_prefetch.rmt.c"
static __noinline __s64 rmt_answer_next_delta(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_next_delta(st->rmt_in_next_delta, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, 0, 3);
}

static __always_inline __s64 rmt_infer_next_delta(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3)
{
	st->rmt_in_next_delta[0] = rmt_sat_i32(x0);
	st->rmt_in_next_delta[1] = rmt_sat_i32(x1);
	st->rmt_in_next_delta[2] = rmt_sat_i32(x2);
	st->rmt_in_next_delta[3] = rmt_sat_i32(x3);
	return rmt_answer_next_delta(ev, st);
}

struct rmt_entry_choose {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_text k2;
	struct rmt_entry_tail tail;
	__s64 arg[2];
};
#line 38 "pg_prefetch.rmt"
RMT_TABLE(choose, 256);

#line 27 "pg_prefetch.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 75 "pg_prefetch.rmt.c"
{
}

#line 28 "pg_prefetch.rmt"
static __always_inline void rmt_action_stride(struct rmt_event *ev, struct rmt_policy_state *st, __s64 pages, __s64 step)
#line 81 "pg_prefetch.rmt.c"
{
#line 28 "pg_prefetch.rmt"
	RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, step, 64);
#line 85 "pg_prefetch.rmt.c"
}

#line 29 "pg_prefetch.rmt"
static __always_inline void rmt_action_ask(struct rmt_event *ev, struct rmt_policy_state *st, __s64 pages)
#line 90 "pg_prefetch.rmt.c"
{
#line 30 "pg_prefetch.rmt"
	__s64 rmt_m0 = rmt_infer_next_delta(ev, st, (__s64)st->deltas.v[0], (__s64)st->deltas.v[1], (__s64)st->deltas.v[2], (__s64)st->deltas.v[3]);
#line 30 "pg_prefetch.rmt"
	if (rmt_m0 == 1) {
		RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, 1, 64);
	} else if (rmt_m0 == 2) {
#line 32 "pg_prefetch.rmt"
		RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, 2, 64);
	} else if (rmt_m0 == 3) {
#line 33 "pg_prefetch.rmt"
		RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), pages, -1, 64);
	} else {
#line 34 "pg_prefetch.rmt"
		rmt_action_none(ev, st);
	}
#line 107 "pg_prefetch.rmt.c"
}

#line 38 "pg_prefetch.rmt"
static __noinline int rmt_apply_choose(struct rmt_event *ev, struct rmt_policy_state *st)
#line 112 "pg_prefetch.rmt.c"
{
	struct rmt_value_choose *table = rmt_table_now(&rmt_table_choose);
	__u64 k0 = rmt_key(rmt_field_vma_kind(ev));
	__u64 k1 = rmt_key(rmt_field_fault_delta(ev));
	__u64 k2[2];
	rmt_field_comm(ev, k2);
	__u32 action = 0, slot = 256;
	__s64 arg0 = 0;
	__s64 arg1 = 0;
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
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			arg1 = e->arg[1];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_choose, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_stride(ev, st, rmt_sat_u8(arg0), rmt_sat_i16(arg1));
		break;
	case 2:
		rmt_action_ask(ev, st, rmt_sat_u8(arg0));
		break;
	}
	return action;
}

#line 50 "pg_prefetch.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 160 "pg_prefetch.rmt.c"
{
	int rmt_chosen_choose __attribute__((unused)) = -1;
#line 51 "pg_prefetch.rmt"
	rmt_chosen_choose = rmt_apply_choose(ev, st);
	RMT_RING_PUSH(st->deltas, 4, rmt_field_fault_delta(ev));
	if (bpf_get_prandom_u32() % 64 == 0) {
#line 53 "pg_prefetch.rmt"
		st->rmt_record.c0_ts = rmt_field_ts(ev);
#line 53 "pg_prefetch.rmt"
		st->rmt_record.c1_pid = rmt_field_pid(ev);
#line 53 "pg_prefetch.rmt"
		st->rmt_record.c2_fault_delta = rmt_field_fault_delta(ev);
#line 53 "pg_prefetch.rmt"
		RMT_RING_EXPORT(st->rmt_record.c3_deltas, st->deltas, 4);
#line 53 "pg_prefetch.rmt"
		st->rmt_record.c4_choose_action = rmt_chosen_choose;
#line 53 "pg_prefetch.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 180 "pg_prefetch.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
