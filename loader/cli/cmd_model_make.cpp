// SPDX-License-Identifier: MIT
// model train, distill: a model from collected rows, into a file or the store.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "loader/cli/commands.h"
#include "loader/cli/model_make.h"
#include "models/boost.h"
#include "models/distill.h"
#include "models/train_forest.h"
#include "models/train_net.h"
#include "models/warm_start.h"

namespace rmt::cli {

namespace {

using models::TrainOptions;
using models::TrainReport;

constexpr size_t kClassesShown = 8;

Unexpected<Error> option_error(const std::string& given, const std::string& expected) {
    return fail(ErrorKind::Input, given + " was given, " + expected + " was expected");
}

// What the command line says about every kind; what it leaves out stays as the kind has it.
Result<void> set_common(const TrainArgs& args, const models::Dataset& data, const ManifestModel* fit, TrainOptions& o) {
    RMT_TRY(o.task, parse_task(args.task));
    o.label = args.label;
    o.seed = args.seed;
    o.name = args.name.empty() ? "model" : args.name;
    if (fit) {
        const TrainOptions of_policy = models::options_for(*fit);
        o.inputs = of_policy.inputs;
        o.input_types = of_policy.input_types;
        o.output = of_policy.output;
        o.none = of_policy.none;
        o.max_depth = of_policy.max_depth;
        o.max_nodes = of_policy.max_nodes;
        if (args.name.empty()) o.name = of_policy.name;
    } else {
        o.inputs = args.inputs;
        o.output.kind = args.output_kind == "class" ? models::OutputKind::Class : models::OutputKind::Value;
        o.output.min = args.min;
        o.output.max = args.max;
        if (args.output_kind == "class") {  // numbered from 0, as many as the label has
            RMT_TRY(const models::Column* label, models::need_column(data, args.label));
            o.output.type = "u8";
            o.output.min = 0;
            o.output.max = 1;
            for (const int64_t value : label->values) o.output.max = std::max(o.output.max, value);
        } else if (args.output_kind != "value") {
            return option_error("--output-kind " + args.output_kind, "value or class");
        }
    }
    if (args.max_depth) o.max_depth = *args.max_depth;
    if (args.min_leaf) o.min_leaf = *args.min_leaf;
    if (args.confidence) o.confidence = *args.confidence;
    if (args.holdout) o.holdout = *args.holdout;
    return {};
}

Result<TrainReport> train_linear_or_mlp(const TrainArgs& args, const models::Dataset& data, const ManifestModel* fit,
                                        const models::ProgressCallback& progress) {
    models::NetTrainOptions o;
    RMT_CHECK(set_common(args, data, fit, o.common));
    o.common.progress = progress;
    o.kind = args.kind == "linear" ? models::NetTrainOptions::Kind::Linear : models::NetTrainOptions::Kind::Mlp;
    if (!args.hidden.empty()) o.hidden = args.hidden;
    if (args.bits) o.bits = *args.bits;
    if (args.epochs) o.epochs = *args.epochs;
    if (args.batch) o.batch = *args.batch;
    if (args.learning_rate) o.learning_rate = *args.learning_rate;
    if (args.patience) o.patience = *args.patience;
    RMT_TRY(models::NetTrainReport report, models::train_net(data, o));
    return std::move(report.trained);
}

Result<TrainReport> train_kind(const TrainArgs& args, const models::Dataset& data, const ManifestModel* fit, ProgressBar& bar) {
    const auto progress = [&bar](const models::Progress& p) {
        bar.show(p.done, p.total, fmt::format("loss {:.4f}", p.loss));
        return true;
    };
    if (!args.warm_start.empty()) {
        RMT_TRY(const Artefact old, read_artefact(args.warm_start));
        models::WarmOptions o;
        RMT_CHECK(set_common(args, data, nullptr, o.common));
        if (args.name.empty()) o.common.name = old.model.name;
        if (!args.min_leaf) o.common.min_leaf = models::WarmOptions().common.min_leaf;
        if (args.trees) o.more_trees = *args.trees;
        if (args.learning_rate) o.learning_rate = *args.learning_rate;
        return models::warm_start(old.model, data, o);
    }
    if (args.kind == "linear" || args.kind == "mlp") return train_linear_or_mlp(args, data, fit, progress);
    if (args.kind == "tree") {
        TrainOptions o;
        RMT_CHECK(set_common(args, data, fit, o));
        return models::train_tree(data, o);
    }
    if (args.kind == "forest") {
        models::ForestOptions o = fit ? models::forest_options_for(*fit) : models::ForestOptions();
        RMT_CHECK(set_common(args, data, fit, o.common));
        o.common.progress = progress;
        if (args.trees) o.trees = *args.trees;
        return models::train_forest(data, o);
    }
    models::BoostOptions o = fit ? models::boost_options_for(*fit) : models::BoostOptions();
    RMT_CHECK(set_common(args, data, fit, o.common));
    o.common.progress = progress;
    if (args.trees) o.trees = *args.trees;
    if (args.learning_rate) o.learning_rate = *args.learning_rate;
    if (args.subsample) o.subsample = *args.subsample;
    if (args.patience) o.patience = *args.patience;
    return models::train_boost(data, o);
}

std::string metrics_text(const TrainReport& report, models::Task task) {
    const models::Evaluation& e = report.holdout;
    if (e.rows == 0) return fmt::format("  trained on {} rows; no rows were held out, so it was not measured\n", report.rows_used);
    std::string text = fmt::format("  trained on {} rows, measured on {} others\n", report.rows_used, e.rows);
    if (task == models::Task::Regress)
        return text + fmt::format("  mean absolute error {:.3f} (always the mean: {:.3f})\n", e.mean_error(), e.baseline_error / static_cast<double>(e.rows));
    text += fmt::format("  accuracy {:.2f} % (always the most frequent label: {:.2f} %), {:.2f} % of its predictions right\n", 100 * e.accuracy(),
                        100 * e.baseline(), 100 * e.precision());
    size_t shown = 0;
    for (const models::ClassScore& c : e.classes) {
        if (shown++ == kClassesShown) break;
        text += fmt::format("    label {:>8}  {:>8} rows   precision {:>6.2f} %   recall {:>6.2f} %\n", c.label, c.rows, 100 * c.precision(), 100 * c.recall());
    }
    if (e.classes.size() > kClassesShown) text += fmt::format("    and {} labels more\n", e.classes.size() - kClassesShown);
    return text;
}

Json metrics_json(const TrainReport& report) {
    const models::Evaluation& e = report.holdout;
    Json classes = Json::array();
    for (const models::ClassScore& c : e.classes)
        classes.push_back({{"label", c.label}, {"rows", c.rows}, {"answered", c.answered}, {"precision", c.precision()}, {"recall", c.recall()}});
    return {{"rows_trained", report.rows_used}, {"rows_dropped", report.rows_dropped}, {"rows_held_out", e.rows}, {"accuracy", e.accuracy()},
            {"precision", e.precision()}, {"majority_baseline", e.baseline()}, {"mean_error", e.mean_error()},
            {"mean_error_baseline", e.rows ? e.baseline_error / static_cast<double>(e.rows) : 0}, {"classes", classes},
            {"importance", report.importance}, {"rounds", report.rounds}};
}

}  // namespace

Result<models::Task> parse_task(const std::string& text) {
    if (text == "classify") return models::Task::Classify;
    if (text == "regress") return models::Task::Regress;
    return option_error("--task " + text, "classify or regress");
}

Result<Kept> keep_model(const models::Model& model, const std::string& file, const std::string& name) {
    if (!file.empty()) {
        RMT_CHECK(models::write_whole(std::filesystem::absolute(file), models::to_json(model)));
        return Kept{"written to " + file, {{"file", file}}};
    }
    if (name.empty()) return fail(ErrorKind::Input, "neither -o FILE nor --name NAME was given: the model has no place to go");
    bool added = false;
    RMT_TRY(const models::StoredModel stored, models::Store::standard().add(name, model, added));
    const std::string where = fmt::format("{}@v{}", stored.name, stored.version);
    return Kept{added ? "in the store as " + where : "in the store already, as " + where,
                {{"file", stored.path}, {"stored", {{"name", stored.name}, {"version", stored.version}, {"added", added}}}}};
}

int cmd_model_train(const Output& out, const TrainArgs& args) {
    const char* const kinds[] = {"tree", "forest", "gbt", "linear", "mlp"};
    if (std::find(std::begin(kinds), std::end(kinds), args.kind) == std::end(kinds))
        return out.error(option_error("--kind " + args.kind, "tree, forest, gbt, linear or mlp").error);
    if (args.output.empty() && args.name.empty()) return out.error(keep_model({}, "", "").error());
    RMT_CLI_TRY(models::Dataset data, models::read_dataset(args.data));
    std::optional<Where> fit;
    if (!args.fit.empty()) {
        RMT_CLI_TRY(fit, find_model(args.fit));
    }
    if (!args.next_of.empty()) RMT_CLI_CHECK(models::add_next_column(data, args.next_of, data.find("tgid") ? "tgid" : "", args.label));
    ProgressBar bar(out, "training");
    RMT_CLI_TRY(const TrainReport report, train_kind(args, data, fit ? fit->model : nullptr, bar));
    RMT_CLI_TRY(const Kept kept, keep_model(report.model, args.output, args.name));
    bar.clear();
    if (out.json) {
        Json document = kept.json;
        document["model"] = summary_json(report.model);
        document.update(metrics_json(report));
        out.document("train", document);
        return kOk;
    }
    out.print(summary(report.model) + "\n" + metrics_text(report, *parse_task(args.task)) + "  " + kept.text);
    return kOk;
}

int cmd_model_distill(const Output& out, const DistillArgs& args) {
    if (args.kind != "tree" && args.kind != "gbt") return out.error(option_error("--kind " + args.kind, "tree or gbt").error);
    if (args.output.empty() && args.name.empty()) return out.error(keep_model({}, "", "").error());
    RMT_CLI_TRY(const Artefact large, read_artefact(args.model));
    RMT_CLI_TRY(const models::Dataset data, models::read_dataset(args.data));
    models::DistillOptions options;
    options.kind = args.kind == "tree" ? models::DistillOptions::Kind::Tree : models::DistillOptions::Kind::Boost;
    TrainOptions& o = options.small.common;
    RMT_CLI_TRY(o.task, parse_task(args.task));
    o.name = args.name.empty() ? large.model.name : args.name;
    o.seed = args.seed;
    if (args.max_depth) o.max_depth = *args.max_depth;
    if (args.min_leaf) o.min_leaf = *args.min_leaf;
    if (args.holdout) o.holdout = *args.holdout;
    if (args.trees) options.small.trees = *args.trees;
    if (args.learning_rate) options.small.learning_rate = *args.learning_rate;
    RMT_CLI_TRY(const models::DistillReport report, models::distill(large.model, data, options));
    RMT_CLI_TRY(const Kept kept, keep_model(report.trained.model, args.output, args.name));
    if (out.json) {
        Json document = kept.json;
        document["large"] = summary_json(large.model);
        document["model"] = summary_json(report.trained.model);
        document.update({{"agreement", report.agreement}, {"soft", report.soft}, {"rows_trained", report.trained.rows_used},
                         {"rows_held_out", report.trained.holdout.rows}, {"rows_skipped", report.rows_skipped}});
        out.document("distill", document);
        return kOk;
    }
    out.print(fmt::format("{}\n  from {}\n  the same answer on {:.2f} % of {} rows that it was not trained on (trained on {} of the large model's {})\n  {}",
                          summary(report.trained.model), summary(large.model), 100 * report.agreement, report.trained.holdout.rows,
                          report.trained.rows_used, report.soft ? "margins" : "answers", kept.text));
    return kOk;
}

}  // namespace rmt::cli
