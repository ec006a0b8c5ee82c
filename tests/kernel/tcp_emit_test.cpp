// SPDX-License-Identifier: MIT
// Domain tcp: every construct reaches this kernel. The control is loaded as the kernel would register it; the policy's code
// runs on events made by hand, and what it wants is compared with what the language promises.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "tests/kernel/twin.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;

namespace {

std::string policy(const std::string& items, const std::string& limit = "cwnd in 4..4096;") {
    return "rmt 1;\npolicy t {\n    description \"t\";\n    domain tcp;\n    mode enforce;\n    limit { " + limit + " cost <= 1ms per event; }\n" + items + "\n}\n";
}

struct Loaded {
    lang::Compiled compiled;
    std::optional<Twin> twin;
    std::string skip;
};

Loaded load(Result<lang::Compiled> compiled) {
    Loaded l;
    if (!compiled) {
        UNSCOPED_INFO(compiled.error().message << "\n" << compiled.error().detail);
        REQUIRE(compiled);
    }
    l.compiled = std::move(*compiled);
    auto twin = Twin::load(l.compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) {
        l.skip = twin.error().message;
        return l;
    }
    if (!twin) {
        const std::string& log = twin.error().detail;
        UNSCOPED_INFO(twin.error().message << "\n" << log.substr(log.size() > 4000 ? log.size() - 4000 : 0));
        REQUIRE(twin);
    }
    l.twin.emplace(std::move(*twin));
    return l;
}

#define RMT_LOAD(var, compiled)      \
    Loaded var = load(compiled);     \
    if (!var.skip.empty()) RMT_SKIP(var.skip)

rmt_tcp_twin event(uint32_t which) {
    rmt_tcp_twin e{};
    e.event = which;
    e.in.cwnd = 10;
    e.in.ssthresh = 1 << 20;
    e.in.pacing = 1000;
    e.in.mss = 1448;
    e.in.state = 1;
    return e;
}

void set_peer(rmt_tcp_twin& e, const std::string& address) {
    const auto prefix = parse_prefix(address);
    REQUIRE(prefix);
    std::memcpy(e.in.dst, prefix->address.data(), 16);
}

rmt_tcp_twin run(Loaded& l, const rmt_tcp_twin& e) {
    const auto out = l.twin->run(e);
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("tcp: the project's own policies load, and far below the verifier's limit") {
    std::set<std::string> seen;
    for (const char* folder : {"policies", "tests/lang/accept"})
        for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(RMT_SOURCE_DIR) / folder)) {
            const std::filesystem::path path = file.path();
            if (path.extension() != ".rmt" || std::filesystem::exists(std::filesystem::path(path).replace_extension(".stderr"))) continue;
            auto compiled = compile_file(path.string());
            if (compiled && compiled->manifest.domain != "tcp") continue;
            CAPTURE(path.string());
            RMT_LOAD(l, std::move(compiled));
            const auto programs = l.twin->programs();
            for (const std::string& program : programs) {
                CAPTURE(program);
                CHECK(l.twin->instructions(program) > 0);
                CHECK(l.twin->instructions(program) < (std::string(folder) == "policies" ? 40000u : 500000u));
            }
            CHECK(std::count(programs.begin(), programs.end(), "rmt_tcp_main") == 1);
            for (uint32_t which = RMT_TCP_EVENT_ESTABLISHED; which <= RMT_TCP_EVENT_RTO; which++) run(l, event(which));
            seen.insert(path.filename().string());
        }
    CHECK(seen.count("aimd.rmt") == 1);
    CHECK(seen.count("tcp_constructs.rmt") == 1);
    CHECK(seen.count("wan_upload.rmt") == 1);
}

TEST_CASE("tcp: each base is a control that this kernel can load") {
    for (const char* base : {"reno", "cubic", "bbr"}) {
        CAPTURE(base);
        auto compiled = compile_text("rmt 1;\npolicy t { description \"t\"; domain tcp; base \"" + std::string(base) + "\"; on tcp.round { cwnd = 10; } }\n");
        REQUIRE(compiled);
        CHECK(compiled->manifest.tcp->base == base);
        RMT_LOAD(l, std::move(compiled));
        CHECK(run(l, event(RMT_TCP_EVENT_ROUND)).cwnd == 10);
    }
}

TEST_CASE("tcp: fields have the values of the event") {
    const std::map<std::string, int64_t> want = {
        {"tcp.srtt", 30'000'000}, {"tcp.rtt", 31'000'000}, {"tcp.min_rtt", 20'000'000}, {"tcp.rtt_gradient", -250}, {"tcp.rate", 1'250'000},
        {"tcp.max_rate", 2'500'000}, {"tcp.bdp", 34}, {"tcp.inflight", 12}, {"tcp.delivered", 40}, {"tcp.lost", 3}, {"tcp.loss_rate", 70},
        {"tcp.retrans", 9}, {"tcp.ecn", 11}, {"tcp.cwnd", 10}, {"tcp.ssthresh", 20}, {"tcp.slow_start", 1}, {"tcp.app_limited", 1}, {"tcp.state", 4},
        {"tcp.age", 5'000'000'000}, {"tcp.rounds", 77}, {"tcp.mss", 1448}, {"tcp.dport", 443}, {"tcp.sport", 50000}, {"cgroup", 4711}, {"ts", 99},
        {"cwnd", 10}, {"ssthresh", 20}, {"pacing", 1000},
    };
    std::string names;
    for (const auto& [name, value] : want) names += (names.empty() ? "" : ", ") + name;
    RMT_LOAD(l, compile_text(policy("on tcp.round { collect { " + names + ", cpu, tcp.dst } sample 1/1; }")));
    rmt_tcp_twin e = event(RMT_TCP_EVENT_ROUND);
    e.in = {};
    e.in.now = 99, e.in.age_ns = 5'000'000'000, e.in.cgroup = 4711, e.in.rate = 1'250'000, e.in.max_rate = 2'500'000;
    e.in.srtt_us = 30'000, e.in.rtt_us = 31'000, e.in.min_rtt_us = 20'000, e.in.rtt_gradient = -250, e.in.bdp = 34, e.in.inflight = 12;
    e.in.delivered = 40, e.in.lost = 3, e.in.retrans = 9, e.in.rounds = 77, e.in.cwnd = 10, e.in.ssthresh = 20, e.in.loss_rate = 70, e.in.ecn = 11;
    e.in.mss = 1448, e.in.dport = 443, e.in.sport = 50000, e.in.state = 4, e.in.slow_start = 1, e.in.app_limited = 1, e.in.pacing = 1000;
    set_peer(e, "2001:db8::7");
    run(l, e);
    const auto records = l.twin->collected();
    REQUIRE(records.size() == 1);
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    for (const auto& [name, value] : want) {
        CAPTURE(name);
        CHECK(records[0].number(layout, name) == value);
    }
    for (const ManifestField& f : layout.fields)
        if (f.name == "tcp.dst") {
            CHECK(f.type == "address");
            CHECK(std::memcmp(records[0].bytes.data() + f.offset, e.in.dst, 16) == 0);
        }
}

TEST_CASE("tcp: sinks take the last value, and reading one gives what stands there") {
    RMT_LOAD(l, compile_text(policy("on tcp.ack { cwnd = tcp.cwnd + 5; cwnd = cwnd * 2; }\n"
                                    "on tcp.round { if (tcp.rate > 8mbit) { pacing = max(pacing, 16mbit); } ssthresh = cwnd - 100; }\n"
                                    "on tcp.loss { cwnd = 4294967295 * (tcp.cwnd - 9); }\n"
                                    "on tcp.rto { }\n")));
    const auto acked = run(l, event(RMT_TCP_EVENT_ACK));
    CHECK(acked.set == RMT_TCP_SINK_CWND);
    CHECK(acked.cwnd == 30);
    rmt_tcp_twin fast = event(RMT_TCP_EVENT_ROUND);
    fast.in.rate = 1'000'001;
    const auto paced = run(l, fast);
    CHECK(paced.set == (RMT_TCP_SINK_PACING | RMT_TCP_SINK_SSTHRESH));
    CHECK(paced.pacing == 2'000'000);
    CHECK(paced.ssthresh == 0);  // 10 - 100: the store saturates, the limit follows
    CHECK(run(l, event(RMT_TCP_EVENT_ROUND)).set == RMT_TCP_SINK_SSTHRESH);
    CHECK(run(l, event(RMT_TCP_EVENT_LOSS)).cwnd == UINT32_MAX);
    CHECK(run(l, event(RMT_TCP_EVENT_RTO)).set == 0);
    CHECK(run(l, event(RMT_TCP_EVENT_ESTABLISHED)).set == 0);
}

TEST_CASE("tcp: a table by address takes the first prefix that matches, of either family") {
    RMT_LOAD(l, compile_text(policy("action none() { }\naction window(n: u32) { cwnd = n; }\n"
                                    "table peers { key { tcp.dst : lpm; } actions { none; window; } default none();\n"
                                    "  entries { 10.1.2.3 => window(11); 10.1.0.0/16 => window(12); 10.0.0.0/9 => window(13);\n"
                                    "            2001:db8:1::/48 => window(14); 2001:db8::/32 => window(15); ::1 => window(16); 0.0.0.0/0 => window(17); } }\n"
                                    "on tcp.established { apply peers; }")));
    const std::vector<std::pair<std::string, uint32_t>> cases = {
        {"10.1.2.3", 11}, {"10.1.2.4", 12}, {"10.127.255.255", 13}, {"10.128.0.0", 17}, {"192.0.2.1", 17}, {"2001:db8:1:2::3", 14},
        {"2001:db8:2::", 15}, {"2001:db9::", 0}, {"::1", 16}, {"::2", 0}, {"::", 0},
    };
    uint32_t slot = 0;
    for (const auto& [address, window] : cases) {
        CAPTURE(address);
        rmt_tcp_twin e = event(RMT_TCP_EVENT_ESTABLISHED);
        set_peer(e, address);
        const auto out = run(l, e);
        CHECK(out.set == (window ? RMT_TCP_SINK_CWND : 0u));
        if (window) CHECK(out.cwnd == window);
        CHECK(out.table == 0);
        CHECK(out.action == (window ? 1u : 0u));
        slot = out.slot;
    }
    CHECK(slot == l.compiled.manifest.tables[0].size);  // the default's counter
    CHECK(l.twin->hits("peers", 6) == 2);
    // A live entry, and what comes back is what was written.
    const ManifestTable& table = l.compiled.manifest.tables[0];
    const auto prefix = parse_prefix("198.51.100.0/24");
    REQUIRE(prefix);
    REQUIRE(l.twin->set_entries("peers", {{{*prefix}, 1, {99}, "", 0}}));
    rmt_tcp_twin e = event(RMT_TCP_EVENT_ESTABLISHED);
    set_peer(e, "198.51.100.77");
    CHECK(run(l, e).cwnd == 99);
    const auto bytes = encode_table(l.compiled.manifest, table, {{{*prefix}, 1, {99}, "", 0}}, 1);
    REQUIRE(bytes);
    const auto back = decode_table(l.compiled.manifest, table, *bytes);
    REQUIRE(back);
    CHECK(format_entry(l.compiled.manifest, table, back->at(0)) == "198.51.100.0/24 => window(99)");
}

TEST_CASE("tcp: state of a socket lasts from event to event") {
    RMT_LOAD(l, compile_text(policy("state per sock { n : count; best : rate; rtts : ring<ns, 4>; slow : ewma<ns, 4>; }\n"
                                    "on tcp.round { n = 1; best = max(best, tcp.rate); push rtts, tcp.rtt; slow = tcp.rtt;\n"
                                    "  if (n == 3) { cwnd = 100; pacing = best; } if (rtts[0] > 2 * rtts[1] && n > 1) { ssthresh = 7; } if (slow > 20ms) { cwnd = 5; } }")));
    rmt_tcp_twin e = event(RMT_TCP_EVENT_ROUND);
    e.in.rate = 5000, e.in.rtt_us = 1000, e.reset = 1;
    CHECK(run(l, e).set == 0);
    e.reset = 0, e.in.rate = 9000, e.in.rtt_us = 3000;
    CHECK(run(l, e).ssthresh == 7);
    e.in.rate = 100, e.in.rtt_us = 3500;
    const auto third = run(l, e);
    CHECK(third.set == (RMT_TCP_SINK_CWND | RMT_TCP_SINK_PACING));
    CHECK(third.cwnd == 100);
    CHECK(third.pacing == 9000);
    e.in.rtt_us = 100'000;
    CHECK(run(l, e).cwnd == 5);
    e.reset = 1, e.in.rtt_us = 1000;
    CHECK(run(l, e).set == 0);
}

TEST_CASE("tcp: a model trains from rounds and answers on_error before it is there") {
    RMT_LOAD(l, compile_text(policy("model m { input (tcp.srtt, tcp.bdp); output value i32 in 0..4096; on_error 0;\n"
                                    "  train background from tcp.round label tcp.delivered every 1s window 20000; }\n"
                                    "on tcp.round { let n = infer(m); if (n > 0) { cwnd = n; } }")));
    rmt_tcp_twin e = event(RMT_TCP_EVENT_ROUND);
    e.in.srtt_us = 12'345, e.in.bdp = 67, e.in.delivered = 89;
    CHECK(run(l, e).set == 0);
    CHECK(l.twin->samples().empty());
    l.twin->set_training(true);
    run(l, e);
    const auto samples = l.twin->samples();
    REQUIRE(samples.size() == 1);
    CHECK(samples[0].n == 2);
    CHECK(samples[0].input[0] == 12'345'000);
    CHECK(samples[0].input[1] == 67);
    CHECK(samples[0].label == 89);
}
