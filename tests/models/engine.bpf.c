/* SPDX-License-Identifier: GPL-2.0-only */
/* The engine behind a test: runs a table of input rows through one model and leaves status and answer of each. Compiled once
 * for each class: -DKIND= -DTREES= -DDEPTH= -DNODES= -DSLOTS= -DDERIVED= -DOUTPUTS=, and for bench with more -DROWS=. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_helpers.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/model.bpf.h"

#ifndef ROWS
#define ROWS 4096 /* a power of two */
#endif

RMT_MODEL_CLASS(test, 0, KIND, TREES, DEPTH, NODES, SLOTS, DERIVED, OUTPUTS);

struct row {
	__s32 input[SLOTS];
};
struct answer {
	__s64 value;
	__u64 status;
};
struct row row[ROWS] SEC(".data.row");
struct answer answer[ROWS] SEC(".data.answer");

struct {
	__u32 rows;   /* of `row` to answer */
	__u32 next;   /* `one`, `chain`: row to answer next */
	__u64 sink;
	__u64 zero;   /* never anything else; the compiler does not know */
} control SEC(".data.control");

/* Of the row in work: in a map, as a policy's is. One run at a time. */
__s32 vector[SLOTS] SEC(".data.vector");

static __always_inline void read_row(__u32 i, __s32 *f)
{
	__u32 k;

#pragma clang loop unroll(full)
	for (k = 0; k < SLOTS; k++)
		f[k] = row[i & (ROWS - 1)].input[k];
}

static __always_inline void answer_row(__u32 i)
{
	__s32 *f = vector;
	__s64 value = 0;

	i &= ROWS - 1;
	read_row(i, f);
	answer[i].status = rmt_infer_model_test(f, &value);
	answer[i].value = value;
}

SEC("syscall")
int all(void *ctx)
{
	int i;

	bpf_for(i, 0, ROWS) {
		if ((__u32)i >= control.rows)
			break;
		answer_row(i);
	}
	return 0;
}

/* One row for each run, for swaps under load and for what the kernel's verifier thinks of one inference. */
SEC("tc")
int one(void *skb)
{
	answer_row(control.next++ % ROWS);
	return 0;
}

/* For timing: each inference waits for the answer of the one before, as an event waits for its decision. The answer goes
 * through memory, or the verifier would follow each turn of the loop on its own. */
static __always_inline void chain_row(__u32 i, __s32 *f)
{
	read_row(control.next + i + (__u32)(*(volatile __u64 *)&control.sink & control.zero), f);
}

SEC("syscall")
int chain(void *ctx)
{
	int i;

	bpf_for(i, 0, ROWS) {
		__s32 *f = vector;
		__s64 value = 0;

		if ((__u32)i >= control.rows)
			break;
		chain_row((__u32)i, f);
		rmt_infer_model_test(f, &value);
		*(volatile __u64 *)&control.sink = value;
	}
	return 0;
}

/* What `chain` does without the inference: the figure to subtract. */
SEC("syscall")
int chain_none(void *ctx)
{
	int i;

	bpf_for(i, 0, ROWS) {
		__s32 *f = vector;

		if ((__u32)i >= control.rows)
			break;
		chain_row((__u32)i, f);
		asm volatile("" : : "r"(f) : "memory");
		*(volatile __u64 *)&control.sink = f[i & (SLOTS - 1)];
	}
	return 0;
}

/* The unit that a decision is compared with: one lookup in a hash map, its key the row's first input. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

SEC("syscall")
int chain_hash(void *ctx)
{
	int i;

	bpf_for(i, 0, ROWS) {
		__s32 *f = vector;
		__u64 *found;
		__u32 key;

		if ((__u32)i >= control.rows)
			break;
		chain_row((__u32)i, f);
		asm volatile("" : : "r"(f) : "memory");
		key = (__u32)f[0] & 1023;
		found = bpf_map_lookup_elem(&hash, &key);
		*(volatile __u64 *)&control.sink = found ? *found : 1;
	}
	return 0;
}

/* Answers of a model whose trees are all of one value: for the swap test. Counts runs and answers that no such model gives. */
struct {
	__u64 runs;
	__u64 torn;
	__s64 allowed[2];
} watch SEC(".data.watch");

SEC("tc")
int watched(void *skb)
{
	__s32 *f = vector;
	__s64 value = 0;
	int status;

	read_row(control.next++, f);
	status = rmt_infer_model_test(f, &value);
	watch.runs++;
	if (status != RMT_MODEL_OK || (value != watch.allowed[0] && value != watch.allowed[1]))
		watch.torn++;
	return 0;
}

/* As policies use it: 32 inferences in a loop, each fed by the last answer, in a tracing program. Only loaded, never attached. */

SEC("tp_btf/sched_switch")
int traced(__u64 *ctx)
{
	__s32 a = (__s32)bpf_get_prandom_u32(), b = 0, c = 0, d = 0;
	__s64 step = 0;
	int i;

	bpf_for(i, 0, 32) {
		vector[0] = a;
		vector[1] = b;
		vector[2] = c;
		vector[3] = d;
		if (rmt_infer_model_test(vector, &step))
			break;
		if (step == 0)
			break;
		d = c;
		c = b;
		b = a;
		a = (__s32)step;
		control.sink += step;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
