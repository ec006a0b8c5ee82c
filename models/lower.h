// SPDX-License-Identifier: MIT
// From a checked model to the bytes of its map value (bpf/include/rmt/model_layout.h), the class of shapes that a program
// reserves, and whether a model may answer for a policy.
#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

// The smallest class that holds the model: depth a multiple of 4, nodes a power of two >= 256, trees 1 or a multiple of 4.
// Kind tree runs as one tree as long as its columns fit 15 slots, else as a forest. Errors: Input M0208, larger than any class.
Result<ModelClass> smallest_class(const Model& model);

// "kind forest, trees 100, depth 8, nodes 16384": what the policy would have to reserve.
std::string class_text(const ModelClass& shape);

// A tree or an oblivious forest fits a class of kind forest too. Errors: Input M0206 when the model is larger than the class,
// with what would fit.
Result<void> check_fits(const Model& model, const ModelClass& shape);

// Bytes of a map value of this class, whatever the model.
uint32_t value_size(const ModelClass& shape);

// The map value. `version` is for whoever reads the map. Errors: those of check_model() and check_fits().
Result<std::vector<uint8_t>> lower_model(const Model& model, const ModelClass& shape, uint32_t version = 1);

// A value that somebody else made: header and nodes form what the engine expects: every walk ends at a leaf within the
// class's depth, inside the nodes. Errors: Input M0207.
Result<void> check_value(const std::vector<uint8_t>& value, const ModelClass& shape);

// Inputs by name and order, units and ranges of their types, kind, range and classes of the output, and the class of
// shapes. Errors: Input M0201..M0206, one first cause.
Result<void> check_against_policy(const Model& model, const ManifestModel& policy);

}  // namespace rmt::models
