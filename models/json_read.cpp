// SPDX-License-Identifier: MIT
#include "models/json_read.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>
#include <string_view>

#include "models/errors.h"

namespace rmt::models {
namespace {

constexpr int kMaxNesting = 64;

// Puts quotes around NaN and Infinity outside of strings.
std::string quote_nan(const std::string& text) {
    std::string out;
    out.reserve(text.size() + 64);
    bool in_string = false;
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (in_string) {
            out += c;
            if (c == '\\' && i + 1 < text.size())
                out += text[++i];
            else if (c == '"')
                in_string = false;
            continue;
        }
        std::string_view rest = std::string_view(text).substr(i);
        std::string_view token;
        for (std::string_view t : {"NaN", "Infinity", "-Infinity"})
            if (rest.starts_with(t)) token = t;
        if (!token.empty()) {
            out.append("\"").append(token).append("\"");
            i += token.size() - 1;
            continue;
        }
        in_string = c == '"';
        out += c;
    }
    return out;
}

// Stops the parser at the first repeated key and at too deep a nesting: nlohmann would keep the last of two keys.
class Guard {
public:
    bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
            if (depth >= kMaxNesting) throw std::runtime_error("it nests deeper than 64 levels");
            if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            keys_.pop_back();
        } else if (event == Json::parse_event_t::key) {
            if (!keys_.back().insert(parsed.get<std::string>()).second)
                throw std::runtime_error("it has the key " + parsed.dump() + " twice in one object");
        }
        return true;
    }

private:
    std::vector<std::set<std::string>> keys_;
};

std::string without_prefix(const std::string& what) {  // "[json.exception.parse_error.101] parse error at ..."
    size_t end = what.find("] ");
    return end == std::string::npos ? what : what.substr(end + 2);
}

}  // namespace

Result<Json> parse_json(const std::string& text, bool allow_nan) {
    try {
        Guard guard;
        auto callback = [&guard](int depth, Json::parse_event_t event, Json& parsed) { return guard(depth, event, parsed); };
        return Json::parse(allow_nan ? quote_nan(text) : text, callback);
    } catch (const std::exception& e) {
        return model_error("M0101", "", "this is not a JSON document that can be read: " + without_prefix(e.what()));
    }
}

bool is_utf8(const std::string& text) {
    try {
        static_cast<void>(Json(text).dump());
        return true;
    } catch (const Json::type_error&) {
        return false;
    }
}

std::string describe(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > 40) text = text.substr(0, 40) + "...";
    return value.type_name() + std::string(" ") + text;
}

Result<void> Reader::only_keys(std::initializer_list<const char*> keys) const {
    if (!value_->is_object()) return model_error("M0102", path_, "an object is expected, " + describe(*value_) + " given");
    for (const auto& [key, value] : value_->items()) {
        if (std::any_of(keys.begin(), keys.end(), [&key = key](const char* k) { return key == k; })) continue;
        std::string known;
        for (const char* k : keys) known += (known.empty() ? "" : ", ") + std::string(k);
        return model_error("M0103", path_ + "/" + key, "unknown key; it may change what the model means, so it is not ignored",
                           "known here: " + known);
    }
    return {};
}

Result<Reader> Reader::at(const char* key) const {
    if (!value_->is_object()) return model_error("M0102", path_, "an object is expected, " + describe(*value_) + " given");
    auto found = value_->find(key);
    if (found == value_->end()) return model_error("M0102", path_, "the key '" + std::string(key) + "' is missing");
    return Reader(*found, path_ + "/" + key);
}

std::optional<Reader> Reader::find(const char* key) const {
    if (!value_->is_object()) return std::nullopt;
    auto found = value_->find(key);
    if (found == value_->end()) return std::nullopt;
    return Reader(*found, path_ + "/" + key);
}

Result<Reader> Reader::at(size_t index) const {
    RMT_TRY(size_t size, array_size());
    if (index >= size)
        return model_error("M0102", path_, "has " + std::to_string(size) + " elements, element " + std::to_string(index) + " is missing");
    return Reader((*value_)[index], path_ + "/" + std::to_string(index));
}

Result<size_t> Reader::array_size() const {
    if (!value_->is_array()) return model_error("M0102", path_, "an array is expected, " + describe(*value_) + " given");
    return value_->size();
}

Result<std::string> Reader::as_string() const {
    if (!value_->is_string()) return model_error("M0102", path_, "a string is expected, " + describe(*value_) + " given");
    return value_->get<std::string>();
}

Result<int64_t> Reader::as_int(int64_t min, int64_t max) const {
    if (!value_->is_number_integer()) return model_error("M0102", path_, "an integer is expected, " + describe(*value_) + " given");
    bool too_large = value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    int64_t number = too_large ? INT64_MAX : value_->get<int64_t>();
    if (too_large || number < min || number > max)
        return model_error("M0108", path_, value_->dump() + " is outside " + std::to_string(min) + ".." + std::to_string(max));
    return number;
}

Result<double> Reader::as_double() const {
    if (value_->is_number()) return value_->get<double>();
    if (value_->is_string()) {
        const auto& text = value_->get_ref<const std::string&>();
        double number = 0;
        auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (ec == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
    }
    return model_error("M0102", path_, "a number is expected, " + describe(*value_) + " given");
}

Result<std::vector<int64_t>> Reader::as_ints(int64_t min, int64_t max) const {
    RMT_TRY(size_t size, array_size());
    std::vector<int64_t> numbers(size);
    for (size_t i = 0; i < size; i++) {
        const Json& element = (*value_)[i];
        bool plain = element.is_number_integer() && !(element.is_number_unsigned() && element.get<uint64_t>() > uint64_t{INT64_MAX});
        if (plain) numbers[i] = element.get<int64_t>();
        if (!plain || numbers[i] < min || numbers[i] > max) {
            RMT_TRY(numbers[i], Reader(element, path_ + "/" + std::to_string(i)).as_int(min, max));
        }
    }
    return numbers;
}

Result<std::string> Reader::string_at(const char* key) const {
    RMT_TRY(Reader reader, at(key));
    return reader.as_string();
}

Result<int64_t> Reader::int_at(const char* key, int64_t min, int64_t max) const {
    RMT_TRY(Reader reader, at(key));
    return reader.as_int(min, max);
}

}  // namespace rmt::models
