// SPDX-License-Identifier: MIT
// The inventory: every policy that is shipped goes from text to an accepted object, and its runs keep what was proved.
#include <filesystem>

#include "tests/compile.h"
#include "tests/rmt_test.h"
#include "tests/verify/interpreter.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

TEST_CASE("every shipped policy is accepted, and its runs stay within the proof") {
    int policies = 0;
    for (auto& entry : std::filesystem::directory_iterator(std::string(RMT_SOURCE_DIR) + "/policies")) {
        if (entry.path().extension() != ".rmt") continue;
        policies++;
        INFO(entry.path().filename());
        auto compiled = rmt::test::compile_file(entry.path().string());
        if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
        Verdict verdict = verify::verify(compiled->object, compiled->manifest);
        INFO(to_text(verdict, entry.path().filename().string()));
        REQUIRE(verdict.accepted());
        const bool writes = compiled->manifest.domain == "tcp";
        if (!writes) CHECK(verdict.facts()->facts.max_pages == compiled->manifest.limits.prefetch_per_event);

        Decoded decoded = decode(compiled->object);
        Interpreter interpreter(decoded.object, profile_of(compiled->manifest.domain), promises_of(compiled->manifest), 3);
        for (const ProgramFacts& program : verdict.facts()->facts.programs) {
            if (program.max_insns > 1'000'000) continue;
            for (int i = 0; i < 2000; i++) {
                Observed seen = interpreter.run(program.name, program.max_insns + 1);
                INFO(program.name << " run " << i);
                INFO((seen.violations.empty() ? "" : seen.violations[0]));
                REQUIRE(seen.violations.empty());
                REQUIRE(seen.finished);
                REQUIRE(seen.insns <= program.max_insns);
                REQUIRE(seen.sinks <= program.max_sinks);
            }
        }
        // The function that acts, entered directly: most runs above end before it.
        uint64_t sinks = 0;
        for (int i = 0; i < 20'000; i++) {
            Observed seen = interpreter.run(writes ? "rmt_act" : "rmt_emit");
            INFO((seen.violations.empty() ? "" : seen.violations[0]));
            REQUIRE(seen.violations.empty());
            sinks += writes ? seen.kernel_stores : seen.sinks;
        }
        CHECK(sinks > 0);
    }
    CHECK(policies >= 3);
}

// clang may drop a bound in a writer that all its callers keep already: each base calls them in other ways.
TEST_CASE("a policy over each base of domain tcp, on each event, is accepted") {
    for (const std::string base : {"", "base \"reno\";", "base \"cubic\";", "base \"bbr\";"})
        for (const std::string event : {"established", "ack", "round", "loss", "rto"})
            for (const std::string set : {"cwnd = max(cwnd, 10);", "cwnd = cwnd - tcp.lost * 100; ssthresh = tcp.bdp;", "pacing = tcp.rate;"}) {
                const auto compiled = rmt::test::compile_text("rmt 1;\npolicy p {\n domain tcp; " + base + "\n limit { cwnd in 4..1000; }\n on tcp." + event + " { " + set + " }\n}\n", "p.rmt");
                if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
                const Verdict verdict = verify::verify(compiled->object, compiled->manifest);
                INFO(base << event << set << "\n" << to_text(verdict, "p.rmt"));
                CHECK(verdict.accepted());
            }
}

// clang makes a mask of a sign where it sees one; the emitter does not let it, and what a person writes as a mask is refused.
TEST_CASE("conditions on signs become no masks of constants") {
    const auto verdict_of = [](const std::string& statements) {
        const auto compiled = rmt::test::compile_text("rmt 1;\npolicy p {\n domain mm;\n state per task { n : i64; d : i32; g : i64; f : i64; }\n"
                                     " action go(depth: i16) { if (depth < 0) { n = 6; } else { n = 0; } prefetch(fault.page + n); }\n"
                                     " table t { key { fault.delta : range; } actions { go; } default go(1); }\n on mm.fault {\n" +
                                         statements + "\n apply t; }\n}\n", "p.rmt");
        if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
        return verify::verify(compiled->object, compiled->manifest);
    };
    for (const char* statements : {
             "var k = 0; if (fault.delta < 0) { k = 5; } n = k;",
             "if (g < 0) { f = 5; } else { f = 0; }",
             "if (g >= 0) { f = 0; } else { f = 5; }",
             "if (-1 < g) { f = 0; } else { f = 3; }",
             "if (g <= -1 && d < 0) { f = 3; } else { f = 0; } if (f == 3 || 0 > d) { n = 9; } else { n = 0; }",
             "let a = fault.delta < 0; let b = g < 0; if (a == b) { n = 5; } else { n = 0; } if (b) { d = 6; } else { d = 0; }",
             "match g { -4..-1 => { d = 5; } 0..9 => { d = 0; } _ => { d = 1; } }",
             "match g { -9223372036854775807..-1 => { d = 5; } _ => { d = 0; } }",
             "f = abs(g); d = max(d, 0) & 12; g = i8(g); n = min(g, 0) & 6; f = (g / 3) % 7; d = g << 3; d = d >> 31;",
         }) {
        const Verdict verdict = verdict_of(statements);
        INFO(statements << "\n" << to_text(verdict, "p.rmt"));
        CHECK(verdict.accepted());
    }
    CHECK(verdict_of("f = g >> 63 & 5;").id() == "V0109");
    CHECK(verdict_of("d = d >> 63 & 5;").id() == "V0109");
}
