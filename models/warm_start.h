// SPDX-License-Identifier: MIT
// Few-shot adaptation: a model that was trained on other workloads is fitted to few rows of a new one. What workloads of a
// family share is which questions matter (the splits) and perhaps the answers (the leaves). Both are the prior:
//   1. every leaf is fitted again; its old answer, if it occurs among the new rows at all, counts for `prior_rows` rows;
//   2. branches that the new rows do not support are cut: those that no row takes and whose answer no row has, and those that
//      do not get more rows right, old and new, than a leaf in their place (pessimistic pruning, Quinlan 1987);
//   3. what the old splits cannot tell apart is grown further: leaves of a tree, or a few boosted trees for a forest.
// Nets are trained on from their old weights (models/train_net.h), which pull back as if they had been fitted to `prior_rows` rows.
// What is right here is found by cross-validation on the new rows (each row by itself up to 24): adapted with one of two weights of
// what the old model knew, the old model as it is, or one from nothing. The old model's come first if it is right on two of five new
// rows or more often than one constant, else the one from nothing: what takes its place has to be better by more than chance. With
// less than eight rows nothing is measured: the old model as it is, or one from nothing.
#pragma once

#include "models/train.h"

namespace rmt::models {

struct WarmOptions {
    TrainOptions common;      // label, none, confidence, split, seed; depth and min leaf of what grows, nodes of all. Inputs may be empty.
                              // Output and task are those of the model; a single tree that answers numbers needs task Regress
    double prior_rows = -1;   // that the old model counts for; below 0: cross-validated, and so are its alternatives
    uint32_t more_trees = 8;  // of each output of a forest
    double learning_rate = 0.3;

    WarmOptions() {
        common.min_leaf = 2;
        common.max_nodes = 1 << 16;
        common.holdout = 0;
    }
};

// Errors: Input M0302, M0304, M0305; a model with categories or missing values, and a net without origin or with a convolution, is
// refused (M0305). What was chosen is told in the provenance (warm_start_way).
Result<TrainReport> warm_start(const Model& old, const Dataset& data, const WarmOptions& options);

}  // namespace rmt::models
