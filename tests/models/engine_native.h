/* SPDX-License-Identifier: MIT */
#ifndef RMT_ENGINE_NATIVE_H
#define RMT_ENGINE_NATIVE_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

int rmt_native_infer(const void* value, __s32* f, __s64* out, int trees, __u32 depth, __u32 nodes);

#ifdef __cplusplus
}
#endif

#endif
