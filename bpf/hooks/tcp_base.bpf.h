/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs below a policy: the kernel's own algorithm by its kfuncs, whose state is icsk_ca_priv, and what a control of
 * the cong_control form has to do itself: proportional rate reduction and the pacing rate. After Linux net/ipv4/tcp_input.c:
 * tcp_cong_control, tcp_cwnd_reduction (RFC 6937), tcp_end_cwnd_reduction, tcp_may_raise_cwnd, tcp_update_pacing_rate.
 * Writes go through rmt_base_*, which keep to the profile's range whatever is asked of them. */
#ifndef RMT_TCP_BASE_BPF_H
#define RMT_TCP_BASE_BPF_H

extern __u32 tcp_slow_start(struct tcp_sock *tp, __u32 acked) __ksym;
extern __u32 tcp_reno_ssthresh(struct sock *sk) __ksym;
extern __u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;
extern void tcp_reno_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;

#define RMT_CWND_MOST (1u << 20) /* segments; of the profile */
#define RMT_PACING_NONE (~0ull)  /* linux: sk_pacing_rate of a socket that is not paced */

/* linux: include/net/sock.h, enum sk_pacing; net/ipv4/tcp_input.c, FLAG_* */
#define RMT_SK_PACING_NONE 0
#define RMT_SK_PACING_NEEDED 1
#define RMT_FLAG_DATA_ACKED 0x04
#define RMT_FLAG_SYN_ACKED 0x10
#define RMT_FLAG_DATA_SACKED 0x20
#define RMT_FLAG_SND_UNA_ADVANCED 0x400
#define RMT_FORWARD_PROGRESS (RMT_FLAG_DATA_ACKED | RMT_FLAG_SYN_ACKED | RMT_FLAG_DATA_SACKED)
#define RMT_REORDERING 3 /* the kernel's sysctl, its default */

static __always_inline struct tcp_sock *rmt_tp(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline __u32 rmt_ca_state(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD((struct inet_connection_sock *)sk, icsk_ca_state);
}

static __always_inline __u32 rmt_inflight(struct tcp_sock *tp)
{
	return tp->packets_out - (tp->sacked_out + tp->lost_out) + tp->retrans_out;
}

static __always_inline bool rmt_cwnd_limited(struct tcp_sock *tp)
{
	if (BPF_CORE_READ_BITFIELD(tp, is_cwnd_limited))
		return true;
	return tp->snd_cwnd < tp->snd_ssthresh && tp->snd_cwnd < 2 * tp->max_packets_out;
}

static __noinline int rmt_base_cwnd(struct sock *sk, __u32 cwnd)
{
	struct tcp_sock *tp = rmt_tp(sk);

	if (!sk)
		return 0;
	rmt_opaque(cwnd); /* else clang drops a bound that all callers keep, which the RMT verifier then misses here */
	if (cwnd < 1)
		cwnd = 1;
	if (cwnd > RMT_CWND_MOST)
		cwnd = RMT_CWND_MOST;
	tp->snd_cwnd = cwnd;
	return 0;
}

static __noinline int rmt_base_pacing(struct sock *sk, __u64 rate)
{
	if (!sk)
		return 0;
	rmt_opaque(rate);
	if (rate < 1000)
		rate = 1000;
	sk->sk_pacing_rate = rate;
	return 0;
}

/* Switches the stack's own pacing on or off; where a qdisc paces (fq), it is left to it. */
static __noinline int rmt_base_paced(struct sock *sk, __u32 on)
{
	if (!sk)
		return 0;
	sk->sk_pacing_status = on ? RMT_SK_PACING_NEEDED : RMT_SK_PACING_NONE;
	return 0;
}

#ifdef RMT_BASE_CUBIC
extern void cubictcp_init(struct sock *sk) __ksym;
extern __u32 cubictcp_recalc_ssthresh(struct sock *sk) __ksym;
extern void cubictcp_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;
extern void cubictcp_state(struct sock *sk, __u8 new_state) __ksym;
extern void cubictcp_acked(struct sock *sk, const struct ack_sample *sample) __ksym;
extern void cubictcp_cwnd_event(struct sock *sk, enum tcp_ca_event event) __ksym __weak;
extern void cubictcp_cwnd_event_tx_start(struct sock *sk) __ksym __weak;
#define RMT_BASE_HAS_ACKED
#define rmt_base_init(sk) cubictcp_init(sk)
#define rmt_base_ssthresh(sk) cubictcp_recalc_ssthresh(sk)
#define rmt_base_undo(sk) tcp_reno_undo_cwnd(sk)
#define rmt_base_state(sk, s) cubictcp_state(sk, s)
#define rmt_base_acked(sk, sample) cubictcp_acked(sk, sample)
#define rmt_base_grow(sk, ack, acked) cubictcp_cong_avoid(sk, ack, acked)
#define rmt_base_event(sk, event) cubictcp_cwnd_event(sk, event)
#define rmt_base_event_tx(sk) cubictcp_cwnd_event_tx_start(sk)
#endif

#ifdef RMT_BASE_RENO
#define rmt_base_init(sk) ((void)(sk))
#define rmt_base_ssthresh(sk) tcp_reno_ssthresh(sk)
#define rmt_base_undo(sk) tcp_reno_undo_cwnd(sk)
#define rmt_base_state(sk, s) ((void)(sk))
#define rmt_base_grow(sk, ack, acked) tcp_reno_cong_avoid(sk, ack, acked)
#define rmt_base_event(sk, event) ((void)(sk))
#define rmt_base_event_tx(sk) ((void)(sk))
#endif

#ifdef RMT_BASE_BBR
extern void bbr_init(struct sock *sk) __ksym;
extern void bbr_main(struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs) __ksym;
extern __u32 bbr_sndbuf_expand(struct sock *sk) __ksym;
extern __u32 bbr_undo_cwnd(struct sock *sk) __ksym;
extern __u32 bbr_ssthresh(struct sock *sk) __ksym;
extern __u32 bbr_min_tso_segs(struct sock *sk) __ksym;
extern void bbr_set_state(struct sock *sk, __u8 new_state) __ksym;
extern void bbr_cwnd_event(struct sock *sk, enum tcp_ca_event event) __ksym __weak;
extern void bbr_cwnd_event_tx_start(struct sock *sk) __ksym __weak;
#define rmt_base_init(sk) bbr_init(sk)
#define rmt_base_ssthresh(sk) bbr_ssthresh(sk)
#define rmt_base_undo(sk) bbr_undo_cwnd(sk)
#define rmt_base_state(sk, s) bbr_set_state(sk, s)
#define rmt_base_event(sk, event) bbr_cwnd_event(sk, event)
#define rmt_base_event_tx(sk) bbr_cwnd_event_tx_start(sk)
#endif

#ifndef RMT_BASE_BBR
/* Proportional rate reduction: the window shrinks to `target` as segments are delivered, and no slower than they leave. */
static __noinline int rmt_reduce(struct sock *sk, struct rmt_sock *s, __u32 newly_acked, int newly_lost, __u32 flag)
{
	struct tcp_sock *tp = rmt_tp(sk);
	__u32 target, inflight;
	__s32 send, room;

	if (!sk || !s || !newly_acked || !tp->prior_cwnd)
		return 0;
	target = s->target ? s->target : tp->snd_ssthresh;
	inflight = rmt_inflight(tp);
	room = (__s32)target - (__s32)inflight;
	s->prr_delivered += newly_acked;
	if (room < 0) {
		__u64 dividend = (__u64)target * s->prr_delivered + tp->prior_cwnd - 1;

		send = (__s32)(dividend / tp->prior_cwnd) - (__s32)tp->prr_out;
	} else {
		send = (__s32)s->prr_delivered - (__s32)tp->prr_out;
		if (send < (__s32)newly_acked)
			send = newly_acked;
		if (flag & RMT_FLAG_SND_UNA_ADVANCED && !newly_lost)
			send++;
		if (send > room)
			send = room;
	}
	/* A retransmission may always leave at the beginning. */
	if (send < (tp->prr_out ? 0 : 1))
		send = tp->prr_out ? 0 : 1;
	rmt_base_cwnd(sk, inflight + send);
	return 0;
}

static __always_inline void rmt_base_rate(struct sock *sk)
{
	struct tcp_sock *tp = rmt_tp(sk);
	__u64 rate = (__u64)tp->mss_cache * (8 * 1000000ull / 100), most = sk->sk_max_pacing_rate;
	__u32 window = tp->snd_cwnd > tp->packets_out ? tp->snd_cwnd : tp->packets_out;

	/* The ratios are sysctls of the kernel; their defaults, in percent. */
	rate *= tp->snd_cwnd < tp->snd_ssthresh / 2 ? 200 : 120;
	rate *= window;
	if (tp->srtt_us)
		rate /= tp->srtt_us;
	rmt_base_pacing(sk, rate < most ? rate : most);
}
#endif

#endif
