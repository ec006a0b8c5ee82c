// SPDX-License-Identifier: MIT
// Gradient boosting over histograms (Friedman 2001; second-order leaves as in XGBoost, Chen and Guestrin 2016): squared error
// for regression, logistic loss for classes 0 and 1, softmax for more classes.
//
// A leaf is rounded to the model's fixed point when it is made, and the next tree is grown on the rounded sums: training sees
// exactly the integers that the kernel adds up, so the rounding is corrected like any other error instead of adding up. What
// remains is TrainReport::leaf_bound: trees of an output times half a unit of the last place.
// Gradients are integers, sums are exact, exp and log are our own: the same rows, options and seed give the same model on
// every machine.
#pragma once

#include "models/train.h"

namespace rmt::models {

struct BoostOptions {
    TrainOptions common;          // task, depth (of each tree), nodes (of all trees together), split, seed ...
    uint32_t trees = 100;         // rounds; times the number of classes when there are more than two, at most 1024
    double learning_rate = 0.3;   // above 0, up to 1
    double subsample = 1;         // share of the rows that each round sees, above 0, up to 1
    double lambda = 1;            // L2, >= 0
    double min_child_weight = 1;  // sum of hessians in a leaf, >= 0: rows for squared error, at most rows / 4 for logistic loss
    uint32_t patience = 0;        // rounds without a better loss on held-out rows after which it stops; 0: no early stopping.
                                  // Half of the held-out rows decide, the report's figures are of the other half

    BoostOptions() {
        common.max_depth = 6;
        common.max_nodes = 1 << 20;
    }
};

// Classification: output of kind class, numbered from 0; two classes (range 0..1) become link positive.
// Regression: link round, clamped to the output's range.
// Errors: Input M0302, M0304, M0305 as train_tree(); M0306 labels that are no class numbers.
Result<TrainReport> train_boost(const Dataset& data, const BoostOptions& options);

// Trees within the policy's class of shapes.
BoostOptions boost_options_for(const ManifestModel& policy);

}  // namespace rmt::models
