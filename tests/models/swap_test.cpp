// SPDX-License-Identifier: MIT
// Swapping models while the engine runs: every answer is of the old or of the new model, never of a mixture. The same check
// on a map that is rewritten while it is in use finds mixtures: it can fail.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/models/engine_host.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
using rmt::EngineKind;
using rmt::ModelClass;

namespace {

constexpr int64_t kFirst = 111000001, kSecond = 222000002;

struct Case {
    const char* name;
    ModelClass shape;
    RandomShape first, second;
};

// The two models of a case differ in shape, so that their nodes lie in different places: a walk over a mixture of the two
// mostly ends at no leaf at all, and the sum over several trees mixes both values.
const Case kCases[] = {
    {"tree in blocks", {1, 8, 1024}, {.depth = 8, .inputs = 4, .span = 64, .complete = true}, {.depth = 8, .inputs = 4, .span = 64}},
    {"forest",
     {16, 8, 4096, EngineKind::Forest},
     {.kind = ModelKind::Forest, .trees = 16, .depth = 6, .inputs = 4, .span = 64, .complete = true},
     {.kind = ModelKind::Forest, .trees = 16, .depth = 7, .inputs = 4, .span = 64}},
    {"oblivious trees",
     {16, 8, 4096, EngineKind::Oblivious},
     {.kind = ModelKind::Oblivious, .trees = 16, .depth = 8, .inputs = 4, .span = 64, .complete = true},
     {.kind = ModelKind::Oblivious, .trees = 16, .depth = 6, .inputs = 4, .span = 64, .complete = true}},
};

struct Values {
    std::vector<uint8_t> first, second;
};

Values prepare(Engine& engine, const Case& c) {
    std::mt19937_64 random(11);
    auto first = lower_model(constant_model(random, c.first, kFirst), c.shape);
    auto second = lower_model(constant_model(random, c.second, kSecond), c.shape);
    REQUIRE((first ? "" : first.error().message) == "");
    REQUIRE((second ? "" : second.error().message) == "");
    engine.watch()->allowed[0] = kFirst * static_cast<int64_t>(c.first.trees);
    engine.watch()->allowed[1] = kSecond * static_cast<int64_t>(c.second.trees);
    for (uint32_t i = 0; i < kEngineRows; i++)
        for (uint32_t k = 0; k < c.first.inputs; k++)
            engine.row(i)[k] = static_cast<int32_t>(between(random, -c.first.span, c.first.span));
    REQUIRE(engine.swap(*first) == 0);
    return {*first, *second};
}

}  // namespace

TEST_CASE("10 million inferences during 1000 swaps: no torn answer") {
    constexpr int kSwaps = 1000;
    constexpr uint64_t kRuns = 10'000'000;
    for (const Case& c : kCases) {
        INFO(c.name);
        Engine engine(RMT_ENGINE_DIR, c.shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        const Values values = prepare(engine, c);
        std::atomic<bool> enough = false;
        std::atomic<int> failed = 0, swaps = 0;
        std::thread swapper([&] {
            for (int i = 0; failed == 0 && (i < kSwaps || !enough); i++, swaps++) failed = engine.swap(i % 2 ? values.first : values.second);
        });
        int64_t ran = 0;
        while (ran >= 0 && failed == 0 && (engine.watch()->runs < kRuns || swaps < kSwaps)) {
            ran = engine.run(engine.program("watched"), 50000);
            enough = engine.watch()->runs >= kRuns;
        }
        enough = true;
        swapper.join();
        REQUIRE(ran >= 0);
        CHECK(failed == 0);
        CHECK(swaps >= kSwaps);
        CHECK(engine.watch()->runs >= kRuns);
        CHECK(engine.watch()->torn == 0);
    }
}

TEST_CASE("a value that is rewritten in use tears, and the check sees it") {
    if (std::thread::hardware_concurrency() < 2) RMT_SKIP("one processor: nothing runs while the map is written");
    for (const Case& c : kCases) {
        INFO(c.name);
        Engine engine(RMT_ENGINE_DIR, c.shape);
        if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
        REQUIRE(engine.error() == "");
        const Values values = prepare(engine, c);
        std::atomic<bool> done = false;
        std::atomic<int> failed = 0;
        std::thread writer([&] {
            for (int i = 0; !done && failed == 0; i++) failed = engine.overwrite(i % 2 ? values.first : values.second);
        });
        // Almost always at once; the limit only ends a test that is about to fail.
        int64_t ran = 0;
        for (int i = 0; i < 2000 && ran >= 0 && engine.watch()->torn == 0; i++) ran = engine.run(engine.program("watched"), 20000);
        done = true;
        writer.join();
        REQUIRE(ran >= 0);
        CHECK(failed == 0);
        CHECK(engine.watch()->torn > 0);
    }
}
