// SPDX-License-Identifier: MIT
#include "bench/net/figures.h"

#include "tests/rmt_test.h"

using namespace rmt::net;

TEST_CASE("network figures: means, percentiles and Jain's index") {
    CHECK(mean({}) == 0);
    CHECK(mean({1, 2, 6}) == 3);
    struct Row {
        std::vector<double> values;
        double share, expected;
    };
    const Row rows[] = {
        {{}, 0.5, 0},         {{7}, 0.95, 7},       {{3, 1, 2}, 0.5, 2},        {{4, 3, 2, 1}, 0.5, 2},
        {{4, 3, 2, 1}, 0, 1}, {{4, 3, 2, 1}, 1, 4}, {{1, 2, 3, 4, 5}, 0.81, 5},
    };
    for (const auto& r : rows) {
        CAPTURE(r.values, r.share);
        CHECK(percentile(r.values, r.share) == r.expected);
    }
    CHECK(jain_index({}) == 0);
    CHECK(jain_index({0, 0}) == 0);
    CHECK(jain_index({5, 5, 5}) == 1);
    CHECK(jain_index({8, 0, 0, 0}) == 0.25);
    CHECK(jain_index({3, 1}) == 0.8);
}
