// SPDX-License-Identifier: MIT
// Models in XGBoost's format against margins that data/make_xgboost.py computed in float32, apart from our code.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "models/dataset.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/reference.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

std::string data_path(const std::string& name) { return std::string(RMT_MODEL_DATA) + "/" + name; }

std::string read_text(const std::string& name) {
    std::ifstream file(data_path(name));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

struct Row {
    std::vector<int64_t> inputs;
    double margin;
};

std::vector<Row> read_rows(const std::string& name) {
    auto data = read_dataset(data_path(name));
    REQUIRE(data);
    std::vector<Row> rows(data->rows());
    for (size_t i = 0; i < rows.size(); i++) {
        for (size_t c = 0; c + 1 < data->columns.size(); c++) rows[i].inputs.push_back(data->columns[c].values[i]);
        rows[i].margin = static_cast<double>(data->columns.back().values[i]) * 1e-9;
    }
    return rows;
}

}  // namespace

TEST_CASE("xgboost: margins agree within the proved bound, decisions exactly") {
    struct Case {
        const char* name;
        const char* format;
        bool is_class;
        size_t trees;
    };
    for (const Case& c : {Case{"xgb17_logistic", "xgboost 1.7.4", true, 6}, Case{"xgb31_regression", "xgboost 3.1.0", false, 5},
                          Case{"xgb30_forest", "xgboost 3.0.0", false, 4}}) {
        INFO(c.name);
        auto report = import_file(data_path(c.name + std::string(".json")), {});
        REQUIRE((report ? "" : report.error().message) == "");
        const Model& model = report->model;
        CHECK(report->format == c.format);
        CHECK(model.trees.size() == c.trees);
        CHECK((model.output.kind == OutputKind::Class) == c.is_class);
        CHECK(report->margin_bound < 1e-4);
        // float32 sums of XGBoost itself, and the nine digits of the file
        double rounding = 2e-9;
        for (const Row& row : read_rows(c.name + std::string(".csv"))) {
            double fixed = static_cast<double>(margin(model, row.inputs)) / std::ldexp(1.0, static_cast<int>(report->fraction_bits));
            double float_error = static_cast<double>(c.trees + 1) * std::ldexp(std::abs(row.margin) + 1000, -24) * (c.is_class ? 0.01 : 1);
            CHECK(std::abs(fixed - row.margin) <= report->margin_bound + float_error + rounding);
            auto answer = infer(model, row.inputs);
            REQUIRE(answer);
            if (c.is_class && std::abs(row.margin) > report->margin_bound + float_error) CHECK(*answer == (row.margin > 0 ? 1 : 0));
            if (!c.is_class)
                CHECK(std::abs(static_cast<double>(*answer) - row.margin) <= 0.5 + report->margin_bound + float_error + rounding);
        }
        CHECK(lower_model(model, *smallest_class(model)));
    }
}

TEST_CASE("xgboost: thresholds of integers are exact, also where float32 rounds them") {
    // one node, x < t: the fixture's tree replaced by hand
    auto with_threshold = [](const std::string& t) {
        return R"({"version":[2,1,0],"learner":{"attributes":{},"feature_names":[],"feature_types":[],"objective":{"name":"reg:squarederror"},
            "learner_model_param":{"base_score":"0E0","num_class":"0","num_feature":"1","num_target":"1"},
            "gradient_booster":{"name":"gbtree","model":{"gbtree_model_param":{"num_trees":"1","num_parallel_tree":"1"},"tree_info":[0],
            "trees":[{"id":0,"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[)" +
               t + R"(,-1,1],"default_left":[0,0,0]}]}}}})";
    };
    for (double t : {0.0, 0.5, 1.0, -0.5, 3.0, -7.25, 16777216.0, 16777218.0, 16777215.0, 33554434.0, 123456792.0, -123456792.0,
                     1073741824.0, 1073741760.0, 2e9, -2e9, -1073741824.0}) {
        auto report = import_model(with_threshold(std::to_string(t)), {});
        INFO("threshold " << t);
        REQUIRE((report ? "" : report.error().message) == "");
        auto f = static_cast<float>(t);
        for (int64_t around : {static_cast<int64_t>(std::clamp(t, -1073741824.0, 1073741824.0)), int64_t{0}})
            for (int64_t x = around - 70; x <= around + 70; x++) {
                if (x < -(1 << 30) || x > 1 << 30) continue;
                int64_t wanted = static_cast<float>(x) < f ? -1 : 1;
                if (infer(report->model, std::vector<int64_t>{x}) != wanted) FAIL("x " << x);
            }
    }
}

TEST_CASE("xgboost: what is not understood is refused with its place") {
    const std::string good = read_text("xgb17_logistic.json");
    REQUIRE(import_model(good, {}));
    struct Case {
        const char *from, *to, *id, *path;
    };
    const Case cases[] = {
        {R"("name":"gbtree")", R"("name":"gblinear")", "M0110", "/learner/gradient_booster/name"},
        {R"("name":"gbtree")", R"("name":"other")", "M0110", "/learner/gradient_booster/name"},
        {R"("name":"gbtree")", R"("name":"dart")", "M0102", "/learner/gradient_booster"},
        {R"("name":"gbtree")", R"("name":"gbtree","weight_drop":[1,0.5])", "M0107", "/learner/gradient_booster/model/weight_drop"},
        {R"("tree_info":[0,0)", R"("weight_drop":[1,0.5],"tree_info":[0,0)", "M0107", "/learner/gradient_booster/model/weight_drop"},
        {R"("tree_info":[0,0)", R"("scale":2,"tree_info":[0,0)", "M0103", "/learner/gradient_booster/model/scale"},
        {R"("num_class":"0")", R"("num_class":"3")", "M0110", "/learner/learner_model_param/num_class"},
        {R"("num_target":"1")", R"("num_target":"2")", "M0110", "2 targets"},
        {R"("num_target":"1")", R"("num_target":"1","num_thing":"1")", "M0103", "/learner/learner_model_param/num_thing"},
        {R"("num_feature":"4","num_target")", R"("num_feature":"0","num_target")", "M0108", "/learner/learner_model_param/num_feature"},
        {R"("binary:logistic")", R"("multi:softmax")", "M0110", "/learner/learner_model_param/num_class"},
        {R"("binary:logistic")", R"("count:poisson")", "M0110", "not linear"},
        {R"("binary:logistic")", R"("my:objective")", "M0110", "/learner/objective/name"},
        {R"("3E-1")", R"("[3E-1,4E-1]")", "M0104", "/learner/learner_model_param/base_score"},
        {R"("3E-1")", R"("1E0")", "M0104", "/learner/learner_model_param/base_score"},
        {R"("3E-1")", R"("[3E-1")", "M0104", "/learner/learner_model_param/base_score"},
        {R"("base_score":"3E-1",)", "", "M0102", "'base_score' is missing"},
        {R"("size_leaf_vector":"1")", R"("size_leaf_vector":"3")", "M0107",
         "/learner/gradient_booster/model/trees/0/tree_param/size_leaf_vector"},
        {R"("num_nodes":"43")", R"("num_nodes":"44")", "M0107", "/learner/gradient_booster/model/trees/0/tree_param/num_nodes"},
        {R"("num_trees":"6")", R"("num_trees":"7")", "M0107", "/learner/gradient_booster/model/gbtree_model_param/num_trees"},
        {R"("split_type":[0)", R"("split_type":[1)", "M0107", "/learner/gradient_booster/model/trees/0/split_type/0"},
        {R"("split_type":[0)", R"("split_type":[2)", "M0108", "/learner/gradient_booster/model/trees/0/split_type/0"},
        {R"("categories_nodes":[])", R"("categories_nodes":[0])", "M0107", "/learner/gradient_booster/model/trees/0/categories_nodes"},
        {R"("split_conditions":[)", R"("split_conditions":[NaN,)", "M0107", "/learner/gradient_booster/model/trees/0"},
        {R"("left_children":[1)", R"("left_children":[0)", "M0107", "/learner/gradient_booster/model/trees/0"},
        {R"("left_children":[1)", R"("left_children":[9999)", "M0107", "/learner/gradient_booster/model/trees/0"},
        {R"("left_children":[1,2)", R"("left_children":[1,3)", "M0107", "/learner/gradient_booster/model/trees/0/parents"},
        {R"("split_indices":[)", R"("split_indices":[99,)", "M0107", "/learner/gradient_booster/model/trees/0"},
        {R"("default_left":[)", R"("default_left":[2,)", "M0107", "/learner/gradient_booster/model/trees/0/default_left"},
        {R"("feature_types":[])", R"("feature_types":["int","c"])", "M0102", "/learner/feature_types"},
        {R"("version":[1,7,4])", R"("version":[4,0,0])", "M0105", "/version"},
        {R"("tree_info":[0,0)", R"("tree_info":[0,1)", "M0108", "/learner/gradient_booster/model/tree_info"},
        {R"("tree_info":[0,0)", R"("tree_info":[0)", "M0107", "/learner/gradient_booster/model/tree_info"},
    };
    for (const Case& c : cases) {
        INFO(c.from << " -> " << c.to);
        auto report = import_model(replaced(good, c.from, c.to), {});
        REQUIRE_FALSE(report);
        CHECK_THAT(report.error().message, ContainsSubstring(c.id));
        CHECK_THAT(report.error().message, ContainsSubstring(c.path));
    }
}

TEST_CASE("xgboost: a bare NaN, an infinite threshold, base_score as an array of one") {
    const std::string good = read_text("xgb17_logistic.json");
    size_t begin = good.find("\"split_conditions\":[") + 20, end = good.find(',', begin);
    std::string nan = good, inf = good;
    nan.replace(begin, end - begin, "NaN");
    auto refused = import_model(nan, {});
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().message, ContainsSubstring("M0111: at /learner/gradient_booster/model/trees/0/split_conditions/0"));
    inf.replace(begin, end - begin, "Infinity");  // every x is below: the left side replaces the node
    auto left = import_model(inf, {});
    REQUIRE(left);
    CHECK(left->model.trees[0].size() < import_model(good, {})->model.trees[0].size());
    CHECK(import_model(replaced(good, "\"3E-1\"", "\"[3E-1]\""), {})->model == [&] {
        auto m = import_model(good, {})->model;
        return m;
    }());
}

TEST_CASE("xgboost: options") {
    const std::string text = read_text("xgb17_logistic.json");
    auto plain = import_model(text, {});
    REQUIRE(plain);
    CHECK(plain->model.inputs[2].name == "f2");

    ImportOptions named;
    named.name = "io";
    for (const char* name : {"deltas[0]", "deltas[1]", "deltas[2]", "deltas[3]"}) named.inputs.push_back({name, "i32", -4096, 4096});
    auto report = import_model(text, named);
    REQUIRE(report);
    CHECK(report->model.name == "io");
    CHECK(report->model.inputs[3] == named.inputs[3]);
    CHECK_FALSE(infer(report->model, std::vector<int64_t>{0, 0, 0, 4097}));

    named.inputs.pop_back();
    auto wrong = import_model(text, named);
    REQUIRE_FALSE(wrong);
    CHECK_THAT(wrong.error().message, ContainsSubstring("M0201"));

    ImportOptions strict;
    strict.positive_above = 0.9;  // fewer rows are positive
    auto cautious = import_model(text, strict);
    REQUIRE(cautious);
    size_t positive = 0, cautious_positive = 0;
    for (const Row& row : read_rows("xgb17_logistic.csv")) {
        bool expected = row.margin > std::log(0.9 / 0.1);
        CHECK(infer(cautious->model, row.inputs) == (expected ? 1 : 0));
        positive += *infer(plain->model, row.inputs) == 1;
        cautious_positive += expected;
    }
    CHECK(cautious_positive < positive);

    ImportOptions score;
    score.score = true;
    auto scored = import_model(text, score);
    REQUIRE(scored);
    CHECK(scored->model.output.kind == OutputKind::Score);
    for (const Row& row : read_rows("xgb17_logistic.csv"))
        CHECK(std::abs(static_cast<double>(*infer(scored->model, row.inputs)) - row.margin * 256) < 0.51);

    ImportOptions narrow;  // a policy that takes 40..60
    narrow.output_range = {40, 60};
    auto clamped = import_file(data_path("xgb31_regression.json"), narrow);
    REQUIRE(clamped);
    size_t at_ends = 0;
    for (const Row& row : read_rows("xgb31_regression.csv")) {
        int64_t answer = *infer(clamped->model, row.inputs);
        CHECK(std::abs(static_cast<double>(answer) - std::clamp(row.margin, 40.0, 60.0)) < 0.51);
        at_ends += answer == 40 || answer == 60;
    }
    CHECK(at_ends > 0);
    narrow.output_range = {60, 40};
    CHECK_FALSE(import_file(data_path("xgb31_regression.json"), narrow));

    const std::string best = replaced(read_text("xgb31_regression.json"), R"("attributes":{})", R"("attributes":{"best_iteration":"1"})");
    CHECK(import_model(best, {})->model.trees.size() == 5);
    ImportOptions first;
    first.use_best_iteration = true;
    CHECK(import_model(best, first)->model.trees.size() == 2);
}

TEST_CASE("import recognises what it cannot read") {
    struct Case {
        const char *text, *id, *words;
    };
    for (const Case& c :
         {Case{"[]", "M0112", "dump_model"}, Case{"{}", "M0112", "rmt_model"}, Case{R"({"tree_info":[]})", "M0102", "version"},
          Case{R"([{"nodeid":0,"leaf":1}])", "M0113", "save_model"}, Case{R"({"oblivious_trees":[]})", "M0102", "features_info"},
          Case{"tree\nversion=v3\n", "M0107", "end of trees"}, Case{"binf", "M0110", "save_model"}, Case{"CBM1", "M0110", "json"}}) {
        INFO(c.text);
        auto report = import_model(c.text, {});
        REQUIRE_FALSE(report);
        CHECK_THAT(report.error().message, ContainsSubstring(c.id));
        CHECK_THAT(report.error().message + report.error().hint, ContainsSubstring(c.words));
    }
    auto missing = import_file(data_path("no such file.json"), {});
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == rmt::ErrorKind::NotFound);
}
