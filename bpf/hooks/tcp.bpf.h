/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain tcp, first half: the event that a policy sees, its fields, the sinks. Included by generated code after struct
 * rmt_policy_state; the programs follow in tcp_programs.bpf.h, after the policy's handlers.
 * The event lives in the socket's storage and holds numbers only: no pointer of the kernel's reaches the policy's code, which
 * the RMT verifier proves (docs/decisions/0004-tcp.md). */
#ifndef RMT_TCP_BPF_H
#define RMT_TCP_BPF_H

#include "rmt/intf_tcp.h"
#include "rmt/guard.bpf.h"

struct rmt_event {
	struct rmt_tcp_fields f;
	__u64 now;          /* as f.now: what observe.bpf.h wants */
	__u64 scope;
	__u32 set;          /* enum rmt_tcp_sink: what the handler assigned */
	__u32 cwnd, ssthresh;
	__u32 table, action, slot; /* last choice */
	__u64 pacing;
	__u32 on_error, collect_full; /* counted by the policy's code, added to the figures after it */
};

/* ---- fields of the language: a.b is rmt_field_a_b(ev); docs/hooks.md has their types and units ------------------- */

#define RMT_TCP_FIELD(name, value) \
	static __always_inline __s64 rmt_field_##name(struct rmt_event *ev) { return value; }

RMT_TCP_FIELD(tcp_srtt, (__s64)ev->f.srtt_us * 1000)
RMT_TCP_FIELD(tcp_rtt, (__s64)ev->f.rtt_us * 1000)
RMT_TCP_FIELD(tcp_min_rtt, (__s64)ev->f.min_rtt_us * 1000)
RMT_TCP_FIELD(tcp_rtt_gradient, ev->f.rtt_gradient)
RMT_TCP_FIELD(tcp_rate, ev->f.rate)
RMT_TCP_FIELD(tcp_max_rate, ev->f.max_rate)
RMT_TCP_FIELD(tcp_bdp, ev->f.bdp)
RMT_TCP_FIELD(tcp_inflight, ev->f.inflight)
RMT_TCP_FIELD(tcp_delivered, ev->f.delivered)
RMT_TCP_FIELD(tcp_lost, ev->f.lost)
RMT_TCP_FIELD(tcp_loss_rate, ev->f.loss_rate)
RMT_TCP_FIELD(tcp_retrans, ev->f.retrans)
RMT_TCP_FIELD(tcp_ecn, ev->f.ecn)
RMT_TCP_FIELD(tcp_cwnd, ev->f.cwnd)
RMT_TCP_FIELD(tcp_ssthresh, ev->f.ssthresh)
RMT_TCP_FIELD(tcp_slow_start, ev->f.slow_start)
RMT_TCP_FIELD(tcp_app_limited, ev->f.app_limited)
RMT_TCP_FIELD(tcp_state, ev->f.state)
RMT_TCP_FIELD(tcp_age, ev->f.age_ns)
RMT_TCP_FIELD(tcp_rounds, ev->f.rounds)
RMT_TCP_FIELD(tcp_mss, ev->f.mss)
RMT_TCP_FIELD(tcp_dport, ev->f.dport)
RMT_TCP_FIELD(tcp_sport, ev->f.sport)
RMT_TCP_FIELD(cgroup, ev->f.cgroup)
RMT_TCP_FIELD(cpu, bpf_get_smp_processor_id())
RMT_TCP_FIELD(ts, ev->f.now)
RMT_TCP_FIELD(cwnd, ev->cwnd)
RMT_TCP_FIELD(ssthresh, ev->ssthresh)
RMT_TCP_FIELD(pacing, ev->pacing)

static __always_inline void rmt_field_tcp_dst(struct rmt_event *ev, __u64 words[2])
{
	words[0] = ev->f.dst[0];
	words[1] = ev->f.dst[1];
}

/* ---- the sinks: the last value of an event holds; limits and mode follow in rmt_act() ----------------------------- */

static __always_inline void rmt_set_cwnd(struct rmt_event *ev, __u32 segments)
{
	ev->cwnd = segments;
	ev->set |= RMT_TCP_SINK_CWND;
}

static __always_inline void rmt_set_ssthresh(struct rmt_event *ev, __u32 segments)
{
	ev->ssthresh = segments;
	ev->set |= RMT_TCP_SINK_SSTHRESH;
}

static __always_inline void rmt_set_pacing(struct rmt_event *ev, __u64 rate)
{
	ev->pacing = rate;
	ev->set |= RMT_TCP_SINK_PACING;
}

static __always_inline void rmt_note_choice(struct rmt_event *ev, __u32 table, __u32 action, __u32 slot)
{
	ev->table = table;
	ev->action = action;
	ev->slot = slot;
}

static __always_inline void rmt_count(struct rmt_event *ev, __u32 stat, __u32 n)
{
	if (stat == RMT_STAT_ON_ERROR)
		ev->on_error += n;
	else if (stat == RMT_STAT_COLLECT_FULL)
		ev->collect_full += n;
}

static __always_inline __u64 rmt_event_cgroup(struct rmt_event *ev)
{
	return ev->scope;
}

#include "rmt/observe.bpf.h"

/* ---- what is kept for each socket ---------------------------------------------------------------------------------- */

struct rmt_round {
	__u32 next_delivered;   /* tp->delivered at the end of the round: what is acknowledged then was sent in it */
	__u32 rtt_n;
	__u64 rtt_sum_us;
	__u32 delivered_before, ce_before; /* tp's counters when the round began */
	__u32 lost;
	__u32 last_rtt_us;      /* mean of the round before */
	__u32 min_rtt_us[2];    /* of this 5 s and of the 5 s before; ~0: none */
	__u64 min_rtt_from_us;
	__u64 max_rate[2];      /* of these 5 rounds and of the 5 before */
	__u32 rate_rounds;
	__u32 cwnd;             /* when the round began: what `change` is measured from */
};

struct rmt_sock {
	struct rmt_tcp_view view;
	struct rmt_event ev;
	struct rmt_round round;
	__u64 pacing;           /* the policy's, 0: the base's */
	__u32 acks, delivered, lost; /* not added to the figures yet */
	__u32 prr_delivered;    /* since the reduction began */
	__u32 held;             /* window that the base may not raise for the rest of the round; 0: none */
	__u32 target;           /* window that a reduction ends at when the policy wants another than ssthresh; 0: ssthresh */
	__u8 paced;             /* pacing was switched on for the policy */
	__u8 begun;             /* the policy was shown tcp.established */
	__u8 pad[6];
	struct rmt_policy_state state __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rmt_sock);
} rmt_socks SEC(".maps");

#endif
