/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain tcp, second half: the control itself, one tcp_congestion_ops in the cong_control form. On each acknowledgement the
 * base acts first, then the policy is shown what came of it, then rmt_act() carries out what the policy wants, within its
 * limits and only in mode enforce. State that must outlive a change of code is in rmt_socks; icsk_ca_priv is the base's. */
#ifndef RMT_TCP_PROGRAMS_BPF_H
#define RMT_TCP_PROGRAMS_BPF_H

#include "hooks/tcp_act.bpf.h"
#include "hooks/tcp_scope.bpf.h"

#define RMT_ESTABLISHED 1
#define RMT_MIN_RTT_US (5 * 1000000ull) /* half of the window of min_rtt */
#define RMT_RATE_ROUNDS 5               /* half of the window of max_rate */

static __always_inline struct rmt_sock *rmt_find_sock(struct sock *sk)
{
	return bpf_sk_storage_get(&rmt_socks, sk, NULL, 0);
}

static __always_inline struct rmt_cgroup *rmt_scope_of(struct rmt_sock *s)
{
	__u64 id = s->view.scope;

	return id ? bpf_map_lookup_elem(&rmt_scope, &id) : NULL;
}

/* The mode fell, or the policy's cgroup was taken away: what it left behind that the base does not write anew. */
static __always_inline void rmt_fall_back(struct sock *sk, struct rmt_sock *s)
{
	s->pacing = 0;
	s->target = 0;
	s->held = 0;
	if (s->paced) {
		s->paced = 0;
		rmt_base_paced(sk, 0);
	}
}

/* ---- a socket's life ----------------------------------------------------------------------------------------------------------- */

static __always_inline void rmt_begin(struct sock *sk, struct rmt_sock *s)
{
	struct rmt_cgroup *cg = rmt_scope_of(s);

	if (s->begun)
		return;
	s->begun = 1;
	s->round.next_delivered = rmt_tp(sk)->delivered;
	s->round.delivered_before = rmt_tp(sk)->delivered;
	s->round.ce_before = rmt_tp(sk)->delivered_ce;
	s->round.cwnd = rmt_tp(sk)->snd_cwnd;
	rmt_fill_once(sk, s);
	if (!cg)
		return;
	rmt_add(cg, RMT_TCP_SOCKETS, 1);
	if (rmt_handles(RMT_TCP_EVENT_ESTABLISHED))
		rmt_show(sk, s, cg, RMT_TCP_EVENT_ESTABLISHED);
}

SEC("struct_ops/rmt_tcp_init")
void BPF_PROG(rmt_tcp_init, struct sock *sk)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct rmt_sock *s;

	rmt_base_init(sk);
	s = bpf_sk_storage_get(&rmt_socks, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s)
		return;
	rmt_zero(s, sizeof(*s));
	s->view.since_ns = bpf_ktime_get_ns();
	s->view.table = s->view.action = s->view.slot = ~0u;
	s->round.min_rtt_us[0] = s->round.min_rtt_us[1] = RMT_NO_RTT;
	if (cgroup) {
		s->view.cgroup = cgroup->kn->id;
		s->view.scope = rmt_find_scope(cgroup);
	}
	if (sk->__sk_common.skc_state == RMT_ESTABLISHED)
		rmt_begin(sk, s);
}

SEC("struct_ops/rmt_tcp_release")
void BPF_PROG(rmt_tcp_release, struct sock *sk)
{
	struct rmt_sock *s = rmt_find_sock(sk);
	struct rmt_cgroup *cg;

	if (!s || !s->begun)
		return;
	cg = rmt_scope_of(s);
	if (cg) {
		rmt_flush(sk, s, cg);
		rmt_add(cg, RMT_TCP_CLOSED, 1);
	}
	rmt_fall_back(sk, s);
	s->begun = 0;
}

/* Called before data leaves a connection that had nothing in flight: the first time, the handshake is just over. */
SEC("struct_ops/rmt_tcp_event")
void BPF_PROG(rmt_tcp_event, struct sock *sk, enum tcp_ca_event event)
{
	struct rmt_sock *s;

	rmt_base_event(sk, event);
	if (event != CA_EVENT_TX_START || sk->__sk_common.skc_state != RMT_ESTABLISHED)
		return;
	s = rmt_find_sock(sk);
	if (s && !s->begun)
		rmt_begin(sk, s);
}

SEC("struct_ops/rmt_tcp_event_tx")
void BPF_PROG(rmt_tcp_event_tx, struct sock *sk)
{
	struct rmt_sock *s;

	rmt_base_event_tx(sk);
	if (sk->__sk_common.skc_state != RMT_ESTABLISHED)
		return;
	s = rmt_find_sock(sk);
	if (s && !s->begun)
		rmt_begin(sk, s);
}

SEC("struct_ops/rmt_tcp_ssthresh")
__u32 BPF_PROG(rmt_tcp_ssthresh, struct sock *sk)
{
	struct rmt_sock *s = rmt_find_sock(sk);

	if (s) {
		s->prr_delivered = 0;
		s->target = 0;
		s->held = 0;
	}
	return rmt_base_ssthresh(sk);
}

SEC("struct_ops/rmt_tcp_undo")
__u32 BPF_PROG(rmt_tcp_undo, struct sock *sk)
{
	return rmt_base_undo(sk);
}

/* The kernel has set ssthresh and, after a timeout, the window. At the end of a reduction the window becomes the threshold,
 * unless the reduction was undone. */
SEC("struct_ops/rmt_tcp_state")
void BPF_PROG(rmt_tcp_state, struct sock *sk, __u8 state)
{
	struct rmt_sock *s = rmt_find_sock(sk);
	struct tcp_sock *tp = rmt_tp(sk);
	struct rmt_cgroup *cg;
	__u32 before = rmt_ca_state(sk);

	rmt_base_state(sk, state);
	if (!s)
		return;
#ifndef RMT_BASE_BBR
	if (state <= TCP_CA_Disorder && (before == TCP_CA_CWR || (before == TCP_CA_Recovery && tp->undo_marker))) {
		__u32 end = s->target ? s->target : tp->snd_ssthresh;

		if (end < RMT_CWND_MOST)
			rmt_base_cwnd(sk, end);
		s->target = 0;
	}
#endif
	cg = rmt_scope_of(s);
	if (!cg || !s->begun)
		return;
	if (state == TCP_CA_Loss && before != TCP_CA_Loss) {
		rmt_add(cg, RMT_TCP_RTO_EVENTS, 1);
		if (rmt_handles(RMT_TCP_EVENT_RTO))
			rmt_show(sk, s, cg, RMT_TCP_EVENT_RTO);
	}
	if ((state == TCP_CA_Recovery || state == TCP_CA_CWR) && before < TCP_CA_CWR) {
		rmt_add(cg, RMT_TCP_LOSS_EVENTS, 1);
		if (rmt_handles(RMT_TCP_EVENT_LOSS))
			rmt_show(sk, s, cg, RMT_TCP_EVENT_LOSS);
	}
}

#ifdef RMT_BASE_HAS_ACKED
SEC("struct_ops/rmt_tcp_acked")
void BPF_PROG(rmt_tcp_acked, struct sock *sk, const struct ack_sample *sample)
{
	rmt_base_acked(sk, sample);
}
#endif

/* ---- acknowledgements ---------------------------------------------------------------------------------------------------------- */

#ifndef RMT_BASE_BBR
/* `owner`: the policy alone makes the window grow once slow start is over. */
static __noinline int rmt_base_ack(struct sock *sk, struct rmt_sock *s, __u32 ack, __u32 flag, __u32 acked)
{
	struct tcp_sock *tp = rmt_tp(sk);

	if (!sk || !s)
		return 0;
#ifdef RMT_TCP_OWNS
	if (s->view.mode == RMT_MODE_ENFORCE && rmt_ca_state(sk) != TCP_CA_Loss) {
		if (tp->snd_cwnd < tp->snd_ssthresh && rmt_cwnd_limited(tp))
			tcp_slow_start(tp, acked);
		return 0;
	}
#endif
	rmt_base_grow(sk, ack, acked);
	return 0;
}
#endif

/* A sample of round-trip time and rate into the round's sums and the windows of least and most. */
static __noinline int rmt_sample(struct sock *sk, struct rmt_sock *s, long rtt_us, __s32 delivered, long interval_us)
{
	struct tcp_sock *tp = rmt_tp(sk);
	struct rmt_round *r;

	if (!sk || !s)
		return 0;
	r = &s->round;
	if (rtt_us > 0 && rtt_us < (1 << 30)) {
		if (tp->tcp_mstamp - r->min_rtt_from_us > RMT_MIN_RTT_US) {
			r->min_rtt_us[1] = r->min_rtt_us[0];
			r->min_rtt_us[0] = rtt_us;
			r->min_rtt_from_us = tp->tcp_mstamp;
		} else if (rtt_us < r->min_rtt_us[0]) {
			r->min_rtt_us[0] = rtt_us;
		}
		r->rtt_sum_us += rtt_us;
		r->rtt_n++;
	}
	if (delivered > 0 && interval_us > 0) {
		__u64 rate = (__u64)delivered * tp->mss_cache * 1000000ull / interval_us;

		if (rate > (1ull << 42))
			rate = 1ull << 42;
		s->ev.f.rate = rate;
		if (rate > r->max_rate[0])
			r->max_rate[0] = rate;
	}
	return 0;
}

/* The round is over: its means become the fields of the next events. */
static __noinline int rmt_end_round(struct sock *sk, struct rmt_sock *s, struct rmt_cgroup *cg)
{
	struct tcp_sock *tp = rmt_tp(sk);
	struct rmt_tcp_fields *f;
	struct rmt_round *r;
	__u32 min_rtt, ce;
	__s64 rise;

	if (!sk || !s)
		return 0;
	f = &s->ev.f;
	r = &s->round;
	min_rtt = rmt_min_rtt(r);
	if (r->rtt_n) {
		f->rtt_us = r->rtt_sum_us / r->rtt_n;
		rise = r->last_rtt_us ? (__s64)f->rtt_us - r->last_rtt_us : 0;
		f->rtt_gradient = min_rtt ? rmt_clamp(rmt_div(rise * 1000, min_rtt), -1000000, 1000000) : 0;
		r->last_rtt_us = f->rtt_us;
	}
	f->delivered = tp->delivered - r->delivered_before;
	ce = tp->delivered_ce - r->ce_before;
	f->lost = r->lost;
	f->loss_rate = rmt_permille(r->lost, (__u64)r->lost + f->delivered);
	f->ecn = rmt_permille(ce, f->delivered);
	s->view.rounds++;
	if (cg) {
		rmt_add(cg, RMT_TCP_ROUNDS, 1);
		rmt_add(cg, RMT_TCP_RTT_US, f->rtt_us);
		if (min_rtt != RMT_NO_RTT && f->rtt_us > min_rtt)
			rmt_add(cg, RMT_TCP_QUEUE_US, f->rtt_us - min_rtt);
	}
	r->next_delivered = tp->delivered;
	r->delivered_before = tp->delivered;
	r->ce_before = tp->delivered_ce;
	r->lost = 0;
	r->rtt_sum_us = 0;
	r->rtt_n = 0;
	if (++r->rate_rounds >= RMT_RATE_ROUNDS) {
		r->rate_rounds = 0;
		r->max_rate[1] = r->max_rate[0];
		r->max_rate[0] = f->rate;
	}
	return 0;
}

SEC("struct_ops/rmt_tcp_main")
void BPF_PROG(rmt_tcp_main, struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs)
{
	struct rmt_sock *s = rmt_find_sock(sk);
	struct tcp_sock *tp = rmt_tp(sk);
	__u32 acked = rs->acked_sacked, state = rmt_ca_state(sk);
	struct rmt_cgroup *cg;
	bool round;

#ifdef RMT_BASE_BBR
	bbr_main(sk, ack, flag, rs);
	if (!s)
		return;
#else
	if (!s) { /* no memory for the storage: the base alone */
		rmt_base_grow(sk, ack, acked);
		rmt_base_rate(sk);
		return;
	}
	if (state == TCP_CA_CWR || state == TCP_CA_Recovery)
		rmt_reduce(sk, s, acked, rs->losses, flag);
	else if (flag & (tp->reordering > RMT_REORDERING ? RMT_FORWARD_PROGRESS : RMT_FLAG_DATA_ACKED))
		rmt_base_ack(sk, s, ack, flag, acked);
#endif
	if (s->held && tp->snd_cwnd > s->held)
		rmt_base_cwnd(sk, s->held);
#ifndef RMT_BASE_BBR
	if (!s->pacing)
		rmt_base_rate(sk);
#endif
	if (!s->begun)
		rmt_begin(sk, s);
	s->acks++;
	s->delivered += acked;
	if (rs->losses > 0) {
		s->lost += rs->losses;
		s->round.lost += rs->losses;
	}
	s->ev.f.app_limited = rs->is_app_limited;
	rmt_sample(sk, s, rs->rtt_us, rs->delivered, rs->interval_us);
	round = rs->delivered > 0 && (__s32)(rs->prior_delivered - s->round.next_delivered) >= 0;
	if (!round && !rmt_handles(RMT_TCP_EVENT_ACK))
		return;
	cg = rmt_scope_of(s);
	if (round) {
		s->held = 0;
		rmt_end_round(sk, s, cg);
	}
	if (!cg) {
		s->view.mode = RMT_MODE_OFF;
		rmt_fall_back(sk, s);
		return;
	}
	if (rmt_handles(RMT_TCP_EVENT_ACK)) {
		__u32 in_round = s->ev.f.delivered;

		s->ev.f.delivered = acked;
		rmt_show(sk, s, cg, RMT_TCP_EVENT_ACK);
		s->ev.f.delivered = in_round;
	}
	if (round) {
		struct rmt_ctl *ctl = rmt_get_ctl();

		if (rmt_handles(RMT_TCP_EVENT_ROUND))
			rmt_show(sk, s, cg, RMT_TCP_EVENT_ROUND);
		else
			rmt_flush(sk, s, cg);
		if (ctl && ctl->mode != RMT_MODE_ENFORCE)
			s->view.mode = ctl->mode;
		if (s->view.mode != RMT_MODE_ENFORCE)
			rmt_fall_back(sk, s);
		s->round.cwnd = tp->snd_cwnd;
	}
}

#ifdef RMT_BASE_BBR
SEC("struct_ops/rmt_tcp_tso")
__u32 BPF_PROG(rmt_tcp_tso, struct sock *sk)
{
	return bbr_min_tso_segs(sk);
}

SEC("struct_ops/rmt_tcp_sndbuf")
__u32 BPF_PROG(rmt_tcp_sndbuf, struct sock *sk)
{
	return bbr_sndbuf_expand(sk);
}
#define RMT_CONTROL_BBR .min_tso_segs = (void *)rmt_tcp_tso, .sndbuf_expand = (void *)rmt_tcp_sndbuf,
#else
#define RMT_CONTROL_BBR
#endif
#ifdef RMT_BASE_HAS_ACKED
#define RMT_CONTROL_ACKED .pkts_acked = (void *)rmt_tcp_acked,
#else
#define RMT_CONTROL_ACKED
#endif

#define RMT_CONTROL(own)                                                                                        \
	{                                                                                                       \
		.init = (void *)rmt_tcp_init, .release = (void *)rmt_tcp_release, .ssthresh = (void *)rmt_tcp_ssthresh, \
		.undo_cwnd = (void *)rmt_tcp_undo, .set_state = (void *)rmt_tcp_state,                          \
		.cong_control = (void *)rmt_tcp_main, RMT_CONTROL_ACKED RMT_CONTROL_BBR own, .name = RMT_TCP_NAME, \
	}

/* The loader registers the one whose member the running kernel has. Not NON_RESTRICTED: whoever is not in the scope and
 * has no CAP_NET_ADMIN cannot choose it. */
SEC(".struct_ops.link")
struct tcp_congestion_ops rmt_control = RMT_CONTROL(.cwnd_event = (void *)rmt_tcp_event);

SEC(".struct_ops.link")
struct tcp_congestion_ops rmt_control_tx = RMT_CONTROL(.cwnd_event_tx_start = (void *)rmt_tcp_event_tx);

/* ---- the twin: the policy's code on an event made by hand ----------------------------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rmt_sock);
} rmt_twin_sock SEC(".maps");

SEC("syscall")
int rmt_twin(struct rmt_tcp_twin *twin)
{
	__u32 zero = 0;
	struct rmt_sock *s = bpf_map_lookup_elem(&rmt_twin_sock, &zero);

	if (!s)
		return 1;
	if (twin->reset)
		rmt_zero(&s->state, sizeof(s->state));
	s->ev.f = twin->in;
	s->ev.now = twin->in.now;
	s->ev.cwnd = twin->in.cwnd;
	s->ev.ssthresh = twin->in.ssthresh;
	s->ev.pacing = twin->in.pacing;
	s->ev.set = 0;
	s->ev.table = s->ev.action = s->ev.slot = ~0u;
	rmt_dispatch(&s->ev, &s->state, twin->event);
	twin->set = s->ev.set;
	twin->cwnd = s->ev.cwnd;
	twin->ssthresh = s->ev.ssthresh;
	twin->pacing = s->ev.pacing;
	twin->table = s->ev.table;
	twin->action = s->ev.action;
	twin->slot = s->ev.slot;
	return 0;
}

#endif
