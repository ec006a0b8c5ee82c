/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_TCP_NAME "wan_upload"
#define RMT_BASE_CUBIC
#define RMT_CWND_MIN 4
#define RMT_CWND_MAX 4096
#define RMT_PACING_MIN 1000ull
#define RMT_PACING_MAX 125000000000ull
#define RMT_CWND_CHANGE 2
#define RMT_BREACH_RETRANS 3
#define RMT_BREACH_WINDOW_NS 10000000000ull
#define RMT_BREACH_HOLD_NS 30000000000ull
#define RMT_HAS_ESTABLISHED
#define RMT_HAS_ROUND
#define RMT_USES_TCP_SRTT
#define RMT_USES_TCP_MIN_RTT
#define RMT_USES_TCP_INFLIGHT
#define RMT_USES_TCP_LOST
#define RMT_USES_TCP_RATE
#define RMT_USES_TCP_DST
#define RMT_USES_CWND
#include "rmt/common.bpf.h"

struct rmt_policy_state {
	__s32 rmt_in_bdp[16];
};
RMT_SIZE(struct rmt_policy_state, 64);
#include "hooks/tcp.bpf.h"

#line 15 "wan_upload.rmt"
RMT_MODEL(bdp, 0, 1, 8, 1024);

#line 33 "wan_upload.rmt.c"
static __noinline __s64 rmt_answer_bdp(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_bdp(st->rmt_in_bdp, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, 0, 4096);
}

static __always_inline __s64 rmt_infer_bdp(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3, __s64 x4)
{
	st->rmt_in_bdp[0] = rmt_sat_i32(x0);
	st->rmt_in_bdp[1] = rmt_sat_i32(x1);
	st->rmt_in_bdp[2] = rmt_sat_i32(x2);
	st->rmt_in_bdp[3] = rmt_sat_i32(x3);
	st->rmt_in_bdp[4] = rmt_sat_i32(x4);
	return rmt_answer_bdp(ev, st);
}

struct rmt_entry_start {
	struct rmt_text k0;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 29 "wan_upload.rmt"
RMT_TABLE(start, 1024);

#line 63 "wan_upload.rmt.c"
struct rmt_entry_steady {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 36 "wan_upload.rmt"
RMT_TABLE(steady, 16);

#line 21 "wan_upload.rmt"
static __always_inline void rmt_action_keep(struct rmt_event *ev, struct rmt_policy_state *st)
#line 75 "wan_upload.rmt.c"
{
}

#line 22 "wan_upload.rmt"
static __always_inline void rmt_action_initial(struct rmt_event *ev, struct rmt_policy_state *st, __s64 n)
#line 81 "wan_upload.rmt.c"
{
#line 22 "wan_upload.rmt"
	rmt_set_cwnd(ev, n);
#line 85 "wan_upload.rmt.c"
}

#line 23 "wan_upload.rmt"
static __always_inline void rmt_action_clamp(struct rmt_event *ev, struct rmt_policy_state *st, __s64 n)
#line 90 "wan_upload.rmt.c"
{
#line 23 "wan_upload.rmt"
	rmt_set_cwnd(ev, rmt_min(rmt_field_cwnd(ev), n));
#line 94 "wan_upload.rmt.c"
}

#line 24 "wan_upload.rmt"
static __always_inline void rmt_action_predict(struct rmt_event *ev, struct rmt_policy_state *st)
#line 99 "wan_upload.rmt.c"
{
#line 25 "wan_upload.rmt"
	__s64 n = rmt_infer_bdp(ev, st, rmt_field_tcp_srtt(ev), rmt_field_tcp_min_rtt(ev), rmt_field_tcp_inflight(ev), rmt_field_tcp_lost(ev), rmt_field_tcp_rate(ev));
	if (n > 0) {
#line 26 "wan_upload.rmt"
		rmt_set_cwnd(ev, n);
	}
#line 107 "wan_upload.rmt.c"
}

#line 29 "wan_upload.rmt"
static __noinline int rmt_apply_start(struct rmt_event *ev, struct rmt_policy_state *st)
#line 112 "wan_upload.rmt.c"
{
	struct rmt_value_start *table = rmt_table_now(&rmt_table_start);
	__u64 k0[2];
	rmt_field_tcp_dst(ev, k0);
	__u32 action = 1, slot = 1024;
	__s64 arg0 = 10;
	int i;

	if (table) {
		bpf_for(i, 0, 1024) {
			struct rmt_entry_start *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_is_text(&e->k0, k0))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_start, slot);
	rmt_note_choice(ev, 0, action, slot);
	switch (action) {
	case 0:
		rmt_action_keep(ev, st);
		break;
	case 1:
		rmt_action_initial(ev, st, rmt_sat_u32(arg0));
		break;
	}
	return action;
}

#line 36 "wan_upload.rmt"
static __noinline int rmt_apply_steady(struct rmt_event *ev, struct rmt_policy_state *st)
#line 150 "wan_upload.rmt.c"
{
	struct rmt_value_steady *table = rmt_table_now(&rmt_table_steady);
	__u64 k0 = rmt_key(rmt_field_tcp_srtt(ev));
	__u64 k1 = rmt_key(rmt_field_tcp_lost(ev));
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_steady *e = &table->entry[i];

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
	rmt_table_hit(&rmt_hits_steady, slot);
	rmt_note_choice(ev, 1, action, slot);
	switch (action) {
	case 0:
		rmt_action_keep(ev, st);
		break;
	case 2:
		rmt_action_clamp(ev, st, rmt_sat_u32(arg0));
		break;
	case 3:
		rmt_action_predict(ev, st);
		break;
	}
	return action;
}

#line 46 "wan_upload.rmt"
static __noinline int rmt_on_established(struct rmt_event *ev, struct rmt_policy_state *st)
#line 193 "wan_upload.rmt.c"
{
	int rmt_chosen_start __attribute__((unused)) = -1;
#line 46 "wan_upload.rmt"
	rmt_chosen_start = rmt_apply_start(ev, st);
#line 198 "wan_upload.rmt.c"
	return 0;
}

#line 47 "wan_upload.rmt"
static __noinline int rmt_on_round(struct rmt_event *ev, struct rmt_policy_state *st)
#line 204 "wan_upload.rmt.c"
{
	int rmt_chosen_steady __attribute__((unused)) = -1;
#line 47 "wan_upload.rmt"
	rmt_chosen_steady = rmt_apply_steady(ev, st);
#line 209 "wan_upload.rmt.c"
	return 0;
}

#include "hooks/tcp_programs.bpf.h"
