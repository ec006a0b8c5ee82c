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
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum {
	BPF_F_NO_PREALLOC = 1U << 0,
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

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
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

#pragma clang attribute pop

#endif
