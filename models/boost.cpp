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
    Boosting(const TrainRows& rows, const BoostOptions& options, Objective objective, const std::vector<BinnedColumn>& columns,
             const std::vector<uint32_t>& stop_rows)
        : rows_(rows),
          options_(options),
          objective_(objective),
          grower_(columns),
          stop_rows_(stop_rows),
          labels_(labels_of(rows, rows.grow)),
          stop_labels_(labels_of(rows, stop_rows)),
          random_(options.common.seed),
          gain_(columns.size()),
          nodes_left_(options.common.max_nodes) {
        if (objective_.loss == Loss::Squared)
            for (std::vector<int64_t>* labels : {&labels_, &stop_labels_})
                for (int64_t& label : *labels) label = std::clamp(label, options.common.output.min, options.common.output.max);
        bases_ = objective_.start(labels_);
        for (int64_t base : bases_) {
            scores_.emplace_back(labels_.size(), base);
            stop_scores_.emplace_back(stop_labels_.size(), base);
            pairs_.emplace_back(labels_.size());
        }
    }

    void run() {
        double best = stop_rows_.empty() ? 0 : objective_.mean_loss(stop_scores_, stop_labels_);
        size_t kept = 0;
        for (size_t round = 0; round < options_.trees; round++) {
            if (!grow_round()) break;
            Progress progress{round + 1, options_.trees, 0, 0};
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
        model.base = bases_[0];
        model.link = objective_.loss == Loss::Squared ? Link::Round : Link::Positive;
        for (Tree& tree : trees_) name_features(tree, rows_);
        model.trees = std::move(trees_);
        if (model.trees.empty()) model.trees.resize(1), model.trees[0].add_leaf(0);
        report.importance = spread_gain(gain_, rows_);
        report.rounds = rounds_;
        report.leaf_bound = std::ldexp(static_cast<double>(rounds_) + 1, -static_cast<int>(objective_.shift) - 1);
    }

private:
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
        size_t trees_left = (size_t{options_.trees} * objective_.outputs) - trees_.size();
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
    Objective objective_;
    GradientGrower grower_;
    const std::vector<uint32_t>& stop_rows_;
    std::vector<int64_t> labels_, stop_labels_, bases_;
    Scores scores_, stop_scores_;
    std::vector<std::vector<GradientPair>> pairs_;
    std::vector<uint32_t> chosen_, order_;
    std::mt19937_64 random_;
    std::vector<double> gain_;
    std::vector<Tree> trees_;
    size_t rounds_ = 0, nodes_left_ = 0;
};

// Which loss, and whether the labels are of it.
Result<Objective> choose_objective(const TrainRows& rows, const TrainOptions& options) {
    Objective objective;
    if (options.task == Task::Regress) return objective;
    if (options.output.kind != OutputKind::Class || options.output.min != 0)
        return model_error("M0305", "",
                           std::string("boosting answers classes numbered from 0, the output is a ") +
                               output_kind_name(options.output.kind) + " from " + std::to_string(options.output.min),
                           "train a tree, or by regression");
    for (const auto* part : {&rows.grow, &rows.held_out}) {
        for (uint32_t row : *part) {
            int64_t label = rows.label->values[row];
            if (label < 0 || label > options.output.max)
                return model_error("M0306", "",
                                   "label " + std::to_string(label) + " in row " + std::to_string(row) + " is none of the classes 0.." +
                                       std::to_string(options.output.max),
                                   "number the classes from 0");
        }
    }
    objective.loss = options.output.max <= 1 ? Loss::Logistic : Loss::Softmax;
    objective.outputs = objective.loss == Loss::Softmax ? static_cast<uint32_t>(options.output.max) + 1 : 1;
    return objective;
}

}  // namespace

Result<TrainReport> train_boost(const Dataset& data, const BoostOptions& options) {
    RMT_CHECK(check_options(options));
    RMT_TRY(TrainRows rows, select_rows(data, options.common));
    RMT_TRY(const Objective objective, choose_objective(rows, options.common));
    std::vector<uint32_t> stop_rows;
    if (options.patience > 0) stop_rows = take_stop_rows(rows);
    TrainReport report;
    const std::vector<BinnedColumn> columns = bin_inputs(rows, options.common, report.model);
    Boosting boosting(rows, options, objective, columns, stop_rows);
    boosting.run();
    boosting.fill(report);
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt gbt 1"));
    return report;
}

BoostOptions boost_options_for(const ManifestModel& policy) {
    BoostOptions options;
    options.common = options_for(policy);
    options.common.max_nodes = policy.shape.nodes - 1;  // one may be needed to fill up a group of trees
    options.trees = policy.shape.trees;
    return options;
}

}  // namespace rmt::models
