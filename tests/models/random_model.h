// SPDX-License-Identifier: MIT
// Random models and inputs for tests: seeded, valid, with thresholds that inputs often meet exactly.
#pragma once

#include <algorithm>
#include <random>

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
};

inline int64_t between(std::mt19937_64& random, int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(random() % static_cast<uint64_t>(hi - lo + 1));
}

using Box = std::vector<std::pair<int64_t, int64_t>>;  // of the inputs that reach a node

inline int32_t add_random(std::mt19937_64& random, const RandomShape& shape, int64_t leaf_limit, Tree& tree, uint32_t depth,
                          const Box& box) {
    int32_t node = tree.add_leaf(static_cast<int32_t>(between(random, -leaf_limit, leaf_limit - 1)));
    if (depth == shape.depth || (!shape.complete && depth > 0 && random() % 5 == 0)) return node;
    tree.value[node] = 0;
    auto feature = static_cast<size_t>(random() % shape.inputs);
    auto [lo, hi] = box[feature];
    int64_t threshold = between(random, -shape.span, shape.span);
    if (shape.bisect) threshold = lo + (hi - lo) / 2 + (hi - lo >= 16 ? between(random, -(hi - lo) / 16, (hi - lo) / 16) : 0);
    tree.feature[node] = static_cast<int32_t>(feature);
    tree.threshold[node] = static_cast<int32_t>(std::min<int64_t>(threshold, RMT_MODEL_MAX));
    Box below = box, above = box;
    below[feature].second = std::min(hi, threshold);
    above[feature].first = std::min(hi, threshold + 1);
    int32_t left = add_random(random, shape, leaf_limit, tree, depth + 1, below);
    int32_t right = add_random(random, shape, leaf_limit, tree, depth + 1, above);
    tree.left[node] = left;
    tree.right[node] = right;
    return node;
}

inline Model random_model(std::mt19937_64& random, const RandomShape& shape) {
    Model model;
    model.name = "random";
    model.kind = shape.kind;
    for (uint32_t i = 0; i < shape.inputs; i++) model.inputs.push_back({"x[" + std::to_string(i) + "]", "i32", -shape.span, shape.span});
    int64_t leaf_limit = shape.kind == ModelKind::Tree && random() % 2 ? 100 : RMT_MODEL_LIMIT;
    model.output = {OutputKind::Value, "i32", RMT_MODEL_MIN, RMT_MODEL_MAX, {}};
    if (shape.kind == ModelKind::Forest) {
        model.link = shape.link;
        model.shift = shape.link == Link::Round ? shape.shift : 0;
        model.base = between(random, -1000000, 1000000);
        if (shape.link == Link::Positive) model.output = {OutputKind::Class, "u8", 0, 1, {}};
    }
    for (uint32_t i = 0; i < shape.trees; i++)
        add_random(random, shape, leaf_limit, model.trees.emplace_back(), 0, Box(shape.inputs, {-shape.span, shape.span}));
    seal(model);
    return model;
}

// Mostly inside the trained range, often at its ends and at thresholds; sometimes outside, up to the ends of 32 bits.
inline std::vector<int64_t> random_inputs(std::mt19937_64& random, const Model& model) {
    std::vector<int64_t> inputs;
    const Tree& tree = model.trees[random() % model.trees.size()];
    for (const ModelInput& input : model.inputs) {
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

}  // namespace rmt::models
