// SPDX-License-Identifier: MIT
// Few-shot adaptation: a model that was trained on other workloads is fitted to few rows of a new one. What workloads of a
// family share is which questions matter (the splits) and perhaps the answers (the leaves). Both are the prior:
//   1. every leaf is fitted again; its old answer, if it occurs among the new rows at all, counts for `prior_rows` rows;
//   2. branches that the new rows do not support are cut: those that no row takes and whose answer no row has, and those that
//      do not get more rows right, old and new, than a leaf in their place (pessimistic pruning, Quinlan 1987);
//   3. what the old splits cannot tell apart is grown further: leaves of a tree, or a few boosted trees for a forest.
// How much the old answers are worth here is found by cross-validation on the new rows; that may also be: nothing, neither
// answers nor splits (single trees).
#pragma once

#include "models/train.h"

namespace rmt::models {

struct WarmOptions {
    TrainOptions common;      // label, none, confidence, split, seed; depth and min leaf of what grows, nodes of all. Inputs may be empty.
                              // Output and task are those of the model; a single tree that answers numbers needs task Regress
    double prior_rows = -1;   // below 0: cross-validated
    uint32_t more_trees = 8;  // of each output of a forest
    double learning_rate = 0.3;

    WarmOptions() {
        common.min_leaf = 2;
        common.max_nodes = 1 << 16;
        common.holdout = 0;
    }
};

// Errors: Input M0302, M0304, M0305; a model with categories or missing values is refused (M0305).
Result<TrainReport> warm_start(const Model& old, const Dataset& data, const WarmOptions& options);

}  // namespace rmt::models
