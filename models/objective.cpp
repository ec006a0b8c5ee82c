// SPDX-License-Identifier: MIT
#include "models/objective.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "bpf/include/rmt/model_layout.h"
#include "models/portable_math.h"

namespace rmt::models {
namespace {

constexpr uint32_t kMaxShift = 20;
constexpr double kOne = 1 << kGradientBits;

int32_t to_pair(double x) { return static_cast<int32_t>(x + (x < 0 ? -0.5 : 0.5)); }

// p (1 - p), never 0: a histogram knows by it that a bin holds a row.
GradientPair probability_pair(double p, bool wanted, double weight) {
    double h = weight * p * (1 - p) * kOne;
    return {to_pair((p - (wanted ? 1 : 0)) * kOne), h < 1 ? 1 : to_pair(h)};
}

int64_t to_fixed(double x, uint32_t shift) { return static_cast<int64_t>(std::floor(std::ldexp(x, static_cast<int>(shift)) + 0.5)); }

// Probabilities of one row, in `p`; the loss is -log p[label].
void softmax(const Scores& scores, size_t row, double scale, std::vector<double>& p) {
    int64_t top = scores[0][row];
    for (const auto& score : scores) top = std::max(top, score[row]);
    double sum = 0;
    for (size_t k = 0; k < scores.size(); k++) sum += p[k] = portable_exp(static_cast<double>(scores[k][row] - top) * scale);
    for (double& x : p) x /= sum;
}

}  // namespace

std::vector<int64_t> Objective::start(std::span<const int64_t> labels) {
    auto rows = static_cast<double>(labels.size());
    if (loss == Loss::Squared) {
        double mean = 0;
        int64_t span = 1;
        for (int64_t label : labels) mean += static_cast<double>(label) / rows;
        for (int64_t label : labels) span = std::max<int64_t>(span, std::llabs(label - static_cast<int64_t>(std::floor(mean))) + 1);
        auto bits = static_cast<uint32_t>(std::bit_width(static_cast<uint64_t>(span)));
        shift = bits >= 29 ? 0 : std::min(kMaxShift, 29 - bits);
        return {to_fixed(mean, shift)};
    }
    shift = kMaxShift;
    std::vector<double> count(std::max(outputs, 2u), 0.5);  // half a row of every class: none is impossible
    for (int64_t label : labels) count[static_cast<size_t>(label)] += 1;
    if (loss == Loss::Logistic) return {to_fixed(portable_log(count[1] / count[0]), shift)};
    std::vector<int64_t> bases;
    for (double c : count) bases.push_back(to_fixed(portable_log(c / rows), shift));
    return bases;
}

void Objective::gradients(const Scores& scores, std::span<const int64_t> labels, std::vector<std::vector<GradientPair>>& pairs) {
    const double scale = std::ldexp(1.0, -static_cast<int>(shift));
    if (loss == Loss::Squared) {  // as many bits as the largest residual leaves room for
        int64_t largest = 1;
        auto residual = [&](size_t row) { return scores[0][row] - (labels[row] << shift); };
        for (size_t row = 0; row < labels.size(); row++) largest = std::max<int64_t>(largest, std::llabs(residual(row)));
        int down = std::max(0, static_cast<int>(std::bit_width(static_cast<uint64_t>(largest))) - kGradientBits);
        gradient_unit = std::ldexp(1.0, static_cast<int>(shift) - down);
        hessian_unit = 1;
        for (size_t row = 0; row < labels.size(); row++) pairs[0][row] = {static_cast<int32_t>(residual(row) / (int64_t{1} << down)), 1};
        return;
    }
    gradient_unit = hessian_unit = kOne;
    if (loss == Loss::Logistic) {
        for (size_t row = 0; row < labels.size(); row++)
            pairs[0][row] = probability_pair(portable_sigmoid(static_cast<double>(scores[0][row]) * scale), labels[row] != 0, 1);
        return;
    }
    std::vector<double> p(outputs);
    for (size_t row = 0; row < labels.size(); row++) {
        softmax(scores, row, scale, p);
        for (size_t k = 0; k < outputs; k++) pairs[k][row] = probability_pair(p[k], labels[row] == static_cast<int64_t>(k), 2);
    }
}

double Objective::mean_loss(const Scores& scores, std::span<const int64_t> labels) const {
    const double scale = std::ldexp(1.0, -static_cast<int>(shift));
    double sum = 0;
    std::vector<double> p(outputs);
    for (size_t row = 0; row < labels.size(); row++) {
        double x = static_cast<double>(scores[0][row]) * scale;
        if (loss == Loss::Squared) {
            double error = x - static_cast<double>(labels[row]);
            sum += error * error;
        } else if (loss == Loss::Logistic) {
            sum -= portable_log(std::max(portable_sigmoid(labels[row] != 0 ? x : -x), 1e-300));
        } else {
            softmax(scores, row, scale, p);
            sum -= portable_log(std::max(p[static_cast<size_t>(labels[row])], 1e-300));
        }
    }
    return labels.empty() ? 0 : sum / static_cast<double>(labels.size());
}

int32_t Objective::leaf(int64_t gradient, int64_t hessian, double lambda, double learning_rate) const {
    double weight = static_cast<double>(hessian) / hessian_unit + lambda;
    double step = weight > 0 ? -learning_rate * (static_cast<double>(gradient) / gradient_unit) / weight : 0;
    double fixed = std::floor(std::ldexp(step, static_cast<int>(shift)) + 0.5);
    return static_cast<int32_t>(std::clamp(fixed, static_cast<double>(RMT_MODEL_MIN), static_cast<double>(RMT_MODEL_MAX)));
}

}  // namespace rmt::models
