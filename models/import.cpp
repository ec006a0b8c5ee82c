// SPDX-License-Identifier: MIT
#include "models/import.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "models/errors.h"
#include "models/import_xgboost.h"
#include "models/json_read.h"

namespace rmt::models {
namespace {

constexpr size_t kMaxBytes = 256u << 20;

}  // namespace

Result<ImportReport> import_model(const std::string& text, const ImportOptions& options) {
    RMT_TRY(Json document, parse_json(text, true));
    if (document.is_object() && document.contains("rmt_model")) {
        RMT_TRY(Model model, parse_model(text));
        if (!options.name.empty() && options.name != model.name) {
            model.name = options.name;
            seal(model);
        }
        ImportReport report;
        report.model = std::move(model);
        report.format = "rmt_model 1";
        report.fraction_bits = report.model.shift;
        return report;
    }
    if (document.is_object() && document.contains("learner")) return import_xgboost(document, options);
    std::string hint = "recognised: our rmt_model artefact, and XGBoost's save_model(\"model.json\")";
    if (document.is_array())
        hint = "this may be XGBoost's dump_model(), which leaves out objective and base_score: use save_model(\"model.json\")";
    if (document.is_object() && document.contains("tree_info")) hint = "this may be a LightGBM dump, which is not supported yet";
    if (document.is_object() && document.contains("oblivious_trees")) hint = "this may be a CatBoost model, which is not supported yet";
    return model_error("M0112", "", "this JSON is not a model that can be imported", hint);
}

Result<ImportReport> import_file(const std::string& path, const ImportOptions& options) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return fail(ErrorKind::NotFound, "cannot open '" + path + "': " + std::strerror(errno), {}, errno);
    auto size = static_cast<std::streamoff>(file.tellg());
    if (size < 0) return fail(ErrorKind::Environment, "'" + path + "' is not a file that can be read");
    if (static_cast<size_t>(size) > kMaxBytes) return model_error("M0101", "", "'" + path + "' is larger than 256 MiB");
    std::string text(static_cast<size_t>(size), '\0');
    file.seekg(0);
    file.read(text.data(), size);
    if (!file) return fail(ErrorKind::Environment, "cannot read '" + path + "'");
    auto report = import_model(text, options);
    if (!report) report.error().message += " (in " + path + ")";
    return report;
}

}  // namespace rmt::models
