// SPDX-License-Identifier: MIT
#include "models/import.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "models/errors.h"
#include "models/import_formats.h"
#include "models/quantise_net.h"
#include "models/reference.h"

namespace rmt::models {
namespace {

constexpr size_t kMaxBytes = 256u << 20;
constexpr size_t kProbeRows = 4096;

// XGBoost's UBJSON starts with an object whose first key is short: '{', a type of length, a length, the key.
bool looks_like_ubjson(const std::string& bytes) {
    return bytes.size() > 3 && bytes[0] == '{' &&
           (bytes[1] == 'L' || bytes[1] == 'i' || bytes[1] == 'U' || bytes[1] == 'l' || bytes[1] == 'I') &&
           static_cast<unsigned char>(bytes[2]) < ' ';
}

bool looks_like_lightgbm(const std::string& bytes) { return bytes.starts_with("tree\n") || bytes.starts_with("tree\r\n"); }

Result<FloatImport> import_document(const Json& document, const ImportOptions& options, const std::string& text) {
    if (document.is_object()) {
        if (document.contains("rmt_float")) {
            RMT_TRY(FloatModel model, parse_float_model(text));
            return FloatImport{std::move(model), {}};
        }
        if (document.contains("learner")) return import_xgboost(document, options);
        if (document.contains("tree_info")) return import_lightgbm_json(document);
        if (document.contains("oblivious_trees") || (document.contains("trees") && document.contains("features_info")))
            return import_catboost(document);
    }
    if (document.is_array() && !document.empty() && document[0].is_object() &&
        (document[0].contains("nodeid") || document[0].contains("leaf")))
        return import_xgboost_dump(document, options);
    return model_error(
        "M0112", "", "this JSON is not a model that can be imported",
        "recognised: our rmt_model artefact and rmt_float, XGBoost's save_model() and dump_model(), LightGBM's text model and "
        "dump_model(), CatBoost's JSON; scripts/export_model.py writes scikit-learn's and ONNX models as rmt_float");
}

Result<Json> read_document(const std::string& bytes) {
    if (looks_like_ubjson(bytes)) return parse_ubjson(bytes);
    if (bytes.starts_with("binf") || bytes.starts_with("bs64"))
        return model_error("M0110", "", "XGBoost's old binary format",
                           "load it with the XGBoost that wrote it and save_model(\"model.json\")");
    if (bytes.starts_with("CBM1"))
        return model_error("M0110", "", "CatBoost's binary format", "save it with save_model(\"model.json\", format=\"json\")");
    return parse_json(bytes, true);
}

std::vector<std::vector<int64_t>> rows_within(const Model& model, size_t count) {
    std::mt19937_64 random(1);
    std::vector<std::vector<int64_t>> rows(count);
    for (auto& row : rows)
        for (const ModelInput& input : model.inputs)
            row.push_back(input.min + static_cast<int64_t>(random() % (static_cast<uint64_t>(input.max - input.min) + 1)));
    return rows;
}

Result<ImportReport> import_net(const std::string& bytes, const ImportOptions& options) {
    RMT_TRY(FloatNet net, parse_float_net(bytes));
    if (options.inputs.empty())
        return model_error("M0305", "", "a net's inputs are scaled from their ranges, none was given", "name the inputs with their ranges");
    const size_t outputs = net.layers.back().outputs;
    if (!options.decide && outputs != 1)
        return model_error("M0110", "", std::to_string(outputs) + " values; a model in the kernel answers one number",
                           "if they are margins of classes, say that it decides");
    QuantiseOptions wanted;
    wanted.name = options.name.empty() ? "model" : options.name;
    wanted.inputs = options.inputs;
    if (options.decide) {
        wanted.link = outputs == 1 ? Link::Positive : Link::Argmax;
        wanted.output = {OutputKind::Class, "u8", 0, static_cast<int64_t>(outputs == 1 ? 1 : outputs - 1), {}};
    } else {
        auto range = options.output_range.value_or(std::pair<int64_t, int64_t>{INT32_MIN, INT32_MAX});
        wanted.output = {OutputKind::Value, "i32", range.first, range.second, {}};
    }
    RMT_TRY(QuantiseReport made, quantise_net(net, wanted));
    ImportReport report;
    report.model = std::move(made.model);
    report.format = "rmt_float_net 1";
    if (made.bound) report.margin_bound = *made.bound;
    report.net = std::move(net);
    report.net_options = std::move(wanted);
    RMT_TRY(report.probe, compare_net_rows(report, rows_within(report.model, kProbeRows)));
    return report;
}

}  // namespace

Result<Comparison> compare_net_rows(const ImportReport& report, std::vector<std::vector<int64_t>> rows) {
    RMT_BUG_IF(!report.net, "a report of trees");
    QuantiseOptions options = report.net_options;
    options.rows = std::move(rows);
    RMT_TRY(const QuantiseReport made, quantise_net(*report.net, options));
    Comparison comparison{made.rows, made.different, made.undecided, made.largest_difference, {}};
    for (const auto& row : options.rows) {
        if (comparison.different == 0 || !comparison.first_different.empty()) break;
        const auto answer = infer(report.model, row);
        if (answer && *answer != float_answer(*report.net, options, row)) comparison.first_different = row;
    }
    return comparison;
}

Result<FloatImport> import_float_model(const std::string& bytes, const ImportOptions& options) {
    FloatImport out;
    if (looks_like_lightgbm(bytes)) {
        RMT_TRY(out, import_lightgbm_text(bytes));
    } else {
        RMT_TRY(Json document, read_document(bytes));
        RMT_TRY(out, import_document(document, options, bytes));
    }
    RMT_CHECK(check_float_model(out.model));
    return out;
}

Result<ImportReport> import_model(const std::string& bytes, const ImportOptions& options) {
    ImportReport report;
    if (!looks_like_lightgbm(bytes) && bytes.find("\"rmt_model\"") != std::string::npos) {
        RMT_TRY(Json document, read_document(bytes));
        if (document.is_object() && document.contains("rmt_model")) {
            RMT_TRY(report.model, parse_model(bytes));
            if (!options.name.empty() && options.name != report.model.name) {
                report.model.name = options.name;
                seal(report.model);
            }
            report.format = "rmt_model 1";
            report.fraction_bits = report.model.shift;
            return report;
        }
    }
    if (bytes.starts_with("{") && bytes.find("\"rmt_float_net\"") != std::string::npos) return import_net(bytes, options);
    RMT_TRY(FloatImport imported, import_float_model(bytes, options));
    RMT_TRY(QuantiseTreesReport made, quantise_trees(imported.model, options));
    static_cast<QuantiseTreesReport&>(report) = std::move(made);
    report.notes.insert(report.notes.begin(), imported.notes.begin(), imported.notes.end());
    report.format = imported.model.source;
    report.probe = compare_rows(imported.model, report, options, probe_rows(report.model, kProbeRows, 1));
    report.origin = std::move(imported.model);
    return report;
}

Result<std::string> read_model_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return fail(ErrorKind::NotFound, "cannot open '" + path + "': " + std::strerror(errno), {}, errno);
    auto size = static_cast<std::streamoff>(file.tellg());
    if (size < 0) return fail(ErrorKind::Environment, "'" + path + "' is not a file that can be read");
    if (static_cast<size_t>(size) > kMaxBytes) return model_error("M0101", "", "'" + path + "' is larger than 256 MiB");
    std::string text(static_cast<size_t>(size), '\0');
    file.seekg(0);
    file.read(text.data(), size);
    if (!file) return fail(ErrorKind::Environment, "cannot read '" + path + "'");
    return text;
}

Result<ImportReport> import_file(const std::string& path, const ImportOptions& options) {
    RMT_TRY(std::string bytes, read_model_file(path));
    auto report = import_model(bytes, options);
    if (!report) report.error().message += " (in " + path + ")";
    return report;
}

}  // namespace rmt::models
