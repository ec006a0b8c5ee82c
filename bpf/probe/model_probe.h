/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What model_probe.bpf.c and loader/cli/model_probe.cpp share: the rows, and the classes of the engines. */
#ifndef RMT_MODEL_PROBE_H
#define RMT_MODEL_PROBE_H

#define PROBE_ROWS 4096 /* a power of two */
#define PROBE_SLOTS 64

#define PROBE_DEPTH 32
#define PROBE_LEVELS 16
#define PROBE_TREES 1024
#define PROBE_NODES (1 << 20)
#define PROBE_TREE_NODES (1 << 19)
#define PROBE_DERIVED 64
#define PROBE_OUTPUTS 64
#define PROBE_TILES 4096 /* of a net; rows and blocks too */
#define PROBE_WIDTH 2048

struct probe_answer {
	__s64 value;
	__u64 status; /* enum rmt_model_status */
};

/* The only value of map `probe_memory`, shared with user space. */
struct probe_memory {
	__u32 rows; /* of `row` to answer */
	__u32 pad;
	__u64 sink;
	__u64 zero; /* never anything else; the compiler does not know */
	__s32 vector[PROBE_SLOTS]; /* the row in work: in a map, as a policy's is. One run at a time */
	struct probe_answer answer[PROBE_ROWS];
	__s32 row[PROBE_ROWS][PROBE_SLOTS];
};

#endif
