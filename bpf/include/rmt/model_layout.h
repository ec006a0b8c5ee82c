/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How a lowered model lies in its map value, shared by the engine (model.bpf.h) and by models/lower.cpp. Everything that
 * must agree - ranges, roots, nodes, scale, version - is one value, so that a swap is one pointer and nothing can tear.
 *
 * Value of map `rmt_model_<name>` (ARRAY_OF_MAPS, 1 entry; inner ARRAY of one value; an empty entry: no model):
 *     struct rmt_model_header
 *     struct rmt_model_bound bound[slots]      trained range of each input
 *     struct rmt_model_derive derive[derived]  columns made from inputs: missing values, category sets
 *     struct rmt_model_output output[outputs]  not of kind tree: what each sum begins with, and what it answers
 *     __u32 group[trees / 4]                   not of kind tree: which output's sum each group of trees belongs to
 * then, by the kind that the program was compiled for:
 *     tree        struct rmt_model_block block[RMT_MODEL_BLOCKS(depth, nodes)]
 *     forest      struct rmt_model_node node[nodes]
 *     oblivious   struct rmt_model_level level[RMT_MODEL_LEVELS(trees, depth) + RMT_MODEL_MAX_LEVELS], __s32 leaf[nodes]
 * How many there are of each is the program's class, a constant; how many are in use is said by the header.
 *
 * A step goes left iff input <= threshold: a 32-bit subtraction whose sign decides, hence RMT_MODEL_MIN..MAX for thresholds
 * and leaves. The last slot is the sentinel that is below every threshold: what asks for it goes left, always. A leaf asks
 * for it and is its own left child, so that more steps than needed do no harm.
 *
 * A block is two levels of a tree: three thresholds, and four children that lie side by side: one load for two steps, and
 * its three compares do not wait for each other. A leaf's value is threshold 0.
 *
 * A forest walks four trees at a time instead. Its first nodes are the roots, in the order of the trees. Slots and children are
 * stored as the distances in bytes that the engine needs, and left children have even numbers: then the sign of a comparison is put in
 * by OR. */
#ifndef RMT_MODEL_LAYOUT_H
#define RMT_MODEL_LAYOUT_H

#include "intf.h"

#define RMT_MODEL_LAYOUT 3          /* of this file; 0: the value holds no model */

#define RMT_MODEL_SLOTS 16          /* of a feature vector; the last one is the sentinel's */
#define RMT_MODEL_MAX_SLOTS 64      /* the only other number of slots; not for kind tree */
#define RMT_MODEL_LIMIT (1 << 30)   /* inputs lie in -LIMIT..LIMIT */
#define RMT_MODEL_MIN (-RMT_MODEL_LIMIT)    /* thresholds and leaf values */
#define RMT_MODEL_MAX (RMT_MODEL_LIMIT - 1)
#define RMT_MODEL_SUM (1ll << 62)          /* of several outputs, sums lie within -SUM + 1 .. SUM - 1 */
#define RMT_MODEL_SENTINEL RMT_MODEL_MIN
#define RMT_MODEL_BELOW RMT_MODEL_MIN       /* what a missing value counts as where it goes left */
#define RMT_MODEL_ABOVE RMT_MODEL_LIMIT     /* and where it goes right */

#define RMT_MODEL_MAX_INPUTS 63     /* of a model that is not trained while it runs: those have RMT_MAX_INPUTS */
#define RMT_MODEL_MAX_OUTPUTS 64
#define RMT_MODEL_MAX_DERIVED 64
#define RMT_MODEL_MAX_DEPTH 32
#define RMT_MODEL_MAX_LEVELS 16     /* depth of an oblivious tree */
#define RMT_MODEL_MAX_TREES 1024
#define RMT_MODEL_MAX_NODES (1 << 20)

#define RMT_MODEL_GROUP 4           /* trees that are walked together */

enum rmt_model_kind {
	RMT_MODEL_TREE = 1,      /* answer: the leaf's value */
	RMT_MODEL_FOREST = 2,    /* one output: clamp(((base + sum of leaves) >> shift) + bias); several: of the largest sum */
	RMT_MODEL_OBLIVIOUS = 3, /* the same of oblivious trees */
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
	__u32 groups;    /* of RMT_MODEL_GROUP trees; filled up with trees of value 0 */
	__u32 trees;     /* without what fills up, for people */
	__u32 inputs;    /* slots that the caller fills, 1..slots - 1 */
	__u32 version;   /* given by who loads it */
	__u32 shift;     /* fraction bits of the sum, 0..63 */
	__u32 slots;     /* of the class */
	__u32 derived;   /* columns to make */
	__u32 outputs;   /* sums */
	__u32 reserved;
	__u64 digest;    /* first 8 bytes of the artefact's sha256 */
	__s64 bias;
	__s64 out_min;
	__s64 out_max;
	/* Where sums begin. Read from here they are any number to the kernel's verifier: it follows a loop once then. */
	__s64 zero;      /* 0 */
	__s64 lowest;    /* -RMT_MODEL_SUM */
};
RMT_SIZE(struct rmt_model_header, 96);

struct rmt_model_bound {
	__s32 lo;        /* trained on lo..lo+span; span ~0: anything passes here */
	__u32 span;
};
RMT_SIZE(struct rmt_model_bound, 8);

/* Made in their order; `from` still holds the input then: what replaces an input in place comes last. */
struct rmt_model_derive {
	__u64 mask;      /* 0: the input itself; else 1 if bit `input - lo` of it is set, or 0 */
	__s32 lo;        /* of the input itself: lo..lo+span is its trained range */
	__u32 span;
	__s32 missing;   /* the input that means so */
	__s32 fill;      /* the column's value then */
	__u8 from, to;   /* slots */
	__u8 more;       /* 1: of a set that has further members, or to what the slot holds */
	__u8 reserved[5];
};
RMT_SIZE(struct rmt_model_derive, 32);

struct rmt_model_output {
	__s64 base;      /* of one output: rounding included */
	__s64 answer;    /* of several */
};
RMT_SIZE(struct rmt_model_output, 16);

/* A group: the output's number, and whether the output's sum is complete with these trees. */
#define RMT_MODEL_GROUP_OUTPUT (RMT_MODEL_MAX_OUTPUTS - 1)
#define RMT_MODEL_GROUP_LAST (1u << 31)

struct rmt_model_node {
	__s32 threshold; /* or the leaf's value */
	__u32 link;      /* RMT_MODEL_LINK: 4 * slot in bits 0..7, left child in bits 8..31; the right one follows it */
};
RMT_SIZE(struct rmt_model_node, 8);
#define RMT_MODEL_LINK(slot, child) (4 * (slot) | (child) << 8)
#define RMT_MODEL_LINK_SLOT(link) (((link) & 0xff) / 4)
#define RMT_MODEL_LINK_CHILD(link) ((link) >> 8)

struct rmt_model_block {
	__s32 threshold[3]; /* of the upper node, its left child, its right child; [0] of a leaf: the value */
	__u32 link;         /* slots in bits 0..3, 4..7, 8..11; the first of four children in bits 12..31 */
};
RMT_SIZE(struct rmt_model_block, 16);

struct rmt_model_level {
	__s32 threshold;
	__u32 slot4;     /* 4 * slot */
};
RMT_SIZE(struct rmt_model_level, 8);

/* Tree t of an oblivious forest has levels [t * depth ..] and leaves [t << depth ..]; its leaf's bit i is 1 where level i
 * goes right. */
#define RMT_MODEL_POW2(n) ((n) <= 1 ? 1u : 1u << (32 - __builtin_clz((unsigned)(n) - ((n) > 1))))
#define RMT_MODEL_LEVELS(trees, depth) RMT_MODEL_POW2((trees) * (depth))

/* Blocks that hold any tree of `nodes` nodes and `depth` steps: at most two for each node, and no more than a complete tree
 * of half as many steps with four children each. */
#define RMT_MODEL_BLOCKS(depth, nodes) \
	((depth) > 16 || (nodes) < (1ull << (((depth) + 1) / 2 * 2)) ? 2 * (nodes) : 2ull << (((depth) + 1) / 2 * 2))
#define RMT_MODEL_MAX_BLOCKS (1 << 20)

#define RMT_MODEL_AT_BOUND sizeof(struct rmt_model_header)
#define RMT_MODEL_AT_DERIVE(slots) (RMT_MODEL_AT_BOUND + (slots) * sizeof(struct rmt_model_bound))
#define RMT_MODEL_AT_OUTPUT(slots, derived) (RMT_MODEL_AT_DERIVE(slots) + (derived) * sizeof(struct rmt_model_derive))
#define RMT_MODEL_AT_GROUP(kind, slots, derived, outputs)  \
	(RMT_MODEL_AT_OUTPUT(slots, derived) + ((kind) == RMT_MODEL_TREE ? 0 : (outputs) * sizeof(struct rmt_model_output)))
#define RMT_MODEL_AT_BODY(kind, trees, slots, derived, outputs) \
	(RMT_MODEL_AT_GROUP(kind, slots, derived, outputs) + ((kind) == RMT_MODEL_TREE ? 0 : ((trees) + 7) / 8 * 8))
#define RMT_MODEL_AT_LEAF(trees, depth, slots, derived, outputs)                                     \
	(RMT_MODEL_AT_BODY(RMT_MODEL_OBLIVIOUS, trees, slots, derived, outputs) +                    \
	 (RMT_MODEL_LEVELS(trees, depth) + RMT_MODEL_MAX_LEVELS) * sizeof(struct rmt_model_level))
#define RMT_MODEL_VALUE_SIZE(kind, trees, depth, nodes, slots, derived, outputs)                                           \
	((kind) == RMT_MODEL_OBLIVIOUS                                                                                     \
		 ? RMT_MODEL_AT_LEAF(trees, depth, slots, derived, outputs) + (nodes) * sizeof(__s32)                      \
		 : RMT_MODEL_AT_BODY(kind, trees, slots, derived, outputs) +                                               \
			   ((kind) == RMT_MODEL_TREE ? RMT_MODEL_BLOCKS(depth, nodes) * sizeof(struct rmt_model_block)     \
						     : (nodes) * sizeof(struct rmt_model_node)))

#endif
