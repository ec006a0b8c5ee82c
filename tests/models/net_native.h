/* SPDX-License-Identifier: MIT */
#ifndef RMT_NET_NATIVE_H
#define RMT_NET_NATIVE_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rmt_native_class {
    __u32 inputs, tiles, rows, blocks, width, outputs;
};

// act: width + RMT_NET_SLACK activations.
int rmt_native_net(const void* value, const struct rmt_native_class* shape, const __s32* f, __s64* act, __s64* out);

#ifdef __cplusplus
}
#endif

#endif
