// SPDX-License-Identifier: MIT
// Damaged artefacts, foreign models, data sets and map values: an error or something valid, never a crash. Run it under
// RMT_SANITIZE=ON to also see what does not crash by itself. RMT_FUZZ_ROUNDS raises the number of rounds.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "models/dataset.h"
#include "models/import.h"
#include "models/lower.h"
#include "models/reference.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

int rounds(int normal) {
    const char* given = std::getenv("RMT_FUZZ_ROUNDS");
    return given ? std::atoi(given) : normal;
}

std::string mutate(std::mt19937_64& random, std::string text) {
    static const char* kTokens[] = {"-1",   "0",    "2147483648", "-2147483649", "99999999999999999999", "1e400", "NaN", "null", "[]", "{}",
                                    "\"\"", "true", "1.5",        "[[[[[[[["};
    for (uint64_t edits = 1 + random() % 4; edits > 0 && !text.empty(); edits--) {
        size_t at = random() % text.size();
        switch (random() % 6) {
            case 0:
                text[at] = static_cast<char>(random());
                break;
            case 1:
                text.erase(at, 1 + random() % 8);
                break;
            case 2:
                text.insert(at, text.substr(random() % text.size(), random() % 32));
                break;
            case 3:
                text.resize(at);
                break;
            case 4: {  // a number becomes another token
                size_t digit = text.find_first_of("0123456789", at);
                if (digit == std::string::npos) break;
                size_t end = text.find_first_not_of("0123456789", digit);
                text.replace(digit, (end == std::string::npos ? text.size() : end) - digit, kTokens[random() % std::size(kTokens)]);
                break;
            }
            case 5:
                if (text[at] >= '0' && text[at] <= '9') text[at] = static_cast<char>('0' + random() % 10);
                break;
        }
    }
    return text;
}

void check_valid(const Model& model, std::mt19937_64& random) {
    REQUIRE(check_model(model));
    for (int i = 0; i < 4; i++) (void)infer(model, random_inputs(random, model));
    REQUIRE(lower_model(model, smallest_class(model)));
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
    for (int round = 0; round < rounds(6000); round++) {
        RandomShape shape{.depth = static_cast<uint32_t>(1 + random() % 4), .inputs = static_cast<uint32_t>(1 + random() % 4), .span = 16};
        if (round % 2) shape.kind = ModelKind::Forest, shape.trees = 2, shape.shift = 3;
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
    for (int round = 0; round < rounds(4000); round++) {
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
        for (int round = 0; round < rounds(1000); round++) {
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
    for (int round = 0; round < rounds(6000); round++) {
        auto read = round % 3 == 0   ? parse_npy(mutate(random, npy))
                    : round % 3 == 1 ? parse_csv(mutate(random, csv))
                                     : parse_jsonl(mutate(random, jsonl));
        if (!read) continue;
        for (const Column& column : read->columns) REQUIRE(column.values.size() == read->rows());
    }
}

TEST_CASE("fuzz: map values") {
    std::mt19937_64 random(5);
    size_t valid = 0;
    for (int round = 0; round < rounds(6000); round++) {
        RandomShape shape{.depth = 4, .inputs = 3, .span = 16};
        if (round % 2) shape.kind = ModelKind::Forest, shape.trees = 4;
        Model model = random_model(random, shape);
        auto value = lower_model(model, smallest_class(model));
        REQUIRE(value);
        for (int i = 0; i < 2; i++) (*value)[random() % value->size()] = static_cast<uint8_t>(random());
        valid += check_value(*value, smallest_class(model)).has_value();
    }
    CHECK(valid > 0);
}
