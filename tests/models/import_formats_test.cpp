// SPDX-License-Identifier: MIT
// Small models written by hand in each format, with predictions computed by hand; and tables of what is refused, with its place.
#include <cmath>
#include <fstream>
#include <iterator>

#include "models/import.h"
#include "models/reference.h"
#include "tests/models/ubjson.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

// Two rounds; tree 0: numeric (Zero, default right), categories 1, 33; tree 1: one leaf.
const char* const kLightgbm = R"(tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=2
objective=binary sigmoid:2
feature_names=age color load
feature_infos=[0:90] 0:1:33 [-5:5]
tree_sizes=300 80

Tree=0
num_leaves=4
num_cat=1
split_feature=0 1 2
split_gain=9 8 7
threshold=30.5 0 0.5
decision_type=4 1 10
left_child=1 -1 -3
right_child=2 -2 -4
leaf_value=0.5 -0.25 1 -2
leaf_count=1 1 1 1
cat_boundaries=0 2
cat_threshold=2 2
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
leaf_value=0.125
is_linear=0
shrinkage=1


end of trees

feature_importances:
age=1

parameters:
[boosting: gbdt]
end of parameters

pandas_categorical:null
)";

const char* const kLightgbmJson =
    R"({"name":"tree","version":"v4","num_class":1,"num_tree_per_iteration":1,"label_index":0,"max_feature_idx":2,
"objective":"binary sigmoid:2","average_output":false,"feature_names":["age","color","load"],"monotone_constraints":[],"feature_infos":{},
"tree_info":[{"tree_index":0,"num_leaves":4,"num_cat":1,"shrinkage":1,"tree_structure":
{"split_index":0,"split_feature":0,"split_gain":9,"threshold":30.5,"decision_type":"<=","default_left":false,"missing_type":"Zero",
 "internal_value":0,"internal_weight":0,"internal_count":4,
 "left_child":{"split_index":1,"split_feature":1,"split_gain":8,"threshold":"1||33","decision_type":"==","default_left":false,
   "missing_type":"None","internal_value":0,"internal_weight":0,"internal_count":2,
   "left_child":{"leaf_index":0,"leaf_value":0.5,"leaf_count":1},"right_child":{"leaf_index":1,"leaf_value":-0.25,"leaf_count":1}},
 "right_child":{"split_index":2,"split_feature":2,"split_gain":7,"threshold":0.5,"decision_type":"<=","default_left":true,
   "missing_type":"NaN","internal_value":0,"internal_weight":0,"internal_count":2,
   "left_child":{"leaf_index":2,"leaf_value":1,"leaf_count":1},"right_child":{"leaf_index":3,"leaf_value":-2,"leaf_count":1}}}},
{"tree_index":1,"num_leaves":1,"num_cat":0,"shrinkage":1,"tree_structure":{"leaf_value":0.125}}],
"feature_importances":{},"pandas_categorical":[]})";

const char* const kCatboost = R"({"model_info":{"params":{"loss_function":{"type":"Logloss","params":{}}}},
"features_info":{"float_features":[
 {"feature_index":0,"flat_feature_index":0,"borders":[1.5],"has_nans":true,"nan_value_treatment":"AsFalse"},
 {"feature_index":1,"flat_feature_index":1,"borders":[-2.5],"has_nans":true,"nan_value_treatment":"AsTrue"}]},
"oblivious_trees":[{"splits":[{"split_type":"FloatFeature","float_feature_index":0,"border":1.5,"split_index":0},
 {"split_type":"FloatFeature","float_feature_index":1,"border":-2.5,"split_index":1}],"leaf_values":[1,2,4,8],"leaf_weights":[1,1,1,1]},
 {"splits":null,"leaf_values":[-3],"leaf_weights":[4]}],"scale_and_bias":[0.5,[0.25]]})";

struct Row {
    std::vector<double> x;
    double margin;
};

const double kNone = std::nan("");

void check_rows(const FloatModel& model, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        INFO(row.x[0] << " " << row.x[1]);
        CHECK(raw_margin(model, row.x) == std::vector<double>{row.margin});
    }
}

struct Case {
    const char *from, *to, *id, *words;
};

void check_refused(const std::string& good, const std::vector<Case>& cases, const ImportOptions& options = {}) {
    for (const Case& c : cases) {
        INFO(c.from << " -> " << c.to);
        auto report = import_float_model(replaced(good, c.from, c.to), options);
        REQUIRE_FALSE(report);
        CHECK_THAT(report.error().message, ContainsSubstring(std::string(c.id) + ": "));
        CHECK_THAT(report.error().message, ContainsSubstring(c.words));
    }
}

const std::vector<Row> kLightgbmRows = {
    {{20, 1, 0}, 0.625},   {{20, 33, 0}, 0.625},  {{20, 2, 0}, -0.125},    {{20, -1, 0}, -0.125},   {{20, kNone, 0}, -0.125},
    {{30.5, 1, 0}, 0.625}, {{30.6, 1, 0}, 1.125}, {{0, 1, 0}, 1.125},      {{1e-36, 1, 0}, 1.125},  {{kNone, 1, 0.6}, -1.875},
    {{-3, 1, 9}, 0.625},   {{40, 0, 0.5}, 1.125}, {{40, 0, 0.51}, -1.875}, {{40, 0, kNone}, 1.125},
};

}  // namespace

TEST_CASE("lightgbm: text and JSON, missing rules, categories") {
    for (const char* text : {kLightgbm, kLightgbmJson}) {
        auto imported = import_float_model(text, {});
        REQUIRE((imported ? "" : imported.error().message) == "");
        CHECK(imported->model.source == "lightgbm v4");
        CHECK(imported->model.alpha == 2);
        check_rows(imported->model, kLightgbmRows);
        CHECK(predict(imported->model, std::vector<double>{20, 1, 0})[0] == Approx(1 / (1 + std::exp(-2 * 0.625))));
    }
    // a random forest: the mean of its trees, which is a probability already
    auto forest = import_float_model(replaced(kLightgbm, "feature_names", "average_output\nfeature_names"), {});
    REQUIRE(forest);
    CHECK(predict(forest->model, std::vector<double>{20, 1, 0})[0] == 0.3125);
}

TEST_CASE("lightgbm: zero as missing and categories become exact integer splits") {
    QuantiseTreesOptions options;
    options.inputs = {{"age", "i32", -100, 100, 1000, 0}, {"color", "u8", 0, 60, 255, 0}, {"load", "i32", -20, 20, 99, 1}};
    auto imported = import_float_model(kLightgbm, {});
    REQUIRE(imported);
    auto made = quantise_trees(imported->model, options);
    REQUIRE((made ? "" : made.error().message) == "");
    CHECK(made->model.link == Link::Positive);
    CHECK(made->model.sets.size() == 1);
    CHECK_FALSE(made->features[2].exact);
    CHECK(made->features[0].exact);
    std::vector<std::vector<int64_t>> rows;
    for (int64_t age : {-100, -1, 0, 1, 30, 31, 100, 1000})
        for (int64_t color : {0, 1, 2, 32, 33, 34, 60, 255})
            for (int64_t load : {-20, 0, 1, 2, 20, 99}) rows.push_back({age, color, load});
    Comparison all = compare_rows(imported->model, *made, options, rows);
    CHECK(all.rows == rows.size());
    CHECK(all.different == 0);
    CHECK(all.largest_difference <= made->margin_bound + made->library_bound);
}

TEST_CASE("catboost: bits of leaves, scale and bias, missing values, levels") {
    auto imported = import_float_model(kCatboost, {});
    REQUIRE((imported ? "" : imported.error().message) == "");
    check_rows(imported->model, {{{0, -3}, 0.5 * (1 - 3) + 0.25},
                                 {{2, -3}, 0.5 * (2 - 3) + 0.25},
                                 {{1.5, 0}, 0.5 * (4 - 3) + 0.25},
                                 {{2, 0}, 0.5 * (8 - 3) + 0.25},
                                 {{kNone, kNone}, 0.5 * (4 - 3) + 0.25},
                                 {{1.5, -2.5}, 0.5 * (1 - 3) + 0.25}});
    QuantiseTreesOptions options;
    options.inputs = {{"a", "i32", -10, 10, 11, 0}, {"b", "i32", -10, 10, {}, 0}};
    auto made = quantise_trees(imported->model, options);
    REQUIRE((made ? "" : made.error().message) == "");
    CHECK(made->model.kind == ModelKind::Oblivious);
    Comparison all = compare_rows(imported->model, *made, options, probe_rows(made->model, 2000, 5));
    CHECK(all.rows == 2000);
    CHECK(all.different == 0);
    options.inputs[1].min = 0;  // its level is decided: one level is left
    made = quantise_trees(imported->model, options);
    REQUIRE(made);
    CHECK(model_depth(made->model) == 1);
}

TEST_CASE("lightgbm: what is not understood is refused with its place") {
    check_refused(kLightgbm, {
                                 {"version=v4", "version=v9", "M0105", "/version"},
                                 {"objective=binary", "objective=cross_entropy_lambda", "M0110", "/objective"},
                                 {"sigmoid:2", "sigmoid:0", "M0102", "/objective"},
                                 {"sigmoid:2", "sigmoid:x", "M0102", "/objective"},
                                 {"num_tree_per_iteration=1", "num_tree_per_iteration=2", "M0110", "/objective"},
                                 {"num_tree_per_iteration=1", "num_tree_per_iteration=", "M0102", "num_tree_per_iteration"},
                                 {"label_index=0", "label_indx=0", "M0103", "line 5"},
                                 {"feature_names=", "feature_names=\x93", "M0102", "/features/0"},
                                 {"tree_sizes=300 80", "tree_sizes=300 80 80", "M0107", "/tree_sizes"},
                                 {"Tree=1", "Tree=2", "M0107", "Tree=1 expected"},
                                 {"end of trees", "", "M0103", "feature_importances"},
                                 {"is_linear=0", "is_linear=1", "M0110", "/Tree=0/is_linear"},
                                 {"num_leaves=4", "num_leaves=5", "M0107", "/Tree=0/leaf_value"},
                                 {"split_feature=0 1 2", "split_feature=0 1 3", "M0108", "/Tree=0/split_feature/2"},
                                 {"split_feature=0 1 2", "split_feature=0 1", "M0107", "/Tree=0"},
                                 {"threshold=30.5 0", "threshold=30.5 1", "M0107", "/Tree=0/threshold"},
                                 {"threshold=30.5", "threshold=nan", "M0111", "/Tree=0"},
                                 {"threshold=30.5", "threshold=x", "M0102", "/Tree=0/threshold/0"},
                                 {"decision_type=4", "decision_type=12", "M0108", "/Tree=0/decision_type/0"},
                                 {"left_child=1", "left_child=0", "M0107", "/Tree=0"},
                                 {"left_child=1 -1", "left_child=1 -2", "M0107", "/Tree=0"},
                                 {"leaf_value=0.5", "leaf_value=inf", "M0111", "/Tree=0"},
                                 {"cat_boundaries=0 2", "cat_boundaries=0 3", "M0107", "/Tree=0/cat_boundaries"},
                                 {"shrinkage=1", "shrinkage=1\nextra=1", "M0103", "'extra'"},
                                 {"shrinkage=1", "shrinkage=1\nshrinkage=1", "M0107", "twice"},
                             });
    const std::string text = kLightgbm;
    for (size_t cut = 10; cut < text.find("end of trees"); cut += 7) CHECK_FALSE(import_float_model(text.substr(0, cut), {}));
    check_refused(kLightgbmJson,
                  {
                      {R"("version":"v4")", R"("version":"v5")", "M0105", "/version"},
                      {R"("monotone_constraints")", R"("something")", "M0103", "/something"},
                      {R"("default_left":false)", R"("default_left":0)", "M0102", "/tree_info/0/tree_structure/default_left"},
                      {R"("decision_type":"<=")", R"("decision_type":"<")", "M0110", "decision_type"},
                      {R"("missing_type":"Zero")", R"("missing_type":"One")", "M0110", "missing_type"},
                      {R"("1||33")", R"("1|33")", "M0102", "left_child/threshold"},
                      {R"("num_leaves":4)", R"("num_leaves":3)", "M0107", "/tree_info/0/num_leaves"},
                      {R"("leaf_value":0.5)", R"("leaf_value":0.5,"leaf_const":1)", "M0110", "left_child/left_child"},
                      {R"("leaf_value":0.5)", R"("leaf_value":"NaN")", "M0111", "left_child/left_child/leaf_value"},
                      {R"("split_feature":2)", R"("split_feature":3)", "M0108", "right_child/split_feature"},
                      {R"("leaf_value":0.5)", R"("leaf_valu":0.5)", "M0103", "leaf_"},
                  });
}

TEST_CASE("catboost: what is not understood is refused with its place") {
    check_refused(kCatboost,
                  {
                      {R"("oblivious_trees")", R"("trees")", "M0110", "/trees"},
                      {R"("FloatFeature")", R"("OnlineCtr")", "M0110", "/oblivious_trees/0/splits/0/split_type"},
                      {R"("FloatFeature")", R"("OneHotFeature")", "M0110", "/oblivious_trees/0/splits/0/split_type"},
                      {R"("float_features":[)", R"("ctrs":[{}],"float_features":[)", "M0110", "/features_info/ctrs"},
                      {R"("scale_and_bias")", R"("ctr_data":{"a":1},"scale_and_bias")", "M0110", "/ctr_data"},
                      {R"("scale_and_bias")", R"("scale")", "M0103", "/scale"},
                      {"[0.5,[0.25]]", "[0,[0.25]]", "M0110", "/scale_and_bias/0"},
                      {"[0.5,[0.25]]", "[0.5,[0.25,1]]", "M0107", "/scale_and_bias/1"},
                      {"[0.5,[0.25]]", "[0.5]", "M0102", "/scale_and_bias"},
                      {"[1,2,4,8]", "[1,2,4]", "M0107", "/oblivious_trees/0/leaf_values"},
                      {"[1,2,4,8]", "[1,2,4,NaN]", "M0111", "/oblivious_trees/0/leaf_values/3"},
                      {R"("border":1.5)", R"("border":NaN)", "M0111", "/oblivious_trees/0/splits/0/border"},
                      {R"("float_feature_index":0,"border")", R"("float_feature_index":7,"border")", "M0107", "float_feature_index"},
                      {"AsFalse", "AsMaybe", "M0110", "nan_value_treatment"},
                      {R"("Logloss")", R"("MyLoss")", "M0110", "/model_info/params/loss_function"},
                      {R"("Logloss")", R"("MultiClass")", "M0107", "MultiClass"},
                      {R"("feature_index":1)", R"("feature_index":0)", "M0107", "feature_index"},
                  });
}

TEST_CASE("xgboost: UBJSON is the same model; broken bytes are refused") {
    std::ifstream file(std::string(RMT_MODEL_DATA) + "/xgb30_forest.json");
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::string bytes = to_ubjson(text);
    auto from_json = import_model(text, {}), from_bytes = import_model(bytes, {});
    REQUIRE(from_json);
    REQUIRE((from_bytes ? "" : from_bytes.error().message) == "");
    CHECK(from_bytes->model == from_json->model);
    for (size_t cut = 3; cut < bytes.size(); cut += 13) CHECK_FALSE(import_model(bytes.substr(0, cut), {}));
    CHECK_FALSE(import_model(bytes + "}", {}));
    using namespace std::string_literals;
    for (const std::string& bad : {"{i\x01"
                                   "a[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff}"s,
                                   "{i\x01"
                                   "a[$Z#L\0\0\0\x7f\xff\xff\xff\xff}"s,
                                   "{i\x01"
                                   "a[$T#i\x7f}"s,
                                   "{i\xff"
                                   "a}"s,
                                   "{i\x01"
                                   "aX}"s,
                                   "{i\x01"
                                   "aTi\x01"
                                   "aT}"s,
                                   "{i\x01"
                                   "a[$d]}"s,
                                   "{i\x01"s,
                                   "{i\x01"
                                   "aS"s}) {
        auto refused = import_model(bad, {});
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().message, ContainsSubstring("M0101"));
    }
    std::string deep =
        "{i\x01"
        "a";
    deep += std::string(100000, '[');
    CHECK_FALSE(import_model(deep, {}));
}

TEST_CASE("xgboost: vector leaves of both forms, targets, dart in its three places") {
    auto model = [](const std::string& leaves, const std::string& right) {
        return R"({"version":[3,0,0],"learner":{"objective":{"name":"reg:squarederror"},"learner_model_param":{"base_score":"[1E0,2E0]",
            "num_class":"0","num_feature":"1","num_target":"2"},"gradient_booster":{"name":"gbtree","model":{"gbtree_model_param":{"num_trees":"1"},
            "tree_info":[0],"trees":[{"tree_param":{"num_nodes":"3","size_leaf_vector":"2"},"left_children":[1,-1,-1],"right_children":)" +
               right +
               R"(,"parents":[-1,0,0],"split_indices":[0,0,0],"split_conditions":[0.5,NaN,NaN],"default_left":[true,false,false],)" +
               leaves + "}]}}}}";
    };
    for (const std::string& text : {model(R"("base_weights":[9,9,10,20,30,40])", "[2,-1,-1]"),
                                    model(R"("base_weights":[9,9,9,9,9,9],"leaf_weights":[10,20,30,40])", "[2,0,1]")}) {
        auto imported = import_float_model(text, {});
        REQUIRE((imported ? "" : imported.error().message) == "");
        CHECK(raw_margin(imported->model, std::vector<double>{0}) == std::vector<double>{11, 22});
        CHECK(raw_margin(imported->model, std::vector<double>{1}) == std::vector<double>{31, 42});
        CHECK(raw_margin(imported->model, std::vector<double>{kNone}) == std::vector<double>{11, 22});
        auto none = quantise_trees(imported->model, {});
        REQUIRE_FALSE(none);
        CHECK_THAT(none.error().message, ContainsSubstring("M0110"));
        QuantiseTreesOptions second;
        second.output = 1;
        auto made = quantise_trees(imported->model, second);
        REQUIRE((made ? "" : made.error().message) == "");
        CHECK(infer(made->model, std::vector<int64_t>{1}) == 42);
    }
    CHECK_FALSE(import_float_model(model(R"("leaf_weights":[10,20,30])", "[2,0,1]"), {}));

    const std::string tree = R"("gbtree_model_param":{"num_trees":"2"},"tree_info":[0,0],"trees":[
        {"left_children":[-1],"right_children":[-1],"split_indices":[0],"split_conditions":[4]},
        {"left_children":[-1],"right_children":[-1],"split_indices":[0],"split_conditions":[8]}])";
    for (const std::string& booster : {R"("name":"dart","gbtree":{"name":"gbtree","model":{)" + tree + R"(}},"weight_drop":[0.5,0.25])",
                                       R"("name":"gbtree","model":{)" + tree + R"(},"weight_drop":[0.5,0.25])",
                                       R"("name":"dart","model":{"weight_drop":[0.5,0.25],)" + tree + "}"}) {
        auto imported = import_float_model(R"({"version":[3,0,0],"learner":{"objective":{"name":"reg:squarederror"},"learner_model_param":
            {"base_score":"1E0","num_class":"0","num_feature":"1"},"gradient_booster":{)" +
                                               booster + "}}}",
                                           {});
        REQUIRE((imported ? "" : imported.error().message) == "");
        CHECK(raw_margin(imported->model, std::vector<double>{0}) == std::vector<double>{5});
    }
}

TEST_CASE("rmt_float: strict, and the same after writing and reading") {
    for (const char* text : {kLightgbm, kCatboost}) {
        auto imported = import_float_model(text, {});
        REQUIRE(imported);
        std::string json = to_json(imported->model);
        auto again = parse_float_model(json);
        REQUIRE((again ? "" : again.error().message) == "");
        CHECK(*again == imported->model);
        CHECK(to_json(*again) == json);
    }
    check_refused(to_json(import_float_model(kLightgbm, {})->model),
                  {
                      {R"("rmt_float":1)", R"("rmt_float":2)", "M0105", "/rmt_float"},
                      {R"("kind":"trees")", R"("kind":"leaves")", "M0102", "/kind"},
                      {R"("source")", R"("sauce")", "M0103", "/sauce"},
                      {R"("compare":"le")", R"("compare":"ge")", "M0102", "/compare"},
                      {R"("compare_as":"f64")", R"("compare_as":"f16")", "M0102", "/compare_as"},
                      {R"("alpha":2)", R"("alpha":-2)", "M0111", "finite and above 0"},
                      {R"("base":[0.0])", R"("base":[])", "M0107", "outputs"},
                      {R"("base":[0.0])", R"("base":[0,0])", "M0107", "one output"},
                      {R"("default_left":[0)", R"("default_left":[2)", "M0108", "/trees/0/default_left/0"},
                      {R"("threshold":[30.5)", R"("threshold":["x")", "M0102", "/trees/0/threshold/0"},
                      {R"("threshold":[30.5)", R"("threshold":["nan")", "M0102", "/trees/0/threshold/0"},
                      {R"("missing":["zero")", R"("missing":["one")", "M0102", "/trees/0/missing/0"},
                      {R"("left":[1)", R"("left":[0)", "M0107", "/trees/0"},
                      {R"("members":[1,33])", R"("members":[33,1])", "M0107", "/trees/0"},
                      {R"("output":0)", R"("output":1)", "M0107", "/trees/0"},
                      {R"("feature":[0)", R"("feature":[5)", "M0107", "/trees/0"},
                      {R"("transform":"sigmoid")", R"("transform":"softmax")", "M0107", "softmax"},
                  });
    auto oblivious = to_json(import_float_model(kCatboost, {})->model);
    check_refused(oblivious, {{R"("threshold":[-2.5,1.5,1.5)", R"("threshold":[-2.5,1.5,1.25)", "M0107", "oblivious"}});
}

TEST_CASE("quantise: options that do not fit are refused") {
    auto imported = import_float_model(kLightgbm, {});
    REQUIRE(imported);
    const FloatModel& model = imported->model;
    QuantiseTreesOptions by_name;  // any order, by the features' own names
    by_name.inputs = {{"load", "i32", -20, 20, {}, 0}, {"age", "i32", 1, 100, {}, 0}, {"color", "u8", 0, 40, {}, 0}};
    auto made = quantise_trees(model, by_name);
    REQUIRE((made ? "" : made.error().message) == "");
    CHECK(made->feature_of_input == std::vector<int32_t>{2, 0, 1});
    CHECK(compare_rows(model, *made, by_name, probe_rows(made->model, 1000, 1)).different == 0);
    by_name.inputs.pop_back();
    auto lost = quantise_trees(model, by_name);
    REQUIRE_FALSE(lost);
    CHECK_THAT(lost.error().message, ContainsSubstring("M0201: at /features/1"));
    QuantiseTreesOptions wide;  // no room for missing beside the whole range
    wide.inputs = {{"age", "i32", -(1 << 30), 1 << 30, INT32_MIN, 0}, {"color", "u8", 0, 40, {}, 0}, {"load", "i32", -20, 20, {}, 0}};
    auto room = quantise_trees(model, wide);
    if (!room) CHECK_THAT(room.error().message, ContainsSubstring("M0108"));
    QuantiseTreesOptions fraction = by_name;
    fraction.inputs = {{"age", "i32", 0, 100, {}, 0}, {"color", "u8", 0, 40, {}, 2}, {"load", "i32", -20, 20, {}, 0}};
    CHECK_FALSE(quantise_trees(model, fraction));
    QuantiseTreesOptions output;
    output.output = 3;
    CHECK_FALSE(quantise_trees(model, output));
}

TEST_CASE("rmt_float_net: a net becomes integers when its inputs have ranges") {
    const std::string net = R"({"rmt_float_net":1,"inputs":2,"steps":1,"layers":[
        {"kind":"dense","outputs":2,"weights":[1,-1,0.5,0.5],"bias":[0,-10],"relu":true},
        {"kind":"dense","outputs":1,"weights":[1,-0.5],"bias":[-3],"relu":false}]})";
    CHECK_FALSE(import_model(net, {}));
    ImportOptions options;
    options.inputs = {{"a", "i32", -100, 100, {}, 0}, {"b", "i32", -100, 100, {}, 0}};
    options.decide = true;
    auto report = import_model(net, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(report->model.link == Link::Positive);
    for (int64_t a = -100; a <= 100; a += 9)
        for (int64_t b = -100; b <= 100; b += 7) {
            double first = std::max<double>(0, static_cast<double>(a - b)), second = std::max(0.0, 0.5 * static_cast<double>(a + b) - 10);
            double margin = first - 0.5 * second - 3;
            if (std::abs(margin) > report->margin_bound) CHECK(infer(report->model, std::vector<int64_t>{a, b}) == (margin > 0 ? 1 : 0));
        }
}
