// SPDX-License-Identifier: MIT
#include "models/float_net.h"

#include <algorithm>
#include <cmath>

#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"
#include "models/json_read.h"

namespace rmt::models {
namespace {

std::string number(size_t n) { return std::to_string(n); }

size_t weights_of_output(const FloatLayer& layer, const NetShape& before) {
    return layer.kind == LayerKind::Dense ? before.size() : size_t{layer.kernel} * before.channels;
}

NetShape shape_after(const FloatLayer& layer, const NetShape& before) {
    if (layer.kind == LayerKind::Dense) return {1, layer.outputs};
    return {(before.steps - layer.kernel) / layer.stride + 1, layer.kind == LayerKind::Conv1d ? layer.outputs : before.channels};
}

std::vector<double> run_layer(const FloatLayer& layer, const NetShape& before, const std::vector<double>& in) {
    const NetShape after = shape_after(layer, before);
    const size_t count = weights_of_output(layer, before);
    std::vector<double> out(after.size());
    for (uint32_t t = 0; t < after.steps; t++)
        for (uint32_t k = 0; k < after.channels; k++) {
            const size_t from = layer.kind == LayerKind::Dense ? 0 : size_t{t} * layer.stride * before.channels;
            double& result = out[t * after.channels + k];
            if (layer.kind == LayerKind::MaxPool) {
                result = in[from + k];
                for (uint32_t i = 1; i < layer.kernel; i++) result = std::max(result, in[from + i * before.channels + k]);
                continue;
            }
            result = layer.bias[k];
            for (size_t i = 0; i < count; i++) result += layer.weights[k * count + i] * in[from + i];
            if (layer.relu) result = std::max(result, 0.0);
        }
    return out;
}

Result<void> check_layer(const FloatNet& net, size_t at, const NetShape& before) {
    const FloatLayer& layer = net.layers[at];
    const std::string path = "/layers/" + number(at);
    if (layer.kind != LayerKind::Dense && (layer.kernel < 1 || layer.kernel > before.steps || layer.stride < 1))
        return model_error("M0107", path + "/kernel", "kernel " + number(layer.kernel) + ", stride " + number(layer.stride) + " do not fit " + number(before.steps) + " time steps");
    if (layer.kind == LayerKind::MaxPool) return {};
    if (layer.outputs < 1 || layer.weights.size() != layer.outputs * weights_of_output(layer, before) || layer.bias.size() != layer.outputs)
        return model_error("M0107", path + "/weights", number(layer.weights.size()) + " weights and " + number(layer.bias.size()) + " biases given, " +
                                                           number(layer.outputs * weights_of_output(layer, before)) + " and " + number(layer.outputs) + " expected");
    for (const auto* list : {&layer.weights, &layer.bias})
        for (size_t i = 0; i < list->size(); i++)
            if (!std::isfinite((*list)[i])) return model_error("M0111", path + (list == &layer.bias ? "/bias/" : "/weights/") + number(i), "is not a finite number");
    return {};
}

Result<std::vector<double>> read_doubles(const Reader& reader) {
    RMT_TRY(size_t size, reader.array_size());
    std::vector<double> out;
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader one, reader.at(i));
        RMT_TRY(double value, one.as_double());
        out.push_back(value);
    }
    return out;
}

Result<FloatLayer> read_layer(const Reader& reader) {
    RMT_CHECK(reader.only_keys({"kind", "outputs", "weights", "bias", "relu", "kernel", "stride"}));
    FloatLayer layer;
    RMT_TRY(std::string kind, reader.string_at("kind"));
    if (kind != "dense" && kind != "conv1d" && kind != "maxpool")
        return model_error("M0102", reader.path() + "/kind", "'" + kind + "' given; one of dense, conv1d, maxpool expected");
    layer.kind = kind == "dense" ? LayerKind::Dense : kind == "conv1d" ? LayerKind::Conv1d : LayerKind::MaxPool;
    if (layer.kind != LayerKind::Dense) {
        RMT_TRY(int64_t kernel, reader.int_at("kernel", 1, RMT_NET_MAX_INPUTS));
        RMT_TRY(int64_t stride, reader.int_at("stride", 1, RMT_NET_MAX_INPUTS));
        layer.kernel = static_cast<uint32_t>(kernel), layer.stride = static_cast<uint32_t>(stride);
    }
    if (layer.kind == LayerKind::MaxPool) return layer;
    RMT_TRY(int64_t outputs, reader.int_at("outputs", 1, 1024));
    layer.outputs = static_cast<uint32_t>(outputs);
    RMT_TRY(Reader weights, reader.at("weights"));
    RMT_TRY(layer.weights, read_doubles(weights));
    RMT_TRY(Reader bias, reader.at("bias"));
    RMT_TRY(layer.bias, read_doubles(bias));
    if (auto relu = reader.find("relu")) {
        if (!relu->json().is_boolean()) return model_error("M0102", relu->path(), "true or false is expected");
        layer.relu = relu->json().get<bool>();
    }
    return layer;
}

}  // namespace

std::vector<NetShape> float_shapes(const FloatNet& net) {
    std::vector<NetShape> shapes = {{net.steps, net.inputs / net.steps}};
    for (const FloatLayer& layer : net.layers) shapes.push_back(shape_after(layer, shapes.back()));
    return shapes;
}

Result<void> check_float_net(const FloatNet& net) {
    if (net.inputs < 1 || net.inputs > RMT_NET_MAX_INPUTS || net.steps < 1 || net.inputs % net.steps != 0)
        return model_error("M0107", "/inputs", number(net.inputs) + " inputs in " + number(net.steps) + " time steps; 1.." + number(RMT_NET_MAX_INPUTS) + ", steps of equal size expected");
    if (net.layers.empty()) return model_error("M0107", "/layers", "a net has at least one layer");
    NetShape shape{net.steps, net.inputs / net.steps};
    for (size_t at = 0; at < net.layers.size(); at++) {
        RMT_CHECK(check_layer(net, at, shape));
        shape = shape_after(net.layers[at], shape);
    }
    if (net.layers.back().kind != LayerKind::Dense || net.layers.back().relu)
        return model_error("M0107", "/layers/" + number(net.layers.size() - 1), "the last layer is dense and without relu");
    return {};
}

std::vector<double> float_outputs(const FloatNet& net, std::span<const double> inputs, std::vector<std::vector<double>>* activations) {
    std::vector<double> values(inputs.begin(), inputs.end());
    NetShape shape{net.steps, net.inputs / net.steps};
    for (const FloatLayer& layer : net.layers) {
        values = run_layer(layer, shape, values);
        shape = shape_after(layer, shape);
        if (activations) activations->push_back(values);
    }
    return values;
}

Result<void> fold_scaler(FloatNet& net, std::span<const double> mean, std::span<const double> scale) {
    if (mean.size() != net.inputs || scale.size() != net.inputs)
        return model_error("M0107", "/scaler", number(mean.size()) + " means and " + number(scale.size()) + " scales for " + number(net.inputs) + " inputs");
    FloatLayer& layer = net.layers[0];
    const NetShape before{net.steps, net.inputs / net.steps};
    const size_t count = weights_of_output(layer, before);
    if (layer.kind != LayerKind::Dense)
        for (size_t i = before.channels; i < mean.size(); i++)
            if (mean[i] != mean[i - before.channels] || scale[i] != scale[i - before.channels])
                return model_error("M0107", "/scaler", "input " + number(i) + " is scaled otherwise than the time step before it", "scale all time steps of a channel alike");
    for (size_t k = 0; k < layer.outputs; k++)
        for (size_t i = 0; i < count; i++) {
            double& weight = layer.weights[k * count + i];
            weight /= scale[i] == 0 ? 1 : scale[i];
            layer.bias[k] -= weight * mean[i];
        }
    return check_float_net(net);
}

std::string float_net_to_json(const FloatNet& net) {
    Json json = {{"rmt_float_net", 1}, {"inputs", net.inputs}, {"steps", net.steps}, {"layers", Json::array()}};
    for (const FloatLayer& layer : net.layers) {
        Json one = {{"kind", layer_kind_name(layer.kind)}};
        if (layer.kind != LayerKind::Dense) one["kernel"] = layer.kernel, one["stride"] = layer.stride;
        if (layer.kind != LayerKind::MaxPool)
            one["outputs"] = layer.outputs, one["weights"] = layer.weights, one["bias"] = layer.bias, one["relu"] = layer.relu;
        json["layers"].push_back(one);
    }
    return json.dump();
}

Result<FloatNet> parse_float_net(const std::string& json) {
    RMT_TRY(Json parsed, parse_json(json));
    Reader reader(parsed, "");
    RMT_TRY(int64_t version, reader.int_at("rmt_float_net", 1, 1));
    (void)version;
    RMT_CHECK(reader.only_keys({"rmt_float_net", "inputs", "steps", "layers", "scaler"}));
    FloatNet net;
    RMT_TRY(int64_t inputs, reader.int_at("inputs", 1, RMT_NET_MAX_INPUTS));
    RMT_TRY(int64_t steps, reader.int_at("steps", 1, RMT_NET_MAX_INPUTS));
    net.inputs = static_cast<uint32_t>(inputs), net.steps = static_cast<uint32_t>(steps);
    RMT_TRY(Reader layers, reader.at("layers"));
    RMT_TRY(size_t count, layers.array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader one, layers.at(i));
        RMT_TRY(FloatLayer layer, read_layer(one));
        net.layers.push_back(std::move(layer));
    }
    RMT_CHECK(check_float_net(net));
    if (auto scaler = reader.find("scaler")) {
        RMT_CHECK(scaler->only_keys({"mean", "scale"}));
        RMT_TRY(Reader mean, scaler->at("mean"));
        RMT_TRY(Reader scale, scaler->at("scale"));
        RMT_TRY(std::vector<double> means, read_doubles(mean));
        RMT_TRY(std::vector<double> scales, read_doubles(scale));
        RMT_CHECK(fold_scaler(net, means, scales));
    }
    return net;
}

}  // namespace rmt::models
