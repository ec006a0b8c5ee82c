// SPDX-License-Identifier: MIT
// model train, import, use, list, predict.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "loader/cli/commands.h"
#include "loader/live.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/reference.h"
#include "models/train.h"
#include "verifier_ext/model_check.h"

namespace rmt::cli {

namespace {

namespace fs = std::filesystem;
using load::LivePolicy;

fs::path store() {
    const char* state = std::getenv("RMT_STATE_DIR");
    return fs::path(state && *state ? state : "/var/lib/rmt-load") / "models";
}

Result<void> write_file(const fs::path& path, const std::string& text) {
    std::error_code error;
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
    std::ofstream file(path, std::ios::binary);
    file << text << std::flush;
    if (!file) return fail(ErrorKind::Environment, "cannot write '" + path.string() + "'");
    return {};
}

// A file, or a name in the store.
Result<models::Model> read_model(const std::string& name) {
    std::string path = name;
    if (!fs::exists(path)) path = (store() / (name + ".json")).string();
    auto source = Source::read(path);
    if (!source)
        return fail(ErrorKind::NotFound, "no model '" + name + "': neither that file nor " + path + " can be read", "rmt-load model import FILE --name " + name);
    return models::parse_model(std::string(source->text()));
}

std::string summary(const models::Model& model) {
    return fmt::format("{}: {}, {} tree{}, {} nodes, depth {}, {} inputs, {}", model.name, model.kind == models::ModelKind::Tree ? "tree" : "forest",
                       model.trees.size(), model.trees.size() == 1 ? "" : "s", models::model_nodes(model), models::model_depth(model),
                       model.inputs.size(), model.digest.substr(0, 19));
}

Json summary_json(const models::Model& model) {
    Json inputs = Json::array();
    for (const models::ModelInput& input : model.inputs)
        inputs.push_back({{"name", input.name}, {"type", input.type}, {"trained_range", {input.min, input.max}}});
    return {{"name", model.name}, {"trees", model.trees.size()}, {"nodes", models::model_nodes(model)}, {"depth", models::model_depth(model)},
            {"inputs", inputs}, {"digest", model.digest}, {"provenance", model.provenance}};
}

struct Where {
    LivePolicy live;
    const ManifestModel* model;
};

// "POLICY/MODEL", or "POLICY" when it has one model.
Result<Where> find_model(const std::string& where) {
    const size_t slash = where.find('/');
    RMT_TRY(LivePolicy live, LivePolicy::open(where.substr(0, slash)));
    const std::vector<ManifestModel>& models = live.manifest().models;
    std::string names;
    for (const ManifestModel& m : models) names += (names.empty() ? "" : ", ") + m.name;
    if (models.empty()) return fail(ErrorKind::NotFound, "policy '" + live.name() + "' has no model");
    if (slash == std::string::npos && models.size() != 1)
        return fail(ErrorKind::Input, "'" + where + "' names no model", "write POLICY/MODEL; it has: " + names);
    const std::string name = slash == std::string::npos ? models[0].name : where.substr(slash + 1);
    Where found{std::move(live), nullptr};
    found.model = found.live.manifest().find_model(name);
    if (!found.model) return fail(ErrorKind::NotFound, "policy '" + found.live.name() + "' has no model '" + name + "'", "it has: " + names);
    return found;
}

}  // namespace

int cmd_model_train(const Output& out, const TrainArgs& args) {
    RMT_CLI_TRY(models::Dataset data, models::read_dataset(args.data));
    std::string label = args.label;
    if (!args.next_of.empty()) {
        RMT_CLI_CHECK(models::add_next_column(data, args.next_of, data.find("tgid") ? "tgid" : "", label));
    }
    models::TrainOptions options;
    options.name = args.name;
    options.inputs = args.inputs;
    options.label = label;
    options.max_depth = args.max_depth;
    options.min_leaf = args.min_leaf;
    options.confidence = args.confidence;
    options.seed = args.seed;
    options.output.min = args.min;
    options.output.max = args.max;
    if (args.task != "classify" && args.task != "regress")
        return out.error(Error{ErrorKind::Input, "--task " + args.task + ": classify or regress was expected", {}, 0, {}});
    options.task = args.task == "regress" ? models::Task::Regress : models::Task::Classify;
    RMT_CLI_TRY(const models::TrainReport report, models::train_tree(data, options));
    RMT_CLI_CHECK(write_file(args.output, models::to_json(report.model)));
    const models::Evaluation& e = report.holdout;
    if (out.json) {
        out.document("train", {{"file", args.output}, {"model", summary_json(report.model)}, {"rows_trained", report.rows_used}, {"rows_held_out", e.rows},
                               {"accuracy", e.accuracy()}, {"precision", e.precision()}, {"majority_baseline", e.baseline()},
                               {"mean_error", e.mean_error()}});
        return kOk;
    }
    std::string text = summary(report.model) + fmt::format("\n  trained on {} rows, measured on {} others\n", report.rows_used, e.rows);
    if (options.task == models::Task::Classify)
        text += fmt::format("  accuracy {:.2f} % (always the most frequent label: {:.2f} %), {:.2f} % of its predictions right\n", 100 * e.accuracy(),
                            100 * e.baseline(), 100 * e.precision());
    else
        text += fmt::format("  mean absolute error {:.3f}\n", e.mean_error());
    out.print(text + "  written to " + args.output);
    return kOk;
}

int cmd_model_import(const Output& out, const ImportArgs& args) {
    models::ImportOptions options;
    options.name = args.name;
    for (const std::string& name : args.inputs)
        options.inputs.push_back({name, "i32", -(int64_t{1} << 30), int64_t{1} << 30});
    RMT_CLI_TRY(const models::ImportReport report, models::import_file(args.file, options));
    const std::string to = args.output.empty() ? (store() / (report.model.name + ".json")).string() : args.output;
    RMT_CLI_CHECK(write_file(to, models::to_json(report.model)));
    if (out.json) {
        out.document("import", {{"file", to}, {"format", report.format}, {"model", summary_json(report.model)}, {"margin_bound", report.margin_bound},
                                {"notes", report.notes}});
        return kOk;
    }
    std::string text = summary(report.model) + "\n  from " + report.format + "\n";
    if (report.margin_bound > 0) text += fmt::format("  thresholds exact; the margin differs by at most {:.3g}\n", report.margin_bound);
    for (const std::string& note : report.notes) text += "  note: " + note + "\n";
    out.print(text + "  written to " + to);
    return kOk;
}

int cmd_model_use(const Output& out, const std::string& where, const std::string& name) {
    RMT_CLI_TRY(const Where found, find_model(where));
    RMT_CLI_TRY(const models::Model model, read_model(name));
    RMT_CLI_CHECK(models::check_against_policy(model, *found.model));
    RMT_CLI_TRY(const std::vector<uint8_t> value, models::lower_model(model, found.model->shape, 1));
    RMT_CLI_CHECK(verify::check_model_value(value, *found.model));
    RMT_CLI_CHECK(found.live.set_model(*found.model, value, models::to_json(model)));
    if (out.json)
        out.document("use", {{"policy", found.live.name()}, {"model", found.model->name}, {"artefact", summary_json(model)}});
    else
        out.print(found.live.name() + "/" + found.model->name + ": " + summary(model));
    return kOk;
}

int cmd_model_list(const Output& out, const std::string& policy) {
    Json list = Json::array();
    std::string text;
    const auto add = [&](const std::string& where, const models::Model& model) {
        Json item = summary_json(model);
        item["where"] = where;
        list.push_back(std::move(item));
        text += fmt::format("{:<36} {}\n", where, summary(model));
    };
    if (!policy.empty()) {
        RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
        for (const ManifestModel& declared : live.manifest().models) {
            RMT_CLI_TRY(const std::string artefact, live.model_artefact(declared));
            if (artefact.empty()) {
                list.push_back({{"where", policy + "/" + declared.name}, {"loaded", false}});
                text += fmt::format("{:<36} none yet\n", policy + "/" + declared.name);
                continue;
            }
            RMT_CLI_TRY(const models::Model model, models::parse_model(artefact));
            add(policy + "/" + declared.name, model);
        }
    } else {
        std::error_code error;
        for (const auto& file : fs::directory_iterator(store(), error)) {
            auto model = read_model(file.path().string());
            if (model) add(file.path().stem().string(), *model);
            else out.say("warning: " + file.path().string() + ": " + model.error().message);
        }
    }
    if (out.json)
        out.document("models", {{"models", list}});
    else if (text.empty())
        out.say("no model is in " + store().string() + "; rmt-load model import FILE --name NAME puts one there");
    else
        out.print(text);
    return kOk;
}

int cmd_model_predict(const Output& out, const std::string& name, const std::string& file) {
    RMT_CLI_TRY(const models::Model model, read_model(name));
    RMT_CLI_TRY(const models::Dataset data, models::read_dataset(file));
    std::vector<const models::Column*> columns;
    for (const models::ModelInput& input : model.inputs) {
        RMT_CLI_TRY(const models::Column* column, models::need_column(data, input.name));
        columns.push_back(column);
    }
    std::string text;
    std::vector<int64_t> row(columns.size());
    for (size_t i = 0; i < data.rows(); i++) {
        for (size_t k = 0; k < columns.size(); k++) row[k] = columns[k]->values[i];
        const auto answer = models::infer(model, row);
        text += answer ? std::to_string(*answer) + "\n" : "-\n";
    }
    out.print(text);
    return kOk;
}

}  // namespace rmt::cli
