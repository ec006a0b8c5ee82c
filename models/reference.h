// SPDX-License-Identifier: MIT
// Reference inference: the plainest reading of models/model.h, in integers. What the kernel must answer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "models/model.h"

namespace rmt::models {

// The answer, or nullopt where the policy's on_error answers: an input outside its trained range, or a wrong number of
// inputs. The model is one that check_model() accepts.
std::optional<int64_t> infer(const Model& model, std::span<const int64_t> inputs);

// The leaf's value of one tree of the model.
int32_t walk(const Model& model, const Tree& tree, std::span<const int64_t> inputs);

// Base and leaves of one output of a forest, before its link.
int64_t margin(const Model& model, std::span<const int64_t> inputs, size_t output = 0);

}  // namespace rmt::models
