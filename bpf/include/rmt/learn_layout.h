/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a learner in the kernel keeps (learn.bpf.h): the value of map `rmt_online_<model>`, one for each CPU. */
#ifndef RMT_LEARN_LAYOUT_H
#define RMT_LEARN_LAYOUT_H

#include "intf.h"

#define RMT_LEARN_INPUTS 8
#define RMT_LEARN_HIDDEN 8
#define RMT_LEARN_X 256                 /* inputs are clamped to -X..X-1 */
#define RMT_LEARN_LABEL (1 << 20)
#define RMT_LEARN_WEIGHT (1 << 26)      /* weights saturate here */
#define RMT_LEARN_RATE_MIN 4            /* of a step: 2^-4 .. */
#define RMT_LEARN_RATE_MAX 12
#define RMT_LEARN_SCALE_MIN (-7)        /* inputs are divided by 2^-7 .. */
#define RMT_LEARN_SCALE_MAX 22
#define RMT_LEARN_AFTER_MAX 1000000000u
#define RMT_LEARN_WINDOW_BITS 8         /* moving means: a step weighs 2^-8 */

struct rmt_learn_score {
	__u64 begun;   /* 0: the next step begins anew */
	__u64 steps;
	__u64 squares; /* sum of squared errors */
	/* Moving means times 2^RMT_LEARN_WINDOW_BITS, from 0 on. */
	__u64 recent;  /* squared error */
	__u64 spread;  /* squared distance of a label from the mean before it: what answering that mean would have cost */
	__s64 mean;    /* label */
};
RMT_SIZE(struct rmt_learn_score, 48);

struct rmt_learn_linear {
	struct rmt_learn_score score;
	__s64 weight[RMT_LEARN_INPUTS]; /* 16 fraction bits */
	__s64 bias;                     /* 8 fraction bits */
};
RMT_SIZE(struct rmt_learn_linear, 120);

struct rmt_learn_mlp {
	struct rmt_learn_score score;
	__s64 first[RMT_LEARN_HIDDEN][RMT_LEARN_INPUTS];
	__s64 first_bias[RMT_LEARN_HIDDEN];
	__s64 second[RMT_LEARN_HIDDEN];
	__s64 bias;
	__s64 hidden[RMT_LEARN_HIDDEN]; /* of the last step */
};
RMT_SIZE(struct rmt_learn_mlp, 760);

#endif
