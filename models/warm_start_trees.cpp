// SPDX-License-Identifier: MIT
// The splits of trees stay, their leaves are fitted again, and what they cannot tell apart is grown further.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bpf/include/rmt/model_layout.h"
#include "models/boost.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/objective.h"
#include "models/reference.h"
#include "models/train_rows.h"
#include "models/warm_start_ways.h"

namespace rmt::models {
namespace {

// What a leaf must save in wrong rows to be worth having.
constexpr double kLeafCost = 1;

struct Branch {
    Tree tree;
    double cost = 0;  // wrong rows and leaves
};

Branch join(int32_t feature, int32_t threshold, const Branch& left, const Branch& right) {
    Branch both;
    both.cost = left.cost + right.cost;
    Tree& tree = both.tree;
    tree.add_leaf(0);
    tree.feature[0] = feature;
    tree.threshold[0] = threshold;
    for (const Branch* part : {&left, &right}) {
        auto offset = static_cast<int32_t>(tree.size());
        (part == &left ? tree.left : tree.right)[0] = offset;
        for (size_t node = 0; node < part->tree.size(); node++) {
            tree.add_leaf(part->tree.value[node]);
            tree.feature.back() = part->tree.feature[node];
            tree.threshold.back() = part->tree.threshold[node];
            if (part->tree.is_leaf(node)) continue;
            tree.left.back() = part->tree.left[node] + offset;
            tree.right.back() = part->tree.right[node] + offset;
        }
    }
    return both;
}

// A single tree that answers labels. Rows are numbers into rows.grow.
class LabelTree {
public:
    LabelTree(const Tree& old, const TrainRows& rows, const WarmOptions& options, std::vector<BinnedColumn> columns)
        : old_(old), rows_(rows), options_(options), nodes_left_(options.common.max_nodes) {
        for (int64_t label : labels_ = labels_of(rows, rows.grow)) known_.insert(label);
        grow_.columns = std::move(columns);
        double share = 0;
        grow_.labels = number_labels(*rows.label, rows.grow, options.common, grow_.label_values, share);
        grow_.confidence = options.common.confidence;
        grow_.none = static_cast<int32_t>(options.common.none);
        nodes_left_ -= std::min(nodes_left_, old_.size());
    }

    Tree adapt() {
        std::vector<uint32_t> all(labels_.size());
        for (uint32_t i = 0; i < all.size(); i++) all[i] = i;
        Counts before;
        return merge_equal_leaves(adapt(0, all, 0, before).tree);
    }

private:
    using Counts = std::map<int64_t, double>;

    // `before` receives what the old leaves below count for.
    Branch adapt(int32_t node, const std::vector<uint32_t>& rows, uint32_t depth, Counts& before) {  // depth <= 16
        if (old_.is_leaf(node)) {
            const int32_t answer = old_.value[static_cast<size_t>(node)];
            if (known_.count(answer) > 0 || rows.empty()) before[answer] += options_.prior_rows;
            Branch one = leaf(rows, before);
            if (rows.empty() && options_.prior_rows == 0) one.tree.value[0] = answer;
            return extend(rows, depth, std::move(one));
        }
        std::vector<uint32_t> left, right;
        const Column& input = *rows_.inputs[static_cast<size_t>(old_.feature[node])];
        for (uint32_t row : rows) (input.values[rows_.grow[row]] <= old_.threshold[node] ? left : right).push_back(row);
        if (left.empty() && !may_answer(old_.left[node])) return adapt(old_.right[node], rows, depth, before);
        if (right.empty() && !may_answer(old_.right[node])) return adapt(old_.left[node], rows, depth, before);
        Counts of_left, of_right;
        const Branch a = adapt(old_.left[node], left, depth + 1, of_left), b = adapt(old_.right[node], right, depth + 1, of_right);
        Branch both = join(old_.feature[node], old_.threshold[node], a, b);
        for (const Counts* part : {&of_left, &of_right})
            for (const auto& [answer, count] : *part) before[answer] += count;
        if (rows.empty()) return both;
        Branch one = leaf(rows, before);
        return one.cost <= both.cost ? one : both;
    }

    // Has a branch that no row takes an answer that some row has?
    bool may_answer(int32_t node) const {
        if (old_.is_leaf(node)) return known_.count(old_.value[node]) > 0;
        return may_answer(old_.left[node]) || may_answer(old_.right[node]);
    }

    Branch leaf(const std::vector<uint32_t>& rows, const Counts& before) const {
        Counts counts = before;
        for (uint32_t row : rows) counts[labels_[row]] += 1;
        double all = 0, best = 0;
        int64_t answer = options_.common.none;
        for (const auto& [label, count] : counts) {
            all += count;
            if (count > best && label >= options_.common.output.min && label <= options_.common.output.max) best = count, answer = label;
        }
        if (best < options_.common.confidence * all) answer = options_.common.none;
        Branch branch;
        branch.tree.add_leaf(static_cast<int32_t>(answer));
        auto right = counts.find(answer);
        branch.cost = kLeafCost + all - (right == counts.end() ? 0 : right->second);
        return branch;
    }

    Branch extend(const std::vector<uint32_t>& rows, uint32_t depth, Branch one) {
        const TrainOptions& common = options_.common;
        if (one.cost < 1 || depth >= common.max_depth || rows.size() < 2 * size_t{common.min_leaf} || nodes_left_ < 2) return one;
        grow_.limits = {common.max_depth - depth, static_cast<uint32_t>(nodes_left_ + 1), common.min_leaf};
        grow_.rows = rows;
        Branch grown;
        grown.tree = grow_classifier(grow_).tree;
        name_features(grown.tree, rows_);
        for (size_t node = 0; node < grown.tree.size(); node++) grown.cost += grown.tree.is_leaf(node) ? kLeafCost : 0;
        for (uint32_t row : rows) {
            size_t node = 0;
            while (!grown.tree.is_leaf(node)) {
                int64_t value = rows_.inputs[static_cast<size_t>(grown.tree.feature[node])]->values[rows_.grow[row]];
                node = static_cast<size_t>(value <= grown.tree.threshold[node] ? grown.tree.left[node] : grown.tree.right[node]);
            }
            grown.cost += grown.tree.value[node] != labels_[row];
        }
        if (grown.cost >= one.cost) return one;
        nodes_left_ -= std::min(nodes_left_, grown.tree.size() - 1);
        return grown;
    }

    const Tree& old_;
    const TrainRows& rows_;
    const WarmOptions& options_;
    size_t nodes_left_;
    std::vector<int64_t> labels_;
    std::set<int64_t> known_;
    GrowInput grow_;
};

// Node reached by each row.
std::vector<size_t> leaves_of(const Tree& tree, const TrainRows& rows) {
    std::vector<size_t> leaves;
    for (uint32_t row : rows.grow) {
        size_t node = 0;
        while (!tree.is_leaf(node)) {
            int64_t value = rows.inputs[static_cast<size_t>(tree.feature[node])]->values[row];
            node = static_cast<size_t>(value <= tree.threshold[node] ? tree.left[node] : tree.right[node]);
        }
        leaves.push_back(node);
    }
    return leaves;
}

void refit_numbers(Tree& tree, const TrainRows& rows, const WarmOptions& options) {
    std::vector<double> sum(tree.size(), 0), count(tree.size(), options.prior_rows);
    for (size_t node = 0; node < tree.size(); node++) sum[node] = options.prior_rows * tree.value[node];
    std::vector<size_t> leaves = leaves_of(tree, rows);
    for (size_t i = 0; i < leaves.size(); i++)
        sum[leaves[i]] += static_cast<double>(rows.label->values[rows.grow[i]]), count[leaves[i]] += 1;
    for (size_t node = 0; node < tree.size(); node++) {
        if (!tree.is_leaf(node) || count[node] == 0) continue;
        double mean = std::floor(sum[node] / count[node] + 0.5);
        tree.value[node] = static_cast<int32_t>(
            std::clamp(mean, static_cast<double>(options.common.output.min), static_cast<double>(options.common.output.max)));
    }
    tree = merge_equal_leaves(std::move(tree));
}

// Tree after tree, as boosting would, with the old leaf as a prior: the least of loss + prior / 2 * (leaf - old leaf)^2.
void refit_forest(Model& model, const TrainRows& rows, const WarmOptions& options) {
    Objective objective;
    objective.loss = model.link == Link::Round ? Loss::Squared : model.link == Link::Positive ? Loss::Logistic : Loss::Softmax;
    objective.outputs = static_cast<uint32_t>(model_outputs(model));
    objective.shift = model.shift;
    std::vector<int64_t> labels = labels_of(rows, rows.grow);
    if (model.link == Link::Argmax)
        for (int64_t& label : labels)
            for (size_t k = 0; k < objective.outputs; k++)
                if (answer_of(model, k) == label) {
                    label = static_cast<int64_t>(k);
                    break;
                }
    Scores scores;
    std::vector<std::vector<GradientPair>> pairs(objective.outputs, std::vector<GradientPair>(labels.size()));
    for (size_t k = 0; k < objective.outputs; k++) scores.emplace_back(labels.size(), base_of(model, k));
    for (Tree& tree : model.trees) {
        objective.gradients(scores, labels, pairs);
        const auto output = static_cast<size_t>(tree.output);
        const std::vector<size_t> leaves = leaves_of(tree, rows);
        std::vector<int64_t> gradient(tree.size(), 0), hessian(tree.size(), 0);
        for (size_t i = 0; i < leaves.size(); i++)
            gradient[leaves[i]] += pairs[output][i].gradient, hessian[leaves[i]] += pairs[output][i].hessian;
        const double one_row = objective.loss == Loss::Squared ? 1 : 0.25;
        for (size_t node = 0; node < tree.size(); node++) {
            if (!tree.is_leaf(node) || hessian[node] == 0) continue;
            double weight = static_cast<double>(hessian[node]) / objective.hessian_unit, prior = options.prior_rows * one_row;
            auto fresh = static_cast<double>(objective.leaf(gradient[node], hessian[node], 1, options.learning_rate));
            double mixed = (prior * tree.value[node] + (weight + 1) * fresh) / (prior + weight + 1);
            tree.value[node] = static_cast<int32_t>(std::floor(mixed + 0.5));
        }
        for (size_t i = 0; i < leaves.size(); i++) scores[output][i] += tree.value[leaves[i]];
        tree = merge_equal_leaves(std::move(tree));
    }
}

Result<TrainReport> adapt_tree(const Model& old, const Dataset& data, const WarmOptions& options) {
    RMT_TRY(const TrainRows rows, select_rows(data, options.common));
    TrainReport report;
    Model& model = report.model;
    const std::vector<BinnedColumn> columns = bin_inputs(rows, options.common, model);
    for (size_t i = 0; i < model.inputs.size(); i++) {
        model.inputs[i].min = std::min(model.inputs[i].min, old.inputs[i].min);
        model.inputs[i].max = std::max(model.inputs[i].max, old.inputs[i].max);
    }
    if (options.common.task == Task::Classify) {
        model.trees.push_back(LabelTree(old.trees[0], rows, options, columns).adapt());
    } else {
        model.trees.push_back(old.trees[0]);
        refit_numbers(model.trees[0], rows, options);
    }
    report.rounds = 1;
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt warm start 1"));
    return report;
}

Result<TrainReport> adapt_forest(const Model& old, const Dataset& data, const WarmOptions& options) {
    RMT_TRY(TrainRows rows, select_rows(data, options.common));
    Model fitted = old;
    std::set<int64_t> answers = {0, 1};
    if (old.link == Link::Argmax) {
        answers.clear();
        for (size_t k = 0; k < model_outputs(old); k++) answers.insert(answer_of(old, k));
    }
    if (old.link != Link::Round) std::erase_if(rows.grow, [&](uint32_t row) { return answers.count(rows.label->values[row]) == 0; });
    refit_forest(fitted, rows, options);
    BoostOptions boost;
    boost.common = options.common;
    boost.trees = std::max(options.more_trees, 1u);
    boost.max_trees = options.more_trees > 0 ? boost.max_trees : 0;
    boost.learning_rate = options.learning_rate;
    return boost_further(fitted, data, boost);
}

}  // namespace

Result<TrainReport> adapt_trees(const Model& old, const Dataset& data, const WarmOptions& options) {
    return old.kind == ModelKind::Tree ? adapt_tree(old, data, options) : adapt_forest(old, data, options);
}

}  // namespace rmt::models
