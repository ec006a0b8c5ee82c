// SPDX-License-Identifier: MIT
#include "models/search.h"

#include <algorithm>

#include "models/reference.h"
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

}  // namespace

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
