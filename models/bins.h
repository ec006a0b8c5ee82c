// SPDX-License-Identifier: MIT
// Integer columns cut into at most 256 bins for histogram training. A column with at most 256 distinct values keeps each in
// a bin of its own, so its thresholds are as exact as those of an exhaustive search; otherwise frequent values keep theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rmt::models {

struct BinnedColumn {
    std::vector<uint8_t> code;         // of each row; order of codes is order of values
    std::vector<int32_t> first, last;  // smallest and largest value that fell into each bin

    size_t bins() const { return first.size(); }
    // Left iff value <= threshold separates bin `left` and below from bin `right` and above: the middle of the gap.
    int32_t threshold(size_t left, size_t right) const {
        int64_t a = last[left], b = first[right];
        return static_cast<int32_t>(a + (b - a - 1) / 2);
    }
};

BinnedColumn make_bins(const std::vector<int32_t>& values);

}  // namespace rmt::models
