// SPDX-License-Identifier: MIT
// Growing one tree over binned columns, best split first. Internal to the trainer.
#pragma once

#include <cstdint>
#include <vector>

#include "models/bins.h"
#include "models/model.h"

namespace rmt::models {

constexpr uint32_t kMaxLabels = 64;

struct GrowLimits {
    uint32_t max_depth = 8, max_nodes = 1024, min_leaf = 8;
};

struct GrowInput {
    std::vector<BinnedColumn> columns;  // of equal length, not empty
    GrowLimits limits;
    // classifier: index into label_values of each row; label_values.size() stands for a label that is never answered
    std::vector<uint8_t> labels;
    std::vector<int32_t> label_values;  // at most kMaxLabels
    double confidence = 0.5;
    int32_t none = 0;
    // regressor
    std::vector<double> targets;
    int32_t min_value = 0, max_value = 0;
};

struct Grown {
    Tree tree;
    std::vector<double> gain;  // of each column, in the criterion's unit
};

Grown grow_classifier(const GrowInput& input);  // Gini impurity
Grown grow_regressor(const GrowInput& input);   // squared error

// A split both of whose sides answer the same decides nothing: without those, and packed, parents before children.
Tree merge_equal_leaves(Tree tree);

}  // namespace rmt::models
