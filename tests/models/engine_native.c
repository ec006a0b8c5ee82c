/* SPDX-License-Identifier: MIT */
/* The kernel's engine, compiled by the host's compiler: the same header, no maps. */
#include "bpf/include/rmt/model.bpf.h"

#include "engine_native.h"

int rmt_native_infer(const void *value, __s32 *f, __s64 *out, const __u32 *shape)
{
	const struct rmt_model_class c = { shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6] };

	return rmt_engine_infer(value, f, out, c);
}
