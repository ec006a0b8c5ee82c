// SPDX-License-Identifier: MIT
#include "models/reference.h"

#include <algorithm>

namespace rmt::models {

int32_t walk(const Tree& tree, std::span<const int64_t> inputs) {
    size_t node = 0;
    while (!tree.is_leaf(node)) node = inputs[tree.feature[node]] <= tree.threshold[node] ? tree.left[node] : tree.right[node];
    return tree.value[node];
}

int64_t margin(const Model& model, std::span<const int64_t> inputs) {
    int64_t sum = model.base;
    for (const Tree& tree : model.trees) sum += walk(tree, inputs);
    return sum;
}

std::optional<int64_t> infer(const Model& model, std::span<const int64_t> inputs) {
    if (inputs.size() != model.inputs.size()) return std::nullopt;
    for (size_t i = 0; i < inputs.size(); i++)
        if (inputs[i] < model.inputs[i].min || inputs[i] > model.inputs[i].max) return std::nullopt;
    if (model.kind == ModelKind::Tree) return walk(model.trees[0], inputs);
    int64_t sum = margin(model, inputs);
    if (model.link == Link::Positive) return sum > 0 ? 1 : 0;
    int64_t half = model.shift > 0 ? int64_t{1} << (model.shift - 1) : 0;
    return std::clamp((sum + half) >> model.shift, model.output.min, model.output.max);
}

}  // namespace rmt::models
