/* SPDX-License-Identifier: MIT */
/* The kernel's engine, compiled by the host's compiler: the same header, no maps. */
#include "bpf/include/rmt/model.bpf.h"

#include "engine_native.h"

int rmt_native_infer(const void *value, __s32 *f, __s64 *out, int trees, __u32 depth, __u32 nodes)
{
	const struct rmt_model_header *header = value;
	const __u32 *root = (const __u32 *)(header + 1);
	const struct rmt_model_node *node = (const struct rmt_model_node *)(root + RMT_MODEL_ROOTS(trees));

	return rmt_model_infer(header, root, node, f, out, trees, depth, nodes);
}
