// SPDX-License-Identifier: MIT
// Private to the workload_*.cpp files: the families of patterns behind make_pattern().
#pragma once

#include <utility>

#include "bench/workload_patterns.h"

namespace rmt::bench {

// Null: the pattern is not of this family.
std::unique_ptr<Pattern> make_scan(const Options& options);
std::unique_ptr<Pattern> make_conv(const Options& options, std::string& error);
std::unique_ptr<Pattern> make_resize(const Options& options, std::string& error);

}  // namespace rmt::bench
