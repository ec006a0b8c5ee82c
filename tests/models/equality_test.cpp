// SPDX-License-Identifier: MIT
// The same inputs through the reference, the engine compiled natively, and the engine in the kernel: equal bit for bit, for
// answers and refusals, on more than 100 000 rows for each class.
#include <cstdio>
#include <cstdlib>
#include <set>

#include "models/reference.h"
#include "tests/models/engine_host.h"
#include "tests/models/engine_native.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
using rmt::EngineKind;
using rmt::ModelClass;

namespace {

struct Case {
    ModelClass shape;
    RandomShape random;
};

constexpr auto kForest = EngineKind::Forest;
constexpr auto kOblivious = EngineKind::Oblivious;

const Case kCases[] = {
    {{1, 4, 256}, {.depth = 4, .inputs = 2, .span = 8, .complete = true}},
    {{1, 8, 1024}, {.depth = 8, .inputs = 4, .span = 64}},
    {{1, 8, 1024}, {.depth = 7, .inputs = 4, .span = 64}},
    {{1, 8, 1024}, {.depth = 8, .inputs = 15, .span = RMT_MODEL_LIMIT, .complete = true}},
    {{1, 8, 1024, EngineKind::Tree, 16, 16}, {.depth = 8, .inputs = 4, .span = 64, .missing = 3, .sets = 3, .set_span = 28}},
    {{1, 12, 8192}, {.depth = 12, .inputs = 9, .span = 30000, .complete = true, .bisect = true}},
    {{1, 16, 131072}, {.depth = 16, .inputs = 8, .span = 1000000, .complete = true}},
    {{1, 32, 4096}, {.depth = 11, .inputs = 8, .span = 100}},
    {{4, 4, 256, kForest}, {.kind = ModelKind::Forest, .trees = 3, .depth = 4, .inputs = 3, .span = 16, .shift = 0}},
    {{16, 8, 4096, kForest}, {.kind = ModelKind::Forest, .trees = 13, .depth = 7, .inputs = 8, .span = 500, .shift = 20}},
    {{16, 8, 4096, kForest},
     {.kind = ModelKind::Forest, .trees = 16, .depth = 6, .inputs = 5, .span = 500, .complete = true, .bisect = true, .link = Link::Positive}},
    {{16, 8, 4096, kForest}, {.depth = 8, .inputs = 5, .span = 500}},  // one tree in a forest's engine
    {{16, 8, 4096, kForest, 64, 64, 8},
     {.kind = ModelKind::Forest, .trees = 7, .depth = 7, .inputs = 20, .span = 200, .missing = 9, .sets = 7, .set_span = 90, .outputs = 3}},
    {{16, 8, 4096, kForest, 64, 64, 8}, {.kind = ModelKind::Forest, .trees = 13, .depth = 7, .inputs = 40, .span = 200, .shift = 3, .missing = 5}},
    {{16, 32, 65536, kForest, 64}, {.kind = ModelKind::Forest, .trees = 9, .depth = 12, .inputs = 63, .span = 300, .shift = 2}},
    {{8, 10, 16384, kForest},  // a depth that is no multiple of the levels of a turn
     {.kind = ModelKind::Forest, .trees = 5, .depth = 10, .inputs = 8, .span = 500, .complete = true, .shift = 3}},
    {{100, 8, 65536, kForest},
     {.kind = ModelKind::Forest, .trees = 100, .depth = 8, .inputs = 10, .span = RMT_MODEL_LIMIT, .complete = true, .shift = 12}},
    {{16, 8, 4096, kOblivious}, {.kind = ModelKind::Oblivious, .trees = 15, .depth = 8, .inputs = 7, .span = 200, .shift = 5}},
    {{16, 8, 4096, kOblivious, 64, 32, 4},
     {.kind = ModelKind::Oblivious, .trees = 7, .depth = 6, .inputs = 17, .span = 99, .missing = 6, .sets = 4, .outputs = 3}},
    {{4, 16, 262144, kOblivious}, {.kind = ModelKind::Oblivious, .trees = 2, .depth = 14, .inputs = 9, .span = 999, .complete = true}},
};

// Deep and thin, as libraries grow them: a chain with a leaf at each step.
Model deep_model(std::mt19937_64& random, uint32_t depth) {
    Model model = random_model(random, {.depth = 0, .inputs = 4, .span = 64});
    Tree& tree = model.trees[0];
    size_t at = 0;
    for (uint32_t i = 0; i < depth; i++) {
        tree.value[at] = 0;
        tree.feature[at] = static_cast<int32_t>(random() % 4);
        tree.threshold[at] = static_cast<int32_t>(between(random, -60, 60));
        const bool left = random() % 2;
        for (bool side : {true, false})
            (side ? tree.left : tree.right)[at] = tree.add_leaf(static_cast<int32_t>(between(random, -1000, 1000)));
        at = static_cast<size_t>(left ? tree.left[at] : tree.right[at]);
    }
    seal(model);
    return model;
}

struct Answer {
    uint64_t status = RMT_MODEL_OK;
    int64_t value = 0;
    bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& a) { return out << "{status " << a.status << ", value " << a.value << "}"; }

Answer native(const std::vector<uint8_t>& value, const ModelClass& shape, const int32_t* row) {
    int32_t copy[RMT_MODEL_MAX_SLOTS] = {};
    std::copy_n(row, shape.slots, copy);
    __s64 out = 0;
    int status = rmt_native_infer(value.data(), copy, &out, native_class(shape).data());
    return {static_cast<uint64_t>(status), out};
}

void fill(const Engine& engine, uint32_t i, const std::vector<int64_t>& inputs, std::mt19937_64& random) {
    int32_t* row = engine.row(i);
    for (uint32_t k = 0; k < engine.shape().slots; k++) row[k] = static_cast<int32_t>(random());  // unused slots do not matter
    for (size_t k = 0; k < inputs.size(); k++) row[k] = static_cast<int32_t>(inputs[k]);
}

struct Tally {
    size_t rows = 0, answered = 0, different = 0;
    std::set<int64_t> answers;
};

// All rows of the engine through the three; the first difference is told in full.
void compare(Engine& engine, const Model& model, std::mt19937_64& random, Tally& tally) {
    auto value = lower_model(model, engine.shape());
    REQUIRE((value ? "" : value.error().message) == "");
    REQUIRE(engine.swap(*value) == 0);
    std::vector<Answer> expected(kEngineRows);
    for (uint32_t i = 0; i < kEngineRows; i++) {
        auto inputs = random_inputs(random, model);
        auto answer = infer(model, inputs);
        expected[i] = answer ? Answer{RMT_MODEL_OK, *answer} : Answer{RMT_MODEL_OUTSIDE, 0};
        tally.answered += answer.has_value();
        if (answer) tally.answers.insert(*answer);
        fill(engine, i, inputs, random);
    }
    REQUIRE(engine.run_all(kEngineRows) == 0);
    for (uint32_t i = 0; i < kEngineRows; i++) {
        Answer kernel{engine.answers()[i].status, engine.answers()[i].value}, host = native(*value, engine.shape(), engine.row(i));
        if (kernel == expected[i] && host == expected[i]) continue;
        if (tally.different++ > 0) continue;
        INFO("row " << i);
        CHECK(kernel == expected[i]);
        CHECK(host == expected[i]);
    }
    tally.rows += kEngineRows;
}

}  // namespace

TEST_CASE("reference, native engine and kernel answer alike") {
    std::mt19937_64 random(20261124);
    for (const Case& c : kCases) {
        INFO("class " << engine_name(c.shape) << ", " << c.random.inputs << " inputs");
        Engine engine(RMT_ENGINE_DIR, c.shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        Tally tally;
        for (int round = 0; round < 25; round++) compare(engine, random_model(random, c.random), random, tally);
        CHECK(tally.rows >= 100000);
        CHECK(tally.different == 0);
        CHECK(tally.answered > tally.rows / 5);  // the comparison is not of refusals only
        CHECK(tally.answered < tally.rows);
        CHECK(tally.answers.size() > 1);
    }
}

TEST_CASE("deep thin trees: reference, native engine and kernel answer alike") {
    std::mt19937_64 random(20261125);
    for (const ModelClass& shape : {ModelClass{1, 32, 4096}, ModelClass{16, 32, 65536, kForest, 64}}) {
        Engine engine(RMT_ENGINE_DIR, shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        Tally tally;
        for (uint32_t depth = 8; depth <= 32; depth++) compare(engine, deep_model(random, depth), random, tally);
        CHECK(tally.rows >= 100000);
        CHECK(tally.different == 0);
    }
}

TEST_CASE("no model and a zeroed model answer by on_error") {
    Engine engine(RMT_ENGINE_DIR, {1, 8, 1024});
    if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
    REQUIRE(engine.error() == "");
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_NONE);

    std::vector<uint8_t> zeroed(value_size(engine.shape()), 0);
    REQUIRE(engine.swap(zeroed) == 0);
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_NONE);

    std::mt19937_64 random(1);
    Model model = random_model(random, {.depth = 8, .inputs = 1});
    auto value = lower_model(model, engine.shape());
    REQUIRE(value);
    REQUIRE(engine.swap(*value) == 0);
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_OK);
    REQUIRE(engine.unload() == 0);
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
}

TEST_CASE("a value of a deeper class is not answered from the middle of its trees") {
    std::mt19937_64 random(3);
    Model model = random_model(random, {.depth = 12, .inputs = 4, .complete = true});
    auto value = lower_model(model, {1, 12, 8192});
    REQUIRE(value);
    Engine engine(RMT_ENGINE_DIR, {1, 8, 1024});
    if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
    REQUIRE(engine.error() == "");
    value->resize(value_size(engine.shape()));
    REQUIRE(engine.swap(*value) == 0);
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
}

TEST_CASE("whatever bytes the nodes hold, the engine ends, and kernel and native agree") {
    std::mt19937_64 random(7);
    for (const ModelClass& shape : {ModelClass{1, 8, 1024}, ModelClass{1, 8, 1024, EngineKind::Tree, 16, 16}, ModelClass{16, 8, 4096, kForest},
                                    ModelClass{16, 8, 4096, kForest, 64, 64, 8}, ModelClass{16, 32, 65536, kForest, 64},
                                    ModelClass{16, 8, 4096, kOblivious, 64, 32, 4}, ModelClass{4, 16, 262144, kOblivious}}) {
        INFO("class " << engine_name(shape));
        Engine engine(RMT_ENGINE_DIR, shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        size_t answered = 0;
        for (int round = 0; round < 20; round++) {
            std::vector<uint8_t> value(value_size(shape));
            for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
            rmt_model_header header;
            std::memcpy(&header, value.data(), sizeof header);
            header.layout = RMT_MODEL_LAYOUT;
            header.kind = native_class(shape)[0];
            header.depth = static_cast<uint32_t>(random() % (shape.depth + 1));
            std::memcpy(value.data(), &header, sizeof header);
            std::vector<rmt_model_bound> open(shape.slots, {0, UINT32_MAX});
            std::memcpy(value.data() + RMT_MODEL_AT_BOUND, open.data(), open.size() * sizeof open[0]);
            for (uint32_t i = 0; i < shape.derived; i++)  // ranges that anything passes, else all of it is refused
                std::memset(value.data() + RMT_MODEL_AT_DERIVE(shape.slots) + i * sizeof(rmt_model_derive) + 12, 0xff, 4);
            CHECK_FALSE(check_value(value, shape));
            REQUIRE(engine.swap(value) == 0);
            for (uint32_t i = 0; i < 512; i++) fill(engine, i, {}, random);
            REQUIRE(engine.run_all(512) == 0);
            size_t different = 0;
            for (uint32_t i = 0; i < 512; i++) {
                different += native(value, shape, engine.row(i)) != Answer{engine.answers()[i].status, engine.answers()[i].value};
                answered += engine.answers()[i].status == RMT_MODEL_OK;
            }
            CHECK(different == 0);
        }
        CHECK(answered > 0);
    }
}

TEST_CASE("the kernel verifies an inference in at most 4000 instructions, and 32 in a tracing program, whatever the class") {
    const ModelClass classes[] = {{1, 4, 256}, {1, 8, 1024}, {1, 16, 131072}, {1, 32, 4096}, {1, 8, 1024, EngineKind::Tree, 16, 16},
                                  {4, 4, 256, kForest}, {100, 8, 65536, kForest}, {16, 8, 4096, kForest, 64, 64, 8},
                                  {16, 32, 65536, kForest, 64}, {16, 8, 4096, kOblivious}, {16, 8, 4096, kOblivious, 64, 32, 4},
                                  {4, 16, 262144, kOblivious}};
    for (const ModelClass& shape : classes) {
        Engine engine(RMT_ENGINE_DIR, shape, true);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        for (const char* program : {"one", "traced"}) {
            const uint32_t insns = engine.verified_insns(program);
            INFO("class " << engine_name(shape) << ", program " << program << ": " << insns);
            CHECK(insns > 0);
            CHECK(insns <= (std::string(program) == "one" ? 4000u : 100000u));
            if (std::getenv("RMT_SHOW")) std::printf("%s %s: %u\n", engine_name(shape).c_str(), program, insns);
        }
    }
}
