// SPDX-License-Identifier: MIT
#include "models/warm_start.h"

#include <algorithm>

#include "bench/delta_streams.h"
#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

namespace {

// Mean accuracy over workloads that the model of the others never saw.
FewShot mean_few_shot(const DeltaTrainer& trainer, size_t samples, uint64_t first_seed, size_t seeds) {
    FewShot mean;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        auto meta = meta_model(trainer, seed, 24, 600);
        REQUIRE((meta ? "" : meta.error().message) == "");
        std::mt19937_64 random(seed + 1000000);
        for (int i = 0; i < 10; i++) {
            Dataset workload;
            add_workload(workload, trainer.question, 1500, random);
            auto one = few_shot(*meta, workload, samples, trainer);
            REQUIRE((one ? "" : one.error().message) == "");
            mean.warm += one->warm / 10 / static_cast<double>(seeds);
            for (size_t k = 0; k < kSettings; k++) mean.scratch[k] += one->scratch[k] / 10 / static_cast<double>(seeds);
        }
    }
    return mean;
}

// Of the settings that a model from nothing may have, the one that turned out best.
double best_scratch(const FewShot& few) { return *std::max_element(few.scratch, few.scratch + kSettings); }

}  // namespace

TEST_CASE("warm start: trees, boosted trees and nets need fewer samples of an unseen workload than from nothing") {
    const struct {
        const char* name;
        DeltaTrainer trainer;
        size_t samples;
        double margin;
    } cases[] = {
        {"lags, tree", {Question::Lags, Learner::Tree}, 4, 0.02},
        {"lags, boosted", {Question::Lags, Learner::Boosted}, 4, 0.02},
        {"lags, mlp", {Question::Lags, Learner::Mlp}, 4, 0.02},
        {"reuse, tree", {Question::Reuse, Learner::Tree}, 16, 0.02},
        {"reuse, boosted", {Question::Reuse, Learner::Boosted}, 16, 0.03},
        {"reuse, mlp", {Question::Reuse, Learner::Mlp}, 8, 0.02},
    };
    for (const auto& c : cases) {
        const FewShot few = mean_few_shot(c.trainer, c.samples, 11, 2), twice = mean_few_shot(c.trainer, 2 * c.samples, 11, 2);
        CAPTURE(c.name, few.warm, best_scratch(few), best_scratch(twice));
        CHECK(few.warm > best_scratch(few) + c.margin);
        if (c.trainer.question == Question::Reuse) CHECK(few.warm > best_scratch(twice) - 0.01);
    }
}

TEST_CASE("warm start: where nothing carries over it costs nothing") {
    for (size_t samples : {16, 32}) {  // with fewer it may cost something: bench/README.md
        const FewShot few = mean_few_shot({Question::Values, Learner::Tree}, samples, 14, 2);
        CAPTURE(samples, few.warm, best_scratch(few));
        CHECK(few.warm > best_scratch(few) - 0.015);
    }
    for (size_t samples : {64, 256}) {
        const FewShot few = mean_few_shot({Question::Reuse, Learner::Tree}, samples, 14, 1);
        CAPTURE(samples, few.warm, best_scratch(few));
        CHECK(few.warm > best_scratch(few) - 0.015);
    }
}

TEST_CASE("warm start: a net that was turned around is learned from nothing, one that is right stays as it is") {
    const Dataset before = uniform_rows(3000, 3, 57, [](const auto& x, auto&) { return int64_t{x[0] + x[1] > 66000}; });
    NetTrainOptions train;
    train.common = class_options(before, 2);
    train.hidden = {8};
    train.bits = 8;
    const Model old = train_net(before, train)->trained.model;
    const Dataset same = uniform_rows(40, 3, 58, [](const auto& x, auto&) { return int64_t{x[0] + x[1] > 66000}; });
    const Dataset turned = uniform_rows(40, 3, 59, [](const auto& x, auto&) { return int64_t{x[2] < 20000}; });
    const Dataset test = uniform_rows(2000, 3, 60, [](const auto& x, auto&) { return int64_t{x[2] < 20000}; });
    WarmOptions warm;
    warm.common.label = "y";
    auto kept = warm_start(old, same, warm);
    REQUIRE((kept ? "" : kept.error().message) == "");
    CHECK(kept->model.kind == ModelKind::Mlp);
    CHECK(kept->model.net->bits == 8);
    CHECK(kept->model.provenance.at("warm_start") == old.digest);
    CHECK(kept->model.provenance.at("warm_start_way") != "from nothing");
    CHECK(parse_model(to_json(kept->model)));
    CHECK(warm_start(old, same, warm)->model == kept->model);
    auto learned = warm_start(old, turned, warm);
    REQUIRE(learned);
    std::vector<uint32_t> rows(test.rows());
    for (uint32_t i = 0; i < rows.size(); i++) rows[i] = i;
    CHECK(evaluate(old, test, "y", rows, 0)->accuracy() < 0.7);
    CHECK(evaluate(learned->model, test, "y", rows, 0)->accuracy() > 0.85);
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
        {"M0305", [](Model& m, WarmOptions&) { m.kind = ModelKind::Mlp; }},  // it does not say what it was made from
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
