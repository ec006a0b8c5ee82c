/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_TCP_NAME "aimd"
#define RMT_TCP_OWNS
#define RMT_BASE_RENO
#define RMT_CWND_MIN 2
#define RMT_CWND_MAX 65536
#define RMT_PACING_MIN 1000ull
#define RMT_PACING_MAX 125000000000ull
#define RMT_CWND_CHANGE 2
#define RMT_HAS_ROUND
#define RMT_HAS_LOSS
#define RMT_HAS_RTO
#define RMT_USES_TCP_SLOW_START
#define RMT_USES_TCP_APP_LIMITED
#define RMT_USES_TCP_STATE
#define RMT_USES_CWND
#define RMT_USES_TCP_CWND
#include "rmt/common.bpf.h"

struct rmt_policy_state {
	__u8 rmt_gap0;
};
RMT_SIZE(struct rmt_policy_state, 1);
#include "hooks/tcp.bpf.h"

struct rmt_entry_growth {
	struct rmt_range k0;
	struct rmt_range k1;
	struct rmt_range k2;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 19 "aimd.rmt"
RMT_TABLE(growth, 16);

#line 16 "aimd.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 39 "aimd.rmt.c"
{
}

#line 17 "aimd.rmt"
static __always_inline void rmt_action_grow(struct rmt_event *ev, struct rmt_policy_state *st, __s64 by)
#line 45 "aimd.rmt.c"
{
#line 17 "aimd.rmt"
	rmt_set_cwnd(ev, rmt_field_cwnd(ev) + by);
#line 49 "aimd.rmt.c"
}

#line 19 "aimd.rmt"
static __noinline int rmt_apply_growth(struct rmt_event *ev, struct rmt_policy_state *st)
#line 54 "aimd.rmt.c"
{
	struct rmt_value_growth *table = rmt_table_now(&rmt_table_growth);
	__u64 k0 = rmt_key(rmt_field_tcp_slow_start(ev));
	__u64 k1 = rmt_key(rmt_field_tcp_app_limited(ev));
	__u64 k2 = rmt_key(rmt_field_tcp_state(ev));
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_growth *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_in_range(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			if (!rmt_in_range(&e->k2, k2))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_growth, slot);
	rmt_note_choice(ev, 0, action, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_grow(ev, st, rmt_sat_u16(arg0));
		break;
	}
	return action;
}

#line 29 "aimd.rmt"
static __noinline int rmt_on_round(struct rmt_event *ev, struct rmt_policy_state *st)
#line 97 "aimd.rmt.c"
{
	int rmt_chosen_growth __attribute__((unused)) = -1;
#line 29 "aimd.rmt"
	rmt_chosen_growth = rmt_apply_growth(ev, st);
#line 102 "aimd.rmt.c"
	return 0;
}

#line 30 "aimd.rmt"
static __noinline int rmt_on_loss(struct rmt_event *ev, struct rmt_policy_state *st)
#line 108 "aimd.rmt.c"
{
#line 30 "aimd.rmt"
	rmt_set_ssthresh(ev, (__s64)((__u64)rmt_field_tcp_cwnd(ev) / (__u64)2));
#line 112 "aimd.rmt.c"
	return 0;
}

#line 31 "aimd.rmt"
static __noinline int rmt_on_rto(struct rmt_event *ev, struct rmt_policy_state *st)
#line 118 "aimd.rmt.c"
{
#line 31 "aimd.rmt"
	rmt_set_ssthresh(ev, (__s64)((__u64)rmt_field_tcp_cwnd(ev) / (__u64)2));
#line 122 "aimd.rmt.c"
	return 0;
}

#include "hooks/tcp_programs.bpf.h"
