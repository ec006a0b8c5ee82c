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
    uint32_t trees = 100;         // rounds: trees of each output
    uint32_t max_trees = 1024;    // of all outputs together: fewer rounds when they do not fit
    double learning_rate = 0.3;   // above 0, up to 1
    double subsample = 1;         // share of the rows that each round sees, above 0, up to 1
    double lambda = 1;            // L2, >= 0
    double min_child_weight = 1;  // sum of hessians in a leaf, >= 0: rows for squared error, at most rows / 4 for logistic loss
    uint32_t patience = 0;        // rounds without a better loss on held-out rows after which it stops; 0: no early stopping.
                                  // Half of the held-out rows decide, the report's figures are of the other half

    BoostOptions() {
        common.max_depth = 6;
        common.max_nodes = 1 << 20;
        common.max_labels = 16;
    }
};

// Classification of an output of kind class with range 0..1: link positive. Other classes or values: link argmax, one output
// for each of the most frequent labels and one that answers `none` for the others. Regression: link round.
// Errors: Input M0302, M0304, M0305 as train_tree(); M0306 a label that is none of the output's classes.
Result<TrainReport> train_boost(const Dataset& data, const BoostOptions& options);

// Goes on from a model: its trees, scale and answers stay, `trees` more rounds are grown on what it gets wrong. Inputs are
// the model's (options may leave them empty); trained ranges become those of both. Rows with a label that the model cannot
// answer are left out. Errors: as train_boost(); M0305 a single tree, other inputs, categories or missing values.
Result<TrainReport> boost_further(const Model& start, const Dataset& data, const BoostOptions& options);

// Trees within the policy's class of shapes.
BoostOptions boost_options_for(const ManifestModel& policy);

}  // namespace rmt::models
