// SPDX-License-Identifier: MIT
// Nets: the same inputs through the reference, the engine compiled natively, and the engine in the kernel: equal bit for bit,
// for answers and refusals, on more than 100 000 rows for each shape.
#include <set>

#include "models/reference.h"
#include "bpf/include/rmt/model_layout.h"
#include "bpf/include/rmt/net_layout.h"
#include "tests/models/net_host.h"
#include "tests/models/net_native.h"
#include "tests/models/random_net.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
using rmt::NetClass;

namespace {

struct Case {
    NetClass shape;
    bool packed;  // its first layer is expected to lie three weights to a word
    NetSpec spec;
};

using enum LayerKind;

const std::vector<LayerSpec> kConv = {{Conv1d, 8, 5, 2}, {MaxPool, 0, 14, 14}, {Dense, 1}};
const std::vector<LayerSpec> kConvPools = {{Conv1d, 10, 3, 1}, {MaxPool, 0, 2, 3}, {Conv1d, 7, 2, 1}, {Dense, 5}, {Dense, 3}};

// Classes are those that smallest_net_class() chooses; CMakeLists.txt compiles the same ones.
const Case kCases[] = {
    {{8, 0, 0, 0, 0, 1}, false, {"linear 8", 8, 1, {{Dense, 1}}, 16, Link::Round, 1 << 30, false, ModelKind::Linear}},
    {{32, 0, 0, 0, 0, 1}, false, {"linear 30", 30, 1, {{Dense, 1}}, 16, Link::Positive, 5000, false, ModelKind::Linear}},
    {{8, 2, 2, 2, 16, 4}, false, {"linear, 3 classes", 8, 1, {{Dense, 3}}, 16, Link::Argmax, 5000, true, ModelKind::Linear}},
    {{8, 16, 16, 16, 64, 1}, false, {"8-16-8-1 int16", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}}},
    {{8, 8, 8, 8, 64, 1}, true, {"8-16-8-1 int8", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}, 8}},
    {{32, 128, 64, 256, 256, 1}, false, {"32-64-32-1 int16", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 16, Link::Positive}},
    {{32, 32, 32, 64, 256, 1}, true, {"32-64-32-1 int8", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 8}},
    {{16, 8, 8, 8, 32, 1}, false, {"15-10-1 int16", 15, 1, {{Dense, 10}, {Dense, 1}}, 16, Link::Positive, 1 << 30}},
    {{16, 4, 4, 4, 32, 1}, true, {"15-10-1 int8", 15, 1, {{Dense, 10}, {Dense, 1}}, 8, Link::Positive, 1}},
    {{16, 8, 8, 8, 32, 4}, false, {"10-8-3 argmax int16", 10, 1, {{Dense, 8}, {Dense, 3}}, 16, Link::Argmax}},
    {{16, 4, 4, 4, 32, 4}, true, {"10-8-3 argmax int8", 10, 1, {{Dense, 8}, {Dense, 3}}, 8, Link::Argmax}},
    {{128, 64, 8, 16, 256, 1}, false, {"conv 32x4 int16", 128, 32, kConv, 16, Link::Round, 30000, true, ModelKind::Conv}},
    {{128, 32, 4, 8, 256, 1}, true, {"conv 32x4 int8", 128, 32, kConv, 8, Link::Round, 30000, true, ModelKind::Conv}},
    {{32, 128, 16, 32, 128, 4}, false, {"conv 16x2, two pools int16", 32, 16, kConvPools, 16, Link::Argmax, 100, true, ModelKind::Conv}},
    {{32, 32, 8, 16, 128, 4}, true, {"conv 16x2, two pools int8", 32, 16, kConvPools, 8, Link::Argmax, 100, true, ModelKind::Conv}},
};

struct Answer {
    uint64_t status = 0;
    int64_t value = 0;
    bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& a) { return out << "{status " << a.status << ", value " << a.value << "}"; }

Answer native(const std::vector<uint8_t>& value, const NetClass& c, const int32_t* row, std::vector<int64_t>& act) {
    const rmt_native_class shape = {c.inputs, c.tiles, c.rows, c.blocks, c.width, c.outputs};
    __s64 out = 0;
    int status = rmt_native_net(value.data(), &shape, row, reinterpret_cast<__s64*>(act.data()), &out);
    return {static_cast<uint64_t>(status), out};
}

}  // namespace

TEST_CASE("nets: reference, native engine and kernel answer alike") {
    std::mt19937_64 random(20261124);
    for (const Case& c : kCases) {
        INFO(c.spec.name << ": " << net_class_name(c.shape));
        NetEngine engine(RMT_ENGINE_DIR, c.shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        std::vector<int64_t> act(c.shape.width + RMT_NET_SLACK);
        size_t rows = 0, answered = 0;
        std::set<int64_t> values;
        for (int round = 0; round < 25; round++) {
            Model model = random_net(random, c.spec);
            auto checked = check_model(model);
            if (!checked) FAIL(checked.error().message);
            CHECK(net_class_name(smallest_net_class(model)) == net_class_name(c.shape));
            CHECK(packs(model, 0) == c.packed);
            auto value = lower_net(model, c.shape);
            if (!value) FAIL(value.error().message);
            REQUIRE(engine.swap(*value) == 0);
            for (int64_t& left_over : act) left_over = static_cast<int64_t>(random());
            std::vector<Answer> expected(kNetRows);
            for (uint32_t i = 0; i < kNetRows; i++) {
                auto inputs = random_net_inputs(random, model);
                auto answer = infer(model, inputs);
                expected[i] = answer ? Answer{RMT_MODEL_OK, *answer} : Answer{RMT_MODEL_OUTSIDE, 0};
                answered += answer.has_value();
                if (answer && values.size() < 1000) values.insert(*answer);
                for (uint32_t k = 0; k < c.shape.inputs; k++)
                    engine.row(i)[k] = static_cast<int32_t>(k < inputs.size() ? inputs[k] : static_cast<int64_t>(random()));
            }
            REQUIRE(engine.run_all(kNetRows) == 0);
            for (uint32_t i = 0; i < kNetRows; i++) {
                Answer kernel{engine.answers()[i].status, engine.answers()[i].value}, host = native(*value, c.shape, engine.row(i), act);
                if (kernel == expected[i] && host == expected[i]) continue;
                INFO("round " << round << ", row " << i);
                REQUIRE(host == expected[i]);
                REQUIRE(kernel == expected[i]);
            }
            rows += kNetRows;
        }
        CHECK(rows >= 100000);
        CHECK(answered > rows / 2);
        CHECK(answered < rows);
        CHECK(values.size() >= (c.spec.link == Link::Round ? 500u : 2u));  // not always the same answer
    }
}

TEST_CASE("nets: no value, a zeroed one and one of the other kind answer by on_error") {
    for (NetClass shape : {NetClass{8, 0, 0, 0, 0, 1}, NetClass{8, 16, 16, 16, 64, 1}}) {
        NetEngine engine(RMT_ENGINE_DIR, shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        REQUIRE(engine.run_all(1) == 0);
        CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
        std::vector<uint8_t> value(net_value_size(shape), 0);
        REQUIRE(engine.swap(value) == 0);
        REQUIRE(engine.run_all(1) == 0);
        CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
        rmt_net_header header = {};
        header.layout = RMT_NET_LAYOUT;
        header.kind = shape.tiles == 0 ? RMT_NET_KIND : RMT_NET_LINEAR_KIND;
        std::memcpy(value.data(), &header, sizeof header);
        REQUIRE(engine.swap(value) == 0);
        REQUIRE(engine.run_all(1) == 0);
        CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
    }
}

TEST_CASE("nets: whatever bytes the value holds, the engine ends, and kernel and native agree") {
    std::mt19937_64 random(7);
    const NetClass shape{32, 32, 8, 16, 128, 4};
    NetEngine engine(RMT_ENGINE_DIR, shape);
    if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
    REQUIRE(engine.error() == "");
    for (int round = 0; round < 20; round++) {
        std::vector<uint8_t> value(net_value_size(shape));
        for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
        rmt_net_header header;
        std::memcpy(&header, value.data(), sizeof header);
        header.layout = RMT_NET_LAYOUT;
        header.kind = RMT_NET_KIND;
        header.inputs = random() % 2 ? 32 : static_cast<uint32_t>(random());
        header.link = random() % 3;
        std::memcpy(value.data(), &header, sizeof header);
        for (uint32_t i = 0; i < shape.inputs; i++) {
            uint32_t any = UINT32_MAX;
            std::memcpy(value.data() + sizeof header + i * sizeof(rmt_net_input) + offsetof(rmt_net_input, span), &any, sizeof any);
        }
        CHECK_FALSE(check_net_value(value, shape));
        REQUIRE(engine.swap(value) == 0);
        const uint32_t rows = 64;
        for (uint32_t i = 0; i < rows; i++)
            for (uint32_t k = 0; k < shape.inputs; k++) engine.row(i)[k] = static_cast<int32_t>(random());
        // What a damaged net answers may depend on what lies in the scratch: equal contents first, then row after row.
        std::vector<int64_t> act(shape.width + RMT_NET_SLACK, 0);
        std::vector<uint8_t> zero((act.size() * 8 + 8) * static_cast<size_t>(libbpf_num_possible_cpus()), 0);
        for (uint32_t slot = 0; slot < RMT_NET_SLOTS; slot++) REQUIRE(bpf_map_update_elem(engine.map("rmt_act_test"), &slot, zero.data(), BPF_ANY) == 0);
        REQUIRE(engine.run_all(rows) == 0);
        size_t different = 0;
        for (uint32_t i = 0; i < rows; i++)
            different += native(value, shape, engine.row(i), act) != Answer{engine.answers()[i].status, engine.answers()[i].value};
        INFO("round " << round << ", inputs " << header.inputs << ", tiles " << header.tiles << ", link " << header.link << ", kernel " << engine.answers()[0].status << " " << engine.answers()[0].value);
        CHECK(different == 0);
    }
}

TEST_CASE("nets: the scratch of a CPU that is taken is not written over") {
    const NetClass shape{8, 16, 16, 16, 64, 1};
    NetEngine engine(RMT_ENGINE_DIR, shape);
    if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
    REQUIRE(engine.error() == "");
    std::mt19937_64 random(5);
    Model model = random_net(random, {"", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}});
    auto value = lower_net(model, shape);
    REQUIRE(value);
    REQUIRE(engine.swap(*value) == 0);
    for (uint32_t k = 0; k < 8; k++) engine.row(0)[k] = static_cast<int32_t>(model.inputs[k].min);
    const size_t one = (shape.width + RMT_NET_SLACK) * 8 + 8;
    std::vector<uint8_t> taken(one * static_cast<size_t>(libbpf_num_possible_cpus()), 1), read = taken;
    for (uint32_t slot = 0; slot < RMT_NET_SLOTS; slot++) {
        REQUIRE(engine.run_all(1) == 0);
        CHECK(engine.answers()[0].status == RMT_MODEL_OK);  // one slot is free
        REQUIRE(bpf_map_update_elem(engine.map("rmt_act_test"), &slot, taken.data(), BPF_ANY) == 0);
    }
    REQUIRE(engine.run_all(1) == 0);
    CHECK(engine.answers()[0].status == RMT_MODEL_NONE);
    for (uint32_t slot = 0; slot < RMT_NET_SLOTS; slot++) {
        REQUIRE(bpf_map_lookup_elem(engine.map("rmt_act_test"), &slot, read.data()) == 0);
        CHECK(read == taken);
    }
}

TEST_CASE("nets: the kernel verifies the engine quickly, whatever the net") {
    for (const Case& c : kCases) {
        NetEngine engine(RMT_ENGINE_DIR, c.shape, true);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        const uint32_t insns = engine.verified_insns("traced");
        INFO(c.spec.name);
        REQUIRE(insns > 0);
        CHECK(insns <= 4000);
    }
}
