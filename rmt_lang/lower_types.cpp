// SPDX-License-Identifier: MIT
// Units and intervals of expressions. Intervals are computed exactly in 128 bits, then cut to 64: the operations
// saturate there.
#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::BinaryOp;
using ir::Interval;
using ir::Scalar;
using ir::Unit;

namespace {

using Wide = __int128;

int64_t cut(Wide v) {
    return v < INT64_MIN ? INT64_MIN : v > INT64_MAX ? INT64_MAX : static_cast<int64_t>(v);
}

Interval hull(std::initializer_list<Wide> values) { return {cut(std::min(values)), cut(std::max(values))}; }

Interval divide(Interval a, Interval b) {
    if (b.lo <= 0 && b.hi >= 0) {  // by zero gives 0, by -1 and 1 the largest
        const Wide m = std::max<Wide>(a.lo < 0 ? -static_cast<Wide>(a.lo) : a.lo, a.hi < 0 ? -static_cast<Wide>(a.hi) : a.hi);
        const bool positive = a.lo >= 0 && b.lo >= 0;
        return {positive ? 0 : cut(-m), cut(m)};
    }
    const Wide al = a.lo, ah = a.hi, bl = b.lo, bh = b.hi;
    return hull({al / bl, al / bh, ah / bl, ah / bh});
}

Interval modulo(Interval a, Interval b) {
    const Wide m = std::max<Wide>(b.lo < 0 ? -static_cast<Wide>(b.lo) : b.lo, b.hi < 0 ? -static_cast<Wide>(b.hi) : b.hi);
    if (m == 0) return {0, 0};
    return {a.lo >= 0 ? 0 : cut(std::max<Wide>(a.lo, 1 - m)), a.hi <= 0 ? 0 : cut(std::min<Wide>(a.hi, m - 1))};
}

// Smallest 2^k - 1 that is not below v.
int64_t mask_above(int64_t v) {
    uint64_t m = static_cast<uint64_t>(v);
    for (int shift = 1; shift < 64; shift *= 2) m |= m >> shift;
    return static_cast<int64_t>(m);
}

Interval bits(BinaryOp op, Interval a, Interval b) {
    if (a.lo >= 0 && b.lo >= 0) {
        if (op == BinaryOp::BitAnd) return {0, std::min(a.hi, b.hi)};
        return {0, mask_above(std::max(a.hi, b.hi))};
    }
    if (op == BinaryOp::BitAnd && a.lo >= 0) return {0, a.hi};
    if (op == BinaryOp::BitAnd && b.lo >= 0) return {0, b.hi};
    return {};
}

bool soft(Unit unit) { return unit == Unit::None || unit == Unit::Pages || unit == Unit::Percent || unit == Unit::Segments; }

bool is_zero(const ir::Expr& e) {
    const auto* c = std::get_if<ir::Const>(&e.node);
    return c && c->value == 0 && e.type.unit == Unit::None;
}

// Units that can be added, compared, stored in each other. A plain number goes with an amount of pages or segments and with
// percent; a time, a rate or a page number only with its own kind. Zero has any unit.
std::optional<Unit> common_unit(const ir::Expr& a, const ir::Expr& b) {
    const Unit x = a.type.unit, y = b.type.unit;
    if (x == y) return x;
    if (is_zero(a)) return y;
    if (is_zero(b)) return x;
    if (x == Unit::None && soft(y)) return y;
    if (y == Unit::None && soft(x)) return x;
    return std::nullopt;
}

bool is_bool(const ir::Expr& e) { return e.type.scalar == Scalar::Bool; }

}  // namespace

std::string describe(const ir::Type& type) {
    if (type.scalar == Scalar::Bool) return "bool";
    return unit_words(type.unit);
}

Interval interval_of(BinaryOp op, Interval a, Interval b) {
    const Wide al = a.lo, ah = a.hi, bl = b.lo, bh = b.hi;
    switch (op) {
        case BinaryOp::Add: return {cut(al + bl), cut(ah + bh)};
        case BinaryOp::Sub: return {cut(al - bh), cut(ah - bl)};
        case BinaryOp::Mul: return hull({al * bl, al * bh, ah * bl, ah * bh});
        case BinaryOp::Div: return divide(a, b);
        case BinaryOp::Mod: return modulo(a, b);
        case BinaryOp::Min: return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)};
        case BinaryOp::Max: return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)};
        case BinaryOp::BitAnd: case BinaryOp::BitOr: case BinaryOp::BitXor: return bits(op, a, b);
        // The distance is within 0..63, arithmetic() sees to it.
        case BinaryOp::Shr: return hull({a.lo >> b.lo, a.lo >> b.hi, a.hi >> b.lo, a.hi >> b.hi});
        case BinaryOp::Shl: {
            const Wide near = static_cast<Wide>(1) << b.lo, far = static_cast<Wide>(1) << b.hi;
            return hull({al * near, al * far, ah * near, ah * far});
        }
        default: return {0, 1};
    }
}

std::optional<Unit> Lowerer::result_unit(BinaryOp op, const ir::Expr& left, const ir::Expr& right, Span op_span) {
    const Unit x = left.type.unit, y = right.type.unit;
    switch (op) {
        case BinaryOp::Add:
            if ((x == Unit::Page && (y == Unit::None || y == Unit::Pages)) || (y == Unit::Page && (x == Unit::None || x == Unit::Pages)))
                return Unit::Page;
            if (x == Unit::Page && y == Unit::Page) break;
            if (const auto u = common_unit(left, right)) return u;
            break;
        case BinaryOp::Sub:
            if (x == Unit::Page && y == Unit::Page) return Unit::Pages;
            if (x == Unit::Page && (y == Unit::None || y == Unit::Pages)) return Unit::Page;
            if (const auto u = common_unit(left, right)) return u;
            break;
        case BinaryOp::Mul:
            if (x == Unit::Page || y == Unit::Page) break;
            if (soft(x) || soft(y)) return soft(x) ? (soft(y) ? (x == y ? x : x == Unit::None ? y : x) : y) : x;
            break;
        case BinaryOp::Div:
            if (x == y) return Unit::None;
            if (x == Unit::Page && soft(y)) return Unit::None;  // the number of a region
            if (soft(y)) return x;
            break;
        case BinaryOp::Mod:
            if (x == Unit::Page && soft(y)) return Unit::None;
            if (x == y || soft(y)) return x;
            break;
        case BinaryOp::BitAnd: case BinaryOp::BitOr: case BinaryOp::BitXor: case BinaryOp::Shl: case BinaryOp::Shr:
            return Unit::None;
        default:
            if (const auto u = common_unit(left, right)) return u;
            break;
    }
    const char* verb = op == BinaryOp::Add ? "added" : op == BinaryOp::Sub ? "subtracted" : op == BinaryOp::Mul ? "multiplied"
                       : op == BinaryOp::Div || op == BinaryOp::Mod ? "divided" : "compared";
    std::string help = "give both the same unit";
    if (x == Unit::Ns || y == Unit::Ns) help = "write times with their unit (500ns, 2us, 3ms, 1s); u64(x) drops a unit";
    if (x == Unit::Rate || y == Unit::Rate) help = "write rates with their unit (500kbit, 10mbit, 1gbit); u64(x) drops a unit, of bytes per second";
    if (x == Unit::Page || y == Unit::Page) help = "a page number and a distance give a page number, two page numbers give a distance by '-'";
    error("E0304", join(left.span, right.span), fmt::format("{} and {} cannot be {}", describe(left.type), describe(right.type), verb),
          fmt::format("'{}' is {}, '{}' is {}", text(left.span), describe(left.type), text(right.span), describe(right.type)), help);
    (void)op_span;
    return std::nullopt;
}

std::optional<Typed> Lowerer::arithmetic(BinaryOp op, Typed left, Typed right, Span op_span, Span span) {
    for (const Typed* side : {&left, &right}) {
        if (!is_bool(side->expr)) continue;
        error("E0305", side->expr.span, fmt::format("'{}' is bool, a number is expected here", text(side->expr.span)), "",
              "use `if`, or the operators && || !");
        return std::nullopt;
    }
    const auto* divisor = std::get_if<ir::Const>(&right.expr.node);
    if ((op == BinaryOp::Div || op == BinaryOp::Mod) && divisor && divisor->value == 0) {
        error("E0316", right.expr.span, "division by zero", "", "a divisor that is 0 at run time gives 0; one that is always 0 is a mistake");
        return std::nullopt;
    }
    if (op == BinaryOp::Shl || op == BinaryOp::Shr) {
        const Interval distance = right.expr.type.range;
        if (distance.lo < 0 || distance.hi > 63) {
            error("E0311", right.expr.span, "a shift needs a distance of 0..63", fmt::format("this can be {}..{}", distance.lo, distance.hi),
                  "cut it: min(max(x, 0), 63)");
            return std::nullopt;
        }
    }
    const auto unit = result_unit(op, left.expr, right.expr, op_span);
    if (!unit) return std::nullopt;
    const Interval range = interval_of(op, left.expr.type.range, right.expr.type.range);
    Typed out{{span, {Scalar::I64, range, *unit}, ir::Const{range.lo}}, nullptr};
    const bool constant = std::holds_alternative<ir::Const>(left.expr.node) && divisor && range.lo == range.hi;
    if (!constant) out.expr.node = ir::Binary{op, std::move(left.expr), std::move(right.expr)};
    return out;
}

std::optional<Typed> Lowerer::comparison(BinaryOp op, Typed left, Typed right, Span op_span, Span span) {
    const bool equality = op == BinaryOp::Eq || op == BinaryOp::Ne;
    if (is_bool(left.expr) != is_bool(right.expr) || (is_bool(left.expr) && !equality)) {
        const ir::Expr& odd = is_bool(left.expr) ? left.expr : right.expr;
        error("E0305", odd.span, fmt::format("'{}' is bool, it cannot be compared so", text(odd.span)), "",
              "a bool is compared with another by == and !=, or stands alone as a condition");
        return std::nullopt;
    }
    if (!is_bool(left.expr) && !result_unit(op, left.expr, right.expr, op_span)) return std::nullopt;
    return Typed{{span, {Scalar::Bool, {0, 1}, Unit::None}, ir::Binary{op, std::move(left.expr), std::move(right.expr)}}, nullptr};
}

// Whether a value may be stored in (passed to, fed to) something of this type. The store saturates; a constant that
// does not fit is a mistake all the same.
bool Lowerer::storable(const Typed& value, Scalar scalar, const std::string& target) {
    const ir::Expr& e = value.expr;
    if (is_bool(e) != (scalar == Scalar::Bool)) {
        error("E0305", e.span, fmt::format("{} is {}, '{}' is {}", target, ir::scalar_name(scalar), text(e.span), describe(e.type)), "",
              is_bool(e) ? "use `if` to turn a bool into a number" : "write a comparison, for example x != 0");
        return false;
    }
    const Unit unit = ir::scalar_unit(scalar);
    const bool fits = e.type.unit == unit || is_zero(e) || (unit == Unit::None && soft(e.type.unit));
    if (!fits) {
        std::string help = "the unit belongs to the type";
        if (unit == Unit::Ns) help = "write a time with its unit, for example 5us";
        if (unit == Unit::Rate) help = "write a rate with its unit, for example 10mbit";
        if (unit == Unit::Page) help = "a page number comes from fault.page, or from another page and a distance; page(x) makes one";
        if (e.type.unit == Unit::Page) help = "declare it as page, or store a distance: the difference of two pages";
        if (e.type.unit == Unit::Ns) help = "declare it as ns; u64(x) drops the unit";
        if (e.type.unit == Unit::Rate) help = "declare it as rate; u64(x) drops the unit";
        error("E0304", e.span, fmt::format("{} is {}, '{}' is {}", target, ir::scalar_name(scalar), text(e.span), describe(e.type)), "", help);
        return false;
    }
    const Interval range = ir::scalar_interval(scalar);
    if (const auto* c = std::get_if<ir::Const>(&e.node); c && (c->value < range.lo || c->value > range.hi)) {
        error("E0302", e.span, fmt::format("{} does not fit in {}", c->value, ir::scalar_name(scalar)),
              fmt::format("{} holds {}..{}", target, range.lo, range.hi), "choose a wider type, or another value");
        return false;
    }
    return true;
}

}  // namespace rmt::lang
