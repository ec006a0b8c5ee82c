// SPDX-License-Identifier: MIT
// Integer nets: linear models, multi-layer perceptrons and 1-D convolutions over integer inputs. Their answers are defined
// here, in integers, and are the same bit for bit in the reference and in the engine (bpf/include/rmt/net.bpf.h):
//
//   activation i of the inputs   (input * scale.multiplier + scale.add) >> input_shift, or the input itself without scales
//   sum of an output             bias + sum over weight * activation
//   activation of an output      clamp((sum * multiplier + half) >> shift, lo, hi), half being 2^(shift-1), 0 for shift 0
//   max-pool                     the largest of `kernel` time steps, for each channel
//
// >> rounds down, so the scaling rounds half up. Nothing can overflow: check_net() bounds every sum by intervals, from the
// trained ranges of the inputs to the last layer, and refuses a net where one could leave 63 bits.
// The outputs of the last layer are what a link (models/model.h) makes an answer of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::models {

enum class LayerKind { Dense, Conv1d, MaxPool };

struct InputScale {
    int64_t multiplier = 1, add = 0;
    bool operator==(const InputScale&) const = default;
};

struct NetLayer {
    LayerKind kind = LayerKind::Dense;
    uint32_t outputs = 0;              // dense: units; conv1d: channels
    uint32_t kernel = 0, stride = 0;   // conv1d, maxpool: time steps
    std::vector<int32_t> weights;      // dense: [output][activation]; conv1d: [channel][step][channel before]
    std::vector<int64_t> bias;         // of each output
    std::vector<int64_t> multiplier;   // of each output, >= 1
    uint32_t shift = 0;
    int64_t lo = 0, hi = 0;
    bool operator==(const NetLayer&) const = default;
};

struct Net {
    uint32_t bits = 16;                // weights fit so many bits with a sign: 8, 16, 32
    uint32_t steps = 1;                // the inputs are so many time steps of inputs / steps channels, step after step
    uint32_t input_shift = 0;
    std::vector<InputScale> scales;    // one for each input, or none
    std::vector<NetLayer> layers;
    bool operator==(const Net&) const = default;
};

struct NetShape {
    uint32_t steps = 1, channels = 0;
    uint32_t size() const { return steps * channels; }
    bool operator==(const NetShape&) const = default;
};

using Interval = std::pair<int64_t, int64_t>;  // inclusive

// What comes out of a checked net's layer: shapes[0] is the inputs', shapes[i + 1] layer i's.
std::vector<NetShape> net_shapes(const Net& net, size_t inputs);

// Intervals that hold whatever the inputs within their ranges: of every activation before each layer, of every sum of each
// layer without its bias (per output), and of the outputs.
struct NetBounds {
    std::vector<std::vector<Interval>> before;  // [layer][activation]; [0] is the scaled inputs
    std::vector<std::vector<Interval>> sums;    // [layer][output], bias not included; empty for max-pool
    std::vector<Interval> outputs;
};
// Errors: as check_net().
Result<NetBounds> net_bounds(const Net& net, std::span<const Interval> inputs);

// Shapes fit each other, weights fit `bits`, a max-pool follows a convolution and its windows do not overlap, the last layer is
// dense, and no number on the way leaves 63 bits, proved by intervals. Paths begin with "/net".
// Errors: Input M0107 (structure), M0108 (a number, or a sum that could overflow).
Result<void> check_net(const Net& net, std::span<const Interval> inputs);

// All outputs of the last layer, of a net that passed the check and inputs within their ranges.
std::vector<int64_t> net_outputs(const Net& net, std::span<const int64_t> inputs);

size_t net_output_count(const Net& net);
size_t net_multiplications(const Net& net, size_t inputs);

// The artefact's key "net" as canonical JSON text, and back. Errors: Input M0102, M0103, M0108.
std::string net_to_json(const Net& net);
Result<Net> parse_net(const std::string& json);

const char* layer_kind_name(LayerKind kind);

}  // namespace rmt::models
