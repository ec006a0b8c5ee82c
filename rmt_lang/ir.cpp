// SPDX-License-Identifier: MIT
#include "rmt_lang/ir.h"

namespace rmt::lang::ir {

namespace {

constexpr int64_t kMaxPage = (int64_t{1} << 52) - 1;  // virtual addresses of at most 64 bits, pages of 4 KiB

struct ScalarFacts {
    Scalar scalar;
    const char* name;
    uint32_t size;
    Interval interval;
};

constexpr ScalarFacts kScalars[] = {
    {Scalar::U8, "u8", 1, {0, UINT8_MAX}},
    {Scalar::U16, "u16", 2, {0, UINT16_MAX}},
    {Scalar::U32, "u32", 4, {0, UINT32_MAX}},
    {Scalar::U64, "u64", 8, {0, INT64_MAX}},
    {Scalar::I8, "i8", 1, {INT8_MIN, INT8_MAX}},
    {Scalar::I16, "i16", 2, {INT16_MIN, INT16_MAX}},
    {Scalar::I32, "i32", 4, {INT32_MIN, INT32_MAX}},
    {Scalar::I64, "i64", 8, {INT64_MIN, INT64_MAX}},
    {Scalar::Bool, "bool", 1, {0, 1}},
    {Scalar::Page, "page", 8, {0, kMaxPage}},
    {Scalar::Ns, "ns", 8, {0, INT64_MAX}},
    {Scalar::Rate, "rate", 8, {0, INT64_MAX}},
};

const ScalarFacts& facts(Scalar scalar) { return kScalars[static_cast<size_t>(scalar)]; }

}  // namespace

const char* scalar_name(Scalar scalar) { return facts(scalar).name; }
uint32_t scalar_size(Scalar scalar) { return facts(scalar).size; }
Interval scalar_interval(Scalar scalar) { return facts(scalar).interval; }

Unit scalar_unit(Scalar scalar) {
    switch (scalar) {
        case Scalar::Page: return Unit::Page;
        case Scalar::Ns: return Unit::Ns;
        case Scalar::Rate: return Unit::Rate;
        default: return Unit::None;
    }
}

std::optional<Scalar> find_scalar(const std::string& name) {
    for (const ScalarFacts& f : kScalars)
        if (name == f.name) return f.scalar;
    return std::nullopt;
}

Interval sink_limit(const Limits& limits, Sink sink) {
    const std::optional<Limits::Range>& range = sink == Sink::Pacing ? limits.pacing : limits.cwnd;
    if (range) return {range->lo, range->hi};
    return sink == Sink::Pacing ? kPacingRange : kWindowRange;
}

}  // namespace rmt::lang::ir
