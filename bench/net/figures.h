// SPDX-License-Identifier: MIT
// The few statistics that the network programs report.
#pragma once

#include <vector>

namespace rmt::net {

double mean(const std::vector<double>& values);  // 0 when there are none

// The smallest value that at least `share` (0..1) of all values do not exceed; 0 when there are none.
double percentile(std::vector<double> values, double share);

// Jain, Chiu and Hawe, DEC-TR-301: (sum x)^2 / (n * sum x^2). 1 when all are equal, 1/n when one has everything; 0 when all are 0.
double jain_index(const std::vector<double>& values);

}  // namespace rmt::net
