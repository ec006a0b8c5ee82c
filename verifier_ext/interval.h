// SPDX-License-Identifier: MIT
// Sets of N-bit values, each as the smallest unsigned and the smallest signed range that is known to hold it.
//
// Soundness: for every operation f and ranges A, B, the result holds f(a, b) for all a in A, b in B under BPF's
// semantics (wrap-around, division by 0 is 0, modulo by 0 keeps the dividend, shifts are masked). `assume` keeps every
// pair that satisfies the comparison. interval_test.cpp tries all ranges of 4 and of 5 bits, and ranges of 8 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace rmt::verify {

enum class AluOp { Add, Sub, Mul, Div, Mod, SDiv, SMod, And, Or, Xor, Shl, Shr, Ashr };
enum class Compare { Eq, Ne, Ugt, Uge, Ult, Ule, Sgt, Sge, Slt, Sle, Set, Clear };  // Set: a & b != 0

Compare negate(Compare compare);

template <int N>
struct Range {
    static constexpr uint64_t kMax = N == 64 ? ~uint64_t{0} : (uint64_t{1} << N) - 1;
    static constexpr int64_t kSMax = static_cast<int64_t>(kMax >> 1);
    static constexpr int64_t kSMin = -kSMax - 1;

    uint64_t umin = 0, umax = kMax;
    int64_t smin = kSMin, smax = kSMax;

    static Range top() { return {}; }
    static Range constant(uint64_t value) {
        value &= kMax;
        return {value, value, sign(value), sign(value)};
    }
    static Range of_unsigned(uint64_t lo, uint64_t hi) {
        Range range;
        range.umin = lo, range.umax = hi;
        range.tighten();
        return range;
    }
    static Range of_signed(int64_t lo, int64_t hi) {
        Range range;
        range.smin = lo, range.smax = hi;
        range.tighten();
        return range;
    }
    static int64_t sign(uint64_t value) {
        if constexpr (N == 64) return static_cast<int64_t>(value);
        return value > static_cast<uint64_t>(kSMax) ? static_cast<int64_t>(value) - static_cast<int64_t>(kMax) - 1
                                                    : static_cast<int64_t>(value);
    }
    bool is_constant() const { return umin == umax; }
    bool is_top() const { return umin == 0 && umax == kMax && smin == kSMin && smax == kSMax; }
    bool is_empty() const { return umin > umax || smin > smax; }
    bool holds(uint64_t value) const {
        value &= kMax;
        return value >= umin && value <= umax && sign(value) >= smin && sign(value) <= smax;
    }
    bool operator==(const Range&) const = default;

    // Carries what one view knows into the other; both views describe the same set, so each step only removes values
    // that are in neither.
    void tighten() {
        for (int i = 0; i < 2; i++) {
            if (sign(umin) <= sign(umax)) {  // does not cross the sign boundary
                smin = std::max(smin, sign(umin));
                smax = std::min(smax, sign(umax));
            }
            if (smin >= 0 || smax < 0) {
                umin = std::max(umin, static_cast<uint64_t>(smin) & kMax);
                umax = std::min(umax, static_cast<uint64_t>(smax) & kMax);
            }
        }
    }
};

using Range64 = Range<64>;
using Range32 = Range<32>;

template <int N>
Range<N> apply(AluOp op, Range<N> a, Range<N> b);

// None, true or false: whether `a compare b` holds for all pairs, for no pair, or it depends.
template <int N>
std::optional<bool> decide(Compare compare, const Range<N>& a, const Range<N>& b);

// Removes from both what cannot satisfy `a compare b`. A range may become empty: the comparison cannot hold.
template <int N>
void assume(Compare compare, Range<N>& a, Range<N>& b);

extern template Range<64> apply<64>(AluOp, Range<64>, Range<64>);
extern template Range<32> apply<32>(AluOp, Range<32>, Range<32>);

}  // namespace rmt::verify
