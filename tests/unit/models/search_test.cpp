// SPDX-License-Identifier: MIT
#include "models/search.h"

#include <algorithm>
#include <cmath>

#include "models/reference.h"
#include "tests/models/random_net.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

namespace {

SearchOptions options_for_search(const Dataset& data) {
    SearchOptions options;
    options.common = class_options(data, 2);
    options.common.name = "found";
    return options;
}

// Always the same answer; costs and is right as told.
Candidate constant(const std::string& name, int64_t answer) {
    return {"constant", name, [answer](const Dataset&, const TrainOptions& common) -> Result<Model> {
                Model model;
                model.name = "constant";
                for (const std::string& input : common.inputs) model.inputs.push_back({input, "i32", -100000, 100000});
                model.output = common.output;
                model.trees.resize(1);
                model.trees[0].add_leaf(static_cast<int32_t>(answer));
                return model;
            }};
}

// A plane in five inputs, which a tree has to approach by steps.
int64_t plane(const std::vector<int64_t>& x, std::mt19937_64& random) {
    const bool y = 3 * x[0] - 2 * x[1] + x[2] - x[3] + x[4] > 66000;
    return y != (random() % 25 == 0);
}

// Stripes of one input by those of another: few splits, and far from anything linear.
int64_t stripes(const std::vector<int64_t>& x, std::mt19937_64& random) {
    const bool y = ((x[0] / 12000) + (x[1] / 16384)) % 2 == 0;
    return y != (random() % 25 == 0);
}

// The definition, pair by pair.
void check_front(const SearchReport& report) {
    size_t front = 0;
    for (const SearchPoint& p : report.points) {
        bool beaten = false;
        for (const SearchPoint& q : report.points)
            beaten |= q.complete && q.cost <= p.cost && q.accuracy >= p.accuracy && (q.cost < p.cost || q.accuracy > p.accuracy);
        CAPTURE(p.kind, p.settings, p.cost, p.accuracy);
        CHECK(p.front == (p.complete && std::isfinite(p.cost) && !beaten));
        front += p.front;
    }
    CHECK(front > 0);
}

bool is_net(const SearchPoint& p) { return p.bits > 0; }

SearchReport search_or_fail(const Dataset& data, const SearchOptions& options) {
    auto candidates = usual_candidates(data, options.common);
    if (!candidates) FAIL(candidates.error().message);
    auto report = search_models(data, options, *candidates);
    if (!report) FAIL(report.error().message);
    for (const SearchPoint& p : report->points) {
        CAPTURE(p.kind, p.settings);
        CHECK(p.error == "");
        CHECK(p.cost > 0);
    }
    return *report;
}

}  // namespace

TEST_CASE("search: where the answer is a plane a net wins, and both bit widths are tried to the end") {
    const Dataset data = uniform_rows(4000, 5, 44, plane);
    SearchOptions options = options_for_search(data);
    options.budget = 400;
    const SearchReport report = search_or_fail(data, options);
    check_front(report);
    REQUIRE(report.chosen != SIZE_MAX);
    const SearchPoint& chosen = report.points[report.chosen];
    CHECK(is_net(chosen));
    CHECK(report.model.net);
    CHECK(report.test_accuracy > 0.92);  // 0.96 is possible
    double best_tree = 0;
    bool linear = false, narrow = false, wide = false, taught = false;
    for (const SearchPoint& p : report.points) {
        if (!is_net(p)) best_tree = std::max(best_tree, p.complete && p.cost <= 400 ? p.accuracy : 0);
        linear |= p.complete && p.kind == "linear" && p.bits == 32;
        narrow |= p.complete && p.kind == "mlp int8" && p.bits == 8 && p.weights > 0;
        wide |= p.complete && p.kind == "mlp int16" && p.bits == 16;
        taught |= p.kind == "distilled" && is_net(p);
    }
    CHECK(linear);
    CHECK(narrow);
    CHECK(wide);
    CHECK(taught);
    CHECK(chosen.accuracy > best_tree + 0.02);
    const std::string table = search_table(report), svg = search_plot(report, "plane");
    CHECK_THAT(table, ContainsSubstring("mlp int8   hidden"));
    CHECK_THAT(table, ContainsSubstring("mlp int16  hidden"));
    CHECK_THAT(table, ContainsSubstring("linear     32 bits"));
    CHECK_THAT(svg, ContainsSubstring("mlp int16, hidden"));
    CHECK(parse_model(to_json(report.model)));
    CHECK(search_or_fail(data, options).model.digest == report.model.digest);
}

TEST_CASE("search: where few splits say it all a tree wins, and the budget keeps nets out") {
    const Dataset data = uniform_rows(3000, 3, 45, stripes), flat = uniform_rows(3000, 5, 46, plane);
    SearchOptions options = options_for_search(data);
    const SearchReport report = search_or_fail(data, options);
    check_front(report);
    REQUIRE(report.chosen != SIZE_MAX);
    CHECK_FALSE(is_net(report.points[report.chosen]));
    CHECK(report.test_accuracy > 0.9);

    // A plane again: an MLP may be the most accurate, a linear model is what 50 ns can pay; below that, only trees are left.
    options = options_for_search(flat);
    options.budget = 50;
    const SearchReport small = search_or_fail(flat, options);
    check_front(small);
    REQUIRE(small.chosen != SIZE_MAX);
    CHECK(small.points[small.chosen].kind == "linear");
    bool dear = false;
    for (const SearchPoint& p : small.points) dear |= p.kind.starts_with("mlp") && p.cost > 50;
    CHECK(dear);
}

TEST_CASE("search: numbers are searched by their error") {
    const Dataset data = uniform_rows(2500, 3, 47, [](const auto& x, auto& random) { return x[0] / 8 - x[1] / 16 + static_cast<int64_t>(random() % 40); });
    SearchOptions options = options_for_search(data);
    options.common.task = Task::Regress;
    options.common.output = {OutputKind::Score, "i32", -20000, 20000, {}};
    const SearchReport report = search_or_fail(data, options);
    check_front(report);
    REQUIRE(report.chosen != SIZE_MAX);
    CHECK(is_net(report.points[report.chosen]));
    CHECK(report.test_accuracy > 0.99);
    CHECK(report.model.output == options.common.output);
    CHECK_THAT(search_table(report), ContainsSubstring("of the error of the mean"));
}

TEST_CASE("search: a program that trains while it runs is offered single trees only; more inputs than trees can have, nets only") {
    const Dataset data = uniform_rows(400, 2, 48, stripes), wide = uniform_rows(400, 70, 49, [](const auto& x, auto&) { return x[3] + x[5] > 66000; });
    const auto single = usual_candidates(data, class_options(data, 2), CandidateKinds::SingleTrees);
    REQUIRE(single);
    for (const Candidate& c : *single) CHECK((c.kind == "tree" || (c.kind == "distilled" && c.settings.starts_with("tree"))));
    SearchOptions options = options_for_search(wide);
    options.common.max_inputs = 70;
    auto candidates = usual_candidates(wide, options.common);
    REQUIRE(candidates);
    for (const Candidate& c : *candidates) CHECK((c.kind == "linear" || c.kind.starts_with("mlp")));
    auto report = search_models(wide, options, *candidates);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.net);
}

TEST_CASE("search: what a net costs is near to what was measured") {
    using enum LayerKind;
    const struct {
        NetSpec spec;
        double ns;  // bench/README.md
    } cases[] = {
        {{"linear 8", 8, 1, {{Dense, 1}}, 16, Link::Round, 30000, false, ModelKind::Linear}, 10},
        {{"8-16-8-1 int8", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}, 8}, 206},
        {{"8-16-8-1 int16", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}, 16}, 285},
        {{"15-10-1 int16", 15, 1, {{Dense, 10}, {Dense, 1}}, 16}, 160},
        {{"32-64-32-1 int8", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 8}, 934},
        {{"32-64-32-1 int16", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 16}, 2053},
    };
    std::mt19937_64 random(5);
    for (const auto& c : cases) {
        const double cost = estimated_cost_ns(random_net(random, c.spec));
        CAPTURE(c.spec.name, cost);
        CHECK(cost > 0.8 * c.ns);
        CHECK(cost < 1.25 * c.ns);
    }
}

TEST_CASE("search: the usual candidates make a front, and the best under the budget is chosen") {
    Dataset data = uniform_rows(6000, 5, 41, two_classes);
    SearchOptions options = options_for_search(data);
    options.budget = 150;
    size_t trainings = 0;
    options.progress = [&](const Progress&) { return ++trainings > 0; };
    auto candidates = usual_candidates(data, options.common);
    REQUIRE((candidates ? "" : candidates.error().message) == "");
    auto report = search_models(data, options, *candidates);
    REQUIRE((report ? "" : report.error().message) == "");
    REQUIRE(report->chosen != SIZE_MAX);
    CHECK(trainings < 2 * candidates->size());
    const SearchPoint& chosen = report->points[report->chosen];
    CHECK(chosen.cost <= 150);
    CHECK(chosen.front);
    CHECK(chosen.accuracy > report->baseline + 0.25);
    CHECK(report->test.rows > 700);
    CHECK(report->test.accuracy() > 0.83);
    CHECK(report->model.name == "found");
    CHECK(parse_model(to_json(report->model)));
    size_t front = 0;
    double accuracy = 2, cost = 0;
    std::vector<SearchPoint> points;
    for (const SearchPoint& p : report->points) {
        CHECK(p.error == "");
        if (p.front) points.push_back(p), front++;
        if (p.complete && p.cost <= 150) CHECK(p.accuracy <= chosen.accuracy);
        if (p.complete) CHECK(p.rows == 6000 - report->validation.rows - report->test.rows);
    }
    CHECK(front >= 3);
    std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.cost > b.cost; });
    for (const SearchPoint& p : points) {  // cheaper is less accurate
        CHECK(p.accuracy <= accuracy);
        CHECK((cost == 0 || p.cost <= cost));
        accuracy = p.accuracy, cost = p.cost;
    }
    std::string table = search_table(*report), svg = search_plot(*report, "a < b");
    CHECK_THAT(table, ContainsSubstring("> " + chosen.kind));
    CHECK_THAT(svg, ContainsSubstring("a &lt; b"));
    CHECK_THAT(svg, ContainsSubstring("budget"));
    CHECK(svg.substr(svg.size() - 7) == "</svg>\n");
    CHECK(search_models(data, options, *candidates)->model == report->model);
}

TEST_CASE("search: other makers, a given cost, and failures are points") {
    Dataset data = uniform_rows(1500, 2, 42, [](const auto& x, auto&) { return x[0] > 20000; });
    SearchOptions options = options_for_search(data);
    std::vector<Candidate> candidates = {constant("no", 0), constant("yes", 1)};
    candidates.push_back(
        {"broken", "never", [](const Dataset&, const TrainOptions&) -> Result<Model> { return fail(ErrorKind::Input, "no way"); }});
    options.cost = [](const Model& model) { return model.trees[0].value[0] == 1 ? 7.0 : 3.0; };
    auto report = search_models(data, options, candidates);
    REQUIRE(report);
    CHECK(report->chosen == 1);
    CHECK(report->points[0].cost == 3);
    CHECK(report->points[0].front);
    CHECK(report->points[1].front);
    CHECK(report->points[2].error == "no way");
    CHECK_FALSE(report->points[2].front);
    options.budget = 5;
    CHECK(search_models(data, options, candidates)->chosen == 0);
    options.budget = 1;
    report = search_models(data, options, candidates);
    CHECK(report->chosen == SIZE_MAX);
    CHECK_THAT(search_table(*report), ContainsSubstring("nothing fits"));
}

TEST_CASE("search: what is wrong is said") {
    Dataset data = uniform_rows(300, 2, 43, [](const auto& x, auto&) { return x[0] > 20000; });
    SearchOptions options = options_for_search(data);
    CHECK_THAT(search_models(data, options, {}).error().message, ContainsSubstring("M0305"));
    options.validation = 0;
    CHECK_THAT(search_models(data, options, {constant("no", 0)}).error().message, ContainsSubstring("M0305"));
    options.validation = 0.2;
    options.common.label = "z";
    CHECK_THAT(search_models(data, options, {constant("no", 0)}).error().message, ContainsSubstring("M0302"));
    CHECK_THAT(usual_candidates(data, options.common).error().message, ContainsSubstring("M0302"));
}
