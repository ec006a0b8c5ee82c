// SPDX-License-Identifier: MIT
// The access patterns of rmt-workload. Each does real arithmetic on what it reads, and its checksum depends on every page
// that it touched: the same options give the same checksum whatever policy, limit or swap device is under it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/workload_memory.h"

namespace rmt::bench {

struct Options {
    std::string pattern;
    std::size_t mb = 96;  // of pages that a pass touches
    unsigned passes = 3;
    unsigned work = 0;        // rounds of the pattern's arithmetic per page; 0: its default
    bool write = false;       // the scans also write to each page
    unsigned stride = 11;     // stride: pages from one access to the next
    unsigned row_pages = 16;  // conv: width of the matrix in pages (1024 floats each)
    unsigned scale = 4;       // resize: source rows per output row
    unsigned width = 1920;    // resize: samples per row of a frame
    unsigned height = 1080;   // resize: rows of a plane
    std::uint64_t seed = 1;
    std::string file;  // empty: anonymous memory
    bool random_advice = false;
};

class Pattern {
public:
    virtual ~Pattern() = default;
    virtual std::size_t pages() const = 0;  // of the region
    virtual void fill(Region& region) = 0;
    virtual std::uint64_t pass(Region& region, Meter& meter, unsigned number) = 0;  // the checksum
};

// The names that make_pattern() knows, with one line each about what they do.
struct PatternInfo {
    const char* name;
    const char* help;
};
const std::vector<PatternInfo>& pattern_list();

// Null and a text when the options do not describe a possible workload.
std::unique_ptr<Pattern> make_pattern(const Options& options, std::string& error);

}  // namespace rmt::bench
