// SPDX-License-Identifier: MIT
#include "bench/net/path.h"

#include <cmath>

#include "tests/rmt_test.h"

using namespace rmt::net;

namespace {

constexpr int64_t kMs = 1'000'000;
std::vector<uint8_t> packet(size_t bytes, uint8_t mark = 0) { return std::vector<uint8_t>(bytes, mark); }

struct Arrival {
    int64_t at;
    uint8_t mark;
    bool operator==(const Arrival&) const = default;
};

std::vector<Arrival> drain(Path& path) {
    std::vector<Arrival> all;
    while (path.next()) {
        const int64_t at = *path.next();
        all.push_back({at, path.dequeue().at(0)});
    }
    return all;
}

}  // namespace

TEST_CASE("path: a packet takes its size over the rate, then the delay, behind those before it") {
    Path path({.mbit = 8, .delay_ns = 10 * kMs});  // one byte is one microsecond
    CHECK(path.enqueue(packet(1000, 1), 0));
    CHECK(path.enqueue(packet(500, 2), 0));
    CHECK(path.enqueue(packet(100, 3), 5 * kMs));  // when the line is idle again
    CHECK(drain(path) == std::vector<Arrival>{{11 * kMs, 1}, {11 * kMs + kMs / 2, 2}, {15 * kMs + kMs / 10, 3}});
    CHECK(path.counts().sent == 3);
    CHECK(path.counts().bytes == 1600);
    CHECK(path.counts().queue_ns == double(kMs + kMs * 3 / 2 + kMs / 10));
}

TEST_CASE("path: the overhead of the wire counts for the rate") {
    Path path({.mbit = 8, .overhead = 14});
    CHECK(path.enqueue(packet(986), 0));
    CHECK(*path.next() == kMs);
}

TEST_CASE("path: the buffer holds its bytes, drops the packet that does not fit, and frees what has left") {
    Path path({.mbit = 8, .delay_ns = 100 * kMs, .buffer_bytes = 2500});
    CHECK(path.enqueue(packet(1000), 0));
    CHECK(path.enqueue(packet(1000), 0));
    CHECK_FALSE(path.enqueue(packet(1000), 0));
    CHECK(path.enqueue(packet(500), 0));               // a smaller one does
    CHECK_FALSE(path.enqueue(packet(1000), kMs - 1));  // the first has not left
    CHECK(path.enqueue(packet(1000), kMs));            // now it has, though the delay still holds it
    CHECK(path.counts().dropped == 2);
    CHECK(path.counts().seen == 6);
    CHECK(drain(path).size() == 4);
}

TEST_CASE("path: as much arrives as the rate allows, however much is offered") {
    for (const double mbit : {1.0, 10.0, 200.0}) {
        Path path({.mbit = mbit, .delay_ns = 5 * kMs, .buffer_bytes = 30'000});
        int64_t last = 0;
        const int64_t step = int64_t(1500 * 8e3 / mbit / 2);  // twice the rate
        for (int64_t i = 0; i < 20'000; i++) path.enqueue(packet(1500), i * step);
        while (path.next()) {
            last = *path.next();
            path.dequeue();
        }
        CAPTURE(mbit);
        const auto& c = path.counts();
        CHECK(std::abs(double(c.bytes) * 8e3 / double(last - 5 * kMs) / mbit - 1) < 1e-4);
        CHECK(c.sent + c.dropped == 20'000);
        CHECK(std::abs(double(c.sent) - 10'000) < 100);
    }
}

TEST_CASE("path: losses have the share that was asked for, and depend on the seed alone") {
    auto lost = [](uint64_t seed, double loss, int64_t step) {
        Path path({.mbit = 1000, .loss = loss, .seed = seed});
        std::vector<int> which;
        for (int i = 0; i < 100'000; i++)
            if (!path.enqueue(packet(10), i * step)) which.push_back(i);
        CHECK(path.counts().lost == which.size());
        return which;
    };
    CHECK(lost(1, 0, kMs).empty());
    CHECK(lost(1, 1, kMs).size() == 100'000);
    for (const uint64_t seed : {0ull, 1ull, 2ull, 1ull << 63}) {
        CAPTURE(seed);
        CHECK(std::abs(double(lost(seed, 0.005, kMs).size()) - 500) < 90);  // four standard deviations
        CHECK(lost(seed, 0.005, kMs) == lost(seed, 0.005, 7));
    }
    CHECK(lost(1, 0.005, kMs) != lost(2, 0.005, kMs));
}

TEST_CASE("path: without a rate there is only the delay") {
    Path path({.delay_ns = 3 * kMs});
    for (int i = 0; i < 1000; i++) CHECK(path.enqueue(packet(1500), 0));
    for (const auto& a : drain(path)) CHECK(a.at == 3 * kMs);
}
