// SPDX-License-Identifier: MIT
// Random models and inputs for tests: seeded, valid, with thresholds that inputs often meet exactly.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "bpf/include/rmt/model_layout.h"
#include "models/model.h"

namespace rmt::models {

struct RandomShape {
    ModelKind kind = ModelKind::Tree;
    uint32_t trees = 1;
    uint32_t depth = 8;
    uint32_t inputs = 4;
    int64_t span = 64;      // inputs trained on -span..span
    bool complete = false;  // every leaf at full depth
    bool bisect = false;    // thresholds near the middle of what reaches a node: every leaf is reached, no branch is predictable
    Link link = Link::Round;
    uint32_t shift = 0;
    uint32_t missing = 0;   // how many of the inputs may be missing
    uint32_t sets = 0;      // category sets over the first inputs
    int32_t set_span = 40;  // members lie in -set_span..set_span
    uint32_t outputs = 1;   // more than one: argmax
};

// What a node may ask: an input, or a set after them.
inline int32_t random_feature(std::mt19937_64& random, const RandomShape& shape) {
    return static_cast<int32_t>(random() % (shape.inputs + shape.sets));
}

inline int64_t between(std::mt19937_64& random, int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(random() % static_cast<uint64_t>(hi - lo + 1));
}

using Box = std::vector<std::pair<int64_t, int64_t>>;  // of the inputs that reach a node

inline int32_t add_random(std::mt19937_64& random, const RandomShape& shape, int64_t leaf_limit, Tree& tree, uint32_t depth,
                          const Box& box) {
    int32_t node = tree.add_leaf(static_cast<int32_t>(between(random, -leaf_limit, leaf_limit - 1)));
    if (depth == shape.depth || (!shape.complete && depth > 0 && random() % 5 == 0)) return node;
    tree.value[node] = 0;
    auto feature = static_cast<size_t>(random_feature(random, shape));
    const bool is_set = feature >= shape.inputs;
    auto [lo, hi] = is_set ? std::pair<int64_t, int64_t>{0, 0} : box[feature];
    int64_t threshold = between(random, -shape.span, shape.span);
    if (shape.bisect) threshold = lo + (hi - lo) / 2 + (hi - lo >= 16 ? between(random, -(hi - lo) / 16, (hi - lo) / 16) : 0);
    tree.feature[node] = static_cast<int32_t>(feature);
    tree.threshold[node] = is_set ? 0 : static_cast<int32_t>(std::min<int64_t>(threshold, RMT_MODEL_MAX));
    Box below = box, above = box;
    if (!is_set) below[feature].second = std::min(hi, threshold), above[feature].first = std::min(hi, threshold + 1);
    int32_t left = add_random(random, shape, leaf_limit, tree, depth + 1, below);
    int32_t right = add_random(random, shape, leaf_limit, tree, depth + 1, above);
    tree.left[node] = left;
    tree.right[node] = right;
    return node;
}

// Complete, all nodes of a level alike.
inline int32_t add_oblivious(std::mt19937_64& random, int64_t leaf_limit, Tree& tree, const std::vector<std::pair<int32_t, int32_t>>& levels,
                             size_t depth) {
    int32_t node = tree.add_leaf(static_cast<int32_t>(between(random, -leaf_limit, leaf_limit - 1)));
    if (depth == levels.size()) return node;
    tree.value[node] = 0;
    std::tie(tree.feature[node], tree.threshold[node]) = levels[depth];
    int32_t left = add_oblivious(random, leaf_limit, tree, levels, depth + 1);
    int32_t right = add_oblivious(random, leaf_limit, tree, levels, depth + 1);
    tree.left[node] = left;
    tree.right[node] = right;
    return node;
}

// Default sides where something may be missing; of an oblivious tree one for each level.
inline void add_defaults(std::mt19937_64& random, const Model& model, Tree& tree) {
    std::map<std::pair<int32_t, int32_t>, uint8_t> of_level;
    tree.default_left.assign(tree.size(), 0);
    for (size_t node = 0; node < tree.size(); node++) {
        if (tree.is_leaf(node) || !model.inputs[input_of(model, tree.feature[node])].missing) continue;
        uint8_t side = random() % 2;
        if (model.kind == ModelKind::Oblivious) side = of_level.emplace(std::pair{tree.feature[node], tree.threshold[node]}, side).first->second;
        tree.default_left[node] = side;
    }
}

inline void add_columns(std::mt19937_64& random, const RandomShape& shape, Model& model) {
    for (uint32_t i = 0; i < shape.missing; i++)
        model.inputs[i].missing = random() % 2 ? model.inputs[i].max + 1 + static_cast<int64_t>(random() % 1000) : INT32_MIN;
    for (uint32_t s = 0; s < shape.sets; s++) {
        CategorySet set{static_cast<int32_t>(s % shape.inputs), {}};
        for (int32_t m = -shape.set_span; m <= shape.set_span; m++)
            if (random() % 3 == 0) set.members.push_back(m);
        if (set.members.empty()) set.members = {1};
        model.sets.push_back(set);
    }
}

inline void add_tree(std::mt19937_64& random, const RandomShape& shape, int64_t leaf_limit, Model& model) {
    Tree& tree = model.trees.emplace_back();
    if (shape.kind == ModelKind::Oblivious) {
        std::vector<std::pair<int32_t, int32_t>> levels;
        const uint32_t depth = shape.complete ? shape.depth : static_cast<uint32_t>(random() % (shape.depth + 1));
        for (uint32_t i = 0; i < depth; i++) {
            const int32_t feature = random_feature(random, shape);
            const int64_t limit = shape.bisect ? shape.span / 4 : shape.span;
            const int64_t threshold = std::min<int64_t>(between(random, -limit, limit), RMT_MODEL_MAX);
            levels.emplace_back(feature, feature < static_cast<int32_t>(shape.inputs) ? static_cast<int32_t>(threshold) : 0);
        }
        add_oblivious(random, leaf_limit, tree, levels, 0);
    } else {
        add_random(random, shape, leaf_limit, tree, 0, Box(shape.inputs, {-shape.span, shape.span}));
    }
    if (shape.missing > 0) add_defaults(random, model, tree);
    tree.output = static_cast<int32_t>(random() % shape.outputs);
}

inline Model random_model(std::mt19937_64& random, const RandomShape& shape) {
    Model model;
    model.name = "random";
    model.kind = shape.kind;
    for (uint32_t i = 0; i < shape.inputs; i++) model.inputs.push_back({"x[" + std::to_string(i) + "]", "i32", -shape.span, shape.span});
    int64_t leaf_limit = shape.kind == ModelKind::Tree && random() % 2 ? 100 : RMT_MODEL_LIMIT;
    model.output = {OutputKind::Value, "i32", RMT_MODEL_MIN, RMT_MODEL_MAX, {}};
    add_columns(random, shape, model);
    if (shape.kind != ModelKind::Tree) {
        model.link = shape.link;
        model.shift = shape.link == Link::Round ? shape.shift : 0;
        model.base = between(random, -1000000, 1000000);
        if (shape.link == Link::Positive) model.output = {OutputKind::Class, "u8", 0, 1, {}};
    }
    if (shape.outputs > 1) {
        model.link = Link::Argmax;
        for (uint32_t k = 1; k < shape.outputs; k++) model.more_bases.push_back(between(random, -1000000, 1000000));
        if (random() % 2)
            for (uint32_t k = 0; k < shape.outputs; k++) model.answers.push_back(between(random, -100, 100));
    }
    for (uint32_t i = 0; i < shape.trees; i++) add_tree(random, shape, leaf_limit, model);
    seal(model);
    return model;
}

// Mostly inside the trained range, often at its ends and at thresholds; sometimes outside, up to the ends of 32 bits.
inline std::vector<int64_t> random_inputs(std::mt19937_64& random, const Model& model) {
    std::vector<int64_t> inputs;
    const Tree& tree = model.trees[random() % model.trees.size()];
    for (const ModelInput& input : model.inputs) {
        if (input.missing && random() % 6 == 0) {
            inputs.push_back(*input.missing);
            continue;
        }
        if (!model.sets.empty() && random() % 2) {
            const CategorySet& set = model.sets[random() % model.sets.size()];
            const int64_t near = set.members[random() % set.members.size()] + between(random, -1, 1);
            inputs.push_back(std::clamp(near, input.min, input.max));
            continue;
        }
        switch (random() % 32) {
            case 0:
                inputs.push_back(input.min);
                break;
            case 1:
                inputs.push_back(input.max);
                break;
            case 2:
                inputs.push_back(input.max < INT32_MAX && random() % 8 == 0 ? input.max + 1 : input.max);
                break;
            case 3:
                inputs.push_back(input.min > INT32_MIN && random() % 8 == 0 ? input.min - 1 : input.min);
                break;
            case 4:
                inputs.push_back(random() % 8 == 0 ? (random() % 2 ? INT32_MAX : INT32_MIN) : 0);
                break;
            case 5:
            case 6:
            case 7:
            case 8: {
                int64_t near = tree.threshold[random() % tree.size()] + between(random, -1, 1);
                inputs.push_back(std::clamp(near, input.min, input.max));
                break;
            }
            default:
                inputs.push_back(between(random, input.min, input.max));
        }
    }
    return inputs;
}

// A model whose every leaf is `value`. Its thresholds are far from it.
inline Model constant_model(std::mt19937_64& random, RandomShape shape, int32_t value) {
    Model model = random_model(random, shape);
    for (Tree& tree : model.trees)
        for (size_t i = 0; i < tree.size(); i++)
            if (tree.is_leaf(i)) tree.value[i] = value;
    model.base = 0;
    model.output.min = -(int64_t{1} << 40);  // the sum of a forest is not clamped
    model.output.max = int64_t{1} << 40;
    seal(model);
    return model;
}

}  // namespace rmt::models
