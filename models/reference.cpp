// SPDX-License-Identifier: MIT
#include "models/reference.h"

#include <algorithm>

namespace rmt::models {

namespace {

int64_t answer_of_net(const Model& model, std::span<const int64_t> inputs) {
    const std::vector<int64_t> outputs = net_outputs(*model.net, inputs);
    if (model.link == Link::Positive) return outputs[0] > 0 ? 1 : 0;
    if (model.link == Link::Argmax)
        return answer_of(model, static_cast<size_t>(std::max_element(outputs.begin(), outputs.end()) - outputs.begin()));
    return std::clamp(outputs[0], model.output.min, model.output.max);
}

}  // namespace

int32_t walk(const Model& model, const Tree& tree, std::span<const int64_t> inputs) {
    size_t node = 0;
    while (!tree.is_leaf(node)) {
        const auto feature = static_cast<size_t>(tree.feature[node]);
        const size_t at = input_of(model, tree.feature[node]);
        const int64_t input = inputs[at];
        bool left = feature < model.inputs.size() ? input <= tree.threshold[node] : !model.sets[feature - model.inputs.size()].contains(input);
        if (model.inputs[at].missing == input) left = tree.default_left[node] != 0;
        node = static_cast<size_t>(left ? tree.left[node] : tree.right[node]);
    }
    return tree.value[node];
}

int64_t margin(const Model& model, std::span<const int64_t> inputs, size_t output) {
    if (model.net) return net_outputs(*model.net, inputs)[output];
    int64_t sum = base_of(model, output);
    for (const Tree& tree : model.trees)
        if (static_cast<size_t>(tree.output) == output) sum += walk(model, tree, inputs);
    return sum;
}

std::optional<int64_t> infer(const Model& model, std::span<const int64_t> inputs) {
    if (inputs.size() != model.inputs.size()) return std::nullopt;
    for (size_t i = 0; i < inputs.size(); i++)
        if (inputs[i] != model.inputs[i].missing && (inputs[i] < model.inputs[i].min || inputs[i] > model.inputs[i].max)) return std::nullopt;
    if (model.kind == ModelKind::Tree) return walk(model, model.trees[0], inputs);
    if (model.net) return answer_of_net(model, inputs);
    int64_t sum = margin(model, inputs);
    if (model.link == Link::Positive) return sum > 0 ? 1 : 0;
    if (model.link == Link::Argmax) {
        size_t best = 0;
        for (size_t k = 1; k < model_outputs(model); k++)
            if (const int64_t other = margin(model, inputs, k); other > sum) best = k, sum = other;
        return answer_of(model, best);
    }
    int64_t half = model.shift > 0 ? int64_t{1} << (model.shift - 1) : 0;
    return std::clamp((sum + half) >> model.shift, model.output.min, model.output.max);
}

}  // namespace rmt::models
