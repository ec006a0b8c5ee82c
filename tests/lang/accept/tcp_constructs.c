/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_TCP_NAME "tcp_constructs"
#define RMT_BASE_CUBIC
#define RMT_CWND_MIN 4
#define RMT_CWND_MAX 8192
#define RMT_PACING_MIN 12500ull
#define RMT_PACING_MAX 5000000000ull
#define RMT_CWND_CHANGE 4
#define RMT_BREACH_RETRANS 5
#define RMT_BREACH_WINDOW_NS 2000000000ull
#define RMT_BREACH_HOLD_NS 10000000000ull
#define RMT_HAS_ESTABLISHED
#define RMT_HAS_ACK
#define RMT_HAS_ROUND
#define RMT_HAS_LOSS
#define RMT_HAS_RTO
#define RMT_HAS_COLLECT
#define RMT_HAS_TRAIN
#define RMT_USES_TCP_SRTT
#define RMT_USES_TCP_MIN_RTT
#define RMT_USES_TCP_RTT_GRADIENT
#define RMT_USES_TCP_LOSS_RATE
#define RMT_USES_TCP_BDP
#define RMT_USES_TCP_DELIVERED
#define RMT_USES_TCP_DST
#define RMT_USES_TCP_DPORT
#define RMT_USES_TCP_SPORT
#define RMT_USES_TCP_SLOW_START
#define RMT_USES_TCP_APP_LIMITED
#define RMT_USES_TCP_STATE
#define RMT_USES_TCP_RTT
#define RMT_USES_TCP_INFLIGHT
#define RMT_USES_TCP_RATE
#define RMT_USES_CWND
#define RMT_USES_TCP_MAX_RATE
#define RMT_USES_SSTHRESH
#define RMT_USES_PACING
#define RMT_USES_TCP_ECN
#define RMT_USES_TCP_CWND
#define RMT_USES_TCP_AGE
#define RMT_USES_TCP_ROUNDS
#define RMT_USES_TS
#define RMT_USES_CPU
#define RMT_USES_CGROUP
#define RMT_USES_TCP_MSS
#define RMT_USES_TCP_RETRANS
#define RMT_USES_TCP_LOST
#define RMT_USES_TCP_SSTHRESH
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__u64 c0_ts;
	__u32 c1_cpu;
	__u8 rmt_gap0[4];
	__u64 c2_cgroup;
	__u64 c3_tcp_dst[2];
	__u16 c4_tcp_mss;
	__u8 rmt_gap1[2];
	__u32 c5_tcp_retrans;
	__u32 c6_tcp_lost;
	__u32 c7_tcp_ssthresh;
	__u64 c8_rtts[4];
	__s32 c9_by_path_action;
	__u8 rmt_gap2[4];
};
RMT_SIZE(struct rmt_collect_record, 96);

struct rmt_policy_state {
#line 19 "tcp_constructs.rmt"
	__u64 best;
	__u64 worst;
	struct { __u64 v[4]; } rtts;
	struct rmt_ewma smooth;
	__u64 events;
	struct { __u32 v[4]; } windows;
#line 77 "tcp_constructs.rmt.c"
	__s32 rmt_in_want[16];
	struct rmt_collect_record rmt_record;
};
RMT_SIZE(struct rmt_policy_state, 248);
#include "hooks/tcp.bpf.h"

#line 27 "tcp_constructs.rmt"
RMT_MODEL(want, 0, 1, 8, 1024);

#line 87 "tcp_constructs.rmt.c"
static __noinline __s64 rmt_answer_want(struct rmt_event *ev, struct rmt_policy_state *st)
{
	__s64 answer = 0;

	if (rmt_infer_model_want(st->rmt_in_want, &answer)) {
		rmt_count(ev, RMT_STAT_ON_ERROR, 1);
		return 0;
	}
	return rmt_clamp(answer, 0, 8192);
}

static __always_inline __s64 rmt_infer_want(struct rmt_event *ev, struct rmt_policy_state *st, __s64 x0, __s64 x1, __s64 x2, __s64 x3, __s64 x4, __s64 x5, __s64 x6)
{
	st->rmt_in_want[0] = rmt_sat_i32(x0);
	st->rmt_in_want[1] = rmt_sat_i32(x1);
	st->rmt_in_want[2] = rmt_sat_i32(x2);
	st->rmt_in_want[3] = rmt_sat_i32(x3);
	st->rmt_in_want[4] = rmt_sat_i32(x4);
	st->rmt_in_want[5] = rmt_sat_i32(x5);
	st->rmt_in_want[6] = rmt_sat_i32(x6);
	return rmt_answer_want(ev, st);
}

struct rmt_entry_by_peer {
	struct rmt_text k0;
	struct rmt_range k1;
	struct rmt_range k2;
	struct rmt_entry_tail tail;
	__s64 arg[2];
};
#line 43 "tcp_constructs.rmt"
RMT_TABLE(by_peer, 16);

#line 121 "tcp_constructs.rmt.c"
struct rmt_entry_by_path {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_range k2;
	struct rmt_range k3;
	struct rmt_range k4;
	struct rmt_range k5;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 55 "tcp_constructs.rmt"
RMT_TABLE(by_path, 16);

#line 34 "tcp_constructs.rmt"
static __always_inline void rmt_action_keep(struct rmt_event *ev, struct rmt_policy_state *st)
#line 137 "tcp_constructs.rmt.c"
{
}

#line 35 "tcp_constructs.rmt"
static __always_inline void rmt_action_clamp(struct rmt_event *ev, struct rmt_policy_state *st, __s64 most)
#line 143 "tcp_constructs.rmt.c"
{
#line 35 "tcp_constructs.rmt"
	rmt_set_cwnd(ev, rmt_min(rmt_field_cwnd(ev), most));
#line 147 "tcp_constructs.rmt.c"
}

#line 36 "tcp_constructs.rmt"
static __always_inline void rmt_action_pace(struct rmt_event *ev, struct rmt_policy_state *st, __s64 at, __s64 window)
#line 152 "tcp_constructs.rmt.c"
{
#line 36 "tcp_constructs.rmt"
	rmt_set_pacing(ev, rmt_max(at, (__s64)((__u64)(rmt_field_tcp_max_rate(ev) * 5) / (__u64)4)));
#line 36 "tcp_constructs.rmt"
	rmt_set_cwnd(ev, window);
#line 158 "tcp_constructs.rmt.c"
}

#line 37 "tcp_constructs.rmt"
static __always_inline void rmt_action_follow(struct rmt_event *ev, struct rmt_policy_state *st)
#line 163 "tcp_constructs.rmt.c"
{
#line 38 "tcp_constructs.rmt"
	__s64 n = rmt_infer_want(ev, st, rmt_field_tcp_srtt(ev), rmt_field_tcp_min_rtt(ev), rmt_field_tcp_rtt_gradient(ev), rmt_field_tcp_loss_rate(ev), rmt_field_tcp_bdp(ev), (__s64)st->windows.v[0], (__s64)st->windows.v[1]);
	if (n > 0) {
#line 39 "tcp_constructs.rmt"
		rmt_set_cwnd(ev, n);
	}
#line 171 "tcp_constructs.rmt.c"
}

#line 41 "tcp_constructs.rmt"
static __always_inline void rmt_action_leave(struct rmt_event *ev, struct rmt_policy_state *st)
#line 176 "tcp_constructs.rmt.c"
{
#line 41 "tcp_constructs.rmt"
	rmt_set_ssthresh(ev, rmt_max((__s64)((__u64)rmt_field_ssthresh(ev) / (__u64)2), 4));
#line 41 "tcp_constructs.rmt"
	rmt_set_pacing(ev, (__s64)((__u64)rmt_field_pacing(ev) / (__u64)2));
#line 182 "tcp_constructs.rmt.c"
}

#line 43 "tcp_constructs.rmt"
static __noinline int rmt_apply_by_peer(struct rmt_event *ev, struct rmt_policy_state *st)
#line 187 "tcp_constructs.rmt.c"
{
	struct rmt_value_by_peer *table = rmt_table_now(&rmt_table_by_peer);
	__u64 k0[2];
	rmt_field_tcp_dst(ev, k0);
	__u64 k1 = rmt_key(rmt_field_tcp_dport(ev));
	__u64 k2 = rmt_key(rmt_field_tcp_sport(ev));
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	__s64 arg1 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_by_peer *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_is_text(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			if (!rmt_in_range(&e->k2, k2))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			arg1 = e->arg[1];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_by_peer, slot);
	rmt_note_choice(ev, 0, action, slot);
	switch (action) {
	case 0:
		rmt_action_keep(ev, st);
		break;
	case 1:
		rmt_action_clamp(ev, st, rmt_sat_u32(arg0));
		break;
	case 2:
		rmt_action_pace(ev, st, rmt_sat_rate(arg0), rmt_sat_u32(arg1));
		break;
	}
	return action;
}

#line 55 "tcp_constructs.rmt"
static __noinline int rmt_apply_by_path(struct rmt_event *ev, struct rmt_policy_state *st)
#line 236 "tcp_constructs.rmt.c"
{
	struct rmt_value_by_path *table = rmt_table_now(&rmt_table_by_path);
	__u64 k0 = rmt_key(rmt_field_tcp_slow_start(ev));
	__u64 k1 = rmt_key(rmt_field_tcp_app_limited(ev));
	__u64 k2 = rmt_key(rmt_field_tcp_state(ev));
	__u64 k3 = rmt_key(rmt_field_tcp_rtt(ev));
	__u64 k4 = rmt_key(rmt_field_tcp_inflight(ev));
	__u64 k5 = rmt_key(rmt_field_tcp_rate(ev));
	__u32 action = 3, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_by_path *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_in_range(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			if (!rmt_in_range(&e->k2, k2))
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
			break;
		}
	}
	rmt_table_hit(&rmt_hits_by_path, slot);
	rmt_note_choice(ev, 1, action, slot);
	switch (action) {
	case 0:
		rmt_action_keep(ev, st);
		break;
	case 1:
		rmt_action_clamp(ev, st, rmt_sat_u32(arg0));
		break;
	case 3:
		rmt_action_follow(ev, st);
		break;
	}
	return action;
}

#line 67 "tcp_constructs.rmt"
static __noinline int rmt_on_established(struct rmt_event *ev, struct rmt_policy_state *st)
#line 291 "tcp_constructs.rmt.c"
{
	int rmt_chosen_by_peer __attribute__((unused)) = -1;
#line 67 "tcp_constructs.rmt"
	rmt_chosen_by_peer = rmt_apply_by_peer(ev, st);
#line 296 "tcp_constructs.rmt.c"
	return 0;
}

#line 68 "tcp_constructs.rmt"
static __noinline int rmt_on_ack(struct rmt_event *ev, struct rmt_policy_state *st)
#line 302 "tcp_constructs.rmt.c"
{
#line 69 "tcp_constructs.rmt"
	rmt_count_feed(&st->events, 1);
	if (rmt_field_tcp_ecn(ev) > 100) {
#line 70 "tcp_constructs.rmt"
		rmt_set_cwnd(ev, rmt_sat_u32(rmt_field_tcp_cwnd(ev) - (__s64)((__u64)rmt_field_tcp_cwnd(ev) / (__u64)8)));
	}
#line 310 "tcp_constructs.rmt.c"
	return 0;
}

#line 72 "tcp_constructs.rmt"
static __noinline int rmt_on_round(struct rmt_event *ev, struct rmt_policy_state *st)
#line 316 "tcp_constructs.rmt.c"
{
	int rmt_chosen_by_path __attribute__((unused)) = -1;
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[0] = rmt_sat_i32(rmt_field_tcp_srtt(ev));
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[1] = rmt_sat_i32(rmt_field_tcp_min_rtt(ev));
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[2] = rmt_field_tcp_rtt_gradient(ev);
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[3] = rmt_field_tcp_loss_rate(ev);
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[4] = rmt_field_tcp_bdp(ev);
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[5] = rmt_sat_i32((__s64)st->windows.v[0]);
#line 31 "tcp_constructs.rmt"
	st->rmt_in_want[6] = rmt_sat_i32((__s64)st->windows.v[1]);
#line 31 "tcp_constructs.rmt"
	rmt_train_out(ev, 0, st->rmt_in_want, 7, rmt_field_tcp_delivered(ev));
#line 73 "tcp_constructs.rmt"
	RMT_RING_PUSH(st->rtts, 4, rmt_field_tcp_rtt(ev));
	RMT_RING_PUSH(st->windows, 4, rmt_field_tcp_cwnd(ev));
	rmt_ewma_feed(&st->smooth, rmt_field_tcp_rate(ev), 8);
	st->best = rmt_max((__s64)st->best, rmt_ewma_mean(&st->smooth, 8));
	st->worst = rmt_max((__s64)st->worst, rmt_field_tcp_rtt(ev) - rmt_field_tcp_min_rtt(ev));
	if ((rmt_field_tcp_age(ev) > 1000000000) && (rmt_field_tcp_rounds(ev) > 4)) {
#line 78 "tcp_constructs.rmt"
		rmt_chosen_by_path = rmt_apply_by_path(ev, st);
	}
#line 79 "tcp_constructs.rmt"
	if (bpf_get_prandom_u32() % 2 == 0) {
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c0_ts = rmt_field_ts(ev);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c1_cpu = rmt_field_cpu(ev);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c2_cgroup = rmt_field_cgroup(ev);
#line 79 "tcp_constructs.rmt"
		rmt_field_tcp_dst(ev, st->rmt_record.c3_tcp_dst);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c4_tcp_mss = rmt_field_tcp_mss(ev);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c5_tcp_retrans = rmt_field_tcp_retrans(ev);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c6_tcp_lost = rmt_field_tcp_lost(ev);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c7_tcp_ssthresh = rmt_field_tcp_ssthresh(ev);
#line 79 "tcp_constructs.rmt"
		RMT_RING_EXPORT(st->rmt_record.c8_rtts, st->rtts, 4);
#line 79 "tcp_constructs.rmt"
		st->rmt_record.c9_by_path_action = rmt_chosen_by_path;
#line 79 "tcp_constructs.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 370 "tcp_constructs.rmt.c"
	return 0;
}

#line 81 "tcp_constructs.rmt"
static __noinline int rmt_on_loss(struct rmt_event *ev, struct rmt_policy_state *st)
#line 376 "tcp_constructs.rmt.c"
{
#line 81 "tcp_constructs.rmt"
	rmt_action_leave(ev, st);
#line 380 "tcp_constructs.rmt.c"
	return 0;
}

#line 82 "tcp_constructs.rmt"
static __noinline int rmt_on_rto(struct rmt_event *ev, struct rmt_policy_state *st)
#line 386 "tcp_constructs.rmt.c"
{
#line 82 "tcp_constructs.rmt"
	rmt_set_ssthresh(ev, (__s64)((__u64)rmt_field_tcp_cwnd(ev) / (__u64)2));
#line 390 "tcp_constructs.rmt.c"
	return 0;
}

#include "hooks/tcp_programs.bpf.h"
