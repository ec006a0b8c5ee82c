/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Domain tcp: what its programs and the C++ share, beyond intf.h. Control, scope, tables, models and samples are those of
 * intf.h; figures of a cgroup are counted by the enum below in rmt_cgroup.stat. */
#ifndef RMT_INTF_TCP_H
#define RMT_INTF_TCP_H

#include "intf.h"

#define RMT_TCP_NAME_LEN 16 /* of a congestion control, with its end: linux TCP_CA_NAME_MAX */

/* ---- figures of a cgroup: rmt_cgroup.stat. Those of both domains keep their numbers ------------------------------ */

enum rmt_tcp_stat {
	RMT_TCP_SOCKETS,        /* sockets that came under the policy: born in scope, or converted */
	RMT_TCP_CONVERTED,      /* of those, sockets that were open already */
	RMT_TCP_RESTORED,       /* sockets that were given back to what they had */
	RMT_TCP_REFUSED,        /* sockets that could not be given to the policy, or back; reasons in rmt_refused */
	RMT_TCP_GUARDED,        /* applications that were refused another control */
	RMT_TCP_CLOSED,         /* sockets that ended, or left, under the policy */
	RMT_TCP_ACKS,           /* acknowledgements */
	RMT_TCP_ROUNDS,         /* round trips */
	RMT_TCP_LOSS_EVENTS,    /* times that recovery began */
	RMT_TCP_RTO_EVENTS,     /* times that the retransmission timer fired */
	RMT_TCP_DECISIONS,      /* events in which the policy set something */
	RMT_TCP_SET_CWND,       /* of those, windows that were written (mode enforce) */
	RMT_TCP_SET_SSTHRESH,
	RMT_TCP_SET_PACING,
	RMT_TCP_CLAMPED,        /* decisions that a limit changed */
	RMT_TCP_SHADOWED,       /* decisions that were not carried out: mode or breaker */
	RMT_TCP_SHADOW_AGREE,   /* of those that set the window, within 1/8 of the window in force */
	RMT_TCP_SHADOW_ABOVE,
	RMT_TCP_SHADOW_BELOW,
	RMT_TCP_DELIVERED,      /* segments */
	RMT_TCP_LOST,           /* segments marked lost */
	RMT_TCP_RTT_US,         /* sum over the rounds of their mean round-trip times */
	RMT_TCP_BREACH = RMT_STAT_BREACH,
	RMT_TCP_QUEUE_US,       /* sum over the rounds of mean minus least round-trip time: queueing delay */
	RMT_TCP_COLLECT_FULL = RMT_STAT_COLLECT_FULL,
	RMT_TCP_ON_ERROR = RMT_STAT_ON_ERROR,
	RMT_TCP_NO_STORAGE = RMT_STAT_NO_STORAGE,
};

/* Why a socket was refused: map rmt_refused (HASH, value __u64). */
enum rmt_tcp_moment {
	RMT_TCP_AT_CONNECT = 1,
	RMT_TCP_AT_LISTEN = 2,
	RMT_TCP_AT_ACCEPT = 3,
	RMT_TCP_AT_CONVERT = 4,
	RMT_TCP_AT_RESTORE = 5,
};

struct rmt_refusal {
	__u64 scope;  /* key in rmt_scope */
	__u32 error;  /* errno */
	__u32 moment; /* enum rmt_tcp_moment */
};
RMT_SIZE(struct rmt_refusal, 16);

/* ---- what a policy sees of an event; in nanoseconds for it, in the kernel's microseconds here ----------------------- */

struct rmt_tcp_fields {
	__u64 now;              /* bpf_ktime, ns */
	__u64 age_ns;
	__u64 cgroup;           /* the socket's own */
	__u64 rate, max_rate;   /* bytes per second */
	__u64 dst[2];           /* address of the peer in network order; IPv4 as ::ffff:a.b.c.d */
	__u32 srtt_us, rtt_us, min_rtt_us;
	__s32 rtt_gradient;     /* 1/1000 of min_rtt */
	__u32 bdp, inflight, delivered, lost, retrans, rounds; /* segments */
	__u32 cwnd, ssthresh;   /* as the base left them */
	__u16 loss_rate, ecn;   /* 1/1000 */
	__u16 mss, dport, sport;
	__u8 state;             /* 1 + TCP_CA_Open ... */
	__u8 slow_start, app_limited;
	__u8 pad[3];
	__u64 pacing;           /* bytes per second, as the base left it */
};
RMT_SIZE(struct rmt_tcp_fields, 128);

/* The program's twin for tests and timing: SEC("syscall") `rmt_twin`, the policy's code on an event made by hand. */
struct rmt_tcp_twin {
	__u32 event;            /* enum rmt_tcp_event */
	__u32 reset;            /* 1: forget the state first */
	struct rmt_tcp_fields in;
	__u32 set;              /* out: enum rmt_tcp_sink, and what was wanted, before limits */
	__u32 cwnd, ssthresh;
	__u32 table, action, slot; /* out: last choice, ~0: none */
	__u64 pacing;
};
RMT_SIZE(struct rmt_tcp_twin, 168);

/* ---- one socket, for people: what the policy last saw and did. First member of the value of map rmt_socks ---------- */

enum rmt_tcp_event {
	RMT_TCP_EVENT_NONE,
	RMT_TCP_EVENT_ESTABLISHED,
	RMT_TCP_EVENT_ACK,
	RMT_TCP_EVENT_ROUND,
	RMT_TCP_EVENT_LOSS,
	RMT_TCP_EVENT_RTO,
};

enum rmt_tcp_sink { /* bits */
	RMT_TCP_SINK_CWND = 1,
	RMT_TCP_SINK_SSTHRESH = 2,
	RMT_TCP_SINK_PACING = 4,
};

struct rmt_tcp_view {
	__u64 scope;         /* cgroup of rmt_scope that it belongs to, 0: none, then the policy never sees it */
	__u64 cgroup;        /* its own */
	__u64 since_ns;      /* when it came under the policy */
	__u64 last_ns;       /* of the last event */
	__u64 rounds;
	__u64 decisions;
	__u32 event;         /* enum rmt_tcp_event, the last one in which the policy set something */
	__u32 mode;          /* enum rmt_mode, then */
	__u32 table;         /* index in the manifest of the last table applied, ~0: none */
	__u32 action, slot;  /* what it chose */
	__u32 set;           /* enum rmt_tcp_sink */
	__u32 want_cwnd, want_ssthresh; /* before limits */
	__u64 want_pacing;   /* bytes per second */
	__u32 cwnd, ssthresh; /* written, or left by the base */
	__u64 pacing;
	__u32 min_rtt_us, rtt_us; /* rtt: mean of the last round */
	__u32 answer_error;  /* inferences answered by on_error */
	__u32 pad;
};
RMT_SIZE(struct rmt_tcp_view, 120);

/* What iterator rmt_dump writes, one for each socket under the policy. Addresses and ports in network order. */
struct rmt_tcp_record {
	__u32 family;        /* AF_INET, AF_INET6 */
	__u32 state;         /* TCP_ESTABLISHED ... */
	__u16 sport, dport;
	__u32 netns;         /* inode */
	__u8 saddr[16], daddr[16]; /* IPv4: the first 4 */
	struct rmt_tcp_view view;
};
RMT_SIZE(struct rmt_tcp_record, 168);

/* What the iterators are told: map rmt_pass (ARRAY, 1 entry). */
enum rmt_tcp_task {
	RMT_TCP_TASK_CONVERT = 1, /* sockets of the scope that are not under the policy */
	RMT_TCP_TASK_RESTORE = 2, /* sockets under the policy, of `scope` or of all: what they had */
	RMT_TCP_TASK_RENEW = 3,   /* sockets under the policy: onto the newest code of the same name */
};

struct rmt_tcp_pass {
	__u32 task;    /* enum rmt_tcp_task */
	__u32 pad;
	__u64 scope;   /* 0: all */
	__u64 seen, changed, refused; /* out, added */
};
RMT_SIZE(struct rmt_tcp_pass, 40);

#endif
