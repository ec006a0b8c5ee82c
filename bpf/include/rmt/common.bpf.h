/* SPDX-License-Identifier: GPL-2.0-only */
/* The one include of generated code: kernel types, helpers, the contract with user space, and our own library. */
#ifndef RMT_COMMON_BPF_H
#define RMT_COMMON_BPF_H

#include "vmlinux_rmt.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Open-coded iterators behind bpf_for; every supported kernel (6.12 and newer) has them. */
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"

/* Hides a value from the optimiser, so that a branch-free form stays one and a bounds check stays in place. */
#define rmt_opaque(x) asm volatile("" : "+r"(x))

char LICENSE[] SEC("license") = "GPL";

#include "rmt/arith.bpf.h"
#include "rmt/state.bpf.h"
#include "rmt/table.bpf.h"
#include "rmt/model.bpf.h"
#include "rmt/net.bpf.h"
#include "rmt/online.bpf.h"

#endif
