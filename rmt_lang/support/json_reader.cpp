// SPDX-License-Identifier: MIT
#include "rmt_lang/support/json_reader.h"

namespace rmt {

namespace {

const Json kNothing;

std::string describe(const Json& v) {
    switch (v.type()) {
        case Json::value_t::null: return "nothing";
        case Json::value_t::object: return "an object";
        case Json::value_t::array: return "a list";
        case Json::value_t::string: return "a string";
        case Json::value_t::boolean: return v.get<bool>() ? "true" : "false";
        default: return v.dump();
    }
}

}  // namespace

Result<Json> parse_json(const std::string& text, const std::string& what) {
    std::vector<std::set<std::string>> keys;
    std::string twice;
    const auto watch = [&](int, Json::parse_event_t event, Json& value) {
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second && twice.empty())
            twice = value.get<std::string>();
        return true;
    };
    try {
        Json value = Json::parse(text, watch);
        if (!twice.empty()) return fail(ErrorKind::Input, what + ": the key '" + twice + "' stands twice in one object");
        return value;
    } catch (const nlohmann::json::parse_error& e) {
        return fail(ErrorKind::Input, what + ": this is not JSON from byte " + std::to_string(e.byte) + " on");
    } catch (const nlohmann::json::exception& e) {
        return fail(ErrorKind::Input, what + ": this is not JSON: " + e.what());
    }
}

JsonReader::JsonReader(const Json& value, std::string path, std::optional<std::string>& error)
    : value_(&value), path_(std::move(path)), error_(&error) {
    if (!value.is_object()) fail_path(path_.empty() ? "/" : path_, "expected an object, found " + describe(value));
}

void JsonReader::fail_path(const std::string& path, const std::string& what) {
    if (!*error_) *error_ = path + ": " + what;
}

void JsonReader::fail_at(const std::string& key, const std::string& what) { fail_path(path_of(key), what); }

bool JsonReader::has(const std::string& key) const { return value_->is_object() && value_->contains(key); }

const Json& JsonReader::get(const std::string& key) {
    seen_.insert(key);
    if (has(key)) return value_->at(key);
    if (value_->is_object()) fail_at(key, "this key is missing");
    return kNothing;
}

const Json& JsonReader::raw(const std::string& key) { return get(key); }

std::string JsonReader::text(const std::string& key) {
    const Json& v = get(key);
    if (v.is_string()) return v.get<std::string>();
    fail_at(key, "expected a string, found " + describe(v));
    return {};
}

std::string JsonReader::one_of(const std::string& key, const std::vector<std::string>& allowed) {
    const std::string s = text(key);
    std::string list;
    for (const std::string& a : allowed) {
        if (a == s) return s;
        list += (list.empty() ? "'" : ", '") + a + "'";
    }
    fail_at(key, "expected one of " + list + ", found '" + s + "'");
    return allowed.front();
}

int64_t JsonReader::integer_value(const Json& v, const std::string& path, int64_t lo, int64_t hi) {
    const bool too_large = v.is_number_unsigned() && v.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    if (!v.is_number_integer()) {
        fail_path(path, "expected an integer, found " + describe(v));
    } else if (too_large || v.get<int64_t>() < lo || v.get<int64_t>() > hi) {
        fail_path(path, "expected " + std::to_string(lo) + ".." + std::to_string(hi) + ", found " + v.dump());
    } else {
        return v.get<int64_t>();
    }
    return lo > 0 ? lo : 0;
}

int64_t JsonReader::integer(const std::string& key, int64_t lo, int64_t hi) { return integer_value(get(key), path_of(key), lo, hi); }

uint64_t JsonReader::natural(const std::string& key, uint64_t lo, uint64_t hi) {
    const Json& v = get(key);
    if (!v.is_number_integer()) {
        fail_at(key, "expected an integer, found " + describe(v));
    } else if (!v.is_number_unsigned() || v.get<uint64_t>() < lo || v.get<uint64_t>() > hi) {
        fail_at(key, "expected " + std::to_string(lo) + ".." + std::to_string(hi) + ", found " + v.dump());
    } else {
        return v.get<uint64_t>();
    }
    return lo;
}

uint32_t JsonReader::natural32(const std::string& key, uint32_t lo, uint32_t hi) { return static_cast<uint32_t>(natural(key, lo, hi)); }

bool JsonReader::truth(const std::string& key) {
    const Json& v = get(key);
    if (v.is_boolean()) return v.get<bool>();
    fail_at(key, "expected true or false, found " + describe(v));
    return false;
}

std::vector<std::string> JsonReader::texts(const std::string& key) {
    const Json& v = get(key);
    std::vector<std::string> all;
    if (!v.is_array()) fail_at(key, "expected a list of strings, found " + describe(v));
    for (size_t i = 0; v.is_array() && i < v.size(); i++) {
        if (v[i].is_string())
            all.push_back(v[i].get<std::string>());
        else
            fail_path(path_of(key) + "/" + std::to_string(i), "expected a string, found " + describe(v[i]));
    }
    return all;
}

std::vector<int64_t> JsonReader::integers(const std::string& key) {
    const Json& v = get(key);
    std::vector<int64_t> all;
    if (!v.is_array()) fail_at(key, "expected a list of integers, found " + describe(v));
    for (size_t i = 0; v.is_array() && i < v.size(); i++)
        all.push_back(integer_value(v[i], path_of(key) + "/" + std::to_string(i), INT64_MIN, INT64_MAX));
    return all;
}

std::vector<std::pair<std::string, int64_t>> JsonReader::named_integers(const std::string& key) {
    const Json& v = get(key);
    std::vector<std::pair<std::string, int64_t>> all;
    if (!v.is_object()) {
        fail_at(key, "expected an object of integers, found " + describe(v));
        return all;
    }
    for (const auto& [name, value] : v.items()) all.emplace_back(name, integer_value(value, path_of(key) + "/" + name, INT64_MIN, INT64_MAX));
    return all;
}

JsonReader JsonReader::object(const std::string& key) { return JsonReader(get(key), path_of(key), *error_); }

std::vector<JsonReader> JsonReader::objects(const std::string& key) {
    const Json& v = get(key);
    std::vector<JsonReader> all;
    if (!v.is_array()) fail_at(key, "expected a list, found " + describe(v));
    for (size_t i = 0; v.is_array() && i < v.size(); i++) all.emplace_back(v[i], path_of(key) + "/" + std::to_string(i), *error_);
    return all;
}

void JsonReader::finish() {
    if (!value_->is_object()) return;
    for (const auto& [key, value] : value_->items())
        if (!seen_.count(key)) fail_at(key, "this key is not known; is the file of a newer version?");
}

}  // namespace rmt
