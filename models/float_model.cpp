// SPDX-License-Identifier: MIT
#include "models/float_model.h"

#include <algorithm>
#include <cmath>

#include "models/errors.h"
#include "models/json_read.h"

namespace rmt::models {
namespace {

constexpr size_t kMaxNodes = size_t{1} << 24;  // of a file; what the engine holds is checked when it becomes integers
constexpr double kZero = 1e-35f;               // LightGBM's kZeroThreshold is a float
constexpr double kLargestCategory = 16777216;  // XGBoost: what float32 still counts

std::string number(size_t n) { return std::to_string(n); }

Result<void> check_node(const FloatModel& model, const FloatTree& tree, size_t at, const std::string& path) {
    const FloatNode& node = tree.nodes[at];
    std::string here = path + "/node " + number(at);
    auto size = static_cast<int32_t>(tree.nodes.size());
    if (node.is_leaf()) {
        size_t width = tree.output < 0 ? model.outputs() : 1;
        if (node.right >= 0) return model_error("M0107", here, "a node has two children or none");
        if (node.leaf < 0 || (static_cast<size_t>(node.leaf) + 1) * width > tree.values.size())
            return model_error("M0107", here, "its leaf " + std::to_string(node.leaf) + " has no value");
        return {};
    }
    if (node.left >= size || node.right < 0 || node.right >= size)
        return model_error("M0107", here,
                           "a child of it does not exist: it has " + std::to_string(node.left) + " and " + std::to_string(node.right) +
                               ", the tree has nodes 0.." + std::to_string(size - 1));
    if (node.feature < 0 || static_cast<size_t>(node.feature) >= model.features.size())
        return model_error("M0107", here,
                           std::to_string(node.feature) + " is not one of the " + number(model.features.size()) + " features");
    if (node.set >= 0) {
        if (static_cast<size_t>(node.set) >= tree.sets.size()) return model_error("M0107", here, "its category set does not exist");
        return {};
    }
    if (std::isnan(node.threshold)) return model_error("M0111", here, "its threshold is not a number");
    return {};
}

Result<void> check_shape(const FloatModel& model) {
    auto wants = [](const std::string& what) { return model_error("M0107", "", what); };
    size_t outputs = model.outputs();
    if (outputs == 0 || outputs > 1024) return wants("1..1024 outputs are possible, " + number(outputs) + " given");
    if (model.features.empty()) return wants("a model has features");
    for (size_t i = 0; i < model.features.size(); i++)
        if (!is_utf8(model.features[i].name)) return model_error("M0102", "/features/" + number(i), "its name is not text in UTF-8");
    for (size_t i = 0; i < model.classes.size(); i++)
        if (!is_utf8(model.classes[i])) return model_error("M0102", "/classes/" + number(i), "it is not text in UTF-8");
    if ((model.task == FloatTask::Binary || model.task == FloatTask::Regression) && outputs != 1)
        return wants("binary classification and regression have one output, " + number(outputs) + " given");
    if ((model.task == FloatTask::Multiclass || model.task == FloatTask::Multioutput) && outputs < 2)
        return wants("several classes or targets need as many outputs, one given");
    size_t labels = model.task == FloatTask::Binary ? 2 : model.task == FloatTask::Multiclass ? outputs : 0;
    if (!model.classes.empty() && model.classes.size() != labels)
        return wants(number(model.classes.size()) + " class labels for " + number(labels) + " classes");
    if (model.transform == Transform::Softmax && model.task != FloatTask::Multiclass) return wants("softmax is for several classes");
    if (model.transform == Transform::Hinge && model.task != FloatTask::Binary) return wants("hinge is for two classes");
    for (double n : {model.scale, model.divisor, model.alpha})
        if (!std::isfinite(n) || n <= 0) return model_error("M0111", "", "scale, divisor and alpha are finite and above 0");
    for (double b : model.base)
        if (!std::isfinite(b)) return model_error("M0111", "", "its base is not finite");
    return {};
}

// Complete, and all nodes of a level ask the same; only plain thresholds.
bool is_oblivious(const FloatTree& tree) {
    std::vector<int32_t> level = {0};
    while (!tree.nodes[level[0]].is_leaf()) {
        const FloatNode& first = tree.nodes[level[0]];
        std::vector<int32_t> next;
        for (int32_t at : level) {
            const FloatNode& node = tree.nodes[at];
            if (node.is_leaf() || node.set >= 0 || node.missing == MissingRule::Zero || node.feature != first.feature ||
                node.threshold != first.threshold || node.default_left != first.default_left || node.missing != first.missing)
                return false;
            next.push_back(node.left);
            next.push_back(node.right);
        }
        level = std::move(next);
    }
    return std::all_of(level.begin(), level.end(), [&](int32_t at) { return tree.nodes[at].is_leaf(); });
}

double sigmoid(double x, double alpha, bool f32) {
    if (!f32) return 1.0 / (1.0 + std::exp(-alpha * x));
    // XGBoost, src/common/math.h
    auto margin = static_cast<float>(x);
    return 1.0f / (std::exp(std::min(-margin, 88.7f)) + 1.0f + 1e-16f);
}

void softmax(std::vector<double>& values, bool f32) {
    double largest = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (double& v : values) {
        v = f32 ? static_cast<double>(std::exp(static_cast<float>(v) - static_cast<float>(largest))) : std::exp(v - largest);
        sum += v;
    }
    for (double& v : values) v = f32 ? static_cast<double>(static_cast<float>(v) / static_cast<float>(sum)) : v / sum;
}

}  // namespace

Result<void> check_float_tree(const FloatModel& model, const FloatTree& tree, const std::string& path) {
    size_t size = tree.nodes.size();
    if (size == 0 || size > kMaxNodes) return model_error("M0107", path, "a tree has 1..2^24 nodes, this one " + number(size));
    if (tree.output < -1 || tree.output >= static_cast<int32_t>(model.outputs()))
        return model_error("M0107", path, "output " + std::to_string(tree.output) + " is not one of the " + number(model.outputs()));
    if (!std::isfinite(tree.weight)) return model_error("M0111", path, "its weight is not finite");
    for (size_t i = 0; i < tree.values.size(); i++)
        if (!std::isfinite(tree.values[i])) return model_error("M0111", path, "leaf value " + number(i) + " is not finite");
    for (const FloatSet& set : tree.sets)
        for (size_t i = 0; i < set.members.size(); i++)
            if (set.members[i] < 0 || (i > 0 && set.members[i] <= set.members[i - 1]))
                return model_error("M0107", path, "the members of a category set are numbers >= 0, ascending");
    for (size_t i = 0; i < size; i++) RMT_CHECK(check_node(model, tree, i, path));
    std::vector<bool> seen(size, false);
    std::vector<int32_t> open = {0};
    size_t reached = 0;
    while (!open.empty()) {
        int32_t node = open.back();
        open.pop_back();
        if (seen[node]) return model_error("M0107", path, "node " + std::to_string(node) + " is reached twice: not a tree");
        seen[node] = true;
        reached++;
        if (tree.nodes[node].is_leaf()) continue;
        open.push_back(tree.nodes[node].right);
        open.push_back(tree.nodes[node].left);
    }
    if (reached != size)
        return model_error("M0107", path,
                           "node " + number(std::find(seen.begin(), seen.end(), false) - seen.begin()) + " is not reached from the root");
    if (model.oblivious && !is_oblivious(tree)) return model_error("M0107", path, "is not oblivious: the nodes of a level differ");
    return {};
}

Result<void> check_float_model(const FloatModel& model) {
    RMT_CHECK(check_shape(model));
    size_t nodes = 0;
    for (size_t i = 0; i < model.trees.size(); i++) {
        RMT_CHECK(check_float_tree(model, model.trees[i], "/trees/" + number(i)));
        nodes += model.trees[i].nodes.size();
    }
    if (nodes == 0 || nodes > kMaxNodes)
        return model_error("M0107", "/trees", "have " + number(nodes) + " nodes together, 1..2^24 are possible");
    return {};
}

bool compares_left(const FloatModel& model, double x, double threshold) {
    double value = model.compare_f32 ? static_cast<double>(static_cast<float>(x)) : x;
    return model.compare == Compare::Less ? value < threshold : value <= threshold;
}

bool goes_left(const FloatModel& model, const FloatTree& tree, const FloatNode& node, double x) {
    if (node.set >= 0) {
        if (std::isnan(x)) return node.default_left;
        const FloatSet& set = tree.sets[node.set];
        bool member = x >= 0 && x < kLargestCategory && std::binary_search(set.members.begin(), set.members.end(), static_cast<int32_t>(x));
        return member == set.left;
    }
    if (std::isnan(x)) {
        if (node.missing == MissingRule::NaN) return node.default_left;
        x = 0;
    }
    if (node.missing == MissingRule::Zero && std::abs(x) <= kZero) return node.default_left;
    return compares_left(model, x, node.threshold);
}

const FloatNode& walk(const FloatModel& model, const FloatTree& tree, std::span<const double> x) {
    const FloatNode* node = &tree.nodes[0];
    while (!node->is_leaf()) node = &tree.nodes[goes_left(model, tree, *node, x[node->feature]) ? node->left : node->right];
    return *node;
}

double leaf_value(const FloatModel& model, const FloatTree& tree, const FloatNode& leaf, size_t output) {
    if (tree.output >= 0 && static_cast<size_t>(tree.output) != output) return 0;
    double value = tree.output < 0 ? tree.values[static_cast<size_t>(leaf.leaf) * model.outputs() + output] : tree.values[leaf.leaf];
    return model.sum_f32 ? static_cast<double>(static_cast<float>(tree.weight) * static_cast<float>(value)) : tree.weight * value;
}

std::vector<double> raw_margin(const FloatModel& model, std::span<const double> x) {
    std::vector<double> sums(model.outputs(), 0.0);
    if (model.base_first) sums = model.base;
    for (const FloatTree& tree : model.trees) {
        const FloatNode& leaf = walk(model, tree, x);
        size_t first = tree.output < 0 ? 0 : static_cast<size_t>(tree.output), last = tree.output < 0 ? sums.size() : first + 1;
        for (size_t k = first; k < last; k++) {
            double value = leaf_value(model, tree, leaf, k);
            sums[k] = model.sum_f32 ? static_cast<double>(static_cast<float>(sums[k]) + static_cast<float>(value)) : sums[k] + value;
        }
    }
    for (size_t k = 0; k < sums.size(); k++) {
        sums[k] = model.scale * sums[k] / model.divisor;
        if (!model.base_first) sums[k] += model.base[k];
    }
    return sums;
}

std::vector<double> transformed(const FloatModel& model, std::vector<double> margins) {
    switch (model.transform) {
        case Transform::Identity:
        case Transform::Probability:
            break;
        case Transform::Sigmoid:
            for (double& m : margins) m = sigmoid(m, model.alpha, model.sum_f32);
            break;
        case Transform::Softmax:
            softmax(margins, model.sum_f32);
            break;
        case Transform::Exp:
            for (double& m : margins) m = model.sum_f32 ? static_cast<double>(std::exp(static_cast<float>(m))) : std::exp(m);
            break;
        case Transform::Hinge:
            for (double& m : margins) m = m > 0 ? 1 : 0;
            break;
        case Transform::SignedSquare:
            for (double& m : margins) m = std::copysign(m * m, m);
            break;
    }
    return margins;
}

std::vector<double> predict(const FloatModel& model, std::span<const double> x) { return transformed(model, raw_margin(model, x)); }

double raw_limit(const FloatModel& model, double positive_above) {
    if (model.transform == Transform::Hinge) return 0;
    if (model.transform == Transform::Probability) return positive_above;
    return std::log(positive_above / (1 - positive_above)) / model.alpha;
}

size_t class_of(const FloatModel& model, std::span<const double> margins, double positive_above) {
    if (model.task == FloatTask::Binary) return margins[0] > raw_limit(model, positive_above) ? 1 : 0;
    return static_cast<size_t>(std::max_element(margins.begin(), margins.end()) - margins.begin());
}

}  // namespace rmt::models
