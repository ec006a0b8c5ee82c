// SPDX-License-Identifier: MIT
#include "models/model.h"

#include <fstream>
#include <iterator>

#include "rmt_lang/support/sha256.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt::models;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::string unsealed(const Model& model) {
    Model copy = model;
    std::string text = to_json(copy);
    return replaced(text, ",\n  \"digest\": \"" + model.digest + "\"", "");
}

}  // namespace

TEST_CASE("artefact: text and back") {
    std::mt19937_64 random(5);
    Model forest = random_model(random, {.kind = ModelKind::Forest, .trees = 3, .depth = 5, .link = Link::Positive});
    forest.output.classes = {{"no", 0}, {"yes", 1}};
    seal(forest);
    for (const Model& model : {small_model(), forest, random_model(random, {.depth = 0})}) {
        auto again = parse_model(to_json(model));
        REQUIRE((again ? "" : again.error().message) == "");
        CHECK(*again == model);
        CHECK(to_json(*again) == to_json(model));
        CHECK(model.digest == "sha256:" + rmt::sha256_hex(canonical_bytes(model)));
    }
}

TEST_CASE("artefact: the digest covers every part, and nothing about the layout of the text") {
    const Model model = small_model();
    std::string compact;  // white space outside of strings does not matter
    bool in_string = false;
    for (char c : to_json(model)) {
        in_string ^= c == '"';
        if (in_string || (c != ' ' && c != '\n')) compact += c;
    }
    CHECK(parse_model(compact)->digest == model.digest);
    for (auto [from, to] : {std::pair{"\"small\"", "\"smell\""}, std::pair{"by hand", "by Hand"}, std::pair{"[-10,10]", "[-11,10]"},
                            std::pair{"[3,-1,0", "[2,-1,0"}}) {
        auto changed = parse_model(replaced(to_json(model), from, to));
        REQUIRE_FALSE(changed);
        CHECK_THAT(changed.error().message, ContainsSubstring("M0106: at /digest"));
    }
    CHECK(parse_model(replaced(unsealed(model), "\"small\"", "\"smell\""))->name == "smell");
}

TEST_CASE("artefact: what is wrong is refused with its place") {
    const std::string good = unsealed(small_model());
    REQUIRE(parse_model(good));
    struct Case {
        const char *from, *to, *message;
    };
    const Case cases[] = {
        {"{", "[", "M0101"},
        {"\"rmt_model\": 1", "\"rmt_model\": 2", "M0105: at /rmt_model"},
        {"\"rmt_model\": 1", "\"model\": 1", "M0112"},
        {"\"name\": \"small\"", "\"name\": \"small\", \"name\": \"other\"",
         "M0101: this is not a JSON document that can be read: it has the key \"name\" twice"},
        {"\"name\": \"small\"", "\"name\": \"small\", \"lookup\": 3", "M0103: at /lookup"},
        {"\"type\":\"i16\"", "\"type\":\"i16\",\"scale\":2", "M0103: at /inputs/1/scale"},
        {"\"le\"", "\"lt\"", "M0110: at /compare"},
        {"\"reject\"", "\"default_left\"", "M0110: at /missing"},
        {"\"kind\": \"tree\"", "\"kind\": \"mlp\"", "M0102: at /kind"},
        {"\"kind\":\"value\"", "\"kind\":\"vector\"", "M0102: at /output/kind"},
        {"\"i16\"", "\"f32\"", "M0107: at /inputs/1/type"},
        {"[-10,10]", "[10,-10]", "M0107: at /inputs/0/trained_range"},
        {"[-10,10]", "[-10,1073741825]", "M0108: at /inputs/0/trained_range"},
        {"[-10,10]", "[-10]", "M0102: at /inputs/0/trained_range"},
        {"[-10,10]", "[-10,1.5]", "M0102: at /inputs/0/trained_range/1"},
        {"\"name\":\"y\"", "\"name\":\"x\"", "M0107: at /inputs/1/name"},
        {"\"shift\":0", "\"shift\":1", "M0107: at /kind"},
        {"\"base\":0", "\"base\":7", "M0107: at /kind"},
        {"\"feature\":[0,1", "\"feature\":[0,2", "M0107: at /trees/0/feature/1"},
        {"\"feature\":[0,1", "\"feature\":[0,-1", "M0107: at /trees/0/feature/1"},
        {"\"left\":[1,3", "\"left\":[1,5", "M0107: at /trees/0/left/1"},
        {"\"left\":[1,3", "\"left\":[1,0", "M0107: at /trees/0/left/1"},
        {"\"left\":[1,3", "\"left\":[1,1", "M0107: at /trees/0"},
        {"\"left\":[1,3", "\"left\":[1,2", "M0107: at /trees/0: node 2 is reached twice"},
        {"\"left\":[1,3,-1", "\"left\":[1,3", "M0107: at /trees/0"},
        {"\"right\":[2,4", "\"right\":[2,-1", "M0107: at /trees/0/right/1"},
        {"\"threshold\":[3,-1", "\"threshold\":[1073741824,-1", "M0108: at /trees/0/threshold/0"},
        {"\"threshold\":[3,-1", "\"threshold\":[3.5,-1", "M0102: at /trees/0/threshold/0"},
        {"\"threshold\":[3,-1", "\"threshold\":[99999999999999999999,-1", "M010"},
        {"\"threshold\":[3,-1,0", "\"threshold\":[3,-1,5", "M0107: at /trees/0/threshold/2"},
        {"\"value\":[0,0,30", "\"value\":[0,0,101", "M0108: at /trees/0/value/2"},
        {"\"value\":[0,0,30", "\"value\":[0,4,30", "M0107: at /trees/0/value/1"},
        {"\"outputs\":[20,30", "\"outputs\":[20,31", "M0109: at /samples/inputs/1: the model answers 30, the sample says 31"},
        {"\"outputs\":[20,30,null", "\"outputs\":[20,30,20", "M0109: at /samples/inputs/2: the model answers no answer"},
        {"\"outputs\":[20,", "\"outputs\":[", "M0102: at /samples"},
        {"[0,0]", "[0]", "M0102: at /samples/inputs/0"},
        {"\"by hand\"", "7", "M0102: at /provenance/made"},
    };
    for (const Case& c : cases) {
        INFO(c.from << " -> " << c.to);
        auto model = parse_model(replaced(good, c.from, c.to));
        REQUIRE_FALSE(model);
        CHECK(model.error().kind == rmt::ErrorKind::Input);
        CHECK_THAT(model.error().message, ContainsSubstring(c.message));
    }
}

TEST_CASE("artefact: unreached nodes and too deep trees are refused") {
    Model model = small_model();
    model.trees[0].add_leaf(1);
    auto lost = check_model(model);
    REQUIRE_FALSE(lost);
    CHECK_THAT(lost.error().message, ContainsSubstring("node 5 is not reached from the root"));

    Model chain = small_model();
    chain.samples = {};
    for (uint32_t depth : {16u, 17u}) {
        Tree tree;
        tree.add_leaf(0);
        for (uint32_t i = 0, at = 0; i < depth; i++) {
            tree.feature[at] = 0;
            tree.left[at] = tree.add_leaf(1);
            tree.right[at] = tree.add_leaf(2);
            at = static_cast<uint32_t>(tree.right[at]);
            if (i + 1 < depth) tree.value[at] = 0;
        }
        chain.trees = {tree};
        CHECK(tree_depth(tree) == depth);
        CHECK(check_model(chain).has_value() == (depth == 16));
    }
}

TEST_CASE("artefact: deep nesting is refused, not recursed into") {
    auto model = parse_model(std::string(100000, '['));
    REQUIRE_FALSE(model);
    CHECK_THAT(model.error().message, ContainsSubstring("M0101"));
}

TEST_CASE("artefact: the example of the documentation is one") {
    std::ifstream file(RMT_SOURCE_DIR "/docs/models.md");
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    size_t begin = text.find("```json\n");
    REQUIRE(begin != std::string::npos);
    auto model = parse_model(text.substr(begin + 8, text.find("```", begin + 8) - begin - 8));
    CHECK((model ? "" : model.error().message) == "");
}
