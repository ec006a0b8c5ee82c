// SPDX-License-Identifier: MIT
// docs/errors-models.md is what the code says: each id has an example, and here is what provokes it, word for word.
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <regex>

#include "models/boost.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/train.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt;
using namespace rmt::models;

namespace {

std::string read_text(const std::string& path) {
    std::ifstream file(std::string(RMT_SOURCE_DIR) + "/" + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    INFO(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

template <class T>
std::string said(const Result<T>& result) {
    return result ? "nothing" : result.error().message;
}

// An artefact of our own with one fault in it; without its digest, which would be what is told.
std::string artefact(const std::string& from, const std::string& to) {
    std::string text = to_json(small_model());
    text = text.substr(0, text.find(",\n  \"digest\"")) + "\n}\n";
    return said(parse_model(replaced(text, from, to)));
}

std::string imported(const std::string& bytes) { return said(import_model(bytes, {})); }

std::string xgboost(const std::string& from, const std::string& to) {
    return imported(replaced(read_text("tests/models/data/xgb31_regression.json"), from, to));
}

std::string against(const std::function<void(Model&, ManifestModel&)>& change) {
    Model model = small_model();
    ManifestModel policy = small_policy();
    change(model, policy);
    return said(check_against_policy(model, policy));
}

Model chain(int32_t depth) {  // a tree that steps to the right
    Model model = small_model();
    model.name = "next_delta", model.samples = {};
    Tree tree;
    for (int32_t i = 0; i < depth; i++) {
        tree.feature.insert(tree.feature.end(), {0, -1});
        tree.threshold.insert(tree.threshold.end(), {i - depth, 0});
        tree.left.insert(tree.left.end(), {2 * i + 1, -1});
        tree.right.insert(tree.right.end(), {2 * i + 2, -1});
        tree.value.insert(tree.value.end(), {0, i});
    }
    tree.add_leaf(1);
    model.trees = {tree};
    model.inputs[0].min = -100;
    seal(model);
    return model;
}

std::string deep() {
    return said(check_fits(chain(9), {1, 8, 1024}));
}

std::string wide() {
    Model model = small_model();
    model.name = "m", model.samples = {}, model.kind = ModelKind::Forest;
    for (int i = 2; i < 70; i++) model.inputs.push_back({"x" + std::to_string(i), "i32", -10, 10});
    seal(model);
    return said(smallest_class(model));
}

std::string damaged_value() {
    auto value = lower_model(small_model(), {1, 8, 1024});
    REQUIRE(value);
    value->resize(value->size() - 4);
    return said(check_value(*value, {1, 8, 1024}));
}

Dataset labels() {
    Dataset data;
    data.columns = {{"x", "i64", {}}, {"label", "i64", {}}};
    for (int i = 0; i < 100; i++) data.columns[0].values.push_back(i), data.columns[1].values.push_back(i == 12 ? 7 : i % 2);
    return data;
}

std::string trained(const std::function<void(TrainOptions&)>& change) {
    const Dataset data = labels();
    TrainOptions options;
    options.inputs = {"x"}, options.label = "label", options.holdout = 0;
    change(options);
    return said(train_tree(data, options));
}

const std::map<std::string, std::function<std::string()>> kProvoked = {
    {"M0101", [] { return imported(R"({"name": 1, "name": 2})"); }},
    {"M0102", [] { return artefact("\"trained_range\":[-10,10]", "\"trained_range\":[-10,1.5]"); }},
    {"M0103", [] { return artefact("\"name\":\"y\"", "\"scale\":2,\"name\":\"y\""); }},
    {"M0104", [] { return xgboost("\"base_score\":\"[", "\"base_score\":\"[0.5,"); }},
    {"M0105", [] { return xgboost("\"version\":[3,1,", "\"version\":[4,0,"); }},
    {"M0106", [] { return said(parse_model(replaced(to_json(small_model()), "\"by hand\"", "\"by foot\""))); }},
    {"M0107", [] { return artefact("\"right\":[2,4,", "\"right\":[2,2,"); }},
    {"M0108", [] { return artefact("\"threshold\":[3,", "\"threshold\":[1073741824,"); }},
    {"M0109", [] { return artefact("\"outputs\":[20,30,", "\"outputs\":[20,31,"); }},
    {"M0110", [] { return imported(R"({"learner": {"gradient_booster": {"name": "gblinear", "model": {"weights": [1]}}, "learner_model_param": {"base_score": "0.5", "num_class": "0", "num_feature": "1"}, "objective": {"name": "reg:squarederror"}}, "version": [1, 7, 4]})"); }},
    {"M0111", [] { return imported(R"({"features_info":{"float_features":[{"feature_index":0,"flat_feature_index":0}]},"oblivious_trees":[{"splits":[{"split_type":"FloatFeature","float_feature_index":0,"border":NaN}],"leaf_values":[1,2]}],"scale_and_bias":[1,[0]]})"); }},
    {"M0112", [] { return imported(R"({"weights": [1, 2]})"); }},
    {"M0113", [] { return imported(R"([{"nodeid": 0, "leaf": 1.5}])"); }},
    {"M0201", [] { return against([](Model&, ManifestModel& p) { p.inputs = {"y", "x"}; }); }},
    {"M0202", [] { return against([](Model&, ManifestModel& p) { p.input_types[1] = "ns"; }); }},
    {"M0203", [] { return against([](Model&, ManifestModel& p) { p.output_kind = "score"; }); }},
    {"M0204", [] { return against([](Model&, ManifestModel& p) { p.output_min = 0, p.output_max = 99; }); }},
    {"M0205", [] {
         return against([](Model& m, ManifestModel& p) {
             m.output.kind = OutputKind::Class, m.output.classes = {{"ahead", 1}};
             p.output_kind = "class", p.classes = {{"ahead", 2}};
         });
     }},
    {"M0206", deep},
    {"M0207", damaged_value},
    {"M0208", wide},
    {"M0301", [] { return said(parse_csv("a,b\n1\n")); }},
    {"M0302", [] { return trained([](TrainOptions& o) { o.inputs = {"z"}; }); }},
    {"M0303", [] { return said(parse_csv("a,b\n1,2\n1,x\n")); }},
    {"M0304", [] { return trained([](TrainOptions& o) { o.min_leaf = 1000; }); }},
    {"M0305", [] { return trained([](TrainOptions& o) { o.max_depth = 33; }); }},
    {"M0306", [] {
         BoostOptions options;
         options.common.inputs = {"x"}, options.common.label = "label", options.common.holdout = 0;
         options.common.output = {OutputKind::Class, "i32", 0, 3, {}};
         return said(train_boost(labels(), options));
     }},
};

// The parts of the page: what stands below each heading.
std::map<std::string, std::string> parts() {
    const std::string text = read_text("docs/errors-models.md");
    std::map<std::string, std::string> found;
    const std::regex heading("### (M0[0-9]{3}) ");
    for (std::sregex_iterator it(text.begin(), text.end(), heading), end; it != end; ++it) {
        const auto from = static_cast<size_t>(it->position());
        found[(*it)[1]] = text.substr(from, text.find("\n#", from + 1) - from);
    }
    return found;
}

}  // namespace

TEST_CASE("errors of models: each example of the page is what the code says") {
    const auto documented = parts();
    CHECK(documented.size() == kProvoked.size());
    for (const auto& [id, provoke] : kProvoked) {
        INFO(id);
        const std::string message = provoke();
        INFO(message);
        CHECK(message.starts_with(id + ": "));
        REQUIRE(documented.contains(id));
        CHECK_THAT(documented.at(id), ContainsSubstring("`" + message + "`"));
    }
}
