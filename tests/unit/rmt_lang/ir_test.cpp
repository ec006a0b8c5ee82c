// SPDX-License-Identifier: MIT
#include "rmt_lang/ir.h"

#include "tests/rmt_test.h"
#include "tests/unit/rmt_lang/ir_build.h"

using namespace rmt::lang;
using namespace rmt::lang::ir;

TEST_CASE("a scalar is found by the name that it prints") {
    for (const Scalar s : {Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64, Scalar::I8, Scalar::I16, Scalar::I32, Scalar::I64, Scalar::Bool,
                           Scalar::Page, Scalar::Ns}) {
        CAPTURE(scalar_name(s));
        CHECK(find_scalar(scalar_name(s)) == s);
        const Interval range = scalar_interval(s);
        CHECK(range.lo <= 0);
        CHECK(range.hi > 0);
        // What it can hold fits its bytes; 64 bits are signed in all arithmetic.
        const uint32_t size = scalar_size(s);
        if (size < 8) {
            CHECK(range.hi < int64_t{1} << (8 * size - (range.lo < 0 ? 1 : 0)));
            CHECK(range.lo >= -(int64_t{1} << (8 * size - 1)));
        }
    }
    CHECK_FALSE(find_scalar("u128"));
    CHECK_FALSE(find_scalar(""));
}

TEST_CASE("IR is a value: copies are deep and compare by content") {
    const Policy a = build::founding();
    Policy b = a;
    CHECK(a == b);
    std::get<If>(b.actions[1].body.block[1].node).then.clear();
    CHECK_FALSE(a == b);
    CHECK(a == build::founding());
}
