// SPDX-License-Identifier: MIT
// From a checked model with a net to the bytes of its map value (bpf/include/rmt/net_layout.h), and the class of shapes that a
// program reserves for it. Called by models/lower.h for models with a net.
//
// A layer's weights are packed three to a word wherever net_bounds() proves that every sum of it fits 21 bits; the answers are
// the same, whether they are or not.
#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

// The smallest class that holds the model: inputs a multiple of 8, the rest powers of two. A linear model of one output and
// without scales needs no tiles. The model is one that check_model() accepts.
NetClass smallest_net_class(const Model& model);

// Errors: Input M0206 when the model needs more of something than the class has, with what would fit.
Result<void> check_net_fits(const Model& model, const NetClass& shape);

uint32_t net_value_size(const NetClass& shape);

// The map value. Errors: those of check_model() and check_net_fits().
Result<std::vector<uint8_t>> lower_net(const Model& model, const NetClass& shape, uint32_t version = 1);

// A value that somebody else made: header, tiles and rows stay inside the class. Errors: Input M0207.
Result<void> check_net_value(const std::vector<uint8_t>& value, const NetClass& shape);

bool packs(const Model& model, size_t layer);  // whether its weights lie three to a word

}  // namespace rmt::models
