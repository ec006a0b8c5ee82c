/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain tcp: one event, from what the kernel knows to what it is told. rmt_show() fills the event, runs the policy's handler and has
 * rmt_act() carry out what it wants: cut to the limits, and only in mode enforce. The RMT verifier proves it on these functions. */
#ifndef RMT_TCP_ACT_BPF_H
#define RMT_TCP_ACT_BPF_H

#include "hooks/tcp_base.bpf.h"

#define RMT_AF_INET6 10
#define RMT_NO_RTT (~0u)

/* ---- what the policy sees ------------------------------------------------------------------------------------------------ */

static __always_inline __u32 rmt_min_rtt(const struct rmt_round *r)
{
	return r->min_rtt_us[0] < r->min_rtt_us[1] ? r->min_rtt_us[0] : r->min_rtt_us[1];
}

static __always_inline __u64 rmt_max_rate(const struct rmt_round *r)
{
	return r->max_rate[0] > r->max_rate[1] ? r->max_rate[0] : r->max_rate[1];
}

static __always_inline __u32 rmt_permille(__u64 part, __u64 whole)
{
	return !whole ? 0 : part >= whole ? 1000 : part * 1000 / whole;
}

/* Segments, addresses and what the kernel knows by itself. */
static __noinline int rmt_fill(struct sock *sk, struct rmt_sock *s)
{
	struct tcp_sock *tp = rmt_tp(sk);
	struct rmt_tcp_fields *f;
	__u64 now = bpf_ktime_get_ns();
	__u32 min_rtt, mss;

	if (!sk || !s)
		return 0;
	f = &s->ev.f;
	mss = tp->mss_cache ? tp->mss_cache : 1;
	min_rtt = rmt_min_rtt(&s->round);
	f->now = now;
	s->ev.now = now;
	f->age_ns = now - s->view.since_ns;
	f->srtt_us = tp->srtt_us >> 3;
	f->min_rtt_us = min_rtt == RMT_NO_RTT ? 0 : min_rtt;
	f->max_rate = rmt_max_rate(&s->round);
	/* The rate is below 2^42 and the time below 2^30 us: the product is cut before it leaves 64 bits. */
	f->bdp = (f->max_rate >> 10) * f->min_rtt_us / mss * 1024 / 1000000;
	f->inflight = rmt_inflight(tp);
	f->retrans = tp->total_retrans;
	f->rounds = s->view.rounds;
	f->cwnd = tp->snd_cwnd;
	f->ssthresh = tp->snd_ssthresh > RMT_CWND_MOST ? RMT_CWND_MOST : tp->snd_ssthresh;
	f->slow_start = tp->snd_cwnd < tp->snd_ssthresh;
	f->state = 1 + rmt_ca_state(sk);
	f->mss = mss > 65535 ? 65535 : mss;
	f->pacing = sk->sk_pacing_rate;
	if (f->pacing > (1ull << 42))
		f->pacing = 1ull << 42;
	s->ev.cwnd = f->cwnd;
	s->ev.ssthresh = f->ssthresh;
	s->ev.pacing = f->pacing;
	s->ev.set = 0;
	s->ev.table = ~0u;
	s->ev.action = ~0u;
	s->ev.slot = ~0u;
	return 0;
}

/* Does not change while the socket lives. */
static __always_inline void rmt_fill_once(struct sock *sk, struct rmt_sock *s)
{
	struct rmt_tcp_fields *f = &s->ev.f;

	f->cgroup = s->view.cgroup;
	s->ev.scope = s->view.scope;
	f->sport = sk->__sk_common.skc_num;
	f->dport = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == RMT_AF_INET6) {
		f->dst[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0] | (__u64)sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1] << 32;
		f->dst[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2] | (__u64)sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3] << 32;
	} else {
		f->dst[0] = 0;
		f->dst[1] = (__u64)bpf_htonl(0xffff) | (__u64)sk->__sk_common.skc_daddr << 32;
	}
}

/* ---- what the policy does -------------------------------------------------------------------------------------------------- */

static __noinline int rmt_write_cwnd(struct sock *sk, __u32 cwnd)
{
	struct tcp_sock *tp = rmt_tp(sk);

	if (!sk)
		return 0;
	rmt_opaque(cwnd); /* as in rmt_base_cwnd */
	if (cwnd < RMT_CWND_MIN)
		cwnd = RMT_CWND_MIN;
	if (cwnd > RMT_CWND_MAX)
		cwnd = RMT_CWND_MAX;
	tp->snd_cwnd = cwnd;
	return cwnd;
}

static __noinline int rmt_write_ssthresh(struct sock *sk, __u32 ssthresh)
{
	struct tcp_sock *tp = rmt_tp(sk);

	if (!sk)
		return 0;
	rmt_opaque(ssthresh);
	if (ssthresh < RMT_CWND_MIN)
		ssthresh = RMT_CWND_MIN;
	if (ssthresh > RMT_CWND_MAX)
		ssthresh = RMT_CWND_MAX;
	tp->snd_ssthresh = ssthresh;
	return ssthresh;
}

static __noinline int rmt_write_pacing(struct sock *sk, __u64 rate)
{
	if (!sk)
		return 0;
	rmt_opaque(rate);
	if (rate < RMT_PACING_MIN)
		rate = RMT_PACING_MIN;
	if (rate > RMT_PACING_MAX)
		rate = RMT_PACING_MAX;
	sk->sk_pacing_rate = rate;
	return 0;
}

/* Beside the window in force: does the policy agree with it? */
static __always_inline void rmt_score(struct rmt_sock *s, struct rmt_cgroup *cg)
{
	__u64 want = s->ev.cwnd, base = s->ev.f.cwnd;

	rmt_add(cg, RMT_TCP_SHADOWED, 1);
	if (!(s->ev.set & RMT_TCP_SINK_CWND))
		return;
	if (want * 8 > base * 9)
		rmt_add(cg, RMT_TCP_SHADOW_ABOVE, 1);
	else if (want * 8 < base * 7)
		rmt_add(cg, RMT_TCP_SHADOW_BELOW, 1);
	else
		rmt_add(cg, RMT_TCP_SHADOW_AGREE, 1);
}

static __always_inline __u32 rmt_bounded(const struct rmt_sock *s)
{
	__u32 cwnd = s->ev.cwnd;
#ifdef RMT_CWND_CHANGE
	__u32 from = s->round.cwnd ? s->round.cwnd : s->ev.f.cwnd;

	if (cwnd < from / RMT_CWND_CHANGE)
		cwnd = from / RMT_CWND_CHANGE;
	if (cwnd / RMT_CWND_CHANGE > from || (cwnd / RMT_CWND_CHANGE == from && cwnd % RMT_CWND_CHANGE))
		cwnd = from * RMT_CWND_CHANGE;
#endif
	return cwnd;
}

/* Carries out what the handler asked for: the only place where a policy of this domain acts. */
static __noinline int rmt_act(struct sock *sk, struct rmt_sock *s, struct rmt_cgroup *cg)
{
	struct tcp_sock *tp = rmt_tp(sk);
	__u32 cwnd, ssthresh, state;

	if (!sk || !s || !cg || !s->ev.set)
		return 0;
	rmt_add(cg, RMT_TCP_DECISIONS, 1);
	if (rmt_mode_now(cg) != RMT_MODE_ENFORCE) {
		rmt_score(s, cg);
		return 0;
	}
	state = rmt_ca_state(sk);
	cwnd = rmt_bounded(s);
	ssthresh = s->ev.ssthresh;
	if (s->ev.set & RMT_TCP_SINK_CWND) {
		if (cwnd != s->ev.cwnd || cwnd < RMT_CWND_MIN || cwnd > RMT_CWND_MAX)
			rmt_add(cg, RMT_TCP_CLAMPED, 1);
		if (cwnd > tp->snd_cwnd_clamp)
			cwnd = tp->snd_cwnd_clamp;
		/* After a timeout the window grows from what is left in flight; more would flood a path that just lost all. */
		if (state != TCP_CA_Loss) {
			cwnd = rmt_write_cwnd(sk, cwnd);
			rmt_add(cg, RMT_TCP_SET_CWND, 1);
			if (!s->ev.f.slow_start)
				s->held = cwnd;
			if (state == TCP_CA_CWR || state == TCP_CA_Recovery)
				s->target = cwnd;
			/* Else the next acknowledgement would take the path back into slow start. */
			if (!(s->ev.set & RMT_TCP_SINK_SSTHRESH) && !s->ev.f.slow_start && tp->snd_ssthresh > cwnd)
				rmt_write_ssthresh(sk, cwnd);
		}
	}
	if (s->ev.set & RMT_TCP_SINK_SSTHRESH) {
		rmt_write_ssthresh(sk, ssthresh);
		rmt_add(cg, RMT_TCP_SET_SSTHRESH, 1);
	}
	if (s->ev.set & RMT_TCP_SINK_PACING) {
		s->pacing = s->ev.pacing;
		rmt_write_pacing(sk, s->ev.pacing);
		rmt_add(cg, RMT_TCP_SET_PACING, 1);
		if (sk->sk_pacing_status == RMT_SK_PACING_NONE) {
			s->paced = 1;
			rmt_base_paced(sk, 1);
		}
	}
	return 1;
}

/* Figures that were counted on the way: a socket's own, without an atomic operation for each acknowledgement. */
static __noinline int rmt_flush(struct sock *sk, struct rmt_sock *s, struct rmt_cgroup *cg)
{
	if (!sk || !s || !cg)
		return 0;
	if (s->acks)
		rmt_add(cg, RMT_TCP_ACKS, s->acks);
	if (s->delivered)
		rmt_add(cg, RMT_TCP_DELIVERED, s->delivered);
	if (s->lost)
		rmt_add(cg, RMT_TCP_LOST, s->lost);
	if (s->ev.on_error)
		rmt_add(cg, RMT_TCP_ON_ERROR, s->ev.on_error);
	if (s->ev.collect_full)
		rmt_add(cg, RMT_TCP_COLLECT_FULL, s->ev.collect_full);
	s->view.answer_error += s->ev.on_error;
	s->acks = s->delivered = s->lost = s->ev.on_error = s->ev.collect_full = 0;
	return 0;
}

static __always_inline void rmt_note(struct sock *sk, struct rmt_sock *s, __u32 event, __u32 mode)
{
	struct rmt_tcp_view *v = &s->view;

	v->last_ns = s->ev.f.now;
	v->rtt_us = s->ev.f.rtt_us;
	v->min_rtt_us = s->ev.f.min_rtt_us;
	v->cwnd = rmt_tp(sk)->snd_cwnd;
	v->ssthresh = rmt_tp(sk)->snd_ssthresh;
	v->pacing = sk->sk_pacing_rate;
	v->mode = mode;
	if (s->ev.table != ~0u) {
		v->table = s->ev.table;
		v->action = s->ev.action;
		v->slot = s->ev.slot;
	}
	if (!s->ev.set)
		return;
	v->event = event;
	v->decisions++;
	v->set = s->ev.set;
	v->want_cwnd = s->ev.cwnd;
	v->want_ssthresh = s->ev.ssthresh;
	v->want_pacing = s->ev.pacing;
}

static __always_inline void rmt_dispatch(struct rmt_event *ev, struct rmt_policy_state *st, __u32 event)
{
#ifdef RMT_HAS_ESTABLISHED
	if (event == RMT_TCP_EVENT_ESTABLISHED)
		rmt_on_established(ev, st);
#endif
#ifdef RMT_HAS_ACK
	if (event == RMT_TCP_EVENT_ACK)
		rmt_on_ack(ev, st);
#endif
#ifdef RMT_HAS_ROUND
	if (event == RMT_TCP_EVENT_ROUND)
		rmt_on_round(ev, st);
#endif
#ifdef RMT_HAS_LOSS
	if (event == RMT_TCP_EVENT_LOSS)
		rmt_on_loss(ev, st);
#endif
#ifdef RMT_HAS_RTO
	if (event == RMT_TCP_EVENT_RTO)
		rmt_on_rto(ev, st);
#endif
}

static __always_inline bool rmt_handles(__u32 event)
{
	switch (event) {
#ifdef RMT_HAS_ESTABLISHED
	case RMT_TCP_EVENT_ESTABLISHED:
#endif
#ifdef RMT_HAS_ACK
	case RMT_TCP_EVENT_ACK:
#endif
#ifdef RMT_HAS_ROUND
	case RMT_TCP_EVENT_ROUND:
#endif
#ifdef RMT_HAS_LOSS
	case RMT_TCP_EVENT_LOSS:
#endif
#ifdef RMT_HAS_RTO
	case RMT_TCP_EVENT_RTO:
#endif
		return true;
	}
	return false;
}

static __noinline int rmt_show(struct sock *sk, struct rmt_sock *s, struct rmt_cgroup *cg, __u32 event)
{
	struct rmt_ctl *ctl = rmt_get_ctl();
	__u32 mode;

	if (!sk || !s || !cg || !ctl)
		return 0;
	mode = ctl->mode;
	if (mode == RMT_MODE_OFF)
		return 0;
	rmt_fill(sk, s);
	rmt_dispatch(&s->ev, &s->state, event);
	if (!rmt_act(sk, s, cg) && mode == RMT_MODE_ENFORCE && s->ev.set)
		mode = RMT_MODE_SHADOW; /* a breaker is open */
	rmt_flush(sk, s, cg);
	rmt_note(sk, s, event, mode);
	return mode;
}

#endif
