// SPDX-License-Identifier: MIT
// Domain tcp, whole objects: what must be accepted, and one object for each fault with the one id that it must give.
#include <algorithm>

#include "tests/rmt_test.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

TEST_CASE("the sample of domain tcp is accepted, and each write is proved to lie in its range") {
    const Verdict verdict = verify::verify(read_sample("tcp_sample"), tcp_manifest());
    const std::string text = to_text(verdict, "sample.rmt");
    INFO(text);
    REQUIRE(verdict.accepted());
    struct Expected {
        std::string function, field;
        uint64_t lo, hi;
    };
    const Expected expected[] = {
        {"rmt_write_cwnd", "tcp_sock.snd_cwnd", 4, 1024},         {"rmt_write_ssthresh", "tcp_sock.snd_ssthresh", 4, 1024},
        {"rmt_write_pacing", "sock.sk_pacing_rate", 12500, 1'000'000'000}, {"rmt_base_cwnd", "tcp_sock.snd_cwnd", 1, 1 << 20},
        {"rmt_base_pacing", "sock.sk_pacing_rate", 1000, UINT64_MAX},
    };
    const Facts& facts = verdict.facts()->facts;
    REQUIRE(facts.writes.size() == std::size(expected));
    for (size_t i = 0; i < std::size(expected); i++) {
        CHECK(facts.writes[i].function == expected[i].function);
        CHECK(facts.writes[i].field == expected[i].field);
        CHECK(facts.writes[i].lo == expected[i].lo);
        CHECK(facts.writes[i].hi == expected[i].hi);
    }
    const auto main = std::find_if(facts.programs.begin(), facts.programs.end(), [](auto& p) { return p.name == "rmt_tcp_main"; });
    REQUIRE(main != facts.programs.end());
    CHECK(main->runs_policy);
    CHECK(main->max_sinks == 1);
    CHECK(facts.event_insns > 0);
    CHECK(facts.event_insns < main->max_insns);
    CHECK_THAT(text, ContainsSubstring("tcp_sock.snd_cwnd is set to 4..1024 by rmt_write_cwnd, only in mode enforce"));
    CHECK_THAT(to_json(verdict), ContainsSubstring("\"writes\""));
}

TEST_CASE("other ways to write the same of domain tcp are accepted") {
    for (std::string name : {"CWND_RETURN", "MODE_SPILLED"}) {
        const Verdict verdict = verify::verify(read_sample("tcp_variant_" + name), tcp_manifest());
        INFO(name << "\n" << to_text(verdict, "sample.rmt"));
        CHECK(verdict.accepted());
    }
}

TEST_CASE("each fault of domain tcp is refused for what it is") {
    const auto list = faults("tcp_faults.txt");
    CHECK(list.size() >= 60);
    for (auto& [name, id] : list) {
        const Verdict verdict = verify::verify(read_sample("tcp_fault_" + name), tcp_manifest());
        INFO(name << "\n" << to_text(verdict, "sample.rmt"));
        CHECK(verdict.id() == id);
    }
}

TEST_CASE("limits of windows and pacing") {
    const auto bytes = read_sample("tcp_sample");
    struct Case {
        const char* what;
        const char* id;
        void (*change)(ManifestTcp&);
    };
    const Case cases[] = {
        {"the policy allows less", "V0405", [](ManifestTcp& t) { t.cwnd_max = 1023; }},
        {"the policy's least window is higher", "V0405", [](ManifestTcp& t) { t.cwnd_min = 5; }},
        {"the policy allows more", "", [](ManifestTcp& t) { t.cwnd_max = 1025, t.cwnd_min = 2; }},
        {"the policy paces slower", "V0405", [](ManifestTcp& t) { t.pacing_max = 999'999'999; }},
        {"the policy's least rate is higher", "V0405", [](ManifestTcp& t) { t.pacing_min = 12501; }},
        {"a window of one segment", "V0406", [](ManifestTcp& t) { t.cwnd_min = 1; }},
        {"a window of none", "V0406", [](ManifestTcp& t) { t.cwnd_min = t.cwnd_max = 0; }},
        {"a window beyond the profile", "V0406", [](ManifestTcp& t) { t.cwnd_max = (1 << 20) + 1; }},
        {"no window at all", "V0406", [](ManifestTcp& t) { t.cwnd_min = 100, t.cwnd_max = 99; }},
        {"a rate of nothing", "V0406", [](ManifestTcp& t) { t.pacing_min = 999; }},
        {"a rate beyond the profile", "V0406", [](ManifestTcp& t) { t.pacing_max = 125'000'000'001; }},
    };
    for (const Case& c : cases) {
        Manifest manifest = tcp_manifest();
        c.change(*manifest.tcp);
        const Verdict verdict = verify::verify(bytes, manifest);
        INFO(c.what << "\n" << to_text(verdict, "sample.rmt"));
        CHECK(verdict.id() == c.id);
    }
    Manifest manifest = tcp_manifest();
    manifest.tcp.reset();
    CHECK(verify::verify(bytes, manifest).id() == "V0008");
    manifest = tcp_manifest();
    manifest.domain = "mm";
    CHECK(verify::verify(bytes, manifest).id() == "V0101");
    manifest.tcp->cwnd_max = 1023, manifest.domain = "tcp";
    CHECK_THAT(to_text(verify::verify(bytes, manifest), "sample.rmt"), ContainsSubstring("the policy's limit is 4..1023 segments (sample.rmt:7)"));
}

TEST_CASE("the cost limit of domain tcp is for an event, and tighter where every acknowledgement is one") {
    const auto bytes = read_sample("tcp_sample");
    Manifest manifest = tcp_manifest();
    const double event = verify::verify(bytes, manifest).facts()->facts.event_ns;
    manifest.limits.cost_ns = static_cast<uint64_t>(event) + 1;
    CHECK(verify::verify(bytes, manifest).accepted());
    manifest.limits.cost_ns = static_cast<uint64_t>(event) - 1;
    const Verdict refused = verify::verify(bytes, manifest);
    CHECK(refused.id() == "V0207");
    CHECK_THAT(to_text(refused, "sample.rmt"), ContainsSubstring("sample.rmt:9"));
    CHECK(tcp_profile().hot_cost_ns < tcp_profile().cost_ns);
}
