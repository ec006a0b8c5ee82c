/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_PREFETCH_PER_EVENT 8
#define RMT_PREFETCH_RATE 50000
#define RMT_PREFETCH_WINDOW_NS 1000000000ull
#define RMT_HAS_FAULT
#define RMT_USES_VMA_KIND
#define RMT_USES_FAULT_PAGE
#include "rmt/common.bpf.h"

struct rmt_policy_state {
	__u8 rmt_gap0;
};
RMT_SIZE(struct rmt_policy_state, 1);
#include "hooks/mm.bpf.h"

struct rmt_entry_by_kind {
	struct rmt_range k0;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 19 "next_n.rmt"
RMT_TABLE(by_kind, 16);

#line 16 "next_n.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 27 "next_n.rmt.c"
{
}

#line 17 "next_n.rmt"
static __always_inline void rmt_action_next(struct rmt_event *ev, struct rmt_policy_state *st, __s64 n)
#line 33 "next_n.rmt.c"
{
#line 17 "next_n.rmt"
	RMT_PREFETCH_RUN(ev, rmt_field_fault_page(ev), n, 1, 64);
#line 37 "next_n.rmt.c"
}

#line 19 "next_n.rmt"
static __noinline int rmt_apply_by_kind(struct rmt_event *ev, struct rmt_policy_state *st)
#line 42 "next_n.rmt.c"
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
		rmt_action_next(ev, st, rmt_sat_u8(arg0));
		break;
	}
	return action;
}

#line 26 "next_n.rmt"
static __noinline int rmt_on_fault(struct rmt_event *ev, struct rmt_policy_state *st)
#line 78 "next_n.rmt.c"
{
	int rmt_chosen_by_kind __attribute__((unused)) = -1;
#line 26 "next_n.rmt"
	rmt_chosen_by_kind = rmt_apply_by_kind(ev, st);
#line 83 "next_n.rmt.c"
	return 0;
}

#include "hooks/mm_programs.bpf.h"
