/* SPDX-License-Identifier: GPL-2.0-only */
/* The net engine behind a test: runs a table of input rows through one net and leaves status and answer of each. Compiled once
 * for each class: -DINPUTS= -DTILES= -DROWS= -DBLOCKS= -DWIDTH= -DOUTPUTS=; TILES 0 is a linear model. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_helpers.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/model.bpf.h"
#include "rmt/net.bpf.h"

#define ROW_COUNT 4096 /* a power of two; net_host.h has the same */

#if TILES == 0
RMT_LINEAR(test, 0, INPUTS);
#else
RMT_NET(test, 0, INPUTS, TILES, ROWS, BLOCKS, WIDTH, OUTPUTS);
#endif

struct row {
	__s32 input[INPUTS];
};
struct answer {
	__s64 value;
	__u64 status;
};
struct row row[ROW_COUNT] SEC(".data.row");
struct answer answer[ROW_COUNT] SEC(".data.answer");

struct {
	__u32 rows; /* of `row` to answer */
	__u32 next; /* `one`: row to answer next */
} control SEC(".data.control");

static __always_inline void answer_row(__u32 i)
{
	__s64 value = 0;

	i &= ROW_COUNT - 1;
	answer[i].status = rmt_infer_model_test(row[i].input, &value);
	answer[i].value = value;
}

SEC("syscall")
int all(void *ctx)
{
	int i;

	bpf_for(i, 0, ROW_COUNT) {
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
	answer_row(control.next++ & (ROW_COUNT - 1));
	return 0;
}

/* What `one` does without the inference: the figure to subtract. */
SEC("tc")
int none(void *skb)
{
	__u32 i = control.next++ & (ROW_COUNT - 1);

	answer[i].status = 0;
	answer[i].value = row[i].input[i & 7];
	return 0;
}

/* As policies use it, in a tracing program: for the verifier's count of instructions. */
SEC("tp_btf/sched_switch")
int traced(__u64 *ctx)
{
	answer_row(bpf_get_prandom_u32());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
