/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 8
#define RMT_PREFETCH_RATE 100000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_HAS_FAULT
#define RMT_HAS_OUTCOME
#define RMT_HAS_COLLECT
#define RMT_USES_FAULT_DELTA
#define RMT_USES_FAULT_WRITE
#define RMT_USES_OUTCOME_KIND
#define RMT_USES_FAULT_PAGE
#define RMT_USES_TS
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__s32 c0_fault_delta;
	__s32 c1_deltas[4];
	__s32 c2_bad;
};
RMT_SIZE(struct rmt_collect_record, 24);

struct rmt_policy_state {
#line 17 "online.rmt"
	struct { __s32 v[4]; } deltas;
	struct { __s32 v[4]; } ahead;
	__u32 gap;
#line 28 "online.rmt.c"
	__u8 rmt_gap0[4];
#line 20 "online.rmt"
	__u64 since;
	__s32 bad;
#line 33 "online.rmt.c"
	__s32 rmt_in_next[8];
	__s32 rmt_in_curve[8];
	__s32 rmt_in_late[8];
	struct rmt_collect_record rmt_record;
	__u8 rmt_gap1[4];
};
RMT_SIZE(struct rmt_policy_state, 176);
#include "hooks/mm.bpf.h"

#line 24 "online.rmt"
RMT_ONLINE(next, linear, 32, 6, 4, 4, 4, 4, 4);

#line 46 "online.rmt.c"
static __noinline __s64 rmt_answer_next(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = rmt_predict_next(st->rmt_in_next);

	if (answer == RMT_ONLINE_NONE) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, -4096, 4096);
}

static __always_inline __s64 rmt_infer_next(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3)
{
	st->rmt_in_next[0] = rmt_sat_i32(x0);
	st->rmt_in_next[1] = rmt_sat_i32(x1);
	st->rmt_in_next[2] = rmt_sat_i32(x2);
	st->rmt_in_next[3] = rmt_sat_i32(x3);
	return rmt_answer_next(ev, st);
}

#line 30 "online.rmt"
RMT_ONLINE(curve, mlp, 16, 4, 3, 0, 10, -7);

#line 70 "online.rmt.c"
static __noinline __s64 rmt_answer_curve(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = rmt_predict_curve(st->rmt_in_curve);

	if (answer == RMT_ONLINE_NONE) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 7;
	}
	return rmt_clamp(answer, -64, 64);
}

static __always_inline __s64 rmt_infer_curve(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2)
{
	st->rmt_in_curve[0] = rmt_sat_i32(x0);
	st->rmt_in_curve[1] = rmt_sat_i32(x1);
	st->rmt_in_curve[2] = rmt_sat_i32(x2);
	return rmt_answer_curve(ev, st);
}

#line 36 "online.rmt"
RMT_ONLINE(late, linear, 64, 6, 1, 0);

#line 93 "online.rmt.c"
static __noinline __s64 rmt_answer_late(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = rmt_predict_late(st->rmt_in_late);

	if (answer == RMT_ONLINE_NONE) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return -1;
	}
	return rmt_clamp(answer, -32768, 32767);
}

static __always_inline __s64 rmt_infer_late(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0)
{
	st->rmt_in_late[0] = rmt_sat_i32(x0);
	return rmt_answer_late(ev, st);
}

#line 54 "online.rmt"
static __always_inline void rmt_action_copy_and_ask(struct rmt_event *ev, struct rmt_policy_state *st)
#line 113 "online.rmt.c"
{
#line 55 "online.rmt"
	RMT_RING_COPY(st->ahead, st->deltas, 4);
	__s64 one = rmt_infer_next(ev, st, (__s64)st->deltas.v[0], (__s64)st->deltas.v[1], (__s64)st->deltas.v[2], (__s64)st->deltas.v[3]);
	RMT_RING_PUSH(st->ahead, 4, one);
	__s64 two = rmt_infer_next(ev, st, (__s64)st->ahead.v[0], (__s64)st->ahead.v[1], (__s64)st->ahead.v[2], (__s64)st->ahead.v[3]);
	st->bad = rmt_infer_curve(ev, st, (__s64)st->deltas.v[0], (__s64)st->gap, rmt_field_fault_write(ev));
	if (one != 0) {
#line 60 "online.rmt"
		rmt_prefetch(ev, rmt_sat_page(rmt_field_fault_page(ev) + one));
	}
#line 61 "online.rmt"
	if (two != 0) {
#line 61 "online.rmt"
		rmt_prefetch(ev, rmt_sat_page((rmt_field_fault_page(ev) + one) + two));
	}
#line 130 "online.rmt.c"
}

#line 43 "online.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 135 "online.rmt.c"
{
#line 28 "online.rmt"
	st->rmt_in_next[0] = (__s64)st->deltas.v[0];
#line 28 "online.rmt"
	st->rmt_in_next[1] = (__s64)st->deltas.v[1];
#line 28 "online.rmt"
	st->rmt_in_next[2] = (__s64)st->deltas.v[2];
#line 28 "online.rmt"
	st->rmt_in_next[3] = (__s64)st->deltas.v[3];
#line 28 "online.rmt"
	rmt_step_next(st->rmt_in_next, rmt_field_fault_delta(ev));
#line 34 "online.rmt"
	st->rmt_in_curve[0] = (__s64)st->deltas.v[0];
#line 34 "online.rmt"
	st->rmt_in_curve[1] = rmt_sat_i32((__s64)st->gap);
#line 34 "online.rmt"
	st->rmt_in_curve[2] = rmt_field_fault_write(ev);
#line 34 "online.rmt"
	rmt_step_curve(st->rmt_in_curve, rmt_field_fault_delta(ev));
#line 44 "online.rmt"
	st->gap = (__s64)(rmt_sat_u32(rmt_min(rmt_div(rmt_field_ts(ev) - (__s64)st->since, 1000), 1000000)));
	st->since = rmt_field_ts(ev);
	RMT_RING_PUSH(st->deltas, 4, rmt_field_fault_delta(ev));
	rmt_action_copy_and_ask(ev, st);
	{
#line 48 "online.rmt"
		st->rmt_record.c0_fault_delta = rmt_field_fault_delta(ev);
#line 48 "online.rmt"
		RMT_RING_EXPORT(st->rmt_record.c1_deltas, st->deltas, 4);
#line 48 "online.rmt"
		st->rmt_record.c2_bad = (__s64)st->bad;
#line 48 "online.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 170 "online.rmt.c"
	return 0;
}

#line 50 "online.rmt"
static __noinline int rmt_on_outcome(struct rmt_event *ev, struct rmt_policy_state *st)
#line 176 "online.rmt.c"
{
#line 40 "online.rmt"
	st->rmt_in_late[0] = (__s64)st->bad;
#line 40 "online.rmt"
	rmt_step_late(st->rmt_in_late, rmt_field_outcome_kind(ev));
#line 51 "online.rmt"
	st->bad = rmt_infer_late(ev, st, (__s64)st->bad);
#line 184 "online.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
