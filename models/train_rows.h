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

// From columns (of bin_inputs) back to inputs of the model.
void name_features(Tree& tree, const TrainRows& rows);
std::vector<double> spread_gain(const std::vector<double>& gain, const TrainRows& rows);  // per input, sum 1 (or all 0)

// The label of each of these rows, as it is.
std::vector<int64_t> labels_of(const TrainRows& rows, const std::vector<uint32_t>& which);

// Fills what a trainer leaves open: name, output, samples, figures on the held-out rows, provenance; checks and seals.
Result<void> finish_report(TrainReport& report, const Dataset& data, const TrainRows& rows, const TrainOptions& options,
                           const std::string& trainer);

}  // namespace rmt::models
