// SPDX-License-Identifier: MIT
#include "bench/net/figures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rmt::net {

double mean(const std::vector<double>& values) {
    return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    const double rank = std::ceil(share * double(values.size()));
    const size_t at = std::min(values.size() - 1, size_t(std::max(rank, 1.0)) - 1);
    std::nth_element(values.begin(), values.begin() + long(at), values.end());
    return values[at];
}

double jain_index(const std::vector<double>& values) {
    double sum = 0, squares = 0;
    for (double v : values) {
        sum += v;
        squares += v * v;
    }
    return squares > 0 ? sum * sum / (double(values.size()) * squares) : 0;
}

}  // namespace rmt::net
