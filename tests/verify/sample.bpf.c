/* SPDX-License-Identifier: GPL-2.0-only */
/* A small policy that the RMT verifier accepts, and with -DFAULT_<name> one fault in it; tests/verify/samples.h says which
 * id each must give. Not the library of bpf/: the shape that the verifier relies on, written once more, so that a test of
 * the verifier does not change when the library does. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/loop.bpf.h"

#define PER_EVENT 32
#define RATE 50000
#define WINDOW_NS 1000000000ull
#define opaque(x) asm volatile("" : "+r"(x))

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rmt_ctl);
} rmt_ctl SEC(".maps");

#ifdef FAULT_VALUE_SIZE
struct cgroup_value { __u64 stat[4]; };
#else
struct cgroup_value { struct rmt_cgroup c; };
#endif

struct {
#ifdef FAULT_MAP_TYPE
	__uint(type, 9); /* LRU_HASH: may forget a cgroup's bucket */
#else
	__uint(type, BPF_MAP_TYPE_HASH);
#endif
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct cgroup_value);
} rmt_scope SEC(".maps");

struct task {
	struct rmt_action rec;
	__u64 seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task);
} rmt_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} rmt_actions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} rmt_collect SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} rmt_passed SEC(".maps");

#ifndef FAULT_NO_TABLE
struct entry { struct rmt_range k0; struct rmt_entry_tail tail; __s64 arg[1]; };
#ifdef FAULT_TABLE_SIZE
#define ENTRIES 15
#else
#define ENTRIES 16
#endif
struct table_value { struct rmt_table_header head; struct entry entry[ENTRIES]; };
struct table_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, sizeof(struct table_value));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct table_inner);
} rmt_table_t SEC(".maps");
#endif

#ifdef FAULT_FOREIGN_MAP
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} notes SEC(".maps");
#endif
#ifdef FAULT_TAIL_CALL
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} rmt_tags SEC(".maps");
#endif
#ifdef FAULT_GLOBAL_DATA
__u64 counter;
#endif
#ifdef FAULT_KFUNC
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
#endif

static __noinline __attribute__((used)) int rmt_mode_now(struct rmt_cgroup *cg)
{
	__u32 zero = 0;
	struct rmt_ctl *ctl = bpf_map_lookup_elem(&rmt_ctl, &zero);
	__u64 now = bpf_ktime_get_ns();

	if (!ctl || !cg)
		return RMT_MODE_OFF;
#ifdef FAULT_MODE_FORGED
	if (ctl->mode == RMT_MODE_OFF)
		return RMT_MODE_OFF;
#else
	if (ctl->mode != RMT_MODE_ENFORCE)
		return ctl->mode;
#endif
	if (now < cg->breaker.open_until_ns)
		return RMT_MODE_SHADOW;
	return RMT_MODE_ENFORCE;
}

#ifdef FAULT_NO_TAKE
static __always_inline
#else
static __noinline __attribute__((used))
#endif
__u32 rmt_take(struct rmt_cgroup *cg, __u32 n, __u64 rate, __u64 window_ns)
{
	__u64 now = bpf_ktime_get_ns();
	__s64 before;

	if (!cg)
		return 0;
	if (now - cg->bucket.last_ns > window_ns) {
		cg->bucket.last_ns = now;
		cg->bucket.tokens = rate;
	}
	before = __sync_fetch_and_add(&cg->bucket.tokens, -(__s64)n);
	if (before >= (__s64)n)
#ifdef FAULT_BUCKET_GENEROUS
		return n + 1;
#else
		return n;
#endif
	if (before <= 0)
		return 0;
	return before;
}

#include "emit.h"
#include "handler.h"

static __always_inline int run(void)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct task *t = bpf_task_storage_get(&rmt_tasks, current, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	__u64 id = 1;
	struct rmt_cgroup *cg;

	if (!t)
		return 0;
	cg = bpf_map_lookup_elem(&rmt_scope, &id);
	if (!cg)
		return 0;
	rmt_on_fault(t, cg);
	rmt_emit(t, cg);
	rmt_note_passed(t, cg);
#ifdef FAULT_EMIT_TWICE
	rmt_emit(t, cg);
#endif
#ifdef FAULT_SINK_ELSEWHERE
	bpf_ringbuf_output(&rmt_actions, &t->rec, RMT_ACTION_HEADER, 0);
#endif
#ifdef FAULT_PASSED_ELSEWHERE
	bpf_ringbuf_output(&rmt_passed, &t->rec, 16, 0);
#endif
	return 0;
}

#ifdef FAULT_PROGRAM
SEC("kprobe/handle_mm_fault")
int on_kprobe(void *ctx)
{
	return run();
}
#endif

SEC("tp_btf/page_fault_user")
int BPF_PROG(on_fault, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	return run();
}

SEC("syscall")
int twin(void *ctx)
{
	return run();
}
