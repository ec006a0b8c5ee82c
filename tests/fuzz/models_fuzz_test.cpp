// SPDX-License-Identifier: MIT
// Smoke: model files of each format with bytes changed, cut, doubled. None may crash; each that is refused carries an id; each that is
// accepted is a model that answers, as integers, what its own float form says.
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "models/import.h"
#include "models/reference.h"
#include "tests/models/ubjson.h"
#include "tests/fuzz/mutate.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

using rmt::test::fuzz_rounds;
using rmt::test::mutate;

const std::string kLightgbm =
    "tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\nfeature_names=a b\n\nTree=0\n"
    "num_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=2.5 0\ndecision_type=6 1\nleft_child=1 -1\nright_child=-3 -2\n"
    "leaf_value=10 20 30\ncat_boundaries=0 1\ncat_threshold=6\nshrinkage=1\n\nTree=1\nnum_leaves=1\nleaf_value=1\n\nend of trees\n";
const std::string kCatboost =
    R"({"features_info":{"float_features":[{"feature_index":0,"flat_feature_index":0},{"feature_index":1,"flat_feature_index":1}]},
"oblivious_trees":[{"splits":[{"split_type":"FloatFeature","float_feature_index":0,"border":1.5},
{"split_type":"FloatFeature","float_feature_index":1,"border":-2.5}],"leaf_values":[1,2,4,8]},{"splits":[],"leaf_values":[3]}],"scale_and_bias":[0.5,[0.25]]})";
const std::string kDump =
    R"([{"nodeid":0,"depth":0,"split":"f0","split_condition":3,"yes":1,"no":2,"missing":1,"children":[{"nodeid":1,"leaf":1.5},
{"nodeid":2,"depth":1,"split":"f1","split_condition":[1,4],"yes":4,"no":3,"missing":3,"children":[{"nodeid":3,"leaf":-1},{"nodeid":4,"leaf":7}]}]}])";

void try_bytes(const std::string& bytes, std::mt19937_64& random, size_t& accepted) {
    ImportOptions options;
    options.objective = "reg:squarederror";
    options.base_score = {0.5};
    auto imported = import_float_model(bytes, options);
    if (!imported) {
        REQUIRE(imported.error().message.starts_with("M0"));
        return;
    }
    accepted++;
    auto again = parse_float_model(to_json(imported->model));
    REQUIRE(again);
    REQUIRE(*again == imported->model);
    auto made = quantise_trees(imported->model, options);
    if (!made) {
        REQUIRE(made.error().message.starts_with("M0"));
        return;
    }
    Comparison probe = compare_rows(imported->model, *made, options, probe_rows(made->model, 20, random()));
    REQUIRE(probe.different <= probe.unproved);
}

}  // namespace

TEST_CASE("fuzz: importers") {
    std::mt19937_64 random(11);
    std::ifstream file(RMT_SOURCE_DIR "/tests/models/data/xgb30_forest.json");
    const std::string xgboost{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    REQUIRE(xgboost.size() > 1000);
    const std::string forms[] = {kLightgbm,          kCatboost, kDump, to_json(import_float_model(kLightgbm, {})->model),
                                 to_ubjson(xgboost), xgboost};
    for (const std::string& form : forms) {
        size_t accepted = 0;
        try_bytes(form, random, accepted);
        REQUIRE(accepted == 1);
        for (int round = 0; round < fuzz_rounds(form.size() > 4000 ? 300 : 1500); round++) try_bytes(mutate(random, form), random, accepted);
        CHECK(accepted > 1);
    }
}

TEST_CASE("fuzz: random bytes are no model") {
    std::mt19937_64 random(12);
    for (int round = 0; round < fuzz_rounds(2000); round++) {
        std::string bytes(random() % 200, '\0');
        for (char& c : bytes) c = static_cast<char>(random());
        if (round % 3 == 0) bytes = "tree\n" + bytes;
        if (round % 3 == 1) bytes = std::string("{L\0\0\0\0\0\0\0\1a", 11) + bytes;
        auto imported = import_float_model(bytes, {});
        REQUIRE_FALSE(imported);
        REQUIRE(imported.error().message.starts_with("M0"));
    }
}
