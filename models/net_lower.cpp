// SPDX-License-Identifier: MIT
#include "models/net_lower.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

struct Lowered {
    std::vector<rmt_net_tile> tiles;
    std::vector<rmt_net_row> rows;
    std::vector<int64_t> words;
    uint32_t width = 0, result = 0;
};

std::string number(int64_t n) { return std::to_string(n); }

uint32_t round_up(uint32_t n, uint32_t unit) { return (n + unit - 1) / unit * unit; }

bool is_direct(const Model& model) { return model.kind == ModelKind::Linear && model.net->scales.empty() && net_output_count(*model.net) == 1; }

std::vector<Interval> ranges_of(const Model& model) {
    std::vector<Interval> ranges;
    for (const ModelInput& input : model.inputs) ranges.emplace_back(input.min, input.max);
    return ranges;
}

bool fit_lanes(const std::vector<Interval>& sums) {
    constexpr int64_t kLimit = int64_t{1} << (RMT_NET_LANE_BITS - 1);
    return std::all_of(sums.begin(), sums.end(), [](const Interval& sum) { return sum.first >= -kLimit && sum.second < kLimit; });
}

// The clamp of the last layer and that of the output in one: both are monotone.
Interval last_clamp(const Model& model, const NetLayer& layer) {
    if (model.link != Link::Round) return {layer.lo, layer.hi};
    return {std::clamp(layer.lo, model.output.min, model.output.max), std::clamp(layer.hi, model.output.min, model.output.max)};
}

int64_t half(uint32_t shift) { return shift > 0 ? int64_t{1} << (shift - 1) : 0; }

class Builder {
public:
    Builder(const Model& model, const NetBounds& bounds) : model_(model), net_(*model.net), bounds_(bounds) {}
    Lowered build();

private:
    void add_layer(size_t at, uint32_t from, uint32_t to);
    void add_blocks(const NetLayer& layer, uint32_t output, uint32_t count);
    void add_row(const NetLayer& layer, uint32_t output, const Interval& clamp);
    void add_tiles(uint32_t from, uint32_t to, uint32_t row, uint32_t block, uint32_t flags);

    const Model& model_;
    const Net& net_;
    const NetBounds& bounds_;
    Lowered out_;
    bool packed_ = false;
    uint32_t outputs_of_row_ = 0, blocks_of_row_ = 0;
};

// The weights of one row: its outputs' rows of the matrix, activation by activation, filled up with zeros.
void Builder::add_blocks(const NetLayer& layer, uint32_t output, uint32_t count) {
    const size_t start = out_.words.size();
    out_.words.resize(start + size_t{blocks_of_row_} * RMT_NET_WORDS, 0);
    const uint32_t lanes = packed_ ? RMT_NET_LANES : 1;
    for (uint32_t k = 0; k < outputs_of_row_ && output + k < layer.outputs; k++)
        for (uint32_t i = 0; i < count; i++) {
            auto& word = out_.words[start + size_t{i} * RMT_NET_ACCUMULATORS + k / lanes];
            const auto weight = static_cast<uint64_t>(int64_t{layer.weights[size_t{output + k} * count + i]});
            word = static_cast<int64_t>(static_cast<uint64_t>(word) + (weight << (k % lanes * RMT_NET_LANE_BITS)));
        }
}

void Builder::add_row(const NetLayer& layer, uint32_t output, const Interval& clamp) {
    rmt_net_row row = {};
    for (uint32_t k = 0; k < outputs_of_row_ && output + k < layer.outputs; k++) {
        row.multiplier[k] = layer.multiplier[output + k];
        row.add[k] = layer.bias[output + k] * layer.multiplier[output + k] + half(layer.shift);
    }
    row.lo = clamp.first;
    row.hi = clamp.second;
    row.shift = layer.shift;
    out_.rows.push_back(row);
}

void Builder::add_tiles(uint32_t from, uint32_t to, uint32_t row, uint32_t block, uint32_t flags) {
    for (uint32_t i = 0; i < blocks_of_row_; i += 2) {
        const bool last = i + 2 >= blocks_of_row_, wide = i + 1 < blocks_of_row_;
        out_.tiles.push_back({from + i * RMT_NET_TILE, block + i, to, row | (wide ? RMT_NET_WIDE : 0) | (last ? flags | RMT_NET_LAST : 0)});
    }
}

// Activations at `from` to activations at `to`; a max-pool behind the layer is done on the way: its windows do not overlap.
// A row that is filled up writes into what is written later: the next position, the next layer, the slack.
void Builder::add_layer(size_t at, uint32_t from, uint32_t to) {
    const NetLayer& layer = net_.layers[at];
    const std::vector<NetShape> shapes = net_shapes(net_, model_.inputs.size());
    const NetShape before = shapes[at], after = shapes[at + 1];
    const bool last = at + 1 == net_.layers.size();
    const NetLayer* pool = !last && net_.layers[at + 1].kind == LayerKind::MaxPool ? &net_.layers[at + 1] : nullptr;
    const Interval clamp = last ? last_clamp(model_, layer) : Interval{layer.lo, layer.hi};
    packed_ = fit_lanes(bounds_.sums[at]);
    outputs_of_row_ = packed_ ? RMT_NET_ROW_OUTPUTS : RMT_NET_ACCUMULATORS;
    const uint32_t count = layer.kind == LayerKind::Dense ? before.size() : layer.kernel * before.channels;
    blocks_of_row_ = (count + RMT_NET_TILE - 1) / RMT_NET_TILE;
    const auto first_row = static_cast<uint32_t>(out_.rows.size());
    const auto first_block = static_cast<uint32_t>(out_.words.size() / RMT_NET_WORDS);
    for (uint32_t k = 0; k < layer.outputs; k += outputs_of_row_) {
        add_blocks(layer, k, count);
        add_row(layer, k, clamp);
    }
    const uint32_t rows = static_cast<uint32_t>(out_.rows.size()) - first_row;
    for (uint32_t t = 0; t < after.steps; t++) {
        uint32_t place = t;
        uint32_t flags = packed_ ? RMT_NET_PACKED : 0;
        if (pool) {
            place = t / pool->stride;
            if (t % pool->stride >= pool->kernel || place >= shapes[at + 2].steps) continue;
            if (t % pool->stride > 0) flags |= RMT_NET_MAX;
        }
        const uint32_t start = layer.kind == LayerKind::Dense ? from : from + t * layer.stride * before.channels;
        for (uint32_t r = 0; r < rows; r++)
            add_tiles(start, to + place * after.channels + r * outputs_of_row_, first_row + r, first_block + r * blocks_of_row_, flags);
    }
}

Lowered Builder::build() {
    const std::vector<NetShape> shapes = net_shapes(net_, model_.inputs.size());
    uint32_t from = 0, to = round_up(static_cast<uint32_t>(model_.inputs.size()), RMT_NET_INPUT_GROUP);
    for (size_t at = 0; at < net_.layers.size(); at++) {
        if (net_.layers[at].kind == LayerKind::MaxPool) continue;
        const bool pooled = at + 1 < net_.layers.size() && net_.layers[at + 1].kind == LayerKind::MaxPool;
        add_layer(at, from, to);
        from = to;
        to += shapes[at + (pooled ? 2 : 1)].size();
    }
    out_.result = from;
    out_.width = to;
    return std::move(out_);
}

Result<Lowered> build(const Model& model) {
    RMT_TRY(NetBounds bounds, net_bounds(*model.net, ranges_of(model)));
    return Builder(model, bounds).build();
}

rmt_net_header make_header(const Model& model, uint32_t version) {
    rmt_net_header header = {};
    header.layout = RMT_NET_LAYOUT;
    header.link = static_cast<uint32_t>(model.link == Link::Round ? RMT_NET_ROUND : model.link == Link::Positive ? RMT_NET_POSITIVE : RMT_NET_ARGMAX);
    header.outputs = static_cast<uint32_t>(net_output_count(*model.net));
    header.inputs = static_cast<uint32_t>(model.inputs.size());
    header.version = version;
    const std::string hex = model.digest.starts_with("sha256:") ? model.digest.substr(7, 16) : "";
    header.digest = std::strtoull(hex.c_str(), nullptr, 16);
    const Interval clamp = last_clamp(model, model.net->layers.back());
    header.out_min = clamp.first;
    header.out_max = clamp.second;
    return header;
}

std::vector<rmt_net_input> make_inputs(const Model& model, const NetClass& shape) {
    std::vector<rmt_net_input> inputs(shape.inputs, {0, 0, 0, UINT32_MAX});
    const bool scaled = !model.net->scales.empty();
    for (size_t i = 0; i < model.inputs.size(); i++) {
        const ModelInput& input = model.inputs[i];
        inputs[i] = {scaled ? model.net->scales[i].multiplier : 1, scaled ? model.net->scales[i].add : 0, static_cast<int32_t>(input.min),
                     static_cast<uint32_t>(input.max - input.min)};
    }
    return inputs;
}

template <class T>
void append(std::vector<uint8_t>& value, const std::vector<T>& items, size_t room) {
    const size_t start = value.size();
    value.resize(start + room * sizeof(T), 0);
    if (!items.empty()) std::memcpy(value.data() + start, items.data(), std::min(items.size(), room) * sizeof(T));
}

std::vector<uint8_t> lower_direct(const Model& model, const NetClass& shape, uint32_t version) {
    rmt_net_header header = make_header(model, version);
    const NetLayer& layer = model.net->layers[0];
    header.kind = RMT_NET_LINEAR_KIND;
    header.input_shift = layer.shift;
    header.base = layer.bias[0];
    header.multiplier = layer.multiplier[0];
    header.add = half(layer.shift);
    std::vector<rmt_net_input> inputs = make_inputs(model, shape);
    for (size_t i = 0; i < model.inputs.size(); i++) inputs[i].multiplier = layer.weights[i];
    std::vector<uint8_t> value;
    append(value, std::vector<rmt_net_header>{header}, 1);
    append(value, inputs, inputs.size());
    return value;
}

}  // namespace

bool packs(const Model& model, size_t layer) {
    auto bounds = net_bounds(*model.net, ranges_of(model));
    return bounds && model.net->layers[layer].kind != LayerKind::MaxPool && fit_lanes(bounds->sums[layer]);
}

NetClass smallest_net_class(const Model& model) {
    NetClass shape;
    shape.inputs = round_up(static_cast<uint32_t>(model.inputs.size()), RMT_NET_INPUT_GROUP);
    if (is_direct(model)) return shape;
    auto lowered = build(model);
    RMT_BUG_IF(!lowered, "a class is asked for a net that was not checked");
    shape.tiles = std::bit_ceil(static_cast<uint32_t>(lowered->tiles.size()));
    shape.rows = std::bit_ceil(static_cast<uint32_t>(lowered->rows.size()));
    shape.blocks = std::bit_ceil(static_cast<uint32_t>(lowered->words.size() / RMT_NET_WORDS));
    shape.width = std::bit_ceil(std::max(lowered->width, shape.inputs));
    shape.outputs = std::bit_ceil(static_cast<uint32_t>(net_output_count(*model.net)));
    return shape;
}

Result<void> check_net_fits(const Model& model, const NetClass& shape) {
    const NetClass need = smallest_net_class(model);
    struct Part {
        const char* what;
        uint32_t need, room;
    };
    const Part parts[] = {{"inputs", need.inputs, shape.inputs}, {"tiles", need.tiles, shape.tiles},    {"rows", need.rows, shape.rows},
                          {"blocks", need.blocks, shape.blocks}, {"activations", need.width, shape.width}, {"outputs", need.outputs, shape.outputs}};
    for (const Part& part : parts)
        if (part.need > part.room)
            return model_error("M0206", "", "model '" + model.name + "' needs " + number(part.need) + " " + part.what + ", the policy was compiled for " + number(part.room),
                               "train a smaller one, or compile the policy with this model as its source");
    if (need.tiles > RMT_NET_MAX_TILES || need.width > RMT_NET_MAX_WIDTH)
        return model_error("M0206", "", "model '" + model.name + "' needs " + number(need.tiles) + " tiles and " + number(need.width) + " activations, the engine has at most " +
                                            number(RMT_NET_MAX_TILES) + " and " + number(RMT_NET_MAX_WIDTH), "train a smaller one");
    return {};
}

uint32_t net_value_size(const NetClass& shape) {
    return static_cast<uint32_t>(RMT_NET_VALUE_SIZE(size_t{shape.inputs}, size_t{shape.tiles}, size_t{shape.rows}, size_t{shape.blocks}, size_t{shape.outputs}));
}

Result<std::vector<uint8_t>> lower_net(const Model& model, const NetClass& shape, uint32_t version) {
    RMT_CHECK(check_model(model));
    RMT_BUG_IF(!model.net, "a model without a net is lowered as one");
    RMT_CHECK(check_net_fits(model, shape));
    if (shape.tiles == 0) return lower_direct(model, shape, version);
    RMT_TRY(Lowered lowered, build(model));
    rmt_net_header header = make_header(model, version);
    header.kind = RMT_NET_KIND;
    header.tiles = static_cast<uint32_t>(lowered.tiles.size());
    header.input_shift = model.net->input_shift;
    header.result = lowered.result;
    std::vector<int64_t> answers;
    for (size_t k = 0; k < header.outputs && shape.outputs > 1; k++) answers.push_back(answer_of(model, k));
    std::vector<uint8_t> value;
    append(value, std::vector<rmt_net_header>{header}, 1);
    append(value, make_inputs(model, shape), shape.inputs);
    append(value, answers, RMT_NET_ANSWERS(shape.outputs));
    append(value, lowered.tiles, shape.tiles);
    append(value, lowered.rows, shape.rows);
    append(value, lowered.words, size_t{shape.blocks} * RMT_NET_WORDS);
    Result<void> checked = check_net_value(value, shape);
    RMT_BUG_IF(!checked, checked ? "" : checked.error().message.c_str());
    return value;
}

Result<void> check_net_value(const std::vector<uint8_t>& value, const NetClass& shape) {
    auto wrong = [](const std::string& what) { return model_error("M0207", "", what, "load the model again"); };
    if (value.size() != net_value_size(shape))
        return wrong("the value has " + number(static_cast<int64_t>(value.size())) + " bytes, its class " + number(net_value_size(shape)));
    rmt_net_header header;
    std::memcpy(&header, value.data(), sizeof header);
    const uint32_t kind = shape.tiles == 0 ? RMT_NET_LINEAR_KIND : RMT_NET_KIND;
    if (header.layout != RMT_NET_LAYOUT || header.kind != kind)
        return wrong("layout " + number(header.layout) + ", kind " + number(header.kind) + " given; " + number(RMT_NET_LAYOUT) + " and " + number(kind) + " expected");
    if (header.inputs < 1 || header.inputs > shape.inputs || header.outputs < 1 || header.outputs > shape.outputs || header.input_shift > 63 ||
        header.link > RMT_NET_ARGMAX || header.out_min > header.out_max || header.zero != 0)
        return wrong("its header has inputs, outputs, link, shift, range or beginning outside of the class");
    if (shape.tiles == 0) return {};
    if (header.tiles < 1 || header.tiles > shape.tiles || header.result >= shape.width || header.result + header.outputs > shape.width)
        return wrong("its header has tiles or a result outside of the class");
    const size_t tile_at = sizeof header + shape.inputs * sizeof(rmt_net_input) + RMT_NET_ANSWERS(shape.outputs) * sizeof(int64_t);
    const size_t row_at = tile_at + shape.tiles * sizeof(rmt_net_tile);
    for (uint32_t t = 0; t < header.tiles; t++) {
        rmt_net_tile tile;
        std::memcpy(&tile, value.data() + tile_at + t * sizeof tile, sizeof tile);
        const uint32_t index = tile.row & ~RMT_NET_FLAGS;
        if (tile.from >= shape.width || tile.to >= shape.width || tile.block + uint64_t{(tile.row & RMT_NET_WIDE) != 0} >= shape.blocks || index >= shape.rows)
            return wrong("tile " + number(t) + " reaches outside of the class");
        rmt_net_row row;
        std::memcpy(&row, value.data() + row_at + index * sizeof row, sizeof row);
        if (row.shift > 63 || row.hi < row.lo) return wrong("row " + number(index) + " has a shift or a range that is none");
        if (t + 1 == header.tiles && !(tile.row & RMT_NET_LAST)) return wrong("its last tile does not end a row");
    }
    return {};
}

}  // namespace rmt::models
