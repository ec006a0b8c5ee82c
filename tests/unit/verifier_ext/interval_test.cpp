// SPDX-License-Identifier: MIT
// The transfer functions against what they stand for, on widths where everything can be tried: all pairs of ranges of 4
// bits, and at 8 bits every range against every constant, every constant against every range, for all operations and
// comparisons. The functions are the same text for all widths.
#include "verifier_ext/interval.h"

#include "tests/rmt_test.h"
#include "verifier_ext/interval_impl.h"

using namespace rmt::verify;

namespace {

const AluOp kOps[] = {AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Div, AluOp::Mod, AluOp::SDiv, AluOp::SMod,
                      AluOp::And, AluOp::Or, AluOp::Xor, AluOp::Shl, AluOp::Shr, AluOp::Ashr};
const Compare kCompares[] = {Compare::Eq, Compare::Ne, Compare::Ugt, Compare::Uge, Compare::Ult, Compare::Ule,
                             Compare::Sgt, Compare::Sge, Compare::Slt, Compare::Sle, Compare::Set, Compare::Clear};

template <int N>
bool compares(Compare compare, uint64_t a, uint64_t b) {
    int64_t sa = Range<N>::sign(a), sb = Range<N>::sign(b);
    switch (compare) {
        case Compare::Eq: return a == b;
        case Compare::Ne: return a != b;
        case Compare::Ugt: return a > b;
        case Compare::Uge: return a >= b;
        case Compare::Ult: return a < b;
        case Compare::Ule: return a <= b;
        case Compare::Sgt: return sa > sb;
        case Compare::Sge: return sa >= sb;
        case Compare::Slt: return sa < sb;
        case Compare::Sle: return sa <= sb;
        case Compare::Set: return (a & b) != 0;
        case Compare::Clear: return (a & b) == 0;
    }
    return false;
}

template <int N>
std::vector<uint64_t> members(const Range<N>& range) {
    std::vector<uint64_t> list;
    for (uint64_t v = 0; v <= Range<N>::kMax; v++)
        if (range.holds(v)) list.push_back(v);
    return list;
}

// All unsigned and all signed ranges.
template <int N>
std::vector<Range<N>> all_ranges() {
    std::vector<Range<N>> list;
    for (uint64_t lo = 0; lo <= Range<N>::kMax; lo++)
        for (uint64_t hi = lo; hi <= Range<N>::kMax; hi++) list.push_back(Range<N>::of_unsigned(lo, hi));
    for (int64_t lo = Range<N>::kSMin; lo < 0; lo++)
        for (int64_t hi = 0; hi <= Range<N>::kSMax; hi++) list.push_back(Range<N>::of_signed(lo, hi));
    return list;
}

struct Broken {
    int count = 0;
    std::string first;
    void note(const std::string& what) {
        if (count++ == 0) first = what;
    }
};

template <int N>
std::string show(const Range<N>& r) {
    return "[" + std::to_string(r.umin) + "," + std::to_string(r.umax) + "|" + std::to_string(r.smin) + "," + std::to_string(r.smax) + "]";
}

template <int N>
void check_pair(const Range<N>& a, const std::vector<uint64_t>& in_a, const Range<N>& b, const std::vector<uint64_t>& in_b, Broken& broken) {
    for (AluOp op : kOps) {
        Range<N> result = apply<N>(op, a, b);
        for (uint64_t x : in_a)
            for (uint64_t y : in_b)
                if (!result.holds(detail::concrete<N>(op, x, y))) broken.note(show(a) + " op " + std::to_string(int(op)) + " " + show(b) + " = " + show(result));
    }
    for (Compare compare : kCompares) {
        auto decided = decide<N>(compare, a, b);
        Range<N> left = a, right = b;
        assume<N>(compare, left, right);
        for (uint64_t x : in_a)
            for (uint64_t y : in_b) {
                bool holds = compares<N>(compare, x, y);
                if (decided && *decided != holds) broken.note("decide " + show(a) + " " + std::to_string(int(compare)) + " " + show(b));
                if (holds && (left.is_empty() || right.is_empty() || !left.holds(x) || !right.holds(y)))
                    broken.note("assume " + show(a) + " " + std::to_string(int(compare)) + " " + show(b));
            }
    }
}

}  // namespace

TEST_CASE("ranges of 4 bits: every operation and comparison of every pair holds what it must") {
    auto ranges = all_ranges<4>();
    std::vector<std::vector<uint64_t>> in;
    for (auto& range : ranges) in.push_back(members(range));
    Broken broken;
    for (size_t i = 0; i < ranges.size(); i++)
        for (size_t j = 0; j < ranges.size(); j++) check_pair<4>(ranges[i], in[i], ranges[j], in[j], broken);
    INFO(broken.first);
    CHECK(broken.count == 0);
}

TEST_CASE("ranges of 8 bits: every one against constants at the edges") {
    auto ranges = all_ranges<8>();
    Broken broken;
    for (auto& range : ranges) {
        // the ends, their neighbours and the sign boundary are where an operation of ranges can go wrong
        std::vector<uint64_t> edge;
        for (uint64_t v : {range.umin, range.umax, uint64_t(range.smin) & 255, uint64_t(range.smax) & 255, range.umin + 1, range.umax - 1, uint64_t{127}, uint64_t{128}})
            if (range.holds(v)) edge.push_back(v & 255);
        for (uint64_t c : {0, 1, 2, 3, 7, 31, 127, 128, 129, 254, 255}) {
            Range<8> constant = Range<8>::constant(c);
            check_pair<8>(range, edge, constant, {c}, broken);
            check_pair<8>(constant, {c}, range, edge, broken);
        }
    }
    INFO(broken.first);
    CHECK(broken.count == 0);
}

TEST_CASE("ranges of 8 bits: every pair of constants is exact") {
    Broken broken;
    for (uint64_t a = 0; a < 256; a++)
        for (uint64_t b = 0; b < 256; b++) {
            Range<8> x = Range<8>::constant(a), y = Range<8>::constant(b);
            for (AluOp op : kOps) {
                Range<8> result = apply<8>(op, x, y);
                if (!result.is_constant() || result.umin != detail::concrete<8>(op, a, b)) broken.note(std::to_string(a) + " " + std::to_string(b));
            }
            for (Compare compare : kCompares)
                if (decide<8>(compare, x, y) != compares<8>(compare, a, b)) broken.note("compare");
        }
    INFO(broken.first);
    CHECK(broken.count == 0);
}

TEST_CASE("what the sink's proof needs is not lost: clamp, scale and add keep their bounds") {
    Range32 n = Range32::top(), limit = Range32::constant(32);
    assume<32>(Compare::Ule, n, limit);
    Range64 wide = Range64::of_unsigned(n.umin, n.umax);
    Range64 size = apply<64>(AluOp::Add, apply<64>(AluOp::Shl, wide, Range64::constant(3)), Range64::constant(40));
    CHECK(size.umin == 40);
    CHECK(size.umax == 40 + 8 * 32);

    // compared as signed, a negative number passes: as unsigned it is large
    Range32 s = Range32::top();
    assume<32>(Compare::Sle, s, limit);
    CHECK(s.umax == UINT32_MAX);

    // an unbounded number may wrap around when it is scaled
    Range64 wrapped = apply<64>(AluOp::Shl, Range64::top(), Range64::constant(3));
    CHECK(wrapped.umax == UINT64_MAX);
}
