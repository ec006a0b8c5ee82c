// SPDX-License-Identifier: MIT
// Models that others made, recognised by content:
//   our artefact (parse_model), and the neutral float form `rmt_float` that scripts/export_model.py writes
//   XGBoost 1.3 to 3.4: save_model() as JSON or UBJSON, and dump_model(dump_format="json") with what it leaves out given beside it
//   LightGBM v2 to v4: the text model, and dump_model() as JSON
//   CatBoost: JSON of symmetric trees over numeric features
//   nets as rmt_float_net, which need the inputs' ranges (models/quantise_net.h)
// Each becomes a FloatModel, which predicts as the library does, and that becomes integers (models/quantise.h). What is not
// understood is refused with its place in the file, never approximated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/quantise.h"
#include "models/quantise_net.h"

namespace rmt::models {

struct ImportOptions : QuantiseTreesOptions {
    bool use_best_iteration = false;  // stop at the attribute best_iteration, as XGBoost's scikit-learn wrapper does
    // What XGBoost's dump_model() leaves out.
    std::string objective;
    std::vector<double> base_score;  // of the output, as in save_model(): one, or one for each class
    uint32_t classes = 0;            // of multi:*
    // What a net's file leaves out: its outputs are margins of classes (one: class 1 above 0; several: the largest), not a value.
    bool decide = false;
};

struct FloatImport {
    FloatModel model;
    std::vector<std::string> notes;  // what a person should know
};

struct ImportReport : QuantiseTreesReport {  // with the integer model, its bounds and its notes
    std::string format;                 // "rmt_model 1", "xgboost 3.0.0"
    std::optional<FloatModel> origin;   // absent for our own artefact
    Comparison probe;                   // on rows next to the thresholds; of a net: random ones within the ranges
    std::optional<FloatNet> net;        // of a net, with how it was made into integers
    QuantiseOptions net_options;
};

// The integer net and its float form on rows of its inputs; rows outside of the trained ranges are left out. `report` is of a net.
Result<Comparison> compare_net_rows(const ImportReport& report, std::vector<std::vector<int64_t>> rows);

// The float form alone. Errors: Input M0101..M0113.
Result<FloatImport> import_float_model(const std::string& bytes, const ImportOptions& options);

// Errors: Input M0101..M0113, M0201, M0305.
Result<ImportReport> import_model(const std::string& bytes, const ImportOptions& options);

// Reads a file of up to 256 MiB and imports it. Errors also: NotFound, Environment.
Result<ImportReport> import_file(const std::string& path, const ImportOptions& options);
Result<std::string> read_model_file(const std::string& path);

}  // namespace rmt::models
