/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_TCP_NAME "tcp_watch"
#define RMT_BASE_CUBIC
#define RMT_CWND_MIN 2
#define RMT_CWND_MAX 1048576
#define RMT_PACING_MIN 1000ull
#define RMT_PACING_MAX 125000000000ull
#define RMT_HAS_ROUND
#define RMT_HAS_COLLECT
#define RMT_USES_TS
#define RMT_USES_CGROUP
#define RMT_USES_TCP_DST
#define RMT_USES_TCP_SPORT
#define RMT_USES_TCP_DPORT
#define RMT_USES_TCP_AGE
#define RMT_USES_TCP_ROUNDS
#define RMT_USES_TCP_STATE
#define RMT_USES_TCP_SRTT
#define RMT_USES_TCP_RTT
#define RMT_USES_TCP_MIN_RTT
#define RMT_USES_TCP_RTT_GRADIENT
#define RMT_USES_TCP_RATE
#define RMT_USES_TCP_MAX_RATE
#define RMT_USES_TCP_BDP
#define RMT_USES_TCP_INFLIGHT
#define RMT_USES_TCP_DELIVERED
#define RMT_USES_TCP_LOST
#define RMT_USES_TCP_LOSS_RATE
#define RMT_USES_TCP_RETRANS
#define RMT_USES_TCP_ECN
#define RMT_USES_TCP_CWND
#define RMT_USES_TCP_SSTHRESH
#define RMT_USES_TCP_SLOW_START
#define RMT_USES_TCP_APP_LIMITED
#define RMT_USES_TCP_MSS
#include "rmt/common.bpf.h"

struct rmt_collect_record {
	__u64 c0_ts;
	__u64 c1_cgroup;
	__u64 c2_tcp_dst[2];
	__u16 c3_tcp_sport;
	__u16 c4_tcp_dport;
	__u8 rmt_gap0[4];
	__u64 c5_tcp_age;
	__u32 c6_tcp_rounds;
	__u8 c7_tcp_state;
	__u8 rmt_gap1[3];
	__u64 c8_tcp_srtt;
	__u64 c9_tcp_rtt;
	__u64 c10_tcp_min_rtt;
	__s32 c11_tcp_rtt_gradient;
	__u8 rmt_gap2[4];
	__u64 c12_tcp_rate;
	__u64 c13_tcp_max_rate;
	__u32 c14_tcp_bdp;
	__u32 c15_tcp_inflight;
	__u32 c16_tcp_delivered;
	__u32 c17_tcp_lost;
	__u16 c18_tcp_loss_rate;
	__u8 rmt_gap3[2];
	__u32 c19_tcp_retrans;
	__u16 c20_tcp_ecn;
	__u8 rmt_gap4[2];
	__u32 c21_tcp_cwnd;
	__u32 c22_tcp_ssthresh;
	__u8 c23_tcp_slow_start;
	__u8 c24_tcp_app_limited;
	__u16 c25_tcp_mss;
};
RMT_SIZE(struct rmt_collect_record, 144);

struct rmt_policy_state {
	struct rmt_collect_record rmt_record;
};
RMT_SIZE(struct rmt_policy_state, 144);
#include "hooks/tcp.bpf.h"

#line 11 "tcp_watch.rmt"
static __noinline int rmt_on_round(struct rmt_event *ev, struct rmt_policy_state *st)
#line 82 "tcp_watch.rmt.c"
{
#line 12 "tcp_watch.rmt"
	{
		st->rmt_record.c0_ts = rmt_field_ts(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c1_cgroup = rmt_field_cgroup(ev);
#line 13 "tcp_watch.rmt"
		rmt_field_tcp_dst(ev, st->rmt_record.c2_tcp_dst);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c3_tcp_sport = rmt_field_tcp_sport(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c4_tcp_dport = rmt_field_tcp_dport(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c5_tcp_age = rmt_field_tcp_age(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c6_tcp_rounds = rmt_field_tcp_rounds(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c7_tcp_state = rmt_field_tcp_state(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c8_tcp_srtt = rmt_field_tcp_srtt(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c9_tcp_rtt = rmt_field_tcp_rtt(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c10_tcp_min_rtt = rmt_field_tcp_min_rtt(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c11_tcp_rtt_gradient = rmt_field_tcp_rtt_gradient(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c12_tcp_rate = rmt_field_tcp_rate(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c13_tcp_max_rate = rmt_field_tcp_max_rate(ev);
#line 13 "tcp_watch.rmt"
		st->rmt_record.c14_tcp_bdp = rmt_field_tcp_bdp(ev);
		st->rmt_record.c15_tcp_inflight = rmt_field_tcp_inflight(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c16_tcp_delivered = rmt_field_tcp_delivered(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c17_tcp_lost = rmt_field_tcp_lost(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c18_tcp_loss_rate = rmt_field_tcp_loss_rate(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c19_tcp_retrans = rmt_field_tcp_retrans(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c20_tcp_ecn = rmt_field_tcp_ecn(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c21_tcp_cwnd = rmt_field_tcp_cwnd(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c22_tcp_ssthresh = rmt_field_tcp_ssthresh(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c23_tcp_slow_start = rmt_field_tcp_slow_start(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c24_tcp_app_limited = rmt_field_tcp_app_limited(ev);
#line 14 "tcp_watch.rmt"
		st->rmt_record.c25_tcp_mss = rmt_field_tcp_mss(ev);
#line 14 "tcp_watch.rmt"
		rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));
	}
#line 139 "tcp_watch.rmt.c"
	return 0;
}

#include "hooks/tcp_programs.bpf.h"
