// SPDX-License-Identifier: MIT
// One direction of an emulated path: seeded random loss, then a drop-tail buffer of bytes, then a rate, then a delay. It has no clock
// and no I/O: times come in as nanoseconds, so the same packets at the same times always fare the same.
//
// A packet occupies the buffer until its last bit has left at the rate; the delay after that holds any number of packets. Order is kept.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace rmt::net {

struct PathOptions {
    double mbit = 0;  // 0: no limit, and no buffer
    int64_t delay_ns = 0;
    int64_t buffer_bytes = 0;  // of the packets that wait or are being sent; 0: no limit
    double loss = 0;           // 0..1, of each packet, independently
    uint64_t seed = 1;
    int overhead = 0;  // bytes that each packet has on the wire beside its own (14: Ethernet)
};

struct PathCounts {
    uint64_t seen = 0, lost = 0, dropped = 0, sent = 0, bytes = 0;
    double queue_ns = 0;  // sum over the packets that were taken, waiting and sending
};

class Path {
public:
    explicit Path(const PathOptions& options) : options_(options), random_(options.seed) {}

    // Takes or drops a packet that comes at `now`; false when it was lost or dropped. `now` never goes back.
    bool enqueue(std::vector<uint8_t> packet, int64_t now);

    // When the next packet arrives at the other end.
    std::optional<int64_t> next() const;

    // The next packet, due at next(); only when there is one.
    std::vector<uint8_t> dequeue();

    const PathCounts& counts() const { return counts_; }

private:
    struct Held {
        int64_t due;  // at the other end
        int64_t wire;
        std::vector<uint8_t> bytes;
    };
    double draw();

    PathOptions options_;
    uint64_t random_;
    std::deque<Held> held_;
    std::deque<std::pair<int64_t, int64_t>> waiting_;  // (left, wire) of those in the buffer
    int64_t backlog_ = 0, free_at_ = 0;
    PathCounts counts_;
};

}  // namespace rmt::net
