// SPDX-License-Identifier: MIT
#include "models/boost.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/grow_gradient.h"
#include "models/objective.h"
#include "models/reference.h"
#include "models/train_rows.h"

namespace rmt::models {
namespace {

Result<void> check_options(const BoostOptions& o) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (o.trees < 1 || o.trees > RMT_MODEL_MAX_TREES)
        return wrong("trees " + std::to_string(o.trees) + " is outside 1.." + std::to_string(RMT_MODEL_MAX_TREES));
    if (!(o.learning_rate > 0 && o.learning_rate <= 1)) return wrong("the learning rate lies above 0 and up to 1");
    if (!(o.subsample > 0 && o.subsample <= 1)) return wrong("subsample is a share above 0 and up to 1");
    if (!(o.lambda >= 0 && o.lambda <= 1e9)) return wrong("lambda lies in 0..1e9");
    if (!(o.min_child_weight >= 0 && o.min_child_weight <= 1e9)) return wrong("min child weight lies in 0..1e9");
    if (o.patience > 0 && o.common.holdout == 0) return wrong("patience needs held-out rows: give a holdout above 0");
    return {};
}

// The rounds of one training.
class Boosting {
public:
    Boosting(const TrainRows& rows, const BoostOptions& options, const ClassNumbers& classes, uint32_t rounds,
             const std::vector<BinnedColumn>& columns, const std::vector<uint32_t>& stop_rows, const Model* start = nullptr)
        : rows_(rows),
          options_(options),
          classes_(classes),
          round_limit_(rounds),
          grower_(columns),
          stop_rows_(stop_rows),
          labels_(labels_of(rows, rows.grow)),
          stop_labels_(labels_of(rows, stop_rows)),
          random_(options.common.seed),
          gain_(columns.size()),
          nodes_left_(options.common.max_nodes) {
        prepare_labels();
        bases_ = objective_.start(labels_);
        if (start) begin_from(*start);
        for (size_t k = 0; k < bases_.size(); k++) {
            scores_.push_back(sums(start, k, rows_.grow));
            stop_scores_.push_back(sums(start, k, stop_rows_));
            pairs_.emplace_back(labels_.size());
        }
    }

    void run() {
        double best = stop_rows_.empty() ? 0 : objective_.mean_loss(stop_scores_, stop_labels_);
        size_t kept = 0;
        for (size_t round = 0; round < round_limit_; round++) {
            if (!grow_round()) break;
            Progress progress{round + 1, round_limit_, 0, 0};
            if (!stop_rows_.empty()) {
                progress.held_out_loss = objective_.mean_loss(stop_scores_, stop_labels_);
                if (progress.held_out_loss < best) best = progress.held_out_loss, kept = trees_.size(), rounds_ = round + 1;
                if (round + 1 >= rounds_ + options_.patience) break;
            } else {
                kept = trees_.size(), rounds_ = round + 1;
            }
            if (options_.common.progress) {
                progress.loss = objective_.mean_loss(scores_, labels_);
                if (!options_.common.progress(progress)) break;
            }
        }
        trees_.resize(kept);
    }

    void fill(TrainReport& report) {
        Model& model = report.model;
        model.kind = ModelKind::Forest;
        model.shift = objective_.shift;
        if (objective_.loss == Loss::Squared)
            model.base = bases_[0];
        else
            set_outputs(model, classes_, bases_);
        for (Tree& tree : trees_) name_features(tree, rows_);
        model.trees = std::move(trees_);
        if (model.trees.empty()) model.trees.resize(1), model.trees[0].add_leaf(0);
        report.importance = spread_gain(gain_, rows_);
        report.rounds = rounds_;
        report.leaf_bound = std::ldexp(static_cast<double>(rounds_) + 1, -static_cast<int>(objective_.shift) - 1);
    }

private:
    void begin_from(const Model& start) {
        objective_.shift = start.shift;
        for (size_t k = 0; k < bases_.size(); k++) bases_[k] = base_of(start, k);
    }

    std::vector<int64_t> sums(const Model* start, size_t output, const std::vector<uint32_t>& rows) const {
        std::vector<int64_t> sums(rows.size(), bases_[output]);
        std::vector<int64_t> inputs(rows_.inputs.size());
        for (size_t i = 0; start && i < rows.size(); i++) {
            for (size_t c = 0; c < inputs.size(); c++) inputs[c] = rows_.inputs[c]->values[rows[i]];
            sums[i] = margin(*start, inputs, output);
        }
        return sums;
    }

    void prepare_labels() {
        if (options_.common.task == Task::Regress) {
            for (std::vector<int64_t>* labels : {&labels_, &stop_labels_})
                for (int64_t& label : *labels) label = std::clamp(label, options_.common.output.min, options_.common.output.max);
            return;
        }
        objective_.loss = classes_.positive ? Loss::Logistic : Loss::Softmax;
        objective_.outputs = classes_.outputs();
        labels_ = classes_.number(labels_);
        std::vector<int64_t> numbers;
        std::vector<uint32_t> known;
        for (size_t i = 0; i < stop_rows_.size(); i++) {  // a label that training never saw tells nothing about when to stop
            int64_t number = classes_.number_of(stop_labels_[i]);
            if (number >= 0) known.push_back(stop_rows_[i]), numbers.push_back(number);
        }
        stop_rows_ = std::move(known);
        stop_labels_ = std::move(numbers);
    }

    // One tree for each output; false when no tree can still tell rows apart.
    bool grow_round() {
        objective_.gradients(scores_, labels_, pairs_);
        choose_rows();
        bool useful = false;
        for (uint32_t output = 0; output < objective_.outputs; output++) useful |= grow_tree(output);
        return useful;
    }

    void choose_rows() {
        chosen_.resize(labels_.size());
        std::iota(chosen_.begin(), chosen_.end(), 0u);
        if (options_.subsample == 1) return;
        // 2^64 itself does not fit; a share just below 1 is as good
        auto limit = static_cast<uint64_t>(std::ldexp(std::min(options_.subsample, 1 - 0x1p-50), 64));
        std::erase_if(chosen_, [&](uint32_t) { return random_() >= limit; });
        if (chosen_.empty()) chosen_.push_back(static_cast<uint32_t>(random_() % labels_.size()));
    }

    bool grow_tree(uint32_t output) {
        size_t trees_left = size_t{round_limit_} * objective_.outputs - trees_.size();
        GradientLimits limits;
        limits.max_depth = options_.common.max_depth;
        limits.max_leaves = (nodes_left_ / std::max<size_t>(trees_left, 1) + 1) / 2;
        limits.min_hessian = options_.min_child_weight * objective_.hessian_unit;
        limits.lambda = options_.lambda * objective_.hessian_unit;
        order_ = chosen_;
        GradientTree grown = grower_.grow(order_, pairs_[output], limits);
        for (const GradientLeaf& leaf : grown.leaves) {
            int32_t value = objective_.leaf(leaf.gradient, leaf.hessian, options_.lambda, options_.learning_rate);
            grown.tree.value[leaf.node] = value;
            for (size_t i = leaf.begin; i < leaf.end; i++) scores_[output][order_[i]] += value;
        }
        if (grown.tree.size() == 1 && grown.tree.value[0] == 0) return false;
        if (order_.size() < labels_.size()) add_others(output, grown.tree);
        for (size_t i = 0; i < stop_rows_.size(); i++) stop_scores_[output][i] += walk(grown.tree, stop_rows_[i]);
        for (size_t c = 0; c < gain_.size(); c++) gain_[c] += grown.gain[c];
        trees_.push_back(merge_equal_leaves(std::move(grown.tree)));
        trees_.back().output = static_cast<int32_t>(output);
        nodes_left_ -= trees_.back().size();
        return true;
    }

    // Rows that the tree was not grown on.
    void add_others(uint32_t output, const Tree& tree) {
        for (uint32_t i = 0, next = 0; i < labels_.size(); i++) {
            if (next < chosen_.size() && chosen_[next] == i)
                next++;
            else
                scores_[output][i] += walk(tree, rows_.grow[i]);
        }
    }

    int32_t walk(const Tree& tree, uint32_t row) const {  // features are still columns
        size_t node = 0;
        while (!tree.is_leaf(node)) {
            int64_t value = rows_.inputs[rows_.used[static_cast<size_t>(tree.feature[node])]]->values[row];
            node = static_cast<size_t>(value <= tree.threshold[node] ? tree.left[node] : tree.right[node]);
        }
        return tree.value[node];
    }

    const TrainRows& rows_;
    const BoostOptions& options_;
    const ClassNumbers& classes_;
    const uint32_t round_limit_;
    Objective objective_;
    GradientGrower grower_;
    std::vector<uint32_t> stop_rows_;
    std::vector<int64_t> labels_, stop_labels_, bases_;
    Scores scores_, stop_scores_;
    std::vector<std::vector<GradientPair>> pairs_;
    std::vector<uint32_t> chosen_, order_;
    std::mt19937_64 random_;
    std::vector<double> gain_;
    std::vector<Tree> trees_;
    size_t rounds_ = 0, nodes_left_ = 0;
};

}  // namespace

Result<TrainReport> train_boost(const Dataset& data, const BoostOptions& options) {
    RMT_CHECK(check_options(options));
    RMT_TRY(TrainRows rows, select_rows(data, options.common));
    TrainReport report;
    ClassNumbers classes;
    if (options.common.task == Task::Classify) {
        RMT_TRY(classes, number_classes(rows, options.common, report));
    }
    RMT_TRY(const uint32_t rounds, rounds_that_fit(options.common, options.trees, options.max_trees, std::max(classes.outputs(), 1u)));
    std::vector<uint32_t> stop_rows;
    if (options.patience > 0) stop_rows = take_stop_rows(rows);
    const std::vector<BinnedColumn> columns = bin_inputs(rows, options.common, report.model);
    Boosting boosting(rows, options, classes, rounds, columns, stop_rows);
    boosting.run();
    boosting.fill(report);
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt gbt 1"));
    return report;
}

static Result<void> check_start(const Model& start, TrainOptions& common) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (start.kind != ModelKind::Forest && start.kind != ModelKind::Oblivious)
        return wrong(std::string("a forest can be boosted further, not a ") + model_kind_name(start.kind));
    if (!start.sets.empty()) return wrong("a model with categories cannot be trained further");
    std::vector<std::string> names;
    for (const ModelInput& input : start.inputs) {
        names.push_back(input.name);
        if (input.missing) return wrong("a model with missing values cannot be trained further");
    }
    if (common.inputs.empty()) common.inputs = names;
    if (common.inputs != names) return wrong("the inputs are not those of the model that is to be trained further");
    common.output = start.output;
    common.task = start.link == Link::Round ? Task::Regress : Task::Classify;
    return {};
}

Result<TrainReport> boost_further(const Model& start, const Dataset& data, const BoostOptions& given) {
    BoostOptions options = given;
    RMT_CHECK(check_options(options));
    RMT_CHECK(check_start(start, options.common));
    RMT_TRY(TrainRows rows, select_rows(data, options.common));
    ClassNumbers classes;
    classes.positive = start.link == Link::Positive;
    if (classes.positive) classes.answers = {0, 1};
    if (start.link == Link::Argmax)
        for (size_t k = 0; k < model_outputs(start); k++) classes.answers.push_back(answer_of(start, k));
    if (!std::is_sorted(classes.answers.begin(), classes.answers.end()))
        return model_error("M0305", "", "a model whose answers are not in ascending order cannot be trained further");
    if (options.common.task == Task::Classify)
        std::erase_if(rows.grow, [&](uint32_t row) { return classes.number_of(rows.label->values[row]) < 0; });
    const uint32_t outputs = std::max(classes.outputs(), 1u);
    auto room = static_cast<uint32_t>(options.max_trees - std::min<size_t>(options.max_trees, start.trees.size()));
    const uint32_t nodes = model_nodes(start);
    options.common.max_nodes -= std::min(options.common.max_nodes, nodes);
    uint32_t rounds = std::min({options.trees, room / outputs, options.common.max_nodes / outputs});
    if (rows.grow.empty()) rounds = 0;

    TrainReport report;
    std::vector<uint32_t> stop_rows;
    if (options.patience > 0) stop_rows = take_stop_rows(rows);
    Model& model = report.model;
    std::vector<Tree> trees;
    if (rounds > 0) {
        const std::vector<BinnedColumn> columns = bin_inputs(rows, options.common, model);
        Boosting boosting(rows, options, classes, rounds, columns, stop_rows, &start);
        boosting.run();
        boosting.fill(report);
        if (report.rounds > 0) trees = std::move(model.trees);
    }
    std::vector<ModelInput> seen = std::move(model.inputs);
    model = start;
    model.kind = ModelKind::Forest;  // new trees need not be oblivious
    model.samples = {};
    model.trees.insert(model.trees.end(), trees.begin(), trees.end());
    for (size_t i = 0; i < seen.size(); i++) {
        model.inputs[i].min = std::min(model.inputs[i].min, seen[i].min);
        model.inputs[i].max = std::max(model.inputs[i].max, seen[i].max);
    }
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt gbt 1, further"));
    return report;
}

BoostOptions boost_options_for(const ManifestModel& policy) {
    BoostOptions options;
    options.common = options_for(policy);
    options.common.max_nodes = policy.shape.nodes - 1;  // one may be needed to fill up a group of trees
    options.trees = options.max_trees = policy.shape.trees;
    options.common.max_labels = std::min(options.common.max_labels, std::max(policy.shape.trees / 4, 2u));
    return options;
}

}  // namespace rmt::models
