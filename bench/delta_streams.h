// SPDX-License-Identifier: MIT
// Synthetic page deltas of workloads, for what adapts from one to another: strides, convolutions over a few rows in turn, copies
// between streams, planes; parameters at random, a tenth of the deltas noise. Seeds are explicit. Two questions about them:
//   values   the next delta, from the last four; what one workload answers is wrong for another
//   lags     which of the last four deltas comes again (0: none), from which of them are equal; this does not depend on scale
// And a question about pages, without deltas, for models of numbers:
//   reuse    will a page be touched again in time? From its age, touches, the last gap and the free memory; workloads differ in how
//            quickly they forget and how far they look ahead; one label in twenty is wrong
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "models/boost.h"
#include "models/train_net.h"
#include "models/warm_start.h"

namespace rmt::models {

enum class Question { Values, Lags, Reuse };

constexpr size_t kDeltaHistory = 4;
constexpr size_t kDeltaInputs[] = {kDeltaHistory, kDeltaHistory*(kDeltaHistory - 1) / 2, 4};  // of each question

// The deltas of one workload, again and again.
inline std::vector<int64_t> random_period(std::mt19937_64& random) {
    auto between = [&](int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(random() % static_cast<uint64_t>(hi - lo + 1)); };
    int64_t wide = between(20, 400), step = between(1, 4);
    switch (random() % 5) {
        case 0:
            return {random() % 2 ? between(1, 64) : between(-64, -1)};
        case 1:
            return {wide, 1 - wide};
        case 2:
            return {wide, wide, 1 - 2 * wide};
        case 3:
            return {wide, step, -wide, step};
        default:
            return {step, wide, step, wide, step, -2 * wide};
    }
}

inline void add_row(Dataset& data, Question question, const int64_t* newest, int64_t next) {  // newest[-1] is the one before
    size_t column = 0;
    if (question == Question::Values) {
        for (size_t k = 0; k < kDeltaHistory; k++) data.columns[column++].values.push_back(newest[-static_cast<ptrdiff_t>(k)]);
        data.columns[column].values.push_back(next);
        return;
    }
    int64_t lag = 0;
    for (size_t k = kDeltaHistory; k-- > 0;) {
        if (newest[-static_cast<ptrdiff_t>(k)] == next) lag = static_cast<int64_t>(k) + 1;
        for (size_t j = k + 1; j < kDeltaHistory; j++)
            data.columns[column++].values.push_back(newest[-static_cast<ptrdiff_t>(k)] == newest[-static_cast<ptrdiff_t>(j)]);
    }
    data.columns[column].values.push_back(lag);
}

// Pages of one workload.
inline void add_pages(Dataset& data, size_t rows, std::mt19937_64& random) {
    auto between = [&](int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(random() % static_cast<uint64_t>(hi - lo + 1)); };
    const int64_t forgets = between(50, 200), counts = between(2, 12), ahead = between(60, 400);  // hundredths; per cent of a touch; ms
    for (size_t i = 0; i < rows; i++) {
        const int64_t age = between(0, 1000), touches = between(1, 40), gap = between(1, 1000), free = between(5, 95);
        const int64_t expected = gap * (100 + forgets * age / (gap + 50)) / (100 + counts * touches);
        const bool again = (expected < ahead * free / 50) != (random() % 20 == 0);
        size_t column = 0;
        for (int64_t x : {age, touches, gap, free, int64_t{again}}) data.columns[column++].values.push_back(x);
    }
}

// One more workload: parameters, then rows.
inline void add_workload(Dataset& data, Question question, size_t rows, std::mt19937_64& random) {
    const std::vector<int64_t> period = question == Question::Reuse ? std::vector<int64_t>() : random_period(random);
    if (data.columns.empty()) {
        for (size_t k = 0; k < kDeltaInputs[static_cast<size_t>(question)]; k++) data.columns.push_back({"x" + std::to_string(k), "i32", {}});
        data.columns.push_back({"next", "i64", {}});
    }
    if (question == Question::Reuse) return add_pages(data, rows, random);
    std::vector<int64_t> deltas;
    for (size_t i = 0; i < rows + kDeltaHistory; i++) {
        bool noise = random() % 10 == 0;
        deltas.push_back(noise ? static_cast<int64_t>(random() % 8001) - 4000 : period[i % period.size()]);
    }
    for (size_t i = kDeltaHistory; i < deltas.size(); i++) add_row(data, question, &deltas[i - 1], deltas[i]);
}

inline TrainOptions delta_options(Question question) {
    TrainOptions options;
    options.name = "next";
    for (size_t k = 0; k < kDeltaInputs[static_cast<size_t>(question)]; k++) options.inputs.push_back("x" + std::to_string(k));
    options.label = "next";
    options.holdout = 0;
    if (question == Question::Lags) {
        options.output = {OutputKind::Class, "u8", 0, kDeltaHistory, {}};
        options.confidence = 0;
    }
    if (question == Question::Reuse) {
        options.output = {OutputKind::Class, "u8", 0, 1, {}};
        options.confidence = 0;
    }
    return options;
}

inline Dataset first_rows(const Dataset& data, size_t rows) {
    Dataset part = data;
    for (Column& column : part.columns) column.values.resize(std::min(rows, column.values.size()));
    return part;
}

enum class Learner { Tree, Boosted, Mlp };

constexpr size_t kSettings = 4;  // of each learner, from nothing

// What is trained from nothing, and what adapts.
struct DeltaTrainer {
    Question question = Question::Values;
    Learner learner = Learner::Tree;

    // Setting 0..3: from supple to stiff. Trees: least rows of a leaf (boosted: times a fifth, the least weight). MLP: how often it
    // sees a row, with and without decay.
    Result<TrainReport> train(const Dataset& data, size_t setting) const {
        const uint32_t leaf = uint32_t{1} << setting;
        BoostOptions options;
        options.common = delta_options(question);
        options.common.min_leaf = std::min<uint32_t>(leaf, static_cast<uint32_t>(data.rows()));
        if (learner == Learner::Tree) return train_tree(data, options.common);
        if (learner == Learner::Mlp) {
            NetTrainOptions net;
            net.common = options.common;
            net.common.min_leaf = 1;
            net.hidden = {16};
            net.epochs = static_cast<uint32_t>(std::clamp<size_t>((setting % 2 ? 48'000 : 12'000) / data.rows(), 12, 600));
            net.weight_decay = setting >= 2 ? 0.01 : 0;
            RMT_TRY(NetTrainReport report, train_net(data, net));
            return std::move(report.trained);
        }
        options.trees = 20;
        options.common.max_depth = 4;
        options.min_child_weight = leaf / 5.0;
        return train_boost(data, options);
    }
};

constexpr size_t kMetaSetting[] = {3, 3, 0};  // of each learner: rows abound

// A model of many workloads.
inline Result<Model> meta_model(const DeltaTrainer& trainer, uint64_t seed, size_t workloads = 24, size_t rows = 1500) {
    std::mt19937_64 random(seed);
    Dataset data;
    for (size_t i = 0; i < workloads; i++) add_workload(data, trainer.question, rows, random);
    RMT_TRY(TrainReport report, trainer.train(data, kMetaSetting[static_cast<size_t>(trainer.learner)]));
    return report.model;
}

struct FewShot {
    double warm = 0;              // accuracy on rows that neither saw
    double scratch[kSettings] = {};
};

inline Result<double> accuracy_after(const Model& model, const Dataset& workload, size_t samples) {
    std::vector<uint32_t> rest;
    for (auto row = static_cast<uint32_t>(samples); row < workload.rows(); row++) rest.push_back(row);
    RMT_TRY(const Evaluation e, evaluate(model, workload, "next", rest, 0));
    return e.accuracy();
}

// One new workload: the model of others adapted to its first `samples` rows, and one from nothing but them, with each setting.
// What counts is what was learned, so the one from nothing answers in the same ranges of inputs.
inline Result<FewShot> few_shot(const Model& meta, const Dataset& workload, size_t samples, const DeltaTrainer& trainer) {
    const Dataset few = first_rows(workload, samples);
    WarmOptions warm;
    warm.common = delta_options(trainer.question);
    warm.common.min_leaf = std::min<uint32_t>(WarmOptions().common.min_leaf, static_cast<uint32_t>(samples));
    FewShot result;
    RMT_TRY(const TrainReport adapted, warm_start(meta, few, warm));
    RMT_TRY(result.warm, accuracy_after(adapted.model, workload, samples));
    for (size_t setting = 0; setting < kSettings; setting++) {
        RMT_TRY(TrainReport fresh, trainer.train(few, setting));
        for (size_t i = 0; i < fresh.model.inputs.size(); i++) fresh.model.inputs[i] = adapted.model.inputs[i];
        RMT_TRY(result.scratch[setting], accuracy_after(fresh.model, workload, samples));
    }
    return result;
}

}  // namespace rmt::models
