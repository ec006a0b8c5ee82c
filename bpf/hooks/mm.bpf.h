/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain mm, first half: the event that a policy sees, its fields, and the sink `prefetch`. Included by generated code
 * after struct rmt_policy_state; the programs follow in mm_programs.bpf.h, after the policy's handlers. */
#ifndef RMT_MM_BPF_H
#define RMT_MM_BPF_H

#define RMT_HAS_AGENT
#include "rmt/guard.bpf.h"

/* Where the current fault of a task stands. */
enum rmt_stage {
	RMT_STAGE_NONE,
	RMT_STAGE_BEGUN, /* the fault is being handled, the policy has not seen it */
	RMT_STAGE_SHOWN, /* the policy has seen it */
};

struct rmt_task {
	__u64 page;         /* of the current fault */
	__u64 start_ns;
	__u64 cgroup;
	__u64 slot;         /* swap entry of the page, 0: not swapped or not known */
	__u64 vma_start, vma_end; /* pages; 0, 0: the kernel does not tell */
	__u64 last_page;    /* of the last event */
	__u32 stage;        /* enum rmt_stage */
	__u32 kind;         /* enum rmt_page_kind, 0: not known yet */
	__u8 tagged;        /* the page was brought in by us, as far as the ledger knows */
	__u8 major;
	__u8 write;
	__u8 seen;          /* last_page is valid */
	__u8 asked;         /* the policy has asked for the page lately */
	__u8 lead;          /* pages asked for after it */
	__u8 pad[2];
	__u32 sequence;     /* pages asked for so far */
	__u32 pad1;
	struct rmt_action rec;
	__u32 passed_n;     /* touches in `passed` */
	__u32 pad2;
	struct rmt_passed passed;
	struct rmt_policy_state state __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rmt_task);
} rmt_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} rmt_actions SEC(".maps");

/* What the policy's code is handed; lives on the program's stack. */
struct rmt_event {
	struct rmt_task *task;
	struct rmt_cgroup *cg;
	__u64 now;
	__u64 page;
	__s64 delta;
	__u64 outcome_page;
	__u64 comm[2];
	__u32 kind;
	__u32 outcome;
	__u32 pid, tgid;
	__u32 usage_percent;
	__u8 prefetched, major, write, asked, lead, pad[3];
};

/* ---- fields of the language: a.b is rmt_field_a_b(ev); docs/hooks.md has their types and units ------------------- */

static __always_inline __s64 rmt_field_fault_page(struct rmt_event *ev) { return ev->page; }
static __always_inline __s64 rmt_field_fault_delta(struct rmt_event *ev) { return ev->delta; }
static __always_inline __s64 rmt_field_fault_prefetched(struct rmt_event *ev) { return ev->prefetched; }
static __always_inline __s64 rmt_field_fault_asked(struct rmt_event *ev) { return ev->asked; }
static __always_inline __s64 rmt_field_fault_lead(struct rmt_event *ev) { return ev->lead; }
static __always_inline __s64 rmt_field_fault_major(struct rmt_event *ev) { return ev->major; }
static __always_inline __s64 rmt_field_fault_write(struct rmt_event *ev) { return ev->write; }
static __always_inline __s64 rmt_field_vma_kind(struct rmt_event *ev) { return ev->kind; }
static __always_inline __s64 rmt_field_vma_start(struct rmt_event *ev) { return ev->task->vma_start; }
static __always_inline __s64 rmt_field_vma_end(struct rmt_event *ev) { return ev->task->vma_end; }
static __always_inline __s64 rmt_field_memcg_usage_percent(struct rmt_event *ev) { return ev->usage_percent; }
static __always_inline __s64 rmt_field_cgroup(struct rmt_event *ev) { return ev->task->cgroup; }
static __always_inline __s64 rmt_field_pid(struct rmt_event *ev) { return ev->pid; }
static __always_inline __s64 rmt_field_tgid(struct rmt_event *ev) { return ev->tgid; }
static __always_inline __s64 rmt_field_cpu(struct rmt_event *ev) { return bpf_get_smp_processor_id(); }
static __always_inline __s64 rmt_field_ts(struct rmt_event *ev) { return ev->now; }
static __always_inline __s64 rmt_field_outcome_page(struct rmt_event *ev) { return ev->outcome_page; }
static __always_inline __s64 rmt_field_outcome_kind(struct rmt_event *ev) { return ev->outcome; }
static __always_inline void rmt_field_comm(struct rmt_event *ev, __u64 words[2])
{
	words[0] = ev->comm[0];
	words[1] = ev->comm[1];
}

static __always_inline void rmt_count(struct rmt_event *ev, enum rmt_stat stat, __u64 n)
{
	rmt_add(ev->cg, stat, n);
}

/* ---- tags: what was asked of a virtual page lately ----------------------------------------------------------------
 * `word` is page (36 bits) | process (22) | state (2) | age (4, units of 2^28 ns). Direct mapped: a page that lands on
 * another's place replaces it; a tag is a memory, not a promise. Exact figures come from the slots below. */

enum rmt_tag_state {
	RMT_TAG_NOTED = 0,  /* the policy named it; not (yet) handed to the agent */
	RMT_TAG_ASKED = 1,  /* handed to the agent, anonymous memory */
	RMT_TAG_FILE = 2,   /* handed to the agent, file mapping */
	RMT_TAG_SHADOW = 3, /* would have been handed to the agent */
};

#define RMT_TAGS (1u << 18)
#define RMT_TAG_PAGES (1ull << 36)

struct rmt_tag {
	__u64 word;
	__u32 thread;
	__u32 sequence; /* the thread's count of pages asked for, when it asked for this one */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RMT_TAGS);
	__type(key, __u32);
	__type(value, struct rmt_tag);
} rmt_tags SEC(".maps");

static __always_inline __u64 rmt_tag_word(__u64 page, __u32 tgid, __u32 state, __u64 now)
{
	return page << 28 | (__u64)(tgid & 0x3fffff) << 6 | state << 4 | (now >> 28 & 15);
}

static __always_inline __u32 rmt_tag_state(__u64 word)
{
	return word >> 4 & 3;
}

/* Within 0.27 to 0.54 s: what was asked for longer ago may have gone again. */
static __always_inline bool rmt_tag_fresh(__u64 word, __u64 now)
{
	return ((now >> 28) - word & 15) <= 1;
}

static __always_inline struct rmt_tag *rmt_tag_place(__u64 page, __u32 tgid)
{
	__u32 key = (__u32)(page ^ tgid * 2654435761u) & (RMT_TAGS - 1);

	return bpf_map_lookup_elem(&rmt_tags, &key);
}

/* The tag of this page, or NULL. */
static __always_inline struct rmt_tag *rmt_find_tag(__u64 page, __u32 tgid)
{
	struct rmt_tag *tag = rmt_tag_place(page, tgid);

	return tag && tag->word && (tag->word ^ rmt_tag_word(page, tgid, 0, 0)) >> 6 == 0 ? tag : NULL;
}

/* ---- slots: swapped pages that the agent's requests read, keyed by swap entry ---------------------------------------
 * A slot is entered when its page is read from the device on the agent's behalf, and leaves when the page is touched,
 * when it is read again (it was gone before its use), or when another slot needs the place. Each read is used at most
 * once, so used / read never exceeds 1. */

#define RMT_SLOTS (1u << 18)

struct rmt_slot {
	__u64 key;    /* swap entry << 1 | 1; 0: free */
	__u64 cgroup;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RMT_SLOTS);
	__type(key, __u32);
	__type(value, struct rmt_slot);
} rmt_slots SEC(".maps");

static __always_inline struct rmt_slot *rmt_find_slot(__u64 slot)
{
	__u32 key = (__u32)(slot ^ slot >> 58) & (RMT_SLOTS - 1);

	return bpf_map_lookup_elem(&rmt_slots, &key);
}

/* ---- the sink ------------------------------------------------------------------------------------------------------ */

/* Appends a page to the event's record. Pages outside the faulting VMA are dropped where the kernel tells its bounds
 * (elsewhere the agent does it); pages asked for a moment ago are not asked for again, but keep their place in the
 * sequence. */
static __noinline int rmt_prefetch(struct rmt_event *ev, __u64 page)
{
	struct rmt_task *t = ev->task;
	struct rmt_tag *tag;
	__u32 n = t->rec.n;
	bool again;

	rmt_add(ev->cg, RMT_STAT_ASKED, 1);
	if (page == 0 || page >= RMT_TAG_PAGES)
		return 0;
	if (t->vma_end && (page < t->vma_start || page >= t->vma_end))
		return 0;
	t->sequence++;
	tag = rmt_find_tag(page, ev->tgid);
	again = tag && rmt_tag_fresh(tag->word, ev->now) &&
		(rmt_tag_state(tag->word) == RMT_TAG_ASKED || rmt_tag_state(tag->word) == RMT_TAG_FILE);
	if (!again) {
		if (n >= RMT_PREFETCH_PER_EVENT) {
			rmt_add(ev->cg, RMT_STAT_CLAMPED, 1);
			return 0;
		}
		t->rec.page[n & (RMT_MAX_PAGES - 1)] = page;
		t->rec.n = n + 1;
		tag = rmt_tag_place(page, ev->tgid);
		if (!tag)
			return 0;
		tag->word = rmt_tag_word(page, ev->tgid, RMT_TAG_NOTED, ev->now);
	}
	tag->thread = ev->pid;
	tag->sequence = t->sequence;
	return 1;
}

static __noinline int rmt_tag_pages(struct rmt_event *ev, __u32 n, __u32 state)
{
	struct rmt_task *t = ev->task;
	struct rmt_tag *tag;
	int i;

	bpf_for(i, 0, RMT_PREFETCH_PER_EVENT) {
		if (i >= n)
			break;
		tag = rmt_find_tag(t->rec.page[i & (RMT_MAX_PAGES - 1)], ev->tgid);
		if (tag)
			tag->word |= state << 4;
	}
	return 0;
}

/* Hands the event's record to the agent: the only place where a policy of this domain acts. */
static __noinline int rmt_emit(struct rmt_event *ev)
{
	struct rmt_task *t = ev->task;
	__u64 rate = RMT_PREFETCH_RATE, window = RMT_PREFETCH_WINDOW_NS;
	__u32 n = t->rec.n, granted;

	/* Otherwise clang folds the constants into rmt_take, where the RMT verifier cannot see what was asked for. */
	rmt_opaque(rate);
	rmt_opaque(window);
	if (!n)
		return 0;
	if (rmt_mode_now(ev->cg) != RMT_MODE_ENFORCE) {
		rmt_add(ev->cg, RMT_STAT_SHADOWED, n);
		rmt_add(ev->cg, RMT_STAT_SHADOW_PRED, n);
		rmt_tag_pages(ev, n, RMT_TAG_SHADOW);
		return 0;
	}
	granted = rmt_take(ev->cg, n, rate, window);
	if (granted > RMT_PREFETCH_PER_EVENT)
		granted = RMT_PREFETCH_PER_EVENT;
	if (granted < n)
		rmt_add(ev->cg, RMT_STAT_LIMITED, n - granted);
	if (!granted)
		return 0;
	t->rec.n = granted;
	t->rec.tgid = ev->tgid;
	t->rec.cgroup = t->cgroup;
	t->rec.ts = ev->now;
	t->rec.fault = ev->page;
	t->rec.kind = ev->kind;
	if (bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER + 8 * (__u64)granted, 0)) {
		rmt_add(ev->cg, RMT_STAT_RING_FULL, 1);
		return 0;
	}
	rmt_add(ev->cg, ev->kind == RMT_PAGE_FILE ? RMT_STAT_FILE_ISSUED : RMT_STAT_ISSUED, granted);
	rmt_tag_pages(ev, granted, ev->kind == RMT_PAGE_FILE ? RMT_TAG_FILE : RMT_TAG_ASKED);
	t->passed.asked += granted;
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} rmt_passed SEC(".maps");

/* Notes a touched page of anonymous memory; every 32 of them go to the agent, which evicts behind the stream. */
static __noinline int rmt_note_passed(struct rmt_event *ev)
{
	struct rmt_task *t = ev->task;
	__u32 n = t->passed_n;

	if (ev->kind != RMT_PAGE_ANON)
		return 0;
	t->passed.page[n & (RMT_PASSED_PAGES - 1)] = ev->page;
	t->passed_n = ++n;
	if (n & (RMT_PASSED_PAGES - 1) || rmt_mode_now(ev->cg) != RMT_MODE_ENFORCE)
		return 0;
	t->passed.tgid = ev->tgid;
	t->passed.cgroup = t->cgroup;
	bpf_ringbuf_output(&rmt_passed, &t->passed, sizeof(t->passed), 0);
	t->passed.asked = 0;
	return 0;
}

static __always_inline __u64 rmt_event_cgroup(struct rmt_event *ev)
{
	return ev->task->cgroup;
}

#include "rmt/observe.bpf.h"

#endif
