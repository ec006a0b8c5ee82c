// SPDX-License-Identifier: MIT
#include "models/lower.h"

#include <cstring>

#include "tests/models/random_model.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt::models;
using rmt::ModelClass;

TEST_CASE("lowering: the bytes of a small tree") {
    const Model model = small_model();
    const ModelClass shape{1, 4, 256};
    CHECK(smallest_class(model) == shape);
    auto value = lower_model(model, shape, 7);
    REQUIRE(value);
    REQUIRE(value->size() == value_size(shape));
    REQUIRE(value->size() == 200 + 16 + 256 * 8);
    rmt_model_header header;
    std::memcpy(&header, value->data(), sizeof header);
    CHECK(header.layout == RMT_MODEL_LAYOUT);
    CHECK(header.kind == RMT_MODEL_TREE);
    CHECK(header.depth == 2);
    CHECK(header.inputs == 2);
    CHECK(header.version == 7);
    CHECK(header.lo[0] == -10);
    CHECK(header.span[0] == 20);
    CHECK(header.span[1] == 200);
    CHECK(header.span[2] == UINT32_MAX);
    CHECK(model.digest.substr(7, 16) == [&] {
        char hex[17];
        std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(header.digest));
        return std::string(hex);
    }());
    rmt_model_node node[5];
    std::memcpy(node, value->data() + 216, sizeof node);
    const std::pair<int32_t, uint32_t> expected[5] = {
        {3, 0 | 1 << 8}, {-1, 1 | 3 << 8}, {30, 15 | 2 << 8}, {10, 15 | 3 << 8}, {20, 15 | 4 << 8}};
    for (int i = 0; i < 5; i++) {
        CHECK(node[i].threshold == expected[i].first);
        CHECK(node[i].link == expected[i].second);
    }
}

TEST_CASE("lowering: the smallest class") {
    std::mt19937_64 random(1);
    struct Case {
        RandomShape random;
        ModelClass shape;
    };
    const Case cases[] = {
        {{.depth = 0}, {1, 4, 256}},
        {{.depth = 4, .complete = true}, {1, 4, 256}},
        {{.depth = 5, .complete = true}, {1, 8, 256}},
        {{.depth = 7, .complete = true}, {1, 8, 256}},
        {{.depth = 8, .complete = true}, {1, 8, 512}},
        {{.depth = 9, .complete = true}, {1, 12, 1024}},
        {{.depth = 16, .complete = true}, {1, 16, 131072}},
        {{.kind = ModelKind::Forest, .trees = 1, .depth = 2}, {4, 4, 256}},
        {{.kind = ModelKind::Forest, .trees = 5, .depth = 6, .complete = true}, {8, 8, 1024}},
        {{.kind = ModelKind::Forest, .trees = 8, .depth = 4, .complete = true}, {8, 4, 256}},
    };
    for (const Case& c : cases) {
        Model model = random_model(random, c.random);
        CAPTURE(c.random.depth, c.random.trees, model_nodes(model));
        CHECK(smallest_class(model) == c.shape);
        CHECK(check_fits(model, c.shape));
        auto value = lower_model(model, c.shape);
        REQUIRE(value);
        CHECK(check_value(*value, c.shape));
        CHECK(lower_model(model, {c.shape.trees == 1 ? 1 : c.shape.trees + 4, 16, c.shape.nodes * 2}));
    }
}

TEST_CASE("lowering: what does not fit the class is refused, with what would") {
    std::mt19937_64 random(2);
    Model tree = random_model(random, {.depth = 9, .complete = true});
    Model forest = random_model(random, {.kind = ModelKind::Forest, .trees = 6, .depth = 3, .complete = true});
    struct Case {
        const Model* model;
        ModelClass shape;
        const char *message, *hint;
    };
    const Case cases[] = {
        {&tree, {1, 8, 1024}, "has 9 steps of depth, the policy was compiled for 8", "depth 12"},
        {&tree, {1, 12, 512}, "has 1023 nodes, the policy was compiled for 512", "nodes 1024"},
        {&tree, {4, 12, 1024}, "is a tree, the policy was compiled for a forest", "compile"},
        {&forest, {1, 4, 256}, "is a forest, the policy was compiled for a tree", "compile"},
        {&forest, {4, 4, 256}, "has 6 trees, the policy was compiled for 4", "trees 8"},
    };
    for (const Case& c : cases) {
        auto value = lower_model(*c.model, c.shape);
        REQUIRE_FALSE(value);
        CHECK_THAT(value.error().message, ContainsSubstring("M0206"));
        CHECK_THAT(value.error().message, ContainsSubstring(c.message));
        CHECK_THAT(value.error().hint, ContainsSubstring(c.hint));
    }
}

TEST_CASE("lowering: a damaged value is noticed") {
    std::mt19937_64 random(4);
    Model model = random_model(random, {.kind = ModelKind::Forest, .trees = 4, .depth = 4, .inputs = 3, .complete = true});
    const ModelClass shape = smallest_class(model);
    const auto good = *lower_model(model, shape);
    const size_t roots = sizeof(rmt_model_header), nodes = roots + 16;
    struct Case {
        const char* what;
        size_t offset;
        uint32_t word;
    };
    const Case cases[] = {
        {"layout", offsetof(rmt_model_header, layout), 0},
        {"kind", offsetof(rmt_model_header, kind), RMT_MODEL_TREE},
        {"depth too large", offsetof(rmt_model_header, depth), shape.depth + 1},
        {"depth too small", offsetof(rmt_model_header, depth), 3},
        {"groups", offsetof(rmt_model_header, groups), 2},
        {"inputs", offsetof(rmt_model_header, inputs), 2},
        {"shift", offsetof(rmt_model_header, shift), 64},
        {"root", roots, 100000},
        {"link to itself", nodes, 0 | 0 << 8},
        {"link outside", nodes, 0 | 100000 << 8},
        {"link into another tree", nodes + 4, 1 | 1 << 8},
        {"slot", nodes + 4, 7 | 1 << 8},
        {"threshold", nodes, 0x7fffffff},
    };
    for (const Case& c : cases) {
        INFO(c.what);
        auto value = good;
        if (std::string(c.what).starts_with("link") || std::string(c.what) == "slot")
            std::memcpy(value.data() + nodes + 4, &c.word, 4);
        else
            std::memcpy(value.data() + c.offset, &c.word, 4);
        bool harmless = std::string(c.what) == "link into another tree";  // still a tree that ends within the depth
        CHECK(check_value(value, shape).has_value() == harmless);
    }
    CHECK_FALSE(check_value({}, shape));
}
