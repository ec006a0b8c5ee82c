// SPDX-License-Identifier: MIT
#include "rmt_lang/constant.h"

namespace rmt::lang {

namespace {

struct UnitScale {
    ir::Unit unit;
    int64_t scale;
};

UnitScale scale_of(WrittenUnit unit) {
    switch (unit) {
        case WrittenUnit::Ns: return {ir::Unit::Ns, 1};
        case WrittenUnit::Us: return {ir::Unit::Ns, 1000};
        case WrittenUnit::Ms: return {ir::Unit::Ns, 1000000};
        case WrittenUnit::S: return {ir::Unit::Ns, 1000000000};
        case WrittenUnit::Pages: return {ir::Unit::Pages, 1};
        case WrittenUnit::KiB: return {ir::Unit::Bytes, 1024};
        case WrittenUnit::MiB: return {ir::Unit::Bytes, 1024 * 1024};
        case WrittenUnit::Kbit: return {ir::Unit::Rate, 1000 / 8};
        case WrittenUnit::Mbit: return {ir::Unit::Rate, 1000 * 1000 / 8};
        case WrittenUnit::Gbit: return {ir::Unit::Rate, 1000 * 1000 * 1000 / 8};
        case WrittenUnit::Percent: return {ir::Unit::Percent, 1};
        default: return {ir::Unit::None, 1};
    }
}

}  // namespace

const int64_t* Names::find(const std::string& name) const {
    for (const auto& [n, value] : values)
        if (n == name) return &value;
    return nullptr;
}

std::string Names::list() const {
    std::string out;
    for (const auto& [n, value] : values) out += (out.empty() ? "" : ", ") + n;
    return out;
}

const char* Constant::what() const { return is_bool ? "bool" : unit_words(unit); }

std::optional<Constant> constant_of(const AstInt& literal, Span span) {
    if (literal.unit == WrittenUnit::Times) return std::nullopt;
    const UnitScale s = scale_of(literal.unit);
    Constant out;
    out.unit = s.unit;
    out.span = span;
    if (__builtin_mul_overflow(literal.value, s.scale, &out.value)) return std::nullopt;
    return out;
}

const char* unit_words(ir::Unit unit) {
    switch (unit) {
        case ir::Unit::None: return "a plain number";
        case ir::Unit::Page: return "a page number";
        case ir::Unit::Pages: return "an amount of pages";
        case ir::Unit::Ns: return "a time";
        case ir::Unit::Bytes: return "an amount of bytes";
        case ir::Unit::Percent: return "a percentage";
        case ir::Unit::Segments: return "an amount of segments";
        case ir::Unit::Rate: return "a rate";
    }
    return "a number";
}

}  // namespace rmt::lang
