/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 8
#define RMT_PREFETCH_RATE 50000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_HAS_FAULT
#define RMT_USES_VMA_KIND
#define RMT_USES_FAULT_PREFETCHED
#define RMT_USES_FAULT_PAGE
#define RMT_USES_FAULT_DELTA
#include "rmt/common.bpf.h"

struct rmt_policy_state {
#line 18 "leap.rmt"
	struct { __u32 head; __s32 v[32]; } deltas;
	__s32 trend;
	__s32 latest;
	__u8 votes;
	__u8 hits;
	__u8 window;
	__u8 lead;
#line 22 "leap.rmt.c"
	struct { __s64 a1_found; } rmt_var;
};
RMT_SIZE(struct rmt_policy_state, 152);
#include "hooks/mm.bpf.h"

struct rmt_entry_by_kind {
	struct rmt_range k0;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 69 "leap.rmt"
RMT_TABLE(by_kind, 16);

#line 27 "leap.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 38 "leap.rmt.c"
{
}

#line 28 "leap.rmt"
static __always_inline void rmt_action_follow(struct rmt_event *ev, struct rmt_policy_state *st, __s64 most)
#line 44 "leap.rmt.c"
{
#line 29 "leap.rmt"
	if (rmt_field_fault_prefetched(ev)) {
#line 29 "leap.rmt"
		st->hits = rmt_sat_u8((__s64)st->hits + 1);
#line 29 "leap.rmt"
		st->lead = rmt_sat_u8((__s64)st->lead - 1);
	} else {
#line 29 "leap.rmt"
		st->lead = 0;
	}
#line 30 "leap.rmt"
	if ((__s64)st->lead == 0) {
		st->rmt_var.a1_found = 0;
		int rmt_i0;
#line 32 "leap.rmt"
		bpf_for(rmt_i0, 0, 4) {
#line 32 "leap.rmt"
			__s64 round = rmt_i0;
			__s64 w = (__s64)4 << round;
			st->trend = 0;
			st->votes = 0;
			int rmt_i1;
#line 36 "leap.rmt"
			bpf_for(rmt_i1, 0, 32) {
#line 36 "leap.rmt"
				__s64 i = rmt_i1;
				if (i >= w) {
#line 37 "leap.rmt"
					break;
				}
#line 38 "leap.rmt"
				if ((__s64)st->votes == 0) {
#line 38 "leap.rmt"
					st->trend = RMT_RING_AT_LARGE(st->deltas, 32, 32, i);
#line 38 "leap.rmt"
					st->votes = 1;
				} else {
#line 39 "leap.rmt"
					if (RMT_RING_AT_LARGE(st->deltas, 32, 32, i) == (__s64)st->trend) {
#line 39 "leap.rmt"
						st->votes = rmt_sat_u8((__s64)st->votes + 1);
					} else {
#line 40 "leap.rmt"
						st->votes = rmt_sat_u8((__s64)st->votes - 1);
					}
				}
			}
#line 42 "leap.rmt"
			st->votes = 0;
			int rmt_i2;
#line 43 "leap.rmt"
			bpf_for(rmt_i2, 0, 32) {
#line 43 "leap.rmt"
				__s64 i_2 = rmt_i2;
				if (i_2 >= w) {
#line 44 "leap.rmt"
					break;
				}
#line 45 "leap.rmt"
				if (RMT_RING_AT_LARGE(st->deltas, 32, 32, i_2) == (__s64)st->trend) {
#line 45 "leap.rmt"
					st->votes = rmt_sat_u8((__s64)st->votes + 1);
				}
			}
#line 47 "leap.rmt"
			if ((__s64)st->votes > (__s64)((__u64)w / (__u64)2)) {
#line 47 "leap.rmt"
				st->rmt_var.a1_found = 1;
#line 47 "leap.rmt"
				break;
			}
		}
#line 49 "leap.rmt"
		__s64 next = 0;
		if ((__s64)st->hits == 0) {
#line 50 "leap.rmt"
			if (st->rmt_var.a1_found) {
#line 50 "leap.rmt"
				next = 1;
			}
		} else {
#line 51 "leap.rmt"
			if ((__s64)st->hits < 2) {
#line 51 "leap.rmt"
				next = 2;
			} else {
#line 52 "leap.rmt"
				if ((__s64)st->hits < 4) {
#line 52 "leap.rmt"
					next = 4;
				} else {
#line 53 "leap.rmt"
					next = 8;
				}
			}
		}
#line 54 "leap.rmt"
		if (next < (__s64)((__u64)(__s64)st->window / (__u64)2)) {
#line 54 "leap.rmt"
			next = (__s64)((__u64)(__s64)st->window / (__u64)2);
		}
#line 55 "leap.rmt"
		if (next > most) {
#line 55 "leap.rmt"
			next = most;
		}
#line 56 "leap.rmt"
		st->window = rmt_sat_u8(next);
		st->hits = 0;
		if (st->rmt_var.a1_found) {
#line 58 "leap.rmt"
			st->latest = (__s64)st->trend;
		}
#line 59 "leap.rmt"
		if ((__s64)st->latest != 0) {
			int rmt_i3;
#line 60 "leap.rmt"
			bpf_for(rmt_i3, 0, 8) {
#line 60 "leap.rmt"
				__s64 k = rmt_i3;
				if (k >= (__s64)st->window) {
#line 61 "leap.rmt"
					break;
				}
#line 62 "leap.rmt"
				rmt_prefetch(ev, rmt_sat_page(rmt_field_fault_page(ev) + ((__s64)st->latest * (k + 1))));
				st->lead = rmt_sat_u8((__s64)st->lead + 1);
			}
		}
	}
#line 176 "leap.rmt.c"
}

#line 69 "leap.rmt"
static __noinline int rmt_apply_by_kind(struct rmt_event *ev, struct rmt_policy_state *st)
#line 181 "leap.rmt.c"
{
	struct rmt_value_by_kind *table = rmt_table_now(&rmt_table_by_kind);
	__u64 k0 = rmt_key(rmt_field_vma_kind(ev));
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_by_kind *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_in_range(&e->k0, k0))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_by_kind, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_follow(ev, st, rmt_sat_u8(arg0));
		break;
	}
	return action;
}

#line 76 "leap.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 217 "leap.rmt.c"
{
	int rmt_chosen_by_kind __attribute__((unused)) = -1;
#line 76 "leap.rmt"
	RMT_RING_PUSH_LARGE(st->deltas, 32, rmt_field_fault_delta(ev));
#line 76 "leap.rmt"
	rmt_chosen_by_kind = rmt_apply_by_kind(ev, st);
#line 224 "leap.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
