// SPDX-License-Identifier: MIT
#include "models/train.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/reference.h"
#include "models/train_rows.h"

namespace rmt::models {
namespace {

constexpr size_t kClassesTold = 64;

std::vector<ClassScore> most_frequent(const std::unordered_map<int64_t, ClassScore>& scores) {
    std::vector<ClassScore> list;
    for (const auto& [label, score] : scores) {
        list.push_back(score);
        list.back().label = label;
    }
    std::sort(list.begin(), list.end(),
              [](const ClassScore& a, const ClassScore& b) { return a.rows != b.rows ? a.rows > b.rows : a.label < b.label; });
    if (list.size() > kClassesTold) list.resize(kClassesTold);
    return list;
}

}  // namespace

std::vector<uint8_t> number_labels(const Column& label, const std::vector<uint32_t>& rows, const TrainOptions& options,
                                   std::vector<int32_t>& kept, double& share) {
    std::unordered_map<int64_t, size_t> counts;
    for (uint32_t row : rows) counts[label.values[row]]++;
    std::vector<std::pair<int64_t, size_t>> ranked;
    for (const auto& entry : counts)
        if (entry.first >= options.output.min && entry.first <= options.output.max) ranked.push_back(entry);
    std::sort(ranked.begin(), ranked.end(),
              [](const auto& a, const auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    if (ranked.size() > options.max_labels) ranked.resize(options.max_labels);
    std::unordered_map<int64_t, uint8_t> number;
    size_t covered = 0;
    for (const auto& [value, count] : ranked) {
        number[value] = static_cast<uint8_t>(kept.size());
        kept.push_back(static_cast<int32_t>(value));
        covered += count;
    }
    share = rows.empty() ? 0 : static_cast<double>(covered) / static_cast<double>(rows.size());
    std::vector<uint8_t> labels;
    labels.reserve(rows.size());
    for (uint32_t row : rows) {
        auto found = number.find(label.values[row]);
        labels.push_back(found == number.end() ? static_cast<uint8_t>(kept.size()) : found->second);
    }
    return labels;
}

Result<TrainReport> train_tree(const Dataset& data, const TrainOptions& options) {
    RMT_TRY(TrainRows rows, select_rows(data, options));
    TrainReport report;
    Model& model = report.model;
    model.kind = ModelKind::Tree;
    GrowInput grow;
    grow.columns = bin_inputs(rows, options, model);
    grow.limits = {options.max_depth, options.max_nodes, options.min_leaf};
    Grown grown;
    if (options.task == Task::Classify) {
        grow.labels = number_labels(*rows.label, rows.grow, options, grow.label_values, report.label_share);
        grow.confidence = options.confidence;
        grow.none = static_cast<int32_t>(options.none);
        report.labels_kept = grow.label_values.size();
        grown = grow_classifier(grow);
    } else {
        for (uint32_t row : rows.grow) grow.targets.push_back(static_cast<double>(rows.label->values[row]));
        grow.min_value = static_cast<int32_t>(options.output.min);
        grow.max_value = static_cast<int32_t>(options.output.max);
        grown = grow_regressor(grow);
    }
    name_features(grown.tree, rows);
    report.importance = spread_gain(grown.gain, rows);
    model.trees.push_back(std::move(grown.tree));
    RMT_CHECK(finish_report(report, data, rows, options, "rmt cart 1"));
    return report;
}

Result<Evaluation> evaluate(const Model& model, const Dataset& data, const std::string& label, std::span<const uint32_t> rows,
                            int64_t none) {
    std::vector<const Column*> columns;
    for (const ModelInput& input : model.inputs) {
        RMT_TRY(const Column* column, need_column(data, input.name));
        columns.push_back(column);
    }
    RMT_TRY(const Column* truth, need_column(data, label));
    Evaluation result;
    result.rows = rows.size();
    std::unordered_map<int64_t, ClassScore> classes;
    std::vector<int64_t> inputs(columns.size());
    double mean = 0;
    for (uint32_t row : rows) mean += static_cast<double>(truth->values[row]) / static_cast<double>(rows.size());
    for (uint32_t row : rows) {
        for (size_t i = 0; i < columns.size(); i++) inputs[i] = columns[i]->values[row];
        auto answer = infer(model, inputs);
        int64_t given = answer.value_or(none), wanted = truth->values[row];
        result.outside += !answer;
        result.answered += given != none;
        result.correct += given == wanted;
        result.correct_answered += given == wanted && given != none;
        result.majority = std::max(result.majority, ++classes[wanted].rows);
        classes[given].answered++;
        classes[wanted].correct += given == wanted;
        result.absolute_error += std::abs(static_cast<double>(given) - static_cast<double>(wanted));
        result.baseline_error += std::abs(mean - static_cast<double>(wanted));
    }
    result.classes = most_frequent(classes);
    return result;
}

TrainOptions options_for(const ManifestModel& policy) {
    TrainOptions options;
    options.name = policy.name;
    options.inputs = policy.inputs;
    options.input_types = policy.input_types;
    options.output.kind = policy.output_kind == "class"   ? OutputKind::Class
                          : policy.output_kind == "score" ? OutputKind::Score
                                                          : OutputKind::Value;
    options.output.type = policy.output_type;
    options.output.min = std::max<int64_t>(policy.output_min, RMT_MODEL_MIN);
    options.output.max = std::min<int64_t>(policy.output_max, RMT_MODEL_MAX);
    if (options.output.kind == OutputKind::Class) options.output.classes = policy.classes;
    options.max_depth = policy.shape.depth;
    options.max_nodes = policy.shape.nodes;
    options.none = std::clamp(policy.on_error, options.output.min, options.output.max);
    if (policy.train) options.label = policy.train->label;
    return options;
}

}  // namespace rmt::models
