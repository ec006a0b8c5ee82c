/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions that write to the kernel, and the one that acts, with each way to get it wrong. */

static __noinline __attribute__((used)) int rmt_write_cwnd(struct sock *sk, __u32 cwnd)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (!sk)
		return 0;
#if defined(FAULT_CWND_ZERO)
	cwnd = 0;
#elif defined(FAULT_CWND_ALL)
	cwnd = ~0u;
#elif defined(FAULT_CWND_NO_MIN)
	if (cwnd > CWND_MAX)
		cwnd = CWND_MAX;
#elif defined(FAULT_CWND_NO_MAX)
	if (cwnd < CWND_MIN)
		cwnd = CWND_MIN;
#elif defined(FAULT_CWND_SIGNED) /* ~0 is below the upper limit */
	if ((__s32)cwnd > CWND_MAX)
		cwnd = CWND_MAX;
	opaque(cwnd);
	if (cwnd < CWND_MIN)
		cwnd = CWND_MIN;
#elif defined(FAULT_CWND_NARROW)
	if ((__u16)cwnd > CWND_MAX)
		cwnd = CWND_MAX;
	if ((__u16)cwnd < CWND_MIN)
		cwnd = CWND_MIN;
#elif defined(FAULT_CWND_ONE_BRANCH)
	if (tp->snd_ssthresh & 1) {
		if (cwnd > CWND_MAX)
			cwnd = CWND_MAX;
		if (cwnd < CWND_MIN)
			cwnd = CWND_MIN;
	}
#elif defined(FAULT_CWND_OFF_BY_ONE)
	if (cwnd > CWND_MAX + 1)
		cwnd = CWND_MAX + 1;
	if (cwnd < CWND_MIN)
		cwnd = CWND_MIN;
#elif defined(FAULT_CWND_LOWER)
	if (cwnd > CWND_MAX)
		cwnd = CWND_MAX;
	if (cwnd < CWND_MIN - 1)
		cwnd = CWND_MIN - 1;
#elif defined(VARIANT_CWND_RETURN)
	if (cwnd > CWND_MAX || cwnd < CWND_MIN)
		return 0;
#else
	if (cwnd > CWND_MAX)
		cwnd = CWND_MAX;
	if (cwnd < CWND_MIN)
		cwnd = CWND_MIN;
#endif
#ifdef FAULT_CWND_AFTER
	opaque(cwnd);
	cwnd -= 4;
#endif
#if defined(FAULT_WRITER_FIELD)
	tp->snd_ssthresh = cwnd;
#elif defined(FAULT_WRITER_WIDE)
	*(__u64 *)&tp->snd_cwnd = cwnd;
#elif defined(FAULT_WRITER_UNNAMED)
	((volatile __u32 *)sk)[300] = cwnd;
#else
	tp->snd_cwnd = cwnd;
#endif
#ifdef FAULT_WRITER_TWO
	opaque(cwnd);
	tp->snd_ssthresh = cwnd;
#endif
	return cwnd;
}

static __noinline __attribute__((used)) int rmt_write_ssthresh(struct sock *sk, __u32 ssthresh)
{
	if (!sk)
		return 0;
	if (ssthresh > CWND_MAX)
		ssthresh = CWND_MAX;
	if (ssthresh < CWND_MIN)
		ssthresh = CWND_MIN;
	((struct tcp_sock *)sk)->snd_ssthresh = ssthresh;
	return ssthresh;
}

static __noinline __attribute__((used)) int rmt_write_pacing(struct sock *sk, __u64 rate)
{
	if (!sk)
		return 0;
#if defined(FAULT_PACING_LOW_HALF)
	if ((__u32)rate > PACING_MAX)
		rate = PACING_MAX;
	if ((__u32)rate < PACING_MIN)
		rate = PACING_MIN;
#else
#ifndef FAULT_PACING_NO_MAX
	if (rate > PACING_MAX)
		rate = PACING_MAX;
#endif
#ifndef FAULT_PACING_NO_MIN
	if (rate < PACING_MIN)
		rate = PACING_MIN;
#endif
#endif
	sk->sk_pacing_rate = rate;
	return 0;
}

static __noinline __attribute__((used)) int rmt_base_cwnd(struct sock *sk, __u32 cwnd)
{
	if (!sk)
		return 0;
#ifndef FAULT_BASE_ZERO
	if (cwnd < 1)
		cwnd = 1;
#endif
	if (cwnd > 1 << 20)
		cwnd = 1 << 20;
	((struct tcp_sock *)sk)->snd_cwnd = cwnd;
	return 0;
}

static __noinline __attribute__((used)) int rmt_base_pacing(struct sock *sk, __u64 rate)
{
	if (!sk)
		return 0;
	if (rate < 1000)
		rate = 1000;
	sk->sk_pacing_rate = rate;
	return 0;
}

static __noinline __attribute__((used)) int rmt_act(struct sock *sk, struct value *s, struct rmt_cgroup *cg)
{
	struct event *ev = &s->ev;
	__u32 mode;

	if (!sk || !s || !cg || !ev->set)
		return 0;
#if defined(FAULT_MODE_INVERTED)
	if (rmt_mode_now(cg) == RMT_MODE_ENFORCE)
		return 0;
#elif defined(FAULT_MODE_ONE_BRANCH)
	if (ev->seen & 1) {
		if (rmt_mode_now(cg) != RMT_MODE_ENFORCE)
			return 0;
	}
#elif defined(FAULT_MODE_SHADOW)
	if (rmt_mode_now(cg) != RMT_MODE_SHADOW)
		return 0;
#elif defined(FAULT_MODE_NOT_OFF)
	if (rmt_mode_now(cg) == RMT_MODE_OFF)
		return 0;
#elif defined(FAULT_MODE_STALE)
	if (rmt_mode_now(cg) != RMT_MODE_ENFORCE)
		return 0;
	ev->seen = rmt_mode_now(cg);
#elif defined(FAULT_MODE_IGNORED)
	ev->seen = rmt_mode_now(cg);
#elif defined(FAULT_MODE_LATE)
	rmt_write_pacing(sk, ev->pacing);
	if (rmt_mode_now(cg) != RMT_MODE_ENFORCE)
		return 0;
#elif defined(VARIANT_MODE_SPILLED)
	mode = rmt_mode_now(cg);
	asm volatile("*(u64 *)(r10 - 16) = %0; %0 = 0; %0 = *(u64 *)(r10 - 16)" : "+r"(mode));
	if (mode != RMT_MODE_ENFORCE)
		return 0;
#elif !defined(FAULT_MODE_MISSING)
	mode = rmt_mode_now(cg);
	if (mode != RMT_MODE_ENFORCE)
		return 0;
#endif
	if (ev->set & RMT_TCP_SINK_CWND)
		rmt_write_cwnd(sk, ev->cwnd);
	if (ev->set & RMT_TCP_SINK_SSTHRESH)
		rmt_write_ssthresh(sk, ev->ssthresh);
	if (ev->set & RMT_TCP_SINK_PACING)
		rmt_write_pacing(sk, ev->pacing);
	return 1;
}
