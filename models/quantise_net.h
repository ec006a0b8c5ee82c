// SPDX-License-Identifier: MIT
// From a net with fractions to a model of integers.
//
// A linear model keeps its inputs as they are; its weights have 32 bits in one fixed point, and the bound is proved. Other
// nets scale each input from its trained range to `bits`; weights have a scale for each output, activations one for each layer.
// With 16 bits (the default) no activation can ever be clamped that the float form does not clamp, since scales come from
// intervals: the largest difference from the float form is proved. With 8 bits intervals are useless, scales are those of the
// activations seen on `rows`, and the report's figures are samples, no proof.
#pragma once

#include <optional>

#include "models/float_net.h"
#include "models/model.h"

namespace rmt::models {

struct QuantiseOptions {
    std::string name = "model";
    std::vector<ModelInput> inputs;          // with their trained ranges
    ModelOutput output;
    Link link = Link::Round;
    std::vector<int64_t> answers;            // of link argmax
    uint32_t bits = 16;                      // 8 or 16; a linear model has 32 in any case
    std::vector<std::vector<int64_t>> rows;  // to compare on; 8 bits need them for the scales too
};

struct QuantiseReport {
    Model model;                     // checked and sealed; origin is the float form
    size_t rows = 0;                 // compared: those within the trained ranges
    size_t different = 0;            // rows with another decision (round: another integer)
    double largest_difference = 0;   // of an output, in the float form's unit
    std::optional<double> bound;     // proved: no output of any input within the ranges differs by more
    size_t undecided = 0;            // rows whose decision the bound does not prove the same (only with a bound)
};

// Errors: Input M0107, M0111 (the net), M0305 (an option), M0108 when no scale keeps the sums within 63 bits.
Result<QuantiseReport> quantise_net(const FloatNet& net, const QuantiseOptions& options);

// What the float form answers, by the same link.
int64_t float_answer(const FloatNet& net, const QuantiseOptions& options, std::span<const int64_t> inputs);

}  // namespace rmt::models
