// SPDX-License-Identifier: MIT
// Random nets and inputs for tests and bench: seeded, valid, with activations that use their range and are sometimes clamped.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "bpf/include/rmt/model_layout.h"
#include "models/model.h"

namespace rmt::models {

struct LayerSpec {
    LayerKind kind = LayerKind::Dense;
    uint32_t outputs = 1, kernel = 0, stride = 0;
};

struct NetSpec {
    const char* name = "";
    uint32_t inputs = 8, steps = 1;
    std::vector<LayerSpec> layers;
    uint32_t bits = 16;
    Link link = Link::Round;
    int64_t span = 30000;  // inputs trained on -span..span
    bool scaled = true;
    ModelKind kind = ModelKind::Mlp;
};

inline int64_t pick(std::mt19937_64& random, int64_t lo, int64_t hi) {
    return lo + static_cast<int64_t>(random() % static_cast<uint64_t>(hi - lo + 1));
}

// Weights up to the ends of their bits; a multiplier for each output so that about a tenth of its activations are clamped.
inline NetLayer random_layer(std::mt19937_64& random, const LayerSpec& spec, const NetShape& before, double activation, uint32_t bits, bool last) {
    NetLayer layer;
    layer.kind = spec.kind;
    layer.kernel = spec.kernel;
    layer.stride = spec.stride;
    if (spec.kind == LayerKind::MaxPool) return layer;
    layer.outputs = spec.outputs;
    const int64_t most = (int64_t{1} << (std::min(bits, 16u) - 1)) - 1;
    const uint32_t count = spec.kind == LayerKind::Dense ? before.size() : spec.kernel * before.channels;
    for (uint32_t i = 0; i < count * spec.outputs; i++) layer.weights.push_back(static_cast<int32_t>(pick(random, -most, most)));
    const double spread = std::sqrt(count) * static_cast<double>(most) / 1.7 * activation / 1.7;
    layer.shift = bits == 8 ? 24 : 40;
    const double limit = static_cast<double>(most);
    for (uint32_t k = 0; k < spec.outputs; k++) {
        layer.bias.push_back(pick(random, -static_cast<int64_t>(spread / 2), static_cast<int64_t>(spread / 2)));
        double ratio = limit / 1.6 / spread * (0.7 + 0.6 * static_cast<double>(random() % 1000) / 1000);
        layer.multiplier.push_back(last ? 1 : std::max<int64_t>(1, static_cast<int64_t>(std::ldexp(ratio, static_cast<int>(layer.shift)))));
    }
    layer.lo = random() % 2 ? 0 : -most;
    layer.hi = most;
    if (last) layer.shift = random() % 8, layer.lo = -(int64_t{1} << 50), layer.hi = int64_t{1} << 50;
    return layer;
}

inline Model random_net(std::mt19937_64& random, const NetSpec& spec) {
    Model model;
    model.name = "random";
    model.kind = spec.kind;
    model.link = spec.link;
    Net net;
    net.bits = spec.bits;
    net.steps = spec.steps;
    const double most = std::ldexp(1.0, static_cast<int>(std::min(spec.bits, 16u)) - 1) - 1;
    for (uint32_t i = 0; i < spec.inputs; i++) {
        const int64_t middle = spec.span < (1 << 29) ? pick(random, -spec.span / 4, spec.span / 4) : 0;
        model.inputs.push_back({"x[" + std::to_string(i) + "]", "i32", middle - spec.span, middle + spec.span, {}, 0});
        if (!spec.scaled) continue;
        net.input_shift = 36;
        const auto multiplier = static_cast<int64_t>(std::ldexp(most / static_cast<double>(spec.span), 36));
        net.scales.push_back({multiplier, -middle * multiplier + (int64_t{1} << 35)});
    }
    std::vector<NetShape> shapes = net_shapes(net, spec.inputs);
    for (size_t at = 0; at < spec.layers.size(); at++) {
        const double activation = at == 0 && !spec.scaled ? static_cast<double>(spec.span) : most;
        net.layers.push_back(random_layer(random, spec.layers[at], shapes.back(), activation, spec.bits, at + 1 == spec.layers.size()));
        shapes = net_shapes(net, spec.inputs);
    }
    model.output = {OutputKind::Value, "i64", -(int64_t{1} << 40), int64_t{1} << 40, {}};
    if (spec.link == Link::Positive) model.output = {OutputKind::Class, "u8", 0, 1, {}};
    if (spec.link == Link::Argmax) {
        model.output = {OutputKind::Class, "u8", 0, 100, {}};
        for (uint32_t k = 0; k < net.layers.back().outputs; k++) model.answers.push_back(pick(random, 0, 100));
    }
    model.net = std::move(net);
    seal(model);
    return model;
}

// Mostly inside the trained range, often at its ends; sometimes outside, up to the ends of 32 bits. One row in eight only.
inline std::vector<int64_t> random_net_inputs(std::mt19937_64& random, const Model& model) {
    std::vector<int64_t> inputs;
    const uint64_t outside = random() % 8 == 0 ? random() % model.inputs.size() : UINT64_MAX;
    const bool ends = random() % 8 == 0;
    for (size_t i = 0; i < model.inputs.size(); i++) {
        const ModelInput& input = model.inputs[i];
        int64_t x = pick(random, input.min, input.max);
        if (ends) x = random() % 2 ? input.min : input.max;
        if (i == outside) {
            const int64_t beyond[] = {input.max + 1, input.min - 1, INT32_MAX, INT32_MIN};
            x = beyond[random() % 4];
        }
        inputs.push_back(x);
    }
    return inputs;
}

}  // namespace rmt::models
