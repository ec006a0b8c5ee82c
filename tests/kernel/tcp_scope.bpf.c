/* SPDX-License-Identifier: GPL-2.0-only */
/* The least control that has the maps and names of docs/decisions/0004-tcp.md: reno, by the kernel's functions. For tests of
 * scope and loader below the language. RMT_TEST_VERSION tells two versions of its code apart: each counts its calls in
 * the socket's storage, whose view they share. */
#ifndef RMT_TCP_NAME
#define RMT_TCP_NAME "rmt_scope_test"
#endif
#ifndef RMT_TEST_VERSION
#define RMT_TEST_VERSION 1
#endif
#include "rmt/common.bpf.h"
#include "rmt/intf_tcp.h"
#include "rmt/guard.bpf.h"

extern __u32 tcp_reno_ssthresh(struct sock *sk) __ksym;
extern __u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;
extern void tcp_reno_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;
#ifdef RMT_TEST_MISSING
extern void bbr_that_no_kernel_has(struct sock *sk) __ksym;
#endif

struct rmt_sock {
	struct rmt_tcp_view view;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rmt_sock);
} rmt_socks SEC(".maps");

#include "hooks/tcp_scope.bpf.h"

SEC("struct_ops/rmt_tcp_init")
void BPF_PROG(rmt_tcp_init, struct sock *sk)
{
	struct rmt_sock *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct rmt_tcp_view fresh = {.table = ~0u, .action = ~0u, .slot = ~0u};

#ifdef RMT_TEST_MISSING
	bbr_that_no_kernel_has(sk);
#endif
	if (!s)
		return;
	s->view = fresh;
	s->view.since_ns = bpf_ktime_get_ns();
	s->view.cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	s->view.scope = rmt_find_scope(sk->sk_cgrp_data.cgroup);
	s->view.want_cwnd = RMT_TEST_VERSION;
	rmt_scope_count(s->view.scope, RMT_TCP_SOCKETS);
}

SEC("struct_ops/rmt_tcp_release")
void BPF_PROG(rmt_tcp_release, struct sock *sk)
{
	struct rmt_sock *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, 0);

	if (s)
		rmt_scope_count(s->view.scope, RMT_TCP_CLOSED);
}

SEC("struct_ops/rmt_tcp_main")
void BPF_PROG(rmt_tcp_main, struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs)
{
	struct rmt_sock *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, 0);

	if (s) {
		s->view.decisions++;
		s->view.cwnd = ((struct tcp_sock *)sk)->snd_cwnd;
		s->view.rtt_us = ((struct tcp_sock *)sk)->srtt_us >> 3;
		s->view.last_ns = bpf_ktime_get_ns();
	}
	tcp_reno_cong_avoid(sk, ack, rs->acked_sacked);
}

SEC("struct_ops/rmt_tcp_ssthresh")
__u32 BPF_PROG(rmt_tcp_ssthresh, struct sock *sk)
{
	return tcp_reno_ssthresh(sk);
}

SEC("struct_ops/rmt_tcp_undo")
__u32 BPF_PROG(rmt_tcp_undo, struct sock *sk)
{
	return tcp_reno_undo_cwnd(sk);
}

SEC("struct_ops/rmt_tcp_event")
void BPF_PROG(rmt_tcp_event, struct sock *sk, enum tcp_ca_event event)
{
}

SEC("struct_ops/rmt_tcp_event_tx")
void BPF_PROG(rmt_tcp_event_tx, struct sock *sk)
{
}

#define RMT_CONTROL(own)                                                                                        \
	{                                                                                                       \
		.init = (void *)rmt_tcp_init, .release = (void *)rmt_tcp_release, .ssthresh = (void *)rmt_tcp_ssthresh, \
		.cong_control = (void *)rmt_tcp_main, .undo_cwnd = (void *)rmt_tcp_undo, own, .name = RMT_TCP_NAME, \
	}

SEC(".struct_ops.link")
struct tcp_congestion_ops rmt_control = RMT_CONTROL(.cwnd_event = (void *)rmt_tcp_event);

SEC(".struct_ops.link")
struct tcp_congestion_ops rmt_control_tx = RMT_CONTROL(.cwnd_event_tx_start = (void *)rmt_tcp_event_tx);
