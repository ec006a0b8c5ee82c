// SPDX-License-Identifier: MIT
// Whether paging out behind the streams of one cgroup is worth its cost. It keeps a prefetch from meeting its own fault half
// way (see evictor.h), which happens where pages are asked for shortly before they are needed; but it costs a TLB flush for
// each page and doubles the reclaimers of the cgroup, so a policy that looks far ahead is quicker without it. How far it looks
// is measured: the mean number of pages that were asked for behind a hit.
#pragma once

#include <cstdint>

namespace rmt::load {

class EvictionGate {
public:
    // The cgroup's counters so far: hits, and the sum of their leads in pages (RMT_STAT_LEAD). Returns on().
    bool observe(uint64_t hits, uint64_t lead);
    bool on() const { return on_; }

private:
    static constexpr uint64_t kWindow = 512;  // hits between two looks
    static constexpr uint64_t kShort = 8;     // a mean lead below: a window of fewer than 16 pages
    static constexpr uint64_t kLong = 12;

    bool started_ = false, on_ = false;
    uint64_t hits_ = 0, lead_ = 0;  // at the last look
};

}  // namespace rmt::load
