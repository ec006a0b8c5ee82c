// SPDX-License-Identifier: MIT
// A policy's side of a model: one that asks just this model, compiled for this class.
#pragma once

#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

inline rmt::ManifestModel policy_of(const Model& model, const rmt::ModelClass& shape) {
    rmt::ManifestModel policy;
    policy.name = model.name;
    for (const ModelInput& input : model.inputs) policy.inputs.push_back(input.name), policy.input_types.push_back(input.type);
    policy.output_kind = "value";
    policy.output_min = model.output.min, policy.output_max = model.output.max;
    policy.shape = shape;
    return policy;
}

}  // namespace rmt::models
