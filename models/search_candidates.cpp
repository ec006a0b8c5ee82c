// SPDX-License-Identifier: MIT
// What `model search` tries.
#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "bpf/include/rmt/model_layout.h"
#include "models/boost.h"
#include "models/distill.h"
#include "models/search.h"
#include "models/train_forest.h"
#include "models/train_net.h"

namespace rmt::models {
namespace {

using Maker = std::function<Result<Model>(const Dataset&, const TrainOptions&)>;
using Names = std::vector<std::string>;

constexpr size_t kTreeInputs = RMT_MODEL_MAX_SLOTS - 1, kNetInputs = 128;
constexpr size_t kNetVisits = 300'000;  // of rows, in one training: nets are to take about as long as trees
constexpr uint32_t kFewestEpochs = 10, kMostEpochs = 60;
constexpr uint32_t kTeacherRounds = 50;

Result<Model> made(Result<TrainReport> report) {
    if (!report) return fail(report.error());
    return std::move(report->model);
}

std::string number(size_t n) { return std::to_string(n); }

// With the shape of the candidate, and the inputs that it may use.
TrainOptions shaped(TrainOptions common, uint32_t depth, const Names& use) {
    common.max_depth = depth;
    common.max_nodes = 1 << 16;
    common.use = use;
    common.max_inputs = kTreeInputs;
    return common;
}

uint64_t rows_key(const Dataset& data) {
    uint64_t hash = 14695981039346656037u;
    for (const Column& column : data.columns)
        for (int64_t value : column.values) hash = (hash ^ static_cast<uint64_t>(value)) * 1099511628211u;
    return hash;
}

// What several candidates begin with is made once for the same rows.
Maker once_for_rows(Maker make) {
    struct Kept {
        uint64_t key = 0;
        std::optional<Result<Model>> model;
    };
    auto kept = std::make_shared<Kept>();
    return [kept, make = std::move(make)](const Dataset& data, const TrainOptions& common) -> Result<Model> {
        const uint64_t key = rows_key(data);
        if (!kept->model || kept->key != key) kept->model = make(data, common), kept->key = key;
        return *kept->model;
    };
}

void add_tree(std::vector<Candidate>& list, uint32_t depth, const Names& use, const std::string& inputs) {
    list.push_back({"tree", "depth " + number(depth) + inputs,
                    [=](const Dataset& data, const TrainOptions& common) { return made(train_tree(data, shaped(common, depth, use))); }});
}

// Ensembles and nets have an output for each label: fewer of them than a tree may answer.
uint32_t few_labels(const TrainOptions& common) { return std::min(BoostOptions().common.max_labels, common.max_labels); }

Result<Model> boost(const Dataset& data, const TrainOptions& common, uint32_t trees, uint32_t depth, const Names& use) {
    BoostOptions options;
    options.common = shaped(common, depth, use);
    options.common.max_labels = few_labels(common);
    options.trees = trees;
    if (trees < 20) options.learning_rate = 0.5;
    return made(train_boost(data, options));
}

void add_boosted(std::vector<Candidate>& list, uint32_t trees, uint32_t depth, const Names& use, const std::string& inputs) {
    list.push_back({"gbt", number(trees) + " rounds, depth " + number(depth) + inputs,
                    [=](const Dataset& data, const TrainOptions& common) { return boost(data, common, trees, depth, use); }});
}

void add_forest(std::vector<Candidate>& list, uint32_t trees, uint32_t depth) {
    list.push_back({"forest", number(trees) + " trees, depth " + number(depth), [=](const Dataset& data, const TrainOptions& common) {
                        ForestOptions options;
                        options.common = shaped(common, depth, {});
                        options.common.max_labels = few_labels(common);
                        options.common.min_leaf = 2;
                        options.trees = trees;
                        return made(train_forest(data, options));
                    }});
}

NetTrainOptions net_options(const TrainOptions& common, size_t rows, const std::vector<uint32_t>& hidden, const Names& use) {
    NetTrainOptions options;
    options.common = common;
    options.common.max_labels = few_labels(common);
    options.common.max_inputs = kNetInputs;
    options.common.use = use;
    options.kind = hidden.empty() ? NetTrainOptions::Kind::Linear : NetTrainOptions::Kind::Mlp;
    options.hidden = hidden;
    options.epochs = static_cast<uint32_t>(std::clamp<size_t>(kNetVisits / std::max<size_t>(rows, 1), kFewestEpochs, kMostEpochs));
    return options;
}

Maker net_maker(const std::vector<uint32_t>& hidden, const Names& use) {
    return [=](const Dataset& data, const TrainOptions& common) -> Result<Model> {
        RMT_TRY(NetTrainReport report, train_net(data, net_options(common, data.rows(), hidden, use)));
        return std::move(report.trained.model);
    };
}

void add_linear(std::vector<Candidate>& list, const Names& use, const std::string& inputs) {
    list.push_back({"linear", "32 bits" + inputs, net_maker({}, use)});
}

std::string width_text(const std::vector<uint32_t>& hidden) {
    std::string text;
    for (uint32_t units : hidden) text += (text.empty() ? "hidden " : "-") + number(units);
    return text;
}

// One training, quantised twice.
void add_mlp(std::vector<Candidate>& list, const std::vector<uint32_t>& hidden, const Names& use, const std::string& inputs) {
    const Maker wide = once_for_rows(net_maker(hidden, use));
    const Maker narrow = [wide](const Dataset& data, const TrainOptions& common) -> Result<Model> {
        RMT_TRY(const Model model, wide(data, common));
        return with_bits(model, data, 8);
    };
    list.push_back({"mlp int16", width_text(hidden) + inputs, wide});
    list.push_back({"mlp int8", width_text(hidden) + inputs, narrow});
}

Result<Model> distilled(const Maker& teacher, const Dataset& data, const TrainOptions& common, DistillOptions options) {
    RMT_TRY(const Model large, teacher(data, common));
    options.small.common = shaped(common, options.small.common.max_depth, {});
    options.small.common.holdout = 0.1;  // to choose between margins and answers
    RMT_TRY(DistillReport report, distill(large, data, options));
    report.trained.model.output = common.output;
    return std::move(report.trained.model);
}

void add_distilled(std::vector<Candidate>& list, CandidateKinds kinds) {
    const std::string from = " from " + number(kTeacherRounds) + " boosted rounds";
    const Maker teacher = once_for_rows(
        [](const Dataset& data, const TrainOptions& common) { return boost(data, common, kTeacherRounds, 6, {}); });
    for (uint32_t depth : {4, 6, 8, 12})
        list.push_back({"distilled", "tree of depth " + number(depth) + from, [=](const Dataset& data, const TrainOptions& common) {
                            DistillOptions options;
                            options.small.common.max_depth = depth;
                            return distilled(teacher, data, common, options);
                        }});
    if (kinds == CandidateKinds::SingleTrees) return;
    const Maker wide = once_for_rows([=](const Dataset& data, const TrainOptions& common) {
        DistillOptions options;
        options.kind = DistillOptions::Kind::Net;
        options.net = net_options(common, data.rows(), {8}, {});
        return distilled(teacher, data, common, options);
    });
    const Maker narrow = [wide](const Dataset& data, const TrainOptions& common) -> Result<Model> {
        RMT_TRY(const Model model, wide(data, common));
        return with_bits(model, data, 8);
    };
    list.push_back({"distilled", "mlp int16, hidden 8," + from, wide});
    list.push_back({"distilled", "mlp int8, hidden 8," + from, narrow});
}

// The inputs, the more important ones first, as a tree sees it.
Result<std::vector<size_t>> ranked_inputs(const Dataset& data, const TrainOptions& common) {
    std::vector<size_t> order(common.inputs.size());
    std::iota(order.begin(), order.end(), size_t{0});
    if (order.size() > kTreeInputs) return order;
    RMT_TRY(const TrainReport ranked, train_tree(data, shaped(common, 8, {})));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ranked.importance[a] > ranked.importance[b]; });
    return order;
}

}  // namespace

Result<std::vector<Candidate>> usual_candidates(const Dataset& data, const TrainOptions& common, CandidateKinds kinds) {
    RMT_TRY(const std::vector<size_t> order, ranked_inputs(data, common));
    const bool labels_of_score = common.output.kind == OutputKind::Score && common.task == Task::Classify;  // only a single tree can
    const bool ensembles = kinds == CandidateKinds::All && !labels_of_score;
    std::vector<Candidate> list;
    std::vector<size_t> sizes = {common.inputs.size()};
    while (sizes.back() > 1) sizes.push_back((sizes.back() + 1) / 2);
    for (size_t at = 0; at < sizes.size(); at++) {
        const size_t size = sizes[at];
        Names use;
        if (size < order.size())
            for (size_t i = 0; i < size; i++) use.push_back(common.inputs[order[i]]);
        const std::string inputs = use.empty() ? "" : ", " + number(size) + (size == 1 ? " input" : " inputs");
        if (order.size() <= kTreeInputs) {
            for (uint32_t depth : {2, 4, 6, 8, 12, 16}) add_tree(list, depth, use, inputs);
            for (uint32_t trees : {4, 12, 40, 100})
                for (uint32_t depth : {4, 6})
                    if (ensembles) add_boosted(list, trees, depth, use, inputs);
        }
        if (!ensembles || at > 1) continue;  // an input that is left out makes a net hardly cheaper
        add_linear(list, use, inputs);
        for (const std::vector<uint32_t>& hidden : {std::vector<uint32_t>{4}, {8}, {16}, {16, 8}, {32, 16}})
            if (at == 0 || hidden.size() == 1) add_mlp(list, hidden, use, inputs);
    }
    if (order.size() > kTreeInputs) return list;
    for (uint32_t trees : {8, 32, 100})
        for (uint32_t depth : {8, 12})
            if (ensembles) add_forest(list, trees, depth);
    if (!labels_of_score) add_distilled(list, kinds);
    return list;
}

}  // namespace rmt::models
