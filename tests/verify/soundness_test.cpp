// SPDX-License-Identifier: MIT
// What the verifier accepts is run: no run may execute more than was proved, act more often, or act outside of what was
// promised. Then the same for every small change of the code that guards the sink.
#include <fmt/format.h>

#include <cstring>
#include <set>

#include "tests/rmt_test.h"
#include "tests/verify/interpreter.h"
#include "tests/verify/mutants.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

namespace {

Promises promises(const Manifest& m) { return promises_of(m); }

struct Closest {
    double insns = 0;
    uint64_t sinks = 0;
};

// Runs each program of an accepted object; returns how near to the bound the longest run came.
Closest check_runs(const std::vector<uint8_t>& bytes, const Manifest& manifest, const Verdict& verdict, int runs) {
    Decoded decoded = decode(bytes);
    Closest closest;
    Interpreter interpreter(decoded.object, mm_profile(), promises(manifest), 7);
    for (const ProgramFacts& program : verdict.facts()->facts.programs) {
        if (program.max_insns > 1'000'000) continue;  // a tool; its loop is tried by its own bound below
        for (int i = 0; i < runs; i++) {
            Observed seen = interpreter.run(program.name, program.max_insns + 1);
            INFO(program.name << " run " << i);
            REQUIRE(seen.violations.empty());
            REQUIRE(seen.finished);
            REQUIRE(seen.insns <= program.max_insns);
            REQUIRE(seen.sinks <= program.max_sinks);
            for (auto& [name, count] : seen.calls) {
                INFO(name);
                auto bound = program.max_calls.find(name);
                REQUIRE(bound != program.max_calls.end());
                REQUIRE(count <= bound->second);
            }
            closest.insns = std::max(closest.insns, double(seen.insns) / double(program.max_insns));
            closest.sinks += seen.sinks;
        }
    }
    return closest;
}

struct Score {
    int mutants = 0, refused = 0, accepted = 0, harmful = 0;
    std::vector<std::string> missed;  // accepted, and a run broke a promise
};

Score mutate(const std::string& sample, const Manifest& manifest, const std::string& function, int runs, int every) {
    Score score;
    auto bytes = read_sample(sample);
    auto [at, size] = find_code(bytes, function);
    for (size_t pos = at; pos < at + size; pos += 8) {
        bpf_insn original;
        std::memcpy(&original, bytes.data() + pos, 8);
        for (const bpf_insn& mutant : mutants_of(original)) {
            if (++score.mutants % every) continue;
            auto changed = bytes;
            std::memcpy(changed.data() + pos, &mutant, 8);
            Verdict verdict = verify::verify(changed, manifest);
            Decoded decoded = decode(changed);
            bool harmful = false;
            if (!decoded.rejected) {
                Interpreter interpreter(decoded.object, mm_profile(), promises(manifest), pos);
                for (int i = 0; i < runs && !harmful; i++) {
                    Observed seen = interpreter.run(function, 20'000);
                    harmful = !seen.violations.empty() || seen.sinks > 1;
                    if (!harmful || !verdict.accepted()) continue;
                    score.missed.push_back(fmt::format("{} instruction {} as {:02x} {}{} {} {}: {}", function, (pos - at) / 8, mutant.code, int(mutant.src_reg),
                                                       int(mutant.dst_reg), mutant.off, mutant.imm, seen.violations.empty() ? "two acts" : seen.violations[0]));
                }
            }
            score.harmful += harmful;
            (verdict.accepted() ? score.accepted : score.refused)++;
        }
    }
    return score;
}

}  // namespace

TEST_CASE("no run of an accepted program exceeds what was proved") {
    for (std::string name : {"sample", "variant_MODE_BOOL", "variant_MODE_SPILLED", "variant_CLAMP_RETURN", "variant_LOOP_CONSTANT", "variant_LOOP_COUNTED"}) {
        INFO(name);
        auto bytes = read_sample(name);
        Verdict verdict = verify::verify(bytes, sample_manifest());
        REQUIRE(verdict.accepted());
        Closest closest = check_runs(bytes, sample_manifest(), verdict, 20'000);
        CHECK(closest.sinks > 0);      // the runs reach the sink,
        CHECK(closest.insns > 0.5);    // and the bound is not far from what happens
    }
    auto bytes = read_sample("handwritten");
    Verdict verdict = verify::verify(bytes, handwritten_manifest());
    REQUIRE(verdict.accepted());
    check_runs(bytes, handwritten_manifest(), verdict, 3'000);
}

// Faults that the verifier refuses and a run can show: the interpreter is able to see them.
TEST_CASE("the promises that the runs watch are broken by the faults") {
    for (auto& [name, id] : faults()) {
        if (id != "V0401" && id != "V0402" && id != "V0404" && id != "V0501" && id != "V0503" && id != "V0504" && id != "V0601" && id != "V0602") continue;
        if (name == "EMIT_TWICE") continue;  // two calls of a correct function
        if (name == "PASSED_MODE") continue; // in another function
        if (name == "CLAMP_BEFORE_TAKE" || name == "CLAMP_OTHER") continue;  // safe as long as the bucket is: the order is what is refused
        Decoded decoded = decode(read_sample("fault_" + name));
        REQUIRE(!decoded.rejected);
        Interpreter interpreter(decoded.object, mm_profile(), promises(sample_manifest()), 11);
        bool seen = false;
        for (int i = 0; i < 100'000 && !seen; i++) {
            Observed run = interpreter.run("rmt_emit");
            seen = !run.violations.empty() || run.sinks > 1;
        }
        INFO(name);
        CHECK(seen);
    }
}

namespace {

void check_mutants(const std::string& sample, const Manifest& manifest, const std::string& function, int runs, int every) {
    Score score = mutate(sample, manifest, function, runs, every);
    std::printf("%s, %s: %d mutants, %d refused, %d accepted, %d harmful in some run\n", sample.c_str(), function.c_str(), score.mutants, score.refused,
                score.accepted, score.harmful);
    for (auto& line : score.missed) UNSCOPED_INFO(line);
    CHECK(score.missed.empty());
    CHECK(score.harmful > 10);
}

}  // namespace

TEST_CASE("every change of the sample's guarding code that breaks a promise is refused") {
    for (std::string function : {"rmt_emit", "rmt_mode_now", "rmt_take", "rmt_note_passed"}) check_mutants("sample", sample_manifest(), function, 300, 1);
}

// Of a function with counted loops: what is accepted stays within its own proof; what is refused does not always stay within the original's.
TEST_CASE("every change of a counted loop is refused, or its runs stay within the proof") {
    const std::string sample = "variant_LOOP_COUNTED";
    const auto bytes = read_sample(sample);
    const Verdict original = verify::verify(bytes, sample_manifest());
    REQUIRE(original.accepted());
    const auto [at, size] = find_code(bytes, "rmt_on_fault");
    const ProgramFacts& program = original.facts()->facts.programs[0];
    int mutants = 0, accepted = 0, endless = 0;
    for (size_t pos = at; pos < at + size; pos += 8) {
        bpf_insn insn;
        std::memcpy(&insn, bytes.data() + pos, 8);
        for (const bpf_insn& mutant : mutants_of(insn)) {
            mutants++;
            auto changed = bytes;
            std::memcpy(changed.data() + pos, &mutant, 8);
            const Verdict verdict = verify::verify(changed, sample_manifest());
            INFO(fmt::format("instruction {} as {:02x} {}{} {} {}", (pos - at) / 8, mutant.code, int(mutant.src_reg), int(mutant.dst_reg), mutant.off, mutant.imm));
            if (verdict.accepted()) {
                accepted++;
                check_runs(changed, sample_manifest(), verdict, 20);
                continue;
            }
            const Decoded decoded = decode(changed);
            if (decoded.rejected) continue;
            Interpreter interpreter(decoded.object, mm_profile(), promises(sample_manifest()), pos);
            bool longer = false;
            for (int i = 0; i < 20 && !longer; i++) longer = interpreter.run(program.name, program.max_insns + 1).insns > program.max_insns;
            endless += longer;
        }
    }
    std::printf("%s: %d mutants, %d accepted, %d of the refused ones run longer\n", sample.c_str(), mutants, accepted, endless);
    CHECK(accepted > 10);
    CHECK(endless > 10);
}

TEST_CASE("every change of the library's guarding code that breaks a promise is refused") {
    // A third of them: the object is larger, and the shape is the sample's.
    for (std::string function : {"rmt_emit", "rmt_mode_now", "rmt_take"}) check_mutants("handwritten", handwritten_manifest(), function, 100, 3);
}
