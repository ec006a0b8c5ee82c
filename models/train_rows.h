// SPDX-License-Identifier: MIT
// What all trainers do with a data set: choose the usable rows, keep some apart, number the classes, and finish a report.
// Internal to the trainers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/bins.h"
#include "models/dataset.h"
#include "models/train.h"

namespace rmt::models {

struct TrainRows {
    std::vector<const Column*> inputs;  // of the model, in its order
    std::vector<uint32_t> used;         // indices of inputs that the trainer may look at
    const Column* label = nullptr;
    std::vector<uint32_t> usable;          // of the data set, ascending
    std::vector<uint32_t> grow, held_out;  // parts of it
};

// Errors: Input M0302 (column), M0304 (too few rows), M0305 (an option).
Result<TrainRows> select_rows(const Dataset& data, const TrainOptions& options);

// Moves every second block of held-out rows into what is returned: to decide when to stop, so that the report's figures are of
// rows that decided nothing.
std::vector<uint32_t> take_stop_rows(TrainRows& rows);

// The used inputs of the rows to grow on, binned; sets model.inputs. An input that may not be looked at is trained on
// whatever its type holds, since no answer depends on it.
std::vector<BinnedColumn> bin_inputs(const TrainRows& rows, const TrainOptions& options, Model& model);

// The trained range of an input that no answer depends on: what its type holds.
void allow_whole_type(ModelInput& input);

// From columns (of bin_inputs) back to inputs of the model.
void name_features(Tree& tree, const TrainRows& rows);
std::vector<double> spread_gain(const std::vector<double>& gain, const TrainRows& rows);  // per input, sum 1 (or all 0)

// The label of each of these rows, as it is.
std::vector<int64_t> labels_of(const TrainRows& rows, const std::vector<uint32_t>& which);

// The most frequent labels inside the output's range, and the number of each row's label; kept.size() stands for any other.
std::vector<uint8_t> number_labels(const Column& label, const std::vector<uint32_t>& rows, const TrainOptions& options,
                                   std::vector<int32_t>& kept, double& share);

// What a forest tells apart: one output for each of the most frequent labels, or for classes 0 and 1 a single one.
struct ClassNumbers {
    bool positive = false;         // classes 0 and 1: one sum, link positive
    std::vector<int64_t> answers;  // of each number, ascending
    int64_t none = -1;             // the number of every other label; -1: there is none

    uint32_t outputs() const { return positive ? 1 : static_cast<uint32_t>(answers.size()); }
    int64_t number_of(int64_t label) const;  // -1: nothing stands for it
    std::vector<int64_t> number(const std::vector<int64_t>& labels) const;
};

// Errors: Input M0305 an output that is a score, M0306 a label that is no class of an output of kind class.
Result<ClassNumbers> number_classes(const TrainRows& rows, const TrainOptions& options, TrainReport& report);

// Link, answers and bases.
void set_outputs(Model& model, const ClassNumbers& classes, const std::vector<int64_t>& bases);

// How many trees of each output there is room for, at most `wanted`. Errors: Input M0305 when not for one.
Result<uint32_t> rounds_that_fit(const TrainOptions& options, uint32_t wanted, uint32_t max_trees, uint32_t outputs);

// Fills what a trainer leaves open: name, output, samples, figures on the held-out rows, provenance; checks and seals.
Result<void> finish_report(TrainReport& report, const Dataset& data, const TrainRows& rows, const TrainOptions& options,
                           const std::string& trainer);

}  // namespace rmt::models
