// SPDX-License-Identifier: MIT
// What boosting minimises: gradients and losses of rows, as integers where sums are taken. Internal to the trainers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/grow_gradient.h"

namespace rmt::models {

enum class Loss { Squared, Logistic, Softmax };

// Fixed-point sums of leaves, one vector for each output: score[output][row] / 2^shift is what the loss is about.
using Scores = std::vector<std::vector<int64_t>>;

struct Objective {
    Loss loss = Loss::Squared;
    uint32_t outputs = 1;
    uint32_t shift = 0;
    // 1 / unit is what one unit of a gradient and of a hessian is worth; set by gradients().
    double gradient_unit = 1, hessian_unit = 1;

    // Chooses the shift so that leaves fit 31 bits and sums lose nothing, and the constant that fits the labels best.
    std::vector<int64_t> start(std::span<const int64_t> labels);

    // pairs[output][row].
    void gradients(const Scores& scores, std::span<const int64_t> labels, std::vector<std::vector<GradientPair>>& pairs);

    double mean_loss(const Scores& scores, std::span<const int64_t> labels) const;

    // The step of a leaf in fixed point, and the same for a prior of weight `prior` (hessian) at `at` (fixed point).
    int32_t leaf(int64_t gradient, int64_t hessian, double lambda, double learning_rate) const;
};

}  // namespace rmt::models
