// SPDX-License-Identifier: MIT
#include "models/train_rows.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>
#include <unordered_map>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/reference.h"
#include "models/types.h"

namespace rmt::models {
namespace {

constexpr size_t kBlock = 32;    // neighbouring rows that are held out together
constexpr size_t kSamples = 32;  // rows that travel with the model

Result<void> check_options(const TrainOptions& o) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (o.inputs.empty() || o.inputs.size() > o.max_inputs)
        return model_error("M0305", "", "1.." + std::to_string(o.max_inputs) + " inputs are possible, " + std::to_string(o.inputs.size()) + " given",
                           o.inputs.empty() ? "name the columns that the model asks (--inputs a,b), or the policy that it is for (--fit)"
                                            : "train on the columns that matter (--inputs a,b)");
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

Result<std::vector<uint32_t>> used_inputs(const TrainOptions& options) {
    std::vector<uint32_t> used;
    for (uint32_t i = 0; i < options.inputs.size(); i++)
        if (options.use.empty() || std::find(options.use.begin(), options.use.end(), options.inputs[i]) != options.use.end())
            used.push_back(i);
    for (const std::string& name : options.use)
        if (std::find(options.inputs.begin(), options.inputs.end(), name) == options.inputs.end())
            return model_error("M0305", "", "'" + name + "' is to be used, but it is none of the inputs");
    return used;
}

void split_rows(TrainRows& table, const TrainOptions& options) {
    const std::vector<uint32_t>& rows = table.usable;
    if (options.split == Holdout::Tail) {
        size_t keep = rows.size() - static_cast<size_t>(options.holdout * static_cast<double>(rows.size()));
        table.grow.assign(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(keep));
        table.held_out.assign(rows.begin() + static_cast<ptrdiff_t>(keep), rows.end());
        return;
    }
    size_t block = std::clamp<size_t>(rows.size() / 50, 1, kBlock);
    size_t blocks = (rows.size() + block - 1) / block;
    std::vector<size_t> order(blocks);
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937_64 random(options.seed);
    for (size_t i = blocks; i > 1; i--) std::swap(order[i - 1], order[random() % i]);  // std::shuffle differs between libraries
    std::vector<bool> out(blocks, false);
    for (size_t i = 0; i < static_cast<size_t>(options.holdout * static_cast<double>(blocks)); i++) out[order[i]] = true;
    for (size_t i = 0; i < rows.size(); i++) (out[i / block] ? table.held_out : table.grow).push_back(rows[i]);
}

void add_samples(Model& model, const TrainRows& table) {
    size_t count = std::min(kSamples, table.usable.size());
    for (size_t i = 0; i < count; i++) {
        uint32_t row = table.usable[i * table.usable.size() / count];
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

Result<TrainRows> select_rows(const Dataset& data, const TrainOptions& options) {
    RMT_CHECK(check_options(options));
    TrainRows table;
    for (const std::string& name : options.inputs) {
        RMT_TRY(const Column* column, need_column(data, name));
        table.inputs.push_back(column);
    }
    RMT_TRY(table.used, used_inputs(options));
    RMT_TRY(table.label, need_column(data, options.label));
    for (uint32_t row = 0; row < data.rows(); row++) {
        bool usable = true;
        for (const Column* column : table.inputs)
            usable &= column->values[row] >= -RMT_MODEL_LIMIT && column->values[row] <= RMT_MODEL_LIMIT;
        if (usable) table.usable.push_back(row);
    }
    split_rows(table, options);
    if (table.grow.size() < options.min_leaf || table.grow.empty())
        return model_error("M0304", "",
                           std::to_string(table.grow.size()) + " rows to train on, at least " + std::to_string(options.min_leaf) +
                               " (min leaf) are needed",
                           "collect for longer, or lower min leaf");
    return table;
}

std::vector<uint32_t> take_stop_rows(TrainRows& rows) {
    std::vector<uint32_t> stop, measure;
    for (size_t i = 0; i < rows.held_out.size(); i++) (i / kBlock % 2 == 0 ? stop : measure).push_back(rows.held_out[i]);
    if (measure.empty()) measure = stop;  // fewer than two blocks
    rows.held_out = std::move(measure);
    return stop;
}

void allow_whole_type(ModelInput& input) {
    const auto type = find_type(input.type);
    input.min = std::max<int64_t>(type ? type->min : INT64_MIN, -RMT_MODEL_LIMIT);
    input.max = std::min<int64_t>(type ? type->max : INT64_MAX, RMT_MODEL_LIMIT);
}

std::vector<BinnedColumn> bin_inputs(const TrainRows& rows, const TrainOptions& options, Model& model) {
    std::vector<BinnedColumn> columns;
    std::vector<int32_t> values(rows.grow.size());
    for (size_t i = 0, next = 0; i < rows.inputs.size(); i++) {
        ModelInput input = {options.inputs[i], options.input_types.empty() ? rows.inputs[i]->type : options.input_types[i]};
        if (next < rows.used.size() && rows.used[next] == i) {
            next++;
            for (size_t k = 0; k < values.size(); k++) values[k] = static_cast<int32_t>(rows.inputs[i]->values[rows.grow[k]]);
            auto [min, max] = std::minmax_element(values.begin(), values.end());
            input.min = *min, input.max = *max;
            columns.push_back(make_bins(values));
        } else {
            allow_whole_type(input);
        }
        model.inputs.push_back(std::move(input));
    }
    return columns;
}

void name_features(Tree& tree, const TrainRows& rows) {
    for (int32_t& feature : tree.feature)
        if (feature >= 0) feature = static_cast<int32_t>(rows.used[static_cast<size_t>(feature)]);
}

std::vector<double> spread_gain(const std::vector<double>& gain, const TrainRows& rows) {
    std::vector<double> share(rows.inputs.size(), 0);
    double sum = std::accumulate(gain.begin(), gain.end(), 0.0);
    for (size_t i = 0; i < gain.size() && sum > 0; i++) share[rows.used[i]] = gain[i] / sum;
    return share;
}

std::vector<int64_t> labels_of(const TrainRows& rows, const std::vector<uint32_t>& which) {
    std::vector<int64_t> labels;
    labels.reserve(which.size());
    for (uint32_t row : which) labels.push_back(rows.label->values[row]);
    return labels;
}

int64_t ClassNumbers::number_of(int64_t label) const {
    auto found = std::lower_bound(answers.begin(), answers.end(), label);
    return found != answers.end() && *found == label ? found - answers.begin() : none;
}

std::vector<int64_t> ClassNumbers::number(const std::vector<int64_t>& labels) const {
    std::vector<int64_t> numbers;
    numbers.reserve(labels.size());
    for (int64_t label : labels) numbers.push_back(number_of(label));
    return numbers;
}

Result<ClassNumbers> number_classes(const TrainRows& rows, const TrainOptions& options, TrainReport& report) {
    const ModelOutput& output = options.output;
    ClassNumbers classes;
    if (output.kind == OutputKind::Score)
        return model_error("M0305", "", "classes are to be told apart, the output is a score", "train by regression");
    std::unordered_map<int64_t, size_t> counts;
    for (uint32_t row : rows.grow) {
        int64_t label = rows.label->values[row];
        if (output.kind == OutputKind::Class && (label < output.min || label > output.max))
            return model_error("M0306", "",
                               "label " + std::to_string(label) + " in row " + std::to_string(row) + " is none of the classes " +
                                   std::to_string(output.min) + ".." + std::to_string(output.max));
        counts[label]++;
    }
    classes.positive = output.kind == OutputKind::Class && output.min == 0 && output.max == 1;
    std::vector<std::pair<int64_t, size_t>> ranked;
    for (const auto& entry : counts)
        if (entry.first >= output.min && entry.first <= output.max) ranked.push_back(entry);
    std::sort(ranked.begin(), ranked.end(),
              [](const auto& a, const auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
    if (ranked.size() > options.max_labels) ranked.resize(options.max_labels);
    size_t covered = 0;
    for (const auto& [label, count] : ranked) classes.answers.push_back(label), covered += count;
    report.labels_kept = ranked.size();
    report.label_share = static_cast<double>(covered) / static_cast<double>(rows.grow.size());
    if (classes.positive) classes.answers = {0, 1};
    if (covered < rows.grow.size() || classes.answers.empty()) {
        if (std::find(classes.answers.begin(), classes.answers.end(), options.none) == classes.answers.end())
            classes.answers.push_back(options.none);
    }
    if (classes.answers.size() == 1)
        classes.answers.push_back(options.none == classes.answers[0] ? output.min == options.none ? output.max : output.min : options.none);
    std::sort(classes.answers.begin(), classes.answers.end());
    classes.answers.erase(std::unique(classes.answers.begin(), classes.answers.end()), classes.answers.end());
    auto none = std::lower_bound(classes.answers.begin(), classes.answers.end(), options.none);
    if (none != classes.answers.end() && *none == options.none && !classes.positive) classes.none = none - classes.answers.begin();
    return classes;
}

void set_outputs(Model& model, const ClassNumbers& classes, const std::vector<int64_t>& bases) {
    model.base = bases[0];
    model.link = classes.positive ? Link::Positive : Link::Argmax;
    if (classes.positive) return;
    model.more_bases.assign(bases.begin() + 1, bases.end());
    for (size_t k = 0; k < classes.answers.size(); k++)
        if (classes.answers[k] != static_cast<int64_t>(k)) model.answers = classes.answers;
}

Result<uint32_t> rounds_that_fit(const TrainOptions& options, uint32_t wanted, uint32_t max_trees, uint32_t outputs) {
    uint32_t room = std::min({uint32_t{RMT_MODEL_MAX_TREES}, max_trees, options.max_nodes}) / outputs;
    if (room > 0) return std::min(wanted, room);
    return model_error("M0305", "",
                       "a tree for each of " + std::to_string(outputs) + " classes does not fit " + std::to_string(max_trees) +
                           " trees of " + std::to_string(options.max_nodes) + " nodes together",
                       "tell fewer labels apart, or train a single tree");
}

Result<void> finish_report(TrainReport& report, const Dataset& data, const TrainRows& rows, const TrainOptions& options,
                           const std::string& trainer) {
    Model& model = report.model;
    report.rows_used = rows.grow.size();
    report.rows_dropped = data.rows() - rows.usable.size();
    report.holdout_rows = rows.held_out;
    model.name = options.name;
    model.output = options.output;
    auto checked = check_model(model);
    if (!checked) return fail(checked.error());  // an input's type or class that the caller gave
    add_samples(model, rows);
    RMT_TRY(report.holdout, evaluate(model, data, options.label, report.holdout_rows, options.none));
    model.provenance["trainer"] = trainer;
    model.provenance["task"] = options.task == Task::Classify ? "classify" : "regress";
    model.provenance["label"] = options.label;
    model.provenance["rows"] = std::to_string(report.rows_used);
    model.provenance["seed"] = std::to_string(options.seed);
    model.provenance["holdout_rows"] = std::to_string(report.holdout.rows);
    if (options.task == Task::Classify) {
        model.provenance["holdout_accuracy"] = decimals(report.holdout.accuracy());
        model.provenance["holdout_majority"] = decimals(report.holdout.baseline());
    } else {
        model.provenance["holdout_mean_error"] = decimals(report.holdout.mean_error());
    }
    seal(model);
    return {};
}

}  // namespace rmt::models
