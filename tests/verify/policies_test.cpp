// SPDX-License-Identifier: MIT
// The inventory: every policy that is shipped goes from text to an accepted object, and its runs keep what was proved.
#include <filesystem>

#include "rmt_lang/check.h"
#include "rmt_lang/compile.h"
#include "rmt_lang/parser.h"
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
        auto source = Source::read(entry.path().string());
        REQUIRE(source);
        Diagnostics diagnostics;
        auto ast = lang::parse(*source, diagnostics);
        REQUIRE(ast);
        auto checked = lang::check(*ast, *source, diagnostics);
        REQUIRE(checked);
        auto compiled = lang::compile_policy(*checked, *source);
        REQUIRE(compiled);
        Verdict verdict = verify::verify(compiled->object, compiled->manifest);
        INFO(to_text(verdict, entry.path().filename().string()));
        REQUIRE(verdict.accepted());
        CHECK(verdict.facts()->facts.max_pages == compiled->manifest.limits.prefetch_per_event);

        Decoded decoded = decode(compiled->object);
        const ManifestLimits& limits = compiled->manifest.limits;
        Interpreter interpreter(decoded.object, mm_profile(), {limits.prefetch_per_event, limits.prefetch_rate, limits.prefetch_window_ns}, 3);
        for (const ProgramFacts& program : verdict.facts()->facts.programs) {
            if (program.max_insns > 1'000'000) continue;
            for (int i = 0; i < 2000; i++) {
                Observed seen = interpreter.run(program.name, program.max_insns + 1);
                INFO(program.name << " run " << i);
                REQUIRE(seen.violations.empty());
                REQUIRE(seen.finished);
                REQUIRE(seen.insns <= program.max_insns);
                REQUIRE(seen.sinks <= 1);
            }
        }
        // The function that acts, entered directly: most runs above end before it.
        uint64_t sinks = 0;
        for (int i = 0; i < 20'000; i++) {
            Observed seen = interpreter.run("rmt_emit");
            REQUIRE(seen.violations.empty());
            sinks += seen.sinks;
        }
        CHECK(sinks > 0);
    }
    CHECK(policies >= 3);
}
