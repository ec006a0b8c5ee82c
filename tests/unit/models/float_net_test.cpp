// SPDX-License-Identifier: MIT
#include "models/float_net.h"

#include <cmath>
#include <random>

#include "models/quantise_net.h"
#include "models/reference.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

double uniform(std::mt19937_64& random, double reach) { return (static_cast<double>(random() >> 11) * 0x1p-52 - 1) * reach; }

FloatLayer layer_of(std::mt19937_64& random, LayerKind kind, size_t weights, uint32_t outputs, uint32_t kernel, uint32_t stride, bool relu) {
    FloatLayer layer;
    layer.kind = kind, layer.outputs = outputs, layer.kernel = kernel, layer.stride = stride, layer.relu = relu;
    if (kind == LayerKind::MaxPool) return layer;
    for (size_t i = 0; i < weights; i++) layer.weights.push_back(uniform(random, 2 / std::sqrt(static_cast<double>(weights / outputs))));
    for (uint32_t i = 0; i < outputs; i++) layer.bias.push_back(uniform(random, 0.5));
    return layer;
}

FloatNet mlp(std::mt19937_64& random, std::vector<uint32_t> sizes) {
    FloatNet net;
    net.inputs = sizes[0];
    for (size_t l = 0; l + 1 < sizes.size(); l++)
        net.layers.push_back(layer_of(random, LayerKind::Dense, size_t{sizes[l]} * sizes[l + 1], sizes[l + 1], 0, 0, l + 2 < sizes.size()));
    return net;
}

// 16 steps of 2 channels.
FloatNet conv(std::mt19937_64& random) {
    FloatNet net;
    net.inputs = 32, net.steps = 16;
    net.layers.push_back(layer_of(random, LayerKind::Conv1d, 5 * 2 * 6, 6, 5, 1, true));
    net.layers.push_back(layer_of(random, LayerKind::MaxPool, 0, 0, 3, 4, false));
    net.layers.push_back(layer_of(random, LayerKind::Dense, 3 * 6 * 3, 3, 0, 0, false));
    return net;
}

struct Case {
    const char* name;
    FloatNet net;
    Link link;
    double spread;  // of inputs, by channel
};

std::vector<Case> cases() {
    std::mt19937_64 random(17);
    return {{"linear 8", mlp(random, {8, 1}), Link::Positive, 1e6},
            {"linear, 3 classes", mlp(random, {8, 3}), Link::Argmax, 1000},
            {"8-16-8-1", mlp(random, {8, 16, 8, 1}), Link::Positive, 1e6},
            {"32-64-32-1", mlp(random, {32, 64, 32, 1}), Link::Positive, 30000},
            {"15-10-4", mlp(random, {15, 10, 4}), Link::Argmax, 50},
            {"conv", conv(random), Link::Argmax, 30000}};
}

// A scaler as training would find it: inputs of very different sizes, by channel.
QuantiseOptions with_inputs(FloatNet& net, const Case& c, std::mt19937_64& random, uint32_t bits, size_t rows) {
    QuantiseOptions options;
    options.link = c.link;
    options.bits = bits;
    options.output = {OutputKind::Class, "u8", 0, c.link == Link::Positive ? 1 : 7, {}};
    const uint32_t channels = net.inputs / net.steps;
    std::vector<double> mean, scale;
    for (uint32_t i = 0; i < net.inputs; i++) {
        const double size = std::max(8.0, c.spread / (1 + 3 * (i % channels)));
        const auto middle = static_cast<int64_t>(size / 3);
        options.inputs.push_back({"x" + std::to_string(i), "i32", middle - static_cast<int64_t>(size), middle + static_cast<int64_t>(size), {}, 0});
        mean.push_back(static_cast<double>(middle)), scale.push_back(size / 1.7);
    }
    REQUIRE(fold_scaler(net, mean, scale));
    for (size_t r = 0; r < rows; r++) {
        std::vector<int64_t> row;
        for (const ModelInput& input : options.inputs)
            row.push_back(input.min + static_cast<int64_t>(random() % static_cast<uint64_t>(input.max - input.min + 1)));
        options.rows.push_back(std::move(row));
    }
    return options;
}

}  // namespace

TEST_CASE("float net: a folded scaler answers as the scaler in front") {
    std::mt19937_64 random(1);
    FloatNet net = mlp(random, {3, 4, 2});
    const std::vector<double> mean = {10, -5, 1000}, scale = {2, 0, 300}, inputs = {13, -4, 700};
    FloatNet folded = net;
    REQUIRE(fold_scaler(folded, mean, scale));
    const auto expected = float_outputs(net, std::vector<double>{(13 - 10) / 2.0, -4 + 5, (700 - 1000) / 300.0}), given = float_outputs(folded, inputs);
    for (size_t k = 0; k < 2; k++) CHECK(std::abs(given[k] - expected[k]) < 1e-9);

    FloatNet sliding = conv(random);
    std::vector<double> means(32, 1), scales(32, 2);
    FloatNet ok = sliding;
    CHECK(fold_scaler(ok, means, scales));
    means[5] = 3;
    auto refused = fold_scaler(sliding, means, scales);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, ContainsSubstring("M0107: at /scaler: input 5"));
}

TEST_CASE("float net: JSON is read back exactly, a scaler is folded, nonsense is refused with its place") {
    std::mt19937_64 random(2);
    for (const FloatNet& net : {mlp(random, {4, 3, 1}), conv(random)}) {
        auto again = parse_float_net(float_net_to_json(net));
        if (!again) FAIL(again.error().message);
        CHECK(*again == net);
    }
    auto scaled = parse_float_net(R"({"rmt_float_net":1,"inputs":1,"steps":1,"layers":[{"kind":"dense","outputs":1,"weights":[3],"bias":[1]}],"scaler":{"mean":[4],"scale":[2]}})");
    if (!scaled) FAIL(scaled.error().message);
    CHECK(std::abs(float_outputs(*scaled, std::vector<double>{8})[0] - 7) < 1e-9);
    struct Bad {
        const char *from, *to, *message;
    };
    const std::string good = R"({"rmt_float_net":1,"inputs":2,"steps":1,"layers":[{"kind":"dense","outputs":1,"weights":[3,4],"bias":[1],"relu":false}]})";
    for (const Bad& bad : {Bad{"[3,4]", "[3]", "M0107: at /layers/0/weights"}, Bad{"dense", "gru", "M0102: at /layers/0/kind"}, Bad{"relu\":false", "relu\":true", "M0107: at /layers/0: the last layer"},
                           Bad{"\"steps\":1", "\"steps\":3", "M0107: at /inputs"}, Bad{"bias", "bios", "M0103: at /layers/0/bios"}}) {
        std::string text = good;
        text.replace(text.find(bad.from), std::string(bad.from).size(), bad.to);
        auto parsed = parse_float_net(text);
        REQUIRE_FALSE(parsed);
        CHECK_THAT(parsed.error().message, ContainsSubstring(bad.message));
    }
}

TEST_CASE("float net: 16 bits keep the decision, and the proved bound holds on every row") {
    for (const Case& c : cases()) {
        std::mt19937_64 random(3);
        FloatNet net = c.net;
        const QuantiseOptions options = with_inputs(net, c, random, 16, 10000);
        auto report = quantise_net(net, options);
        INFO(c.name);
        if (!report) FAIL(report.error().message);
        CHECK(report->rows == 10000);
        REQUIRE(report->bound);
        CHECK(report->largest_difference <= *report->bound);
        CHECK(*report->bound < 0.2);
        CHECK(report->different <= report->undecided);  // what the bound proves is so
        CHECK(report->different < 10);
        CHECK(report->model.origin == float_net_to_json(net));
        REQUIRE(check_model(report->model));
        size_t ones = 0;
        for (const auto& row : options.rows) ones += infer(report->model, row) == 1;
        CHECK(ones > 100);
        CHECK(ones < 9900);
    }
}

TEST_CASE("float net: 8 bits keep nearly every decision, and prove nothing") {
    for (const Case& c : cases()) {
        if (c.net.layers.size() == 1) continue;
        std::mt19937_64 random(4);
        FloatNet net = c.net;
        const QuantiseOptions options = with_inputs(net, c, random, 8, 10000);
        auto report = quantise_net(net, options);
        INFO(c.name);
        if (!report) FAIL(report.error().message);
        CHECK_FALSE(report->bound);
        CHECK(report->different < 800);
        CHECK(report->different > 0);  // 8 bits are not 16
        QuantiseOptions no_rows = options;
        no_rows.rows.clear();
        auto refused = quantise_net(net, no_rows);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring("M0305: 8 bits need rows"));
    }
}

TEST_CASE("float net: numbers are rounded to the nearest integer") {
    FloatNet net;
    net.inputs = 2;
    FloatLayer layer;
    layer.outputs = 1, layer.weights = {0.37, -1234.5}, layer.bias = {1e6};
    net.layers.push_back(layer);
    QuantiseOptions options;
    options.inputs = {{"a", "i32", -100000, 100000, {}, 0}, {"b", "i32", 0, 1000, {}, 0}};
    options.output = {OutputKind::Value, "i64", -(int64_t{1} << 40), int64_t{1} << 40, {}};
    std::mt19937_64 random(6);
    for (int i = 0; i < 5000; i++)
        options.rows.push_back({static_cast<int64_t>(random() % 200001) - 100000, static_cast<int64_t>(random() % 1001)});
    auto report = quantise_net(net, options);
    if (!report) FAIL(report.error().message);
    CHECK(report->largest_difference <= *report->bound);
    CHECK(*report->bound < 0.6);  // half for rounding, the rest for weights that share a fixed point
    CHECK(report->different < 700);
}
