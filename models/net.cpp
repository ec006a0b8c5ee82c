// SPDX-License-Identifier: MIT
#include "models/net.h"

#include <algorithm>

#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

using Wide = __int128;

constexpr int64_t kSafe = int64_t{1} << 62;        // nothing on the way is larger
constexpr int64_t kMaxExact = int64_t{1} << 53;    // integers that every JSON reader keeps
constexpr size_t kMaxLayers = 16;
constexpr uint32_t kMaxOutputs = 1024;             // of one layer

std::string number(int64_t n) { return std::to_string(n); }
bool safe(Wide value) { return value >= -kSafe && value <= kSafe; }
int64_t half(uint32_t shift) { return shift > 0 ? int64_t{1} << (shift - 1) : 0; }

std::string layer_path(size_t layer) { return "/net/layers/" + number(static_cast<int64_t>(layer)); }

size_t weights_of_output(const NetLayer& layer, const NetShape& before) {
    return layer.kind == LayerKind::Dense ? before.size() : size_t{layer.kernel} * before.channels;
}

NetShape shape_after(const NetLayer& layer, const NetShape& before) {
    if (layer.kind == LayerKind::Dense) return {1, layer.outputs};
    uint32_t steps = (before.steps - layer.kernel) / layer.stride + 1;
    return {steps, layer.kind == LayerKind::Conv1d ? layer.outputs : before.channels};
}

Result<void> check_window(const Net& net, size_t at, const NetShape& before) {
    const NetLayer& layer = net.layers[at];
    const std::string path = layer_path(at);
    if (layer.kernel < 1 || layer.kernel > before.steps)
        return model_error("M0107", path + "/kernel", number(layer.kernel) + " is outside 1.." + number(before.steps) + ", the time steps before it");
    if (layer.stride < 1) return model_error("M0107", path + "/stride", "is at least 1");
    if (layer.kind != LayerKind::MaxPool) return {};
    if (at == 0 || net.layers[at - 1].kind != LayerKind::Conv1d)
        return model_error("M0107", path + "/kind", "a max-pool follows a convolution");
    if (layer.stride < layer.kernel)
        return model_error("M0107", path + "/stride", "windows of " + number(layer.kernel) + " steps overlap at stride " + number(layer.stride),
                           "use a stride of at least the kernel");
    return {};
}

Result<void> check_numbers(const Net& net, size_t at, const NetShape& before) {
    const NetLayer& layer = net.layers[at];
    const std::string path = layer_path(at);
    if (layer.kind == LayerKind::MaxPool) {
        if (layer.outputs || !layer.weights.empty() || !layer.bias.empty() || !layer.multiplier.empty() || layer.shift || layer.lo || layer.hi)
            return model_error("M0107", path, "a max-pool has a kernel and a stride, nothing else");
        return {};
    }
    if (layer.outputs < 1 || layer.outputs > kMaxOutputs)
        return model_error("M0107", path + "/outputs", number(layer.outputs) + " is outside 1.." + number(kMaxOutputs));
    const size_t wanted = layer.outputs * weights_of_output(layer, before);
    if (layer.weights.size() != wanted)
        return model_error("M0107", path + "/weights", number(layer.weights.size()) + " given, " + number(wanted) + " expected: outputs times activations");
    for (const auto* list : {&layer.bias, &layer.multiplier})
        if (list->size() != layer.outputs)
            return model_error("M0107", path + (list == &layer.bias ? "/bias" : "/multiplier"),
                               number(list->size()) + " given, one for each of " + number(layer.outputs) + " outputs expected");
    const int64_t most = (int64_t{1} << (net.bits - 1)) - 1;
    for (size_t i = 0; i < wanted; i++)
        if (layer.weights[i] < -most || layer.weights[i] > most)
            return model_error("M0108", path + "/weights/" + number(i), number(layer.weights[i]) + " does not fit " + number(net.bits) + " bits with a sign");
    for (size_t k = 0; k < layer.outputs; k++) {
        if (layer.bias[k] < -kMaxExact || layer.bias[k] > kMaxExact) return model_error("M0108", path + "/bias/" + number(k), "is outside -2^53..2^53");
        if (layer.multiplier[k] < 1 || layer.multiplier[k] > kMaxExact) return model_error("M0108", path + "/multiplier/" + number(k), "is outside 1..2^53");
    }
    if (layer.shift > 61) return model_error("M0108", path + "/shift", number(layer.shift) + " is outside 0..61");
    if (layer.lo > layer.hi) return model_error("M0107", path + "/clamp", number(layer.lo) + ".." + number(layer.hi) + " is empty");
    if (layer.lo < -kMaxExact || layer.hi > kMaxExact) return model_error("M0108", path + "/clamp", "is outside -2^53..2^53");
    return {};
}

Result<void> check_structure(const Net& net, size_t inputs) {
    if (net.bits != 8 && net.bits != 16 && net.bits != 32) return model_error("M0107", "/net/bits", number(net.bits) + " given; 8, 16 or 32 expected");
    if (inputs < 1 || inputs > RMT_NET_MAX_INPUTS)
        return model_error("M0107", "/inputs", "a net has 1.." + number(RMT_NET_MAX_INPUTS) + " inputs, this one " + number(inputs));
    if (net.steps < 1 || inputs % net.steps != 0)
        return model_error("M0107", "/net/steps", number(inputs) + " inputs are not " + number(net.steps) + " time steps of equal size");
    if (net.input_shift > 61) return model_error("M0108", "/net/input_shift", number(net.input_shift) + " is outside 0..61");
    if (!net.scales.empty() && net.scales.size() != inputs)
        return model_error("M0107", "/net/scales", number(net.scales.size()) + " scales for " + number(inputs) + " inputs");
    if (net.scales.empty() && net.input_shift != 0) return model_error("M0107", "/net/input_shift", "is 0 where there are no scales");
    if (net.layers.empty() || net.layers.size() > kMaxLayers)
        return model_error("M0107", "/net/layers", "1.." + number(kMaxLayers) + " layers are possible, " + number(net.layers.size()) + " given");
    NetShape shape{net.steps, static_cast<uint32_t>(inputs) / net.steps};
    for (size_t at = 0; at < net.layers.size(); at++) {
        if (net.layers[at].kind != LayerKind::Dense) RMT_CHECK(check_window(net, at, shape));
        RMT_CHECK(check_numbers(net, at, shape));
        shape = shape_after(net.layers[at], shape);
    }
    if (net.layers.back().kind != LayerKind::Dense) return model_error("M0107", layer_path(net.layers.size() - 1) + "/kind", "the last layer is dense");
    return {};
}

Unexpected<Error> overflow(const std::string& path, const char* what) {
    return model_error("M0108", path, std::string(what) + " could leave 63 bits for inputs within their trained ranges",
                       "quantise again with smaller multipliers, or with fewer bits");
}

// The activations of the inputs.
Result<std::vector<Interval>> scaled_inputs(const Net& net, std::span<const Interval> inputs) {
    std::vector<Interval> out(inputs.begin(), inputs.end());
    for (size_t i = 0; i < net.scales.size(); i++) {
        const InputScale& scale = net.scales[i];
        Wide a = Wide{inputs[i].first} * scale.multiplier + scale.add, b = Wide{inputs[i].second} * scale.multiplier + scale.add;
        if (a > b) std::swap(a, b);
        bool fits = safe(a) && safe(b) && safe(a - scale.add) && safe(b - scale.add) && safe(scale.add);
        if (!fits) return overflow("/net/scales/" + number(i), "the scaled input");
        out[i] = {static_cast<int64_t>(a) >> net.input_shift, static_cast<int64_t>(b) >> net.input_shift};
    }
    return out;
}

// Sum of one output without its bias, over the activations from `from` on. No partial sum is larger in any order, as the
// sum of the absolute values is bounded too.
bool sum_interval(const NetLayer& layer, size_t output, size_t count, std::span<const Interval> from, Interval& out) {
    Wide lo = 0, hi = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        const Wide weight = layer.weights[output * count + i];
        const Wide a = weight * from[i].first, b = weight * from[i].second;
        lo += std::min(a, b);
        hi += std::max(a, b);
        most += std::max(a < 0 ? -a : a, b < 0 ? -b : b);
    }
    out = {static_cast<int64_t>(lo), static_cast<int64_t>(hi)};
    return safe(most);
}

struct LayerBounds {
    std::vector<Interval> sums, after;
};

Result<LayerBounds> layer_bounds(const Net& net, size_t at, const NetShape& before, std::span<const Interval> activations) {
    const NetLayer& layer = net.layers[at];
    const NetShape after = shape_after(layer, before);
    const size_t count = weights_of_output(layer, before);
    LayerBounds bounds;
    bounds.after.resize(after.size());
    if (layer.kind == LayerKind::MaxPool) {
        for (uint32_t t = 0; t < after.steps; t++)
            for (uint32_t c = 0; c < after.channels; c++) {
                Interval largest{INT64_MIN, INT64_MIN};
                for (uint32_t k = 0; k < layer.kernel; k++) {
                    const Interval& one = activations[(t * layer.stride + k) * before.channels + c];
                    largest = {std::max(largest.first, one.first), std::max(largest.second, one.second)};
                }
                bounds.after[t * after.channels + c] = largest;
            }
        return bounds;
    }
    bounds.sums.assign(layer.outputs, {INT64_MAX, INT64_MIN});
    for (uint32_t t = 0; t < after.steps; t++)
        for (uint32_t k = 0; k < layer.outputs; k++) {
            const size_t from = layer.kind == LayerKind::Dense ? 0 : size_t{t} * layer.stride * before.channels;
            Interval sum;
            if (!sum_interval(layer, k, count, activations.subspan(from), sum)) return overflow(layer_path(at) + "/weights", "a sum");
            bounds.sums[k] = {std::min(bounds.sums[k].first, sum.first), std::max(bounds.sums[k].second, sum.second)};
            const Wide add = Wide{layer.bias[k]} * layer.multiplier[k] + half(layer.shift);
            const Wide lo = Wide{sum.first} * layer.multiplier[k], hi = Wide{sum.second} * layer.multiplier[k];
            if (!safe(add) || !safe(lo) || !safe(hi) || !safe(lo + add) || !safe(hi + add))
                return overflow(layer_path(at) + "/multiplier/" + number(k), "a scaled sum");
            auto activation = [&](Wide scaled) { return std::clamp(static_cast<int64_t>(scaled + add) >> layer.shift, layer.lo, layer.hi); };
            bounds.after[t * layer.outputs + k] = {activation(lo), activation(hi)};
        }
    return bounds;
}

std::vector<int64_t> run_layer(const NetLayer& layer, const NetShape& before, const std::vector<int64_t>& in) {
    const NetShape after = shape_after(layer, before);
    std::vector<int64_t> out(after.size());
    for (uint32_t t = 0; t < after.steps; t++)
        for (uint32_t k = 0; k < after.channels; k++) {
            int64_t& result = out[t * after.channels + k];
            const size_t from = layer.kind == LayerKind::Dense ? 0 : size_t{t} * layer.stride * before.channels;
            if (layer.kind == LayerKind::MaxPool) {
                result = in[from + k];
                for (uint32_t i = 1; i < layer.kernel; i++) result = std::max(result, in[from + i * before.channels + k]);
                continue;
            }
            const size_t count = weights_of_output(layer, before);
            int64_t sum = layer.bias[k];
            for (size_t i = 0; i < count; i++) sum += layer.weights[k * count + i] * in[from + i];
            result = std::clamp((sum * layer.multiplier[k] + half(layer.shift)) >> layer.shift, layer.lo, layer.hi);
        }
    return out;
}

}  // namespace

std::vector<NetShape> net_shapes(const Net& net, size_t inputs) {
    std::vector<NetShape> shapes = {{net.steps, static_cast<uint32_t>(inputs) / net.steps}};
    for (const NetLayer& layer : net.layers) shapes.push_back(shape_after(layer, shapes.back()));
    return shapes;
}

Result<NetBounds> net_bounds(const Net& net, std::span<const Interval> inputs) {
    RMT_CHECK(check_structure(net, inputs.size()));
    const std::vector<NetShape> shapes = net_shapes(net, inputs.size());
    NetBounds bounds;
    RMT_TRY(std::vector<Interval> activations, scaled_inputs(net, inputs));
    for (size_t at = 0; at < net.layers.size(); at++) {
        RMT_TRY(LayerBounds layer, layer_bounds(net, at, shapes[at], activations));
        bounds.before.push_back(std::move(activations));
        bounds.sums.push_back(std::move(layer.sums));
        activations = std::move(layer.after);
    }
    bounds.outputs = std::move(activations);
    return bounds;
}

Result<void> check_net(const Net& net, std::span<const Interval> inputs) {
    auto bounds = net_bounds(net, inputs);
    if (!bounds) return fail(bounds.error());
    return {};
}

std::vector<int64_t> net_outputs(const Net& net, std::span<const int64_t> inputs) {
    std::vector<int64_t> activations(inputs.begin(), inputs.end());
    for (size_t i = 0; i < net.scales.size(); i++)
        activations[i] = (inputs[i] * net.scales[i].multiplier + net.scales[i].add) >> net.input_shift;
    NetShape shape{net.steps, static_cast<uint32_t>(inputs.size()) / net.steps};
    for (const NetLayer& layer : net.layers) {
        activations = run_layer(layer, shape, activations);
        shape = shape_after(layer, shape);
    }
    return activations;
}

size_t net_output_count(const Net& net) { return net.layers.empty() ? 0 : net.layers.back().outputs; }

size_t net_multiplications(const Net& net, size_t inputs) {
    NetShape shape{net.steps, static_cast<uint32_t>(inputs) / net.steps};
    size_t count = 0;
    for (const NetLayer& layer : net.layers) {
        const NetShape after = shape_after(layer, shape);
        if (layer.kind != LayerKind::MaxPool) count += after.size() * weights_of_output(layer, shape);
        shape = after;
    }
    return count;
}

const char* layer_kind_name(LayerKind kind) {
    static const char* const kNames[] = {"dense", "conv1d", "maxpool"};
    return kNames[static_cast<size_t>(kind)];
}

}  // namespace rmt::models
