// SPDX-License-Identifier: MIT
#include "models/train.h"

#include <functional>

#include "models/reference.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

// Page deltas of a task: what came before, newest first, and what came next.
Dataset history(const std::function<int64_t(size_t)>& delta_at, size_t rows) {
    Dataset data;
    for (int k = 0; k < 4; k++) data.columns.push_back({"deltas[" + std::to_string(k) + "]", "i32", {}});
    data.columns.push_back({"next", "i64", {}});
    for (size_t row = 0; row < rows; row++) {
        for (size_t k = 0; k < 4; k++) data.columns[k].values.push_back(delta_at(row + 3 - k));
        data.columns[4].values.push_back(delta_at(row + 4));
    }
    return data;
}

TrainOptions four_deltas() {
    TrainOptions options;
    options.name = "next_delta";
    for (int k = 0; k < 4; k++) options.inputs.push_back("deltas[" + std::to_string(k) + "]");
    options.label = "next";
    return options;
}

int64_t three_streams(size_t i) {  // 3x3 convolution: three rows ahead in turn, then one page on
    return i % 3 == 2 ? -199 : 100;
}

}  // namespace

TEST_CASE("train: periodic deltas are learned exactly") {
    struct Case {
        const char* what;
        std::function<int64_t(size_t)> delta;
        size_t most_nodes;
    };
    const Case cases[] = {
        {"sequential", [](size_t) { return int64_t{1}; }, 1},
        {"stride", [](size_t) { return int64_t{-7}; }, 1},
        {"convolution", three_streams, 9},
        {"two of four", [](size_t i) { return i % 4 == 1   ? int64_t{1000}
                                              : i % 4 == 3 ? int64_t{-997}
                                                           : int64_t{2}; }, 15},
    };
    for (const Case& c : cases) {
        INFO(c.what);
        Dataset data = history(c.delta, 4000);
        auto report = train_tree(data, four_deltas());
        REQUIRE((report ? "" : report.error().message) == "");
        CHECK(report->holdout.rows == 800);
        CHECK(report->holdout.accuracy() == 1.0);
        CHECK(report->holdout.precision() == 1.0);
        CHECK(report->label_share == 1.0);
        CHECK(model_nodes(report->model) <= c.most_nodes);
        CHECK(report->rows_used + report->holdout_rows.size() == 4000);
    }
}

TEST_CASE("train: noise is answered by none, not by a guess") {
    std::mt19937_64 random(3);
    std::vector<int64_t> noise;
    for (int i = 0; i < 20004; i++) noise.push_back(between(random, -1000000, 1000000));
    auto report = train_tree(history([&](size_t i) { return noise[i]; }, 20000), four_deltas());
    REQUIRE(report);
    CHECK(report->holdout.answered < report->holdout.rows / 100);
    CHECK(report->label_share < 0.05);
}

TEST_CASE("train: a pattern is found under noise, and the confidence decides") {
    std::mt19937_64 random(4);
    std::vector<int64_t> deltas;
    for (size_t i = 0; i < 20004; i++) deltas.push_back(random() % 10 == 0 ? between(random, -100000, 100000) : three_streams(i));
    Dataset data = history([&](size_t i) { return deltas[i]; }, 20000);
    TrainOptions options = four_deltas();
    auto report = train_tree(data, options);
    REQUIRE(report);
    CHECK(report->holdout.accuracy() > 0.7);  // 0.9 is the most that can be had; the history is noisy too
    CHECK(report->holdout.accuracy() > report->holdout.baseline() + 0.05);
    options.confidence = 0.99;
    auto strict = train_tree(data, options);
    REQUIRE(strict);
    CHECK(strict->holdout.answered < report->holdout.answered);
}

TEST_CASE("train: two values that only together decide") {
    Dataset data;
    data.columns = {{"a", "u8", {}}, {"b", "u8", {}}, {"y", "u8", {}}};
    for (int i = 0; i < 4096; i++) {
        data.columns[0].values.push_back(i % 2);
        data.columns[1].values.push_back(i / 2 % 2);
        data.columns[2].values.push_back((i % 2) ^ (i / 2 % 2));
    }
    TrainOptions options;
    options.inputs = {"a", "b"};
    options.label = "y";
    options.none = -1;
    auto report = train_tree(data, options);
    REQUIRE(report);
    CHECK(report->holdout.accuracy() == 1.0);
    CHECK(model_nodes(report->model) == 7);
}

TEST_CASE("train: regression") {
    std::mt19937_64 random(6);
    Dataset data;
    data.columns = {{"x", "i32", {}}, {"y", "i32", {}}};
    for (int i = 0; i < 5000; i++) {
        int64_t x = between(random, -100, 100);
        data.columns[0].values.push_back(x);
        data.columns[1].values.push_back((x < -30 ? 4000 : x < 50 ? -20 : 777) + between(random, -3, 3));
    }
    TrainOptions options;
    options.inputs = {"x"};
    options.label = "y";
    options.task = Task::Regress;
    options.max_depth = 2;
    auto report = train_tree(data, options);
    REQUIRE(report);
    CHECK(report->holdout.mean_error() < 3);
    CHECK(report->holdout.absolute_error < report->holdout.baseline_error / 100);
    for (auto [x, y] : {std::pair<int64_t, int64_t>{-31, 4000}, {-30, -20}, {49, -20}, {50, 777}})
        CHECK(std::abs(*infer(report->model, std::vector<int64_t>{x}) - y) <= 2);
    options.output.max = 1000;  // leaves stay in the output's range
    CHECK(*infer(train_tree(data, options)->model, std::vector<int64_t>{-90}) == 1000);
}

TEST_CASE("train: the trained range is what was seen, and other inputs are not answered") {
    Dataset data = history(three_streams, 4000);
    auto report = train_tree(data, four_deltas());
    REQUIRE(report);
    for (const ModelInput& input : report->model.inputs) {
        CHECK(input.min == -199);
        CHECK(input.max == 100);
        CHECK(input.type == "i32");
    }
    CHECK_FALSE(infer(report->model, std::vector<int64_t>{101, 100, 100, 100}));
    CHECK(report->model.samples.inputs.size() == 32);
    CHECK(parse_model(to_json(report->model)));
}

TEST_CASE("train: rows that the engine would refuse are not used") {
    Dataset data = history([](size_t i) { return i == 2000 ? int64_t{1} << 40 : i == 3000 ? -(int64_t{1} << 31) : 5; }, 4000);
    auto report = train_tree(data, four_deltas());
    REQUIRE(report);
    CHECK(report->rows_dropped == 8);
    CHECK(report->model.inputs[0].max == 5);
}

TEST_CASE("train: limits hold, and a seed decides everything") {
    std::mt19937_64 random(8);
    Dataset data;
    data.columns = {{"a", "i32", {}}, {"b", "i32", {}}, {"y", "i32", {}}};
    for (int i = 0; i < 6000; i++) {
        for (int c = 0; c < 2; c++) data.columns[c].values.push_back(between(random, -5000, 5000));
        data.columns[2].values.push_back((data.columns[0].values[i] / 700 + data.columns[1].values[i] / 900) % 7);
    }
    TrainOptions options;
    options.inputs = {"a", "b"};
    options.label = "y";
    options.max_depth = 16;
    options.min_leaf = 1;
    options.none = -1;
    options.max_nodes = 300;
    auto limited = train_tree(data, options);
    REQUIRE(limited);
    CHECK(model_nodes(limited->model) <= 300);
    CHECK(model_nodes(limited->model) > 150);
    options.max_nodes = 1 << 20;
    auto free = train_tree(data, options);
    REQUIRE(free);
    CHECK(model_nodes(free->model) > 300);
    CHECK(model_depth(free->model) <= 16);
    CHECK(free->holdout.accuracy() > limited->holdout.accuracy());
    options.max_depth = 3;
    options.confidence = 0;
    CHECK(model_depth(train_tree(data, options)->model) == 3);
    options.min_leaf = 500;
    CHECK(model_nodes(train_tree(data, options)->model) < 2 * 6000 / 500);

    CHECK(train_tree(data, options)->model == train_tree(data, options)->model);
    options.seed = 2;
    CHECK(train_tree(data, options)->holdout_rows != free->holdout_rows);
    options.split = Holdout::Tail;
    CHECK(train_tree(data, options)->holdout_rows.front() == 4800);
}

TEST_CASE("train: labels outside of the output's range are never answered") {
    Dataset data = history([](size_t i) { return i % 2 ? int64_t{5000} : int64_t{3}; }, 1000);
    auto report = train_tree(data, four_deltas());
    REQUIRE(report);
    CHECK(report->labels_kept == 1);
    CHECK(infer(report->model, std::vector<int64_t>{3, 5000, 3, 5000}) == 0);
    CHECK(infer(report->model, std::vector<int64_t>{5000, 3, 5000, 3}) == 3);
}

TEST_CASE("train: what is wrong is said") {
    Dataset data = history(three_streams, 100);
    struct Case {
        const char* id;
        std::function<void(TrainOptions&)> change;
    };
    const Case cases[] = {
        {"M0302", [](TrainOptions& o) { o.inputs[0] = "delta"; }},
        {"M0302", [](TrainOptions& o) { o.label = "nxt"; }},
        {"M0304", [](TrainOptions& o) { o.min_leaf = 1000; }},
        {"M0305", [](TrainOptions& o) { o.inputs.clear(); }},
        {"M0305", [](TrainOptions& o) { o.inputs.resize(16); }},
        {"M0305", [](TrainOptions& o) { o.max_depth = 33; }},
        {"M0305", [](TrainOptions& o) { o.max_depth = 0; }},
        {"M0305", [](TrainOptions& o) { o.min_leaf = 0; }},
        {"M0305", [](TrainOptions& o) { o.max_labels = 65; }},
        {"M0305", [](TrainOptions& o) { o.confidence = 1.5; }},
        {"M0305", [](TrainOptions& o) { o.holdout = 1; }},
        {"M0305", [](TrainOptions& o) { o.none = 5000; }},
        {"M0305", [](TrainOptions& o) { o.output.max = int64_t{1} << 40; }},
        {"M0107",
         [](TrainOptions& o) {
             o.input_types = {"i32", "i32", "i32", "float"};
         }},
    };
    for (const Case& c : cases) {
        TrainOptions options = four_deltas();
        c.change(options);
        auto report = train_tree(data, options);
        REQUIRE_FALSE(report);
        CHECK_THAT(report.error().message, ContainsSubstring(c.id));
    }
    auto near = train_tree(data, [] {
        auto o = four_deltas();
        o.label = "nxt";
        return o;
    }());
    CHECK_THAT(near.error().hint, ContainsSubstring("did you mean 'next'"));
    CHECK_FALSE(train_tree({}, four_deltas()));
}
