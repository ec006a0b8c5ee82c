/* SPDX-License-Identifier: GPL-2.0-only */
#define RMT_TCP_NAME "by_path"
#define RMT_BASE_CUBIC
#define RMT_CWND_MIN 4
#define RMT_CWND_MAX 65536
#define RMT_PACING_MIN 1000ull
#define RMT_PACING_MAX 125000000000ull
#define RMT_HAS_ESTABLISHED
#define RMT_HAS_ROUND
#define RMT_USES_TCP_DST
#define RMT_USES_TCP_MIN_RTT
#define RMT_USES_CWND
#define RMT_USES_TCP_BDP
#define RMT_USES_TCP_SLOW_START
#define RMT_USES_TCP_RTT
#define RMT_USES_TCP_ROUNDS
#include "rmt/common.bpf.h"

struct rmt_policy_state {
	__u8 rmt_gap0;
};
RMT_SIZE(struct rmt_policy_state, 1);
#include "hooks/tcp.bpf.h"

struct rmt_entry_first {
	struct rmt_text k0;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 24 "by_path.rmt"
RMT_TABLE(first, 16);

#line 34 "by_path.rmt.c"
struct rmt_entry_most {
	struct rmt_text k0;
	struct rmt_range k1;
	struct rmt_entry_tail tail;
	__s64 arg[1];
};
#line 35 "by_path.rmt"
RMT_TABLE(most, 16);

#line 16 "by_path.rmt"
static __always_inline void rmt_action_none(struct rmt_event *ev, struct rmt_policy_state *st)
#line 46 "by_path.rmt.c"
{
}

#line 17 "by_path.rmt"
static __always_inline void rmt_action_begin(struct rmt_event *ev, struct rmt_policy_state *st, __s64 window)
#line 52 "by_path.rmt.c"
{
#line 17 "by_path.rmt"
	rmt_set_cwnd(ev, rmt_max(rmt_field_cwnd(ev), window));
#line 56 "by_path.rmt.c"
}

#line 18 "by_path.rmt"
static __always_inline void rmt_action_fit(struct rmt_event *ev, struct rmt_policy_state *st, __s64 percent)
#line 61 "by_path.rmt.c"
{
#line 19 "by_path.rmt"
	__s64 window = rmt_max((__s64)((__u64)(rmt_field_tcp_bdp(ev) * percent) / (__u64)100), 10);
	if (!rmt_field_tcp_slow_start(ev)) {
#line 20 "by_path.rmt"
		rmt_set_cwnd(ev, rmt_min(rmt_field_cwnd(ev), window));
	} else {
#line 21 "by_path.rmt"
		if (rmt_field_tcp_rtt(ev) > (2 * rmt_field_tcp_min_rtt(ev))) {
#line 21 "by_path.rmt"
			rmt_set_cwnd(ev, rmt_min(rmt_field_cwnd(ev), window));
#line 21 "by_path.rmt"
			rmt_set_ssthresh(ev, rmt_field_cwnd(ev));
		}
	}
#line 77 "by_path.rmt.c"
}

#line 24 "by_path.rmt"
static __noinline int rmt_apply_first(struct rmt_event *ev, struct rmt_policy_state *st)
#line 82 "by_path.rmt.c"
{
	struct rmt_value_first *table = rmt_table_now(&rmt_table_first);
	__u64 k0[2];
	rmt_field_tcp_dst(ev, k0);
	__u32 action = 0, slot = 16;
	__s64 arg0 = 0;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_first *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_is_text(&e->k0, k0))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_first, slot);
	rmt_note_choice(ev, 0, action, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 1:
		rmt_action_begin(ev, st, rmt_sat_u16(arg0));
		break;
	}
	return action;
}

#line 35 "by_path.rmt"
static __noinline int rmt_apply_most(struct rmt_event *ev, struct rmt_policy_state *st)
#line 120 "by_path.rmt.c"
{
	struct rmt_value_most *table = rmt_table_now(&rmt_table_most);
	__u64 k0[2];
	rmt_field_tcp_dst(ev, k0);
	__u64 k1 = rmt_key(rmt_field_tcp_min_rtt(ev));
	__u32 action = 2, slot = 16;
	__s64 arg0 = 125;
	int i;

	if (table) {
		bpf_for(i, 0, 16) {
			struct rmt_entry_most *e = &table->entry[i];

			if (i >= table->head.count)
				break;
			if (!rmt_is_text(&e->k0, k0))
				continue;
			if (!rmt_in_range(&e->k1, k1))
				continue;
			action = e->tail.action;
			slot = e->tail.slot;
			arg0 = e->arg[0];
			break;
		}
	}
	rmt_table_hit(&rmt_hits_most, slot);
	rmt_note_choice(ev, 1, action, slot);
	switch (action) {
	case 0:
		rmt_action_none(ev, st);
		break;
	case 2:
		rmt_action_fit(ev, st, rmt_sat_u16(arg0));
		break;
	}
	return action;
}

#line 46 "by_path.rmt"
static __noinline int rmt_on_established(struct rmt_event *ev, struct rmt_policy_state *st)
#line 161 "by_path.rmt.c"
{
	int rmt_chosen_first __attribute__((unused)) = -1;
#line 46 "by_path.rmt"
	rmt_chosen_first = rmt_apply_first(ev, st);
#line 166 "by_path.rmt.c"
	return 0;
}

#line 47 "by_path.rmt"
static __noinline int rmt_on_round(struct rmt_event *ev, struct rmt_policy_state *st)
#line 172 "by_path.rmt.c"
{
	int rmt_chosen_most __attribute__((unused)) = -1;
#line 47 "by_path.rmt"
	if (rmt_field_tcp_rounds(ev) > 8) {
#line 47 "by_path.rmt"
		rmt_chosen_most = rmt_apply_most(ev, st);
	}
#line 180 "by_path.rmt.c"
	return 0;
}

#include "hooks/tcp_programs.bpf.h"
