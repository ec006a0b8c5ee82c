// SPDX-License-Identifier: MIT
// What a linear model has learned in the kernel (`train online linear`), as an ordinary artefact: a snapshot, without the learning.
#pragma once

#include <span>

#include "bpf/include/rmt/learn_layout.h"
#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

// The weights of all CPUs, each counting by its steps. Where only one CPU has learned, the artefact's answer is within 1 of the
// kernel's: the kernel rounds each product to 1/256 of the label's unit and the sum, the artefact only the sum. Inputs that the
// kernel would clamp to -256..255 (after their scale) are outside of the trained range, so on_error answers for them.
// Errors: Unsupported for an MLP: the mean of two MLPs is none of them, and its weights do not fit an artefact's 16 bits.
// NotFound before the first step.
Result<Model> model_of_learners(const ManifestModel& policy, std::span<const rmt_learn_linear> cpus);

}  // namespace rmt::models
