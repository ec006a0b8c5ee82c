/* SPDX-License-Identifier: GPL-2.0-only */
/* Learning in the kernel behind a test: one pass over a table of rows, a step for each, with and without rounding. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_helpers.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/model.bpf.h"
#include "rmt/learn.bpf.h"

#define ROW_COUNT 4096 /* learn_test.cpp has the same */
static const struct rmt_learn_setup setup = { 6, RMT_LEARN_INPUTS, {} };

struct row {
	__s32 x[RMT_LEARN_INPUTS];
	__s64 label;
};
struct row row[ROW_COUNT] SEC(".data.row");
struct {
	struct rmt_learn_linear linear[2]; /* rounded, plain */
	struct rmt_learn_mlp mlp[2];
} learner SEC(".data.learner");

SEC("syscall")
int linear(void *ctx)
{
	int i;

	bpf_for(i, 0, ROW_COUNT) {
		rmt_learn_linear_step(&learner.linear[0], row[i].x, row[i].label, setup, 1);
		rmt_learn_linear_step(&learner.linear[1], row[i].x, row[i].label, setup, 0);
	}
	return 0;
}

SEC("syscall")
int mlp(void *ctx)
{
	int i;

	bpf_for(i, 0, ROW_COUNT) {
		rmt_learn_mlp_step(&learner.mlp[0], row[i].x, row[i].label, setup, 1);
		rmt_learn_mlp_step(&learner.mlp[1], row[i].x, row[i].label, setup, 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
