// SPDX-License-Identifier: MIT
// The language's scalar types as models know them: what they hold, and what they measure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rmt::models {

struct ScalarType {
    int64_t min = 0, max = 0;
    const char* unit = "";  // numbers of different units never stand for each other
};

inline std::optional<ScalarType> find_type(const std::string& name) {
    struct Entry {
        const char* name;
        ScalarType type;
    };
    // clang-format off
    static const Entry kTypes[] = {
        {"u8", {0, UINT8_MAX}},          {"u16", {0, UINT16_MAX}},
        {"u32", {0, UINT32_MAX}},        {"u64", {0, INT64_MAX}},
        {"i8", {INT8_MIN, INT8_MAX}},    {"i16", {INT16_MIN, INT16_MAX}},
        {"i32", {INT32_MIN, INT32_MAX}}, {"i64", {INT64_MIN, INT64_MAX}},
        {"bool", {0, 1}},                {"enum", {0, UINT32_MAX}},
        {"page", {0, INT64_MAX, "page"}}, {"ns", {0, INT64_MAX, "ns"}},
    };
    // clang-format on
    for (const Entry& entry : kTypes)
        if (name == entry.name) return entry.type;
    return std::nullopt;
}

}  // namespace rmt::models
