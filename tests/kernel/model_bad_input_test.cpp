// SPDX-License-Identifier: MIT
// Bad models through the verbs that people call: `import` and `use` refuse them with the place in the file and what would do, the
// store gets nothing, and what ran before runs on.
#include <random>

#include "loader/live.h"
#include "models/model.h"
#include "tests/kernel/cli_run.h"
#include "tests/kernel/host.h"

using namespace rmt;
using namespace rmt::cli;
using namespace rmt::test;

namespace {

struct Parts {  // of an artefact for learned_prefetch/next_delta
    std::string inputs = R"({"name":"deltas[0]","type":"i32","trained_range":[-9,9]},{"name":"deltas[1]","type":"i32","trained_range":[-9,9]},)"
                         R"({"name":"deltas[2]","type":"i32","trained_range":[-9,9]},{"name":"deltas[3]","type":"i32","trained_range":[-9,9]})";
    std::string kind = "tree", range = "[-4096,4096]", more = "";
    std::string tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[2,-1,-1],"threshold":[3,0,0],"value":[0,7,8]})";
    std::string trees = "";   // instead of the one
    std::string text() const {
        return R"({"rmt_model":1,"name":"m","kind":")" + kind + R"(","inputs":[)" + inputs + R"(],"compare":"le","missing":"reject","output":{"kind":"value","type":"i32","range":)" +
               range + "}" + more + (trees == "none" ? "" : R"(,"trees":[)" + (trees.empty() ? tree : trees) + "]") + "}\n";
    }
};

std::string chain(int depth) {  // a tree whose right children go that deep
    std::string feature, left, right, threshold, value;
    for (int i = 0; i < depth; i++) {
        feature += "0,-1,", threshold += std::to_string(i - depth) + ",0,", left += std::to_string(2 * i + 1) + ",-1,";
        right += std::to_string(2 * i + 2) + ",-1,", value += "0,1,";
    }
    return R"({"feature":[)" + feature + R"(-1],"left":[)" + left + R"(-1],"right":[)" + right + R"(-1],"threshold":[)" + threshold + R"(0],"value":[)" + value + "2]}";
}

std::string many(const std::string& item, int count) {
    std::string all;
    for (int i = 0; i < count; i++) all += (i ? "," : "") + item;
    return all;
}

std::string net(const std::string& weight, const std::string& bias, const std::string& multiplier) {
    return R"(,"net":{"bits":32,"steps":1,"layers":[{"kind":"dense","outputs":1,"weights":[)" + many(weight, 4) + R"(],"bias":[)" + bias + R"(],"multiplier":[)" + multiplier +
           R"(],"shift":8,"clamp":[-4096,4096]}]})";
}

std::string random_bytes(uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string bytes(300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
}

enum class Refused { Always, ByThePolicy };  // `import` takes it, since some policy may want it

struct Case {
    const char* what;
    std::string text;
    Refused refused;
    std::vector<const char*> words;  // id and place, what was given, what would do: in the message or in the hint
};

std::vector<Case> cases() {
    const Parts good;
    const auto with = [](auto change) {
        Parts parts;
        change(parts);
        return parts.text();
    };
    const std::string first_three = good.inputs.substr(0, good.inputs.rfind(",{"));
    std::string wide = good.inputs;
    for (int i = 4; i < 90; i++) wide += R"(,{"name":"x)" + std::to_string(i) + R"(","type":"i32","trained_range":[-9,9]})";
    using enum Refused;
    return {
        {"truncated", good.text().substr(0, good.text().size() / 2), Always, {"M0101", "not a JSON document"}},
        {"random bytes", random_bytes(1), Always, {"M0101"}},
        {"a JSON that is no model", R"({"weights":[1]})", Always, {"M0112"}},
        {"a cycle through the root", with([](Parts& p) { p.tree = R"({"feature":[0,-1,1],"left":[1,-1,0],"right":[2,-1,1],"threshold":[3,0,0],"value":[0,7,0]})"; }), Always,
         {"M0107", "/trees/0/left/2", "1..2 expected"}},
        {"a cycle below the root", with([](Parts& p) {
             p.tree = R"({"feature":[0,1,2,-1,-1,-1],"left":[1,2,1,-1,-1,-1],"right":[3,4,5,-1,-1,-1],"threshold":[3,1,0,0,0,0],"value":[0,0,0,7,8,9]})";
         }), Always, {"M0107", "/trees/0", "node 1 is reached twice"}},
        {"a child outside", with([](Parts& p) { p.tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[3,-1,-1],"threshold":[3,0,0],"value":[0,7,8]})"; }), Always,
         {"M010", "/trees/0/right/0", "3"}},
        {"NaN as a threshold", with([](Parts& p) { p.tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[2,-1,-1],"threshold":[NaN,0,0],"value":[0,7,8]})"; }), Always,
         {"M010"}},
        {"a fraction as a threshold", with([](Parts& p) { p.tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[2,-1,-1],"threshold":[3.5,0,0],"value":[0,7,8]})"; }), Always,
         {"M0102", "/trees/0/threshold/0", "an integer is expected"}},
        {"a threshold too large", with([](Parts& p) { p.tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[2,-1,-1],"threshold":[1073741824,0,0],"value":[0,7,8]})"; }), Always,
         {"M0108", "/trees/0/threshold/0", "-2^30..2^30-1"}},
        {"a feature that the model does not have", with([](Parts& p) { p.tree = R"({"feature":[4,-1,-1],"left":[1,-1,-1],"right":[2,-1,-1],"threshold":[3,0,0],"value":[0,7,8]})"; }), Always,
         {"M010", "/trees/0/feature/0", "4"}},
        {"arrays of different length", with([](Parts& p) { p.tree = R"({"feature":[0,-1,-1],"left":[1,-1,-1],"right":[2,-1],"threshold":[3,0,0],"value":[0,7,8]})"; }), Always,
         {"M010", "/trees/0"}},
        {"a leaf outside of the output", with([](Parts& p) { p.range = "[0,7]"; }), Always, {"M0108", "/trees/0/value/2", "0..7"}},
        {"an empty range", with([](Parts& p) { p.range = "[7,0]"; }), Always, {"M010", "/output/range"}},
        {"a sum that overflows", with([](Parts& p) { p.kind = "linear", p.trees = "none", p.more = net("2147483647", "0", "9007199254740992"); }), Always,
         {"M0108", "/net/layers/0", "63 bits"}},
        {"a weight wider than its bits", with([](Parts& p) { p.kind = "linear", p.trees = "none", p.more = net("4294967296", "0", "1"); }), Always,
         {"M0108", "/net/layers/0/weights/0"}},
        {"a base that overflows", with([](Parts& p) { p.kind = "forest", p.more = R"(,"link":"round","fixed_point":{"base":9223372036854775807,"shift":0})"; }), Always,
         {"M0108", "/fixed_point/base"}},
        {"too deep for any engine", with([](Parts& p) { p.tree = chain(33); }), Always, {"M010", "/trees/0", "32"}},
        {"too many trees", with([](Parts& p) { p.kind = "forest", p.trees = many(p.tree, 1025); }), Always, {"M010", "1024"}},
        {"too many inputs for any engine", with([&](Parts& p) { p.inputs = wide, p.kind = "forest"; }), Always, {"M0", "63"}},
        {"a wrong digest", with([](Parts& p) { p.more = R"(,"digest":"sha256:)" + std::string(64, '0') + "\""; }), Always, {"M0106", "/digest"}},
        {"a sample that disagrees", with([](Parts& p) { p.more = R"(,"samples":{"inputs":[[9,0,0,0]],"outputs":[7]})"; }), Always, {"M0109", "/samples/inputs/0"}},
        {"an unknown key", with([](Parts& p) { p.more = R"(,"scale":2)"; }), Always, {"M0103", "/scale", "known"}},
        {"a feature that the policy does not have", with([](Parts& p) { p.inputs.replace(p.inputs.find("deltas[3]"), 9, "gap"); }), ByThePolicy,
         {"M0201", "/inputs", "gap", "deltas[0], deltas[1], deltas[2], deltas[3]"}},
        {"wrong arity", with([&](Parts& p) { p.inputs = first_three; }), ByThePolicy, {"M0201", "/inputs", "(deltas[0], deltas[1], deltas[2])", "deltas[3]"}},
        {"another unit", with([](Parts& p) { p.inputs.replace(p.inputs.find("i32"), 3, "ns"), p.inputs.replace(p.inputs.find("-9"), 2, "0"); }), ByThePolicy,
         {"M0202", "/inputs/0/type", "i32"}},
        {"wrong output range", with([](Parts& p) { p.range = "[-65537,65536]"; }), ByThePolicy, {"M0204", "/output/range", "-65536..65536"}},
        {"another kind of output", with([](Parts& p) { p.more = ""; p.range = "[-4096,4096]"; p.kind = "tree"; }), ByThePolicy, {"M0203", "/output/kind", "value"}},
        {"deeper than compiled for", with([](Parts& p) { p.tree = chain(9); }), ByThePolicy, {"M0206", "9 steps", "compile for"}},
        {"a forest where a tree runs", with([](Parts& p) { p.kind = "forest"; }), ByThePolicy, {"M0206", "compile the policy"}},
        {"a net where a tree runs", with([](Parts& p) { p.kind = "linear", p.trees = "none", p.more = net("1", "0", "1"); }), ByThePolicy, {"M0206", "compile the policy"}},
    };
}

std::string words_of(const Ran& ran) {
    const Json& error = ran.json["error"];
    return error["message"].get<std::string>() + "\n" + error.value("hint", "");
}

std::string score_instead(std::string text) { return text.replace(text.find(R"("kind":"value")"), 14, R"("kind":"score")"); }

}  // namespace

TEST_CASE("bad models: import says where and what would do, and the store gets nothing") {
    const Scratch scratch;
    for (const Case& c : cases()) {
        INFO(c.what);
        ImportArgs import;
        import.file = scratch.file("bad.json", c.text);
        import.name = "bad";
        const Ran ran = run([&](const Output& out) { return cmd_model_import(out, import); });
        if (c.refused == Refused::ByThePolicy) {
            CHECK(ran.exit == kOk);
            CHECK(run([&](const Output& out) { return cmd_model_rm(out, "bad", false); }).exit == kOk);
            continue;
        }
        CHECK(ran.exit == kInvalid);
        for (const char* word : c.words) CHECK_THAT(words_of(ran), ContainsSubstring(word));
        CHECK(run([&](const Output& out) { return cmd_model_list(out, ""); }).json["models"].empty());
    }
}

TEST_CASE("bad models of libraries: import says where") {
    const Scratch scratch;
    const std::pair<const char*, std::vector<const char*>> files[] = {
        {R"({"features_info":{"float_features":[{"feature_index":0,"flat_feature_index":0}]},"oblivious_trees":[{"splits":[{"split_type":"FloatFeature","float_feature_index":0,"border":NaN}],"leaf_values":[1,2]}],"scale_and_bias":[1,[0]]})",
         {"M0111", "/oblivious_trees/0/splits/0/border", "NaN"}},
        {R"([{"nodeid":0,"split":"f0","split_condition":NaN,"yes":1,"no":2,"missing":1,"children":[{"nodeid":1,"leaf":1},{"nodeid":2,"leaf":2}]}])",
         {"M0111", "/0/split_condition", "NaN"}},
        {"tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\nfeature_names=a b\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\n"
         "threshold=nan\ndecision_type=2\nleft_child=-1\nright_child=-2\nleaf_value=1 2\nshrinkage=1\n\nend of trees\n",
         {"M0", "threshold"}},
        {R"({"rmt_float_net":1,"inputs":2,"steps":1,"layers":[{"kind":"dense","outputs":1,"weights":[1],"bias":[0],"relu":false}]})", {"M01", "/layers/0/weights", "2"}},
    };
    for (const auto& [text, words] : files) {
        INFO(text);
        ImportArgs import;
        import.file = scratch.file("bad.model", text);
        import.name = "bad";
        import.objective = "reg:squarederror";
        import.base_score = 0.5;
        const Ran ran = run([&](const Output& out) { return cmd_model_import(out, import); });
        CHECK(ran.exit == kInvalid);
        for (const char* word : words) CHECK_THAT(words_of(ran), ContainsSubstring(word));
    }
    CHECK(run([&](const Output& out) { return cmd_model_list(out, ""); }).json["models"].empty());
}

TEST_CASE("bad models: use refuses each, and what ran before runs on") {
    Host host(64);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const Scratch scratch;
    REQUIRE(load::load_policy(host.request("learned_prefetch")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    const std::string where = host.policy_name() + "/next_delta";
    const auto use = [&](const std::string& file) { return run([&](const Output& out) { return cmd_model_use(out, {where, file, false}); }); };
    REQUIRE(use(scratch.file("good.json", Parts().text())).exit == kOk);
    const auto running = live->model_artefact(live->manifest().models[0]);
    const uint32_t id = live->artefact_id(live->manifest().models[0]);
    REQUIRE(running);
    for (const Case& c : cases()) {
        INFO(c.what);
        const std::string text = std::string(c.what) == "another kind of output" ? score_instead(c.text) : c.text;
        const Ran ran = use(scratch.file("bad.json", text));
        CHECK(ran.exit == kInvalid);
        for (const char* word : c.words) CHECK_THAT(words_of(ran), ContainsSubstring(word));
        CHECK(live->artefact_id(live->manifest().models[0]) == id);
    }
    CHECK(live->model_artefact(live->manifest().models[0]).value() == *running);
    CHECK(run([&](const Output& out) { return cmd_model_history(out, where); }).json["entries"].size() == 1);
}
