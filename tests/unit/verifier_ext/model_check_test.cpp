// SPDX-License-Identifier: MIT
// Model values made by hand, one fault each; and trees at random on small domains, whose answers are tried one by one.
#include "verifier_ext/model_check.h"

#include <cstring>
#include <functional>
#include <random>
#include <set>

#include "bpf/include/rmt/model_layout.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::verify;

namespace {

struct ValueBytes {
    rmt_model_header head{};
    std::vector<uint32_t> roots;
    std::vector<rmt_model_node> nodes;

    std::vector<uint8_t> bytes() const {
        std::vector<uint8_t> b(sizeof(head) + roots.size() * 4 + nodes.size() * sizeof(rmt_model_node));
        std::memcpy(b.data(), &head, sizeof(head));
        std::memcpy(b.data() + sizeof(head), roots.data(), roots.size() * 4);
        std::memcpy(b.data() + sizeof(head) + roots.size() * 4, nodes.data(), nodes.size() * sizeof(rmt_model_node));
        return b;
    }
};

rmt_model_node split(uint32_t slot, int32_t threshold, uint32_t left) { return {threshold, slot | left << 8}; }
rmt_model_node leaf(uint32_t self, int32_t value) { return {value, RMT_MODEL_SENTINEL_SLOT | self << 8}; }

ManifestModel policy(uint32_t trees, uint32_t depth, uint32_t nodes, size_t inputs = 2) {
    ManifestModel m;
    m.name = "m", m.output_kind = "value", m.output_type = "i32";
    m.output_min = -10, m.output_max = 10;
    for (size_t i = 0; i < inputs; i++) m.inputs.push_back("x");
    m.shape = {trees, depth, nodes};
    m.line = 5;
    return m;
}

rmt_model_header header(uint32_t kind, uint32_t depth, uint32_t groups, uint32_t inputs, int32_t lo, uint32_t span) {
    rmt_model_header h{};
    h.layout = RMT_MODEL_LAYOUT, h.kind = kind, h.depth = depth, h.groups = groups, h.inputs = inputs;
    for (auto& s : h.span) s = UINT32_MAX;
    for (uint32_t i = 0; i < inputs; i++) h.lo[i] = lo, h.span[i] = span;
    h.out_min = -10, h.out_max = 10;
    return h;
}

//        x0 <= 3 ? (x1 <= 0 ? -1 : 2) : 7
ValueBytes small_tree() {
    ValueBytes v;
    v.head = header(RMT_MODEL_TREE, 2, 0, 2, -8, 16);
    v.roots.assign(4, 0);
    v.nodes = {split(0, 3, 1), split(1, 0, 3), leaf(2, 7), leaf(3, -1), leaf(4, 2), {}, {}, {}};
    return v;
}

}  // namespace

TEST_CASE("a model that fits is accepted with the exact range of its answers") {
    ModelVerdict verdict = verify_model(small_tree().bytes(), policy(1, 4, 8));
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == -1);
    CHECK(verdict.facts.out_max == 7);
    CHECK(verdict.facts.longest == 2);
    CHECK(verdict.facts.nodes == 5);
    CHECK(verdict.facts.unreachable == 0);
}

TEST_CASE("a leaf that no trained input reaches does not count, and is told") {
    ValueBytes v = small_tree();
    v.nodes[0] = split(0, 8, 1);          // all of -8..8
    v.nodes[2] = leaf(2, 1000);           // outside of the policy's output, but never an answer
    ModelVerdict verdict = verify_model(v.bytes(), policy(1, 4, 8));
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
        {"too few bytes", "V0701", [](auto& v, auto&) { v.nodes.pop_back(); }},
        {"another layout", "V0701", [](auto& v, auto&) { v.head.layout = 2; }},
        {"no model", "V0701", [](auto& v, auto&) { v.head.layout = 0; }},
        {"another kind", "V0701", [](auto& v, auto&) { v.head.kind = RMT_MODEL_FOREST; }},
        {"deeper than the program", "V0701", [](auto& v, auto&) { v.head.depth = 5; }},
        {"other inputs", "V0701", [](auto& v, auto&) { v.head.inputs = 3; }},
        {"a shift", "V0701", [](auto& v, auto&) { v.head.shift = 64; }},
        {"child outside", "V0702", [](auto& v, auto&) { v.nodes[1] = split(1, 0, 7); }},
        {"child far outside", "V0702", [](auto& v, auto&) { v.nodes[1] = split(1, 0, 0xffffff); }},
        {"leaf that leads on", "V0702", [](auto& v, auto&) { v.nodes[3] = leaf(4, -1); }},
        {"input that is not there", "V0702", [](auto& v, auto&) { v.nodes[1] = split(2, 0, 3); }},
        {"threshold too large", "V0702", [](auto& v, auto&) { v.nodes[1] = split(1, RMT_MODEL_MAX + 1, 3); }},
        {"a cycle", "V0703", [](auto& v, auto&) { v.nodes[1] = split(1, 0, 0); }},
        {"a shared node", "V0703", [](auto& v, auto&) { v.nodes[1] = split(1, 0, 2); }},
        {"deeper than it says", "V0703", [](auto& v, auto&) { v.head.depth = 1; }},
        {"answer above", "V0704", [](auto& v, auto&) { v.nodes[2] = leaf(2, 11); }},
        {"answer below", "V0704", [](auto& v, auto&) { v.nodes[3] = leaf(3, -11); }},
        {"no such class", "V0704", [](auto&, auto& m) { m.output_kind = "class", m.classes = {{"a", -1}, {"b", 2}, {"c", 6}}; }},
        {"trained below the engine", "V0705", [](auto& v, auto&) { v.head.lo[0] = -RMT_MODEL_LIMIT - 1; }},
        {"trained above the engine", "V0705", [](auto& v, auto&) { v.head.lo[0] = 0, v.head.span[0] = RMT_MODEL_LIMIT + 1u; }},
    };
    for (const Case& c : cases) {
        ValueBytes v = small_tree();
        ManifestModel m = policy(1, 4, 8);
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

TEST_CASE("forests: sums, rounding, clamp, and trees that fill up a group") {
    ValueBytes v;
    v.head = header(RMT_MODEL_FOREST, 1, 1, 2, -8, 16);
    v.head.shift = 4, v.head.base = 8, v.head.bias = 1;
    v.roots = {0, 3, 6, 6};
    v.nodes = {split(0, 0, 1), leaf(1, -32), leaf(2, 64), split(1, 0, 4), leaf(4, 0), leaf(5, 48), leaf(6, 0), {}};
    ModelVerdict verdict = verify_model(v.bytes(), policy(4, 4, 8));
    REQUIRE(!verdict.rejected);
    CHECK(verdict.facts.out_min == ((8 - 32) >> 4) + 1);
    CHECK(verdict.facts.out_max == ((8 + 64 + 48) >> 4) + 1);

    v.head.out_max = 100, v.head.shift = 0;
    CHECK(verify_model(v.bytes(), policy(4, 4, 8)).rejected->id == "V0704");
    v.head.out_max = 10;  // the engine's own clamp
    CHECK(!verify_model(v.bytes(), policy(4, 4, 8)).rejected);
    v.head.base = INT64_MAX;
    CHECK(verify_model(v.bytes(), policy(4, 4, 8)).rejected->id == "V0706");
    v.head.base = 0, v.head.groups = 2;
    CHECK(verify_model(v.bytes(), policy(4, 4, 8)).rejected->id == "V0701");
    v.head.groups = 1, v.roots[2] = 1;  // the middle of another tree, a leaf: shared, which only trees that fill up may
    CHECK(!verify_model(v.bytes(), policy(4, 4, 8)).rejected);
    v.roots[2] = 0;
    CHECK(verify_model(v.bytes(), policy(4, 4, 8)).rejected->id == "V0703");
}

TEST_CASE("trees at random: the range is exactly what all inputs give") {
    std::mt19937 random(20261124);
    for (int round = 0; round < 500; round++) {
        ValueBytes v;
        v.head = header(RMT_MODEL_TREE, 4, 0, 2, -6, 12);
        v.roots.assign(4, 0);
        v.nodes.assign(32, {});
        uint32_t used = 1;
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
                    uint32_t d = static_cast<uint32_t>(v.nodes[n].threshold) - static_cast<uint32_t>(f[v.nodes[n].link & 15]);
                    n = (v.nodes[n].link >> 8) + (d >> 31);
                }
                lo = std::min<int64_t>(lo, v.nodes[n].threshold), hi = std::max<int64_t>(hi, v.nodes[n].threshold);
            }
        ModelVerdict verdict = verify_model(v.bytes(), policy(1, 4, 32));
        REQUIRE(!verdict.rejected);
        REQUIRE(verdict.facts.out_min == lo);
        REQUIRE(verdict.facts.out_max == hi);
    }
}

TEST_CASE("bytes changed at random: no crash") {
    std::mt19937 random(7);
    auto good = small_tree().bytes();
    for (int round = 0; round < 20000; round++) {
        auto bytes = good;
        for (int n = 0; n < 3; n++) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        verify_model(bytes, policy(1, 4, 8));
    }
    for (size_t size = 0; size < good.size(); size++) CHECK(verify_model({good.data(), size}, policy(1, 4, 8)).rejected);
}
