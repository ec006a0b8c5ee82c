// SPDX-License-Identifier: MIT
#include "models/train.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <unordered_map>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/reference.h"

namespace rmt::models {
namespace {

constexpr size_t kBlock = 32;    // neighbouring rows that are held out together
constexpr size_t kSamples = 32;  // rows that travel with the model

Result<void> check_options(const TrainOptions& o) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (o.inputs.empty() || o.inputs.size() > RMT_MAX_INPUTS)
        return wrong("1.." + std::to_string(RMT_MAX_INPUTS) + " inputs are possible, " + std::to_string(o.inputs.size()) + " given");
    if (!o.input_types.empty() && o.input_types.size() != o.inputs.size()) return wrong("as many types as inputs are expected");
    if (o.max_depth < 1 || o.max_depth > RMT_MODEL_MAX_DEPTH)
        return wrong("max depth " + std::to_string(o.max_depth) + " is outside 1.." + std::to_string(RMT_MODEL_MAX_DEPTH));
    if (o.max_nodes < 1 || o.max_nodes > RMT_MODEL_MAX_NODES)
        return wrong("max nodes " + std::to_string(o.max_nodes) + " is outside 1.." + std::to_string(RMT_MODEL_MAX_NODES));
    if (o.min_leaf < 1) return wrong("min leaf must be at least 1 row");
    if (o.max_labels < 1 || o.max_labels > kMaxLabels)
        return wrong("max labels " + std::to_string(o.max_labels) + " is outside 1.." + std::to_string(kMaxLabels));
    if (!(o.confidence >= 0 && o.confidence <= 1)) return wrong("confidence is a share, 0..1");
    if (!(o.holdout >= 0 && o.holdout <= 0.9)) return wrong("holdout is a share, 0..0.9");
    if (o.output.min < RMT_MODEL_MIN || o.output.max > RMT_MODEL_MAX || o.output.min > o.output.max)
        return wrong("the output's range " + std::to_string(o.output.min) + ".." + std::to_string(o.output.max) +
                     " must lie within -2^30..2^30-1");
    if (o.task == Task::Classify && (o.none < o.output.min || o.none > o.output.max))
        return wrong("the answer for 'none', " + std::to_string(o.none) + ", is outside the output's range");
    return {};
}

struct Table {  // the usable rows of the data set
    std::vector<const Column*> inputs;
    const Column* label = nullptr;
    std::vector<uint32_t> rows;
};

Result<Table> select_rows(const Dataset& data, const TrainOptions& options) {
    Table table;
    for (const std::string& name : options.inputs) {
        RMT_TRY(const Column* column, need_column(data, name));
        table.inputs.push_back(column);
    }
    RMT_TRY(table.label, need_column(data, options.label));
    for (uint32_t row = 0; row < data.rows(); row++) {
        bool usable = true;
        for (const Column* column : table.inputs)
            usable &= column->values[row] >= -RMT_MODEL_LIMIT && column->values[row] <= RMT_MODEL_LIMIT;
        if (usable) table.rows.push_back(row);
    }
    return table;
}

// Splits table.rows into those to grow on (returned) and those held out.
std::vector<uint32_t> split_rows(const std::vector<uint32_t>& rows, const TrainOptions& options, std::vector<uint32_t>& held_out) {
    std::vector<uint32_t> grow;
    if (options.split == Holdout::Tail) {
        size_t keep = rows.size() - static_cast<size_t>(options.holdout * static_cast<double>(rows.size()));
        grow.assign(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(keep));
        held_out.assign(rows.begin() + static_cast<ptrdiff_t>(keep), rows.end());
        return grow;
    }
    size_t block = std::clamp<size_t>(rows.size() / 50, 1, kBlock);
    size_t blocks = (rows.size() + block - 1) / block;
    std::vector<size_t> order(blocks);
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937_64 random(options.seed);
    for (size_t i = blocks; i > 1; i--) std::swap(order[i - 1], order[random() % i]);  // std::shuffle differs between libraries
    std::vector<bool> out(blocks, false);
    for (size_t i = 0; i < static_cast<size_t>(options.holdout * static_cast<double>(blocks)); i++) out[order[i]] = true;
    for (size_t i = 0; i < rows.size(); i++) (out[i / block] ? held_out : grow).push_back(rows[i]);
    return grow;
}

// The most frequent labels inside the output's range, and the number of each row's label; kept.size() stands for any other.
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

void add_samples(Model& model, const Table& table) {
    size_t count = std::min(kSamples, table.rows.size());
    for (size_t i = 0; i < count; i++) {
        uint32_t row = table.rows[i * table.rows.size() / count];
        std::vector<int64_t> inputs;
        for (const Column* column : table.inputs) inputs.push_back(column->values[row]);
        model.samples.outputs.push_back(infer(model, inputs));
        model.samples.inputs.push_back(std::move(inputs));
    }
}

std::string decimals(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", x);
    return text;
}

}  // namespace

Result<TrainReport> train_tree(const Dataset& data, const TrainOptions& options) {
    RMT_CHECK(check_options(options));
    RMT_TRY(Table table, select_rows(data, options));
    TrainReport report;
    report.rows_dropped = data.rows() - table.rows.size();
    std::vector<uint32_t> rows = split_rows(table.rows, options, report.holdout_rows);
    if (rows.size() < options.min_leaf)
        return model_error(
            "M0304", "",
            std::to_string(rows.size()) + " rows to train on, at least " + std::to_string(options.min_leaf) + " (min leaf) are needed",
            "collect for longer, or lower min leaf");
    report.rows_used = rows.size();

    GrowInput grow;
    Model& model = report.model;
    for (size_t i = 0; i < table.inputs.size(); i++) {
        std::vector<int32_t> values;
        values.reserve(rows.size());
        for (uint32_t row : rows) values.push_back(static_cast<int32_t>(table.inputs[i]->values[row]));
        auto [min, max] = std::minmax_element(values.begin(), values.end());
        model.inputs.push_back(
            {options.inputs[i], options.input_types.empty() ? table.inputs[i]->type : options.input_types[i], *min, *max});
        grow.columns.push_back(make_bins(values));
    }
    grow.limits = {options.max_depth, options.max_nodes, options.min_leaf};
    if (options.task == Task::Classify) {
        grow.labels = number_labels(*table.label, rows, options, grow.label_values, report.label_share);
        grow.confidence = options.confidence;
        grow.none = static_cast<int32_t>(options.none);
        report.labels_kept = grow.label_values.size();
        model.trees.push_back(grow_classifier(grow));
    } else {
        for (uint32_t row : rows) grow.targets.push_back(static_cast<double>(table.label->values[row]));
        grow.min_value = static_cast<int32_t>(options.output.min);
        grow.max_value = static_cast<int32_t>(options.output.max);
        model.trees.push_back(grow_regressor(grow));
    }
    model.name = options.name;
    model.kind = ModelKind::Tree;
    model.output = options.output;
    add_samples(model, table);
    RMT_TRY(report.holdout, evaluate(model, data, options.label, report.holdout_rows, options.none));
    model.provenance = {{"trainer", "rmt cart 1"},
                        {"task", options.task == Task::Classify ? "classify" : "regress"},
                        {"label", options.label},
                        {"rows", std::to_string(report.rows_used)},
                        {"seed", std::to_string(options.seed)},
                        {"holdout_rows", std::to_string(report.holdout.rows)}};
    if (options.task == Task::Classify) {
        model.provenance["holdout_accuracy"] = decimals(report.holdout.accuracy());
        model.provenance["holdout_majority"] = decimals(report.holdout.baseline());
    } else {
        model.provenance["holdout_mean_error"] = decimals(report.holdout.mean_error());
    }
    auto checked = check_model(model);
    if (!checked) return fail(checked.error());  // an input's type or class that the caller gave
    seal(model);
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
    std::unordered_map<int64_t, size_t> counts;
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
        result.majority = std::max(result.majority, ++counts[wanted]);
        result.absolute_error += std::abs(static_cast<double>(given) - static_cast<double>(wanted));
        result.baseline_error += std::abs(mean - static_cast<double>(wanted));
    }
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
