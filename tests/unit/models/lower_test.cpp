// SPDX-License-Identifier: MIT
#include "models/lower.h"

#include <cstring>

#include "tests/models/random_model.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt::models;
using rmt::EngineKind;
using rmt::ModelClass;

TEST_CASE("lowering: the bytes of a small tree") {
    const Model model = small_model();
    const ModelClass shape{1, 4, 256};
    CHECK(*smallest_class(model) == shape);
    auto value = lower_model(model, shape, 7);
    REQUIRE(value);
    REQUIRE(value->size() == value_size(shape));
    REQUIRE(value->size() == 96 + 16 * 8 + 32 * 16);
    rmt_model_header header;
    std::memcpy(&header, value->data(), sizeof header);
    CHECK(header.layout == RMT_MODEL_LAYOUT);
    CHECK(header.kind == RMT_MODEL_TREE);
    CHECK(header.depth == 2);
    CHECK(header.inputs == 2);
    CHECK(header.version == 7);
    rmt_model_bound bound[3];
    std::memcpy(bound, value->data() + sizeof header, sizeof bound);
    CHECK(bound[0].lo == -10);
    CHECK(bound[0].span == 20);
    CHECK(bound[1].span == 200);
    CHECK(bound[2].span == UINT32_MAX);
    CHECK(model.digest.substr(7, 16) == [&] {
        char hex[17];
        std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(header.digest));
        return std::string(hex);
    }());
    rmt_model_block block[5];
    std::memcpy(block, value->data() + 96 + 128, sizeof block);
    CHECK(block[0].threshold[0] == 3);
    CHECK(block[0].threshold[1] == -1);
    CHECK(block[0].link == (0u | 1u << 4 | 15u << 8 | 1u << 12));
    const int32_t leaves[] = {10, 20, 30, 30};  // the leaf that lies too high stands for both its children
    for (uint32_t i = 1; i < 5; i++) {
        CHECK(block[i].threshold[0] == leaves[i - 1]);
        CHECK(block[i].link == (0xfffu | i << 12));
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
        {{.depth = 8, .inputs = 16, .complete = true}, {4, 8, 1024, EngineKind::Forest, 64}},
        {{.kind = ModelKind::Forest, .trees = 1, .depth = 2}, {4, 4, 256, EngineKind::Forest}},
        {{.kind = ModelKind::Forest, .trees = 5, .depth = 6, .complete = true}, {8, 8, 1024, EngineKind::Forest}},
        {{.kind = ModelKind::Forest, .trees = 8, .depth = 4, .complete = true}, {8, 4, 256, EngineKind::Forest}},
        {{.kind = ModelKind::Oblivious, .trees = 5, .depth = 6, .complete = true}, {8, 6, 512, EngineKind::Oblivious}},
    };
    for (const Case& c : cases) {
        Model model = random_model(random, c.random);
        CAPTURE(c.random.depth, c.random.trees, model_nodes(model));
        const ModelClass smallest = *smallest_class(model);
        INFO(class_text(smallest) << "; expected: " << class_text(c.shape));
        CHECK(smallest == c.shape);
        CHECK(check_fits(model, c.shape));
        auto value = lower_model(model, c.shape);
        REQUIRE(value);
        CHECK(check_value(*value, c.shape));
        ModelClass larger = c.shape;
        if (c.shape.kind != EngineKind::Tree) larger.trees += 4;
        larger.depth = 16, larger.nodes *= 2;
        CHECK(lower_model(model, larger));
        ModelClass forest{1024, 16, 1 << 20, EngineKind::Forest, 64};  // has room for a single or oblivious tree as well
        CHECK(lower_model(model, forest));
    }
}

TEST_CASE("lowering: columns of missing values and sets, and outputs, are part of the class") {
    std::mt19937_64 random(6);
    Model model = small_model();
    model.samples = {};
    model.inputs[0].missing = -11, model.inputs[1].missing = 101;
    model.trees[0].default_left = {1, 0, 0, 0, 0};
    CHECK(class_text(*smallest_class(model)) == "kind tree, trees 1, depth 4, nodes 256, derived 4");
    model.sets = {{0, {1, 70, 500}}, {1, {3}}};
    model.trees[0].feature[0] = 2, model.trees[0].threshold[0] = 0;
    CHECK(class_text(*smallest_class(model)) == "kind tree, trees 1, depth 4, nodes 256, derived 8");  // three words of one set
    Model several = random_model(random, {.kind = ModelKind::Forest, .trees = 9, .depth = 3, .inputs = 3, .outputs = 3});
    CHECK(class_text(*smallest_class(several)).ends_with("outputs 4"));
}

TEST_CASE("lowering: what is larger than any class is told with the largest") {
    std::mt19937_64 random(8);
    Model wide = random_model(random, {.depth = 10, .inputs = 60, .span = 9, .complete = true, .sets = 5});
    Model deep = random_model(random, {.kind = ModelKind::Oblivious, .trees = 1, .depth = 4, .inputs = 2, .complete = true});
    for (Tree* tree = &deep.trees[0]; tree_depth(*tree) < 17;) {  // one level more: every leaf becomes a node
        const size_t size = tree->size();
        for (size_t node = 0; node < size; node++) {
            if (!tree->is_leaf(node)) continue;
            tree->feature[node] = 0, tree->value[node] = 0;
            const int32_t left = tree->add_leaf(1), right = tree->add_leaf(2);
            tree->left[node] = left, tree->right[node] = right;
        }
    }
    Model spread = small_model();
    spread.samples = {};
    spread.sets = {{0, {}}};
    for (int32_t i = 0; i < 65; i++) spread.sets[0].members.push_back(i * 100);
    spread.trees[0].feature[0] = 2, spread.trees[0].threshold[0] = 0;
    Model many = random_model(random, {.kind = ModelKind::Forest, .trees = 1022, .depth = 1, .inputs = 2, .outputs = 64});
    const std::pair<const Model*, const char*> cases[] = {
        {&wide, "columns (inputs, sides of missing values, sets), the largest class has room for 63"},
        {&deep, "has 17 steps of depth, the largest class has room for 16"},
        {&spread, "has 65 columns to make (64 categories of a set each), the largest class has room for 64"},
        {&many, "trees (those of each output in groups of four), the largest class has room for 1024"},
    };
    for (const auto& [model, message] : cases) {
        INFO(message);
        REQUIRE(check_model(*model));
        auto shape = smallest_class(*model);
        REQUIRE_FALSE(shape);
        CHECK_THAT(shape.error().message, ContainsSubstring("M0208"));
        CHECK_THAT(shape.error().message, ContainsSubstring(message));
    }
}

TEST_CASE("lowering: what does not fit the class is refused, with what would") {
    std::mt19937_64 random(2);
    Model tree = random_model(random, {.depth = 9, .complete = true});
    Model forest = random_model(random, {.kind = ModelKind::Forest, .trees = 6, .depth = 3, .complete = true});
    Model wide = random_model(random, {.kind = ModelKind::Forest, .trees = 2, .depth = 3, .inputs = 20});
    Model missing = random_model(random, {.depth = 3, .inputs = 1, .missing = 1});
    for (uint8_t& side : missing.trees[0].default_left) side = 0;
    Model several = random_model(random, {.kind = ModelKind::Forest, .trees = 3, .depth = 3, .outputs = 3});
    Model oblivious = random_model(random, {.kind = ModelKind::Oblivious, .trees = 4, .depth = 7, .complete = true});
    struct Case {
        const Model* model;
        ModelClass shape;
        const char *message, *hint;
    };
    const Case cases[] = {
        {&tree, {1, 8, 1024}, "has 9 steps of depth, the policy was compiled for 8", "depth 12"},
        {&tree, {1, 12, 512}, "has 1023 nodes, the policy was compiled for 512", "nodes 1024"},
        {&tree, {4, 12, 1024, EngineKind::Oblivious}, "runs as kind tree, the policy was compiled for kind oblivious", "compile"},
        {&forest, {1, 4, 256}, "runs as kind forest, the policy was compiled for kind tree", "compile"},
        {&forest, {4, 4, 256, EngineKind::Forest}, "has 8 trees (those of each output in groups of four), the policy was compiled for 4", "trees 8"},
        {&wide, {8, 8, 256, EngineKind::Forest}, "has 20 columns, the policy was compiled for 15", "slots 64"},
        {&missing, {1, 4, 256}, "has 1 columns to make of missing values and sets, the policy was compiled for 0", "derived 4"},
        {&several, {12, 4, 256, EngineKind::Forest}, "has 3 outputs, the policy was compiled for 1", "outputs 4"},
        {&oblivious, {4, 8, 256, EngineKind::Oblivious}, "has 512 leaves, the policy was compiled for 256", "nodes 512"},
    };
    for (const Case& c : cases) {
        auto value = lower_model(*c.model, c.shape);
        REQUIRE_FALSE(value);
        CHECK_THAT(value.error().message, ContainsSubstring("M0206"));
        CHECK_THAT(value.error().message, ContainsSubstring(c.message));
        CHECK_THAT(value.error().hint, ContainsSubstring(c.hint));
    }
}

namespace {

struct Damage {
    const char* what;
    size_t offset;
    uint32_t word;
};

// Each word changed alone: the check refuses it.
void check_damage(const std::vector<uint8_t>& good, const ModelClass& shape, const std::vector<Damage>& cases) {
    REQUIRE(check_value(good, shape));
    for (const Damage& c : cases) {
        INFO(class_text(shape) << ": " << c.what);
        auto value = good;
        std::memcpy(value.data() + c.offset, &c.word, 4);
        auto checked = check_value(value, shape);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, ContainsSubstring("M0207"));
    }
}

std::vector<Damage> header_damage(uint32_t other_kind, uint32_t depth) {
    return {{"layout", offsetof(rmt_model_header, layout), 0},
            {"older layout", offsetof(rmt_model_header, layout), RMT_MODEL_LAYOUT - 1},
            {"kind", offsetof(rmt_model_header, kind), other_kind},
            {"depth too large", offsetof(rmt_model_header, depth), depth},
            {"no inputs", offsetof(rmt_model_header, inputs), 0},
            {"too many inputs", offsetof(rmt_model_header, inputs), 64},
            {"slots", offsetof(rmt_model_header, slots), 32},
            {"columns", offsetof(rmt_model_header, derived), 65},
            {"outputs", offsetof(rmt_model_header, outputs), 65},
            {"no outputs", offsetof(rmt_model_header, outputs), 0},
            {"zero", offsetof(rmt_model_header, zero), 1},
            {"lowest", offsetof(rmt_model_header, lowest), 1},
            {"shift", offsetof(rmt_model_header, shift), 64},
            {"a range too wide", RMT_MODEL_AT_BOUND + 4, 0xf0000000},
            {"a range too low", RMT_MODEL_AT_BOUND, 0x80000000}};
}

}  // namespace

TEST_CASE("lowering: a damaged forest is noticed") {
    std::mt19937_64 random(4);
    Model model = random_model(random, {.kind = ModelKind::Forest, .trees = 4, .depth = 4, .inputs = 3, .complete = true});
    const ModelClass shape = *smallest_class(model);
    const size_t groups = RMT_MODEL_AT_GROUP(RMT_MODEL_FOREST, 16, 0, 1), nodes = groups + 8;
    auto cases = header_damage(RMT_MODEL_TREE, shape.depth + 1);
    for (const Damage& d : std::vector<Damage>{{"depth too small", offsetof(rmt_model_header, depth), 3},
                                               {"groups", offsetof(rmt_model_header, groups), 2},
                                               {"no groups", offsetof(rmt_model_header, groups), 0},
                                               {"a group of another output", groups, RMT_MODEL_GROUP_LAST | 1},
                                               {"a sum that does not end", groups, 0},
                                               {"link to itself", nodes + 4, RMT_MODEL_LINK(0, 0u)},
                                               {"link outside", nodes + 4, RMT_MODEL_LINK(0, 100000u)},
                                               {"link to an odd node", nodes + 4, RMT_MODEL_LINK(0, 5u)},
                                               {"link between slots", nodes + 4, RMT_MODEL_LINK(0, 4u) | 1},
                                               {"slot", nodes + 4, RMT_MODEL_LINK(7, 4u)},
                                               {"threshold", nodes, 0x7fffffff}})
        cases.push_back(d);
    check_damage(*lower_model(model, shape), shape, cases);
    CHECK_FALSE(check_value({}, shape));
}

TEST_CASE("lowering: a damaged tree of blocks is noticed") {
    const ModelClass shape{1, 4, 256};
    const size_t blocks = RMT_MODEL_AT_BODY(RMT_MODEL_TREE, 1, 16, 0, 1);
    auto cases = header_damage(RMT_MODEL_FOREST, 5);
    for (const Damage& d : std::vector<Damage>{{"depth too small", offsetof(rmt_model_header, depth), 0},
                                               {"upper threshold", blocks, 0x40000000},
                                               {"lower threshold", blocks + 8, 0xb0000000},
                                               {"upper slot", blocks + 12, 2u | 1u << 4 | 15u << 8 | 1u << 12},
                                               {"lower slot", blocks + 12, 0u | 9u << 4 | 15u << 8 | 1u << 12},
                                               {"child outside", blocks + 12, 0u | 1u << 4 | 15u << 8 | 29u << 12},
                                               {"child is itself", blocks + 12, 0u | 1u << 4 | 15u << 8 | 0u << 12},
                                               {"a leaf that leads on", blocks + 16 + 12, 0xfffu | 2u << 12},
                                               {"a leaf that asks", blocks + 16 + 12, 0x0ffu | 1u << 12},
                                               {"a leaf out of range", blocks + 16, 0x7fffffff}})
        cases.push_back(d);
    check_damage(*lower_model(small_model(), shape), shape, cases);
}

TEST_CASE("lowering: damaged oblivious trees, columns and outputs are noticed") {
    std::mt19937_64 random(9);
    Model model = random_model(
        random, {.kind = ModelKind::Oblivious, .trees = 6, .depth = 4, .inputs = 3, .complete = true, .missing = 2, .sets = 2, .outputs = 2});
    for (Tree& tree : model.trees) tree.output = tree == model.trees[0] ? 0 : 1;
    model.answers = {};
    model.output.min = 0, model.output.max = 1;
    const ModelClass shape = *smallest_class(model);
    const size_t derive = RMT_MODEL_AT_DERIVE(16), output = RMT_MODEL_AT_OUTPUT(16, shape.derived);
    const size_t groups = RMT_MODEL_AT_GROUP(RMT_MODEL_OBLIVIOUS, 16, shape.derived, 2);
    const size_t levels = RMT_MODEL_AT_BODY(RMT_MODEL_OBLIVIOUS, shape.trees, 16, shape.derived, 2);
    const size_t leaves = RMT_MODEL_AT_LEAF(shape.trees, shape.depth, 16, shape.derived, 2);
    auto good = *lower_model(model, shape);
    rmt_model_header header;
    std::memcpy(&header, good.data(), sizeof header);
    REQUIRE(header.derived >= 2);
    const size_t last = derive + (header.derived - 1) * sizeof(rmt_model_derive);  // an input that may be missing, in place
    check_damage(good, shape,
                 {{"kind", offsetof(rmt_model_header, kind), RMT_MODEL_FOREST},
                  {"depth", offsetof(rmt_model_header, depth), 16},
                  {"groups", offsetof(rmt_model_header, groups), 4},
                  {"one output less", offsetof(rmt_model_header, outputs), 1},
                  {"one output more", offsetof(rmt_model_header, outputs), 3},
                  {"a column of no input", last + offsetof(rmt_model_derive, from), 0x0303},
                  {"the sentinel overwritten", last + offsetof(rmt_model_derive, from), 0x0f01},
                  {"another input overwritten", last + offsetof(rmt_model_derive, from), 0x0001},
                  {"a range that holds what is missing", last + offsetof(rmt_model_derive, missing), 0},
                  {"a range too wide", last + offsetof(rmt_model_derive, span), 0x80000000},
                  {"filled in between", last + offsetof(rmt_model_derive, fill), 7},
                  {"no column for the missing", offsetof(rmt_model_header, derived), header.derived - 1},
                  {"an answer outside", output + offsetof(rmt_model_output, answer), 7},
                  {"outputs in another order", groups, RMT_MODEL_GROUP_LAST | 1},
                  {"a sum that does not end", groups, 0},
                  {"level's slot", levels + 4, 4 * 14},
                  {"between slots", levels + 4, 2},
                  {"level's threshold", levels, 0x7fffffff},
                  {"leaf", leaves + 4, 0x7fffffff}});
}
