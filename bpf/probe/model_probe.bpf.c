/* SPDX-License-Identifier: GPL-2.0-only */
/* The engines by themselves, for `rmt-load model verify | bench | predict --kernel` and for the check before a swap: rows of
 * inputs stand in a map, a program runs them through one model and leaves status and answer of each. The classes are the
 * largest ones; how much of a class a model uses is said by its header, so that the size of the class costs no time. The
 * plain ones are what most models need; the others have columns that are made (missing values, categories) and several
 * outputs. Only the engine that a model needs is loaded. */
#include "vmlinux_rmt.h"
#include <bpf/bpf_helpers.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#include "rmt/intf.h"
#include "rmt/model.bpf.h"
#include "rmt/net.bpf.h"
#include "model_probe.h"

RMT_MODEL_CLASS(probe_tree, 0, RMT_MODEL_TREE, 1, PROBE_DEPTH, PROBE_TREE_NODES, 16, 0, 1);
RMT_MODEL_CLASS(probe_tree_full, 1, RMT_MODEL_TREE, 1, PROBE_DEPTH, PROBE_TREE_NODES, 16, PROBE_DERIVED, 1);
RMT_MODEL_CLASS(probe_forest, 2, RMT_MODEL_FOREST, PROBE_TREES, PROBE_DEPTH, PROBE_NODES, 16, 0, 1);
RMT_MODEL_CLASS(probe_forest_full, 3, RMT_MODEL_FOREST, PROBE_TREES, PROBE_DEPTH, PROBE_NODES, PROBE_SLOTS, PROBE_DERIVED, PROBE_OUTPUTS);
RMT_MODEL_CLASS(probe_oblivious, 4, RMT_MODEL_OBLIVIOUS, PROBE_TREES, PROBE_LEVELS, PROBE_NODES, 16, 0, 1);
RMT_MODEL_CLASS(probe_oblivious_full, 5, RMT_MODEL_OBLIVIOUS, PROBE_TREES, PROBE_LEVELS, PROBE_NODES, PROBE_SLOTS, PROBE_DERIVED, PROBE_OUTPUTS);
RMT_LINEAR(probe_linear, 6, 16);
RMT_NET(probe_net, 7, PROBE_SLOTS, PROBE_TILES, PROBE_TILES, PROBE_TILES, PROBE_WIDTH, PROBE_OUTPUTS);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct probe_memory);
} probe_memory SEC(".maps");

static __always_inline void read_row(struct probe_memory *m, __u32 i, const __u32 slots)
{
	__u32 k;

#pragma clang loop unroll(full)
	for (k = 0; k < slots; k++)
		m->vector[k] = m->row[i & (PROBE_ROWS - 1)][k];
	asm volatile("" : : : "memory"); /* the inference reads them from memory, or registers run out */
}

/* For timing each row waits for the answer of the one before, as an event waits for its decision; the answer goes through
 * memory, or the verifier would follow each turn of the loop on its own. */
static __always_inline void read_in_turn(struct probe_memory *m, int i, const __u32 slots)
{
	read_row(m, (__u32)i + (__u32)(*(volatile __u64 *)&m->sink & m->zero), slots);
}

#define PROBE_PROGRAM(name, ...)                                                                       \
	SEC("syscall") int name(void *ctx)                                                             \
	{                                                                                              \
		__u32 zero = 0;                                                                        \
		struct probe_memory *m = bpf_map_lookup_elem(&probe_memory, &zero);                    \
		int i;                                                                                 \
                                                                                                       \
		if (!m)                                                                                \
			return 1;                                                                      \
		bpf_for(i, 0, PROBE_ROWS) {                                                            \
			if ((__u32)i >= m->rows)                                                       \
				break;                                                                 \
			__VA_ARGS__                                                                    \
		}                                                                                      \
		return 0;                                                                              \
	}

/* <name>_all: answers of all rows. <name>_time: an inference of each. <name>_none: what `time` does without, to subtract. */
#define PROBE(name, slots)                                                                             \
	PROBE_PROGRAM(name##_all, {                                                                    \
		__u32 at = (__u32)i & (PROBE_ROWS - 1);                                                \
		__s64 value = 0;                                                                       \
                                                                                                       \
		read_row(m, at, slots);                                                                \
		m->answer[at].status = (__u64)rmt_infer_model_##name(m->vector, &value);               \
		m->answer[at].value = value;                                                           \
	})                                                                                             \
	PROBE_PROGRAM(name##_time, {                                                                   \
		__s64 value = 0;                                                                       \
                                                                                                       \
		read_in_turn(m, i, slots);                                                             \
		rmt_infer_model_##name(m->vector, &value);                                             \
		*(volatile __u64 *)&m->sink = (__u64)value;                                            \
	})                                                                                             \
	PROBE_PROGRAM(name##_none, {                                                                   \
		read_in_turn(m, i, slots);                                                             \
		*(volatile __u64 *)&m->sink = (__u64)m->vector[i & ((slots) - 1)];                     \
	})

PROBE(probe_tree, 16)
PROBE(probe_tree_full, 16)
PROBE(probe_forest, 16)
PROBE(probe_forest_full, PROBE_SLOTS)
PROBE(probe_oblivious, 16)
PROBE(probe_oblivious_full, PROBE_SLOTS)
PROBE(probe_linear, 16)
PROBE(probe_net, PROBE_SLOTS)

char LICENSE[] SEC("license") = "GPL";
