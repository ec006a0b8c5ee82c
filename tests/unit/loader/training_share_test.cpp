// SPDX-License-Identifier: MIT
#include "loader/agent/training_share.h"

#include "tests/rmt_test.h"

using rmt::load::TrainingShare;

TEST_CASE("training share: from the first training on, no more than the share of the time") {
    for (const uint32_t percent : {1u, 20u, 50u, 100u}) {
        TrainingShare share(percent);
        uint64_t now = 5'000'000, cpu = 0;
        CHECK(share.allows(now));
        const uint64_t began = now;
        for (int i = 0; i < 1000; i++) {
            const uint64_t took = 1000 + static_cast<uint64_t>(i * 7919 % 50000);
            while (!share.allows(now)) now += 100;
            CHECK(cpu * 100 <= (now - began) * percent);
            share.took(now, took);
            cpu += took;
            now += took;
        }
        CHECK(share.trainings() == 1000);
        CHECK(share.cpu_ns() == cpu);
        CHECK(cpu * 100 >= (now - began) * percent * 9 / 10);  // and not much less
    }
}

TEST_CASE("training share: a share outside of 1..100 is the nearest one") {
    TrainingShare none(0), more(400);
    none.took(0, 10), more.took(0, 10);
    CHECK_FALSE(none.allows(999));
    CHECK(none.allows(1000));
    CHECK(more.allows(10));
}
