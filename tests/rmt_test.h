// SPDX-License-Identifier: MIT
// Catch2 version 2 (Debian 12) or 3 (Debian 13), and a skip that both count in the same way.
#pragma once

#include <cstdio>

#if RMT_CATCH == 3
#include <catch2/catch_all.hpp>
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& s) { return Catch::Matchers::Contains(s); }
#endif

// Ends the test case as skipped, with the reason; ctest counts it through its output.
#define RMT_SKIP(reason)                                        \
    do {                                                        \
        std::printf("rmt-skip: %s\n", std::string(reason).c_str()); \
        SUCCEED("skipped");                                     \
        return;                                                 \
    } while (0)
