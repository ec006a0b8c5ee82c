// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <random>

#include "models/quantise.h"
#include "models/reference.h"

namespace rmt::models {
namespace {

std::vector<double> as_floats(const FloatModel& model, const QuantiseTreesReport& report, std::span<const int64_t> row) {
    std::vector<double> x(model.features.size(), std::nan(""));
    for (size_t i = 0; i < report.feature_of_input.size(); i++) {
        const ModelInput& input = report.model.inputs[i];
        if (input.missing && row[i] == *input.missing) continue;
        x[report.feature_of_input[i]] = std::ldexp(static_cast<double>(row[i]), -static_cast<int>(input.fraction_bits));
    }
    return x;
}

// The library's answer as the integer model gives it, and how far the margins are from another one.
struct Answer {
    int64_t value = 0;
    double room = HUGE_VAL;
};

Answer float_answer(const FloatModel& model, const QuantiseTreesReport& report, const QuantiseTreesOptions& options,
                    const std::vector<double>& margins) {
    const Model& integer = report.model;
    auto round_to = [&](double x, double unit) {
        double scaled = x * unit;
        auto whole = static_cast<int64_t>(std::floor(std::clamp(scaled, -9e15, 9e15) + 0.5));
        double to_half = std::abs(scaled + 0.5 - std::nearbyint(scaled + 0.5));
        return Answer{std::clamp(whole, integer.output.min, integer.output.max), to_half / unit};
    };
    size_t output = options.output.value_or(0);
    if (integer.output.kind == OutputKind::Score)
        return round_to(margins[output], std::ldexp(1.0, static_cast<int>(report.fraction_bits - integer.shift)));
    if (options.output) return round_to(margins[output], 1);
    if (integer.output.kind == OutputKind::Value) return round_to(transformed(model, margins)[0], 1);
    size_t winner = class_of(model, margins, options.positive_above);
    Answer answer{static_cast<int64_t>(winner), HUGE_VAL};
    if (model.task == FloatTask::Binary) {
        answer.room = std::abs(margins[0] - raw_limit(model, options.positive_above));
        return answer;
    }
    for (size_t k = 0; k < margins.size(); k++)
        if (k != winner) answer.room = std::min(answer.room, (margins[winner] - margins[k]) / 2);
    return answer;
}

// Integer margins back in the library's unit.
double margin_difference(const FloatModel& model, const QuantiseTreesReport& report, const QuantiseTreesOptions& options,
                         std::span<const int64_t> row, const std::vector<double>& margins) {
    const Model& integer = report.model;
    if (integer.kind == ModelKind::Tree) return 0;
    const double scale = std::ldexp(1.0, static_cast<int>(report.fraction_bits));
    auto fixed = [&](size_t k) { return static_cast<double>(margin(integer, row, k)) / scale; };
    if (model.task == FloatTask::Multiclass && model.outputs() == 2 && !options.output)
        return std::abs(fixed(0) - (margins[1] - margins[0]));
    if (model_outputs(integer) == 1) {
        bool shifted = model.task == FloatTask::Binary && !options.score && !options.output;
        return std::abs(fixed(0) + (shifted ? raw_limit(model, options.positive_above) : 0) - margins[options.output.value_or(0)]);
    }
    double worst = 0;
    for (size_t k = 0; k < margins.size(); k++) worst = std::max(worst, std::abs(fixed(k) - margins[k]));
    return worst;
}

}  // namespace

Comparison compare_rows(const FloatModel& model, const QuantiseTreesReport& report, const QuantiseTreesOptions& options,
                        std::span<const std::vector<int64_t>> rows) {
    Comparison out;
    const double bound = report.model.kind == ModelKind::Tree ? 0 : report.margin_bound + report.library_bound;
    for (const std::vector<int64_t>& row : rows) {
        auto answer = infer(report.model, row);
        if (!answer) continue;  // outside the ranges: nobody asks the model
        std::vector<double> margins = raw_margin(model, as_floats(model, report, row));
        Answer wanted = float_answer(model, report, options, margins);
        out.rows++;
        out.unproved += wanted.room <= bound;
        out.largest_difference = std::max(out.largest_difference, margin_difference(model, report, options, row, margins));
        if (*answer == wanted.value) continue;
        if (out.different++ == 0) out.first_different = row;
    }
    return out;
}

std::vector<std::vector<int64_t>> probe_rows(const Model& model, size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::vector<int64_t>> values(model.inputs.size());  // worth trying, of each input
    for (size_t i = 0; i < values.size(); i++) values[i] = {model.inputs[i].min, model.inputs[i].max};
    for (const Tree& tree : model.trees)
        for (size_t i = 0; i < tree.size(); i++) {
            if (tree.is_leaf(i) || static_cast<size_t>(tree.feature[i]) >= values.size()) continue;
            for (int64_t n : {int64_t{tree.threshold[i]}, int64_t{tree.threshold[i]} + 1}) values[tree.feature[i]].push_back(n);
        }
    for (const CategorySet& set : model.sets)
        for (int32_t member : set.members)
            for (int64_t n : {int64_t{member}, int64_t{member} + 1}) values[set.input].push_back(n);
    std::vector<std::vector<int64_t>> rows(count);
    for (auto& row : rows)
        for (size_t i = 0; i < values.size(); i++) {
            const ModelInput& input = model.inputs[i];
            int64_t n = values[i][random() % values[i].size()];
            if (random() % 4 == 0) n = input.min + static_cast<int64_t>(random() % static_cast<uint64_t>(input.max - input.min + 1));
            if (input.missing && random() % 8 == 0) n = *input.missing;
            bool is_missing = input.missing && n == *input.missing;
            row.push_back(is_missing ? n : std::clamp(n, input.min, input.max));
        }
    return rows;
}

}  // namespace rmt::models
