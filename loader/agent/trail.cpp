// SPDX-License-Identifier: MIT
#include "loader/agent/trail.h"

#include <algorithm>

namespace rmt::load {

void Trail::touch(uint64_t page) {
    if (evicted_.erase(page)) early_++;
    touched_.push_back(page);
}

std::vector<uint64_t> Trail::take(size_t batch, bool evict) {
    if (touched_.size() < length_ + batch) return {};
    std::vector<uint64_t> pages(touched_.begin(), touched_.begin() + static_cast<std::ptrdiff_t>(batch));
    touched_.erase(touched_.begin(), touched_.begin() + static_cast<std::ptrdiff_t>(batch));
    if (!evict) return pages;
    for (const uint64_t page : pages) {
        evicted_.insert(page);
        order_.push_back(page);
    }
    while (order_.size() > kRemembered) {
        evicted_.erase(order_.front());
        order_.pop_front();
    }
    evictions_ += batch;
    if (evictions_ >= kPeriod) look();
    return pages;
}

void Trail::look() {
    if (early_ * 16 > evictions_) {
        length_ = std::min(length_ * 2, kLongest);
        calm_ = 0;
    } else if (early_ == 0 && ++calm_ >= kCalm) {
        length_ = std::max(length_ / 2, shortest_);
        calm_ = 0;
    }
    evictions_ = early_ = 0;
}

}  // namespace rmt::load
