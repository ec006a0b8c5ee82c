// SPDX-License-Identifier: MIT
// Whole objects: what must be accepted, and one object for each fault with the one id that it must give.
#include <algorithm>

#include "tests/rmt_test.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

TEST_CASE("the sample is accepted, with the bounds that its source shows") {
    Verdict verdict = verify::verify(read_sample("sample"), sample_manifest());
    INFO(to_text(verdict, "sample.rmt"));
    REQUIRE(verdict.accepted());
    const Facts& facts = verdict.facts()->facts;
    CHECK(facts.max_pages == 32);
    CHECK(facts.rate == 50000);
    CHECK(facts.window_ns == 1'000'000'000);
    REQUIRE(facts.programs.size() == 2);
    CHECK(facts.programs[0].runs_policy);
    CHECK(facts.programs[0].max_sinks == 1);
    CHECK(facts.programs[0].max_calls.at("bpf_ringbuf_output") == 2);  // the act, and pages passed
    // An entry matches at the sixteenth step at the latest; only then are there pages, 32 and the step that ends the loop.
    CHECK(facts.programs[0].max_calls.at("bpf_iter_num_next") == 16 + 32 + 1);
    REQUIRE(facts.loops.size() == 2);
    CHECK(facts.loops[0].bound + facts.loops[1].bound == 48);
}

TEST_CASE("other ways to write the same are accepted") {
    for (std::string name : {"MODE_BOOL", "MODE_SPILLED", "CLAMP_RETURN", "LOOP_CONSTANT", "LOOP_COUNTED", "SIGN_MASK"}) {
        Verdict verdict = verify::verify(read_sample("variant_" + name), sample_manifest());
        INFO(name << "\n" << to_text(verdict, "sample.rmt"));
        CHECK(verdict.accepted());
    }
}

TEST_CASE("a counted loop is bounded by its constant") {
    Verdict verdict = verify::verify(read_sample("variant_LOOP_COUNTED"), sample_manifest());
    INFO(to_text(verdict, "sample.rmt"));
    REQUIRE(verdict.accepted());
    std::vector<uint64_t> bounds;
    for (const LoopFact& loop : verdict.facts()->facts.loops) bounds.push_back(loop.bound);
    std::sort(bounds.begin(), bounds.end());
    CHECK(bounds == std::vector<uint64_t>{4, 8, 16});
}

TEST_CASE("the library and the founding policy, as written by hand, are accepted") {
    Verdict verdict = verify::verify(read_sample("handwritten"), handwritten_manifest());
    INFO(to_text(verdict, "learned_prefetch.rmt"));
    CHECK(verdict.accepted());
}

TEST_CASE("each fault is refused for what it is") {
    auto list = faults();
    CHECK(list.size() >= 25);
    for (auto& [name, id] : list) {
        Verdict verdict = verify::verify(read_sample("fault_" + name), sample_manifest());
        INFO(name << "\n" << to_text(verdict, "sample.rmt"));
        CHECK(verdict.id() == id);
    }
}
