// SPDX-License-Identifier: MIT
// Objects that were damaged: any answer but a crash, and never "accepted" for one that then breaks a promise.
#include <random>

#include "tests/rmt_test.h"
#include "tests/verify/interpreter.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

namespace {

std::string answer(const std::vector<uint8_t>& bytes) {
    Verdict verdict = verify::verify(bytes, sample_manifest());
    to_json(verdict);
    to_text(verdict, "sample.rmt");
    return verdict.id();
}

}  // namespace

TEST_CASE("an object that is cut off is refused as a file") {
    auto bytes = read_sample("sample");
    REQUIRE(bytes.size() > 1000);
    for (size_t size = 0; size < bytes.size(); size += size < 128 ? 1 : 211) {
        std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
        INFO(size);
        CHECK(answer(cut) == "V0001");
    }
    CHECK(answer({}) == "V0001");
}

TEST_CASE("something else than a BPF object is refused as a file") {
    CHECK(answer(std::vector<uint8_t>(4096, 0)) == "V0001");
    CHECK(answer(std::vector<uint8_t>(4096, 0xff)) == "V0001");
    auto bytes = read_sample("sample");
    bytes[18] = 62;  // e_machine: x86-64
    CHECK(answer(bytes) == "V0001");
}

TEST_CASE("bytes changed at random: no crash, and what is accepted keeps its promises") {
    auto original = read_sample("sample");
    std::mt19937 random(20261124);
    Manifest manifest = sample_manifest();
    Promises promises{manifest.limits.prefetch_per_event, manifest.limits.prefetch_rate, manifest.limits.prefetch_window_ns};
    int accepted = 0, rounds = 6000;
    for (int round = 0; round < rounds; round++) {
        auto bytes = original;
        for (uint32_t n = 1 + random() % 4; n > 0; n--) {
            // the table of sections at the end and the code at the beginning are where a byte matters most
            size_t at = round % 3 == 0 ? random() % 0x1000 : round % 3 == 1 ? bytes.size() - 1 - random() % 4096 : random() % bytes.size();
            bytes[at % bytes.size()] = random() % 4 == 0 ? static_cast<uint8_t>(0xff) : static_cast<uint8_t>(random());
        }
        Verdict verdict = verify::verify(bytes, manifest);
        to_json(verdict);
        to_text(verdict, "sample.rmt");
        if (!verdict.accepted()) continue;
        accepted++;
        Decoded decoded = decode(bytes);
        REQUIRE(!decoded.rejected);
        Interpreter interpreter(decoded.object, mm_profile(), promises, static_cast<uint64_t>(round));
        for (const ProgramFacts& program : verdict.facts()->facts.programs)
            for (int i = 0; i < 20; i++) {
                Observed seen = interpreter.run(program.name, program.max_insns + 1);
                INFO("round " << round << " " << program.name);
                REQUIRE(seen.violations.empty());
                REQUIRE(seen.insns <= program.max_insns);
                REQUIRE(seen.sinks <= 1);
            }
    }
    CHECK(accepted > 0);
    CHECK(accepted < rounds);
}
