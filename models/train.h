// SPDX-License-Identifier: MIT
// The built-in trainer: one CART tree (Breiman et al. 1984) over 256-bin histograms, grown best split first, for integer
// inputs and an integer label. Classification keeps the most frequent label values and answers `none` where no label has
// the wished share; regression answers the rounded mean. Deterministic for a seed.
//
// Trained range: exactly what was seen in the rows that the tree was grown on, not widened. Outside of it nothing is known,
// and the policy's on_error ("no prediction") is the better answer: for page deltas a new delta means a new phase.
// Rows with an input outside -2^30..2^30 are not used: the engine would refuse them too.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/dataset.h"
#include "models/model.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::models {

enum class Task { Classify, Regress };

// Which rows are kept apart to measure on. Blocks: runs of neighbouring rows, chosen at random, so that every phase of a
// workload is in both parts but near-copies of a row are not. Tail: the newest rows.
enum class Holdout { Blocks, Tail };

struct Progress {
    size_t done = 0, total = 0;  // rounds
    double loss = 0;             // on the rows that training looks at
    double held_out_loss = 0;    // on the rows that decide when to stop; 0 when there are none
};

// Called after every round; false ends the training with what there is.
using ProgressCallback = std::function<bool(const Progress&)>;

struct TrainOptions {
    std::string name = "model";
    std::vector<std::string> inputs;       // columns, 1..15; "deltas[0]"
    std::vector<std::string> input_types;  // of the policy; empty: those of the columns
    std::string label;                     // column
    Task task = Task::Classify;
    ModelOutput output{OutputKind::Value, "i32", -4096, 4096, {}};  // labels outside the range are never predicted
    uint32_t max_depth = 8;                                         // 1..16
    uint32_t max_nodes = 1024;                                      // 1..2^20
    uint32_t min_leaf = 8;                                          // rows, >= 1
    uint32_t max_labels = 64;                                       // 1..64
    double confidence = 0.5;                                        // share of its leaf that a label needs, 0..1
    int64_t none = 0;                                               // the answer where no label has it
    double holdout = 0.2;                                           // share of the rows, 0..0.9
    Holdout split = Holdout::Blocks;
    uint64_t seed = 1;
    std::vector<std::string> use;  // the inputs that may be split on; empty: all. The others stay inputs of the model
    ProgressCallback progress;     // of trainers that make several trees
    size_t max_inputs = 15;        // of the engine that the model is for
};

struct ClassScore {
    int64_t label = 0;
    size_t rows = 0;      // that have the label
    size_t answered = 0;  // that the model says have it
    size_t correct = 0;   // both

    double precision() const { return answered ? static_cast<double>(correct) / static_cast<double>(answered) : 0; }
    double recall() const { return rows ? static_cast<double>(correct) / static_cast<double>(rows) : 0; }
};

struct Evaluation {
    size_t rows = 0;
    size_t outside = 0;   // of those, outside the trained range: answered by `none`
    size_t answered = 0;  // answer other than `none`
    size_t correct = 0;   // answer == label
    size_t correct_answered = 0;
    size_t majority = 0;                            // rows with the most frequent label: what a constant would get right
    double absolute_error = 0, baseline_error = 0;  // sums of |answer - label|, |mean label - label|
    std::vector<ClassScore> classes;                // the 64 most frequent labels and answers, most frequent first

    double accuracy() const { return rows ? static_cast<double>(correct) / static_cast<double>(rows) : 0; }
    double precision() const { return answered ? static_cast<double>(correct_answered) / static_cast<double>(answered) : 0; }
    double baseline() const { return rows ? static_cast<double>(majority) / static_cast<double>(rows) : 0; }
    double mean_error() const { return rows ? absolute_error / static_cast<double>(rows) : 0; }
};

struct TrainReport {
    Model model;                         // checked and sealed
    size_t rows_used = 0;                // to grow the trees
    size_t rows_dropped = 0;             // an input outside -2^30..2^30
    size_t labels_kept = 0;              // Classify
    double label_share = 0;              // of the training rows that have a label that was kept
    std::vector<uint32_t> holdout_rows;  // of the data set
    Evaluation holdout;                  // on those rows
    std::vector<double> importance;      // of each input: its share of what the splits gained
    size_t rounds = 0;                   // boosting: kept; 1 for a single tree
    double leaf_bound = 0;               // the sum of the leaves differs by at most this from that of the unrounded ones
};

// Errors: Input M0302 (column), M0304 (too few rows), M0305 (an option).
Result<TrainReport> train_tree(const Dataset& data, const TrainOptions& options);

// A model on some rows of a data set, e.g. the running one on the rows that a new one did not see. `none` as above.
// Errors: Input M0302.
Result<Evaluation> evaluate(const Model& model, const Dataset& data, const std::string& label, std::span<const uint32_t> rows,
                            int64_t none);

// Options so that the result fits what a policy was compiled for: names, output, depth, nodes.
TrainOptions options_for(const ManifestModel& policy);

}  // namespace rmt::models
