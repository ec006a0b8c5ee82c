/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own bbr behind empty BPF programs: the ruler for bench/tcp_cost.py. What the kernel's statistics say of these
 * programs holds the frame that every BPF control has. */
#define RMT_RULER
#include "rmt/common.bpf.h"

extern void bbr_init(struct sock *sk) __ksym;
extern void bbr_main(struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs) __ksym;
extern __u32 bbr_sndbuf_expand(struct sock *sk) __ksym;
extern __u32 bbr_undo_cwnd(struct sock *sk) __ksym;
extern __u32 bbr_ssthresh(struct sock *sk) __ksym;
extern __u32 bbr_min_tso_segs(struct sock *sk) __ksym;
extern void bbr_set_state(struct sock *sk, __u8 new_state) __ksym;

SEC("struct_ops/ruler_init")
void BPF_PROG(ruler_init, struct sock *sk)
{
	bbr_init(sk);
}

SEC("struct_ops/ruler_main")
void BPF_PROG(ruler_main, struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs)
{
	bbr_main(sk, ack, flag, rs);
}

SEC("struct_ops/ruler_ssthresh")
__u32 BPF_PROG(ruler_ssthresh, struct sock *sk)
{
	return bbr_ssthresh(sk);
}

SEC("struct_ops/ruler_undo")
__u32 BPF_PROG(ruler_undo, struct sock *sk)
{
	return bbr_undo_cwnd(sk);
}

SEC("struct_ops/ruler_tso")
__u32 BPF_PROG(ruler_tso, struct sock *sk)
{
	return bbr_min_tso_segs(sk);
}

SEC("struct_ops/ruler_sndbuf")
__u32 BPF_PROG(ruler_sndbuf, struct sock *sk)
{
	return bbr_sndbuf_expand(sk);
}

SEC("struct_ops/ruler_state")
void BPF_PROG(ruler_state, struct sock *sk, __u8 state)
{
	bbr_set_state(sk, state);
}

SEC(".struct_ops")
struct tcp_congestion_ops ruler = {
	.init = (void *)ruler_init, .cong_control = (void *)ruler_main, .ssthresh = (void *)ruler_ssthresh, .undo_cwnd = (void *)ruler_undo,
	.min_tso_segs = (void *)ruler_tso, .sndbuf_expand = (void *)ruler_sndbuf, .set_state = (void *)ruler_state, .name = "rmt_ruler_bbr",
};
