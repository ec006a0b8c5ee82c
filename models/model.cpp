// SPDX-License-Identifier: MIT
#include "models/model.h"

#include <algorithm>
#include <set>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/types.h"

namespace rmt::models {
namespace {

constexpr int64_t kMaxExact = int64_t{1} << 53;  // integers that every JSON reader keeps

std::string number(int64_t n) { return std::to_string(n); }

Result<void> check_inputs(const Model& model) {
    if (model.inputs.empty() || model.inputs.size() > RMT_MAX_INPUTS)
        return model_error("M0107", "/inputs",
                           "a model has 1.." + number(RMT_MAX_INPUTS) + " inputs, this one " + number(model.inputs.size()));
    std::set<std::string> names;
    for (size_t i = 0; i < model.inputs.size(); i++) {
        const ModelInput& input = model.inputs[i];
        std::string path = "/inputs/" + number(i);
        if (input.name.empty()) return model_error("M0107", path + "/name", "an input needs a name");
        if (!names.insert(input.name).second) return model_error("M0107", path + "/name", "'" + input.name + "' is an input twice");
        if (!find_type(input.type))
            return model_error("M0107", path + "/type", "'" + input.type + "' is not a type of the language",
                               "u8..u64, i8..i64, bool, enum, page, ns");
        if (input.min > input.max)
            return model_error("M0107", path + "/trained_range", number(input.min) + ".." + number(input.max) + " is empty");
        if (input.min < -RMT_MODEL_LIMIT || input.max > RMT_MODEL_LIMIT)
            return model_error("M0108", path + "/trained_range",
                               number(input.min) + ".." + number(input.max) + " is outside -2^30..2^30, what the engine compares",
                               "divide or saturate the input in the policy, and train on that");
    }
    return {};
}

Result<void> check_output(const Model& model) {
    const ModelOutput& output = model.output;
    if (!find_type(output.type)) return model_error("M0107", "/output/type", "'" + output.type + "' is not a type of the language");
    if (output.min > output.max) return model_error("M0107", "/output/range", number(output.min) + ".." + number(output.max) + " is empty");
    if (output.min < -kMaxExact || output.max > kMaxExact) return model_error("M0108", "/output/range", "is outside -2^53..2^53");
    if (output.kind != OutputKind::Class && !output.classes.empty())
        return model_error("M0107", "/output/classes",
                           std::string("only an output of kind 'class' has classes, this one is '") + output_kind_name(output.kind) + "'");
    std::set<std::string> names;
    std::set<int64_t> values;
    for (const auto& [name, value] : output.classes) {
        if (!names.insert(name).second || !values.insert(value).second)
            return model_error("M0107", "/output/classes/" + name, "names or numbers a class twice");
        if (value < output.min || value > output.max)
            return model_error("M0108", "/output/classes/" + name,
                               number(value) + " is outside the output's range " + number(output.min) + ".." + number(output.max));
    }
    return {};
}

Result<void> check_kind(const Model& model) {
    if (model.trees.empty() || model.trees.size() > RMT_MODEL_MAX_TREES)
        return model_error("M0107", "/trees",
                           "1.." + number(RMT_MODEL_MAX_TREES) + " trees are possible, " + number(model.trees.size()) + " given");
    if (model.base < -kMaxExact || model.base > kMaxExact) return model_error("M0108", "/fixed_point/base", "is outside -2^53..2^53");
    if (model.shift > 30) return model_error("M0108", "/fixed_point/shift", number(model.shift) + " is outside 0..30");
    if (model.kind == ModelKind::Tree) {
        if (model.trees.size() != 1)
            return model_error("M0107", "/trees", "kind 'tree' is one tree, " + number(model.trees.size()) + " given", "use kind 'forest'");
        if (model.shift != 0 || model.base != 0 || model.link != Link::Round)
            return model_error("M0107", "/kind", "kind 'tree' answers its leaf as it is: base and shift are 0 and link is 'round'",
                               "use kind 'forest', also for one tree");
    }
    if (model.link == Link::Positive && (model.output.kind != OutputKind::Class || model.output.min != 0 || model.output.max != 1))
        return model_error("M0107", "/link", "'positive' answers class 0 or 1: the output must be of kind 'class' with range [0, 1]");
    return {};
}

Result<void> check_node(const Model& model, const Tree& tree, const std::string& path, size_t node) {
    auto at = [&](const char* array) { return path + "/" + array + "/" + number(node); };
    auto size = static_cast<int32_t>(tree.size());
    int32_t left = tree.left[node], right = tree.right[node], feature = tree.feature[node];
    if (left == -1) {
        if (right != -1) return model_error("M0107", at("right"), "a leaf (left is -1) has right -1 too, not " + number(right));
        if (feature != -1) return model_error("M0107", at("feature"), "a leaf has feature -1, not " + number(feature));
        if (tree.threshold[node] != 0)
            return model_error("M0107", at("threshold"), "a leaf has threshold 0, not " + number(tree.threshold[node]));
        int32_t value = tree.value[node];
        if (value < RMT_MODEL_MIN || value > RMT_MODEL_MAX)
            return model_error("M0108", at("value"), number(value) + " is outside -2^30..2^30-1, what the engine can hold in a leaf");
        if (model.kind == ModelKind::Tree && (value < model.output.min || value > model.output.max))
            return model_error(
                "M0108", at("value"),
                number(value) + " is outside the output's range " + number(model.output.min) + ".." + number(model.output.max));
        return {};
    }
    if (left <= 0 || left >= size)
        return model_error("M0107", at("left"), number(left) + " is not a node: -1 or 1.." + number(size - 1) + " expected");
    if (right <= 0 || right >= size)
        return model_error("M0107", at("right"), number(right) + " is not a node: 1.." + number(size - 1) + " expected");
    if (feature < 0 || static_cast<size_t>(feature) >= model.inputs.size())
        return model_error("M0107", at("feature"),
                           number(feature) + " is not an input: 0.." + number(model.inputs.size() - 1) + " expected");
    if (tree.threshold[node] < RMT_MODEL_MIN || tree.threshold[node] > RMT_MODEL_MAX)
        return model_error("M0108", at("threshold"), number(tree.threshold[node]) + " is outside -2^30..2^30-1, what the engine compares");
    if (tree.value[node] != 0) return model_error("M0107", at("value"), "an inner node has value 0, not " + number(tree.value[node]));
    return {};
}

Result<void> check_tree(const Model& model, const Tree& tree, const std::string& path) {
    size_t size = tree.size();
    if (size == 0 || size > RMT_MODEL_MAX_NODES)
        return model_error("M0107", path, "a tree has 1.." + number(RMT_MODEL_MAX_NODES) + " nodes, this one " + number(size));
    for (const auto* array : {&tree.threshold, &tree.left, &tree.right, &tree.value})
        if (array->size() != size) return model_error("M0107", path, "its arrays differ in length");
    for (size_t node = 0; node < size; node++) RMT_CHECK(check_node(model, tree, path, node));

    // Each node once, from the root: no cycle, nothing shared, nothing left over. The number of steps is the depth.
    std::vector<uint8_t> depth(size, UINT8_MAX);
    std::vector<int32_t> open = {0};
    depth[0] = 0;
    size_t reached = 0;
    while (!open.empty()) {
        int32_t node = open.back();
        open.pop_back();
        reached++;
        if (tree.is_leaf(node)) continue;
        if (depth[node] == RMT_MODEL_MAX_DEPTH)
            return model_error("M0107", path, "is deeper than " + number(RMT_MODEL_MAX_DEPTH) + " steps (at node " + number(node) + ")",
                               "train with a smaller max depth");
        for (int32_t child : {tree.left[node], tree.right[node]}) {
            if (depth[child] != UINT8_MAX)
                return model_error("M0107", path,
                                   "node " + number(child) + " is reached twice (again from node " + number(node) + "): not a tree");
            depth[child] = depth[node] + 1;
            open.push_back(child);
        }
    }
    if (reached != size) {
        size_t lost = std::find(depth.begin(), depth.end(), UINT8_MAX) - depth.begin();
        return model_error("M0107", path, "node " + number(lost) + " is not reached from the root");
    }
    return {};
}

}  // namespace

int32_t Tree::add_leaf(int32_t leaf_value) {
    feature.push_back(-1);
    threshold.push_back(0);
    left.push_back(-1);
    right.push_back(-1);
    value.push_back(leaf_value);
    return static_cast<int32_t>(size()) - 1;
}

Result<void> check_model(const Model& model) {
    RMT_CHECK(check_inputs(model));
    RMT_CHECK(check_output(model));
    RMT_CHECK(check_kind(model));
    for (size_t i = 0; i < model.trees.size(); i++) RMT_CHECK(check_tree(model, model.trees[i], "/trees/" + number(i)));
    if (model_nodes(model) > RMT_MODEL_MAX_NODES)
        return model_error("M0107", "/trees",
                           "have " + number(model_nodes(model)) + " nodes together, " + number(RMT_MODEL_MAX_NODES) + " are possible");
    return {};
}

uint32_t tree_depth(const Tree& tree) {
    std::vector<std::pair<int32_t, uint32_t>> open = {{0, 0}};
    uint32_t deepest = 0;
    while (!open.empty()) {
        auto [node, depth] = open.back();
        open.pop_back();
        deepest = std::max(deepest, depth);
        if (tree.is_leaf(node)) continue;
        open.push_back({tree.left[node], depth + 1});
        open.push_back({tree.right[node], depth + 1});
    }
    return deepest;
}

uint32_t model_depth(const Model& model) {
    uint32_t depth = 0;
    for (const Tree& tree : model.trees) depth = std::max(depth, tree_depth(tree));
    return depth;
}

uint32_t model_nodes(const Model& model) {
    size_t nodes = 0;
    for (const Tree& tree : model.trees) nodes += tree.size();
    return static_cast<uint32_t>(std::min<size_t>(nodes, UINT32_MAX));
}

const char* output_kind_name(OutputKind kind) {
    switch (kind) {
        case OutputKind::Value:
            return "value";
        case OutputKind::Class:
            return "class";
        case OutputKind::Score:
            return "score";
    }
    return "?";
}

}  // namespace rmt::models
