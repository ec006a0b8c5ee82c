// SPDX-License-Identifier: MIT
// Model values made by hand, one fault each; and trees at random on small domains, whose answers are tried one by one.
#include "verifier_ext/model_check.h"

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <set>

#include "bpf/include/rmt/model_layout.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::verify;

namespace {

struct ValueBytes {
    rmt_model_header head{};
    std::vector<rmt_model_bound> bounds = std::vector<rmt_model_bound>(16, {0, UINT32_MAX});
    std::vector<rmt_model_derive> derive;
    std::vector<rmt_model_output> outputs;  // none of a tree, and no groups
    std::vector<uint32_t> groups;
    std::vector<rmt_model_block> blocks;
    std::vector<rmt_model_node> nodes;
    std::vector<rmt_model_level> levels;
    std::vector<int32_t> leaves;

    std::vector<uint8_t> bytes() const {
        std::vector<uint8_t> b;
        auto add = [&b](const auto* from, size_t count) {
            const auto* at = reinterpret_cast<const uint8_t*>(from);
            b.insert(b.end(), at, at + count * sizeof(*from));
        };
        add(&head, 1);
        add(bounds.data(), bounds.size());
        add(derive.data(), derive.size());
        add(outputs.data(), outputs.size());
        add(groups.data(), groups.size());
        add(blocks.data(), blocks.size());
        add(nodes.data(), nodes.size());
        add(levels.data(), levels.size());
        add(leaves.data(), leaves.size());
        return b;
    }
};

constexpr uint32_t kLast = RMT_MODEL_GROUP_LAST;

rmt_model_node split(uint32_t slot, int32_t threshold, uint32_t left) { return {threshold, RMT_MODEL_LINK(slot, left)}; }
rmt_model_node leaf(uint32_t self, int32_t value) { return {value, RMT_MODEL_LINK(RMT_MODEL_SLOTS - 1, self)}; }
rmt_model_block block(uint32_t slots, int32_t a, int32_t b, int32_t c, uint32_t child) { return {{a, b, c}, slots | child << 12}; }
rmt_model_block block_leaf(uint32_t self, int32_t value) { return {{value, 0, 0}, 0xfffu | self << 12}; }

ManifestModel policy(EngineKind kind, uint32_t trees, uint32_t depth, uint32_t nodes, size_t inputs = 2) {
    ManifestModel m;
    m.name = "m", m.output_kind = "value", m.output_type = "i32";
    m.output_min = -10, m.output_max = 10;
    for (size_t i = 0; i < inputs; i++) m.inputs.push_back("x");
    m.shape = {trees, depth, nodes, kind};
    m.line = 5;
    return m;
}

ValueBytes header(uint32_t kind, uint32_t depth, uint32_t groups, uint32_t inputs, int32_t lo, uint32_t span) {
    ValueBytes v;
    rmt_model_header& h = v.head;
    h.layout = RMT_MODEL_LAYOUT, h.kind = kind, h.depth = depth, h.groups = groups, h.inputs = inputs;
    h.slots = RMT_MODEL_SLOTS, h.outputs = 1, h.lowest = -RMT_MODEL_SUM;
    for (uint32_t i = 0; i < inputs; i++) v.bounds[i] = {lo, span};
    h.out_min = -10, h.out_max = 10;
    if (kind != RMT_MODEL_TREE) v.outputs = {{0, 0}};
    return v;
}

//        x0 <= 3 ? (x1 <= 0 ? -1 : 2) : 7
ValueBytes small_tree() {
    ValueBytes v = header(RMT_MODEL_TREE, 2, 0, 2, -8, 16);
    v.blocks.assign(16, {});
    v.blocks[0] = block(0xf10, 3, 0, 0, 1);
    v.blocks[1] = block_leaf(1, -1), v.blocks[2] = block_leaf(2, 2), v.blocks[3] = block_leaf(3, 7), v.blocks[4] = block_leaf(4, 7);
    return v;
}
ManifestModel tree_policy() { return policy(EngineKind::Tree, 1, 4, 8); }

// The same question twice, with two columns of input 0: where it is missing (-9) it goes left, or right.
ValueBytes missing_tree() {
    ValueBytes v = small_tree();
    v.bounds[0] = {0, UINT32_MAX};
    v.head.derived = 2;
    v.derive = {{0, -8, 16, -9, RMT_MODEL_ABOVE, 0, 2, 0, {}}, {0, -8, 16, -9, RMT_MODEL_BELOW, 0, 0, 0, {}}, {}, {}};
    v.blocks[0] = block(0xf20, 3, 0, 0, 1);
    return v;
}
ManifestModel missing_policy() {
    ManifestModel m = tree_policy();
    m.shape.derived = 4;
    return m;
}

}  // namespace

TEST_CASE("a model that fits is accepted with the exact range of its answers") {
    ModelVerdict verdict = verify_model(small_tree().bytes(), tree_policy());
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == -1);
    CHECK(verdict.facts.out_max == 7);
    CHECK(verdict.facts.longest == 2);
    CHECK(verdict.facts.nodes == 4);
    CHECK(verdict.facts.unreachable == 0);
    CHECK(!verify_model(missing_tree().bytes(), missing_policy()).rejected);
}

TEST_CASE("a leaf that no trained input reaches does not count, and is told") {
    ValueBytes v = small_tree();
    v.blocks[0].threshold[0] = 8;         // all of -8..8
    v.blocks[3] = block_leaf(3, 1000);    // outside of the policy's output, but never an answer
    ModelVerdict verdict = verify_model(v.bytes(), tree_policy());
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_max == 2);
    CHECK(verdict.facts.unreachable == 1);
}

TEST_CASE("one fault in a tree, one id") {
    struct Case {
        const char* what;
        const char* id;
        std::function<void(ValueBytes&, ManifestModel&)> change;
    };
    const Case cases[] = {
        {"too few bytes", "V0701", [](auto& v, auto&) { v.blocks.pop_back(); }},
        {"another layout", "V0701", [](auto& v, auto&) { v.head.layout = 1; }},
        {"no model", "V0701", [](auto& v, auto&) { v.head.layout = 0; }},
        {"another kind", "V0701", [](auto& v, auto&) { v.head.kind = RMT_MODEL_FOREST; }},
        {"deeper than the program", "V0701", [](auto& v, auto&) { v.head.depth = 5; }},
        {"other inputs", "V0701", [](auto& v, auto&) { v.head.inputs = 3; }},
        {"a shift", "V0701", [](auto& v, auto&) { v.head.shift = 64; }},
        {"other slots", "V0701", [](auto& v, auto&) { v.head.slots = 64; }},
        {"more columns than the program", "V0701", [](auto& v, auto&) { v.head.derived = 1; }},
        {"more outputs than the program", "V0701", [](auto& v, auto&) { v.head.outputs = 2; }},
        {"what has to be zero", "V0701", [](auto& v, auto&) { v.head.zero = 1; }},
        {"child outside", "V0702", [](auto& v, auto&) { v.blocks[0] = block(0xf10, 3, 0, 0, 16); }},
        {"child far outside", "V0702", [](auto& v, auto&) { v.blocks[0] = block(0xf10, 3, 0, 0, 0xfffff); }},
        {"leaf that leads on", "V0702", [](auto& v, auto&) { v.blocks[2] = block_leaf(3, 2); }},
        {"input that is not there", "V0702", [](auto& v, auto&) { v.blocks[0] = block(0xf20, 3, 0, 0, 1); }},
        {"threshold too large", "V0702", [](auto& v, auto&) { v.blocks[0].threshold[1] = RMT_MODEL_MAX + 1; }},
        {"a cycle", "V0703", [](auto& v, auto&) { v.blocks[0] = block(0xf10, 3, 0, 0, 0); }},
        {"a shared node", "V0703", [](auto& v, auto&) { v.head.depth = 4, v.blocks[2] = block(0xf10, 3, 0, 0, 1); }},
        {"deeper than it says", "V0703", [](auto& v, auto&) { v.head.depth = 0; }},
        {"answer above", "V0704", [](auto& v, auto&) { v.blocks[3] = block_leaf(3, 11); }},
        {"answer below", "V0704", [](auto& v, auto&) { v.blocks[1] = block_leaf(1, -11); }},
        {"no such class", "V0704", [](auto&, auto& m) { m.output_kind = "class", m.classes = {{"a", -1}, {"b", 2}, {"c", 6}}; }},
        {"trained below the engine", "V0705", [](auto& v, auto&) { v.bounds[0].lo = -RMT_MODEL_LIMIT - 1; }},
        {"trained above the engine", "V0705", [](auto& v, auto&) { v.bounds[0] = {0, RMT_MODEL_LIMIT + 1u}; }},
        {"anything passes", "V0705", [](auto& v, auto&) { v.bounds[0] = {0, UINT32_MAX}; }},
    };
    for (const Case& c : cases) {
        ValueBytes v = small_tree();
        ManifestModel m = tree_policy();
        c.change(v, m);
        ModelVerdict verdict = verify_model(v.bytes(), m);
        INFO(c.what);
        REQUIRE(verdict.rejected);
        CHECK(verdict.rejected->id == c.id);
        CHECK(verdict.rejected->place.line == 5);
        auto yes_or_no = check_model_value(v.bytes(), m);
        REQUIRE(!yes_or_no);
        CHECK(yes_or_no.error().message.starts_with(c.id));
    }
}

TEST_CASE("one fault in the columns, one id") {
    struct Case {
        const char* what;
        std::function<void(ValueBytes&)> change;
    };
    const Case cases[] = {
        {"made of no input", [](auto& v) { v.derive[0].from = 2; }},
        {"made of an input that is gone", [](auto& v) { std::swap(v.derive[0], v.derive[1]); }},
        {"over another input", [](auto& v) { v.derive[0].to = 1; }},
        {"over the sentinel", [](auto& v) { v.derive[0].to = 15; }},
        {"twice", [](auto& v) { v.head.derived = 3, v.derive[2] = v.derive[1], v.derive[1] = v.derive[0]; }},
        {"adds to no set", [](auto& v) { v.derive[0].more = 1; }},
        {"fills in a number between", [](auto& v) { v.derive[0].fill = 0; }},
        {"missing within the range", [](auto& v) { v.derive[1].missing = 8; }},
        {"a range too wide", [](auto& v) { v.derive[1].span = 1u << 31; }},
        {"an open range that nothing checks", [](auto& v) { v.head.derived = 1; }},
    };
    for (const Case& c : cases) {
        ValueBytes v = missing_tree();
        c.change(v);
        ModelVerdict verdict = verify_model(v.bytes(), missing_policy());
        INFO(c.what);
        REQUIRE(verdict.rejected);
        CHECK(verdict.rejected->id == "V0705");
    }
}

TEST_CASE("forests: sums, rounding, clamp, and trees that fill up a group") {
    ValueBytes v = header(RMT_MODEL_FOREST, 1, 1, 2, -8, 16);
    const ManifestModel m = policy(EngineKind::Forest, 4, 4, 8);
    // Trees 2 and 3 fill up.
    v.head.shift = 4, v.outputs[0].base = 8, v.head.bias = 1;
    v.groups = {kLast, 0};
    v.nodes = {split(0, 0, 4), split(1, 0, 6), leaf(2, 0), leaf(3, 0), leaf(4, -32), leaf(5, 64), leaf(6, 0), leaf(7, 48)};
    ModelVerdict verdict = verify_model(v.bytes(), m);
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == ((8 - 32) >> 4) + 1);
    CHECK(verdict.facts.out_max == ((8 + 64 + 48) >> 4) + 1);

    v.head.out_max = 100, v.head.shift = 0;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0704");
    v.head.out_max = 10;  // the engine's own clamp
    CHECK(!verify_model(v.bytes(), m).rejected);
    v.outputs[0].base = INT64_MAX;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0706");
    v.outputs[0].base = 0, v.head.groups = 2;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0701");
    v.head.groups = 1, v.groups[0] = 0;  // a sum that does not end
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0701");
    v.groups[0] = kLast, v.nodes[2] = split(0, 0, 6);  // the middle of another tree
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0703");
    v.nodes[2] = leaf(2, 0), v.nodes[0] = split(0, 0, 5);  // an odd left child: the right one is it, too
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0703");
}

TEST_CASE("several outputs: any of their answers, each of them the policy's") {
    ValueBytes v = header(RMT_MODEL_FOREST, 0, 2, 1, -8, 16);
    ManifestModel m = policy(EngineKind::Forest, 8, 4, 8, 1);
    m.shape.outputs = 2;
    v.head.outputs = 2;
    v.outputs = {{5, -3}, {0, 9}};
    v.groups = {0 | kLast, 1 | kLast};
    for (uint32_t i = 0; i < 8; i++) v.nodes.push_back(leaf(i, 1));
    ModelVerdict verdict = verify_model(v.bytes(), m);
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == -3);
    CHECK(verdict.facts.out_max == 9);
    m.output_kind = "class", m.classes = {{"a", -3}, {"b", 8}};
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0704");
    m.classes[1].second = 9;
    CHECK(!verify_model(v.bytes(), m).rejected);
    v.outputs[1].answer = 11;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0704");
    v.outputs[1].answer = 9, v.outputs[1].base = RMT_MODEL_SUM - 4;  // and four leaves of 1
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0706");
    v.outputs[1].base = 0, v.groups[1] = 0 | kLast;  // the first output again
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0701");
}

TEST_CASE("oblivious trees: leaves by their bits, levels that ask for what is there") {
    ValueBytes v = header(RMT_MODEL_OBLIVIOUS, 2, 1, 2, -8, 16);
    ManifestModel m = policy(EngineKind::Oblivious, 4, 2, 16);
    v.groups = {kLast, 0};
    v.levels.assign(8 + RMT_MODEL_MAX_LEVELS, {0, 4 * 15});
    v.levels[0] = {0, 4 * 0}, v.levels[1] = {3, 4 * 1};
    v.leaves = {1, 2, 3, 4, 0, 99, 99, 99, 0, 99, 99, 99, 0, 99, 99, 99};  // 99: behind the sentinel, which never goes right
    ModelVerdict verdict = verify_model(v.bytes(), m);
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == 1);
    CHECK(verdict.facts.out_max == 4);
    CHECK(verdict.facts.longest == 2);
    v.leaves[3] = 11, v.head.out_max = 100;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0704");
    v.leaves[3] = 4, v.levels[1].slot4 = 4 * 2;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0702");
    v.levels[1].slot4 = 4 * 1, v.levels[0].threshold = RMT_MODEL_MAX + 1;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0702");
    v.levels[0].threshold = 0, v.head.groups = 2;
    CHECK(verify_model(v.bytes(), m).rejected->id == "V0701");
}

TEST_CASE("trees at random: the range is exactly what all inputs give") {
    std::mt19937 random(20261124);
    for (int round = 0; round < 500; round++) {
        ValueBytes v = header(RMT_MODEL_FOREST, 4, 1, 2, -6, 12);
        v.nodes.assign(64, {});
        for (uint32_t root = 1; root < 4; root++) v.nodes[root] = leaf(root, 0);
        v.groups = {kLast, 0};
        uint32_t used = 4;
        std::function<void(uint32_t, int)> grow = [&](uint32_t at, int depth) {
            if (depth == 4 || random() % 4 == 0) {
                v.nodes[at] = leaf(at, static_cast<int32_t>(random() % 21) - 10);
                return;
            }
            uint32_t left = used;
            used += 2;
            v.nodes[at] = split(random() % 2, static_cast<int32_t>(random() % 17) - 8, left);
            grow(left, depth + 1);
            grow(left + 1, depth + 1);
        };
        grow(0, 0);
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        for (int32_t a = -6; a <= 6; a++)
            for (int32_t b = -6; b <= 6; b++) {
                int32_t f[16] = {a, b};
                f[15] = RMT_MODEL_SENTINEL;
                uint32_t n = 0;
                for (int i = 0; i < 4; i++) {  // one step of model.bpf.h
                    uint32_t d = static_cast<uint32_t>(v.nodes[n].threshold) - static_cast<uint32_t>(f[RMT_MODEL_LINK_SLOT(v.nodes[n].link)]);
                    n = RMT_MODEL_LINK_CHILD(v.nodes[n].link) | d >> 31;
                }
                lo = std::min<int64_t>(lo, v.nodes[n].threshold), hi = std::max<int64_t>(hi, v.nodes[n].threshold);
            }
        ModelVerdict verdict = verify_model(v.bytes(), policy(EngineKind::Forest, 4, 4, 64));
        REQUIRE(!verdict.rejected);
        REQUIRE(verdict.facts.out_min == lo);
        REQUIRE(verdict.facts.out_max == hi);
    }
}

TEST_CASE("bytes changed at random: no crash") {
    std::mt19937 random(7);
    for (const auto& [good, m] : {std::pair{small_tree().bytes(), tree_policy()}, std::pair{missing_tree().bytes(), missing_policy()}}) {
        for (int round = 0; round < 20000; round++) {
            auto bytes = good;
            for (int n = 0; n < 3; n++) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
            verify_model(bytes, m);
        }
        for (size_t size = 0; size < good.size(); size++) CHECK(verify_model({good.data(), size}, m).rejected);
    }
}

// What docs/errors-verifier.md shows of V07xx, word for word, on values of today's layout.
TEST_CASE("the page's examples of models are what the verifier says") {
    std::ifstream file(std::string(RMT_SOURCE_DIR) + "/docs/errors-verifier.md");
    const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto sums = [] {
        ValueBytes v = header(RMT_MODEL_FOREST, 1, 1, 2, -8, 16);
        v.groups = {kLast, 0};
        v.nodes = {split(0, 0, 4), split(1, 0, 6), leaf(2, 0), leaf(3, 0), leaf(4, 1), leaf(5, 2), leaf(6, 10), leaf(7, 20)};
        v.outputs[0].base = INT64_MAX;
        return v;
    };
    struct Case {
        const char* id;
        ManifestModel model;
        ValueBytes value;
        std::function<void(ValueBytes&)> change;
    };
    const Case cases[] = {
        {"V0701", tree_policy(), small_tree(), [](auto& v) { v.head.depth = 12; }},
        {"V0701", tree_policy(), small_tree(), [](auto& v) { v.head.layout = 1; }},
        {"V0702", tree_policy(), small_tree(), [](auto& v) { v.blocks[3] = block_leaf(2, 7); }},
        {"V0703", tree_policy(), small_tree(), [](auto& v) { v.blocks[0] = block(0xf10, 3, 0, 0, 0); }},
        {"V0704", tree_policy(), small_tree(), [](auto& v) { v.blocks[3] = block_leaf(3, 5000); }},
        {"V0705", tree_policy(), small_tree(), [](auto& v) { v.bounds[0] = {-RMT_MODEL_LIMIT - 1, 1u << 30}; }},
        {"V0706", policy(EngineKind::Forest, 4, 4, 8), sums(), [](auto&) {}},
    };
    for (const Case& c : cases) {
        ValueBytes v = c.value;
        ManifestModel m = c.model;
        m.name = "next_delta";
        c.change(v);
        const ModelVerdict verdict = verify_model(v.bytes(), m);
        REQUIRE(verdict.rejected);
        CHECK(verdict.rejected->id == c.id);
        const std::string example = "error[" + verdict.rejected->id + "]: " + verdict.rejected->message + "\n = help: " + verdict.rejected->hint + "\n";
        CHECK_THAT(page, ContainsSubstring(example));
    }
}
