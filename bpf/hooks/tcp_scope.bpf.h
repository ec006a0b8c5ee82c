/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain tcp: who is governed. A socket belongs to the nearest ancestor of its cgroup (version 2) that is in rmt_scope. Sockets
 * that are born there are given to the policy's control by sock_ops, before their first segment; those that are open already by
 * an iterator, which also gives them back. Which control a socket had before is remembered with it.
 * Nothing here touches the policy's state, and what is written to a socket is the name of a control and nothing else. */
#ifndef RMT_TCP_SCOPE_BPF_H
#define RMT_TCP_SCOPE_BPF_H

#include "rmt/intf_tcp.h"

#define RMT_CGROUP_LEVELS 32 /* looked at, from a socket's own upwards */

/* UAPI: <netinet/tcp.h> */
#define RMT_SOL_TCP 6
#define RMT_TCP_CONGESTION 13
#define RMT_FAMILY_IPV6 10
#define RMT_OPTION_BYTES 4096 /* of an option, that a program of type cgroup/setsockopt is shown */

struct rmt_name { /* of a congestion control, ended and filled up with zeroes */
	union {
		char text[RMT_TCP_NAME_LEN];
		__u64 word[2];
	};
};

const volatile char rmt_control_name[RMT_TCP_NAME_LEN] __attribute__((aligned(8))) = RMT_TCP_NAME;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct rmt_name);
} rmt_prior SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct rmt_refusal);
	__type(value, __u64);
} rmt_refused SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rmt_tcp_pass);
} rmt_pass SEC(".maps");

/* The nearest of a cgroup and its ancestors that a person attached the policy to, 0: none. */
static __noinline __u64 rmt_find_scope(struct cgroup *cgroup)
{
	__u64 id = 0;
	int i;

	bpf_for(i, 0, RMT_CGROUP_LEVELS) {
		struct cgroup_subsys_state *parent;

		if (!cgroup)
			break;
		id = cgroup->kn->id;
		if (bpf_map_lookup_elem(&rmt_scope, &id))
			return id;
		parent = cgroup->self.parent;
		if (!parent)
			break;
		cgroup = parent->cgroup;
	}
	return 0;
}

/* The same of the process that is running. */
static __always_inline __u64 rmt_current_scope(void)
{
	__u64 scope = 0;
	int i;

	bpf_for(i, 0, RMT_CGROUP_LEVELS) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(i);

		if (!id)
			break;
		if (bpf_map_lookup_elem(&rmt_scope, &id))
			scope = id;
	}
	return scope;
}

static __always_inline void rmt_scope_count(__u64 scope, enum rmt_tcp_stat stat)
{
	struct rmt_cgroup *cg = bpf_map_lookup_elem(&rmt_scope, &scope);

	if (cg)
		__sync_fetch_and_add(&cg->stat[stat], 1);
}

/* Never hidden: a socket that stays with another control than the person asked for. */
static __noinline int rmt_refuse(__u64 scope, int error, __u32 moment)
{
	struct rmt_refusal key = {.scope = scope, .error = -error, .moment = moment};
	__u64 *n = bpf_map_lookup_elem(&rmt_refused, &key), one = 1;

	rmt_scope_count(scope, RMT_TCP_REFUSED);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&rmt_refused, &key, &one, 0);
	return 0;
}

static __always_inline bool rmt_is_ours(const struct rmt_name *name)
{
	const volatile __u64 *ours = (const volatile __u64 *)rmt_control_name;

	return name->word[0] == ours[0] && name->word[1] == ours[1];
}

/* ---- sockets that are born, or used, in the scope ------------------------------------------------------------------------- */

SEC("sockops")
int rmt_sockops(struct bpf_sock_ops *ctx)
{
	struct rmt_name was = {}, *prior;
	struct tcp_sock *tp;
	struct bpf_sock *sk;
	__u32 moment;
	__u64 scope;
	int error;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		moment = RMT_TCP_AT_CONNECT;
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		moment = RMT_TCP_AT_LISTEN;
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		moment = RMT_TCP_AT_ACCEPT;
		break;
	default:
		return 1;
	}
	sk = ctx->sk;
	if (!sk)
		return 1;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 1;
	scope = rmt_find_scope(tp->inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup);
	if (!scope)
		return 1;
	/* What an accepted socket has of its listener is ours already, and so is the memory of what that one had before. */
	if (bpf_getsockopt(ctx, RMT_SOL_TCP, RMT_TCP_CONGESTION, was.text, sizeof(was.text)) || rmt_is_ours(&was))
		return 1;
	prior = bpf_sk_storage_get(&rmt_prior, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (prior)
		*prior = was;
	else
		rmt_scope_count(scope, RMT_TCP_NO_STORAGE);
	error = bpf_setsockopt(ctx, RMT_SOL_TCP, RMT_TCP_CONGESTION, (void *)rmt_control_name, sizeof(rmt_control_name));
	if (error)
		rmt_refuse(scope, error, moment);
	return 1;
}

/* Keeps applications from choosing another control. The kernel passes every option of every socket through here: whatever is
 * not ours is left alone, also what is longer than the kernel shows a program (then its own copy is used: optlen 0). */
SEC("cgroup/setsockopt")
int rmt_guard(struct bpf_sockopt *ctx)
{
	if (ctx->level == RMT_SOL_TCP && ctx->optname == RMT_TCP_CONGESTION) {
		struct rmt_tcp_view *view = NULL;

		/* Of a socket that has not spoken yet only the process's cgroup is known; it is nearly always the socket's as well. */
		if (ctx->sk)
			view = bpf_sk_storage_get(&rmt_socks, ctx->sk, NULL, 0);
		rmt_scope_count(view && view->scope ? view->scope : rmt_current_scope(), RMT_TCP_GUARDED);
		return 0;
	}
	if (ctx->optlen > RMT_OPTION_BYTES)
		ctx->optlen = 0;
	return 1;
}

/* ---- sockets that are open already: read in each network namespace, told by rmt_pass ---------------------------------------- */

static __always_inline int rmt_set_control(struct tcp_sock *tp, const struct rmt_name *name)
{
	return bpf_setsockopt(tp, RMT_SOL_TCP, RMT_TCP_CONGESTION, (void *)name->text, sizeof(name->text));
}

static __always_inline int rmt_set_ours(struct tcp_sock *tp)
{
	return bpf_setsockopt(tp, RMT_SOL_TCP, RMT_TCP_CONGESTION, (void *)rmt_control_name, sizeof(rmt_control_name));
}

static __always_inline void rmt_convert(struct tcp_sock *tp, const struct rmt_name *now, __u64 scope, struct rmt_tcp_pass *pass)
{
	struct rmt_name reno = {.text = "reno"}, *prior;
	struct rmt_tcp_view *view;
	int error;

	__sync_fetch_and_add(&pass->seen, 1);
	if (rmt_is_ours(now)) {
		/* Ours, but of a cgroup further up, or of one that has left the scope: it begins anew where it belongs. */
		view = bpf_sk_storage_get(&rmt_socks, tp, NULL, 0);
		if (!view || view->scope == scope)
			return;
		rmt_set_control(tp, &reno);
	} else {
		prior = bpf_sk_storage_get(&rmt_prior, tp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (prior)
			*prior = *now;
		else
			rmt_scope_count(scope, RMT_TCP_NO_STORAGE);
	}
	error = rmt_set_ours(tp);
	if (error) {
		__sync_fetch_and_add(&pass->refused, 1);
		rmt_refuse(scope, error, RMT_TCP_AT_CONVERT);
		return;
	}
	__sync_fetch_and_add(&pass->changed, 1);
	rmt_scope_count(scope, RMT_TCP_CONVERTED);
}

/* What it had, else what its namespace gives to new sockets, else what every kernel has: no socket stays behind. */
static __always_inline void rmt_restore(struct tcp_sock *tp, __u64 scope, struct rmt_tcp_pass *pass)
{
	struct rmt_name name = {}, reno = {.text = "reno"}, *prior = bpf_sk_storage_get(&rmt_prior, tp, NULL, 0);
	int error;

	__sync_fetch_and_add(&pass->seen, 1);
	if (prior)
		name = *prior;
	else
		BPF_CORE_READ_INTO(&name.text, (struct sock *)tp, __sk_common.skc_net.net, ipv4.tcp_congestion_control, name);
	if (rmt_is_ours(&name))
		name = reno;
	error = rmt_set_control(tp, &name);
	if (error) {
		__sync_fetch_and_add(&pass->refused, 1);
		rmt_refuse(scope, error, RMT_TCP_AT_RESTORE);
		rmt_set_control(tp, &reno);
	} else {
		__sync_fetch_and_add(&pass->changed, 1);
		rmt_scope_count(scope, RMT_TCP_RESTORED);
	}
	bpf_sk_storage_delete(&rmt_prior, tp);
}

static __always_inline void rmt_renew(struct tcp_sock *tp, __u64 scope, struct rmt_tcp_pass *pass)
{
	const void *before = BPF_CORE_READ(tp, inet_conn.icsk_ca_ops);
	int error;

	__sync_fetch_and_add(&pass->seen, 1);
	error = rmt_set_ours(tp);
	if (error) {
		__sync_fetch_and_add(&pass->refused, 1);
		rmt_refuse(scope, error, RMT_TCP_AT_CONVERT);
	} else if (BPF_CORE_READ(tp, inet_conn.icsk_ca_ops) != before) {
		__sync_fetch_and_add(&pass->changed, 1);
	}
}

SEC("iter/tcp")
int rmt_pass_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *any = ctx->sk_common;
	struct rmt_tcp_pass *pass;
	struct rmt_name now = {};
	struct tcp_sock *tp;
	__u32 zero = 0;
	__u64 scope;

	if (!any)
		return 0;
	tp = bpf_skc_to_tcp_sock(any); /* NULL: a handshake that has no socket yet, or one in TIME_WAIT */
	pass = bpf_map_lookup_elem(&rmt_pass, &zero);
	if (!tp || !pass)
		return 0;
	scope = rmt_find_scope(tp->inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup);
	if (pass->scope && scope != pass->scope)
		return 0;
	if (bpf_getsockopt(tp, RMT_SOL_TCP, RMT_TCP_CONGESTION, now.text, sizeof(now.text)))
		return 0;
	if (pass->task == RMT_TCP_TASK_CONVERT && scope)
		rmt_convert(tp, &now, scope, pass);
	else if (pass->task == RMT_TCP_TASK_RESTORE && rmt_is_ours(&now))
		rmt_restore(tp, scope, pass);
	else if (pass->task == RMT_TCP_TASK_RENEW && rmt_is_ours(&now))
		rmt_renew(tp, scope, pass);
	return 0;
}

SEC("iter/tcp")
int rmt_dump(struct bpf_iter__tcp *ctx)
{
	struct sock_common *any = ctx->sk_common;
	struct rmt_tcp_record record = {};
	struct rmt_tcp_view *view;
	struct rmt_name now = {};
	struct tcp_sock *tp;

	if (!any)
		return 0;
	tp = bpf_skc_to_tcp_sock(any);
	if (!tp || bpf_getsockopt(tp, RMT_SOL_TCP, RMT_TCP_CONGESTION, now.text, sizeof(now.text)) || !rmt_is_ours(&now))
		return 0;
	record.family = any->skc_family;
	record.state = any->skc_state;
	record.sport = bpf_htons(any->skc_num);
	record.dport = any->skc_dport;
	record.netns = any->skc_net.net->ns.inum;
	if (record.family == RMT_FAMILY_IPV6) {
		__builtin_memcpy(record.saddr, any->skc_v6_rcv_saddr.in6_u.u6_addr8, 16);
		__builtin_memcpy(record.daddr, any->skc_v6_daddr.in6_u.u6_addr8, 16);
	} else {
		__builtin_memcpy(record.saddr, &any->skc_rcv_saddr, 4);
		__builtin_memcpy(record.daddr, &any->skc_daddr, 4);
	}
	view = bpf_sk_storage_get(&rmt_socks, tp, NULL, 0);
	if (view) {
		record.view = *view;
	} else { /* a listener: the control begins with each connection */
		struct cgroup *cgroup = tp->inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup;

		record.view.cgroup = cgroup->kn->id;
		record.view.scope = rmt_find_scope(cgroup);
		record.view.table = record.view.action = record.view.slot = ~0u;
	}
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

#endif
