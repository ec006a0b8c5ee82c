// SPDX-License-Identifier: MIT
#include "models/quantise_net.h"

#include <algorithm>
#include <cmath>

#include "models/errors.h"
#include "models/reference.h"

namespace rmt::models {
namespace {

constexpr int kInputShift = 36;
constexpr double kSumLimit = 1152921504606846976.0;  // 2^60: a quarter of what check_net() allows
constexpr double kBiasLimit = 4503599627370496.0;    // 2^52

struct Span {  // what an activation can be, in the float form's unit, and by how much the integers may differ from it
    double lo = 0, hi = 0, error = 0;
    double most() const { return std::max(std::abs(lo), std::abs(hi)); }
};

double largest(const std::vector<double>& values, size_t from, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = std::max(most, std::abs(values[from + i]));
    return most;
}

class Quantiser {
public:
    Quantiser(const FloatNet& net, const QuantiseOptions& options) : net_(net), options_(options), shapes_(float_shapes(net)) {}
    Net run();
    double bound() const { return bound_; }
    // An output of the integers, in the float form's unit.
    double real(int64_t output) const { return static_cast<double>(output) * output_unit_; }

private:
    Net linear();
    std::vector<Span> scale_inputs(Net& out);
    std::vector<Span> add_layer(Net& out, size_t at, const std::vector<Span>& in, double in_unit);
    double activation_limit(size_t at, const std::vector<Span>& spans) const;
    double shared_unit(const FloatLayer& layer, size_t count, double in_unit, double weight_limit) const;

    const FloatNet& net_;
    const QuantiseOptions& options_;
    const std::vector<NetShape> shapes_;
    std::vector<double> first_weights_, first_bias_;  // of layer 0, in the unit of the scaled inputs
    double limit_ = 32767, bound_ = 0, output_unit_ = 1;
};

// Weights in one fixed point for all outputs: as many fraction bits as 32-bit weights and 60-bit sums allow.
Net Quantiser::linear() {
    const FloatLayer& layer = net_.layers[0];
    Net out;
    out.bits = 32;
    NetLayer dense;
    dense.outputs = layer.outputs;
    uint32_t shift = 60;
    for (; shift > 0; shift--) {
        const double scale = std::ldexp(1.0, static_cast<int>(shift));
        bool fits = largest(layer.weights, 0, layer.weights.size()) * scale < 2147483646.0 && largest(layer.bias, 0, layer.bias.size()) * scale < kBiasLimit;
        for (size_t k = 0; k < layer.outputs && fits; k++) {
            double sum = std::abs(layer.bias[k]) * scale;
            for (size_t i = 0; i < net_.inputs; i++)
                sum += (std::abs(layer.weights[k * net_.inputs + i]) * scale + 1) * static_cast<double>(std::max(std::abs(options_.inputs[i].min), std::abs(options_.inputs[i].max)));
            fits = sum < kSumLimit;
        }
        if (fits) break;
    }
    const double scale = std::ldexp(1.0, static_cast<int>(shift));
    for (double weight : layer.weights) dense.weights.push_back(static_cast<int32_t>(std::clamp(std::nearbyint(weight * scale), -2147483647.0, 2147483647.0)));
    for (double bias : layer.bias) dense.bias.push_back(static_cast<int64_t>(std::nearbyint(std::clamp(bias * scale, -kBiasLimit, kBiasLimit))));
    dense.multiplier.assign(layer.outputs, 1);
    for (size_t k = 0; k < layer.outputs; k++) {
        double error = std::abs(layer.bias[k] - static_cast<double>(dense.bias[k]) / scale);
        for (size_t i = 0; i < net_.inputs; i++)
            error += std::abs(layer.weights[k * net_.inputs + i] - dense.weights[k * net_.inputs + i] / scale) *
                     static_cast<double>(std::max(std::abs(options_.inputs[i].min), std::abs(options_.inputs[i].max)));
        bound_ = std::max(bound_, error);
    }
    const bool round = options_.link == Link::Round;
    dense.shift = round ? shift : 0;
    if (round) bound_ += 0.5;
    output_unit_ = round ? 1 : 1 / scale;
    dense.lo = -(int64_t{1} << 53), dense.hi = int64_t{1} << 53;
    out.layers.push_back(std::move(dense));
    return out;
}

// Each input from its range to -limit..limit; those of one channel alike when a convolution comes first. The first layer's weights
// are taken over into the new unit.
std::vector<Span> Quantiser::scale_inputs(Net& out) {
    const FloatLayer& layer = net_.layers[0];
    const bool dense = layer.kind == LayerKind::Dense;
    const size_t channels = shapes_[0].channels, count = dense ? net_.inputs : layer.kernel * channels;
    std::vector<Span> spans;
    std::vector<double> middles, units;
    for (size_t i = 0; i < net_.inputs; i++) {
        double lo = static_cast<double>(options_.inputs[i].min), hi = static_cast<double>(options_.inputs[i].max);
        for (size_t other = i % channels; !dense && other < net_.inputs; other += channels) {
            lo = std::min(lo, static_cast<double>(options_.inputs[other].min));
            hi = std::max(hi, static_cast<double>(options_.inputs[other].max));
        }
        const double middle = std::floor((lo + hi) / 2), unit = std::max(hi - middle, 1.0) / limit_;
        const double multiplier = std::nearbyint(std::ldexp(1 / unit, kInputShift));
        const auto m = static_cast<int64_t>(multiplier);
        out.scales.push_back({m, -static_cast<int64_t>(middle) * m + (int64_t{1} << (kInputShift - 1))});
        middles.push_back(middle), units.push_back(unit);
        const double wrong = std::abs(multiplier - std::ldexp(1 / unit, kInputShift)) * std::ldexp(std::max(hi - middle, middle - lo), -kInputShift);
        spans.push_back({(static_cast<double>(options_.inputs[i].min) - middle) / unit, (static_cast<double>(options_.inputs[i].max) - middle) / unit, 0.5 + wrong});
    }
    out.input_shift = kInputShift;
    first_weights_ = layer.weights, first_bias_ = layer.bias;
    for (size_t k = 0; k < layer.outputs; k++)
        for (size_t i = 0; i < count; i++) {
            first_bias_[k] += layer.weights[k * count + i] * middles[i];
            first_weights_[k * count + i] *= units[i];
        }
    return spans;
}

// The largest activation that a layer's integers have to hold.
double Quantiser::activation_limit(size_t at, const std::vector<Span>& spans) const {
    double most = 0;
    if (options_.bits == 16) {
        for (const Span& span : spans) most = std::max(most, net_.layers[at].relu ? span.hi : span.most());
    } else {
        for (const auto& row : options_.rows) {
            std::vector<double> inputs(row.begin(), row.end());
            std::vector<std::vector<double>> activations;
            float_outputs(net_, inputs, &activations);
            for (double value : activations[at]) most = std::max(most, std::abs(value));
        }
    }
    // nothing that can be active (all inputs constant, say) is no reason for a unit that nothing else fits
    const FloatLayer& layer = net_.layers[at];
    return std::max({most, 1e-9 * largest(layer.weights, 0, layer.weights.size()), 1e-9 * largest(layer.bias, 0, layer.bias.size()), 1e-30});
}

// A unit of all weights: outputs that are compared with each other need the same one.
double Quantiser::shared_unit(const FloatLayer& layer, size_t count, double in_unit, double weight_limit) const {
    (void)count;
    return std::max(largest(layer.weights, 0, layer.weights.size()) * in_unit / weight_limit, 1e-300);
}

// Spans of `in` are in units of the integers that come in when at is 0, else in the float form's; in_unit turns integers into it.
std::vector<Span> Quantiser::add_layer(Net& out, size_t at, const std::vector<Span>& in, double in_unit) {
    FloatLayer layer = net_.layers[at];
    if (at == 0) layer.weights = first_weights_, layer.bias = first_bias_;
    const NetShape before = shapes_[at], after = shapes_[at + 1];
    NetLayer made;
    made.kind = layer.kind, made.outputs = layer.outputs, made.kernel = layer.kernel, made.stride = layer.stride;
    const bool last = at + 1 == net_.layers.size();
    const size_t count = layer.kind == LayerKind::Dense ? before.size() : size_t{layer.kernel} * before.channels;
    std::vector<double> units(layer.outputs), wrong(layer.outputs);
    const bool raw = last && options_.link != Link::Round;
    for (size_t k = 0; k < layer.outputs; k++) {
        double unit = std::max({largest(layer.weights, k * count, count) * in_unit / limit_, std::abs(layer.bias[k]) / 1e13, 1e-300});
        if (raw) unit = std::max(shared_unit(layer, count, in_unit, limit_), largest(layer.bias, 0, layer.bias.size()) / 1e13);
        units[k] = unit;
        for (size_t i = 0; i < count; i++) made.weights.push_back(static_cast<int32_t>(std::nearbyint(layer.weights[k * count + i] * in_unit / unit)));
        made.bias.push_back(static_cast<int64_t>(std::nearbyint(layer.bias[k] / unit)));
    }
    std::vector<Span> spans(after.size());
    for (uint32_t t = 0; t < after.steps; t++)
        for (uint32_t k = 0; k < layer.outputs; k++) {
            const size_t from = layer.kind == LayerKind::Dense ? 0 : size_t{t} * layer.stride * before.channels;
            Span span{layer.bias[k], layer.bias[k], std::abs(layer.bias[k] - static_cast<double>(made.bias[k]) * units[k])};
            for (size_t i = 0; i < count; i++) {
                const double weight = layer.weights[k * count + i], kept = made.weights[k * count + i] * units[k] / in_unit;
                const Span& x = in[from + i];
                span.lo += std::min(weight * x.lo, weight * x.hi);
                span.hi += std::max(weight * x.lo, weight * x.hi);
                span.error += std::abs(kept) * x.error + std::abs(weight - kept) * x.most();
            }
            if (layer.relu) span.lo = std::max(span.lo, 0.0), span.hi = std::max(span.hi, 0.0);
            spans[t * layer.outputs + k] = span;
        }
    // Outputs: integers of the answer's unit, or of their own; hidden activations: a unit that holds them all.
    double out_unit = 1;
    if (raw)
        out_unit = units[0];
    else if (!last)
        out_unit = activation_limit(at, spans) / limit_;
    int shift = raw ? 0 : 60;
    auto fits = [&](int bits) {
        for (size_t k = 0; k < layer.outputs; k++) {
            double sum = std::abs(static_cast<double>(made.bias[k]));
            for (size_t i = 0; i < count; i++) {
                double most = 0;  // over all positions; the integers may be off by half a unit
                for (uint32_t t = 0; t < (layer.kind == LayerKind::Dense ? 1 : after.steps); t++) {
                    const Span& x = in[(layer.kind == LayerKind::Dense ? 0 : size_t{t} * layer.stride * before.channels) + i];
                    most = std::max(most, x.most() / in_unit + x.error / in_unit + 1);
                }
                if (at > 0) most = std::min(most, limit_ + 1);
                sum += std::abs(made.weights[k * count + i]) * most;
            }
            const double multiplier = std::ldexp(units[k] / out_unit, bits);
            if ((sum + 1) * (multiplier + 1) > kSumLimit || multiplier > 2147483648.0) return false;
        }
        return true;
    };
    while (shift > 0 && !fits(shift)) shift--;
    made.shift = static_cast<uint32_t>(shift);
    for (size_t k = 0; k < layer.outputs; k++) {
        const double exact = std::ldexp(units[k] / out_unit, shift);
        made.multiplier.push_back(std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(exact))));
        wrong[k] = std::abs(static_cast<double>(made.multiplier.back()) / exact - 1);
    }
    for (size_t i = 0; i < spans.size(); i++)
        spans[i].error += (raw ? 0 : 0.5 * out_unit) + wrong[i % layer.outputs] * (spans[i].most() + spans[i].error);
    const auto most = static_cast<int64_t>(limit_);
    made.lo = last ? -(int64_t{1} << 53) : layer.relu ? 0 : -most;
    made.hi = last ? int64_t{1} << 53 : most;
    output_unit_ = out_unit;
    out.layers.push_back(std::move(made));
    return spans;
}

Net Quantiser::run() {
    if (net_.layers.size() == 1 && net_.layers[0].kind == LayerKind::Dense) return linear();
    Net out;
    out.bits = options_.bits;
    out.steps = net_.steps;
    limit_ = options_.bits == 8 ? 127 : 32767;
    std::vector<Span> spans = scale_inputs(out);
    output_unit_ = 1;  // layer 0's weights are in the unit of the scaled inputs already
    for (size_t at = 0; at < net_.layers.size(); at++) {
        const FloatLayer& layer = net_.layers[at];
        if (layer.kind != LayerKind::MaxPool) {
            spans = add_layer(out, at, spans, output_unit_);
            continue;
        }
        const NetShape before = shapes_[at], after = shapes_[at + 1];
        std::vector<Span> pooled(after.size());
        for (uint32_t t = 0; t < after.steps; t++)
            for (uint32_t c = 0; c < after.channels; c++) {
                Span& one = pooled[t * after.channels + c] = spans[t * layer.stride * before.channels + c];
                for (uint32_t i = 1; i < layer.kernel; i++) {
                    const Span& other = spans[(t * layer.stride + i) * before.channels + c];
                    one = {std::max(one.lo, other.lo), std::max(one.hi, other.hi), std::max(one.error, other.error)};
                }
            }
        spans = std::move(pooled);
        NetLayer pool;
        pool.kind = LayerKind::MaxPool, pool.kernel = layer.kernel, pool.stride = layer.stride;
        out.layers.push_back(std::move(pool));
    }
    for (const Span& span : spans) bound_ = std::max(bound_, span.error);
    return out;
}

ModelKind kind_of(const FloatNet& net) {
    for (const FloatLayer& layer : net.layers)
        if (layer.kind != LayerKind::Dense) return ModelKind::Conv;
    return net.layers.size() > 1 ? ModelKind::Mlp : ModelKind::Linear;
}

// Whether outputs that differ by at most the bound lead to the same decision.
bool proved(const std::vector<double>& outputs, Link link, double bound) {
    if (link == Link::Positive) return std::abs(outputs[0]) > bound;
    if (link == Link::Round) return false;  // of an integer's neighbours either may be answered
    const auto best = std::max_element(outputs.begin(), outputs.end());
    for (auto it = outputs.begin(); it != outputs.end(); ++it)
        if (it != best && *best - *it <= 2 * bound) return false;
    return true;
}

int64_t answer_from(const std::vector<double>& outputs, const QuantiseOptions& options) {
    if (options.link == Link::Positive) return outputs[0] > 0 ? 1 : 0;
    if (options.link == Link::Argmax) {
        const auto best = std::max_element(outputs.begin(), outputs.end()) - outputs.begin();
        return options.answers.empty() ? best : options.answers[static_cast<size_t>(best)];
    }
    const double value = std::floor(outputs[0] + 0.5);
    return static_cast<int64_t>(std::clamp(value, static_cast<double>(options.output.min), static_cast<double>(options.output.max)));
}

}  // namespace

int64_t float_answer(const FloatNet& net, const QuantiseOptions& options, std::span<const int64_t> inputs) {
    return answer_from(float_outputs(net, std::vector<double>(inputs.begin(), inputs.end())), options);
}

Result<QuantiseReport> quantise_net(const FloatNet& net, const QuantiseOptions& options) {
    RMT_CHECK(check_float_net(net));
    if (options.inputs.size() != net.inputs)
        return model_error("M0305", "", std::to_string(options.inputs.size()) + " inputs are named, the net has " + std::to_string(net.inputs));
    if (options.bits != 8 && options.bits != 16) return model_error("M0305", "", std::to_string(options.bits) + " bits given; 8 or 16 expected");
    const ModelKind kind = kind_of(net);
    if (options.bits == 8 && kind != ModelKind::Linear && options.rows.empty())
        return model_error("M0305", "", "8 bits need rows: their scales are those of the activations seen", "give rows, or use 16 bits");
    Quantiser quantiser(net, options);
    QuantiseReport report;
    Model& model = report.model;
    model.name = options.name;
    model.kind = kind;
    model.inputs = options.inputs;
    model.output = options.output;
    model.link = options.link;
    model.answers = options.answers;
    model.net = quantiser.run();
    model.origin = float_net_to_json(net);
    RMT_CHECK(check_model(model));
    seal(model);
    if (kind == ModelKind::Linear || options.bits == 16) report.bound = quantiser.bound();
    for (const auto& row : options.rows) {
        const auto answer = infer(model, row);
        if (!answer) continue;
        report.rows++;
        const std::vector<double> expected = float_outputs(net, std::vector<double>(row.begin(), row.end()));
        const std::vector<int64_t> given = net_outputs(*model.net, row);
        for (size_t k = 0; k < given.size(); k++) report.largest_difference = std::max(report.largest_difference, std::abs(quantiser.real(given[k]) - expected[k]));
        report.different += *answer != answer_from(expected, options);
        if (report.bound) report.undecided += !proved(expected, options.link, *report.bound);
    }
    return report;
}

}  // namespace rmt::models
