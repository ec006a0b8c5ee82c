// SPDX-License-Identifier: MIT
#include "loader/agent/trail.h"

#include "tests/rmt_test.h"

using rmt::load::Trail;

namespace {

// Touches `pages` cyclically, evicting in batches of 32 as the agent does; returns the trail's length at the end.
size_t walk(Trail& trail, uint64_t pages, uint64_t touches) {
    for (uint64_t i = 0; i < touches; i++) {
        trail.touch(i % pages);
        if (i % 32 == 31)
            while (!trail.take(32, true).empty()) {
            }
    }
    return trail.length();
}

}  // namespace

TEST_CASE("a trail gives its oldest pages first, and keeps its length") {
    Trail trail(64);
    for (uint64_t p = 0; p < 95; p++) trail.touch(p);
    CHECK(trail.take(32, false).empty());
    trail.touch(95);
    const auto pages = trail.take(32, false);
    REQUIRE(pages.size() == 32);
    CHECK(pages.front() == 0);
    CHECK(pages.back() == 31);
    CHECK(trail.take(32, false).empty());
}

TEST_CASE("a scan longer than memory does not make the trail grow") {
    Trail trail(512);
    CHECK(walk(trail, 30000, 90000) == 512);
}

TEST_CASE("pages that come back soon make the trail grow until they stay, and a long calm lets it shrink") {
    Trail trail(512);
    CHECK(walk(trail, 1500, 60000) >= 1024);
    CHECK(walk(trail, 30000, 200000) == 512);
}
