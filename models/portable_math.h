// SPDX-License-Identifier: MIT
// exp and log from nothing but IEEE additions, multiplications and divisions, so that a trained model does not depend on which
// libm, or which of its processor-specific variants, a machine has. Within 1e-14 of the true value; compile with
// -ffp-contract=off (models/CMakeLists.txt), or a compiler may fuse a multiplication and an addition on some machines only.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace rmt::models {

// Clamped to exp(-700) .. exp(700).
inline double portable_exp(double x) {
    x = x < -700 ? -700 : x > 700 ? 700 : x;
    auto k = static_cast<int64_t>(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    auto whole = static_cast<double>(k);
    double r = x - whole * 0.693147180369123816490 - whole * 1.90821492927058770002e-10;  // ln 2 in two parts (fdlibm)
    double sum = 1.0 / 479001600;                                                         // 1/12!
    constexpr double kFactorials[] = {39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1};
    for (double factorial : kFactorials) sum = sum * r + 1.0 / factorial;
    return sum * std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52);
}

// x > 0, normal.
inline double portable_log(double x) {
    auto bits = std::bit_cast<uint64_t>(x);
    double y = (static_cast<double>(bits >> 52) - 1023) * 0.6931471805599453;  // within ln 2; Halley's steps are cubic
    for (int i = 0; i < 4; i++) {
        double e = portable_exp(y);
        y += 2 * (x - e) / (x + e);
    }
    return y;
}

inline double portable_sigmoid(double x) { return 1 / (1 + portable_exp(-x)); }

}  // namespace rmt::models
