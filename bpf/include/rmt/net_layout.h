/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How a lowered net (linear model, MLP, 1-D convolution) lies in its map value, shared by the engine (net.bpf.h) and by
 * models/net_lower.cpp. As with trees, everything that must agree is one value, behind an ARRAY_OF_MAPS `rmt_model_<name>`.
 *
 *     struct rmt_net_header
 *     struct rmt_net_input input[inputs]   trained range and scale of each input
 *     __s64 answer[outputs]                what each output stands for, when the class has more than one
 *     struct rmt_net_tile tile[tiles]      what is done, in this order
 *     struct rmt_net_row row[rows]         what is done with a sum
 *     __s64 word[blocks * RMT_NET_WORDS]   weights
 * The numbers in brackets are the program's class, constants; the header says how much of it is in use. inputs is a multiple
 * of 8; tiles, rows, blocks and width (activations) are powers of two. A class of 0 tiles is one linear model: header and inputs.
 *
 * A net is a list of tiles, whatever its layers: a tile multiplies RMT_NET_TILE activations that lie side by side with a block
 * of weights, or twice as many with two blocks, for two accumulators; the last tile of a row scales what has come together and stores it as activations. A
 * convolution is the same rows again at other places, a max-pool stores the larger of old and new.
 *
 * A word holds the weights of three outputs, 21 bits apart, wherever user space has proved that no such sum leaves 21 bits: one
 * multiplication then does three. Else it holds one weight. The arithmetic is modulo 2^64 and exact in both cases. */
#ifndef RMT_NET_LAYOUT_H
#define RMT_NET_LAYOUT_H

#include "intf.h"

#define RMT_NET_LAYOUT 2            /* of this file; 0: the value holds no net */
#define RMT_NET_KIND 16             /* rmt_net_header.kind; trees have other numbers there */
#define RMT_NET_LINEAR_KIND 17

#define RMT_NET_MAX_INPUTS 128
#define RMT_NET_MAX_OUTPUTS 64
#define RMT_NET_MAX_TILES 4096
#define RMT_NET_MAX_WIDTH 2048      /* activations; a per-CPU value holds 32 kB */

#define RMT_NET_INPUT_GROUP 8
#define RMT_NET_TILE 16             /* activations of a tile */
#define RMT_NET_ACCUMULATORS 2
#define RMT_NET_WORDS (RMT_NET_TILE * RMT_NET_ACCUMULATORS) /* word[2 * i + a]: weight of activation i, accumulator a */
#define RMT_NET_LANES 3
#define RMT_NET_LANE_BITS 21
#define RMT_NET_ROW_OUTPUTS (RMT_NET_LANES * RMT_NET_ACCUMULATORS)
/* A tile may reach so far beyond `width`: reads meet weights of 0, writes fill up a row. */
#define RMT_NET_SLACK (2 * RMT_NET_TILE)
#define RMT_NET_SLOTS 2             /* scratch of a CPU: what interrupts a program on its CPU has another one */

enum rmt_net_link {
	RMT_NET_ROUND = 0,    /* the first output, clamped */
	RMT_NET_POSITIVE = 1, /* 1 if the first output > 0, else 0 */
	RMT_NET_ARGMAX = 2,   /* answer[] of the first of the largest outputs */
};

struct rmt_net_header {
	__u32 layout;      /* RMT_NET_LAYOUT */
	__u32 kind;        /* RMT_NET_KIND, RMT_NET_LINEAR_KIND */
	__u32 tiles;       /* in use */
	__u32 link;        /* enum rmt_net_link */
	__u32 outputs;     /* in use */
	__u32 inputs;      /* in use */
	__u32 version;     /* given by who loads it */
	__u32 input_shift; /* scale of the inputs; of a linear model: of its sum */
	__u32 result;      /* place of the first output among the activations */
	__u32 reserved;
	__s64 zero;        /* 0: where sums begin; read from here it is any number to the kernel's verifier */
	__u64 digest;      /* first 8 bytes of the artefact's sha256 */
	__s64 base;        /* linear: of the sum */
	__s64 multiplier;  /* linear: answer = (sum * multiplier + add) >> input_shift, clamped */
	__s64 add;
	__s64 out_min;
	__s64 out_max;
};
RMT_SIZE(struct rmt_net_header, 96);

/* Activation i = (input * multiplier + add) >> input_shift. Linear: multiplier is the weight. */
struct rmt_net_input {
	__s64 multiplier;
	__s64 add;
	__s32 lo;          /* trained on lo..lo+span; an unused one has span ~0 and multiplier 0 */
	__u32 span;
};
RMT_SIZE(struct rmt_net_input, 24);

#define RMT_NET_LAST (1u << 31)     /* in `row`: the row ends here */
#define RMT_NET_MAX (1u << 30)      /* ... and keeps the larger of old and new activation */
#define RMT_NET_PACKED (1u << 29)   /* ... its words hold three lanes */
#define RMT_NET_WIDE (1u << 28)     /* in every tile: twice as many activations, by this block and the next one */
#define RMT_NET_FLAGS (RMT_NET_LAST | RMT_NET_MAX | RMT_NET_PACKED | RMT_NET_WIDE)

struct rmt_net_tile {
	__u32 from;        /* first of the activations that are multiplied */
	__u32 block;       /* of weights */
	__u32 to;          /* where the row's activations go */
	__u32 row;         /* index and flags */
};
RMT_SIZE(struct rmt_net_tile, 16);

/* Activation = clamp((sum * multiplier + add) >> shift, lo, hi), for each of the row's outputs. */
struct rmt_net_row {
	__s64 add[RMT_NET_ROW_OUTPUTS];
	__s64 multiplier[RMT_NET_ROW_OUTPUTS];
	__s64 lo;
	__s64 hi;
	__u32 shift;
	__u32 reserved;
};
RMT_SIZE(struct rmt_net_row, 120);

/* answer[0..outputs) exists only when there is a choice. */
#define RMT_NET_ANSWERS(outputs) ((outputs) > 1 ? (outputs) : 0)
#define RMT_NET_VALUE_SIZE(inputs, tiles, rows, blocks, outputs)                                               \
	(sizeof(struct rmt_net_header) + (inputs) * sizeof(struct rmt_net_input) + RMT_NET_ANSWERS(outputs) * sizeof(__s64) + \
	 (tiles) * sizeof(struct rmt_net_tile) + (rows) * sizeof(struct rmt_net_row) +                         \
	 (blocks) * (RMT_NET_WORDS * sizeof(__s64)))

#endif
