// SPDX-License-Identifier: MIT
#include "models/train_net.h"

#include "models/reference.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/train_data.h"

using namespace rmt::models;

namespace {

NetTrainOptions net_options(const TrainOptions& common, NetTrainOptions::Kind kind) {
    NetTrainOptions options;
    options.common = common;
    options.common.max_inputs = 128;
    options.kind = kind;
    return options;
}

// A plane in four of five inputs; one label in twenty is wrong.
int64_t plane(const std::vector<int64_t>& x, std::mt19937_64& random) {
    bool y = 3 * x[0] - 2 * x[1] + x[2] - x[3] > 30000;
    return y != (random() % 20 == 0);
}

int64_t inside(const std::vector<int64_t>& x, std::mt19937_64&) {
    const int64_t a = x[0] - 32768, b = x[1] - 32768;
    return a * a + b * b < 26000LL * 26000;
}

int64_t weighted(const std::vector<int64_t>& x, std::mt19937_64& random) { return x[0] / 8 - x[1] / 16 + 700 + static_cast<int64_t>(random() % 40); }

}  // namespace

TEST_CASE("train_net: a linear model finds a plane, an MLP a circle that no linear model finds") {
    const Dataset straight = uniform_rows(6000, 5, 1, plane), round = uniform_rows(6000, 3, 2, inside);
    auto linear = train_net(straight, net_options(class_options(straight, 2), NetTrainOptions::Kind::Linear));
    if (!linear) FAIL(linear.error().message);
    CHECK(linear->trained.model.kind == ModelKind::Linear);
    CHECK(linear->trained.model.link == Link::Positive);
    CHECK(linear->trained.holdout.accuracy() > 0.92);  // 0.95 is possible
    CHECK(linear->last_loss < linear->first_loss);

    auto flat = train_net(round, net_options(class_options(round, 2), NetTrainOptions::Kind::Linear));
    auto deep = train_net(round, net_options(class_options(round, 2), NetTrainOptions::Kind::Mlp));
    REQUIRE(flat);
    if (!deep) FAIL(deep.error().message);
    CHECK(deep->trained.model.kind == ModelKind::Mlp);
    CHECK(deep->trained.holdout.accuracy() > 0.95);
    CHECK(flat->trained.holdout.accuracy() < 0.7);
    REQUIRE(deep->quantised.bound);
    CHECK(deep->quantised.different <= deep->quantised.undecided);
    CHECK(deep->quantised.different <= deep->quantised.rows / 500);
    CHECK(deep->trained.model.provenance.at("trainer") == "rmt mlp 1");
    auto again = parse_model(to_json(deep->trained.model));
    if (!again) FAIL(again.error().message);
    CHECK(*again == deep->trained.model);
}

TEST_CASE("train_net: several classes by argmax, numbers by squared error") {
    const Dataset classes = uniform_rows(6000, 4, 3, four_classes), numbers = uniform_rows(4000, 3, 4, weighted);
    auto chosen = train_net(classes, net_options(class_options(classes, 4), NetTrainOptions::Kind::Mlp));
    if (!chosen) FAIL(chosen.error().message);
    CHECK(chosen->trained.model.link == Link::Argmax);
    CHECK(chosen->trained.holdout.accuracy() > 0.9);

    NetTrainOptions regress = net_options(options_of(numbers), NetTrainOptions::Kind::Linear);
    regress.common.task = Task::Regress;
    regress.common.output = {OutputKind::Value, "i32", -20000, 20000, {}};
    auto number = train_net(numbers, regress);
    if (!number) FAIL(number.error().message);
    CHECK(number->trained.holdout.mean_error() < 15);  // the noise alone makes 10
    CHECK(number->trained.holdout.baseline_error / static_cast<double>(number->trained.holdout.rows) > 1000);
}

TEST_CASE("train_net: 8 bits are nearly as good") {
    const Dataset round = uniform_rows(4000, 3, 2, inside);
    NetTrainOptions options = net_options(class_options(round, 2), NetTrainOptions::Kind::Mlp);
    options.bits = 8;
    auto report = train_net(round, options);
    if (!report) FAIL(report.error().message);
    CHECK(report->trained.holdout.accuracy() > 0.92);
    CHECK_FALSE(report->quantised.bound);
}

TEST_CASE("train_net: the same seed gives the same model, another one another; progress and patience stop it") {
    const Dataset data = uniform_rows(1500, 3, 5, inside);
    NetTrainOptions options = net_options(class_options(data, 2), NetTrainOptions::Kind::Mlp);
    options.epochs = 5;
    size_t calls = 0;
    options.common.progress = [&](const Progress& p) { return ++calls == p.done; };
    auto first = train_net(data, options), second = first;
    REQUIRE(first);
    CHECK(calls == 5);
    options.common.progress = {};
    second = train_net(data, options);
    REQUIRE(second);
    CHECK(first->trained.model.digest == second->trained.model.digest);
    options.common.seed = 2;
    auto other = train_net(data, options);
    REQUIRE(other);
    CHECK_FALSE(*other->trained.model.net == *first->trained.model.net);

    options.common.progress = [](const Progress& p) { return p.done < 2; };
    auto stopped = train_net(data, options);
    REQUIRE(stopped);
    CHECK(stopped->trained.rounds == 2);
    options.common.progress = {};
    options.epochs = 500, options.patience = 3, options.learning_rate = 0.2;
    auto patient = train_net(data, options);
    REQUIRE(patient);
    CHECK(patient->trained.rounds < 500);
}

TEST_CASE("train_net: options out of range are told") {
    const Dataset data = uniform_rows(200, 3, 5, inside);
    const auto refuse = [&](const char* message, auto change) {
        NetTrainOptions options = net_options(class_options(data, 2), NetTrainOptions::Kind::Mlp);
        change(options);
        auto report = train_net(data, options);
        INFO(message);
        REQUIRE_FALSE(report);
        CHECK_THAT(report.error().message, ContainsSubstring(message));
    };
    refuse("M0305: 1..3 hidden layers are possible, 0 given", [](NetTrainOptions& o) { o.hidden.clear(); });
    refuse("M0305: a hidden layer of 200 units", [](NetTrainOptions& o) { o.hidden = {200}; });
    refuse("M0305: 12 bits given", [](NetTrainOptions& o) { o.bits = 12; });
    refuse("M0305: learning rate", [](NetTrainOptions& o) { o.learning_rate = 0; });
    refuse("M0302", [](NetTrainOptions& o) { o.common.label = "z"; });
}

TEST_CASE("train_net: the same net with other bits is made from its origin") {
    const Dataset data = uniform_rows(2000, 3, 2, inside);
    NetTrainOptions options = net_options(class_options(data, 2), NetTrainOptions::Kind::Mlp);
    auto wide = train_net(data, options);
    REQUIRE(wide);
    auto narrow = with_bits(wide->trained.model, data, 8);
    if (!narrow) FAIL(narrow.error().message);
    CHECK(narrow->net->bits == 8);
    CHECK(narrow->origin == wide->trained.model.origin);
    CHECK(parse_model(to_json(*narrow)));
    size_t same = 0;
    for (size_t row = 0; row < data.rows(); row++) {
        std::vector<int64_t> x;
        for (size_t c = 0; c < 3; c++) x.push_back(data.columns[c].values[row]);
        same += infer(*narrow, x) == infer(wide->trained.model, x);
    }
    CHECK(same > data.rows() * 95 / 100);
    CHECK(same < data.rows());
    CHECK(with_bits(*narrow, data, 16)->net == wide->trained.model.net);
    CHECK_THAT(with_bits(wide->trained.model, data, 12).error().message, ContainsSubstring("M0305"));
    Model stranger = wide->trained.model;
    stranger.origin.clear();
    CHECK_THAT(with_bits(stranger, data, 8).error().message, ContainsSubstring("M0305"));
}

TEST_CASE("train_net: an input that may not be used does not matter, whatever it holds") {
    const Dataset data = uniform_rows(1500, 3, 2, inside);
    NetTrainOptions options = net_options(class_options(data, 2), NetTrainOptions::Kind::Mlp);
    options.common.use = {"x0", "x1"};
    auto report = train_net(data, options);
    REQUIRE(report);
    const Model& model = report->trained.model;
    CHECK(model.inputs[2].min == -(int64_t{1} << 30));
    for (int64_t other : {-1000000, 0, 1000000000})
        for (int64_t at : {2000, 30000}) CHECK(infer(model, std::vector<int64_t>{at, at, other}) == infer(model, std::vector<int64_t>{at, at, 5}));
}

TEST_CASE("train_net: rows that are all alike make a net all the same") {
    Dataset data = uniform_rows(6, 3, 2, inside);
    for (size_t c = 0; c < 3; c++)
        for (int64_t& x : data.columns[c].values) x = 7;
    for (int64_t& y : data.columns[3].values) y = 1;
    NetTrainOptions options = net_options(class_options(data, 4), NetTrainOptions::Kind::Mlp);
    options.common.holdout = 0, options.common.min_leaf = 1;
    for (uint32_t bits : {8, 16}) {
        options.bits = bits;
        auto report = train_net(data, options);
        if (!report) FAIL(report.error().message);
        CHECK(infer(report->trained.model, std::vector<int64_t>{7, 7, 7}) == 1);
    }
}
