/* SPDX-License-Identifier: GPL-2.0-only */
/* A small policy of domain tcp that the RMT verifier accepts, and with -DFAULT_<name> one fault in it (tcp_faults.txt). Not the
 * library of bpf/: the shape of docs/decisions/0004-tcp.md, written once more. */
#ifdef FAULT_CONTROL_MEMBER /* with a member that the header does not name */
#define tcp_congestion_ops tcp_congestion_ops_of_header
#endif
#include "vmlinux_rmt.h"
#ifdef FAULT_CONTROL_MEMBER
#undef tcp_congestion_ops
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*in_ack_event)(struct sock *sk, __u32 flags);
	void (*cong_control)(struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
	void (*init)(struct sock *sk);
};
#endif
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern __u32 tcp_reno_ssthresh(struct sock *sk) __ksym;
extern __u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;
extern __u32 tcp_slow_start(struct tcp_sock *tp, __u32 acked) __ksym;
extern void tcp_reno_cong_avoid(struct sock *sk, __u32 ack, __u32 acked) __ksym;

#include "rmt/intf_tcp.h"

#define CWND_MIN 4
#define CWND_MAX 1024
#define PACING_MIN 12500ull
#define PACING_MAX 1000000000ull
#define opaque(x) asm volatile("" : "+r"(x))
#define SOL_TCP 6
#define TCP_CONGESTION 13

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rmt_ctl);
} rmt_ctl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct rmt_cgroup);
} rmt_scope SEC(".maps");

struct event {
	__u32 cwnd, ssthresh, set, seen;
	__u64 pacing, rate;
};

struct value {
	struct event ev;
	__u64 scope;
#ifdef FAULT_KPTR
	struct cgroup __attribute__((btf_type_tag("kptr_untrusted"))) *kept;
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct value);
} rmt_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} rmt_twin_sock SEC(".maps");

static __noinline __attribute__((used)) int rmt_mode_now(struct rmt_cgroup *cg)
{
	__u32 zero = 0;
	struct rmt_ctl *ctl = bpf_map_lookup_elem(&rmt_ctl, &zero);

	if (!ctl || !cg)
		return RMT_MODE_OFF;
#ifndef FAULT_MODE_FORGED
	if (ctl->mode != RMT_MODE_ENFORCE)
		return ctl->mode;
#endif
	if (cg->breaker.open_until_ns)
		return RMT_MODE_SHADOW;
	return RMT_MODE_ENFORCE;
}

#include "tcp_act.h"

/* ---- the policy's code */

static __noinline int rmt_on_round(struct event *ev, __u64 seen)
{
	__s32 last[4] = {ev->seen, ev->set, 0, 0};

	opaque(seen);
	ev->cwnd = ev->cwnd + last[ev->seen & 3];
	ev->set = 7;
	ev->pacing = ev->rate + seen;
#ifdef FAULT_HANDLER_STACK
	*(volatile __u64 *)seen = 5;
#endif
#ifdef FAULT_HANDLER_SK
	opaque(ev);
	ev->rate = ((struct sock *)seen)->sk_pacing_rate;
#endif
#ifdef FAULT_HANDLER_LIBRARY
	ev->rate += bpf_get_current_ancestor_cgroup_id(0);
#endif
#ifdef FAULT_HANDLER_WRITES
	rmt_base_cwnd(0, 10);
#endif
	return 0;
}

static __noinline int rmt_show(struct sock *sk, struct value *s, struct rmt_cgroup *cg)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__u64 seen = 1;

	if (!sk || !s || !cg)
		return 0;
	s->ev.cwnd = tp->snd_cwnd;
	s->ev.rate = sk->sk_pacing_rate;
	s->ev.set = 0;
	opaque(seen);
#if defined(FAULT_HANDLER_SK)
	rmt_on_round(&s->ev, (__u64)sk);
#elif defined(FAULT_HANDLER_STACK)
	rmt_on_round(&s->ev, (__u64)&seen);
#else
	rmt_on_round(&s->ev, seen);
#endif
#ifdef FAULT_WRITE_ELSEWHERE
	rmt_write_cwnd(sk, s->ev.cwnd);
#endif
	rmt_act(sk, s, cg);
#ifdef FAULT_ACT_TWICE
	rmt_act(sk, s, cg);
#endif
	return 1;
}

/* ---- the control */

static __always_inline void show(struct sock *sk, struct value *s)
{
	__u64 id = s->scope;
	struct rmt_cgroup *cg = bpf_map_lookup_elem(&rmt_scope, &id);

	if (cg)
		rmt_show(sk, s, cg);
}

#ifdef FAULT_STORE_CALLED
static __noinline int stores(int *where, __u32 n)
{
	*where = n;
	return 0;
}
#endif
#ifdef FAULT_STORE_RETURNED
static __noinline struct tcp_sock *same(struct tcp_sock *tp)
{
	opaque(tp);
	return tp;
}
#endif
#ifdef FAULT_STORE_BY_FRAME
struct pair { struct tcp_sock *tp; __u64 other; };
static __noinline int by_frame(struct pair *pair)
{
	pair->tp->snd_cwnd = 5;
	return 0;
}
#endif
#ifdef FAULT_STORE_PUT_THERE
struct pair { struct tcp_sock *tp; __u64 other; };
static __noinline int put(struct pair *pair, struct tcp_sock *tp)
{
	opaque(tp);
	pair->tp = tp;
	return 0;
}
#endif

SEC("struct_ops/rmt_tcp_init")
void BPF_PROG(rmt_tcp_init, struct sock *sk)
{
	struct value *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!s)
		return;
	s->scope = sk->sk_cgrp_data.cgroup->kn->id;
#ifdef FAULT_SOCKOPT_IN_CONTROL
	char name[8] = "reno";

	bpf_setsockopt(sk, SOL_TCP, TCP_CONGESTION, name, sizeof(name));
#endif
}

SEC("struct_ops/rmt_tcp_ssthresh")
__u32 BPF_PROG(rmt_tcp_ssthresh, struct sock *sk)
{
#if defined(FAULT_ANSWER_POLICY) || defined(FAULT_ANSWER_ONE_BRANCH)
	struct value *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, 0);
	__u32 base = tcp_reno_ssthresh(sk);

#ifdef FAULT_ANSWER_POLICY
	return s ? s->ev.ssthresh : 0;
#else
	return s ? s->ev.ssthresh : base;
#endif
#elif defined(FAULT_ANSWER_LESS)
	return tcp_reno_ssthresh(sk) - 2;
#elif defined(FAULT_ANSWER_CONSTANT)
	return 0;
#else
	return tcp_reno_ssthresh(sk);
#endif
}

SEC("struct_ops/rmt_tcp_undo")
__u32 BPF_PROG(rmt_tcp_undo, struct sock *sk)
{
	return tcp_reno_undo_cwnd(sk);
}

SEC("struct_ops/rmt_tcp_main")
void BPF_PROG(rmt_tcp_main, struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs)
{
	struct value *s = bpf_sk_storage_get(&rmt_socks, sk, NULL, 0);
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	tcp_reno_cong_avoid(sk, ack, rs->acked_sacked);
	if (!s)
		return;
	rmt_base_cwnd(sk, tp->snd_cwnd);
	rmt_base_pacing(sk, sk->sk_max_pacing_rate);
	s->ev.seen++;
	show(sk, s);
#ifdef FAULT_ACT_MANY
	show(sk, s);
	show(sk, s);
	show(sk, s);
#endif
#ifdef FAULT_ACT_ELSEWHERE
	__u64 id = s->scope;

	rmt_act(sk, s, bpf_map_lookup_elem(&rmt_scope, &id));
#endif
#ifdef FAULT_STORE_ELSEWHERE
	tp->snd_cwnd = 10;
#endif
#ifdef FAULT_STORE_SPILLED
	asm volatile("*(u64 *)(r10 - 504) = %0; %0 = 0; %0 = *(u64 *)(r10 - 504)" : "+r"(tp));
	tp->snd_cwnd = 10;
#endif
#ifdef FAULT_STORE_CALLED
	stores((int *)&s->ev.seen, 2);
	stores((int *)&tp->snd_cwnd, 2);
#endif
#ifdef FAULT_STORE_RETURNED
	same(tp)->snd_cwnd = 10;
#endif
#ifdef FAULT_STORE_JOINED
	__u32 *where = s->ev.seen & 1 ? &s->ev.seen : &tp->snd_cwnd;

	opaque(where);
	*where = 3;
#endif
#ifdef FAULT_STORE_CHAIN
	sk->sk_cgrp_data.cgroup->kn->id = 1;
#endif
#ifdef FAULT_STORE_BY_FRAME
	struct pair pair = {tp, 1};

	by_frame(&pair);
#endif
#ifdef FAULT_STORE_PUT_THERE
	struct pair pair = {};

	put(&pair, tp);
	pair.tp->snd_cwnd = 10;
#endif
#ifdef FAULT_STORE_ADDED
	*(__u32 *)((char *)&s->ev.seen + (__u64)tp) = 3;
#endif
#ifdef FAULT_STORE_HELPER
	bpf_probe_read_kernel(&tp->snd_cwnd, 4, rs);
#endif
}

#ifdef FAULT_PROGRAM
SEC("tp_btf/tcp_probe")
int on_probe(void *ctx)
{
	return 0;
}
#endif
#ifdef FAULT_KFUNC
extern void bbr_cut_everything(struct sock *sk) __ksym;

SEC("struct_ops/rmt_tcp_release")
void BPF_PROG(rmt_tcp_release, struct sock *sk)
{
	bbr_cut_everything(sk);
}
#endif
#ifdef FAULT_HELPER
SEC("struct_ops/rmt_tcp_release")
void BPF_PROG(rmt_tcp_release, struct sock *sk)
{
	bpf_tcp_send_ack((struct tcp_sock *)sk, 0);
}
#endif

#ifndef FAULT_NO_CONTROL
#ifdef FAULT_CONTROL_LEGACY
SEC(".struct_ops")
#else
SEC(".struct_ops.link")
#endif
#ifdef FAULT_CONTROL_FOREIGN
struct tcp_congestion_ops another = {
#else
struct tcp_congestion_ops rmt_control = {
#endif
	.init = (void *)rmt_tcp_init,
	.ssthresh = (void *)rmt_tcp_ssthresh,
	.undo_cwnd = (void *)rmt_tcp_undo,
	.cong_control = (void *)rmt_tcp_main,
#ifdef FAULT_CONTROL_MEMBER
	.in_ack_event = (void *)rmt_tcp_init,
#endif
#ifdef FAULT_CONTROL_FLAGS
	.flags = 1, /* everybody may choose it */
#endif
#ifdef FAULT_CONTROL_NAME
	.name = "cubic",
#else
	.name = "sample",
#endif
};
#endif

/* ---- who is governed */

SEC("sockops")
int rmt_sockops(struct bpf_sock_ops *ctx)
{
	char name[16] = "sample";
	int option = TCP_CONGESTION;

	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB)
		return 1;
#if defined(FAULT_SOCKOPT_OTHER)
	option = 4; /* TCP_KEEPIDLE */
#elif defined(FAULT_SOCKOPT_VARIABLE)
	option = ctx->op;
#endif
	bpf_setsockopt(ctx, SOL_TCP, option, name, sizeof(name));
#ifdef FAULT_SOCKOPS_POLICY
	__u32 zero = 0;
	struct value *s = bpf_map_lookup_elem(&rmt_twin_sock, &zero);

	if (s)
		rmt_on_round(&s->ev, 1);
#endif
	return 1;
}

SEC("cgroup/setsockopt")
int rmt_guard(struct bpf_sockopt *ctx)
{
	if (ctx->level == SOL_TCP && ctx->optname == TCP_CONGESTION)
		return 0;
#if defined(FAULT_GUARD_LEVEL)
	ctx->level = 0;
#elif defined(FAULT_GUARD_VALUE)
	ctx->optlen = 8;
#else
	if (ctx->optlen > 4096)
		ctx->optlen = 0;
#endif
	return 1;
}

SEC("syscall")
int rmt_twin(__u64 *twin)
{
	__u32 zero = 0;
	struct value *s = bpf_map_lookup_elem(&rmt_twin_sock, &zero);

	if (!s)
		return 1;
	s->ev.cwnd = twin[0];
	rmt_on_round(&s->ev, 1);
	twin[1] = s->ev.cwnd;
#ifdef FAULT_TWIN_ACTS
	rmt_base_cwnd((void *)0, s->ev.cwnd);
#endif
	return 0;
}
