// SPDX-License-Identifier: MIT
#include "rmt_lang/support/diagnostics.h"

#include "tests/rmt_test.h"

using namespace rmt;

TEST_CASE("a place in a source is told by line and column") {
    const Source source("a.rmt", "one\n\ttwo\r\nthree");
    CHECK(source.position(0) == Position{1, 1});
    CHECK(source.position(5) == Position{2, 2});
    CHECK(source.line(2) == "\ttwo");
    CHECK(source.position(14) == Position{3, 5});
    CHECK(source.line(4).empty());
}

TEST_CASE("a diagnostic shows both places in the order of the text") {
    const Source source("s.rmt", "first entry\nsecond entry\n");
    Diagnostic d{"E0401", Severity::Error, "this entry can never match", Label{{12, 18}, "unreachable"},
                 Label{{0, 5}, "this earlier entry already covers it"}, {}, "move it above that entry"};
    CHECK(format(d, source) ==
          "error[E0401]: this entry can never match\n"
          " --> s.rmt:2:1\n"
          "  |\n"
          "1 | first entry\n"
          "  | ~~~~~ this earlier entry already covers it\n"
          "2 | second entry\n"
          "  | ^^^^^^ unreachable\n"
          "  = help: move it above that entry\n");
}

TEST_CASE("the nearest name is suggested, and none when all are far") {
    CHECK(closest("fault.dleta", {"fault.page", "fault.delta", "comm"}) == "fault.delta");
    CHECK(closest("zzz", {"fault.page", "comm"}).empty());
}

TEST_CASE("errors past the limit are counted, not kept") {
    Diagnostics diagnostics;
    for (int i = 0; i < 25; i++) diagnostics.error("E0001", {0, 1}, "x");
    CHECK(diagnostics.all().size() == Diagnostics::kMaxErrors);
    CHECK(diagnostics.error_count() == 25);
    CHECK_THAT(format(diagnostics, Source("x", "y")), ContainsSubstring("5 more errors"));
}
