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
        {"\"kind\": \"tree\"", "\"kind\": \"rnn\"", "M0102: at /kind"},
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

namespace {

// Two inputs, one that may be missing, a set, three classes chosen by argmax.
Model rich_model() {
    Model model = small_model();
    model.kind = ModelKind::Forest;
    model.link = Link::Argmax;
    model.inputs[0].missing = -11;
    model.inputs[1].fraction_bits = 4;
    model.sets = {{0, {-3, 5, 90}}};
    model.output = {OutputKind::Class, "u8", 0, 7, {}};
    model.answers = {7, 0, 3};
    model.more_bases = {5, -5};
    model.trees.assign(3, model.trees[0]);
    for (int32_t k = 0; k < 3; k++) model.trees[k].output = k, model.trees[k].default_left = {1, 0, 0, 0, 0};
    model.trees[1].feature[1] = 2, model.trees[1].threshold[1] = 0, model.trees[1].default_left[1] = 1;
    model.origin = "{\"float_model\":1}";
    model.samples = {};
    seal(model);
    return model;
}

// Complete, depth 2: x <= 3, then y <= -1.
Model oblivious_model() {
    Model model = small_model();
    model.kind = ModelKind::Oblivious;
    model.trees = {{{0, 1, 1, -1, -1, -1, -1}, {3, -1, -1, 0, 0, 0, 0}, {1, 3, 5, -1, -1, -1, -1}, {2, 4, 6, -1, -1, -1, -1}, {0, 0, 0, 1, 2, 3, 4}}};
    model.samples = {};
    seal(model);
    return model;
}

}  // namespace

TEST_CASE("artefact: missing values, sets, several outputs, oblivious trees: text and back") {
    for (const Model& model : {rich_model(), oblivious_model()}) {
        auto again = parse_model(to_json(model));
        REQUIRE((again ? "" : again.error().message) == "");
        CHECK(*again == model);
    }
    CHECK(to_json(small_model()).find("default_left") == std::string::npos);  // new keys only where they say something
}

TEST_CASE("artefact: what is wrong with missing values, sets, outputs and levels") {
    struct Case {
        const char* message;
        void (*change)(Model&);
    };
    const Case cases[] = {
        {"M0107: at /inputs/0/missing: 4 lies in the trained range", [](Model& m) { m.inputs[0].missing = 4; }},
        {"M0108: at /inputs/0/missing", [](Model& m) { m.inputs[0].missing = int64_t{1} << 40; }},
        {"M0108: at /inputs/1/fraction_bits", [](Model& m) { m.inputs[1].fraction_bits = 31; }},
        {"M0107: at /sets/0/input", [](Model& m) { m.sets[0].input = 2; }},
        {"M0107: at /sets/0/members: a set has", [](Model& m) { m.sets[0].members = {}; }},
        {"M0107: at /sets/0/members/2: members are given once", [](Model& m) { m.sets[0].members = {1, 5, 5}; }},
        {"M0108: at /sets/0/members/0", [](Model& m) { m.sets[0].members = {INT32_MAX}; }},
        {"M0107: at /trees/1/feature/1: 3 is not an input or a set", [](Model& m) { m.trees[1].feature[1] = 3; }},
        {"M0107: at /trees/1/threshold/1", [](Model& m) { m.trees[1].threshold[1] = 1; }},
        {"M0107: at /trees/1/default_left: 4 sides", [](Model& m) { m.trees[1].default_left.pop_back(); }},
        {"M0107: at /trees/1/default_left: node 0 asks for an input that may be missing", [](Model& m) { m.trees[1].default_left = {}; }},
        {"M0107: at /trees/0/default_left/1: is 0 where nothing can be missing", [](Model& m) { m.trees[0].default_left[1] = 1; }},
        {"M0107: at /trees/0/default_left/2", [](Model& m) { m.trees[0].default_left[2] = 1; }},
        {"M0107: at /trees/2/output: 3 is not an output", [](Model& m) { m.trees[2].output = 3; }},
        {"M0107: at /answers: 2 answers", [](Model& m) { m.answers.pop_back(); }},
        {"M0108: at /answers/0: 8", [](Model& m) { m.answers[0] = 8; }},
        {"M0107: at /fixed_point/bases: 'argmax' chooses from 2..64", [](Model& m) { m.more_bases.resize(64); }},
        {"M0107: at /fixed_point/bases: only link 'argmax'", [](Model& m) { m.link = Link::Round; }},
        {"M0107: at /answers: only link 'argmax'", [](Model& m) { m.link = Link::Round, m.more_bases = {}; }},
        {"M0108: at /fixed_point/base", [](Model& m) { m.more_bases[1] = INT64_MAX; }},
        {"M0107: at /link: 'argmax' answers a class", [](Model& m) { m.output.kind = OutputKind::Score; }},
        {"M0107: at /net", [](Model& m) { m.kind = ModelKind::Mlp; }},
        {"M0107: at /trees/0: kind 'oblivious': node 1 is no leaf", [](Model& m) { m = oblivious_model(), m.trees = {small_model().trees[0]}, std::swap(m.trees[0].left[0], m.trees[0].right[0]); }},
        {"M0107: at /trees/0: kind 'oblivious': node 2 asks otherwise", [](Model& m) { m = oblivious_model(), m.trees[0].threshold[2] = 0; }},
        {"M0107: at /trees/0: kind 'oblivious': node 2 asks otherwise", [](Model& m) { m = oblivious_model(), m.trees[0].feature[2] = 0; }},
    };
    REQUIRE(check_model(rich_model()));
    for (const Case& c : cases) {
        Model model = rich_model();
        c.change(model);
        auto checked = check_model(model);
        INFO(c.message);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, ContainsSubstring(c.message));
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
    for (uint32_t depth : {32u, 33u}) {
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
        CHECK(check_model(chain).has_value() == (depth == 32));
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
