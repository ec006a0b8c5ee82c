// SPDX-License-Identifier: MIT
#include "models/boost.h"

#include <cmath>

#include "models/lower.h"
#include "models/portable_math.h"
#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

TEST_CASE("boost: exp and log are those of the mathematics, to fourteen digits") {
    for (double x = -690; x < 690; x += 0.37) CHECK(std::abs(portable_exp(x) / std::exp(x) - 1) < 2e-14);
    for (double x = 1e-300; x < 1e300; x *= 7.3)
        CHECK(std::abs(portable_log(x) - std::log(x)) < 1e-14 * std::max(1.0, std::abs(std::log(x))));
    CHECK(portable_exp(0) == 1);
    CHECK(portable_exp(-1e9) > 0);
    CHECK(std::isfinite(portable_exp(1e9)));
}

TEST_CASE("boost: two classes") {
    Dataset data = uniform_rows(8000, 8, 1, two_classes);
    BoostOptions options;
    options.common = class_options(data, 2);
    options.trees = 60;
    auto report = train_boost(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.kind == ModelKind::Forest);
    CHECK(report->model.link == Link::Positive);
    CHECK(report->rounds == 60);
    CHECK(report->holdout.rows == 1600);
    CHECK(report->holdout.accuracy() > 0.91);  // 0.95 is the most that can be had
    CHECK(report->holdout.accuracy() > train_tree(data, options.common)->holdout.accuracy());
    CHECK(model_depth(report->model) == 6);
    CHECK(parse_model(to_json(report->model)));

    REQUIRE(report->holdout.classes.size() == 2);
    size_t rows = 0, correct = 0;
    for (const ClassScore& c : report->holdout.classes) {
        CHECK(c.precision() > 0.88);
        CHECK(c.recall() > 0.88);
        rows += c.rows, correct += c.correct;
    }
    CHECK(rows == report->holdout.rows);
    CHECK(correct == report->holdout.correct);

    double others = 0;  // three inputs decide nothing
    REQUIRE(report->importance.size() == 8);
    for (size_t i = 5; i < 8; i++) others += report->importance[i];
    CHECK(others < 0.15);
    CHECK(report->leaf_bound == std::ldexp(61.0, -21));
}

TEST_CASE("boost: regression") {
    Dataset data = uniform_rows(8000, 3, 2, [](const auto& x, auto& random) {
        return x[0] * x[0] / 65536 - 3 * x[1] + (x[2] > 9000 ? 100000 : 0) + between(random, -50, 50);
    });
    BoostOptions options;
    options.common = options_of(data);
    options.common.task = Task::Regress;
    options.common.output = {OutputKind::Value, "i32", -(1 << 20), 1 << 20, {}};
    auto report = train_boost(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.link == Link::Round);
    CHECK(report->model.shift > 0);
    CHECK(report->holdout.absolute_error < report->holdout.baseline_error / 25);
    options.common.output.max = 20000;  // answers stay in the output's range
    report = train_boost(data, options);
    REQUIRE(report);
    for (size_t row = 0; row < 500; row++) {
        std::vector<int64_t> x = {data.columns[0].values[row], data.columns[1].values[row], data.columns[2].values[row]};
        CHECK(infer(report->model, x).value_or(0) <= 20000);
    }
}

TEST_CASE("boost: rows, options and seed decide every bit of the model") {
    Dataset data = uniform_rows(3000, 5, 3, two_classes);
    BoostOptions options;
    options.common = class_options(data, 2);
    options.trees = 10;
    options.subsample = 0.7;
    auto report = train_boost(data, options);
    REQUIRE(report);
    CHECK(report->model == train_boost(data, options)->model);
    CHECK(fingerprint(report->model) == 0x12950d689143f744);  // as seen on x86-64; another machine must give the same
    options.common.seed = 2;
    CHECK(fingerprint(train_boost(data, options)->model) != fingerprint(report->model));
}

TEST_CASE("boost: four classes, by argmax") {
    Dataset data = uniform_rows(6000, 5, 31, four_classes);
    BoostOptions options;
    options.common = class_options(data, 4);
    options.trees = 20;
    auto report = train_boost(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.link == Link::Argmax);
    CHECK(model_outputs(report->model) == 4);
    CHECK(report->model.answers.empty());
    CHECK(report->model.trees.size() == 80);
    CHECK(report->rounds == 20);
    CHECK(report->holdout.accuracy() > 0.92);  // 0.96 is the most that can be had
    CHECK(report->holdout.classes.size() == 4);
    CHECK(parse_model(to_json(report->model)));
    options.max_trees = 16;
    options.patience = 3;
    report = train_boost(data, options);
    REQUIRE(report);
    CHECK(report->model.trees.size() <= 16);
    CHECK(report->holdout.accuracy() > 0.8);
}

TEST_CASE("boost: labels that are values, and rare ones answered by none") {
    Dataset data = uniform_rows(4000, 3, 32, [](const auto& x, auto& random) {
        if (random() % 10 == 0) return between(random, 2000, 4000);
        return x[0] > 40000 ? int64_t{-199} : x[1] > 30000 ? int64_t{100} : int64_t{7};
    });
    BoostOptions options;
    options.common = options_of(data);
    options.common.max_labels = 3;
    options.trees = 10;
    auto report = train_boost(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.answers == std::vector<int64_t>{-199, 0, 7, 100});
    CHECK(report->labels_kept == 3);
    CHECK(report->label_share > 0.88);
    CHECK(infer(report->model, std::vector<int64_t>{50000, 100, 100}) == -199);
    CHECK(infer(report->model, std::vector<int64_t>{100, 50000, 100}) == 100);
    CHECK(infer(report->model, std::vector<int64_t>{100, 100, 100}) == 7);
    CHECK(report->holdout.accuracy() > 0.87);
}

TEST_CASE("boost: early stopping keeps the best round and measures on rows that did not decide") {
    Dataset data = uniform_rows(3000, 5, 4, [](const auto& x, auto& random) {  // a third of the labels are noise
        return random() % 3 == 0 ? static_cast<int64_t>(random() % 2) : x[0] > 30000;
    });
    BoostOptions options;
    options.common = class_options(data, 2);
    options.trees = 200;
    size_t called = 0;
    std::vector<double> losses;
    options.common.progress = [&](const Progress& p) {
        CHECK(p.done == ++called);
        CHECK(p.total == 200);
        losses.push_back(p.held_out_loss);
        return true;
    };
    options.patience = 5;
    auto report = train_boost(data, options);
    REQUIRE(report);
    CHECK(called < 199);
    CHECK(report->rounds == report->model.trees.size());
    CHECK(report->rounds < called);
    CHECK(*std::min_element(losses.begin(), losses.end()) == losses[report->rounds - 1]);
    CHECK(report->holdout.rows >= 280);
    CHECK(report->holdout.rows <= 320);

    called = 0;
    options.patience = 0;
    options.common.progress = [&](const Progress&) { return ++called < 7; };
    CHECK(train_boost(data, options)->rounds == 7);
}

TEST_CASE("boost: shrinkage, L2 and the least weight of a child do what they say") {
    Dataset data = uniform_rows(4000, 5, 5, two_classes);
    BoostOptions options;
    options.common = class_options(data, 2);
    options.trees = 1;
    auto largest = [&] {
        auto report = train_boost(data, options);
        REQUIRE(report);
        int32_t most = 0;
        for (const Tree& tree : report->model.trees)
            for (int32_t value : tree.value) most = std::max(most, std::abs(value));
        return most;
    };
    int32_t usual = largest();
    options.learning_rate = 0.03;
    CHECK(std::abs(largest() - usual / 10) <= 1);
    options.learning_rate = 0.3;
    options.lambda = 1000;
    CHECK(largest() < usual / 3);
    options.lambda = 1;
    options.min_child_weight = 200;  // 800 rows of weight 1/4
    CHECK(model_nodes(train_boost(data, options)->model) <= 2 * (3200 / 800) - 1);
}

TEST_CASE("boost: a result fits the class that a policy reserved") {
    Dataset data = uniform_rows(4000, 5, 6, two_classes);
    ManifestModel policy;
    policy.name = "m";
    policy.inputs = {"x0", "x1", "x2", "x3", "x4"};
    policy.output_kind = "class";
    policy.output_type = "u8";
    policy.output_max = 1;
    policy.shape = {16, 8, 256, rmt::EngineKind::Forest};
    BoostOptions options = boost_options_for(policy);
    options.common.label = "y";
    auto report = train_boost(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.trees.size() == 16);
    CHECK(model_nodes(report->model) > 128);
    CHECK(check_against_policy(report->model, policy));
    CHECK(report->holdout.accuracy() > report->holdout.baseline() + 0.1);
}

TEST_CASE("boost: an input that is not to be used is not looked at, and anything goes there") {
    Dataset data = uniform_rows(2000, 5, 7, two_classes);
    BoostOptions options;
    options.common = class_options(data, 2);
    options.common.use = {"x4", "x1", "x2"};
    options.trees = 5;
    for (auto report : {train_boost(data, options), train_tree(data, options.common)}) {
        REQUIRE(report);
        for (const Tree& tree : report->model.trees)
            for (int32_t feature : tree.feature) CHECK((feature == -1 || feature == 1 || feature == 2 || feature == 4));
        CHECK(report->importance[0] + report->importance[3] == 0);
        CHECK(report->model.inputs.size() == 5);
        CHECK(infer(report->model, std::vector<int64_t>{-5, 30000, 30000, 1 << 30, 30000}));
        CHECK_FALSE(infer(report->model, std::vector<int64_t>{-5, -30000, 30000, 1 << 30, 30000}));
    }
}

TEST_CASE("boost: what cannot be told apart, and what is wrong") {
    Dataset same = uniform_rows(200, 2, 8, [](const auto&, auto&) { return int64_t{1}; });
    BoostOptions options;
    options.common = class_options(same, 2);
    auto report = train_boost(same, options);
    REQUIRE(report);
    CHECK(report->holdout.correct + report->holdout.outside == report->holdout.rows);

    Dataset data = uniform_rows(200, 2, 9, [](const auto& x, auto&) { return x[0] % 3; });
    struct Case {
        const char* id;
        std::function<void(BoostOptions&)> change;
    };
    const Case cases[] = {
        {"M0302", [](BoostOptions& o) { o.common.inputs[0] = "delta"; }},
        {"M0305", [](BoostOptions& o) { o.trees = 0; }},
        {"M0305", [](BoostOptions& o) { o.trees = 1025; }},
        {"M0305", [](BoostOptions& o) { o.learning_rate = 0; }},
        {"M0305", [](BoostOptions& o) { o.subsample = 1.5; }},
        {"M0305", [](BoostOptions& o) { o.lambda = -1; }},
        {"M0305", [](BoostOptions& o) { o.min_child_weight = std::nan(""); }},
        {"M0305", [](BoostOptions& o) { o.patience = 3, o.common.holdout = 0; }},
        {"M0305",
         [](BoostOptions& o) {
             o.common.output = {OutputKind::Score, "i32", -5, 5, {}};
         }},
        {"M0305", [](BoostOptions& o) { o.common.use = {"x7"}; }},
        {"M0305", [](BoostOptions& o) { o.common.max_nodes = 2; }},
        {"M0306", [](BoostOptions& o) { o.common.output.max = 1; }},
    };
    for (const Case& c : cases) {
        BoostOptions wrong;
        wrong.common = class_options(data, 3);
        c.change(wrong);
        auto refused = train_boost(data, wrong);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring(c.id));
    }
}
