// SPDX-License-Identifier: MIT
// The form of a net that has fractions: what training gives, and what a file of another library is read into. Its inputs are the
// policy's integers as they are; a StandardScaler (mean, scale) in front of the net is folded into its first layer.
// quantise_net.h makes a model of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/net.h"

namespace rmt::models {

struct FloatLayer {
    LayerKind kind = LayerKind::Dense;
    uint32_t outputs = 0, kernel = 0, stride = 0;  // as in NetLayer
    std::vector<double> weights;                   // dense: [output][activation]; conv1d: [channel][step][channel before]
    std::vector<double> bias;
    bool relu = false;
    bool operator==(const FloatLayer&) const = default;
};

struct FloatNet {
    uint32_t inputs = 0, steps = 1;
    std::vector<FloatLayer> layers;
    bool operator==(const FloatNet&) const = default;
};

// Shapes fit each other, all numbers are finite. Errors: Input M0107, M0111 with the place in the JSON form.
Result<void> check_float_net(const FloatNet& net);

// As net_shapes().
std::vector<NetShape> float_shapes(const FloatNet& net);

// The outputs of the last layer, in double: margins, no softmax or sigmoid is applied. `activations`, when given, gets what
// comes out of every layer.
std::vector<double> float_outputs(const FloatNet& net, std::span<const double> inputs, std::vector<std::vector<double>>* activations = nullptr);

// The same net without the scaler x' = (x - mean) / scale in front of it. A scale of 0 counts as 1, as in scikit-learn.
// Errors: Input M0107: a convolution in front needs the same mean and scale at every time step of a channel.
Result<void> fold_scaler(FloatNet& net, std::span<const double> mean, std::span<const double> scale);

// {"rmt_float_net": 1, "inputs", "steps", "layers": [{"kind", "outputs", "weights", "bias", "relu", "kernel", "stride"}],
//  "scaler": {"mean", "scale"}}; the scaler may be left out and is folded when read. Errors of parsing: Input M0101..M0103, M0107, M0111.
std::string float_net_to_json(const FloatNet& net);
Result<FloatNet> parse_float_net(const std::string& json);

}  // namespace rmt::models
