// SPDX-License-Identifier: MIT
// Random forests (Breiman 2001): trees on bootstrap samples, each split chosen among a random part of the inputs. Classes by
// the mean of the leaves' shares, numbers by the mean of the leaves' means; leaves are rounded to fixed point once, see
// TrainReport::leaf_bound. The same rows, options and seed give the same model on every machine.
#pragma once

#include "models/train.h"

namespace rmt::models {

struct ForestOptions {
    TrainOptions common;            // task, depth (of each tree), nodes (of all trees together), min leaf, split, seed ...
    uint32_t trees = 100;           // of each output
    uint32_t max_trees = 1024;      // of all outputs together: fewer when they do not fit
    uint32_t inputs_per_split = 0;  // 0: the square root of their number for classes, a third for numbers
    double bootstrap = 1;           // rows of a tree, drawn with repetition, as a share of the rows; above 0, up to 1

    ForestOptions() {
        common.max_depth = 12;
        common.max_nodes = 1 << 20;
        common.min_leaf = 2;
        common.max_labels = 16;
    }
};

// Outputs as of train_boost(). With link argmax every tree is there once for each output, without the splits that do not
// matter for it. Errors: Input M0302, M0304, M0305 as train_tree(); M0306 a label that is none of the output's classes.
Result<TrainReport> train_forest(const Dataset& data, const ForestOptions& options);

// Trees within the policy's class of shapes.
ForestOptions forest_options_for(const ManifestModel& policy);

}  // namespace rmt::models
