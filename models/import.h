// SPDX-License-Identifier: MIT
// Models that others made. Recognised by content: our artefact (parse_model), and XGBoost's save_model("x.json") of 1.7 to
// 3.4, booster gbtree, one output. What is not understood is refused with its place in the file, never approximated.
//
// XGBoost goes left iff float32(x) < threshold; for integers that is x <= T, with T found by bisection over the engine's
// whole domain (the predicate is monotone), so every branch is exact. Leaves become fixed point; the error of the margin is
// at most the reported bound. Missing values do not exist here: default directions are dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"

namespace rmt::models {

struct ImportOptions {
    std::string name;                 // empty: "model", or the artefact's own
    std::vector<ModelInput> inputs;   // of a file without names, types or ranges; else empty: its names, i32, the engine's range
    double positive_above = 0.5;      // class 1 iff the predicted probability is above this
    bool use_best_iteration = false;  // stop at the attribute best_iteration, as XGBoost's scikit-learn wrapper does
    std::optional<std::pair<int64_t, int64_t>> output_range;  // of a value or score: clamped to it; else all that the sum can be
    bool score = false;                                       // answer the margin times 2^score_bits as a score
    uint32_t score_bits = 8;
};

struct ImportReport {
    Model model;              // checked and sealed
    std::string format;       // "rmt_model 1", "xgboost 3.0.0"
    double margin_bound = 0;  // |fixed-point margin - exact sum of the file's float32 leaves| is at most this
    uint32_t fraction_bits = 0;
    std::vector<std::string> notes;  // what a person should know
};

// Errors: Input M0101..M0112.
Result<ImportReport> import_model(const std::string& text, const ImportOptions& options);

// Reads a file of up to 256 MiB and imports it. Errors also: NotFound, Environment.
Result<ImportReport> import_file(const std::string& path, const ImportOptions& options);

}  // namespace rmt::models
