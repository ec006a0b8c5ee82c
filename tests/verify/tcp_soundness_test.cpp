// SPDX-License-Identifier: MIT
// Domain tcp: what the verifier accepts is run. No run stores into the kernel but by the writers, outside of a range, in another
// mode, or twice in one event; no run is longer than was proved. Then the same for every small change of the code that guards.
#include <fmt/format.h>

#include "tests/rmt_test.h"
#include "tests/verify/interpreter.h"
#include "tests/verify/mutants.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

TEST_CASE("no run of an accepted control breaks what was proved") {
    for (std::string name : {"tcp_sample", "tcp_variant_CWND_RETURN", "tcp_variant_MODE_SPILLED"}) {
        const auto bytes = read_sample(name);
        const Verdict verdict = verify::verify(bytes, tcp_manifest());
        REQUIRE(verdict.accepted());
        const Decoded decoded = decode(bytes);
        Interpreter interpreter(decoded.object, tcp_profile(), promises_of(tcp_manifest()), 7);
        uint64_t acts = 0, stores = 0;
        double closest = 0;
        for (const ProgramFacts& program : verdict.facts()->facts.programs) {
            for (int i = 0; i < 5'000; i++) {
                const Observed seen = interpreter.run(program.name, program.max_insns + 1);
                INFO(name << " " << program.name << " run " << i << (seen.violations.empty() ? "" : ": " + seen.violations[0]));
                REQUIRE(seen.violations.empty());
                REQUIRE(seen.finished);
                REQUIRE(seen.insns <= program.max_insns);
                REQUIRE(seen.sinks <= program.max_sinks);
                acts += seen.sinks, stores += seen.kernel_stores;
                closest = std::max(closest, double(seen.insns) / double(program.max_insns));
            }
        }
        CHECK(acts > 100);     // the runs reach what acts,
        CHECK(stores > 1000);  // and what writes,
        CHECK(closest > 0.8);  // and the bound is not far from what happens
    }
}

// The interpreter is able to see the faults that a run can show.
TEST_CASE("the promises of domain tcp that the runs watch are broken by the faults") {
    for (auto& [name, id] : faults("tcp_faults.txt")) {
        if (id != "V0404" && id != "V0405" && id != "V0601" && id != "V0602" && id != "V0901" && id != "V0902" && id != "V0906" && name != "SOCKOPT_OTHER" && name != "WRITE_ELSEWHERE") continue;
        if (name == "ACT_MANY") continue;      // three events and one more
        if (name == "STORE_ADDED") continue;   // an address in a map and one of the kernel, added: nowhere
        if (name == "STORE_HELPER") continue;  // by a helper: the interpreter does not follow it into the kernel
        const Decoded decoded = decode(read_sample("tcp_fault_" + name));
        REQUIRE(!decoded.rejected);
        Interpreter interpreter(decoded.object, tcp_profile(), promises_of(tcp_manifest()), 11);
        bool seen = false;
        for (int i = 0; i < 20'000 && !seen; i++)
            for (std::string start : {"rmt_tcp_main", "rmt_tcp_ssthresh", "rmt_act", "rmt_write_cwnd", "rmt_write_pacing", "rmt_guard", "rmt_sockops"}) seen |= !interpreter.run(start, 20'000).violations.empty();
        INFO(name);
        CHECK(seen);
    }
}

namespace {

struct Score {
    int mutants = 0, accepted = 0, harmful = 0;
    std::vector<std::string> missed;  // accepted, and a run broke a promise
};

Score mutate(const std::vector<uint8_t>& bytes, const Manifest& manifest, const std::string& function, const std::vector<std::string>& starts, int runs, int every) {
    Score score;
    auto [at, size] = find_code(bytes, function);
    int count = 0;
    for (size_t pos = at; pos < at + size; pos += 8) {
        bpf_insn original;
        std::memcpy(&original, bytes.data() + pos, 8);
        for (const bpf_insn& mutant : mutants_of(original)) {
            if (++count % every) continue;
            score.mutants++;
            auto changed = bytes;
            std::memcpy(changed.data() + pos, &mutant, 8);
            const Verdict verdict = verify::verify(changed, manifest);
            score.accepted += verdict.accepted();
            const Decoded decoded = decode(changed);
            if (decoded.rejected) continue;
            Interpreter interpreter(decoded.object, tcp_profile(), promises_of(manifest), pos);
            std::string violation;
            for (int i = 0; i < runs && violation.empty(); i++)
                for (const std::string& start : starts)
                    if (const Observed seen = interpreter.run(start, 20'000); !seen.violations.empty()) violation = seen.violations[0];
            if (violation.empty()) continue;
            score.harmful++;
            if (verdict.accepted())
                score.missed.push_back(fmt::format("{} instruction {} as {:02x} {}{} {} {}: {}", function, (pos - at) / 8, mutant.code, int(mutant.src_reg), int(mutant.dst_reg), mutant.off, mutant.imm, violation));
        }
    }
    return score;
}

}  // namespace

TEST_CASE("every change of the control's guarding code that breaks a promise is refused") {
    const auto bytes = read_sample("tcp_sample");
    for (std::string function : {"rmt_write_cwnd", "rmt_write_ssthresh", "rmt_write_pacing", "rmt_base_cwnd", "rmt_base_pacing", "rmt_act", "rmt_mode_now", "rmt_show", "rmt_guard"}) {
        const bool program = function == "rmt_guard";
        const Score score = mutate(bytes, tcp_manifest(), function, program ? std::vector<std::string>{function} : std::vector<std::string>{function, "rmt_act", "rmt_tcp_main"}, 100, 1);
        std::printf("tcp_sample, %s: %d mutants, %d accepted, %d harmful in some run\n", function.c_str(), score.mutants, score.accepted, score.harmful);
        for (auto& line : score.missed) UNSCOPED_INFO(line);
        CHECK(score.missed.empty());
        CHECK(score.harmful > 3);
    }
}
