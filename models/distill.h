// SPDX-License-Identifier: MIT
// Distillation (Bucila et al. 2006, Hinton et al. 2015): a small model is trained on the answers of a large one instead of
// labels: a tree, a few boosted trees, a net. The data needs no labels: whatever a policy collects will do. A large model with link positive also says how sure
// it is (its margin); the small one is then trained on margins and on answers, and whichever agrees more is returned.
#pragma once

#include "models/boost.h"
#include "models/train.h"
#include "models/train_net.h"

namespace rmt::models {

struct DistillOptions {
    enum class Kind { Tree, Boost, Net };
    Kind kind = Kind::Tree;
    // Of the small model: name, depth, nodes, min leaf, split, seed; trees and the rest when it is boosted. Inputs, types, output
    // and label are those of the large model; a large model that answers numbers, not classes, needs task Regress.
    BoostOptions small;
    NetTrainOptions net;  // of kind Net: layers, bits, epochs and the rest, but for `common`, which is small.common
};

struct DistillReport {
    TrainReport trained;      // holdout: against the large model's answers
    double agreement = 0;     // share of the held-out rows with the same answer
    bool soft = false;        // trained on margins
    size_t rows_skipped = 0;  // the large model has no answer
};

// Errors: Input M0302 a column that the large model needs; those of train_tree(), train_boost() and train_net().
Result<DistillReport> distill(const Model& large, const Dataset& data, const DistillOptions& options);

}  // namespace rmt::models
