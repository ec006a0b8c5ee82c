// SPDX-License-Identifier: MIT
// As model_fuzz_test.cpp, of nets: damaged artefacts, map values and float forms, and the files of the store.
#include <cmath>
#include <filesystem>
#include <fstream>

#include "models/float_model.h"
#include "models/float_net.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/quantise_net.h"
#include "models/reference.h"
#include "models/store.h"
#include "tests/fuzz/mutate.h"
#include "tests/models/policy_of.h"
#include "tests/models/random_model.h"
#include "tests/models/random_net.h"
#include "tests/rmt_test.h"
#include "verifier_ext/model_check.h"

using namespace rmt::models;
namespace fs = std::filesystem;

namespace {

using rmt::test::fuzz_rounds;
using rmt::test::mutate;
using enum LayerKind;

const NetSpec kNets[] = {
    {"linear", 5, 1, {{Dense, 1}}, 32, Link::Round, 1000, false, ModelKind::Linear},
    {"linear, classes", 3, 1, {{Dense, 4}}, 32, Link::Argmax, 1000, false, ModelKind::Linear},
    {"mlp", 4, 1, {{Dense, 6}, {Dense, 1}}},
    {"mlp of 8 bits", 4, 1, {{Dense, 6}, {Dense, 3}}, 8, Link::Argmax, 100},
    {"mlp, two classes", 3, 1, {{Dense, 4}, {Dense, 3}, {Dense, 1}}, 16, Link::Positive},
    {"conv", 12, 6, {{Conv1d, 3, 2, 1}, {MaxPool, 0, 2, 2}, {Dense, 2}}, 16, Link::Argmax, 500, true, ModelKind::Conv},
};

// What was read is whole, survives its text, and what is lowered from it passes the verifier, whose range holds every answer.
// A net that no class holds, or whose sums no word of the kernel's holds, is refused with its id.
void check_valid(const Model& model, std::mt19937_64& random) {
    REQUIRE(check_model(model));
    const auto again = parse_model(to_json(model));
    REQUIRE(again);
    REQUIRE(*again == model);
    if (!model.net) return;
    const auto shape = smallest_class(model);
    if (!shape) {
        REQUIRE(shape.error().message.starts_with("M020"));
        return;
    }
    const auto value = lower_model(model, *shape);
    REQUIRE(value);
    REQUIRE(check_value(*value, *shape));
    const auto verdict = rmt::verify::verify_model(*value, policy_of(model, *shape));
    if (verdict.rejected) {
        INFO(verdict.rejected->id << ": " << verdict.rejected->message << "\n" << to_json(model));
        REQUIRE(verdict.rejected->id == "V0705");
        return;
    }
    for (int i = 0; i < 8; i++)
        if (const auto answer = infer(model, random_net_inputs(random, model))) {
            INFO(to_json(model));
            REQUIRE((*answer >= verdict.facts.out_min && *answer <= verdict.facts.out_max));
        }
}

std::string without_digest(std::string text) {
    const size_t at = text.find(",\n  \"digest\"");
    return at == std::string::npos ? text : text.substr(0, at) + "\n}\n";
}

FloatNet random_float_net(std::mt19937_64& random, const NetSpec& spec) {
    const auto real = [&] { return (static_cast<double>(random() % 2001) - 1000) / 500; };
    FloatNet net;
    net.inputs = spec.inputs, net.steps = spec.steps;
    for (size_t i = 0; i < spec.layers.size(); i++) {
        FloatLayer layer{spec.layers[i].kind, spec.layers[i].outputs, spec.layers[i].kernel, spec.layers[i].stride, {}, {}, false};
        const NetShape before = float_shapes(net).back();
        const uint32_t count = layer.kind == Dense ? before.size() : layer.kernel * before.channels;
        if (layer.kind == MaxPool) layer.outputs = 0;
        for (uint32_t k = 0; k < count * layer.outputs; k++) layer.weights.push_back(real());
        for (uint32_t k = 0; k < layer.outputs; k++) layer.bias.push_back(real());
        layer.relu = layer.kind != MaxPool && i + 1 < spec.layers.size();
        net.layers.push_back(std::move(layer));
    }
    return net;
}

}  // namespace

TEST_CASE("fuzz: artefacts of nets") {
    std::mt19937_64 random(21);
    size_t valid = 0, refused = 0;
    for (int round = 0; round < fuzz_rounds(4000); round++) {
        const NetSpec& spec = kNets[static_cast<size_t>(round) % std::size(kNets)];
        const Model original = random_net(random, spec);
        INFO(spec.name << ", round " << round);
        if (round < static_cast<int>(std::size(kNets))) check_valid(original, random);
        const auto model = parse_model(mutate(random, without_digest(to_json(original))));
        model ? valid++ : refused++;
        if (model)
            check_valid(*model, random);
        else
            REQUIRE(model.error().message.starts_with("M01"));
    }
    CHECK(valid > 0);
    CHECK(refused > valid);
}

TEST_CASE("fuzz: a sealed net is the same or refused") {
    std::mt19937_64 random(22);
    for (const NetSpec& spec : kNets) {
        const Model original = random_net(random, spec);
        const std::string text = to_json(original);
        for (int round = 0; round < fuzz_rounds(500); round++) {
            std::string changed = text;
            changed[random() % changed.size()] = static_cast<char>(' ' + random() % 95);
            const auto model = parse_model(changed);
            if (model) REQUIRE(*model == original);
        }
    }
}

TEST_CASE("fuzz: map values of nets") {
    std::mt19937_64 random(23);
    size_t valid = 0, refused = 0, proved = 0;
    for (int round = 0; round < fuzz_rounds(4000); round++) {
        const NetSpec& spec = kNets[static_cast<size_t>(round) % std::size(kNets)];
        const Model model = random_net(random, spec);
        const auto shape = smallest_class(model);
        REQUIRE(shape);
        auto value = lower_model(model, *shape);
        REQUIRE(value);
        for (uint64_t edits = 1 + random() % 3; edits > 0; edits--) {
            const size_t at = random() % (random() % 2 ? value->size() : std::min<size_t>(value->size(), 400));
            (*value)[at] = random() % 3 ? static_cast<uint8_t>(random()) : static_cast<uint8_t>((*value)[at] ^ (1 << random() % 8));
        }
        if (round % 16 == 0) value->resize(random() % value->size());
        const bool checked = check_value(*value, *shape).has_value();
        const auto verdict = rmt::verify::verify_model(*value, policy_of(model, *shape));
        checked ? valid++ : refused++;
        if (!verdict.rejected) proved++;
    }
    CHECK(valid > 0);
    CHECK(refused > 0);
    CHECK(proved > 0);
}

TEST_CASE("fuzz: float nets") {
    std::mt19937_64 random(24);
    size_t valid = 0, refused = 0;
    for (int round = 0; round < fuzz_rounds(3000); round++) {
        const NetSpec& spec = kNets[static_cast<size_t>(round) % std::size(kNets)];
        const std::string text = float_net_to_json(random_float_net(random, spec));
        if (round < static_cast<int>(std::size(kNets))) REQUIRE(parse_float_net(text));
        const auto net = parse_float_net(mutate(random, text));
        INFO(spec.name << ", round " << round);
        if (!net) {
            refused++;
            REQUIRE(net.error().message.starts_with("M01"));
            continue;
        }
        valid++;
        REQUIRE(check_float_net(*net));
        const auto again = parse_float_net(float_net_to_json(*net));
        REQUIRE(again);
        REQUIRE(*again == *net);
        QuantiseOptions options;
        for (uint32_t i = 0; i < net->inputs; i++) options.inputs.push_back({"x" + std::to_string(i), "i32", -200, 200, {}, 0});
        options.output = {OutputKind::Value, "i32", -(1 << 20), 1 << 20, {}};
        if (round % 2) options.bits = 8;
        for (int i = 0; i < 8; i++) {
            std::vector<int64_t> row;
            for (uint32_t k = 0; k < net->inputs; k++) row.push_back(pick(random, -200, 200));
            options.rows.push_back(std::move(row));
        }
        const auto made = quantise_net(*net, options);
        if (!made) {
            REQUIRE(made.error().message.starts_with("M0"));
            continue;
        }
        check_valid(made->model, random);
        if (made->bound) CHECK(made->largest_difference <= *made->bound);
    }
    CHECK(valid > 0);
    CHECK(refused > 0);
}

TEST_CASE("fuzz: float models, and nets as files of import") {
    std::mt19937_64 random(25);
    ImportOptions logistic;
    logistic.objective = "binary:logistic", logistic.base_score = {0.5};
    const FloatModel dump = import_float_model(
        R"([{"nodeid":0,"depth":0,"split":"f0","split_condition":3,"yes":1,"no":2,"missing":1,"children":[{"nodeid":1,"leaf":1.5},
{"nodeid":2,"depth":1,"split":"f1","split_condition":[1,4],"yes":4,"no":3,"missing":3,"children":[{"nodeid":3,"leaf":-1},{"nodeid":4,"leaf":7}]}]},{"nodeid":0,"leaf":2}])",
        logistic)->model;
    std::vector<std::string> forms = {to_json(dump)};
    for (const NetSpec& spec : kNets) forms.push_back(float_net_to_json(random_float_net(random, spec)));
    for (const std::string& form : forms) {
        size_t valid = 0, refused = 0;
        for (int round = 0; round < fuzz_rounds(700); round++) {
            const std::string bytes = mutate(random, form);
            ImportOptions options;
            options.decide = round % 2;
            for (int i = 0; i < (form == forms[0] ? 0 : 12); i++) options.inputs.push_back({"x" + std::to_string(i), "i32", -100, 100, {}, 0});
            if (const auto net = parse_float_net(bytes); net && form != forms[0]) options.inputs.resize(std::min<size_t>(net->inputs, 12));
            const auto report = import_model(bytes, options);
            report ? valid++ : refused++;
            INFO(bytes);
            if (report)
                check_valid(report->model, random);
            else
                REQUIRE(report.error().message.starts_with("M0"));
        }
        CHECK(valid > 0);
        CHECK(refused > 0);
    }
}

// A state folder that something damaged: the store says so or leaves out what cannot be read, and keeps what is whole.
TEST_CASE("fuzz: files of the store") {
    std::mt19937_64 random(26);
    char pattern[] = "/tmp/rmt-store-fuzz-XXXXXX";
    const fs::path root = mkdtemp(pattern);
    const Store store(root);
    const Model models[] = {random_model(random, {.depth = 2}), random_net(random, kNets[2]), random_model(random, {.depth = 3})};
    bool added = false;
    for (const Model& model : models) REQUIRE(store.add("m", model, added));
    REQUIRE(store.set_alias("m", "stable", 2));
    for (const Model& model : models) {
        HistoryEntry entry;
        entry.digest = model.digest, entry.who = "a", entry.how = "use", entry.name = "m";
        REQUIRE(store.append_history("p", "m", entry, to_json(model)));
    }
    const auto read = [](const fs::path& path) {
        std::ifstream in(path, std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(in), {}};
    };
    const fs::path files[] = {root / "models/m/aliases.json", root / "history/p/m/log.jsonl", root / "models/m/v2.json"};
    for (const fs::path& path : files) {
        const std::string whole = read(path);
        size_t refused = 0;
        for (int round = 0; round < fuzz_rounds(600); round++) {
            std::ofstream(path, std::ios::binary) << (round % 10 ? mutate(random, whole) : std::string(random() % 100, static_cast<char>(random())));
            INFO(path << ", round " << round);
            const auto found = store.find("m@stable");
            if (!found) {
                refused++;
                REQUIRE_FALSE(found.error().message.empty());
            } else if (const auto text = store.artefact(*found); text && !parse_model(*text)) {
                refused++;
            }
            (void)store.list();
            const auto history = store.history("p", "m");
            REQUIRE(history);
            if (history->size() < 3) refused++;
            for (size_t i = 0; i < history->size(); i++) {
                const auto before = before_in_history(*history, i);  // a step back always ends
                if (before) REQUIRE(*before < i);
                const auto text = store.history_artefact("p", "m", (*history)[i].digest);
                if (!text) REQUIRE_FALSE(text.error().message.empty());
            }
        }
        CHECK(refused > 0);
        std::ofstream(path, std::ios::binary) << whole;
        REQUIRE(store.find("m@stable"));
    }
    CHECK(store.history("p", "m")->size() == 3);
    fs::remove_all(root);
}
