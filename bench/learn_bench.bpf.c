/* SPDX-License-Identifier: GPL-2.0-only */
/* What learning costs an event: steps and predictions as a policy's program makes them, map lookup and call included. */
#include "rmt/common.bpf.h"

#define ROUNDS (1 << 16) /* learn_bench.cpp has the same */
#define ROW_COUNT 4096

struct row {
	__s32 x[RMT_LEARN_INPUTS];
	__s64 label;
};
struct row row[ROW_COUNT] SEC(".data.row");
__s64 total SEC(".data.total");

RMT_ONLINE(linear2, linear, 1, 6, 2, 4, 4);
RMT_ONLINE(linear8, linear, 1, 6, 8, 4, 4, 4, 4, 4, 4, 4, 4);
RMT_ONLINE(mlp2, mlp, 1, 6, 2, 4, 4);
RMT_ONLINE(mlp8, mlp, 1, 6, 8, 4, 4, 4, 4, 4, 4, 4, 4);

static __noinline __s64 nothing(const __s32 *x, __s64 label)
{
	return x ? x[0] + label : 0;
}

#define PROGRAM(name, call)                                         \
	SEC("syscall") int name(void *ctx)                          \
	{                                                           \
		__s64 sum = 0;                                      \
		int i;                                              \
		bpf_for(i, 0, ROUNDS) {                             \
			struct row *r = &row[i & (ROW_COUNT - 1)];  \
			sum = call;                                 \
			rmt_opaque(sum);                            \
		}                                                   \
		total = sum;                                        \
		return 0;                                           \
	}

PROGRAM(empty, nothing(r->x, r->label))
PROGRAM(step_linear2, rmt_step_linear2(r->x, r->label))
PROGRAM(step_linear8, rmt_step_linear8(r->x, r->label))
PROGRAM(step_mlp2, rmt_step_mlp2(r->x, r->label))
PROGRAM(step_mlp8, rmt_step_mlp8(r->x, r->label))
PROGRAM(predict_linear2, rmt_predict_linear2(r->x))
PROGRAM(predict_linear8, rmt_predict_linear8(r->x))
PROGRAM(predict_mlp2, rmt_predict_mlp2(r->x))
PROGRAM(predict_mlp8, rmt_predict_mlp8(r->x))
