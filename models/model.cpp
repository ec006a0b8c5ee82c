// SPDX-License-Identifier: MIT
#include "models/model.h"

#include <algorithm>
#include <set>

#include "bpf/include/rmt/model_layout.h"
#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"
#include "models/types.h"

namespace rmt::models {
namespace {

constexpr int64_t kMaxExact = int64_t{1} << 53;  // integers that every JSON reader keeps
constexpr size_t kMaxSets = 1024;                // more than any class has room for, which lowering says

std::string number(int64_t n) { return std::to_string(n); }

Result<void> check_inputs(const Model& model) {
    const int64_t most = has_trees(model.kind) ? RMT_MODEL_MAX_INPUTS : RMT_NET_MAX_INPUTS;
    if (model.inputs.empty() || model.inputs.size() > static_cast<size_t>(most))
        return model_error("M0107", "/inputs", "a model has 1.." + number(most) + " inputs, this one " + number(model.inputs.size()));
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
        if (input.missing && *input.missing >= input.min && *input.missing <= input.max)
            return model_error("M0107", path + "/missing",
                               number(*input.missing) + " lies in the trained range " + number(input.min) + ".." + number(input.max),
                               "take a number for 'missing' that no real input has");
        if (input.missing && (*input.missing < INT32_MIN || *input.missing > INT32_MAX))
            return model_error("M0108", path + "/missing", number(*input.missing) + " does not fit 32 bits");
        if (input.fraction_bits > 30)
            return model_error("M0108", path + "/fraction_bits", number(input.fraction_bits) + " is outside 0..30");
    }
    return {};
}

Result<void> check_sets(const Model& model) {
    if (model.sets.size() > kMaxSets)
        return model_error("M0107", "/sets", "0.." + number(kMaxSets) + " sets are possible, " + number(model.sets.size()) + " given");
    for (size_t i = 0; i < model.sets.size(); i++) {
        const CategorySet& set = model.sets[i];
        std::string path = "/sets/" + number(i);
        if (set.input < 0 || static_cast<size_t>(set.input) >= model.inputs.size())
            return model_error("M0107", path + "/input",
                               number(set.input) + " is not an input: 0.." + number(model.inputs.size() - 1) + " expected");
        if (set.members.empty()) return model_error("M0107", path + "/members", "a set has at least one member");
        for (size_t k = 0; k < set.members.size(); k++) {
            if (set.members[k] < RMT_MODEL_MIN || set.members[k] > RMT_MODEL_MAX)
                return model_error("M0108", path + "/members/" + number(k), number(set.members[k]) + " is outside -2^30..2^30-1");
            if (k > 0 && set.members[k] <= set.members[k - 1])
                return model_error("M0107", path + "/members/" + number(k), "members are given once, in ascending order");
        }
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
    for (size_t k = 0; k < model_outputs(model); k++)
        if (base_of(model, k) < -kMaxExact || base_of(model, k) > kMaxExact)
            return model_error("M0108", "/fixed_point/base", "is outside -2^53..2^53");
    if (model.shift > 30) return model_error("M0108", "/fixed_point/shift", number(model.shift) + " is outside 0..30");
    if (model.kind == ModelKind::Tree) {
        if (model.trees.size() != 1)
            return model_error("M0107", "/trees", "kind 'tree' is one tree, " + number(model.trees.size()) + " given", "use kind 'forest'");
        if (model.shift != 0 || model.base != 0 || model.link != Link::Round)
            return model_error("M0107", "/kind", "kind 'tree' answers its leaf as it is: base and shift are 0 and link is 'round'",
                               "use kind 'forest', also for one tree");
    }
    return {};
}

// What is of trees is absent; what is inside the net is check_net()'s.
Result<void> check_net_kind(const Model& model) {
    if (!model.net) return model_error("M0107", "/net", std::string("kind '") + model_kind_name(model.kind) + "' has a net");
    if (!model.trees.empty() || !model.sets.empty()) return model_error("M0107", "/trees", "a net has neither trees nor sets");
    if (model.shift != 0 || model.base != 0 || !model.more_bases.empty())
        return model_error("M0107", "/fixed_point", "the last layer of a net scales its answer: there is no fixed_point");
    for (size_t i = 0; i < model.inputs.size(); i++)
        if (model.inputs[i].missing) return model_error("M0110", "/inputs/" + number(i) + "/missing", "a net has no default sides: it answers nothing when an input is missing",
                               "give missing values a number of the trained range, or use trees");
    std::vector<Interval> ranges;
    for (const ModelInput& input : model.inputs) ranges.emplace_back(input.min, input.max);
    RMT_CHECK(check_net(*model.net, ranges));
    size_t dense = 0, other = 0;
    for (const NetLayer& layer : model.net->layers) (layer.kind == LayerKind::Dense ? dense : other)++;
    const ModelKind kind = other > 0 ? ModelKind::Conv : dense > 1 ? ModelKind::Mlp : ModelKind::Linear;
    if (kind != model.kind)
        return model_error("M0107", "/kind", std::string("'") + model_kind_name(model.kind) + "' given, its layers make it '" + model_kind_name(kind) + "'");
    return {};
}

Result<void> check_outputs(const Model& model) {
    const size_t outputs = model_outputs(model);
    if (model.link == Link::Positive && (model.output.kind != OutputKind::Class || model.output.min != 0 || model.output.max != 1))
        return model_error("M0107", "/link", "'positive' answers class 0 or 1: the output must be of kind 'class' with range [0, 1]");
    if (model.link != Link::Argmax) {
        if (outputs != 1 && model.net) return model_error("M0107", "/net/layers", "only link 'argmax' has several outputs");
        if (outputs != 1) return model_error("M0107", "/fixed_point/bases", "only link 'argmax' has several outputs");
        if (!model.answers.empty()) return model_error("M0107", "/answers", "only link 'argmax' chooses an answer");
    } else {
        if (outputs < 2 || outputs > RMT_MODEL_MAX_OUTPUTS)
            return model_error("M0107", "/fixed_point/bases",
                               "'argmax' chooses from 2.." + number(RMT_MODEL_MAX_OUTPUTS) + " outputs, " + number(outputs) + " given");
        if (model.output.kind == OutputKind::Score)
            return model_error("M0107", "/link", "'argmax' answers a class or a value, not a score");
        if (!model.answers.empty() && model.answers.size() != outputs)
            return model_error("M0107", "/answers", number(model.answers.size()) + " answers for " + number(outputs) + " outputs");
        for (size_t k = 0; k < outputs; k++)
            if (answer_of(model, k) < model.output.min || answer_of(model, k) > model.output.max)
                return model_error("M0108", "/answers/" + number(k),
                                   number(answer_of(model, k)) + " is outside the output's range " + number(model.output.min) + ".." +
                                       number(model.output.max));
    }
    for (size_t i = 0; i < model.trees.size(); i++)
        if (model.trees[i].output < 0 || static_cast<size_t>(model.trees[i].output) >= outputs)
            return model_error("M0107", "/trees/" + number(i) + "/output",
                               number(model.trees[i].output) + " is not an output: 0.." + number(outputs - 1) + " expected");
    return {};
}

// Where a missing input goes must be said exactly where one can be.
Result<void> check_default(const Model& model, const Tree& tree, const std::string& path, size_t node) {
    const bool may_miss = !tree.is_leaf(node) && model.inputs[input_of(model, tree.feature[node])].missing.has_value();
    if (may_miss && tree.default_left.empty())
        return model_error("M0107", path + "/default_left", "node " + number(node) + " asks for an input that may be missing",
                           "give each node its default side");
    if (tree.default_left.empty() || tree.default_left[node] == 0 || (may_miss && tree.default_left[node] == 1)) return {};
    return model_error("M0107", path + "/default_left/" + number(node),
                       may_miss ? "is 0 or 1" : "is 0 where nothing can be missing, not " + number(tree.default_left[node]));
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
    const size_t features = model.inputs.size() + model.sets.size();
    if (feature < 0 || static_cast<size_t>(feature) >= features)
        return model_error("M0107", at("feature"),
                           number(feature) + " is not an input" + (model.sets.empty() ? "" : " or a set") + ": 0.." + number(features - 1) +
                               " expected");
    if (static_cast<size_t>(feature) >= model.inputs.size() && tree.threshold[node] != 0)
        return model_error("M0107", at("threshold"), "a node that asks for a set has threshold 0, not " + number(tree.threshold[node]));
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
    if (!tree.default_left.empty() && tree.default_left.size() != size)
        return model_error("M0107", path + "/default_left", number(tree.default_left.size()) + " sides for " + number(size) + " nodes");
    for (size_t node = 0; node < size; node++) {
        RMT_CHECK(check_node(model, tree, path, node));
        RMT_CHECK(check_default(model, tree, path, node));
    }

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

// All nodes of a level ask the same and all leaves lie equally deep. The tree is one: check_tree() was here.
Result<void> check_oblivious(const Tree& tree, const std::string& path) {
    std::vector<int32_t> level = {0};
    while (!tree.is_leaf(static_cast<size_t>(level[0]))) {
        std::vector<int32_t> next;
        const auto first = static_cast<size_t>(level[0]);
        for (int32_t at : level) {
            const auto node = static_cast<size_t>(at);
            bool same = tree.feature[node] == tree.feature[first] && tree.threshold[node] == tree.threshold[first] &&
                        (tree.default_left.empty() || tree.default_left[node] == tree.default_left[first]);
            if (!same || tree.is_leaf(node))
                return model_error("M0107", path, "kind 'oblivious': node " + number(at) + " asks otherwise than node " + number(level[0]) +
                                       " of the same level", "use kind 'forest'");
            next.push_back(tree.left[node]);
            next.push_back(tree.right[node]);
        }
        level = std::move(next);
    }
    for (int32_t at : level)
        if (!tree.is_leaf(static_cast<size_t>(at)))
            return model_error("M0107", path, "kind 'oblivious': node " + number(at) + " is no leaf, node " + number(level[0]) + " of the same level is",
                               "use kind 'forest'");
    return {};
}

}  // namespace

bool CategorySet::contains(int64_t value) const { return std::binary_search(members.begin(), members.end(), value); }

int32_t Tree::add_leaf(int32_t leaf_value) {
    feature.push_back(-1);
    threshold.push_back(0);
    left.push_back(-1);
    right.push_back(-1);
    value.push_back(leaf_value);
    if (!default_left.empty()) default_left.push_back(0);
    return static_cast<int32_t>(size()) - 1;
}

Result<void> check_model(const Model& model) {
    RMT_CHECK(check_inputs(model));
    RMT_CHECK(check_output(model));
    RMT_CHECK(check_sets(model));
    if (has_trees(model.kind) && model.net) return model_error("M0107", "/net", std::string("kind '") + model_kind_name(model.kind) + "' has trees, no net");
    RMT_CHECK(has_trees(model.kind) ? check_kind(model) : check_net_kind(model));
    RMT_CHECK(check_outputs(model));
    for (size_t i = 0; i < model.trees.size(); i++) {
        const std::string path = "/trees/" + number(static_cast<int64_t>(i));
        RMT_CHECK(check_tree(model, model.trees[i], path));
        if (model.kind == ModelKind::Oblivious) RMT_CHECK(check_oblivious(model.trees[i], path));
    }
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

size_t model_outputs(const Model& model) { return model.net ? net_output_count(*model.net) : 1 + model.more_bases.size(); }

int64_t base_of(const Model& model, size_t output) { return output == 0 ? model.base : model.more_bases[output - 1]; }

int64_t answer_of(const Model& model, size_t output) {
    return model.answers.empty() ? static_cast<int64_t>(output) : model.answers[output];
}

size_t input_of(const Model& model, int32_t feature) {
    const auto at = static_cast<size_t>(feature);
    return at < model.inputs.size() ? at : static_cast<size_t>(model.sets[at - model.inputs.size()].input);
}

const char* model_kind_name(ModelKind kind) {
    static const char* const kNames[] = {"tree", "forest", "oblivious", "linear", "mlp", "conv"};
    return kNames[static_cast<size_t>(kind)];
}

const char* link_name(Link link) {
    static const char* const kNames[] = {"round", "positive", "argmax"};
    return kNames[static_cast<size_t>(link)];
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
