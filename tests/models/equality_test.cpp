// SPDX-License-Identifier: MIT
// The same inputs through the reference, the engine compiled natively, and the engine in the kernel: equal bit for bit, for
// answers and refusals, on more than 100 000 rows for each class.
#include "models/reference.h"
#include "tests/models/engine_host.h"
#include "tests/models/engine_native.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
using rmt::ModelClass;

namespace {

struct Case {
    ModelClass shape;
    RandomShape random;
};

const Case kCases[] = {
    {{1, 4, 256}, {.depth = 4, .inputs = 2, .span = 8, .complete = true}},
    {{1, 8, 1024}, {.depth = 8, .inputs = 4, .span = 64}},
    {{1, 8, 1024}, {.depth = 8, .inputs = 15, .span = RMT_MODEL_LIMIT, .complete = true}},
    {{1, 12, 8192}, {.depth = 12, .inputs = 9, .span = 30000, .complete = true, .bisect = true}},
    {{1, 16, 131072}, {.depth = 16, .inputs = 8, .span = 1000000, .complete = true}},
    {{4, 4, 256}, {.kind = ModelKind::Forest, .trees = 3, .depth = 4, .inputs = 3, .span = 16, .shift = 0}},
    {{16, 8, 4096}, {.kind = ModelKind::Forest, .trees = 13, .depth = 7, .inputs = 8, .span = 500, .shift = 20}},
    {{16, 8, 4096},
     {.kind = ModelKind::Forest,
      .trees = 16,
      .depth = 6,
      .inputs = 5,
      .span = 500,
      .complete = true,
      .bisect = true,
      .link = Link::Positive}},
    {{100, 8, 65536},
     {.kind = ModelKind::Forest, .trees = 100, .depth = 8, .inputs = 10, .span = RMT_MODEL_LIMIT, .complete = true, .shift = 12}},
};

struct Answer {
    uint64_t status = RMT_MODEL_OK;
    int64_t value = 0;
    bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& a) { return out << "{status " << a.status << ", value " << a.value << "}"; }

Answer native(const std::vector<uint8_t>& value, const ModelClass& shape, const EngineRow& row) {
    EngineRow copy = row;
    __s64 out = 0;
    int status = rmt_native_infer(value.data(), copy.input, &out, static_cast<int>(shape.trees), shape.depth, shape.nodes);
    return {static_cast<uint64_t>(status), out};
}

void fill(EngineRow& row, const std::vector<int64_t>& inputs, std::mt19937_64& random) {
    for (int32_t& slot : row.input) slot = static_cast<int32_t>(random());  // unused slots do not matter
    for (size_t i = 0; i < inputs.size(); i++) row.input[i] = static_cast<int32_t>(inputs[i]);
}

}  // namespace

TEST_CASE("reference, native engine and kernel answer alike") {
    std::mt19937_64 random(20261124);
    for (const Case& c : kCases) {
        INFO("class " << c.shape.trees << " x " << c.shape.depth << " x " << c.shape.nodes << ", " << c.random.inputs << " inputs");
        Engine engine(RMT_ENGINE_DIR, c.shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        size_t rows = 0, answered = 0;
        for (int round = 0; round < 25; round++) {
            Model model = random_model(random, c.random);
            auto value = lower_model(model, c.shape);
            REQUIRE(value);
            REQUIRE(engine.swap(*value) == 0);
            std::vector<Answer> expected(kEngineRows);
            for (uint32_t i = 0; i < kEngineRows; i++) {
                auto inputs = random_inputs(random, model);
                auto answer = infer(model, inputs);
                expected[i] = answer ? Answer{RMT_MODEL_OK, *answer} : Answer{RMT_MODEL_OUTSIDE, 0};
                answered += answer.has_value();
                fill(engine.rows()[i], inputs, random);
            }
            REQUIRE(engine.run_all(kEngineRows) == 0);
            for (uint32_t i = 0; i < kEngineRows; i++) {
                Answer kernel{engine.answers()[i].status, engine.answers()[i].value};
                if (kernel != expected[i] || native(*value, c.shape, engine.rows()[i]) != expected[i]) {
                    INFO("round " << round << ", row " << i);
                    REQUIRE(kernel == expected[i]);
                    REQUIRE(native(*value, c.shape, engine.rows()[i]) == expected[i]);
                }
            }
            rows += kEngineRows;
        }
        CHECK(rows >= 100000);
        CHECK(answered > rows / 2);  // the comparison is not of refusals only
        CHECK(answered < rows);
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
    for (ModelClass shape : {ModelClass{1, 8, 1024}, ModelClass{16, 8, 4096}}) {
        Engine engine(RMT_ENGINE_DIR, shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        for (int round = 0; round < 20; round++) {
            std::vector<uint8_t> value(value_size(shape));
            for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
            rmt_model_header header;
            std::memcpy(&header, value.data(), sizeof header);
            header.layout = RMT_MODEL_LAYOUT;
            header.kind = shape.trees == 1 ? RMT_MODEL_TREE : RMT_MODEL_FOREST;
            header.depth = random() % 9;
            header.inputs = static_cast<uint32_t>(random());
            for (uint32_t& span : header.span) span = UINT32_MAX;
            std::memcpy(value.data(), &header, sizeof header);
            CHECK_FALSE(check_value(value, shape));
            REQUIRE(engine.swap(value) == 0);
            for (uint32_t i = 0; i < 512; i++) fill(engine.rows()[i], {}, random);
            REQUIRE(engine.run_all(512) == 0);
            size_t different = 0;
            for (uint32_t i = 0; i < 512; i++)
                different += native(value, shape, engine.rows()[i]) != Answer{engine.answers()[i].status, engine.answers()[i].value};
            CHECK(different == 0);
        }
    }
}

TEST_CASE("the kernel verifies 32 inferences in a tracing program quickly") {
    for (ModelClass shape : {ModelClass{1, 8, 1024}, ModelClass{1, 16, 131072}, ModelClass{100, 8, 65536}}) {
        Engine engine(RMT_ENGINE_DIR, shape, true);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        bpf_prog_info info = {};
        __u32 size = sizeof info;
        REQUIRE(bpf_prog_get_info_by_fd(engine.program("traced"), &info, &size) == 0);
        CAPTURE(shape.trees, shape.depth, info.verified_insns);
        CHECK(info.verified_insns < 20000);
    }
}
