// SPDX-License-Identifier: MIT
#include <functional>

#include "models/lower.h"
#include "models/train.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt::models;
using rmt::ManifestModel;

namespace {

}  // namespace

TEST_CASE("policy: a model that does not fit is refused with the first cause") {
    REQUIRE(check_against_policy(small_model(), small_policy()));
    struct Case {
        const char *what, *message;
        std::function<void(Model&, ManifestModel&)> change;
    };
    const Case cases[] = {
        {"order", "M0201: at /inputs: the model takes (x, y), the policy gives (y, x)",
         [](Model&, ManifestModel& p) {
             p.inputs = {"y", "x"};
         }},
        {"one more", "M0201",
         [](Model&, ManifestModel& p) {
             p.inputs.push_back("z");
             p.input_types.push_back("i32");
         }},
        {"name", "M0201", [](Model& m, ManifestModel&) { m.inputs[0].name = "X"; }},
        {"unit", "M0202: at /inputs/1/type: 'y' was trained as i16, the policy gives ns",
         [](Model&, ManifestModel& p) { p.input_types[1] = "ns"; }},
        {"never in range", "M0202: at /inputs/0/trained_range",
         [](Model& m, ManifestModel& p) {
             m.inputs[0].min = -10;
             m.inputs[0].max = -1;
             p.input_types[0] = "u8";
         }},
        {"kind", "M0203: at /output/kind: the model answers a value, the policy expects a score",
         [](Model&, ManifestModel& p) { p.output_kind = "score"; }},
        {"range", "M0204: at /output/range: the model answers 0..100, the policy takes 0..99",
         [](Model&, ManifestModel& p) {
             p.output_min = 0;
             p.output_max = 99;
         }},
        {"class name", "M0205: at /output/classes/fwd",
         [](Model& m, ManifestModel& p) {
             m.output.kind = OutputKind::Class;
             m.output.classes = {{"fwd", 1}};
             p.output_kind = "class";
             p.classes = {{"back", 1}};
         }},
        {"class number", "M0205: at /output/classes/fwd: the model answers 1, in the policy it is 2",
         [](Model& m, ManifestModel& p) {
             m.output.kind = OutputKind::Class;
             m.output.classes = {{"fwd", 1}};
             p.output_kind = "class";
             p.classes = {{"fwd", 2}};
         }},
        {"forest", "M0206", [](Model& m, ManifestModel&) { m.kind = ModelKind::Forest; }},
    };
    for (const Case& c : cases) {
        INFO(c.what);
        Model model = small_model();
        ManifestModel policy = small_policy();
        c.change(model, policy);
        auto checked = check_against_policy(model, policy);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, ContainsSubstring(c.message));
    }
}

TEST_CASE("policy: options for training give a model that fits") {
    ManifestModel policy = small_policy();
    policy.shape = {1, 4, 256};
    policy.train.emplace().label = "label";
    Dataset data;
    data.columns = {{"x", "i64", {}}, {"y", "i64", {}}, {"label", "i64", {}}};
    for (int i = 0; i < 5000; i++) {
        data.columns[0].values.push_back(i * 37 % 101);
        data.columns[1].values.push_back(i * 53 % 97);
        data.columns[2].values.push_back(i * 37 % 101 * (i * 53 % 97) % 61);
    }
    TrainOptions options = options_for(policy);
    options.min_leaf = 1;
    options.confidence = 0;  // splits that do not pay stay too
    auto report = train_tree(data, options);
    REQUIRE((report ? "" : report.error().message) == "");
    CHECK(model_depth(report->model) == 4);
    auto fits = check_against_policy(report->model, policy);
    CHECK((fits ? "" : fits.error().message) == "");
}
