// SPDX-License-Identifier: MIT
// A policy with a model on live connections: models and entries change a thousand times under load, the connections go on, and each
// decision is one model's or the other's.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <map>
#include <thread>

#include "loader/tcp/scope.h"
#include "models/lower.h"
#include "tests/compile.h"
#include "tests/kernel/tcp_host.h"
#include "tests/models/random_model.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;

namespace {

constexpr int64_t kFirst = 24, kSecond = 48;
constexpr int kSwaps = 1000;

// The windows are the model's answers, or an entry's argument where the model says so.
const char* const kPolicy =
    "rmt 1;\npolicy rmt_swap_test {\n    description \"swaps\"; domain tcp; base \"cubic\"; mode enforce;\n"
    "    limit { cwnd in 4..4096; cost <= 100us per event; }\n"
    "    state per sock { answer : i32; }\n"
    "    model m { source \"m.json\"; input (tcp.srtt, tcp.bdp, tcp.cwnd, tcp.inflight); output value i32 in 0..4096; on_error 0; }\n"
    "    action window(n: u32) { cwnd = n; }\n    action ask() { cwnd = answer; }\n    action none() { }\n"
    "    table t { key { tcp.slow_start : exact; } actions { ask; window; none; } default none(); entries { false => ask(); true => ask(); } }\n"
    "    on tcp.round { answer = infer(m); if (answer > 0) { apply t; } collect { answer, tcp.cwnd } sample 1/1; }\n}\n";

// Of another shape each, so that a mixture of the two would end at no leaf.
models::Model constant(int64_t value, bool complete) {
    std::mt19937_64 random(static_cast<uint64_t>(value));
    models::RandomShape shape{.depth = 8, .inputs = 4, .span = 1 << 20, .complete = complete};
    models::Model model = models::constant_model(random, shape, static_cast<int32_t>(value));
    const char* const names[] = {"tcp.srtt", "tcp.bdp", "tcp.cwnd", "tcp.inflight"};
    for (size_t i = 0; i < 4; i++) model.inputs[i] = {.name = names[i], .type = "i32", .min = 0, .max = 1 << 30};
    model.output.min = 0;
    model.output.max = 4096;
    models::seal(model);
    return model;
}

struct Seen {
    std::map<int64_t, uint64_t> answers;
    const ManifestCollect* layout = nullptr;
};

int note(void* to, void* data, size_t) {
    Seen& seen = *static_cast<Seen*>(to);
    for (const ManifestField& f : seen.layout->fields)
        if (f.name == "answer") {
            int32_t value = 0;
            std::memcpy(&value, static_cast<const uint8_t*>(data) + f.offset, 4);
            seen.answers[value]++;
        }
    return 0;
}

struct Unload {
    ~Unload() { (void)load::unload_policy("rmt_swap_test"); }
};

}  // namespace

TEST_CASE("a thousand swaps of model and table under load: no connection breaks, no decision is of a mixture") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    auto compiled = compile_text(kPolicy);
    REQUIRE(compiled);
    const ManifestModel declared = compiled->manifest.models.at(0);
    std::vector<uint8_t> values[2];
    for (const int i : {0, 1}) {
        auto value = models::lower_model(constant(i ? kSecond : kFirst, i == 1), declared.shape, 1);
        if (!value) FAIL(value.error().message);
        values[i] = std::move(*value);
    }
    load::LoadRequest request;
    request.object = compiled->object;
    request.object_digest = "test";
    request.manifest = compiled->manifest;
    request.mode = RMT_MODE_ENFORCE;
    request.replace = true;
    Unload unload;
    const auto loaded = load::load_policy(request);
    if (!loaded) FAIL(loaded.error().message << "\n" << loaded.error().detail);
    const auto live = load::LivePolicy::open("rmt_swap_test");
    REQUIRE(live);
    REQUIRE(load::attach_scope(*live, host.app(), false));

    uint16_t port = 0;
    load::Fd listener = make_listener(AF_INET, port);
    std::vector<Pair> pairs;
    {
        Inside app(host.app());
        for (int i = 0; i < 2; i++) pairs.push_back(make_pair(AF_INET, listener, port));
    }
    for (const Pair& pair : pairs) REQUIRE(control_of(pair.client) == "rmt_swap_test");
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> rounds{0}, broken{0};
    std::vector<std::thread> senders;
    for (const Pair& pair : pairs)
        senders.emplace_back([&] {
            while (!stop) {
                if (!exchange(pair, 1 << 20)) broken++;
                rounds++;
            }
        });
    Seen seen;
    seen.layout = &*live->manifest().collect;
    ring_buffer* ring = ring_buffer__new(*live->map("rmt_collect"), note, &seen, nullptr);
    REQUIRE(ring != nullptr);
    const ManifestTable& table = live->manifest().tables.at(0);
    std::vector<ManifestEntry> entries = table.entries, fixed = table.entries;
    for (ManifestEntry& e : fixed) e.action = 0, e.args = {12};  // window(12)
    REQUIRE(live->manifest().actions.at(0).name == "window");
    int failed = 0;
    // Until there were enough swaps, and answers of both models among them.
    for (int i = 0; i < kSwaps || (i < 20 * kSwaps && (!seen.answers.count(kFirst) || !seen.answers.count(kSecond))); i++) {
        if (!live->set_model(declared, values[i % 2], "{}")) failed++;
        if (i % 10 == 0 && !live->set_table(table, i % 20 ? entries : fixed)) failed++;
        ring_buffer__consume(ring);
    }
    stop = true;
    for (std::thread& t : senders) t.join();
    ring_buffer__consume(ring);
    ring_buffer__free(ring);
    CHECK(failed == 0);
    CHECK(broken == 0);
    CHECK(rounds > 0);
    for (const auto& [answer, count] : seen.answers) {
        CAPTURE(answer, count);
        CHECK((answer == 0 || answer == kFirst || answer == kSecond));
    }
    CHECK(seen.answers[kFirst] > 0);
    CHECK(seen.answers[kSecond] > 0);
    for (const Pair& pair : pairs) {
        CHECK(control_of(pair.client) == "rmt_swap_test");
        CHECK(exchange(pair, 1 << 16));
    }
    const auto cgroups = live->cgroups();
    REQUIRE(cgroups);
    REQUIRE(cgroups->size() == 1);
    CHECK(cgroups->at(0).figures.stat[RMT_TCP_SET_CWND] > 0);
    CHECK(cgroups->at(0).figures.stat[RMT_TCP_RTO_EVENTS] == 0);
}
