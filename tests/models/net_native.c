/* SPDX-License-Identifier: MIT */
/* The kernel's net engine, compiled by the host's compiler: the same header, no maps. */
#include <stddef.h>

#include "bpf/include/rmt/model.bpf.h"
#include "bpf/include/rmt/net.bpf.h"

#include "net_native.h"

int rmt_native_net(const void *value, const struct rmt_native_class *c, const __s32 *f, __s64 *act, __s64 *out)
{
	const struct rmt_net_header *header = value;
	const struct rmt_net_input *input = (const struct rmt_net_input *)(header + 1);
	const __s64 *answer = (const __s64 *)(input + c->inputs);
	const struct rmt_net_tile *tile = (const struct rmt_net_tile *)(answer + RMT_NET_ANSWERS(c->outputs));
	const struct rmt_net_row *row = (const struct rmt_net_row *)(tile + c->tiles);
	const __s64 *word = (const __s64 *)(row + c->rows);

	if (c->tiles == 0)
		return rmt_net_linear(header, input, f, out, (int)c->inputs);
	return rmt_net_run(header, input, answer, tile, row, word, f, act, out, (int)c->inputs, (int)c->tiles, (int)c->rows,
			   (int)c->blocks, (int)c->width, (int)c->outputs);
}
