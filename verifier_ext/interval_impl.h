// SPDX-License-Identifier: MIT
// The operations of interval.h for any width; included by interval.cpp (64 and 32 bits) and by its test (narrow ones).
#pragma once

#include <bit>

#include "verifier_ext/interval.h"

namespace rmt::verify {
namespace detail {

template <int N>
uint64_t concrete(AluOp op, uint64_t a, uint64_t b) {
    constexpr uint64_t mask = Range<N>::kMax;
    a &= mask, b &= mask;
    int64_t sa = Range<N>::sign(a), sb = Range<N>::sign(b);
    unsigned shift = static_cast<unsigned>(b % N);  // BPF masks with N - 1; widths of the product are powers of two
    switch (op) {
        case AluOp::Add: return (a + b) & mask;
        case AluOp::Sub: return (a - b) & mask;
        case AluOp::Mul: return (a * b) & mask;
        case AluOp::Div: return b ? a / b : 0;
        case AluOp::Mod: return b ? a % b : a;
        case AluOp::SDiv: return !sb ? 0 : sb == -1 ? (0 - a) & mask : static_cast<uint64_t>(sa / sb) & mask;
        case AluOp::SMod: return !sb ? a : sb == -1 ? 0 : static_cast<uint64_t>(sa % sb) & mask;
        case AluOp::And: return a & b;
        case AluOp::Or: return a | b;
        case AluOp::Xor: return a ^ b;
        case AluOp::Shl: return (a << shift) & mask;
        case AluOp::Shr: return a >> shift;
        case AluOp::Ashr: return static_cast<uint64_t>(sa >> shift) & mask;
    }
    return 0;
}

// All ones up to the highest bit of x.
inline uint64_t fill(uint64_t x) { return x ? ~uint64_t{0} >> std::countl_zero(x) : 0; }

template <int N>
bool add_fits(int64_t a, int64_t b, int64_t& sum) {
    return !__builtin_add_overflow(a, b, &sum) && sum >= Range<N>::kSMin && sum <= Range<N>::kSMax;
}
template <int N>
bool sub_fits(int64_t a, int64_t b, int64_t& difference) {
    return !__builtin_sub_overflow(a, b, &difference) && difference >= Range<N>::kSMin && difference <= Range<N>::kSMax;
}

template <int N>
Range<N> add(const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    if (a.umax <= Range<N>::kMax - b.umax) r.umin = a.umin + b.umin, r.umax = a.umax + b.umax;
    int64_t lo, hi;
    if (add_fits<N>(a.smin, b.smin, lo) && add_fits<N>(a.smax, b.smax, hi)) r.smin = lo, r.smax = hi;
    return r;
}

template <int N>
Range<N> sub(const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    if (a.umin >= b.umax) r.umin = a.umin - b.umax, r.umax = a.umax - b.umin;
    int64_t lo, hi;
    if (sub_fits<N>(a.smin, b.smax, lo) && sub_fits<N>(a.smax, b.smin, hi)) r.smin = lo, r.smax = hi;
    return r;
}

template <int N>
Range<N> mul(const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    uint64_t high;
    if (!__builtin_mul_overflow(a.umax, b.umax, &high) && high <= Range<N>::kMax) r.umin = a.umin * b.umin, r.umax = high;
    return r;
}

template <int N>
Range<N> bitwise(AluOp op, const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    switch (op) {
        case AluOp::And: r.umin = 0, r.umax = std::min(a.umax, b.umax); break;
        case AluOp::Or: r.umin = std::max(a.umin, b.umin), r.umax = fill(a.umax | b.umax); break;
        default: r.umin = 0, r.umax = fill(a.umax | b.umax); break;
    }
    return r;
}

template <int N>
Range<N> shift(AluOp op, const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    if (!b.is_constant()) {
        if (op == AluOp::Shr) r.umin = 0, r.umax = a.umax;
        return r;
    }
    unsigned by = static_cast<unsigned>(b.umin % N);
    switch (op) {
        case AluOp::Shl:
            if (a.umax <= Range<N>::kMax >> by) r.umin = a.umin << by, r.umax = a.umax << by;
            break;
        case AluOp::Shr: r.umin = a.umin >> by, r.umax = a.umax >> by; break;
        default: r.smin = a.smin >> by, r.smax = a.smax >> by; break;
    }
    return r;
}

template <int N>
Range<N> divide(AluOp op, const Range<N>& a, const Range<N>& b) {
    Range<N> r;
    if (op == AluOp::Div) {
        r.umax = a.umax;  // by 0 gives 0
        if (b.umin > 0) r.umin = a.umin / b.umax, r.umax = a.umax / b.umin;
    } else if (op == AluOp::Mod) {
        r.umax = a.umax;  // by 0 keeps a
        if (b.umin > 0) r.umax = std::min(a.umax, b.umax - 1);
        r.umin = 0;
    }
    return r;
}

}  // namespace detail

template <int N>
Range<N> apply(AluOp op, Range<N> a, Range<N> b) {
    if (a.is_constant() && b.is_constant()) return Range<N>::constant(detail::concrete<N>(op, a.umin, b.umin));
    Range<N> r;
    switch (op) {
        case AluOp::Add: r = detail::add<N>(a, b); break;
        case AluOp::Sub: r = detail::sub<N>(a, b); break;
        case AluOp::Mul: r = detail::mul<N>(a, b); break;
        case AluOp::Div: case AluOp::Mod: r = detail::divide<N>(op, a, b); break;
        case AluOp::And: case AluOp::Or: case AluOp::Xor: r = detail::bitwise<N>(op, a, b); break;
        case AluOp::Shl: case AluOp::Shr: case AluOp::Ashr: r = detail::shift<N>(op, a, b); break;
        case AluOp::SDiv: case AluOp::SMod: break;  // not needed: anything
    }
    r.tighten();
    return r;
}

template <int N>
std::optional<bool> decide(Compare compare, const Range<N>& a, const Range<N>& b) {
    auto less = [](auto a_min, auto a_max, auto b_min, auto b_max) -> std::optional<bool> {
        if (a_max < b_min) return true;
        if (a_min >= b_max) return false;
        return std::nullopt;
    };
    auto invert = [](std::optional<bool> x) { return x ? std::optional(!*x) : x; };
    switch (compare) {
        case Compare::Eq:
            if (a.is_constant() && b.is_constant()) return a.umin == b.umin;
            if (a.umax < b.umin || b.umax < a.umin || a.smax < b.smin || b.smax < a.smin) return false;
            return std::nullopt;
        case Compare::Ult: return less(a.umin, a.umax, b.umin, b.umax);
        case Compare::Ugt: return less(b.umin, b.umax, a.umin, a.umax);
        case Compare::Slt: return less(a.smin, a.smax, b.smin, b.smax);
        case Compare::Sgt: return less(b.smin, b.smax, a.smin, a.smax);
        case Compare::Set:
            if (a.is_constant() && b.is_constant()) return (a.umin & b.umin) != 0;
            if (a.umax == 0 || b.umax == 0) return false;
            return std::nullopt;
        default: return invert(decide<N>(negate(compare), a, b));
    }
}

template <int N>
void assume(Compare compare, Range<N>& a, Range<N>& b) {
    auto empty = [&] { a.umin = 1, a.umax = 0; };
    auto below = [&](Range<N>& x, Range<N>& y, bool strict) {  // x < y or x <= y, unsigned
        if (strict && (y.umax == 0 || x.umin == Range<N>::kMax)) return empty();
        x.umax = std::min(x.umax, y.umax - strict);
        y.umin = std::max(y.umin, x.umin + strict);
    };
    auto below_signed = [&](Range<N>& x, Range<N>& y, bool strict) {
        if (strict && (y.smax == Range<N>::kSMin || x.smin == Range<N>::kSMax)) return empty();
        x.smax = std::min(x.smax, y.smax - strict);
        y.smin = std::max(y.smin, x.smin + strict);
    };
    auto without = [&](Range<N>& x, const Range<N>& y) {  // x != the only value of y
        if (!y.is_constant()) return;
        if (x.is_constant() && x.umin == y.umin) return empty();
        if (x.umin == y.umin) x.umin++;
        if (x.umax == y.umin) x.umax--;
        if (x.smin == y.smin) x.smin++;
        if (x.smax == y.smin) x.smax--;
    };
    switch (compare) {
        case Compare::Eq:
            a.umin = b.umin = std::max(a.umin, b.umin), a.umax = b.umax = std::min(a.umax, b.umax);
            a.smin = b.smin = std::max(a.smin, b.smin), a.smax = b.smax = std::min(a.smax, b.smax);
            break;
        case Compare::Ne: {
            Range<N> before = a;
            without(a, b);
            without(b, before);
            break;
        }
        case Compare::Ult: below(a, b, true); break;
        case Compare::Ule: below(a, b, false); break;
        case Compare::Ugt: below(b, a, true); break;
        case Compare::Uge: below(b, a, false); break;
        case Compare::Slt: below_signed(a, b, true); break;
        case Compare::Sle: below_signed(a, b, false); break;
        case Compare::Sgt: below_signed(b, a, true); break;
        case Compare::Sge: below_signed(b, a, false); break;
        case Compare::Set: case Compare::Clear: break;
    }
    if (a.is_empty() || b.is_empty()) return;
    a.tighten();
    b.tighten();
}

}  // namespace rmt::verify
