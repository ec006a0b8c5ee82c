// SPDX-License-Identifier: MIT
#include "models/search.h"

#include <algorithm>
#include <limits>
#include <cmath>
#include <numeric>

#include "models/boost.h"
#include "models/distill.h"
#include "models/errors.h"
#include "models/lower.h"
#include "models/train_forest.h"
#include "models/train_rows.h"

namespace rmt::models {
namespace {

constexpr size_t kFewestRows = 200;  // of the first rung

Dataset pick(const Dataset& data, const std::vector<uint32_t>& rows) {
    Dataset part;
    for (const Column& column : data.columns) {
        Column picked = {column.name, column.type, {}};
        picked.values.reserve(rows.size());
        for (uint32_t row : rows) picked.values.push_back(column.values[row]);
        part.columns.push_back(std::move(picked));
    }
    return part;
}

Result<Model> made(Result<TrainReport> report) {
    if (!report) return fail(report.error());
    return std::move(report->model);
}

double accuracy_of(const Evaluation& e, Task task) {
    if (task == Task::Classify) return e.accuracy();
    return e.baseline_error > 0 ? 1 - e.absolute_error / e.baseline_error : 1;
}

bool beats(const SearchPoint& a, const SearchPoint& b) {
    return a.cost <= b.cost && a.accuracy >= b.accuracy && (a.cost < b.cost || a.accuracy > b.accuracy);
}

// The better third: front after front, in a front what fits the budget first, then the more accurate.
std::vector<size_t> better_third(const std::vector<SearchPoint>& points, std::vector<size_t> alive, double budget) {
    size_t keep = std::max<size_t>((alive.size() + 2) / 3, std::min<size_t>(alive.size(), 6));
    std::vector<size_t> kept;
    while (kept.size() < keep && !alive.empty()) {
        std::vector<size_t> front, rest;
        for (size_t i : alive) {
            bool beaten = std::any_of(alive.begin(), alive.end(), [&](size_t j) { return beats(points[j], points[i]); });
            (beaten ? rest : front).push_back(i);
        }
        std::stable_sort(front.begin(), front.end(), [&](size_t a, size_t b) {
            bool fits_a = points[a].cost <= budget, fits_b = points[b].cost <= budget;
            return fits_a != fits_b ? fits_a : points[a].accuracy > points[b].accuracy;
        });
        for (size_t i : front)
            if (kept.size() < keep) kept.push_back(i);
        alive = std::move(rest);
    }
    std::sort(kept.begin(), kept.end());
    return kept;
}

struct Parts {
    std::vector<uint32_t> train, validation, test;
};

Result<Parts> split(const Dataset& data, const SearchOptions& options) {
    TrainOptions common = options.common;
    common.split = Holdout::Blocks;
    common.holdout = options.validation + options.test;
    if (!(options.validation > 0 && options.test >= 0 && common.holdout <= 0.9))
        return model_error("M0305", "", "validation and test are shares of the rows, together up to 0.9");
    RMT_TRY(const TrainRows rows, select_rows(data, common));
    Parts parts;
    parts.train = rows.grow;
    auto validation = static_cast<size_t>(static_cast<double>(rows.held_out.size()) * options.validation / common.holdout);
    // blocks stay whole, and both parts have some of every phase: of every hundred rows the first ones validate
    for (size_t i = 0; i < rows.held_out.size(); i++) {
        size_t block = i / 32, blocks = rows.held_out.size() / 32 + 1;
        bool validates = block * validation / rows.held_out.size() != (block + 1) * validation / rows.held_out.size() || blocks < 3;
        (validates ? parts.validation : parts.test).push_back(rows.held_out[i]);
    }
    if (parts.validation.empty())
        return model_error("M0304", "", std::to_string(data.rows()) + " rows are too few to search with", "collect for longer");
    return parts;
}

class Search {
public:
    Search(const Dataset& data, const SearchOptions& options, const std::vector<Candidate>& candidates, const Parts& parts)
        : data_(data), options_(options), candidates_(candidates), parts_(parts), models_(candidates.size()) {
        for (const Candidate& candidate : candidates) {
            report_.points.emplace_back();
            report_.points.back().kind = candidate.kind;
            report_.points.back().settings = candidate.settings;
        }
        report_.budget = options.budget;
    }

    Result<SearchReport> run() {
        std::vector<size_t> alive(candidates_.size());
        std::iota(alive.begin(), alive.end(), size_t{0});
        for (uint32_t rung = 0; rung < std::max(options_.rungs, 1u) && !stopped_; rung++) {
            const bool last = rung + 1 >= options_.rungs;
            size_t rows = parts_.train.size();
            for (uint32_t left = rung + 1; left < options_.rungs; left++) rows /= 3;
            rows = last ? parts_.train.size() : std::clamp<size_t>(rows, std::min(kFewestRows, parts_.train.size()), parts_.train.size());
            // evenly spread, so that every phase is there
            std::vector<uint32_t> picked;
            for (size_t i = 0; i < rows; i++) picked.push_back(parts_.train[i * parts_.train.size() / rows]);
            const Dataset part = pick(data_, picked);
            for (size_t i : alive) RMT_CHECK(measure(i, part, last));
            std::erase_if(alive, [&](size_t i) { return !report_.points[i].error.empty(); });
            if (!last) alive = better_third(report_.points, std::move(alive), options_.budget);
        }
        RMT_CHECK(conclude());
        return std::move(report_);
    }

private:
    Result<void> measure(size_t i, const Dataset& part, bool last) {
        if (stopped_) return {};
        SearchPoint& point = report_.points[i];
        TrainOptions common = options_.common;
        common.holdout = 0;
        auto model = candidates_[i].make(part, common);
        done_++;
        if (options_.progress && !options_.progress({done_, candidates_.size() * 3 / 2, 0, 0})) stopped_ = true;
        if (!model) {
            point.error = model.error().message;
            return {};
        }
        RMT_TRY(const Evaluation e, evaluate(*model, data_, common.label, parts_.validation, common.none));
        point.rows = part.rows();
        point.complete = last;
        point.accuracy = accuracy_of(e, common.task);
        report_.baseline = common.task == Task::Classify ? e.baseline() : 0;
        point.cost = options_.cost ? options_.cost(*model) : estimated_cost_ns(*model);
        point.trees = static_cast<uint32_t>(model->trees.size());
        point.depth = has_trees(model->kind) ? model_depth(*model) : 0;
        point.nodes = model_nodes(*model);
        models_[i] = std::move(*model);
        return {};
    }

    Result<void> conclude() {
        std::vector<SearchPoint>& points = report_.points;
        for (SearchPoint& point : points)
            point.front = point.complete && std::none_of(points.begin(), points.end(),
                                                         [&](const SearchPoint& other) { return other.complete && beats(other, point); });
        for (size_t i = 0; i < points.size(); i++) {
            if (!points[i].front || points[i].cost > options_.budget) continue;
            if (report_.chosen == SIZE_MAX || points[i].accuracy > points[report_.chosen].accuracy) report_.chosen = i;
        }
        if (report_.chosen == SIZE_MAX) return {};
        report_.model = std::move(models_[report_.chosen]);
        const TrainOptions& common = options_.common;
        RMT_TRY(report_.validation, evaluate(report_.model, data_, common.label, parts_.validation, common.none));
        RMT_TRY(report_.test, evaluate(report_.model, data_, common.label, parts_.test, common.none));
        report_.model.name = common.name;
        report_.model.provenance["search"] = points[report_.chosen].kind + ", " + points[report_.chosen].settings;
        report_.model.provenance.erase("holdout_accuracy"), report_.model.provenance.erase("holdout_majority");
        seal(report_.model);
        return {};
    }

    const Dataset& data_;
    const SearchOptions& options_;
    const std::vector<Candidate>& candidates_;
    const Parts& parts_;
    std::vector<Model> models_;
    SearchReport report_;
    size_t done_ = 0;
    bool stopped_ = false;
};

// With the shape of the candidate, and the inputs that it may use.
TrainOptions shaped(TrainOptions common, uint32_t depth, const std::vector<std::string>& use) {
    common.max_depth = depth;
    common.max_nodes = 1 << 16;
    common.use = use;
    return common;
}

void add_trees(std::vector<Candidate>& list, uint32_t depth, const std::vector<std::string>& use, const std::string& inputs) {
    list.push_back({"tree", "depth " + std::to_string(depth) + inputs,
                    [=](const Dataset& data, const TrainOptions& common) { return made(train_tree(data, shaped(common, depth, use))); }});
}

void add_boosted(std::vector<Candidate>& list, uint32_t trees, uint32_t depth, const std::vector<std::string>& use,
                 const std::string& inputs) {
    list.push_back({"gbt", std::to_string(trees) + " rounds, depth " + std::to_string(depth) + inputs,
                    [=](const Dataset& data, const TrainOptions& common) {
                        BoostOptions options;
                        const uint32_t labels = options.common.max_labels;
                        options.common = shaped(common, depth, use);
                        options.common.max_labels = std::min(labels, common.max_labels);
                        options.trees = trees;
                        if (trees < 20) options.learning_rate = 0.5;
                        return made(train_boost(data, options));
                    }});
}

void add_forest(std::vector<Candidate>& list, uint32_t trees, uint32_t depth) {
    list.push_back(
        {"forest", std::to_string(trees) + " trees, depth " + std::to_string(depth), [=](const Dataset& data, const TrainOptions& common) {
             ForestOptions options;
             const uint32_t labels = options.common.max_labels;
             options.common = shaped(common, depth, {});
             options.common.max_labels = std::min(labels, common.max_labels);
             options.common.min_leaf = 2;
             options.trees = trees;
             return made(train_forest(data, options));
         }});
}

void add_distilled(std::vector<Candidate>& list, uint32_t depth) {
    list.push_back({"distilled", "tree of depth " + std::to_string(depth) + " from 50 boosted rounds",
                    [=](const Dataset& data, const TrainOptions& common) -> Result<Model> {
                        BoostOptions large;
                        const uint32_t labels = large.common.max_labels;
                        large.common = shaped(common, 6, {});
                        large.common.max_labels = std::min(labels, common.max_labels);
                        large.trees = 50;
                        RMT_TRY(const TrainReport teacher, train_boost(data, large));
                        DistillOptions options;
                        options.small.common = shaped(common, depth, {});
                        options.small.common.holdout = 0.1;  // to choose between margins and answers
                        RMT_TRY(DistillReport report, distill(teacher.model, data, options));
                        report.trained.model.output = common.output;
                        return std::move(report.trained.model);
                    }});
}

}  // namespace

Result<std::vector<Candidate>> usual_candidates(const Dataset& data, const TrainOptions& common) {
    RMT_TRY(const TrainReport ranked, train_tree(data, shaped(common, 8, {})));
    std::vector<size_t> order(common.inputs.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ranked.importance[a] > ranked.importance[b]; });

    std::vector<Candidate> list;
    std::vector<size_t> sizes = {common.inputs.size()};
    while (sizes.back() > 1) sizes.push_back((sizes.back() + 1) / 2);
    for (size_t size : sizes) {
        std::vector<std::string> use;
        if (size < order.size())
            for (size_t i = 0; i < size; i++) use.push_back(common.inputs[order[i]]);
        const std::string inputs = use.empty() ? "" : ", " + std::to_string(size) + (size == 1 ? " input" : " inputs");
        for (uint32_t depth : {2, 4, 6, 8, 12, 16}) add_trees(list, depth, use, inputs);
        if (common.output.kind == OutputKind::Score && common.task == Task::Classify) continue;
        for (uint32_t trees : {4, 12, 40, 100})
            for (uint32_t depth : {4, 6}) add_boosted(list, trees, depth, use, inputs);
    }
    if (common.output.kind == OutputKind::Score && common.task == Task::Classify) return list;
    for (uint32_t trees : {8, 32, 100})
        for (uint32_t depth : {8, 12}) add_forest(list, trees, depth);
    for (uint32_t depth : {4, 6, 8, 12}) add_distilled(list, depth);
    return list;
}

Result<SearchReport> search_models(const Dataset& data, const SearchOptions& options, const std::vector<Candidate>& candidates) {
    if (candidates.empty()) return model_error("M0305", "", "no candidate to search among");
    RMT_TRY(const Parts parts, split(data, options));
    return Search(data, options, candidates, parts).run();
}

double estimated_cost_ns(const Model& model) {
    if (!has_trees(model.kind)) return 0;
    const auto shape = smallest_class(model);
    if (!shape) return std::numeric_limits<double>::infinity();  // no program can be compiled for it
    if (model.kind != ModelKind::Tree)  // four trees at a time
        return 4 + (model.kind == ModelKind::Oblivious ? 0.55 : 1.35) * shape->trees * shape->depth;
    return 2 + 1.3 * shape->depth + 0.16 * shape->depth * shape->depth;
}

}  // namespace rmt::models
