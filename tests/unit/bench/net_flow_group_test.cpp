// SPDX-License-Identifier: MIT
#include "bench/net/flow_group.h"

#include <set>

#include "tests/rmt_test.h"

using namespace rmt::net;

TEST_CASE("flow: groups are read, and what is none is refused") {
    const auto g = parse_bulk("4,cubic,/sys/fs/cgroup/x");
    REQUIRE(g);
    CHECK(g->flows == 4);
    CHECK(g->control == "cubic");
    CHECK(g->cgroup == "/sys/fs/cgroup/x");
    const auto left = parse_bulk("1,");
    REQUIRE(left);
    CHECK(left->control.empty());
    const auto s = parse_short("30000,500,bbr");
    REQUIRE(s);
    CHECK(s->flows == 0);
    CHECK(s->bytes == 30000);
    CHECK(s->every_ns == 500'000'000);
    for (const char* text : {"", "cubic", "4", "0,cubic", "-1,cubic", "4x,cubic", "1,a,b,c", "1,sixteen_letters_"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_bulk(text));
    }
    for (const char* text : {"", "30000,500", "0,500,bbr", "30000,0,bbr", "30000,500,bbr,x,y"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_short(text));
    }
}

TEST_CASE("flow: a control that the kernel lacks is named, with those that it has") {
    const auto s = make_socket(AF_INET, "no_such_cc");
    REQUIRE_FALSE(s);
    CHECK(s.error().kind == rmt::ErrorKind::Unsupported);
    CHECK_THAT(s.error().message, ContainsSubstring("no congestion control 'no_such_cc'"));
    CHECK_THAT(s.error().message, ContainsSubstring("reno"));
}

TEST_CASE("flow: starts are in order, within the stagger, and differ by seed") {
    std::set<int64_t> first;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Schedule s;
        s.start_ns = 1000;
        s.stagger_ns = 100'000'000;
        s.seed = seed;
        for (int i = 0; i < 8; i++) {
            CHECK(s.start_of(i) >= s.start_ns + i * s.stagger_ns);
            CHECK(s.start_of(i) < s.start_ns + (i + 1) * s.stagger_ns);
            CHECK(s.start_of(i) == Schedule(s).start_of(i));
        }
        first.insert(s.start_of(0));
    }
    CHECK(first.size() == 5);
}

TEST_CASE("flow: what is no cgroup cannot be entered") {
    const auto r = enter_cgroup("/proc/self/no_such_cgroup");
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().message, ContainsSubstring("cgroup v2"));
}
