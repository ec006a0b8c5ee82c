// SPDX-License-Identifier: MIT
// One function for each format, and what they share. Internal to import.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/errors.h"
#include "models/import.h"
#include "models/json_read.h"

namespace rmt::models {

Result<FloatImport> import_xgboost(const Json& document, const ImportOptions& options);
Result<FloatImport> import_xgboost_dump(const Json& document, const ImportOptions& options);
Result<FloatImport> import_lightgbm_text(const std::string& text);
Result<FloatImport> import_lightgbm_json(const Json& document);
Result<FloatImport> import_catboost(const Json& document);

// UBJSON as XGBoost writes it. Every count is checked against the bytes that are left. Errors: Input M0101.
Result<Json> parse_ubjson(std::string_view bytes);

inline Unexpected<Error> unsupported(const std::string& path, const std::string& what, std::string hint = {}) {
    return model_error("M0110", path, what, std::move(hint));
}

// A number that has to be finite; M0111.
Result<double> finite_number(const Reader& reader);

// XGBoost's objectives: what its base_score is, what its margin means.
struct XgbObjective {
    enum class Base { Identity, Logit, Log };
    const char* name;
    Base base;
    FloatTask task;  // Regression becomes Multioutput with several targets
    Transform transform;
};
Result<const XgbObjective*> find_xgb_objective(const std::string& name, const std::string& path);
// Sets task, transform and base. `scores`: one, or one for each output.
Result<void> set_xgb_objective(FloatModel& model, const XgbObjective& objective, const std::vector<double>& scores, size_t classes,
                               size_t targets, const std::string& path);

}  // namespace rmt::models
