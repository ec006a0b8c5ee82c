// SPDX-License-Identifier: MIT
#include "models/distill.h"

#include <numeric>

#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt;
using namespace rmt::models;

namespace {

std::vector<uint32_t> all_rows(const Dataset& data) {
    std::vector<uint32_t> rows(data.rows());
    std::iota(rows.begin(), rows.end(), 0u);
    return rows;
}

double accuracy_on(const Model& model, const Dataset& data) { return evaluate(model, data, "y", all_rows(data), 0)->accuracy(); }

Model large_model(const Dataset& data) {
    BoostOptions options;
    options.common = class_options(data, 2);
    options.trees = 80;
    return train_boost(data, options)->model;
}

}  // namespace

TEST_CASE("distill: from unlabelled rows, a small tree learns more than from few labels") {
    const Dataset labelled = uniform_rows(1500, 5, 21, two_classes), test = uniform_rows(4000, 5, 22, two_classes);
    Dataset unlabelled = uniform_rows(20000, 5, 23, two_classes);
    unlabelled.columns.pop_back();
    const Model large = large_model(labelled);
    DistillOptions options;
    options.small.common.name = "small";
    options.small.common.max_depth = 7;
    options.small.common.max_nodes = 255;
    auto report = distill(large, unlabelled, options);
    REQUIRE((report ? "" : report.error().message) == "");
    const Model& small = report->trained.model;
    CHECK(small.kind == ModelKind::Tree);
    CHECK(model_depth(small) <= 7);
    CHECK(small.output == large.output);
    CHECK(report->agreement > 0.85);
    CHECK(report->rows_skipped < 100);
    CHECK(parse_model(to_json(small)));
    TrainOptions direct = class_options(labelled, 2);
    direct.max_depth = 7;
    CHECK(accuracy_on(small, test) > accuracy_on(train_tree(labelled, direct)->model, test));
}

TEST_CASE("distill: fewer trees on margins") {
    const Dataset data = uniform_rows(4000, 5, 24, two_classes);
    const Model large = large_model(data);
    DistillOptions options;
    options.kind = DistillOptions::Kind::Boost;
    options.small.trees = 12;
    options.small.common.max_depth = 6;
    auto report = distill(large, data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->trained.model.link == Link::Positive);
    CHECK(report->trained.model.trees.size() <= 12);
    CHECK(report->agreement > 0.9);
    CHECK(parse_model(to_json(report->trained.model)));
    double same = 0;
    for (uint32_t row : report->trained.holdout_rows) {
        std::vector<int64_t> x;
        for (size_t c = 0; c < 5; c++) x.push_back(data.columns[c].values[row]);
        same += infer(report->trained.model, x) == infer(large, x);
    }
    CHECK(same / static_cast<double>(report->trained.holdout_rows.size()) > 0.88);
}

TEST_CASE("distill: regression, and a large model that answers numbers") {
    const Dataset data = uniform_rows(
        4000, 2, 25, [](const auto& x, auto& random) { return x[0] / 64 + (x[1] > 9000 ? 1000 : 0) + between(random, -5, 5); });
    BoostOptions large;
    large.common = options_of(data);
    large.common.task = Task::Regress;
    const Model model = train_boost(data, large)->model;
    DistillOptions options;
    options.small.common.task = Task::Regress;
    options.small.common.max_depth = 8;
    auto report = distill(model, data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->trained.holdout.absolute_error < report->trained.holdout.baseline_error / 40);
}

TEST_CASE("distill: rows outside of what the large model knows teach nothing") {
    Dataset data = uniform_rows(1000, 5, 26, two_classes);
    const Model large = large_model(data);
    for (size_t row = 0; row < 100; row++) data.columns[2].values[row] = 70000;
    auto report = distill(large, data, {});
    REQUIRE(report);
    CHECK(report->rows_skipped >= 100);
    CHECK(report->trained.model.inputs[2].max <= 65535);
    data.columns.erase(data.columns.begin());
    auto refused = distill(large, data, {});
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, ContainsSubstring("M0302"));
}

TEST_CASE("distill: a net is taught by boosted trees") {
    const Dataset labelled = uniform_rows(4000, 3, 27, [](const auto& x, auto& random) { return (x[0] + x[1] > 66000) != (random() % 20 == 0); });
    const Dataset test = uniform_rows(3000, 3, 28, [](const auto& x, auto&) { return x[0] + x[1] > 66000; });
    const Model large = large_model(labelled);
    DistillOptions options;
    options.kind = DistillOptions::Kind::Net;
    options.net.hidden = {8};
    options.net.bits = 8;
    auto report = distill(large, labelled, options);
    REQUIRE((report ? "" : report.error().message) == "");
    const Model& small = report->trained.model;
    CHECK(small.kind == ModelKind::Mlp);
    CHECK(small.net->bits == 8);
    CHECK(small.link == Link::Positive);
    CHECK(small.output == large.output);
    CHECK(report->agreement > 0.93);
    CHECK(accuracy_on(small, test) > accuracy_on(large, test) - 0.02);
    CHECK(parse_model(to_json(small)));
}
