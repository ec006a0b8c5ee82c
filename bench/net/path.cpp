// SPDX-License-Identifier: MIT
#include "bench/net/path.h"

#include <algorithm>
#include <utility>

namespace rmt::net {

// splitmix64 (Steele, Lea and Flood 2014): any seed is good, zero too.
double Path::draw() {
    uint64_t z = random_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

bool Path::enqueue(std::vector<uint8_t> packet, int64_t now) {
    counts_.seen++;
    // One draw for each packet, whatever becomes of it: which of them are lost depends on the seed alone.
    if (draw() < options_.loss) {
        counts_.lost++;
        return false;
    }
    while (!waiting_.empty() && waiting_.front().first <= now) {
        backlog_ -= waiting_.front().second;
        waiting_.pop_front();
    }
    const int64_t wire = int64_t(packet.size()) + options_.overhead;
    int64_t left = now;
    if (options_.mbit > 0) {
        if (options_.buffer_bytes > 0 && backlog_ + wire > options_.buffer_bytes) {
            counts_.dropped++;
            return false;
        }
        left = std::max(free_at_, now) + int64_t(double(wire) * 8e3 / options_.mbit);
        free_at_ = left;
        backlog_ += wire;
        waiting_.emplace_back(left, wire);
    }
    counts_.queue_ns += double(left - now);
    held_.push_back(Held{left + options_.delay_ns, wire, std::move(packet)});
    return true;
}

std::optional<int64_t> Path::next() const {
    if (held_.empty()) return std::nullopt;
    return held_.front().due;
}

std::vector<uint8_t> Path::dequeue() {
    auto h = std::move(held_.front());
    held_.pop_front();
    counts_.sent++;
    counts_.bytes += uint64_t(h.wire);
    return std::move(h.bytes);
}

}  // namespace rmt::net
