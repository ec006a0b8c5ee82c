// SPDX-License-Identifier: MIT
#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"
#include "models/json_read.h"
#include "models/net.h"

namespace rmt::models {
namespace {

constexpr int64_t kMaxExact = int64_t{1} << 53;

Json layer_json(const NetLayer& layer) {
    if (layer.kind == LayerKind::MaxPool) return {{"kind", "maxpool"}, {"kernel", layer.kernel}, {"stride", layer.stride}};
    Json json = {{"kind", layer_kind_name(layer.kind)}, {"outputs", layer.outputs},       {"weights", layer.weights},
                 {"bias", layer.bias},                  {"multiplier", layer.multiplier}, {"shift", layer.shift},
                 {"clamp", {layer.lo, layer.hi}}};
    if (layer.kind == LayerKind::Conv1d) json["kernel"] = layer.kernel, json["stride"] = layer.stride;
    return json;
}

Result<uint32_t> small(const Reader& reader, const char* key, int64_t min, int64_t max) {
    RMT_TRY(int64_t value, reader.int_at(key, min, max));
    return static_cast<uint32_t>(value);
}

Result<NetLayer> read_layer(const Reader& reader) {
    NetLayer layer;
    RMT_TRY(std::string kind, reader.string_at("kind"));
    if (kind == "dense") {
        RMT_CHECK(reader.only_keys({"kind", "outputs", "weights", "bias", "multiplier", "shift", "clamp"}));
    } else if (kind == "conv1d") {
        layer.kind = LayerKind::Conv1d;
        RMT_CHECK(reader.only_keys({"kind", "outputs", "weights", "bias", "multiplier", "shift", "clamp", "kernel", "stride"}));
    } else if (kind == "maxpool") {
        layer.kind = LayerKind::MaxPool;
        RMT_CHECK(reader.only_keys({"kind", "kernel", "stride"}));
    } else {
        return model_error("M0102", reader.path() + "/kind", "'" + kind + "' given; one of dense, conv1d, maxpool expected");
    }
    if (layer.kind != LayerKind::Dense) {
        RMT_TRY(layer.kernel, small(reader, "kernel", 1, RMT_NET_MAX_INPUTS));
        RMT_TRY(layer.stride, small(reader, "stride", 1, RMT_NET_MAX_INPUTS));
    }
    if (layer.kind == LayerKind::MaxPool) return layer;
    RMT_TRY(layer.outputs, small(reader, "outputs", 1, 1024));
    RMT_TRY(Reader weights, reader.at("weights"));
    RMT_TRY(auto numbers, weights.as_ints(INT32_MIN, INT32_MAX));
    layer.weights.assign(numbers.begin(), numbers.end());
    RMT_TRY(Reader bias, reader.at("bias"));
    RMT_TRY(layer.bias, bias.as_ints(-kMaxExact, kMaxExact));
    RMT_TRY(Reader multiplier, reader.at("multiplier"));
    RMT_TRY(layer.multiplier, multiplier.as_ints(1, kMaxExact));
    RMT_TRY(layer.shift, small(reader, "shift", 0, 61));
    RMT_TRY(Reader clamp, reader.at("clamp"));
    RMT_TRY(auto ends, clamp.as_ints(-kMaxExact, kMaxExact));
    if (ends.size() != 2) return model_error("M0102", clamp.path(), "a range is [lowest, highest], " + std::to_string(ends.size()) + " numbers given");
    layer.lo = ends[0], layer.hi = ends[1];
    return layer;
}

}  // namespace

std::string net_to_json(const Net& net) {
    Json json = {{"bits", net.bits}, {"steps", net.steps}, {"layers", Json::array()}};
    if (!net.scales.empty()) {
        Json multipliers = Json::array(), adds = Json::array();
        for (const InputScale& scale : net.scales) multipliers.push_back(scale.multiplier), adds.push_back(scale.add);
        json["scales"] = {{"multiplier", multipliers}, {"add", adds}, {"shift", net.input_shift}};
    }
    for (const NetLayer& layer : net.layers) json["layers"].push_back(layer_json(layer));
    return json.dump();
}

Result<Net> parse_net(const std::string& json) {
    RMT_TRY(Json parsed, parse_json(json));
    Reader reader(parsed, "/net");
    RMT_CHECK(reader.only_keys({"bits", "steps", "scales", "layers"}));
    Net net;
    RMT_TRY(net.bits, small(reader, "bits", 8, 32));
    RMT_TRY(net.steps, small(reader, "steps", 1, RMT_NET_MAX_INPUTS));
    if (auto scales = reader.find("scales")) {
        RMT_CHECK(scales->only_keys({"multiplier", "add", "shift"}));
        RMT_TRY(Reader multiplier, scales->at("multiplier"));
        RMT_TRY(Reader add, scales->at("add"));
        RMT_TRY(auto multipliers, multiplier.as_ints(-kMaxExact, kMaxExact));
        RMT_TRY(auto adds, add.as_ints(-(int64_t{1} << 62), int64_t{1} << 62));
        if (multipliers.size() != adds.size())
            return model_error("M0102", add.path(), std::to_string(adds.size()) + " numbers for " + std::to_string(multipliers.size()) + " multipliers");
        for (size_t i = 0; i < adds.size(); i++) net.scales.push_back({multipliers[i], adds[i]});
        RMT_TRY(net.input_shift, small(*scales, "shift", 0, 61));
    }
    RMT_TRY(Reader layers, reader.at("layers"));
    RMT_TRY(size_t count, layers.array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader one, layers.at(i));
        RMT_TRY(NetLayer layer, read_layer(one));
        net.layers.push_back(std::move(layer));
    }
    return net;
}

}  // namespace rmt::models
