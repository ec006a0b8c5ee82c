// SPDX-License-Identifier: MIT
#include "models/train_forest.h"

#include "models/lower.h"
#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

TEST_CASE("forest: two classes, better than a single tree of its depth") {
    Dataset data = uniform_rows(6000, 8, 11, two_classes);
    ForestOptions options;
    options.common = class_options(data, 2);
    options.common.max_depth = 12;
    options.common.min_leaf = 2;
    options.trees = 40;
    auto report = train_forest(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->rounds == 40);
    CHECK(report->model.trees.size() == 40);
    CHECK(report->holdout.accuracy() > 0.87);
    CHECK(report->holdout.accuracy() > train_tree(data, options.common)->holdout.accuracy());
    CHECK(parse_model(to_json(report->model)));
    options.trees = 1;
    CHECK(report->holdout.accuracy() > train_forest(data, options)->holdout.accuracy() + 0.02);
}

TEST_CASE("forest: regression answers the mean of the trees") {
    Dataset data = uniform_rows(
        4000, 2, 12, [](const auto& x, auto& random) { return x[0] * 3 + (x[1] > 9000 ? 100000 : 0) + between(random, -50, 50); });
    ForestOptions options;
    options.common = options_of(data);
    options.common.task = Task::Regress;
    options.common.max_depth = 10;
    options.common.output = {OutputKind::Value, "i32", -(1 << 20), 1 << 20, {}};
    options.trees = 30;
    options.inputs_per_split = 2;
    auto report = train_forest(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->holdout.absolute_error < report->holdout.baseline_error / 40);
    size_t called = 0;
    options.common.progress = [&](const Progress& p) {
        CHECK(p.total == 30);
        return ++called < 5;
    };
    auto stopped = train_forest(data, options);
    REQUIRE(stopped);
    CHECK(stopped->rounds == 5);
    CHECK(stopped->holdout.absolute_error < report->holdout.baseline_error / 30);
}

TEST_CASE("forest: four classes, each tree once for every class that it matters for") {
    Dataset data = uniform_rows(6000, 5, 33, four_classes);
    ForestOptions options;
    options.common = class_options(data, 4);
    options.common.max_depth = 8;
    options.common.min_leaf = 8;
    options.trees = 15;
    auto report = train_forest(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.link == Link::Argmax);
    CHECK(report->model.trees.size() == 60);
    CHECK(report->rounds == 15);
    CHECK(report->holdout.accuracy() > 0.9);
    for (size_t i = 0; i < 60; i++) CHECK(report->model.trees[i].output == static_cast<int32_t>(i % 4));
    CHECK(parse_model(to_json(report->model)));
}

TEST_CASE("forest: rows, options and seed decide every bit of the model") {
    Dataset data = uniform_rows(2000, 5, 13, two_classes);
    ForestOptions options;
    options.common = class_options(data, 2);
    options.trees = 6;
    auto report = train_forest(data, options);
    REQUIRE(report);
    CHECK(report->model == train_forest(data, options)->model);
    CHECK(fingerprint(report->model) == 0xf87d73cb6cc2d778);  // as seen on x86-64; another machine must give the same
    options.common.seed = 2;
    CHECK(fingerprint(train_forest(data, options)->model) != fingerprint(report->model));
}

TEST_CASE("forest: a result fits the class that a policy reserved") {
    Dataset data = uniform_rows(4000, 5, 14, two_classes);
    ManifestModel policy;
    policy.name = "m";
    policy.inputs = {"x0", "x1", "x2", "x3", "x4"};
    policy.output_kind = "class";
    policy.output_type = "u8";
    policy.output_max = 1;
    policy.shape = {12, 8, 512, rmt::EngineKind::Forest};
    ForestOptions options = forest_options_for(policy);
    options.common.label = "y";
    auto report = train_forest(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.trees.size() == 12);
    CHECK(model_nodes(report->model) > 256);
    CHECK(check_against_policy(report->model, policy));
}

TEST_CASE("forest: what is wrong is said") {
    Dataset data = uniform_rows(200, 2, 15, [](const auto& x, auto&) { return x[0] % 3; });
    struct Case {
        const char* id;
        std::function<void(ForestOptions&)> change;
    };
    const Case cases[] = {
        {"M0302", [](ForestOptions& o) { o.common.label = "z"; }},
        {"M0305", [](ForestOptions& o) { o.trees = 0; }},
        {"M0305", [](ForestOptions& o) { o.trees = 2000; }},
        {"M0305", [](ForestOptions& o) { o.bootstrap = 0; }},
        {"M0305",
         [](ForestOptions& o) {
             o.common.output = {OutputKind::Score, "i32", -5, 5, {}};
         }},
        {"M0305", [](ForestOptions& o) { o.common.max_nodes = 2; }},
        {"M0306", [](ForestOptions& o) { o.common.output.max = 1; }},
    };
    for (const Case& c : cases) {
        ForestOptions wrong;
        wrong.common = class_options(data, 3);
        c.change(wrong);
        auto refused = train_forest(data, wrong);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring(c.id));
    }
}
