// SPDX-License-Identifier: MIT
// Growing one tree over binned columns, best split first. Internal to the trainer.
#pragma once

#include <cstdint>
#include <random>
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
    // forests
    std::vector<uint32_t> rows;         // to grow on, also more than once; empty: every row once
    uint32_t columns_per_split = 0;     // chosen anew at random for every split; 0: all
    std::mt19937_64* random = nullptr;  // when columns are chosen
    bool keep_leaves = false;           // equal leaves are not merged, and Grown tells whose they are
};

struct GrownLeaf {
    int32_t node = 0;
    size_t begin = 0, end = 0;  // of Grown::rows
};

struct Grown {
    Tree tree;
    std::vector<double> gain;  // of each column, in the criterion's unit
    std::vector<uint32_t> rows;
    std::vector<GrownLeaf> leaves;
};

Grown grow_classifier(const GrowInput& input);  // Gini impurity
Grown grow_regressor(const GrowInput& input);   // squared error

// A split both of whose sides answer the same decides nothing: without those, and packed, parents before children. The tree
// has no missing values, and its children lie behind their parents.
Tree merge_equal_leaves(Tree tree);

}  // namespace rmt::models
