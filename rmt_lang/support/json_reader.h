// SPDX-License-Identifier: MIT
// Reads a JSON document of ours strictly: every key must be known, every value of its type and in its range, and the first
// thing that is wrong is told with its path (JSON pointer). After the first error all reads return zeros, so that a reader
// is straight code with one check at its end.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt {

using Json = nlohmann::ordered_json;

// The text as a document, or Input with the byte where it stops being JSON. A key twice in one object is an error.
Result<Json> parse_json(const std::string& text, const std::string& what);

class JsonReader {
public:
    // `error` outlives the reader and those made from it.
    JsonReader(const Json& value, std::string path, std::optional<std::string>& error);

    bool has(const std::string& key) const;
    std::string text(const std::string& key);
    std::string one_of(const std::string& key, const std::vector<std::string>& allowed);
    int64_t integer(const std::string& key, int64_t lo = INT64_MIN, int64_t hi = INT64_MAX);
    uint64_t natural(const std::string& key, uint64_t lo = 0, uint64_t hi = UINT64_MAX);
    uint32_t natural32(const std::string& key, uint32_t lo = 0, uint32_t hi = UINT32_MAX);
    bool truth(const std::string& key);
    std::vector<std::string> texts(const std::string& key);
    std::vector<int64_t> integers(const std::string& key);
    std::vector<std::pair<std::string, int64_t>> named_integers(const std::string& key);  // an object, in its order
    JsonReader object(const std::string& key);
    std::vector<JsonReader> objects(const std::string& key);
    const Json& raw(const std::string& key);     // whatever stands there
    std::string path_of(const std::string& key) const { return path_ + "/" + key; }

    void fail_at(const std::string& key, const std::string& what);
    void finish();  // every key of the object was asked for, or an error

private:
    const Json& get(const std::string& key);
    int64_t integer_value(const Json& v, const std::string& path, int64_t lo, int64_t hi);
    void fail_path(const std::string& path, const std::string& what);

    const Json* value_;
    std::string path_;
    std::optional<std::string>* error_;
    std::set<std::string> seen_;
};

}  // namespace rmt
