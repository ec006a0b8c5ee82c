// SPDX-License-Identifier: MIT
// JSON to UBJSON as XGBoost writes it, for tests: numbers of an array that are all fractions become `[$d#`.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "models/json_read.h"

namespace rmt::models {

inline void put_number(std::string& out, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) out += static_cast<char>(value >> (8 * i));
}

inline void put_ubjson(std::string& out, const Json& json) {
    auto text = [&out](const std::string& s) {
        out += 'L';
        put_number(out, s.size(), 8);
        out += s;
    };
    if (json.is_object()) {
        out += '{';
        for (const auto& [key, value] : json.items()) text(key), put_ubjson(out, value);
        out += '}';
    } else if (json.is_array()) {
        bool integers = !json.empty(), numbers = !json.empty();
        for (const Json& v : json) integers = integers && v.is_number_integer(), numbers = numbers && v.is_number();
        out += '[';
        if (numbers) {
            out += integers ? "$l#L" : "$d#L";
            put_number(out, json.size(), 8);
            for (const Json& v : json)
                integers ? put_number(out, static_cast<uint32_t>(v.get<int64_t>()), 4)
                         : put_number(out, std::bit_cast<uint32_t>(v.get<float>()), 4);
            return;
        }
        for (const Json& v : json) put_ubjson(out, v);
        out += ']';
    } else if (json.is_string()) {
        out += 'S';
        text(json.get<std::string>());
    } else if (json.is_number_integer()) {
        out += 'L';
        put_number(out, static_cast<uint64_t>(json.get<int64_t>()), 8);
    } else if (json.is_boolean()) {
        out += json.get<bool>() ? 'T' : 'F';
    } else {
        out += 'd';
        put_number(out, std::bit_cast<uint32_t>(json.get<float>()), 4);
    }
}

inline std::string to_ubjson(const std::string& text) {
    std::string out;
    put_ubjson(out, Json::parse(text));
    return out;
}

}  // namespace rmt::models
