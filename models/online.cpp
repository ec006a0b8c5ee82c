// SPDX-License-Identifier: MIT
#include "models/online.h"

#include <algorithm>

#include "bpf/include/rmt/model_layout.h"
#include "models/types.h"

namespace rmt::models {

namespace {

constexpr uint32_t kFraction = 16;      // of a learner's weight; its bias has 8

// Numbers of the kernel's struct, averaged.
struct Mean {
    std::vector<int64_t> weights;
    int64_t bias = 0;
};

Mean mean_of(std::span<const rmt_learn_linear> cpus, size_t inputs) {
    __int128 steps = 0, bias = 0;
    std::vector<__int128> sums(inputs, 0);
    for (const rmt_learn_linear& cpu : cpus) {
        if (!cpu.score.begun) continue;
        const auto n = static_cast<__int128>(cpu.score.steps);
        steps += n;
        bias += n * cpu.bias;
        for (size_t i = 0; i < inputs; i++) sums[i] += n * cpu.weight[i];
    }
    const auto rounded = [&](__int128 sum) { return static_cast<int64_t>((sum + (sum < 0 ? -steps : steps) / 2) / steps); };
    Mean mean;
    for (const __int128 sum : sums) mean.weights.push_back(rounded(sum));
    mean.bias = rounded(bias);
    return mean;
}

// The inputs that the learner does not clamp, of those that the type and the engine can have.
ModelInput input_of(const ManifestModel& policy, size_t i) {
    const int32_t bits = policy.online->scale_bits[i];
    ModelInput input;
    input.name = policy.inputs[i];
    input.type = policy.input_types[i];
    if (bits > 0) {
        const int64_t one = int64_t{1} << bits;
        input.min = -RMT_LEARN_X * one - one / 2;
        input.max = (RMT_LEARN_X - 1) * one + one / 2 - 1;
    } else {
        input.min = -RMT_LEARN_X >> -bits;
        input.max = (RMT_LEARN_X - 1) >> -bits;
    }
    input.min = std::max<int64_t>(input.min, -RMT_MODEL_LIMIT);
    input.max = std::min<int64_t>(input.max, RMT_MODEL_LIMIT);
    if (const auto type = find_type(input.type)) {
        input.min = std::max(input.min, type->min);
        input.max = std::min(input.max, type->max);
    }
    return input;
}

// (x + half) >> bits, or x << -bits, for each input; they share one shift.
void set_scales(const std::vector<int32_t>& scale_bits, Net& net) {
    const int32_t most = std::max(0, *std::max_element(scale_bits.begin(), scale_bits.end()));
    if (std::all_of(scale_bits.begin(), scale_bits.end(), [](int32_t bits) { return bits == 0; })) return;
    net.input_shift = static_cast<uint32_t>(most);
    for (const int32_t bits : scale_bits) {
        const int64_t half = bits > 0 ? (int64_t{1} << most) / 2 : 0;
        net.scales.push_back({int64_t{1} << (most - bits), half});
    }
}

NetLayer layer_of(const Mean& mean, const ManifestModel& policy) {
    // Weights of 32 bits: the largest ones lose their last bits.
    uint32_t lost = 0;
    const auto fits = [&] { return std::all_of(mean.weights.begin(), mean.weights.end(), [&](int64_t w) { return std::abs(w >> lost) < INT32_MAX; }); };
    while (!fits()) lost++;
    NetLayer layer;
    layer.kind = LayerKind::Dense;
    layer.outputs = 1;
    for (const int64_t w : mean.weights) layer.weights.push_back(static_cast<int32_t>((w + (lost ? int64_t{1} << (lost - 1) : 0)) >> lost));
    layer.bias = {mean.bias * (int64_t{1} << (kFraction - 8 - lost))};
    layer.multiplier = {1};
    layer.shift = kFraction - lost;
    layer.lo = policy.output_min;
    layer.hi = policy.output_max;
    return layer;
}

}  // namespace

Result<Model> model_of_learners(const ManifestModel& policy, std::span<const rmt_learn_linear> cpus) {
    if (!policy.online || policy.online->kind != OnlineKind::Linear)
        return fail(ErrorKind::Unsupported, "model '" + policy.name + "' is an MLP that learns online: it has no artefact",
                    "each CPU has its own weights, whose mean would be another model; `train online linear` can be exported");
    uint64_t steps = 0, learners = 0;
    for (const rmt_learn_linear& cpu : cpus)
        if (cpu.score.begun) steps += cpu.score.steps, learners += cpu.score.steps > 0;
    if (steps == 0) return fail(ErrorKind::NotFound, "model '" + policy.name + "' has learned nothing yet");
    Model model;
    model.name = policy.name;
    model.kind = ModelKind::Linear;
    for (size_t i = 0; i < policy.inputs.size(); i++) model.inputs.push_back(input_of(policy, i));
    model.output = {policy.output_kind == "score" ? OutputKind::Score : OutputKind::Value, policy.output_type, policy.output_min, policy.output_max, {}};
    Net net;
    net.bits = 32;
    set_scales(policy.online->scale_bits, net);
    net.layers.push_back(layer_of(mean_of(cpus, policy.inputs.size()), policy));
    model.net = std::move(net);
    model.provenance = {{"trainer", "rmt online linear 1"}, {"label", policy.online->label}, {"steps", std::to_string(steps)}, {"cpus", std::to_string(learners)},
                        {"rate", "1/" + std::to_string(1u << policy.online->rate_bits)}};
    RMT_CHECK(check_model(model));
    seal(model);
    return model;
}

}  // namespace rmt::models
