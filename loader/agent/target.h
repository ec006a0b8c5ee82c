// SPDX-License-Identifier: MIT
// One process whose pages are prefetched or evicted: its pidfd, and its mappings, to keep requests inside the faulting one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loader/fd.h"

namespace rmt::load {

struct PageRange {
    uint64_t begin = 0, end = 0;  // page numbers, half open
};

class Target {
public:
    // Nothing when the process has gone.
    static std::optional<Target> open(uint32_t tgid);

    // The mapping that holds `page`, read from /proc/PID/maps; asked anew when it is not known, at most every 50 ms.
    std::optional<PageRange> mapping(uint64_t page, uint64_t now_ns);

    // process_madvise over the pages (sorted here, neighbours merged). Pages that are not mapped are passed over.
    // Returns the number of system calls, or a negative errno when the process has gone.
    int advise(std::vector<uint64_t>& pages, int advice) const;


private:
    void read_mappings();

    uint32_t tgid_ = 0;
    Fd pidfd_;
    std::vector<PageRange> mappings_;  // sorted
    uint64_t read_at_ns_ = 0;
};

}  // namespace rmt::load
