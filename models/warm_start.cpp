// SPDX-License-Identifier: MIT
#include "models/warm_start.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "models/boost.h"
#include "models/errors.h"
#include "models/reference.h"
#include "models/train_net.h"
#include "models/train_rows.h"
#include "models/warm_start_ways.h"

namespace rmt::models {
namespace {

constexpr double kPriors[] = {16, 2};  // rows that the old model counts for
constexpr size_t kFewestRows = 8, kMostRows = 4096;
constexpr size_t kOneByOne = 24, kEightFolds = 64;  // up to so many rows each is a fold, or there are eight, else four
constexpr uint32_t kFreshRounds = 20, kFreshDepth = 4;
// Of nets: rows seen in a training, and bounds of the epochs.
constexpr size_t kAdaptVisits = 12'000, kFreshVisits = 24'000;
constexpr uint32_t kFewestEpochs = 20, kMostEpochs = 600;
constexpr double kPullOfRow = 0.01;

struct Way {
    enum class How { AsItIs, Adapted, FromNothing } how = How::Adapted;
    double prior = 0;  // Adapted
};

std::string text_of(const Way& way) {
    if (way.how == Way::How::AsItIs) return "the old model as it is";
    if (way.how == Way::How::FromNothing) return "from nothing";
    std::string rows = std::to_string(way.prior);
    rows.erase(rows.find_last_not_of('0') + 1);
    if (rows.back() == '.') rows.pop_back();
    return "adapted, counting for " + rows + " rows";
}

// Trained ranges of both, samples and digest of what it now is.
void widen(Model& model, const Model& old) {
    for (size_t i = 0; i < model.inputs.size(); i++) {
        model.inputs[i].min = std::min(model.inputs[i].min, old.inputs[i].min);
        model.inputs[i].max = std::max(model.inputs[i].max, old.inputs[i].max);
    }
    for (size_t i = 0; i < model.samples.inputs.size(); i++) model.samples.outputs[i] = infer(model, model.samples.inputs[i]);
    seal(model);
}

Result<TrainReport> net_way(const Way& way, const Model& old, const Dataset& data, const WarmOptions& options) {
    NetAdaptOptions adapt;
    adapt.train.common = options.common;
    const double rows = std::max<double>(1, static_cast<double>(data.rows()) * (1 - options.common.holdout));
    const auto epochs = static_cast<double>(way.how == Way::How::FromNothing ? kFreshVisits : kAdaptVisits) / rows;
    adapt.train.epochs = static_cast<uint32_t>(std::clamp<double>(epochs, kFewestEpochs, kMostEpochs));
    adapt.mode = way.how == Way::How::AsItIs ? NetAdaptOptions::Mode::AsItIs : way.how == Way::How::Adapted ? NetAdaptOptions::Mode::TrainOn : NetAdaptOptions::Mode::FromNothing;
    adapt.pull = kPullOfRow * way.prior * 8 / rows;
    RMT_TRY(NetTrainReport report, adapt_net(old, data, adapt));
    return std::move(report.trained);
}

Result<TrainReport> old_as_it_is(const Model& old, const Dataset& data, const WarmOptions& options) {
    RMT_TRY(const TrainRows rows, select_rows(data, options.common));
    TrainReport report;
    report.model = old;
    report.model.samples = {};
    Model seen;
    bin_inputs(rows, options.common, seen);
    widen(report.model, seen);
    report.rounds = 1;
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt warm start 1"));
    return report;
}

// One setting for all: to choose it as well by few rows costs more than it gains.
Result<TrainReport> trees_from_nothing(const Model& old, const Dataset& data, const WarmOptions& options) {
    const uint32_t min_leaf = std::min<uint32_t>(2, static_cast<uint32_t>(data.rows()));
    BoostOptions boost;
    const uint32_t labels = std::min(boost.common.max_labels, options.common.max_labels);
    boost.common = options.common;
    boost.common.min_leaf = min_leaf;
    Result<TrainReport> report = fail(ErrorKind::Input, "");
    if (old.kind == ModelKind::Tree) {
        report = train_tree(data, boost.common);
    } else {
        boost.trees = kFreshRounds;
        boost.common.max_labels = labels;
        boost.common.max_depth = std::min(options.common.max_depth, kFreshDepth);
        boost.min_child_weight = min_leaf / 5.0;
        report = train_boost(data, boost);
    }
    if (report) widen(report->model, old);
    return report;
}

Result<TrainReport> go(const Way& way, const Model& old, const Dataset& data, WarmOptions options) {
    if (!has_trees(old.kind)) return net_way(way, old, data, options);
    if (way.how == Way::How::AsItIs) return old_as_it_is(old, data, options);
    if (way.how == Way::How::FromNothing) return trees_from_nothing(old, data, options);
    options.prior_rows = way.prior;
    return adapt_trees(old, data, options);
}

// The one that is right if the others are not better, first.
std::vector<Way> ways_for(const Model& old, bool trusted, const WarmOptions& options) {
    std::vector<Way> ways;
    for (double prior : kPriors) ways.push_back({Way::How::Adapted, prior});
    ways.push_back({Way::How::AsItIs, 0});
    if (!has_trees(old.kind) || old.kind == ModelKind::Tree || options.more_trees > 0)
        ways.insert(trusted ? ways.end() : ways.begin(), {Way::How::FromNothing, 0});
    return ways;
}

struct Fold {
    Dataset train, test;
};

// At random: every fourth row of what repeats every four rows would be all there is of something.
std::vector<Fold> folds_of(const Dataset& data, uint64_t seed) {
    const size_t rows = data.rows(), count = rows <= kOneByOne ? rows : rows <= kEightFolds ? 8 : 4;
    std::vector<Fold> folds(count);
    std::vector<size_t> fold_of(rows);
    for (size_t row = 0; row < rows; row++) fold_of[row] = row % count;
    std::mt19937_64 random(seed);
    for (size_t i = rows; i > 1; i--) std::swap(fold_of[i - 1], fold_of[random() % i]);
    for (size_t at = 0; at < count; at++) {
        folds[at].train = folds[at].test = data;
        for (size_t c = 0; c < data.columns.size(); c++) {
            for (Dataset* part : {&folds[at].train, &folds[at].test}) part->columns[c].values.clear();
            for (size_t row = 0; row < rows; row++)
                (fold_of[row] == at ? folds[at].test : folds[at].train).columns[c].values.push_back(data.columns[c].values[row]);
        }
    }
    return folds;
}

std::vector<uint32_t> all_rows(const Dataset& data) {
    std::vector<uint32_t> rows(data.rows());
    for (uint32_t i = 0; i < rows.size(); i++) rows[i] = i;
    return rows;
}

double worth_of(const Evaluation& e, Task task) { return task == Task::Classify ? static_cast<double>(e.correct) : -e.absolute_error; }

// What a way is worth on these rows: what it gets right on each fold when it has the others, and, to somewhat more than a third, on the
// rows that it was trained on (the .632 rule, Efron 1983). Of few rows most are there once, and come again later: left-out rows alone
// would make what remembers them look bad. In rows, or for numbers in the error below 0.
Result<double> try_out(const Way& way, const Model& old, const Dataset& data, const std::vector<Fold>& folds, const WarmOptions& options) {
    double left_out = 0;
    for (const Fold& fold : folds) {
        RMT_TRY(const TrainReport report, go(way, old, fold.train, options));
        RMT_TRY(const Evaluation e, evaluate(report.model, fold.test, options.common.label, all_rows(fold.test), options.common.none));
        left_out += worth_of(e, options.common.task);
    }
    RMT_TRY(const TrainReport report, go(way, old, data, options));
    RMT_TRY(const Evaluation e, evaluate(report.model, data, options.common.label, all_rows(data), options.common.none));
    return 0.632 * left_out + 0.368 * worth_of(e, options.common.task);
}

// Is the old model right on two rows of five, or better than one answer for all? Then it is trusted: what forgets it has to be better,
// not just as good. One whose answers do not carry over is right on hardly any.
Result<bool> knows_something(const Model& old, const Dataset& data, const WarmOptions& options) {
    RMT_TRY(const TrainReport report, go({Way::How::AsItIs, 0}, old, data, options));
    RMT_TRY(const Evaluation e, evaluate(report.model, data, options.common.label, all_rows(data), options.common.none));
    if (options.common.task == Task::Regress) return e.absolute_error < e.baseline_error;
    return 5 * e.correct >= 2 * e.rows || e.correct > e.majority;
}

// What chance alone may make better: of few rows one more that is right says nothing.
double margin_of(size_t rows) { return rows <= 16 ? 1 : rows <= 64 ? 0.5 : 0.1 * std::sqrt(static_cast<double>(rows)); }

Result<Way> choose(const Model& old, const Dataset& data, WarmOptions options) {
    options.common.holdout = 0;
    options.common.min_leaf = std::min<uint32_t>(options.common.min_leaf, static_cast<uint32_t>(std::max<size_t>(data.rows(), 2) - 1));
    RMT_TRY(const bool trusted, knows_something(old, data, options));
    const std::vector<Way> ways = ways_for(old, trusted, options);
    // too few to measure; and of answers that do not carry over few rows cannot tell whether the splits do
    if (data.rows() < kFewestRows && trusted) return Way{Way::How::AsItIs, 0};
    if (data.rows() < kFewestRows || (!trusted && data.rows() <= kOneByOne)) return ways.front();
    if (data.rows() > kMostRows) return ways.back();
    const std::vector<Fold> folds = folds_of(data, options.common.seed);
    // Of classes in rows; of numbers in the old model's mean error.
    double unit = 1;
    if (options.common.task == Task::Regress) {
        RMT_TRY(const double error, try_out({Way::How::AsItIs, 0}, old, data, folds, options));
        unit = -error / static_cast<double>(data.rows());
    }
    const double margin = margin_of(data.rows()) * unit;
    std::optional<Way> best;
    double most = 0;
    for (const Way& way : ways) {
        const auto worth = try_out(way, old, data, folds, options);
        if (!worth && way.how == Way::How::FromNothing) continue;  // e.g. a fold with one label only
        if (!worth) return fail(worth.error());
        if (!best || *worth > most + margin) most = *worth, best = way;
    }
    return *best;
}

}  // namespace

Result<TrainReport> warm_start(const Model& old, const Dataset& data, const WarmOptions& given) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    WarmOptions options = given;
    if (!(options.prior_rows <= 1e9)) return wrong("prior rows are at most 1e9");
    if (!(options.learning_rate > 0 && options.learning_rate <= 1)) return wrong("the learning rate lies above 0 and up to 1");
    std::vector<std::string> names;
    for (const ModelInput& input : old.inputs) {
        names.push_back(input.name);
        if (input.missing) return wrong("a model with missing values cannot be adapted");
    }
    if (!old.sets.empty()) return wrong("a model with categories cannot be adapted");
    if (options.common.inputs.empty()) options.common.inputs = names;
    if (options.common.inputs != names) return wrong("the inputs are not those of the model that is to be adapted");
    if (options.common.input_types.empty())
        for (const ModelInput& input : old.inputs) options.common.input_types.push_back(input.type);
    options.common.output = old.output;
    if (!has_trees(old.kind)) options.common.task = old.link == Link::Round ? Task::Regress : Task::Classify;
    options.common.max_inputs = std::max(options.common.max_inputs, old.inputs.size());
    if (options.common.name == TrainOptions().name) options.common.name = old.name;
    options.common.none = std::clamp(options.common.none, old.output.min, old.output.max);
    Way way{Way::How::Adapted, options.prior_rows};
    if (options.prior_rows < 0) {
        RMT_TRY(way, choose(old, data, options));
    }
    RMT_TRY(TrainReport report, go(way, old, data, options));
    report.model.provenance["warm_start"] = old.digest.empty() ? old.name : old.digest;
    report.model.provenance["warm_start_way"] = text_of(way);
    report.model.provenance["trainer"] = "rmt warm start 1";
    seal(report.model);
    return report;
}

}  // namespace rmt::models
