// SPDX-License-Identifier: MIT
#include "models/distill.h"

#include <algorithm>
#include <cmath>

#include "bpf/include/rmt/model_layout.h"
#include "models/grow.h"
#include "models/reference.h"

namespace rmt::models {
namespace {

constexpr char kAnswer[] = "answer of the large model", kMargin[] = "margin of the large model";
constexpr int64_t kMostMargin = int64_t{1} << 24;  // margins are scaled below: 24 bits are finer than any split needs

// The large model's inputs, answers and, when it has them, margins.
Result<Dataset> answers_of(const Model& large, const Dataset& data, size_t& skipped) {
    Dataset taught;
    std::vector<const Column*> columns;
    for (const ModelInput& input : large.inputs) {
        RMT_TRY(const Column* column, need_column(data, input.name));
        columns.push_back(column);
        taught.columns.push_back({input.name, input.type, {}});
    }
    Column answers = {kAnswer, "i64", {}}, margins = {kMargin, "i64", {}};
    std::vector<int64_t> row(columns.size());
    for (size_t i = 0; i < data.rows(); i++) {
        for (size_t c = 0; c < columns.size(); c++) row[c] = columns[c]->values[i];
        auto answer = infer(large, row);
        if (!answer) {
            skipped++;
            continue;
        }
        for (size_t c = 0; c < columns.size(); c++) taught.columns[c].values.push_back(row[c]);
        answers.values.push_back(*answer);
        if (large.link == Link::Positive) margins.values.push_back(margin(large, row));
    }
    int64_t most = 0;
    for (int64_t m : margins.values) most = std::max(most, std::abs(m));
    for (int64_t unit = most / kMostMargin + 1; int64_t & m : margins.values)
        m = m > 0 ? (m + unit - 1) / unit : m / unit;  // a margin above 0 stays above 0: that is the decision
    taught.columns.push_back(std::move(answers));
    if (large.link == Link::Positive) taught.columns.push_back(std::move(margins));
    return taught;
}

TrainOptions small_options(const Model& large, const DistillOptions& options) {
    TrainOptions common = options.small.common;
    common.inputs.clear(), common.input_types.clear(), common.use.clear();
    for (const ModelInput& input : large.inputs) common.inputs.push_back(input.name), common.input_types.push_back(input.type);
    common.label = kAnswer;
    common.output = large.output;
    common.confidence = 0;  // always the most frequent answer
    common.none = std::clamp(common.none, large.output.min, large.output.max);
    return common;
}

Result<TrainReport> train_small(const Dataset& taught, const DistillOptions& options, const TrainOptions& common) {
    if (options.kind == DistillOptions::Kind::Tree) return train_tree(taught, common);
    if (options.kind == DistillOptions::Kind::Net) {
        NetTrainOptions net = options.net;
        const size_t inputs = net.common.max_inputs;
        net.common = common;
        net.common.max_inputs = inputs;
        RMT_TRY(NetTrainReport report, train_net(taught, net));
        return std::move(report.trained);
    }
    BoostOptions boost = options.small;
    boost.common = common;
    return train_boost(taught, boost);
}

// A regression of the margin decides as its sign does.
void decide_by_sign(Model& model, const ModelOutput& output) {
    model.output = output;
    if (model.kind != ModelKind::Tree) {
        model.link = Link::Positive;
        return;
    }
    Tree& tree = model.trees[0];
    for (size_t node = 0; node < tree.size(); node++)
        if (tree.is_leaf(node)) tree.value[node] = tree.value[node] > 0 ? 1 : 0;
    tree = merge_equal_leaves(tree);
}

Result<TrainReport> train_on_margins(const Dataset& taught, const DistillOptions& options, TrainOptions common) {
    const ModelOutput output = common.output;
    const int64_t none = common.none;
    common.task = Task::Regress;
    common.label = kMargin;
    common.output = {OutputKind::Value, "i32", RMT_MODEL_MIN, RMT_MODEL_MAX, {}};
    RMT_TRY(TrainReport report, train_small(taught, options, common));
    decide_by_sign(report.model, output);
    RMT_CHECK(check_model(report.model));
    for (size_t i = 0; i < report.model.samples.inputs.size(); i++)
        report.model.samples.outputs[i] = infer(report.model, report.model.samples.inputs[i]);
    RMT_TRY(report.holdout, evaluate(report.model, taught, kAnswer, report.holdout_rows, none));
    report.model.provenance["task"] = "classify";
    report.model.provenance.erase("holdout_mean_error");
    return report;
}

}  // namespace

Result<DistillReport> distill(const Model& large, const Dataset& data, const DistillOptions& options) {
    DistillReport report;
    RMT_TRY(const Dataset taught, answers_of(large, data, report.rows_skipped));
    const TrainOptions common = small_options(large, options);
    RMT_TRY(report.trained, train_small(taught, options, common));
    if (large.link == Link::Positive) {
        RMT_TRY(TrainReport soft, train_on_margins(taught, options, common));
        report.soft = soft.holdout.correct > report.trained.holdout.correct;
        if (report.soft) report.trained = std::move(soft);
    }
    report.agreement = report.trained.holdout.accuracy();
    Model& model = report.trained.model;
    model.provenance["label"] = report.soft ? "margins of a larger model" : "answers of a larger model";
    model.provenance["distilled_from"] = large.digest.empty() ? large.name : large.digest;
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", report.agreement);
    model.provenance["agreement"] = text;
    model.provenance.erase("holdout_accuracy"), model.provenance.erase("holdout_majority");
    seal(model);
    return report;
}

}  // namespace rmt::models
