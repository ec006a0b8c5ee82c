// SPDX-License-Identifier: MIT
// Swapping models while the engine runs: every answer is of the old or of the new model, never of a mixture.
#include <atomic>
#include <thread>

#include "tests/models/engine_host.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
using rmt::ModelClass;

namespace {

// A model whose every leaf is `value`. Its thresholds are far from it and the trees of two such models differ in shape, so a
// walk over a mixture ends at an inner node or at the other's leaf.
Model constant_model(std::mt19937_64& random, RandomShape shape, int32_t value) {
    Model model = random_model(random, shape);
    for (Tree& tree : model.trees)
        for (size_t i = 0; i < tree.size(); i++)
            if (tree.is_leaf(i)) tree.value[i] = value;
    model.base = 0;
    model.output.min = -(int64_t{1} << 40);  // the sum of a forest is not clamped
    model.output.max = int64_t{1} << 40;
    seal(model);
    return model;
}

void swap_under_load(ModelClass shape, RandomShape random_shape, int swaps) {
    Engine engine(RMT_ENGINE_DIR, shape);
    if (engine.lacks_permission()) RMT_SKIP("may not load BPF programs: " + engine.error());
    REQUIRE(engine.error() == "");
    std::mt19937_64 random(11);
    random_shape.complete = true;
    Model first = constant_model(random, random_shape, 111000001);
    random_shape.complete = false;
    Model second = constant_model(random, random_shape, 222000002);
    auto a = lower_model(first, shape), b = lower_model(second, shape);
    REQUIRE(a);
    REQUIRE(b);
    auto trees = static_cast<int64_t>(random_shape.trees);
    engine.watch()->allowed[0] = 111000001 * trees;
    engine.watch()->allowed[1] = 222000002 * trees;
    for (uint32_t i = 0; i < kEngineRows; i++)
        for (size_t k = 0; k < random_shape.inputs; k++)
            engine.rows()[i].input[k] = static_cast<int32_t>(between(random, -random_shape.span, random_shape.span));
    REQUIRE(engine.swap(*a) == 0);

    std::atomic<bool> done = false;
    std::atomic<int> failed = 0;
    std::thread swapper([&] {
        for (int i = 0; i < swaps && failed == 0; i++) failed = engine.swap(i % 2 ? *a : *b);
        done = true;
    });
    int64_t ran = 0;
    do ran = engine.run(engine.program("watched"), 50000);
    while (!done && ran >= 0);
    swapper.join();
    REQUIRE(ran >= 0);
    CHECK(failed == 0);
    CHECK(engine.watch()->runs >= 50000);
    CHECK(engine.watch()->torn == 0);
}

}  // namespace

TEST_CASE("a tree is swapped under load without a torn answer") {
    swap_under_load({1, 8, 1024}, {.depth = 8, .inputs = 4, .span = 64}, 40);
}

TEST_CASE("a forest is swapped under load without a torn answer") {
    RandomShape shape{.kind = ModelKind::Forest, .trees = 16, .depth = 6, .inputs = 4, .span = 64};
    swap_under_load({16, 8, 4096}, shape, 40);
}
