// SPDX-License-Identifier: MIT
#include "models/net.h"

#include <functional>

#include "bpf/include/rmt/net_layout.h"
#include "models/net_lower.h"
#include "models/reference.h"
#include "tests/models/random_net.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

// Two inputs, relu(x0 - x1), relu(x1 - x0), their sum: |x0 - x1|.
Model distance() {
    Model model;
    model.name = "distance";
    model.kind = ModelKind::Mlp;
    model.inputs = {{"a", "i32", -100, 100, {}, 0}, {"b", "i32", -100, 100, {}, 0}};
    model.output = {OutputKind::Value, "i32", 0, 150, {}};
    Net net;
    net.layers.resize(2);
    net.layers[0] = {LayerKind::Dense, 2, 0, 0, {1, -1, -1, 1}, {0, 0}, {1, 1}, 0, 0, 1000};
    net.layers[1] = {LayerKind::Dense, 1, 0, 0, {1, 1}, {0}, {1}, 0, -1000, 1000};
    model.net = net;
    seal(model);
    return model;
}

}  // namespace

TEST_CASE("net: the reference reads layers, scales and clamps as they are defined") {
    Model model = distance();
    REQUIRE(check_model(model));
    CHECK(infer(model, std::vector<int64_t>{3, 10}) == 7);
    CHECK(infer(model, std::vector<int64_t>{10, 3}) == 7);
    CHECK(infer(model, std::vector<int64_t>{100, -100}) == 150);  // the output's range
    CHECK_FALSE(infer(model, std::vector<int64_t>{101, 0}));

    model.net->layers[1].shift = 1;  // halves, rounded up
    CHECK(infer(model, std::vector<int64_t>{3, 10}) == 4);
    CHECK(infer(model, std::vector<int64_t>{3, 9}) == 3);
    model.net->layers[1].bias[0] = -20;
    model.output.min = -100;
    CHECK(infer(model, std::vector<int64_t>{3, 10}) == -6);  // -6.5
    model.net->scales = {{2, 1}, {2, 1}};
    model.net->input_shift = 1;  // (2x + 1) >> 1: as before
    CHECK(infer(model, std::vector<int64_t>{3, 10}) == -6);
    model.net->layers[0].hi = 5;
    CHECK(infer(model, std::vector<int64_t>{3, 10}) == -7);  // (5 - 20 + 1) >> 1
}

TEST_CASE("net: a convolution slides, a max-pool takes the largest") {
    Model model = distance();
    model.kind = ModelKind::Conv;
    model.inputs.clear();
    for (int i = 0; i < 6; i++) model.inputs.push_back({"x" + std::to_string(i), "i32", 0, 9, {}, 0});
    Net net;
    net.steps = 6;
    net.layers.resize(3);
    net.layers[0] = {LayerKind::Conv1d, 1, 2, 1, {1, -1}, {0}, {1}, 0, -1000, 1000};  // falls
    net.layers[1].kind = LayerKind::MaxPool;
    net.layers[1].kernel = 2, net.layers[1].stride = 2;
    net.layers[2] = {LayerKind::Dense, 1, 0, 0, {10, 1}, {0}, {1}, 0, -1000, 1000};
    model.net = net;
    model.output.min = -1000, model.output.max = 1000;
    auto checked = check_model(model);
    if (!checked) FAIL(checked.error().message);
    CHECK(net_shapes(net, 6).back() == NetShape{1, 1});
    CHECK(net_multiplications(net, 6) == 5 * 2 + 2);
    // falls: -1 3 -2 4 0 | pools: 3, 4
    CHECK(infer(model, std::vector<int64_t>{4, 5, 2, 4, 0, 0}) == 34);
}

TEST_CASE("net: what is wrong is told with its place") {
    struct Case {
        const char* message;
        std::function<void(Model&)> change;
    };
    const Case cases[] = {
        {"M0107: at /net: kind 'mlp' has a net", [](Model& m) { m.net.reset(); }},
        {"M0107: at /kind: 'linear' given, its layers make it 'mlp'", [](Model& m) { m.kind = ModelKind::Linear; }},
        {"M0107: at /net/bits: 12 given", [](Model& m) { m.net->bits = 12; }},
        {"M0107: at /net/layers/0/weights: 3 given, 4 expected", [](Model& m) { m.net->layers[0].weights.pop_back(); }},
        {"M0107: at /net/layers/1/bias: 2 given", [](Model& m) { m.net->layers[1].bias.push_back(0); }},
        {"M0108: at /net/layers/0/weights/2: 40000 does not fit 16 bits", [](Model& m) { m.net->layers[0].weights[2] = 40000; }},
        {"M0108: at /net/layers/0/multiplier/1", [](Model& m) { m.net->layers[0].multiplier[1] = 0; }},
        {"M0107: at /net/layers/0/clamp", [](Model& m) { m.net->layers[0].lo = 2000; }},
        {"M0107: at /net/layers/1/kind: the last layer is dense", [](Model& m) { m.net->layers[1].kind = LayerKind::Conv1d, m.net->layers[1].kernel = 1, m.net->layers[1].stride = 1, m.net->layers[1].weights = {1, 1}; }},
        {"M0107: at /net/steps: 2 inputs are not 3 time steps", [](Model& m) { m.net->steps = 3; }},
        {"M0107: at /net/layers: only link 'argmax' has several outputs", [](Model& m) { m.net->layers[1].outputs = 2, m.net->layers[1].weights = {1, 1, 1, 1}, m.net->layers[1].bias = {0, 0}, m.net->layers[1].multiplier = {1, 1}; }},
        {"M0108: at /net/layers/1/multiplier/0: a scaled sum could leave 63 bits", [](Model& m) { m.net->layers[0].hi = int64_t{1} << 50, m.net->layers[0].multiplier = {int64_t{1} << 40, 1}, m.net->layers[1].multiplier[0] = 1 << 20; }},
        {"M0108: at /net/scales/1: the scaled input could leave 63 bits", [](Model& m) { m.net->scales = {{1, 0}, {int64_t{1} << 56, 0}}; }},
        {"M0110: at /inputs/0/missing", [](Model& m) { m.inputs[0].missing = 1000; }},
        {"M0107: at /fixed_point", [](Model& m) { m.shift = 3; }},
    };
    for (const Case& c : cases) {
        Model model = distance();
        c.change(model);
        INFO(c.message);
        auto checked = check_model(model);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, ContainsSubstring(c.message));
    }
}

TEST_CASE("net: an artefact is read back as it was written, and unknown keys are refused") {
    std::mt19937_64 random(3);
    const std::vector<LayerSpec> conv = {{LayerKind::Conv1d, 3, 2, 1}, {LayerKind::MaxPool, 0, 2, 2}, {LayerKind::Dense, 4}};
    for (uint32_t bits : {8u, 16u}) {
        Model model = random_net(random, {"", 12, 6, conv, bits, Link::Argmax, 500, true, ModelKind::Conv});
        REQUIRE(check_model(model));
        const std::string text = to_json(model);
        auto again = parse_model(text);
        if (!again) FAIL(again.error().message);
        CHECK(*again == model);
        std::string other = text;
        other.replace(other.find("\"bits\""), 6, "\"bite\"");
        auto refused = parse_model(other);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring("M0103: at /net/bite"));
        other = text;
        other.replace(other.find("\"maxpool\""), 9, "\"minpool\"");
        refused = parse_model(other);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring("M0102: at /net/layers/1/kind"));
    }
}

TEST_CASE("net: bounds hold for every input, and decide on packing") {
    std::mt19937_64 random(5);
    for (int round = 0; round < 20; round++) {
        Model model = random_net(random, {"", 6, 1, {{LayerKind::Dense, 7}, {LayerKind::Dense, 2}}, round % 2 ? 8u : 16u, Link::Argmax, 1000});
        std::vector<Interval> ranges;
        for (const ModelInput& input : model.inputs) ranges.emplace_back(input.min, input.max);
        auto bounds = net_bounds(*model.net, ranges);
        REQUIRE(bounds);
        for (int i = 0; i < 200; i++) {
            std::vector<int64_t> inputs;
            for (const ModelInput& input : model.inputs) inputs.push_back(random() % 3 ? pick(random, input.min, input.max) : random() % 2 ? input.min : input.max);
            auto outputs = net_outputs(*model.net, inputs);
            for (size_t k = 0; k < outputs.size(); k++) CHECK((outputs[k] >= bounds->outputs[k].first && outputs[k] <= bounds->outputs[k].second));
        }
        CHECK(packs(model, 0) == (round % 2 == 1));
    }
}

TEST_CASE("net: a value says what does not fit its class") {
    Model model = distance();
    const auto need = smallest_net_class(model);
    auto value = lower_net(model, need);
    REQUIRE(value);
    CHECK(check_net_value(*value, need));
    CHECK(value->size() == net_value_size(need));
    auto smaller = need;
    smaller.tiles /= 2;
    auto refused = lower_net(model, smaller);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, ContainsSubstring("M0206: model 'distance' needs 2 tiles, the policy was compiled for 1"));
    auto larger = need;
    larger.tiles *= 2, larger.rows *= 4, larger.inputs += 8, larger.width *= 2, larger.outputs = 4;
    CHECK(lower_net(model, larger));
    for (size_t at : {size_t{0}, size_t{4}, size_t{8}, size_t{16}, size_t{20}, size_t{32}}) {  // layout, kind, tiles, outputs, inputs, result
        auto broken = *value;
        broken[at + 1] = 0x40;
        INFO(at);
        auto checked = check_net_value(broken, need);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, ContainsSubstring("M0207"));
    }
}
