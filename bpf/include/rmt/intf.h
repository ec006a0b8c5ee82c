/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The one contract between the programs in the kernel and the C++ that loads, feeds and reads them. Fixed-width kernel
 * types only; every struct is followed by a check of its size; a test compares the layouts with the object's BTF.
 * Included by BPF C (after the kernel types) and by C++ (where <linux/types.h> has them). */
#ifndef RMT_INTF_H
#define RMT_INTF_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define RMT_SIZE(type, size) static_assert(sizeof(type) == (size), "layout of " #type)
#else
#define RMT_SIZE(type, size) _Static_assert(sizeof(type) == (size), "layout of " #type)
#endif

#define RMT_INTF_VERSION 1

/* ---- control: map `rmt_ctl` (ARRAY, 1 entry, mmapable) ------------------------------------------------------- */

enum rmt_mode {
	RMT_MODE_OFF = 0,     /* nothing runs; nothing is counted */
	RMT_MODE_SHADOW = 1,  /* decides, counts and scores; does not act */
	RMT_MODE_ENFORCE = 2, /* decides and acts */
};

#define RMT_SCOPE_BITS 1024

struct rmt_ctl {
	__u32 mode;         /* enum rmt_mode */
	__u32 agent_tgid;   /* process that acts outside the kernel; its own faults are never events. 0: none */
	__u64 agent_beat;   /* bpf_ktime of the agent's last sign of life, ns; older than RMT_AGENT_DEAD_NS: no actions */
	__u64 agent_cgroup; /* memory cgroup whose record the agent carries out right now (ledger), 0: none */
	__u32 train;        /* 1: emit training samples */
	__u32 late_ns;      /* a hit whose fault took longer was late */
	__u64 direct_map;   /* kernel's virtual address of physical page 0, found by rmt_calibrate; 0: unknown */
	__u32 pt_levels;    /* page-table levels, 4 or 5 */
	__u32 pad;
	__u64 scope_bits[RMT_SCOPE_BITS / 64]; /* bit (id % RMT_SCOPE_BITS) of each attached cgroup: others leave at once */
};
RMT_SIZE(struct rmt_ctl, 48 + RMT_SCOPE_BITS / 8);

#define RMT_AGENT_DEAD_NS 1000000000ull

/* ---- scope and per-cgroup figures: map `rmt_scope` (HASH, key __u64 = kernfs id of the memory cgroup) ----------- */

#define RMT_STUCK_NS 1000000ull

enum rmt_stat {
	RMT_STAT_FAULTS,        /* user faults in scope */
	RMT_STAT_EVENTS,        /* accesses shown to the policy: swapped or prefetched pages touched */
	RMT_STAT_MAJOR,         /* faults that had to wait for a read: misses */
	RMT_STAT_HIT,           /* faults on a page that this policy had brought in: hits */
	RMT_STAT_LATE,          /* hits that still waited longer than late_ns */
	RMT_STAT_OTHER,         /* swap-cache hits that were not ours */
	RMT_STAT_ASKED,         /* pages that the policy asked for (any mode) */
	RMT_STAT_CLAMPED,       /* pages refused by the limit per event */
	RMT_STAT_LIMITED,       /* pages refused by the token bucket */
	RMT_STAT_SHADOWED,      /* pages not asked of the agent: mode, breaker, or no agent */
	RMT_STAT_ISSUED,        /* pages handed to the agent */
	RMT_STAT_READ,          /* pages that the agent's request read from the device */
	RMT_STAT_USED,          /* of those, touched by the workload (each at most once): accuracy = used / read */
	RMT_STAT_WASTED,        /* of those, gone before they were touched */
	RMT_STAT_FILE_ISSUED,   /* file pages handed to the agent */
	RMT_STAT_FILE_USED,     /* of those, touched by a fault that did not wait */
	RMT_STAT_SHADOW_PRED,   /* pages predicted while in shadow */
	RMT_STAT_SHADOW_HIT,    /* of those, touched while still remembered */
	RMT_STAT_APP_READ,      /* swap pages read by the workload itself (its misses and the kernel's readahead) */
	RMT_STAT_WRITTEN,       /* swap pages written, whoever caused it */
	RMT_STAT_STALL_MAJOR,   /* ns spent in faults that had to read */
	RMT_STAT_STALL_HIT,     /* ns spent in hits */
	RMT_STAT_BREACH,        /* times the breaker opened */
	RMT_STAT_RING_FULL,     /* records lost because the agent was behind */
	RMT_STAT_COLLECT_FULL,  /* collected or training records lost */
	RMT_STAT_ON_ERROR,      /* inferences answered by on_error: no model, or inputs outside its trained range */
	RMT_STAT_NO_STORAGE,    /* events lost because task storage could not be had */
	RMT_STAT_STUCK,         /* faults on pages asked for that took RMT_STUCK_NS or longer: behind reclaim, mostly */
	RMT_STAT_LEAD,          /* pages that had been asked for behind a hit, summed over the hits (255 at most for each) */
	RMT_STAT_COUNT = 32,
};

/* Token bucket. tokens are the units left; they refill by `rate` per `window`, up to `rate`. */
struct rmt_bucket {
	__s64 tokens;
	__u64 last_ns;
};
RMT_SIZE(struct rmt_bucket, 16);

/* Breaker of one `on breach` rule: opens when the measure falls below the threshold over the window. */
struct rmt_breaker {
	__u64 window_start_ns;
	__u64 base_good;      /* value of the good counter when the window began */
	__u64 base_all;
	__u64 open_until_ns;  /* 0: closed; ~0: open until a person changes the mode */
};
RMT_SIZE(struct rmt_breaker, 32);

struct rmt_cgroup {
	__u64 stat[RMT_STAT_COUNT];  /* enum rmt_stat, atomically added */
	struct rmt_bucket bucket;
	struct rmt_breaker breaker;
};
RMT_SIZE(struct rmt_cgroup, 304);

/* ---- records for the agent: map `rmt_actions` (RINGBUF) -------------------------------------------------------- */

#define RMT_MAX_PAGES 64 /* of one record; the profile's upper bound of `prefetch.pages per event` */

enum rmt_page_kind {
	RMT_PAGE_ANON = 1,
	RMT_PAGE_FILE = 2,
};

struct rmt_action {
	__u32 tgid;
	__u32 n;         /* pages in page[] */
	__u64 cgroup;    /* key in rmt_scope */
	__u64 ts;        /* bpf_ktime, ns */
	__u64 fault;     /* page whose fault asked for this */
	__u32 kind;      /* enum rmt_page_kind */
	__u32 flags;
	__u64 page[RMT_MAX_PAGES]; /* virtual page numbers (address >> 12) */
};
#define RMT_ACTION_HEADER 40
RMT_SIZE(struct rmt_action, RMT_ACTION_HEADER + 8 * RMT_MAX_PAGES);

/* ---- pages that a stream has passed: map `rmt_passed` (RINGBUF); the agent pages them out when memory is tight ------ */

#define RMT_PASSED_PAGES 32

struct rmt_passed {
	__u32 tgid;
	__u32 asked;                  /* pages handed to the agent for this thread since its last such record */
	__u64 cgroup;
	__u64 page[RMT_PASSED_PAGES]; /* in the order of their touches */
};
RMT_SIZE(struct rmt_passed, 16 + 8 * RMT_PASSED_PAGES);

/* ---- the program's twin for tests: SEC("syscall") `rmt_twin`, the same code on an event made by hand ------------ */

struct rmt_twin {
	__u64 cgroup;        /* key in rmt_scope */
	__u64 page;
	__u64 vma_start, vma_end;
	__u64 comm[2];
	__u32 kind;          /* enum rmt_page_kind */
	__u32 prefetched;
	__u32 major;
	__u32 write;
	__u32 usage_percent;
	__u32 outcome;       /* 0: on mm.fault; else on mm.outcome with this kind */
	__u32 asked, lead;
	__u32 reset;         /* 1: forget this task's state first */
	__u32 n;             /* out: pages that would go to the agent, before rate and mode */
	__u64 out[RMT_MAX_PAGES];
};
RMT_SIZE(struct rmt_twin, 88 + 8 * RMT_MAX_PAGES);

enum rmt_outcome {
	RMT_OUTCOME_USED = 1,
	RMT_OUTCOME_LATE = 2,
	RMT_OUTCOME_WASTED = 3,
};

/* SEC("syscall") `rmt_calibrate`: finds direct_map and pt_levels by looking for a page of the caller's own. */
struct rmt_calibration {
	__u64 address;       /* in: of 16 bytes in a present page of the calling process, 16-aligned */
	__u64 magic[2];      /* in: what stands there */
	__u64 direct_map;    /* out: 0: not found */
	__u32 pt_levels;     /* out */
	__u32 pad;
};
RMT_SIZE(struct rmt_calibration, 40);

/* ---- tables: map `rmt_table_<name>` (ARRAY_OF_MAPS, 1 entry; inner ARRAY of one value: header, then entries) ------
 * A whole table is one value, swapped at once: a lookup sees the old or the new one, never a mixture. The policy's own
 * entry layout: one rmt_range per numeric key or one rmt_text per string key in the order of the keys, then
 * rmt_entry_tail, then __s64 args[]. Numeric keys are biased so that unsigned order is signed order (rmt_key). */

struct rmt_table_header {
	__u32 count;
	__u32 version;
	__u32 default_action;
	__u32 pad;
};
RMT_SIZE(struct rmt_table_header, 16);

struct rmt_range { /* lo <= key <= hi; exact: lo == hi; wildcard: 0..~0 */
	__u64 lo;
	__u64 hi;
};
RMT_SIZE(struct rmt_range, 16);

struct rmt_text { /* (key & mask) == value over 16 bytes; prefix: mask of the first bytes; wildcard: mask 0 */
	__u64 value[2];
	__u64 mask[2];
};
RMT_SIZE(struct rmt_text, 32);

struct rmt_entry_tail {
	__u32 action; /* index into the policy's actions */
	__u32 slot;   /* index of its counter in rmt_hits_<table>; the default's is the table's size */
};
RMT_SIZE(struct rmt_entry_tail, 8);

#define RMT_KEY_BIAS 0x8000000000000000ull

/* ---- training samples: map `rmt_train` (RINGBUF) ---------------------------------------------------------------- */

#define RMT_MAX_INPUTS 15 /* slot 15 of the engine's feature vector is its sentinel */

struct rmt_sample {
	__u64 ts;
	__u64 cgroup;
	__u32 model; /* index of the model in the policy */
	__u32 n;
	__s32 input[RMT_MAX_INPUTS];
	__s32 label;
};
RMT_SIZE(struct rmt_sample, 88);

#endif
