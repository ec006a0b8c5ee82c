// SPDX-License-Identifier: MIT
// Damaged artefacts, foreign models, data sets and map values: an error or something valid, never a crash. Run it under
// RMT_SANITIZE=ON to also see what does not crash by itself. RMT_FUZZ_FACTOR multiplies the rounds.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "models/dataset.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/reference.h"
#include "tests/models/policy_of.h"
#include "tests/models/random_model.h"
#include "tests/fuzz/mutate.h"
#include "tests/rmt_test.h"
#include "verifier_ext/model_check.h"

using namespace rmt::models;

namespace {

using rmt::test::fuzz_rounds;
using rmt::test::mutate;

// The verifier, which knows nothing of models/, agrees with the value, and its range of answers holds every answer.
void check_verified(const Model& model, std::mt19937_64& random) {
    auto shape = smallest_class(model);
    if (!shape) {
        REQUIRE(shape.error().message.starts_with("M0208"));
        return;
    }
    auto value = lower_model(model, *shape);
    REQUIRE(value);
    auto verdict = rmt::verify::verify_model(*value, policy_of(model, *shape));
    if (verdict.rejected) {
        INFO(verdict.rejected->message);
        REQUIRE(verdict.rejected->id == "V0705");  // a tree that answers no input of the ranges at all
        return;
    }
    for (int i = 0; i < 8; i++) {
        auto answer = infer(model, random_inputs(random, model));
        if (answer) REQUIRE((*answer >= verdict.facts.out_min && *answer <= verdict.facts.out_max));
    }
}

void check_valid(const Model& model, std::mt19937_64& random) {
    REQUIRE(check_model(model));
    check_verified(model, random);
    auto again = parse_model(to_json(model));
    REQUIRE(again);
    REQUIRE(*again == model);
}

std::string without_digest(std::string text) {
    size_t at = text.find(",\n  \"digest\"");
    return at == std::string::npos ? text : text.substr(0, at) + "\n}\n";
}

}  // namespace

TEST_CASE("fuzz: artefacts") {
    std::mt19937_64 random(1);
    size_t valid = 0, refused = 0;
    for (int round = 0; round < fuzz_rounds(6000); round++) {
        RandomShape shape{.depth = static_cast<uint32_t>(1 + random() % 4), .inputs = static_cast<uint32_t>(1 + random() % 4), .span = 16};
        if (round % 4 == 1) shape.kind = ModelKind::Forest, shape.trees = 2, shape.shift = 3;
        if (round % 4 == 2) shape.missing = 1, shape.sets = 2;
        if (round % 4 == 3) shape.kind = ModelKind::Oblivious, shape.trees = 3, shape.missing = 1, shape.outputs = 2;
        std::string text = without_digest(to_json(random_model(random, shape)));
        auto model = parse_model(mutate(random, text));
        model ? valid++ : refused++;
        if (model)
            check_valid(*model, random);
        else
            REQUIRE(model.error().message.starts_with("M01"));
    }
    CHECK(valid > 0);
    CHECK(refused > valid);
}

TEST_CASE("fuzz: a sealed artefact is the same or refused") {
    std::mt19937_64 random(2);
    Model original = random_model(random, {.depth = 3, .inputs = 2, .span = 16});
    std::string text = to_json(original);
    for (int round = 0; round < fuzz_rounds(4000); round++) {
        std::string changed = text;
        changed[random() % changed.size()] = static_cast<char>(' ' + random() % 95);
        auto model = parse_model(changed);
        if (model) REQUIRE(*model == original);
    }
}

TEST_CASE("fuzz: foreign models") {
    std::mt19937_64 random(3);
    for (const char* name : {"xgb17_logistic.json", "xgb31_regression.json", "xgb30_forest.json"}) {
        std::ifstream file(std::string(RMT_MODEL_DATA) + "/" + name);
        const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        REQUIRE(text.size() > 1000);
        for (int round = 0; round < fuzz_rounds(1000); round++) {
            auto report = import_model(mutate(random, text), {});
            if (report) check_valid(report->model, random);
        }
    }
}

TEST_CASE("fuzz: data sets") {
    std::mt19937_64 random(4);
    std::string header = "{'descr': [('ts', '<u8'), ('deltas', '<i4', (4,)), ('comm', '|S16')], 'fortran_order': False, 'shape': (8,), }";
    header.resize(118, ' ');
    std::string npy = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(8 * 40, '\5');
    REQUIRE(parse_npy(npy));
    const std::string csv = "ts,\"deltas[0]\",comm\n1,-5,bash\n2,7,\"a,b\"\n3,9223372036854775807,x\n";
    REQUIRE(parse_csv(csv));
    const std::string jsonl = "{\"ts\":1,\"deltas\":[1,-2],\"comm\":\"a\"}\n{\"ts\":2,\"deltas\":[3,4],\"comm\":\"b\"}\n";
    REQUIRE(parse_jsonl(jsonl));
    for (int round = 0; round < fuzz_rounds(6000); round++) {
        auto read = round % 3 == 0   ? parse_npy(mutate(random, npy))
                    : round % 3 == 1 ? parse_csv(mutate(random, csv))
                                     : parse_jsonl(mutate(random, jsonl));
        if (!read) continue;
        for (const Column& column : read->columns) REQUIRE(column.values.size() == read->rows());
    }
}

TEST_CASE("fuzz: map values") {
    std::mt19937_64 random(5);
    size_t valid = 0, refused = 0;
    const RandomShape shapes[] = {{.depth = 4, .inputs = 3, .span = 16},
                                  {.depth = 6, .inputs = 3, .span = 16, .missing = 2, .sets = 3},
                                  {.kind = ModelKind::Forest, .trees = 4, .depth = 4, .inputs = 3, .span = 16},
                                  {.kind = ModelKind::Forest, .trees = 5, .depth = 4, .inputs = 20, .span = 16, .missing = 7, .outputs = 3},
                                  {.kind = ModelKind::Oblivious, .trees = 3, .depth = 5, .inputs = 3, .span = 16},
                                  {.kind = ModelKind::Oblivious, .trees = 4, .depth = 3, .inputs = 9, .span = 16, .sets = 3, .outputs = 2}};
    for (int round = 0; round < fuzz_rounds(6000); round++) {
        Model model = random_model(random, shapes[static_cast<size_t>(round) % std::size(shapes)]);
        check_verified(model, random);
        const rmt::ModelClass shape = *smallest_class(model);
        auto value = lower_model(model, shape);
        REQUIRE(value);
        // Half of the changes fall into the parts in front of the nodes.
        for (int i = 0; i < 2; i++) (*value)[random() % (random() % 2 ? value->size() : std::min<size_t>(value->size(), 600))] = static_cast<uint8_t>(random());
        const bool checked = check_value(*value, shape).has_value();
        (void)rmt::verify::verify_model(*value, policy_of(model, shape));
        checked ? valid++ : refused++;
    }
    CHECK(valid > 0);
    CHECK(refused > 0);
}
