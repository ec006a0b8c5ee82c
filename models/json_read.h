// SPDX-License-Identifier: MIT
// Strict reading of JSON that others wrote: a Reader is a value and its path; every error names the path. Not for numbers
// with a fraction, except through as_double().
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::models {

using Json = nlohmann::json;

// Errors: Input M0101 when it is not JSON, nests deeper than 64, or has the same key twice.
// allow_nan: bare NaN and Infinity, which XGBoost writes, are read as the strings "NaN", "Infinity", "-Infinity".
Result<Json> parse_json(const std::string& text, bool allow_nan = false);

class Reader {
public:
    Reader(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

    const Json& json() const { return *value_; }
    const std::string& path() const { return path_; }

    Result<void> only_keys(std::initializer_list<const char*> keys) const;  // M0103
    Result<Reader> at(const char* key) const;                               // M0102 when absent
    std::optional<Reader> find(const char* key) const;
    Result<Reader> at(size_t index) const;
    Result<size_t> array_size() const;

    Result<std::string> as_string() const;
    Result<int64_t> as_int(int64_t min, int64_t max) const;  // M0108 outside min..max
    Result<double> as_double() const;                        // also of a string that holds a number
    Result<std::vector<int64_t>> as_ints(int64_t min, int64_t max) const;

    Result<std::string> string_at(const char* key) const;
    Result<int64_t> int_at(const char* key, int64_t min, int64_t max) const;

private:
    const Json* value_;
    std::string path_;
};

bool is_utf8(const std::string& text);    // only such text can be written as JSON and read again
std::string describe(const Json& value);  // "the string \"left\"", cut when long

}  // namespace rmt::models
