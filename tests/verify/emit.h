/* SPDX-License-Identifier: GPL-2.0-only */
/* The function that acts, with each way to get it wrong. */

static __noinline int rmt_emit(struct task *t, struct rmt_cgroup *cg)
{
	__u64 rate = RATE, window = WINDOW_NS;
	__u32 n = t->rec.n, granted, mode;

#ifdef FAULT_TAKE_RATE
	rate = 2 * RATE;
#endif
#ifdef FAULT_TAKE_WINDOW
	window = WINDOW_NS / 2;
#endif
	opaque(rate);
	opaque(window);
#ifdef FAULT_TAKE_RATE_VARIABLE
	rate = t->seen;
#endif
	if (!n)
		return 0;

	/* the mode */
#if defined(FAULT_MODE_INVERTED)
	if (rmt_mode_now(cg) == RMT_MODE_ENFORCE)
		return 0;
#elif defined(FAULT_MODE_ONE_BRANCH)
	if (t->seen & 1) {
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
	t->seen = rmt_mode_now(cg);
#elif defined(FAULT_MODE_IGNORED)
	t->seen = rmt_mode_now(cg);
#elif defined(FAULT_MODE_OTHER_VALUE)
	mode = rmt_mode_now(cg) + t->seen;
	if (mode != RMT_MODE_ENFORCE)
		return 0;
#elif defined(VARIANT_MODE_BOOL)
	bool on = rmt_mode_now(cg) == RMT_MODE_ENFORCE;

	t->seen += on;
	opaque(on);
	if (!on)
		return 0;
#elif defined(VARIANT_MODE_SPILLED)
	mode = rmt_mode_now(cg);
	asm volatile("*(u64 *)(r10 - 16) = %0; %0 = 0; %0 = *(u64 *)(r10 - 16)" : "+r"(mode));
	if (mode != RMT_MODE_ENFORCE)
		return 0;
#elif !defined(FAULT_MODE_MISSING)
	if (rmt_mode_now(cg) != RMT_MODE_ENFORCE)
		return 0;
#endif

	/* the bucket */
#if defined(FAULT_TAKE_MISSING)
	granted = n;
#elif defined(FAULT_TAKE_CONSTANT)
	if (!rmt_take(cg, 1, rate, window))
		return 0;
	granted = n;
#elif defined(FAULT_TAKE_IGNORED)
	rmt_take(cg, n, rate, window);
	granted = n;
#elif defined(FAULT_TAKE_ONE_BRANCH)
	granted = n;
	if (t->seen & 1)
		granted = rmt_take(cg, n, rate, window);
#elif defined(FAULT_TAKE_TWICE)
	granted = rmt_take(cg, n, rate, window);
	t->seen = rmt_take(cg, 1, rate, window);
#elif defined(FAULT_TAKE_PLUS_ONE)
	granted = rmt_take(cg, n, rate, window) + 1;
#elif defined(FAULT_CLAMP_BEFORE_TAKE)
	if (n > PER_EVENT)
		n = PER_EVENT;
	granted = rmt_take(cg, n, rate, window);
#else
	granted = rmt_take(cg, n, rate, window);
#endif
	if (!granted)
		return 0;

	/* the limit */
#if defined(FAULT_CLAMP_OFF_BY_ONE)
	if (granted > PER_EVENT + 1)
		granted = PER_EVENT + 1;
#elif defined(FAULT_CLAMP_SIGNED)
	if ((__s32)granted > PER_EVENT)
		granted = PER_EVENT;
#elif defined(FAULT_CLAMP_NARROW)
	if ((__u8)granted > PER_EVENT)
		granted = PER_EVENT;
#elif defined(FAULT_CLAMP_ONE_BRANCH)
	if (t->seen & 1) {
		if (granted > PER_EVENT)
			granted = PER_EVENT;
	}
#elif defined(FAULT_CLAMP_OTHER)
	if (n > PER_EVENT)
		return 0;
#elif defined(FAULT_CLAMP_AFTER)
	t->seen = granted > PER_EVENT ? PER_EVENT : granted;
#elif defined(VARIANT_CLAMP_RETURN)
	if (granted > PER_EVENT)
		return 0;
#elif !defined(FAULT_CLAMP_MISSING) && !defined(FAULT_CLAMP_BEFORE_TAKE)
	if (granted > PER_EVENT)
		granted = PER_EVENT;
#endif

	t->rec.n = granted;
#if defined(FAULT_SIZE_NO_HEADER)
	bpf_ringbuf_output(&rmt_actions, &t->rec, 8 * (__u64)granted, 0);
#elif defined(FAULT_SIZE_WIDE)
	bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 16 * (__u64)granted, 0);
#elif defined(FAULT_SIZE_CONSTANT)
	bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 8 * PER_EVENT, 0);
#elif defined(FAULT_SIZE_WRAPS)
	bpf_ringbuf_output(&rmt_actions, &t->rec, (__u64)RMT_ACTION_HEADER + 8 * ((__u64)granted - 2), 0);
#elif defined(FAULT_SINK_IN_LOOP)
	int i;

	bpf_for(i, 0, 4)
		bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 8 * (__u64)granted, 0);
#else
	bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 8 * (__u64)granted, 0);
#endif
#ifdef FAULT_SECOND_SINK
	bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 8 * (__u64)granted, 0);
#endif
	return 0;
}

/* Acted upon as well: by eviction behind the stream. */
static __noinline int rmt_note_passed(struct task *t, struct rmt_cgroup *cg)
{
	if (t->seen++ & 31)
		return 0;
#ifndef FAULT_PASSED_MODE
	if (rmt_mode_now(cg) != RMT_MODE_ENFORCE)
		return 0;
#endif
	bpf_ringbuf_output(&rmt_passed, &t->rec, 16, 0);
	return 0;
}
