/* SPDX-License-Identifier: GPL-2.0-only */
/* What the emitter makes of policies/learned_prefetch.rmt, written by hand before there was an emitter; kept as the
 * smallest input for tests of the library below the language. */
#define RMT_PREFETCH_PER_EVENT 32
#define RMT_PREFETCH_RATE 50000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_BREACH_ACCURACY 30
#define RMT_BREACH_WINDOW_NS 2000000000ull
#define RMT_BREACH_HOLD_NS 5000000000ull
#define RMT_HAS_FAULT
#define RMT_HAS_TRAIN
#define RMT_USES_MEMCG_USAGE_PERCENT
#include "rmt/common.bpf.h"

struct rmt_policy_state {
	struct { __s32 v[4]; } deltas;
	__u64 head;
	struct { __s32 v[4]; } ahead_deltas;
	__u8 ahead;
};

#include "hooks/mm.bpf.h"

RMT_MODEL(next_delta, 0, 1, 8, 1024);

struct rmt_entry_by_pressure {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
RMT_TABLE(by_pressure, 16);

static __noinline __s64 rmt_infer_next_delta(struct rmt_event *ev, __s64 a, __s64 b, __s64 c, __s64 d)
{
	__s32 f[16] = {a, b, c, d};
	__s64 out = 0;

	if (rmt_infer_model_next_delta(f, &out)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(out, -65536, 65536);
}

static __always_inline void rmt_action_follow(struct rmt_event *ev, struct rmt_policy_state *st, __s64 depth)
{
	int i;

	if (rmt_field_fault_asked(ev) && rmt_field_fault_lead(ev) <= depth) {
		st->ahead = rmt_sat_u8(rmt_field_fault_lead(ev));
	} else {
		st->head = rmt_sat_page(rmt_field_fault_page(ev));
		RMT_RING_COPY(st->ahead_deltas, st->deltas, 4);
		st->ahead = 0;
	}
	if (st->ahead <= rmt_div(depth, 2)) {
		bpf_for(i, 0, 32) {
			__s64 step;

			if (st->ahead >= depth)
				break;
			step = rmt_infer_next_delta(ev, st->ahead_deltas.v[0], st->ahead_deltas.v[1], st->ahead_deltas.v[2],
						    st->ahead_deltas.v[3]);
			if (step == 0)
				break;
			st->head = rmt_sat_page((__s64)st->head + step);
			RMT_RING_PUSH(st->ahead_deltas, 4, rmt_sat_i32(step));
			rmt_prefetch(ev, st->head);
			st->ahead = rmt_sat_u8((__s64)st->ahead + 1);
		}
	}
}

static __noinline int rmt_apply_by_pressure(struct rmt_event *ev, struct rmt_policy_state *st)
{
	struct rmt_value_by_pressure *t = rmt_table_now(&rmt_table_by_pressure);
	__u64 k0 = rmt_key(rmt_field_vma_kind(ev)), k1 = rmt_key(rmt_field_memcg_usage_percent(ev));
	__u32 slot = 16, action = 0;
	__s64 arg = 0;
	int i;

	if (t) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_by_pressure *e = &t->entry[i];

			if (i >= t->head.count)
				break;
			if (rmt_in_range(&e->k0, k0) && rmt_in_range(&e->k1, k1)) {
				slot = e->tail.slot;
				action = e->tail.action;
				arg = e->arg[0];
				break;
			}
		}
	}
	rmt_table_hit(&rmt_hits_by_pressure, slot);
	switch (action) {
	case 1:
		rmt_action_follow(ev, st, rmt_clamp(arg, 0, 255));
		break;
	default:
		break;
	}
	return action;
}

static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s32 f[16] = {st->deltas.v[0], st->deltas.v[1], st->deltas.v[2], st->deltas.v[3]};

	rmt_train_out(ev, 0, f, 4, rmt_field_fault_delta(ev));
	RMT_RING_PUSH(st->deltas, 4, rmt_sat_i32(rmt_field_fault_delta(ev)));
	rmt_apply_by_pressure(ev, st);
	return 0;
}

#include "hooks/mm_programs.bpf.h"
