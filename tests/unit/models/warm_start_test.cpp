// SPDX-License-Identifier: MIT
#include "models/warm_start.h"

#include "bench/delta_streams.h"
#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

namespace {

// Mean accuracy over workloads that the model of the others never saw; from nothing with the given `min leaf`.
FewShot mean_few_shot(DeltaTrainer trainer, size_t samples, uint64_t seed) {
    auto meta = meta_model(trainer, seed, 24, 600);
    REQUIRE((meta ? "" : meta.error().message) == "");
    std::mt19937_64 random(seed + 1000000);
    FewShot mean;
    for (int i = 0; i < 10; i++) {
        Dataset workload;
        add_workload(workload, trainer.question, random_period(random), 1500, random);
        trainer.min_leaf = 2;
        auto one = few_shot(*meta, workload, samples, trainer);
        REQUIRE((one ? "" : one.error().message) == "");
        mean.warm += one->warm / 10;
        mean.scratch += one->scratch / 10;
    }
    return mean;
}

}  // namespace

TEST_CASE("warm start: fewer samples of an unseen workload than from nothing") {
    const DeltaTrainer trainer{Question::Lags, true};
    double warm = 0, scratch = 0, scratch_with_twice = 0;
    for (uint64_t seed : {11, 12, 13}) {
        FewShot few = mean_few_shot(trainer, 8, seed), twice = mean_few_shot(trainer, 16, seed);
        warm += few.warm / 3, scratch += few.scratch / 3, scratch_with_twice += twice.scratch / 3;
    }
    CAPTURE(warm, scratch, scratch_with_twice);
    CHECK(warm > scratch + 0.02);
    CHECK(warm > scratch_with_twice - 0.01);
}

TEST_CASE("warm start: splits stay, answers change") {
    Dataset before = uniform_rows(4000, 2, 51, [](const auto& x, auto&) {
        return x[0] > 30000 ? int64_t{100} : x[1] > 20000 ? int64_t{-50} : int64_t{7};
    });
    TrainOptions options = options_of(before);
    options.max_depth = 4;
    const Model old = train_tree(before, options)->model;
    Dataset after = uniform_rows(40, 2, 52, [](const auto& x, auto&) {
        return x[0] > 30000 ? int64_t{33} : x[1] > 20000 ? int64_t{-99} : int64_t{1};
    });
    WarmOptions warm;
    warm.common.label = "y";
    auto report = warm_start(old, after, warm);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.trees[0].size() == 5);
    CHECK(infer(report->model, std::vector<int64_t>{60000, 500}) == 33);
    CHECK(infer(report->model, std::vector<int64_t>{29000, 60000}) == -99);
    CHECK(infer(report->model, std::vector<int64_t>{29000, 500}) == 1);
    CHECK(report->model.inputs[0].max >= old.inputs[0].max);
    CHECK(parse_model(to_json(report->model)));
    CHECK(warm_start(old, after, warm)->model == report->model);

    Dataset one = first_rows(after, 12);  // every row the same answer: no split is supported
    for (int64_t& y : one.columns[2].values) y = 5;
    report = warm_start(old, one, warm);
    REQUIRE(report);
    CHECK(report->model.trees[0].size() == 1);
    CHECK(infer(report->model, std::vector<int64_t>{500, 500}) == 5);
}

TEST_CASE("warm start: forests are fitted again and boosted on") {
    Dataset before = uniform_rows(4000, 5, 53, two_classes);
    BoostOptions options;
    options.common = class_options(before, 2);
    options.trees = 40;
    const Model old = train_boost(before, options)->model;
    auto moved = [](const std::vector<int64_t>& x, std::mt19937_64& random) -> int64_t {  // another threshold of one input
        bool y = (x[0] > 36000) != (x[1] + x[2] > 70000) != (x[3] > 50000 && x[4] < 20000);
        return y != (random() % 20 == 0);
    };
    Dataset few = uniform_rows(150, 5, 54, moved), test = uniform_rows(3000, 5, 55, moved);
    std::vector<uint32_t> rows(test.rows());
    for (uint32_t i = 0; i < rows.size(); i++) rows[i] = i;
    WarmOptions warm;
    warm.common.label = "y";
    auto report = warm_start(old, few, warm);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.trees.size() > 40);
    CHECK(report->model.trees.size() <= 48);
    options.common.holdout = 0;
    const double fresh = evaluate(train_boost(few, options)->model, test, "y", rows, 0)->accuracy();
    CHECK(evaluate(report->model, test, "y", rows, 0)->accuracy() > fresh + 0.1);
    CHECK(parse_model(to_json(report->model)));
    warm.more_trees = 0;
    CHECK(warm_start(old, few, warm)->model.trees.size() == 40);
}

TEST_CASE("warm start: what is wrong is said") {
    Dataset data = uniform_rows(500, 2, 56, [](const auto& x, auto&) { return int64_t{x[0] > 20000}; });
    const Model old = train_tree(data, class_options(data, 2))->model;
    struct Case {
        const char* id;
        std::function<void(Model&, WarmOptions&)> change;
    };
    const Case cases[] = {
        {"M0302", [](Model&, WarmOptions& o) { o.common.label = "z"; }},
        {"M0305",
         [](Model&, WarmOptions& o) {
             o.common.inputs = {"x1", "x0"};
         }},
        {"M0305", [](Model&, WarmOptions& o) { o.learning_rate = 2; }},
        {"M0305", [](Model& m, WarmOptions&) { m.kind = ModelKind::Mlp; }},
        {"M0305", [](Model& m, WarmOptions&) { m.inputs[0].missing = -1; }},
        {"M0305",
         [](Model& m, WarmOptions&) {
             m.sets.push_back({0, {1, 2}});
         }},
    };
    for (const Case& c : cases) {
        Model model = old;
        WarmOptions warm;
        warm.common.label = "y";
        c.change(model, warm);
        auto refused = warm_start(model, data, warm);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring(c.id));
    }
}
