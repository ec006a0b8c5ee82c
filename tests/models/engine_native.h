/* SPDX-License-Identifier: MIT */
#ifndef RMT_ENGINE_NATIVE_H
#define RMT_ENGINE_NATIVE_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* shape: kind, trees, depth, nodes, slots, derived, outputs */
int rmt_native_infer(const void* value, __s32* f, __s64* out, const __u32* shape);

#ifdef __cplusplus
}

#include <array>

#include "bpf/include/rmt/model_layout.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {
inline std::array<uint32_t, 7> native_class(const ModelClass& c) {
    const uint32_t kind = c.kind == EngineKind::Tree ? RMT_MODEL_TREE : c.kind == EngineKind::Forest ? RMT_MODEL_FOREST : RMT_MODEL_OBLIVIOUS;
    return {kind, c.trees, c.depth, c.nodes, c.slots, c.derived, c.outputs};
}
}  // namespace rmt::models
#endif

#endif
