// SPDX-License-Identifier: MIT
// A tree small enough to check by hand: x <= 3 ? (y <= -1 ? 10 : 20) : 30.
#pragma once

#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

inline Model small_model() {
    Model model;
    model.name = "small";
    model.inputs = {{"x", "i32", -10, 10}, {"y", "i16", -100, 100}};
    model.output = {OutputKind::Value, "i32", 0, 100, {}};
    model.trees = {{{0, 1, -1, -1, -1}, {3, -1, 0, 0, 0}, {1, 3, -1, -1, -1}, {2, 4, -1, -1, -1}, {0, 0, 30, 10, 20}}};
    model.samples = {{{0, 0}, {4, 0}, {11, 0}}, {20, 30, std::nullopt}};
    model.provenance = {{"made", "by hand"}};
    seal(model);
    return model;
}

// A policy that asks it, and others of its inputs.
inline ManifestModel small_policy() {
    ManifestModel policy;
    policy.name = "small";
    policy.inputs = {"x", "y"};
    policy.input_types = {"i32", "i32"};
    policy.output_kind = "value";
    policy.output_type = "i32";
    policy.output_min = -4096;
    policy.output_max = 4096;
    policy.shape = {1, 8, 1024};
    return policy;
}

}  // namespace rmt::models
