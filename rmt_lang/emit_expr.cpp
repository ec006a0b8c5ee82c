// SPDX-License-Identifier: MIT
// Expressions as C. Plain operators where the intervals show that nothing leaves 64 bits, saturating helpers elsewhere.
#include <algorithm>

#include "rmt_lang/emit_internal.h"

namespace rmt::lang::emit {

namespace {

using namespace ir;
using Wide = __int128;

bool fits64(Wide lo, Wide hi) { return lo >= INT64_MIN && hi <= INT64_MAX; }

bool sum_fits(Interval a, Interval b) { return fits64(Wide{a.lo} + b.lo, Wide{a.hi} + b.hi); }
bool difference_fits(Interval a, Interval b) { return fits64(Wide{a.lo} - b.hi, Wide{a.hi} - b.lo); }
bool product_fits(Interval a, Interval b) {
    const Wide p[] = {Wide{a.lo} * b.lo, Wide{a.lo} * b.hi, Wide{a.hi} * b.lo, Wide{a.hi} * b.hi};
    return fits64(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
}
// Negative numbers are left to the helper: C leaves their shift undefined.
bool shift_fits(Interval a, Interval b) {
    return a.lo >= 0 && inside(b, {0, 62}) && (Wide{a.hi} << b.hi) <= INT64_MAX;
}
bool natural(Interval a) { return a.lo >= 0; }

// Small types would be computed in int or, worse, in unsigned: everything that is read becomes __s64 first.
std::string read(Scalar scalar, const std::string& c) { return scalar == Scalar::I64 ? c : "(__s64)" + c; }

std::string call(const char* function, const std::string& a, const std::string& b) {
    return std::string(function) + "(" + bare(a) + ", " + bare(b) + ")";
}

class Emit {
public:
    Emit(const Scope& scope, const Expr& e) : scope_(scope), e_(e) {}

    std::string operator()(const Const& n) const { return c_number(n.value); }
    std::string operator()(const FieldRef& n) const {
        const Field& field = scope_.ir.fields.at(n.field);
        RMT_BUG_IF(is_words(field.kind), "a text or an address is not an expression");
        std::string name = field.name;
        std::replace(name.begin(), name.end(), '.', '_');
        return "rmt_field_" + name + "(ev)";
    }
    std::string operator()(const StateRef& n) const;
    std::string operator()(const RingElement& n) const;
    std::string operator()(const ParamRef& n) const { return scope_.params.at(n.param); }
    std::string operator()(const LocalRef& n) const { return scope_.locals.at(n.local); }
    std::string operator()(const Unary& n) const;
    std::string operator()(const Binary& n) const;
    std::string operator()(const Cast& n) const { return read(n.to, "(" + stored(scope_, *n.value, n.to) + ")"); }
    std::string operator()(const Infer& n) const {
        std::string c = "rmt_infer_" + scope_.ir.models.at(n.model).name + "(ev, st";
        for (const Expr& input : n.inputs) c += ", " + bare(expr(scope_, input));
        return c + ")";
    }
    std::string operator()(const TableAction& n) const { return "rmt_chosen_" + scope_.ir.tables.at(n.table).name; }

private:
    std::string infix(const Binary& n, const char* op) const;
    std::string order(const Binary& n, const char* op) const;
    std::string divided(const Binary& n, const char* op, const char* helper) const;

    const Scope& scope_;
    const Expr& e_;
};

std::string Emit::operator()(const StateRef& n) const {
    const State& state = scope_.ir.states.at(n.state);
    const std::string place = "st->" + c_name(state.name);
    return std::visit(Overloaded{
                          [&](const State::Value& v) { return read(v.type, place); },
                          [&](const State::Ewma& v) { return "rmt_ewma_mean(&" + place + ", " + std::to_string(v.n) + ")"; },
                          [&](const State::Count&) { return "(__s64)" + place; },
                          [&](const State::Ring&) -> std::string {
                              RMT_BUG_IF(true, "a whole ring is not an expression");
                              return {};
                          },
                      },
                      state.kind);
}

std::string Emit::operator()(const RingElement& n) const {
    const State& state = scope_.ir.states.at(n.state);
    const State::Ring& ring = std::get<State::Ring>(state.kind);
    const std::string place = "st->" + c_name(state.name);
    const std::string count = std::to_string(ring.n);
    const Const* constant = std::get_if<Const>(&n.index->node);
    RMT_BUG_IF(constant && (constant->value < 0 || constant->value >= ring.n), "a constant index outside its ring");
    const std::string index = constant ? std::to_string(constant->value) : expr(scope_, *n.index);
    if (ring.n > kSmallRing) return "RMT_RING_AT_LARGE(" + place + ", " + count + ", " + std::to_string(ring_slots(ring.n)) + ", " + index + ")";
    if (constant) return read(ring.type, place + ".v[" + index + "]");
    return "RMT_RING_AT(" + place + ", " + count + ", " + index + ")";
}

std::string Emit::operator()(const Unary& n) const {
    const std::string value = expr(scope_, *n.value);
    const Interval range = n.value->type.range;
    switch (n.op) {
        case UnaryOp::Neg: return range.lo > INT64_MIN ? "(-" + value + ")" : "rmt_neg(" + value + ")";
        case UnaryOp::Not: return "(!" + value + ")";
        case UnaryOp::Abs: return natural(range) ? value : "rmt_abs(" + value + ")";
    }
    return {};
}

// Two constants would be computed in int: one of them is made wide.
std::string Emit::infix(const Binary& n, const char* op) const {
    // The width of a shift is that of its left side alone.
    const bool shift = n.op == BinaryOp::Shl || n.op == BinaryOp::Shr;
    const bool both = std::holds_alternative<Const>(n.left->node) && (shift || std::holds_alternative<Const>(n.right->node));
    return std::string("(") + (both ? "(__s64)" : "") + expr(scope_, *n.left) + " " + op + " " + expr(scope_, *n.right) + ")";
}

// Whether a number is negative is asked in a way that clang does not make a mask of: see rmt_negative().
std::string Emit::order(const Binary& n, const char* op) const {
    const Const *left = std::get_if<Const>(&n.left->node), *right = std::get_if<Const>(&n.right->node);
    if (!left == !right) return infix(n, op);
    const bool less = *op == '<', equal = op[1] == '=';
    const int64_t number = left ? left->value : right->value;
    const Expr& other = left ? *n.right : *n.left;
    // x < 0 and x <= -1, or 0 > x and -1 >= x; the opposites are x >= 0 and x > -1, 0 <= x and -1 < x.
    const bool below = less == !left;
    const int64_t edge = below == equal ? -1 : 0;
    if (number != edge || natural(other.type.range) || other.type.range.hi < 0) return infix(n, op);
    return std::string(below ? "" : "(!") + "rmt_negative(" + bare(expr(scope_, other)) + ")" + (below ? "" : ")");
}

// BPF v3 divides unsigned only: natural numbers directly, others by magnitude and sign.
std::string Emit::divided(const Binary& n, const char* op, const char* helper) const {
    const std::string a = expr(scope_, *n.left), b = expr(scope_, *n.right);
    if (natural(n.left->type.range) && n.right->type.range.lo > 0) return "(__s64)((__u64)" + a + " " + op + " (__u64)" + b + ")";
    return call(helper, a, b);
}

std::string Emit::operator()(const Binary& n) const {
    const Interval a = n.left->type.range, b = n.right->type.range;
    const auto helper = [&](const char* name) { return call(name, expr(scope_, *n.left), expr(scope_, *n.right)); };
    switch (n.op) {
        case BinaryOp::Add: return sum_fits(a, b) ? infix(n, "+") : helper("rmt_add64");
        case BinaryOp::Sub: return difference_fits(a, b) ? infix(n, "-") : helper("rmt_sub64");
        case BinaryOp::Mul: return product_fits(a, b) ? infix(n, "*") : helper("rmt_mul64");
        case BinaryOp::Div: return divided(n, "/", "rmt_div");
        case BinaryOp::Mod: return divided(n, "%", "rmt_mod");
        case BinaryOp::Shl: return shift_fits(a, b) ? infix(n, "<<") : helper("rmt_shl64");
        case BinaryOp::Shr: return inside(b, {0, 63}) ? infix(n, ">>") : helper("rmt_shr64");
        case BinaryOp::BitAnd: return infix(n, "&");
        case BinaryOp::BitOr: return infix(n, "|");
        case BinaryOp::BitXor: return infix(n, "^");
        case BinaryOp::Eq: return infix(n, "==");
        case BinaryOp::Ne: return infix(n, "!=");
        case BinaryOp::Lt: return order(n, "<");
        case BinaryOp::Le: return order(n, "<=");
        case BinaryOp::Gt: return order(n, ">");
        case BinaryOp::Ge: return order(n, ">=");
        case BinaryOp::And: return infix(n, "&&");
        case BinaryOp::Or: return infix(n, "||");
        case BinaryOp::Min: return helper("rmt_min");
        case BinaryOp::Max: return helper("rmt_max");
    }
    return {};
}

}  // namespace

const char* c_type(Scalar scalar) {
    switch (scalar) {
        case Scalar::U8:
        case Scalar::Bool: return "__u8";
        case Scalar::U16: return "__u16";
        case Scalar::U32: return "__u32";
        case Scalar::U64:
        case Scalar::Page:
        case Scalar::Ns:
        case Scalar::Rate: return "__u64";
        case Scalar::I8: return "__s8";
        case Scalar::I16: return "__s16";
        case Scalar::I32: return "__s32";
        case Scalar::I64: return "__s64";
    }
    return "__s64";
}

std::string bare(const std::string& c) {
    if (c.size() < 2 || c.front() != '(') return c;
    int depth = 0;
    for (size_t i = 0; i < c.size(); i++) {
        depth += c[i] == '(' ? 1 : c[i] == ')' ? -1 : 0;
        if (depth == 0) return i + 1 == c.size() && c[1] != '-' ? c.substr(1, c.size() - 2) : c;
    }
    return c;
}

uint32_t ring_slots(uint32_t n) {
    if (n <= kSmallRing) return n;
    uint32_t p = 1;
    while (p < n) p *= 2;
    return p;
}

bool inside(Interval inner, Interval outer) { return inner.lo >= outer.lo && inner.hi <= outer.hi; }

std::string expr(const Scope& scope, const Expr& e) { return std::visit(Emit(scope, e), e.node); }

std::string fit(const std::string& c, Interval known, Scalar target) {
    if (inside(known, scalar_interval(target))) return c;
    return std::string("rmt_sat_") + scalar_name(target) + "(" + bare(c) + ")";
}

std::string stored(const Scope& scope, const Expr& e, Scalar target) { return fit(expr(scope, e), e.type.range, target); }

}  // namespace rmt::lang::emit
