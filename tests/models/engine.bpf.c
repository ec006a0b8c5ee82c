/* SPDX-License-Identifier: GPL-2.0-only */
/* The engine behind a test: runs a table of input rows through one model and leaves status and answer of each. Compiled once
 * for each class: -DTREES= -DDEPTH= -DNODES=. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_helpers.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/model.bpf.h"

#define ROWS 4096 /* a power of two; engine_host.h has the same */

RMT_MODEL(test, 0, TREES, DEPTH, NODES);

struct row {
	__s32 input[RMT_MODEL_SLOTS];
};
struct answer {
	__s64 value;
	__u64 status;
};
struct row row[ROWS] SEC(".data.row");
struct answer answer[ROWS] SEC(".data.answer");

struct {
	__u32 rows;   /* of `row` to answer */
	__u32 next;   /* `one`: row to answer next */
	__u64 sink;
} control SEC(".data.control");

static __always_inline void answer_row(__u32 i)
{
	__s32 f[RMT_MODEL_SLOTS];
	__s64 value = 0;
	__u32 k;

	i &= ROWS - 1;
#pragma clang loop unroll(full)
	for (k = 0; k < RMT_MODEL_SLOTS; k++)
		f[k] = row[i].input[k];
	answer[i].status = rmt_model_infer_test(f, &value);
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

/* One row for each run, for timing with repeat and for swaps under load. */
SEC("tc")
int one(void *skb)
{
	answer_row(control.next++ % ROWS);
	return 0;
}

/* What `one` does without the inference: the figure to subtract. */
SEC("tc")
int none(void *skb)
{
	__u32 i = control.next++ & (ROWS - 1), k;
	__s32 f[RMT_MODEL_SLOTS];

#pragma clang loop unroll(full)
	for (k = 0; k < RMT_MODEL_SLOTS; k++)
		f[k] = row[i].input[k];
	asm volatile("" : : "r"(f) : "memory");
	answer[i].status = 0;
	answer[i].value = f[i & 15];
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
	__s32 f[RMT_MODEL_SLOTS];
	__u32 i = control.next++ & (ROWS - 1), k;
	__s64 value = 0;
	int status;

#pragma clang loop unroll(full)
	for (k = 0; k < RMT_MODEL_SLOTS; k++)
		f[k] = row[i].input[k];
	status = rmt_model_infer_test(f, &value);
	watch.runs++;
	if (status != RMT_MODEL_OK || (value != watch.allowed[0] && value != watch.allowed[1]))
		watch.torn++;
	return 0;
}

/* As policies use it: 32 inferences in a loop, each fed by the last answer, in a tracing program. */
SEC("tp_btf/sched_switch")
int traced(__u64 *ctx)
{
	__s32 f[RMT_MODEL_SLOTS] = {};
	__s64 step = 0;
	int i;

	f[0] = (__s32)bpf_get_prandom_u32();
	bpf_for(i, 0, 32) {
		__s32 g[RMT_MODEL_SLOTS] = { f[0], f[1], f[2], f[3] };

		if (rmt_model_infer_test(g, &step))
			break;
		if (step == 0)
			break;
		f[3] = f[2];
		f[2] = f[1];
		f[1] = f[0];
		f[0] = (__s32)step;
		control.sink += step;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
