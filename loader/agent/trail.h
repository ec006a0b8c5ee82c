// SPDX-License-Identifier: MIT
// The pages that a stream has touched, oldest first, and how many of them to keep. A page that is touched again soon after it
// was evicted should have stayed: then the trail grows; after a long calm it shrinks again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_set>
#include <vector>

namespace rmt::load {

class Trail {
public:
    // `shortest`: touched pages that are always kept.
    explicit Trail(size_t shortest) : shortest_(shortest), length_(shortest) {}

    void touch(uint64_t page);

    // Takes out up to `batch` of the oldest pages when more than length() + batch are held; else nothing. With `evict` they
    // are remembered as evicted.
    std::vector<uint64_t> take(size_t batch, bool evict);

    size_t length() const { return length_; }

private:
    static constexpr size_t kRemembered = 8192;  // evicted pages; a touch that comes later than so many evictions is not early
    static constexpr size_t kLongest = 32768;
    static constexpr size_t kPeriod = 128;       // evictions between two looks
    static constexpr size_t kCalm = 64;          // periods without early touches before the trail shrinks

    void look();

    size_t shortest_, length_;
    std::deque<uint64_t> touched_;
    std::deque<uint64_t> order_;             // of evictions
    std::unordered_set<uint64_t> evicted_;
    size_t evictions_ = 0, early_ = 0, calm_ = 0;  // since the last look
};

}  // namespace rmt::load
