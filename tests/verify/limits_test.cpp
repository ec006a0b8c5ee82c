// SPDX-License-Identifier: MIT
// Limits of the policy and of the site, the ids that a source file cannot reach, and what a refusal looks like.
#include <elf.h>

#include <cstring>

#include "tests/rmt_test.h"
#include "tests/verify/samples.h"
#include "verifier_ext/cost.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

namespace {

// Section header by name, in a copy of the file.
Elf64_Shdr* find_section(std::vector<uint8_t>& bytes, const std::string& name) {
    auto* head = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
    auto* sections = reinterpret_cast<Elf64_Shdr*>(bytes.data() + head->e_shoff);
    const char* names = reinterpret_cast<const char*>(bytes.data() + sections[head->e_shstrndx].sh_offset);
    for (int i = 0; i < head->e_shnum; i++)
        if (names + sections[i].sh_name == name) return &sections[i];
    return nullptr;
}

std::string with_insn(const std::string& section, size_t slot, bpf_insn insn) {
    auto bytes = read_sample("sample");
    Elf64_Shdr* code = find_section(bytes, section);
    REQUIRE(code);
    std::memcpy(bytes.data() + code->sh_offset + slot * 8, &insn, 8);
    return verify::verify(bytes, sample_manifest()).id();
}

}  // namespace

TEST_CASE("the cost limit of the policy, and a tighter one of the site") {
    auto bytes = read_sample("sample");
    Manifest manifest = sample_manifest();
    double est = verify::verify(bytes, manifest).facts()->facts.programs[0].est_ns;
    manifest.limits.cost_ns = static_cast<uint64_t>(est) + 1;
    CHECK(verify::verify(bytes, manifest).accepted());
    manifest.limits.cost_ns = static_cast<uint64_t>(est) - 1;
    Verdict refused = verify::verify(bytes, manifest);
    CHECK(refused.id() == "V0207");
    std::string text = to_text(refused, "sample.rmt");
    INFO(text);
    CHECK_THAT(text, ContainsSubstring("sample.rmt:9"));        // the line of the limit
    CHECK_THAT(text, ContainsSubstring("by estimate"));
    CHECK_THAT(text, ContainsSubstring("instructions (proved)"));

    manifest.limits.cost_ns = 0;
    VerifyOptions site;
    site.max_cost_ns = est - 1;
    CHECK(verify::verify(bytes, manifest, site).id() == "V0207");
    site.max_cost_ns = est + 1;
    CHECK(verify::verify(bytes, manifest, site).accepted());
    // a slower host: the calibration counts, the proof stays
    VerifyOptions slow;
    slow.calibration.insn *= 100, slow.calibration.memory *= 100;
    slow.calibration.source = "a slow host";
    CHECK(verify::verify(bytes, manifest, slow).id() == "V0207");
}

TEST_CASE("limits of pages and rate") {
    auto bytes = read_sample("sample");
    struct Case {
        const char* what;
        const char* id;
        void (*change)(Manifest&, VerifyOptions&);
    };
    const Case cases[] = {
        {"the policy allows fewer pages", "V0401", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_per_event = 31; }},
        {"the site allows fewer pages", "V0401", [](Manifest&, VerifyOptions& o) { o.max_pages = 16; }},
        {"the site allows more pages", "", [](Manifest&, VerifyOptions& o) { o.max_pages = 64; }},
        {"the policy allows more pages", "", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_per_event = 64; }},
        {"no limit per event", "V0406", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_per_event = 0; }},
        {"more than a record holds", "V0406", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_per_event = 65; }},
        {"no rate", "V0406", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_rate = 0; }},
        {"the policy allows a lower rate", "V0503", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_rate = 49999; }},
        {"the policy allows a higher rate", "", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_rate = 50001; }},
        {"the policy's window is longer", "V0503", [](Manifest& m, VerifyOptions&) { m.limits.prefetch_window_ns = 2'000'000'000; }},
        {"another domain", "V0008", [](Manifest& m, VerifyOptions&) { m.domain = "sched"; }},
        {"a domain with other programs", "V0101", [](Manifest& m, VerifyOptions&) { m.domain = "tcp"; }},
        {"a table that is not in the object", "V0004", [](Manifest& m, VerifyOptions&) { m.tables[0].name = "u"; }},
        {"a model that is not in the object", "V0008", [](Manifest& m, VerifyOptions&) { m.models.resize(1); m.models[0].name = "m"; }},
        {"a table of another size", "V0005", [](Manifest& m, VerifyOptions&) { m.tables[0].size = 17; }},
    };
    for (const Case& c : cases) {
        Manifest manifest = sample_manifest();
        VerifyOptions options;
        c.change(manifest, options);
        INFO(c.what);
        CHECK(verify::verify(bytes, manifest, options).id() == c.id);
    }
}

TEST_CASE("instructions that no compiler of ours makes") {
    auto jump = [](int16_t off) { return bpf_insn{BPF_JMP | BPF_JA, 0, 0, off, 0}; };
    CHECK(with_insn(".text", 0, jump(-2)) == "V0002");
    CHECK(with_insn(".text", 0, jump(32000)) == "V0002");
    CHECK(with_insn(".text", 0, {0xff, 0, 0, 0, 0}) == "V0107");
    CHECK(with_insn(".text", 0, {BPF_JMP | 0xe0, 0, 0, 0, 0}) == "V0107");               // may_goto
    CHECK(with_insn(".text", 0, {BPF_JMP | BPF_CALL | BPF_X, 0, 0, 0, 0}) == "V0107");   // call through a register
    CHECK(with_insn(".text", 0, {BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0}) == "V0107");     // packet access of old
    CHECK(with_insn(".text", 0, {BPF_ALU64 | BPF_MOV | BPF_K, 10, 0, 0, 0}) == "V0107"); // writes the frame pointer
    CHECK(with_insn(".text", 0, {BPF_JMP | BPF_CALL, 0, 0, 0, 9999}) == "V0102");
    CHECK(with_insn(".text", 0, {BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 2}) == "V0002");
    CHECK(with_insn(".text", 0, {BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -1}) == "V0203");
}

TEST_CASE("relocations that lead elsewhere") {
    auto bytes = read_sample("sample");
    Elf64_Shdr* relocations = find_section(bytes, ".rel.text");
    REQUIRE(relocations);
    for (auto info : {ELF64_R_INFO(uint64_t{1}, 10), ELF64_R_INFO(uint64_t{100000}, 1), ELF64_R_INFO(uint64_t{1}, 99)}) {
        auto changed = bytes;
        std::memcpy(changed.data() + relocations->sh_offset + 8, &info, 8);
        CHECK(verify::verify(changed, sample_manifest()).id() == "V0007");
    }
}

TEST_CASE("too many states are undecided, never accepted") {
    Decoded decoded = decode(read_sample("sample"));
    CostLimits limits;
    limits.max_states = 10;
    CostResult result = find_costs(decoded.object, mm_profile(), default_calibration(), limits, "sample.rmt");
    REQUIRE(result.undecided);
    CHECK(result.undecided->id == "V0205");
}

TEST_CASE("one verdict, one certificate: the digest follows the object, the manifest and the facts") {
    auto bytes = read_sample("sample");
    Verdict first = verify::verify(bytes, sample_manifest()), again = verify::verify(bytes, sample_manifest());
    CHECK(to_json(first) == to_json(again));
    CHECK(first.facts()->digest.size() == 64);
    Manifest other = sample_manifest();
    other.description = "another";
    CHECK(verify::verify(bytes, other).facts()->digest != first.facts()->digest);
    VerifyOptions options;
    options.calibration.insn *= 2;
    CHECK(verify::verify(bytes, sample_manifest(), options).facts()->digest != first.facts()->digest);
    CHECK_THAT(to_json(first), ContainsSubstring("\"rmt_verdict\": 1"));
}

// A place in the policy's own file is preferred to one in the headers that it includes.
TEST_CASE("places are lines of the policy") {
    Manifest manifest = sample_manifest();
    manifest.source = "emit.h";
    Verdict verdict = verify::verify(read_sample("fault_CLAMP_MISSING"), manifest);
    auto* rejected = std::get_if<Rejected>(&verdict.outcome);
    REQUIRE(rejected);
    CHECK(rejected->place.file.ends_with("emit.h"));
    CHECK(rejected->place.line > 1);
    CHECK(rejected->place.function == "rmt_emit");
}
