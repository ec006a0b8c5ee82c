/* SPDX-License-Identifier: GPL-2.0-only */
/* What leaves the kernel: collected records and training samples. Nobody acts upon them. A domain's first half includes this
 * after struct rmt_event (with `now`), rmt_count() and rmt_event_cgroup(). */
#ifndef RMT_OBSERVE_BPF_H
#define RMT_OBSERVE_BPF_H

#ifdef RMT_HAS_COLLECT
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} rmt_collect SEC(".maps");

static __always_inline void rmt_collect_out(struct rmt_event *ev, void *record, __u64 size)
{
	if (bpf_ringbuf_output(&rmt_collect, record, size, BPF_RB_NO_WAKEUP))
		rmt_count(ev, RMT_STAT_COLLECT_FULL, 1);
}
#endif

#ifdef RMT_HAS_TRAIN
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} rmt_train SEC(".maps");

/* One training sample: the model's inputs as they stood when the event came, and what then happened. */
static __noinline int rmt_train_out(struct rmt_event *ev, __u32 model, const __s32 *input, __u32 n, __s32 label)
{
	struct rmt_ctl *ctl = rmt_get_ctl();
	struct rmt_sample s = {};
	int i;

	if (!ctl || !ctl->train || !input)
		return 0;
	s.ts = ev->now;
	s.cgroup = rmt_event_cgroup(ev);
	s.model = model;
	s.n = n;
	s.label = label;
#pragma clang loop unroll(full)
	for (i = 0; i < RMT_MAX_INPUTS; i++)
		s.input[i] = input[i];
	if (bpf_ringbuf_output(&rmt_train, &s, sizeof(s), BPF_RB_NO_WAKEUP))
		rmt_count(ev, RMT_STAT_COLLECT_FULL, 1);
	return 0;
}
#endif

#endif
