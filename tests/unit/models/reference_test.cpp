// SPDX-License-Identifier: MIT
#include "models/reference.h"

#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt::models;

TEST_CASE("reference: left iff input <= threshold") {
    const Model model = small_model();
    struct Case {
        std::vector<int64_t> inputs;
        std::optional<int64_t> answer;
    };
    const Case cases[] = {
        {{3, -1}, 10},
        {{3, 0}, 20},
        {{4, -1}, 30},
        {{-10, -100}, 10},
        {{10, 100}, 30},
        {{11, 0}, std::nullopt},
        {{-11, 0}, std::nullopt},
        {{0, 101}, std::nullopt},
        {{INT64_MAX, 0}, std::nullopt},
        {{0}, std::nullopt},
        {{0, 0, 0}, std::nullopt},
    };
    for (const Case& c : cases) CHECK(infer(model, c.inputs) == c.answer);
}

TEST_CASE("reference: a forest rounds half up, then clamps; or answers the sign") {
    struct Case {
        int32_t a, b;
        int64_t base;
        uint32_t shift;
        Link link;
        int64_t answer;
    };
    const Case cases[] = {
        {3, 4, 0, 0, Link::Round, 7},       {3, 4, 1, 1, Link::Round, 4},
        {3, 4, 0, 1, Link::Round, 4},       {-3, -4, 0, 1, Link::Round, -3},
        {-3, -5, 0, 1, Link::Round, -4},    {1000, 0, 0, 0, Link::Round, 50},
        {-1000, 0, 0, 0, Link::Round, -50}, {1 << 29, 1 << 29, 0, 29, Link::Round, 2},
        {1, -1, 0, 0, Link::Positive, 0},   {1, 0, 0, 0, Link::Positive, 1},
        {0, 0, -1, 0, Link::Positive, 0},   {0, 0, 1, 0, Link::Positive, 1},
    };
    for (const Case& c : cases) {
        Model model = small_model();
        model.kind = ModelKind::Forest;
        model.samples = {};
        model.base = c.base;
        model.shift = c.shift;
        model.link = c.link;
        model.output.min = c.link == Link::Positive ? 0 : -50;
        model.output.max = c.link == Link::Positive ? 1 : 50;
        if (c.link == Link::Positive) model.output.kind = OutputKind::Class;
        model.trees.clear();
        model.trees.emplace_back().add_leaf(c.a);
        model.trees.emplace_back().add_leaf(c.b);
        REQUIRE(check_model(model));
        CHECK(infer(model, std::vector<int64_t>{0, 0}) == c.answer);
    }
}

TEST_CASE("reference: missing values go to the default side, sets are asked for members, argmax takes the first largest") {
    Model model = small_model();
    model.samples = {};
    model.inputs[0].missing = 77;
    model.trees[0].default_left = {1, 0, 0, 0, 0};
    REQUIRE(check_model(model));
    CHECK(infer(model, std::vector<int64_t>{77, 0}) == 20);
    CHECK(infer(model, std::vector<int64_t>{77, -1}) == 10);
    CHECK(infer(model, std::vector<int64_t>{76, 0}) == std::nullopt);
    model.trees[0].default_left = {0, 0, 0, 0, 0};
    CHECK(infer(model, std::vector<int64_t>{77, 0}) == 30);

    model.sets = {{0, {2, 4, 77}}};  // 77 is missing, not a member
    model.trees[0].feature[0] = 2, model.trees[0].threshold[0] = 0;
    REQUIRE(check_model(model));
    CHECK(infer(model, std::vector<int64_t>{2, 0}) == 30);
    CHECK(infer(model, std::vector<int64_t>{3, 0}) == 20);
    CHECK(infer(model, std::vector<int64_t>{77, 0}) == 30);
    model.trees[0].default_left[0] = 1;
    CHECK(infer(model, std::vector<int64_t>{77, 0}) == 20);

    model.kind = ModelKind::Forest, model.link = Link::Argmax;
    model.trees.assign(2, {});
    model.trees[0].add_leaf(4), model.trees[1].add_leaf(5), model.trees[1].output = 2;
    model.base = 1, model.more_bases = {5, 0};
    REQUIRE(check_model(model));
    CHECK(infer(model, std::vector<int64_t>{0, 0}) == 0);
    model.more_bases = {5, 1}, model.answers = {10, 20, 30};
    CHECK(infer(model, std::vector<int64_t>{0, 0}) == 30);
}
