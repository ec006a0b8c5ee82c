// SPDX-License-Identifier: MIT
// From a FloatModel to the integer Model that the kernel answers with.
//
// Thresholds: for an integer input n that stands for x = n / 2^fraction_bits, the library's predicate ("float32(x) < t") is monotone in
// n, so it is n <= T for some T, found by bisection over the input's whole range. Every branch of every integer in the range is
// therefore the library's own; nothing is sampled. Splits that the range decides are removed. Leaves become fixed point;
// `margin_bound` is proved: the sum over the trees of the largest error of a leaf, and the base's.
// A single tree answers its leaf, computed once in floating point: exact for classes, rounded for values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/float_model.h"
#include "models/model.h"

namespace rmt::models {

struct QuantiseTreesOptions {
    std::string name;                // empty: "model"
    std::vector<ModelInput> inputs;  // names, types, ranges, what means missing; empty: the features, i32, the engine's whole range.
                                     // All of them names of features: any order, unused features may be left out; else by position
    double positive_above = 0.5;     // class 1 iff the predicted probability is above this
    std::optional<std::pair<int64_t, int64_t>> output_range;  // of a value or score: clamped to it; else all that the sum can be
    bool score = false;                                       // answer the margin times 2^score_bits as a score
    uint32_t score_bits = 8;
    std::optional<uint32_t> output;  // of several targets or classes: only this one's margin
    bool forest = false;             // kind forest also where one tree would do, for a policy that reserves a forest
};

struct FeatureReport {
    std::string name;
    size_t splits = 0;       // in the library's trees
    size_t thresholds = 0;   // different ones
    bool fractions = false;  // some are no whole or half numbers: it may not be an integer
    bool exact = true;       // every value that the input can have takes the library's branches: false when it was rounded to a grid
    bool operator==(const FeatureReport&) const = default;
};

struct Comparison {
    size_t rows = 0;
    size_t different = 0;           // the answer is another than the library's
    size_t unproved = 0;            // as close to a decision as the bounds: the same answer was seen, not proved
    double largest_difference = 0;  // of the margin
    std::vector<int64_t> first_different;
};

struct QuantiseTreesReport {
    Model model;  // checked and sealed
    uint32_t fraction_bits = 0;
    double margin_bound = 0;   // |integer margin - exact sum of the leaves| is at most this
    double library_bound = 0;  // |the library's own sum in floating point - exact sum| is at most this
    std::vector<int32_t> feature_of_input;
    std::vector<FeatureReport> features;
    std::vector<std::string> notes;
};

// Errors: Input M0107, M0108, M0110, M0201, M0305; those of check_model().
Result<QuantiseTreesReport> quantise_trees(const FloatModel& model, const QuantiseTreesOptions& options);

// Both models on rows of the integer model's inputs.
Comparison compare_rows(const FloatModel& model, const QuantiseTreesReport& report, const QuantiseTreesOptions& options,
                        std::span<const std::vector<int64_t>> rows);

// Rows on and next to the thresholds, with missing values where they can occur: where a wrong rounding would show.
std::vector<std::vector<int64_t>> probe_rows(const Model& model, size_t count, uint64_t seed);

}  // namespace rmt::models
