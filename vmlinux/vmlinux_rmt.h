/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel types that our programs touch, and of them only the members that they use. CO-RE (preserve_access_index)
 * relocates each access to the running kernel when an object is loaded, so a build needs neither that kernel nor its BTF.
 * How each was found: `bpftool btf dump file /sys/kernel/btf/vmlinux format c` on 6.12, 6.18 and 7.x, members compared by
 * name and kind (vmlinux/README.md has the list); constants of the BPF system call are UAPI and never change. */
#ifndef VMLINUX_RMT_H
#define VMLINUX_RMT_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

/* UAPI: <linux/bpf.h> */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_CLONE = 1U << 9,
	BPF_F_MMAPABLE = 1U << 10,
};
enum { BPF_NOEXIST = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1ULL << 0 };
enum {
	BPF_RB_NO_WAKEUP = 1ULL << 0,
	BPF_RB_FORCE_WAKEUP = 1ULL << 1,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The iterator behind bpf_for: 8 bytes on the program's stack. */
struct bpf_iter_num {
	__u64 __opaque[1];
};

struct kernfs_node {
	__u64 id; /* st_ino of the cgroup's directory, v1 and v2 */
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

enum cgroup_subsys_id {
	memory_cgrp_id, /* value relocated: it depends on the kernel's configuration */
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
};

typedef struct {
	__s64 counter;
} atomic64_t;
typedef atomic64_t atomic_long_t;

struct page_counter {
	atomic_long_t usage; /* pages */
	unsigned long max;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
};

struct mm_struct {
	void *pgd;
};

struct task_struct {
	__s32 pid;
	__s32 tgid;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct css_set *cgroups;
};

typedef struct {
	unsigned long val;
} swp_entry_t;

typedef struct {
	unsigned long pte;
} pte_t;

struct file;

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct file *vm_file;
};

enum fault_flag {
	FAULT_FLAG_WRITE = 1 << 0,
	FAULT_FLAG_TRIED = 1 << 5,
};

enum vm_fault_reason {
	VM_FAULT_MAJOR = 4,
	VM_FAULT_RETRY = 1024,
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;
	enum fault_flag flags;
	pte_t orig_pte;
};

enum vm_event_item {
	PGFAULT,
	PGMAJFAULT,
};

enum pageflags {
	PG_swapcache,
	PG_swapbacked,
};

struct page;

struct folio {
	swp_entry_t swap;
};

struct bio_vec {
	struct page *bv_page;
};

struct bvec_iter {
	__u32 bi_size;
};

struct bio {
	__u32 bi_opf; /* blk_opf_t; the low 8 bits are the operation: 0 read, 1 write */
	struct bvec_iter bi_iter;
	struct bio_vec *bi_io_vec;
};

struct pt_regs;

/* ---- TCP ---- */

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct tcp_congestion_ops;

struct ns_common {
	__u32 inum;
};

struct netns_ipv4 {
	const struct tcp_congestion_ops *tcp_congestion_control; /* of new sockets */
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	possible_net_t skc_net;
};

struct sock_cgroup_data {
	struct cgroup *cgroup; /* of version 2 */
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	unsigned long sk_pacing_rate;     /* bytes per second */
	unsigned long sk_max_pacing_rate;
	__u32 sk_pacing_status;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const struct tcp_congestion_ops *icsk_ca_ops;
	__u8 icsk_ca_state : 5;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_cwnd;
	__u32 snd_cwnd_clamp;
	__u32 snd_ssthresh;
	__u32 srtt_us;            /* 8 times the smoothed round-trip time */
	__u32 packets_out;
	__u32 retrans_out;
	__u32 lost_out;
	__u32 sacked_out;
	__u32 total_retrans;
	__u32 delivered;
	__u32 delivered_ce;
	__u32 prr_out;
	__u32 prior_cwnd;
	__u32 undo_marker;
	__u32 mss_cache;
	__u32 max_packets_out;
	__u32 reordering;
	__u64 tcp_mstamp;
	__u32 rcv_nxt;
	__u8 is_cwnd_limited : 1;
};

struct rate_sample {
	__u32 prior_delivered;
	__s32 delivered;          /* segments; below 0: not a valid sample */
	long interval_us;
	long rtt_us;              /* below 0: none */
	int losses;
	__u32 acked_sacked;
	bool is_app_limited;
};

struct ack_sample {
	__u32 pkts_acked;
	__s32 rtt_us;
	__u32 in_flight;
};

enum tcp_ca_state {
	TCP_CA_Open = 0,
	TCP_CA_Disorder = 1,
	TCP_CA_CWR = 2,
	TCP_CA_Recovery = 3,
	TCP_CA_Loss = 4,
};

enum tcp_ca_event {
	CA_EVENT_TX_START = 0,
};

/* Members are found by name. A map leaves out those that its kernel has not (docs/decisions/0004). */
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*set_state)(struct sock *sk, __u8 new_state);
	void (*cwnd_event)(struct sock *sk, enum tcp_ca_event ev);
#ifndef RMT_RULER /* bench/tcp_ruler.bpf.c goes through bpftool, whose libbpf may want every member in the kernel */
	void (*cwnd_event_tx_start)(struct sock *sk);
#endif
	void (*pkts_acked)(struct sock *sk, const struct ack_sample *sample);
	__u32 (*min_tso_segs)(struct sock *sk);
	void (*cong_control)(struct sock *sk, __u32 ack, int flag, const struct rate_sample *rs);
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 (*sndbuf_expand)(struct sock *sk);
	char name[16];
	void (*init)(struct sock *sk);
	void (*release)(struct sock *sk);
	__u32 flags;
};

/* ---- TCP: contexts of sock_ops, cgroup/setsockopt and iterators; UAPI, and the iterator's own ---- */

enum {
	BPF_SOCK_OPS_TCP_CONNECT_CB = 3,
	BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5,
	BPF_SOCK_OPS_TCP_LISTEN_CB = 11,
};

struct bpf_sock;

struct bpf_sock_ops {
	__u32 op;
	struct bpf_sock *sk;
};

struct bpf_sockopt {
	struct bpf_sock *sk;
	__s32 level;
	__s32 optname;
	__s32 optlen;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

#endif
