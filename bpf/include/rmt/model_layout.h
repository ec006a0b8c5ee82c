/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How a lowered model lies in its map value, shared by the engine (model.bpf.h) and by models/lower.cpp. Everything that
 * must agree - ranges, roots, nodes, scale, version - is one value, so that a swap is one pointer and nothing can tear.
 *
 * Value of map `rmt_model_<name>` (ARRAY_OF_MAPS, 1 entry; inner ARRAY of one value; an empty entry: no model):
 *     struct rmt_model_header
 *     __u32 root[RMT_MODEL_ROOTS(trees)]     first node of each tree; a single tree starts at node 0
 *     struct rmt_model_node node[nodes]      all trees together, nodes a power of two
 *
 * Node: `link` holds the input's slot in bits 0..7 and, in bits 8..31, the number of the left child; the right one follows it.
 * One step goes left iff input <= threshold. A leaf holds its value as threshold, slot 15 and itself as child: slot 15 is
 * the sentinel that is below every value, so a leaf steps to itself and the number of steps is a constant.
 * The step is a 32-bit subtraction whose sign decides, hence RMT_MODEL_MIN..MAX for thresholds and leaves. */
#ifndef RMT_MODEL_LAYOUT_H
#define RMT_MODEL_LAYOUT_H

#include "intf.h"

#define RMT_MODEL_LAYOUT 1          /* of this file; 0: the value holds no model */

#define RMT_MODEL_SLOTS 16
#define RMT_MODEL_SENTINEL_SLOT 15
#define RMT_MODEL_LIMIT (1 << 30)   /* inputs lie in -LIMIT..LIMIT */
#define RMT_MODEL_MIN (-RMT_MODEL_LIMIT)    /* thresholds and leaf values */
#define RMT_MODEL_MAX (RMT_MODEL_LIMIT - 1)
#define RMT_MODEL_SENTINEL RMT_MODEL_MIN

#define RMT_MODEL_MAX_INPUTS 63     /* of a model that is not trained while it runs: those have RMT_MAX_INPUTS */
#define RMT_MODEL_MAX_OUTPUTS 64
#define RMT_MODEL_MAX_DEPTH 16
#define RMT_MODEL_MAX_TREES 1024
#define RMT_MODEL_MAX_NODES (1 << 20)

#define RMT_MODEL_GROUP 4           /* trees of a forest that are walked together */
#define RMT_MODEL_ROOTS(trees) ((trees) < RMT_MODEL_GROUP ? RMT_MODEL_GROUP : (trees))

enum rmt_model_kind {
	RMT_MODEL_TREE = 1,   /* answer: the leaf's value */
	RMT_MODEL_FOREST = 2, /* answer: clamp(((base + sum of leaves) >> shift) + bias) */
};

/* What an inference returns. Not 0: the caller uses the model's on_error. */
enum rmt_model_status {
	RMT_MODEL_OK = 0,
	RMT_MODEL_NONE = 1,    /* no model, or one of another layout or of a deeper class */
	RMT_MODEL_OUTSIDE = 2, /* an input outside the range that the model was trained on */
};

struct rmt_model_header {
	__u32 layout;    /* RMT_MODEL_LAYOUT */
	__u32 kind;      /* enum rmt_model_kind */
	__u32 depth;     /* steps that reach every leaf; more than the program's constant: RMT_MODEL_NONE */
	__u32 groups;    /* of RMT_MODEL_GROUP trees; the last one filled up with leaves of value 0 */
	__u32 trees;     /* as trained, for people */
	__u32 inputs;    /* slots in use, 1..15 */
	__u32 version;   /* given by who loads it */
	__u32 shift;     /* fraction bits of the sum, 0..63 */
	__u64 digest;    /* first 8 bytes of the artefact's sha256 */
	__s64 base;      /* rounding included */
	__s64 bias;
	__s64 out_min;
	__s64 out_max;
	__s32 lo[RMT_MODEL_SLOTS];   /* trained on lo..lo+span; an unused slot has span ~0: anything passes */
	__u32 span[RMT_MODEL_SLOTS];
};
RMT_SIZE(struct rmt_model_header, 200);

struct rmt_model_node {
	__s32 threshold; /* or the leaf's value */
	__u32 link;      /* slot | left child << 8 */
};
RMT_SIZE(struct rmt_model_node, 8);

#define RMT_MODEL_VALUE_SIZE(trees, nodes)                                                                     \
	(sizeof(struct rmt_model_header) + RMT_MODEL_ROOTS(trees) * sizeof(__u32) + (nodes) * sizeof(struct rmt_model_node))

#endif
