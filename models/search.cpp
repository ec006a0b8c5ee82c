// SPDX-License-Identifier: MIT
#include "models/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "bpf/include/rmt/net_layout.h"
#include "models/errors.h"
#include "models/lower.h"
#include "models/net_lower.h"
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

bool beats(const SearchPoint& a, const SearchPoint& b) {
    return a.cost <= b.cost && a.accuracy >= b.accuracy && (a.cost < b.cost || a.accuracy > b.accuracy);
}

// The most accurate of each kind that fits the budget: few rows say little of what a net, or a forest, becomes with many.
std::vector<size_t> kinds_to_keep(const std::vector<SearchPoint>& points, const std::vector<size_t>& alive, double budget) {
    std::map<std::string, size_t> best;
    for (size_t i : alive) {
        if (points[i].cost > budget) continue;
        const auto [at, fresh] = best.try_emplace(points[i].kind, i);
        if (!fresh && points[i].accuracy > points[at->second].accuracy) at->second = i;
    }
    std::vector<size_t> kept;
    for (const auto& entry : best) kept.push_back(entry.second);
    return kept;
}

// The better third: front after front, in a front what fits the budget first, then the more accurate; and the best of each kind.
std::vector<size_t> better_third(const std::vector<SearchPoint>& points, std::vector<size_t> alive, double budget) {
    size_t keep = std::max<size_t>((alive.size() + 2) / 3, std::min<size_t>(alive.size(), 6));
    const std::vector<size_t> best_of_kinds = kinds_to_keep(points, alive, budget);
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
    for (size_t i : best_of_kinds)
        if (std::find(kept.begin(), kept.end(), i) == kept.end()) kept.push_back(i);
    std::sort(kept.begin(), kept.end());
    return kept;
}

// Rows of weights and blocks of 16 activations that the net's tiles go through, as net_lower.cpp lays them out; the constants are a
// fit to what bench/README.md measured.
double cost_of_net(const Model& model) {
    const std::vector<NetLayer>& layers = model.net->layers;
    const auto inputs = static_cast<double>(model.inputs.size());
    if (smallest_net_class(model).tiles == 0) return 2 + inputs;  // a linear model's own engine
    const std::vector<NetShape> shapes = net_shapes(*model.net, model.inputs.size());
    double cost = 31 + inputs;
    for (size_t at = 0; at < layers.size(); at++) {
        const NetLayer& layer = layers[at];
        if (layer.kind == LayerKind::MaxPool) continue;
        const bool packed = packs(model, at);
        const uint32_t of_row = packed ? RMT_NET_ROW_OUTPUTS : RMT_NET_ACCUMULATORS;
        const uint32_t count = layer.kind == LayerKind::Dense ? shapes[at].size() : layer.kernel * shapes[at].channels;
        const double rows = (layer.outputs + of_row - 1) / of_row * shapes[at + 1].steps, blocks = (count + RMT_NET_TILE - 1) / RMT_NET_TILE;
        cost += rows * (5.8 + 13.1 * blocks + (packed ? 10 : 0));
    }
    return cost;
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
        report_.task = options.common.task;
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
        point.accuracy = search_score(e, common.task);
        report_.baseline = common.task == Task::Classify ? e.baseline() : 0;
        point.cost = options_.cost ? options_.cost(*model) : estimated_cost_ns(*model);
        point.trees = static_cast<uint32_t>(model->trees.size());
        point.depth = has_trees(model->kind) ? model_depth(*model) : 0;
        point.nodes = model_nodes(*model);
        if (model->net) {
            point.bits = model->net->bits;
            for (const NetLayer& layer : model->net->layers) point.weights += static_cast<uint32_t>(layer.weights.size());
        }
        models_[i] = std::move(*model);
        return {};
    }

    Result<void> conclude() {
        std::vector<SearchPoint>& points = report_.points;
        for (SearchPoint& point : points)
            point.front = point.complete && std::isfinite(point.cost) && std::none_of(points.begin(), points.end(),
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
        report_.validation_accuracy = search_score(report_.validation, common.task);
        report_.test_accuracy = search_score(report_.test, common.task);
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

}  // namespace

Result<SearchReport> search_models(const Dataset& data, const SearchOptions& options, const std::vector<Candidate>& candidates) {
    if (candidates.empty()) return model_error("M0305", "", "no candidate to search among");
    RMT_TRY(const Parts parts, split(data, options));
    return Search(data, options, candidates, parts).run();
}

double search_score(const Evaluation& e, Task task) {
    if (task == Task::Classify) return e.accuracy();
    return e.baseline_error > 0 ? 1 - e.absolute_error / e.baseline_error : 1;
}

double estimated_cost_ns(const Model& model) {
    const auto shape = smallest_class(model);
    if (!shape) return std::numeric_limits<double>::infinity();  // no program can be compiled for it
    if (model.net) return cost_of_net(model);
    if (model.kind != ModelKind::Tree)  // four trees at a time
        return 4 + (model.kind == ModelKind::Oblivious ? 0.55 : 1.35) * shape->trees * shape->depth;
    return 2 + 1.3 * shape->depth + 0.16 * shape->depth * shape->depth;
}

}  // namespace rmt::models
