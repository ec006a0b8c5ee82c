/* SPDX-License-Identifier: GPL-2.0-only */
/* What holds whatever a policy or a model says: mode, breaker, token bucket. Everything that acts asks here, after the
 * policy has spoken. The RMT verifier proves on the bytecode that every act passes rmt_mode_now() and rmt_take(): keep
 * both simple, noinline, and free of state of the policy's own. */
#ifndef RMT_GUARD_BPF_H
#define RMT_GUARD_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rmt_ctl);
} rmt_ctl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct rmt_cgroup);
} rmt_scope SEC(".maps");

static __always_inline struct rmt_ctl *rmt_get_ctl(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rmt_ctl, &zero);
}

static __always_inline void rmt_add(struct rmt_cgroup *cg, __u32 stat, __u64 n)
{
	__sync_fetch_and_add(&cg->stat[stat], n);
}

#if defined(RMT_BREACH_ACCURACY) || defined(RMT_BREACH_RETRANS)
#define RMT_HAS_BREACH
#define RMT_BREACH_MIN 64 /* fewer pages read, or segments, within the window say nothing */

/* The measure's two counters, and what they must not become: accuracy = used / read, retrans = lost / (delivered + lost). */
#ifdef RMT_BREACH_ACCURACY
#define RMT_BREACH_PART(cg) ((cg)->stat[RMT_STAT_USED])
#define RMT_BREACH_WHOLE(cg) ((cg)->stat[RMT_STAT_READ])
#define RMT_BREACHED(part, whole) ((part) * 100 < (whole) * RMT_BREACH_ACCURACY)
#else
#define RMT_BREACH_PART(cg) ((cg)->stat[RMT_TCP_LOST])
#define RMT_BREACH_WHOLE(cg) ((cg)->stat[RMT_TCP_DELIVERED] + (cg)->stat[RMT_TCP_LOST])
#define RMT_BREACHED(part, whole) ((part) * 100 > (whole) * RMT_BREACH_RETRANS)
#endif

/* Closes the window when it is over and opens the breaker when the measure is on the wrong side of the threshold. Two
 * CPUs may both close a window: the rule is then applied twice to about the same figures, which is harmless. */
static __always_inline bool rmt_breaker_open(struct rmt_cgroup *cg, __u64 now)
{
	struct rmt_breaker *b = &cg->breaker;
	__u64 part, whole;

	if (b->open_until_ns) {
		if (now < b->open_until_ns)
			return true;
		b->open_until_ns = 0;
		b->window_start_ns = 0;
	}
	if (b->window_start_ns && now - b->window_start_ns < RMT_BREACH_WINDOW_NS)
		return false;
	part = RMT_BREACH_PART(cg) - b->base_good;
	whole = RMT_BREACH_WHOLE(cg) - b->base_all;
	if (b->window_start_ns && whole >= RMT_BREACH_MIN && RMT_BREACHED(part, whole)) {
		b->open_until_ns = RMT_BREACH_HOLD_NS ? now + RMT_BREACH_HOLD_NS : ~0ull;
		rmt_add(cg, RMT_STAT_BREACH, 1);
	}
	b->window_start_ns = now;
	b->base_good = RMT_BREACH_PART(cg);
	b->base_all = RMT_BREACH_WHOLE(cg);
	return b->open_until_ns != 0;
}
#endif

/* The mode in force for this cgroup at this moment: what the person asked for, lowered by an open breaker or, where one
 * acts (RMT_HAS_AGENT), by an agent that gives no sign of life: its ring would only fill. */
static __noinline int rmt_mode_now(struct rmt_cgroup *cg)
{
	struct rmt_ctl *ctl = rmt_get_ctl();
#if defined(RMT_HAS_BREACH) || defined(RMT_HAS_AGENT)
	__u64 now = bpf_ktime_get_ns();
#endif

	if (!ctl || !cg)
		return RMT_MODE_OFF;
	if (ctl->mode != RMT_MODE_ENFORCE)
		return ctl->mode;
#ifdef RMT_HAS_BREACH
	if (rmt_breaker_open(cg, now))
		return RMT_MODE_SHADOW;
#endif
#ifdef RMT_HAS_AGENT
	/* Signed: the agent may have written its beat after `now` was read. */
	if ((__s64)(now - ctl->agent_beat) > (__s64)RMT_AGENT_DEAD_NS)
		return RMT_MODE_SHADOW;
#endif
	return RMT_MODE_ENFORCE;
}

/* Token bucket: grants 0..n units; over any time t a cgroup is granted at most rate + rate * t / window. The refill is
 * claimed by one compare-and-swap of the time stamp, so no interval is counted twice; what a race loses is lost to the
 * policy, never gained. */
static __noinline __u32 rmt_take(struct rmt_cgroup *cg, __u32 n, __u64 rate, __u64 window_ns)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 last, elapsed, refill;
	__s64 before;

	if (!cg)
		return 0;
	last = cg->bucket.last_ns;
	elapsed = now - last;
	if (!last || (__s64)elapsed >= (__s64)window_ns) {
		if (__sync_val_compare_and_swap(&cg->bucket.last_ns, last, now) == last)
			cg->bucket.tokens = rate;
	} else if ((__s64)elapsed > 0) {
		/* elapsed < window: no overflow while rate * window < 2^64, which the compiler checks */
		refill = elapsed * rate / window_ns;
		if (refill && __sync_val_compare_and_swap(&cg->bucket.last_ns, last, last + refill * window_ns / rate) == last) {
			before = __sync_fetch_and_add(&cg->bucket.tokens, refill);
			if (before + (__s64)refill > (__s64)rate)
				cg->bucket.tokens = rate;
		}
	}
	before = __sync_fetch_and_add(&cg->bucket.tokens, -(__s64)n);
	if (before >= (__s64)n)
		return n;
	if (before <= 0) {
		__sync_fetch_and_add(&cg->bucket.tokens, n);
		return 0;
	}
	__sync_fetch_and_add(&cg->bucket.tokens, (__s64)n - before);
	return before;
}

#endif
