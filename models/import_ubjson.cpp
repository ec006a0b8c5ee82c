// SPDX-License-Identifier: MIT
// Universal Binary JSON (draft 12) as XGBoost writes it: big-endian numbers, typed arrays `[$d#`, objects without counts.
#include <bit>
#include <cmath>

#include "models/errors.h"
#include "models/import_formats.h"

namespace rmt::models {
namespace {

constexpr int kMaxNesting = 64;

class UbjsonReader {
public:
    explicit UbjsonReader(std::string_view bytes) : bytes_(bytes) {}

    Result<Json> run() {
        RMT_TRY(char type, next());
        RMT_TRY(Json value, read(type, 0));
        if (at_ != bytes_.size()) return broken("bytes are left behind its end");
        return value;
    }

private:
    Unexpected<Error> broken(const std::string& what) const {
        return model_error("M0101", "", "this is not a UBJSON document that can be read: at byte " + std::to_string(at_) + ": " + what);
    }
    size_t left() const { return bytes_.size() - at_; }

    Result<char> next() {
        if (left() == 0) return broken("it ends in the middle");
        return bytes_[at_++];
    }
    bool skip(char c) {
        if (left() == 0 || bytes_[at_] != c) return false;
        at_++;
        return true;
    }

    static size_t width(char type) {
        switch (type) {
            case 'i':
            case 'U':
            case 'C':
                return 1;
            case 'I':
            case 'u':
                return 2;
            case 'l':
            case 'm':
            case 'd':
                return 4;
            case 'L':
            case 'M':
            case 'D':
                return 8;
        }
        return 0;
    }

    // left() was checked.
    Json number(char type) {
        uint64_t raw = 0;
        const size_t size = width(type);
        for (size_t i = 0; i < size; i++) raw = raw << 8 | static_cast<uint8_t>(bytes_[at_ + i]);
        at_ += size;
        switch (type) {
            case 'i':
                return static_cast<int8_t>(raw);
            case 'I':
                return static_cast<int16_t>(raw);
            case 'l':
                return static_cast<int32_t>(raw);
            case 'L':
                return static_cast<int64_t>(raw);
            case 'd':
                return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(raw)));
            case 'D':
                return std::bit_cast<double>(raw);
            case 'C':
                return std::string(1, static_cast<char>(raw));
        }
        return raw;
    }

    Result<size_t> length() {
        RMT_TRY(char type, next());
        if (width(type) == 0 || type == 'd' || type == 'D' || type == 'C') return broken("a length is expected");
        if (left() < width(type)) return broken("it ends in the middle");
        Json value = number(type);
        if (value.is_number_integer() && !value.is_number_unsigned() && value.get<int64_t>() < 0) return broken("a length below 0");
        auto size = value.get<uint64_t>();
        if (size > left()) return broken("a length of " + std::to_string(size) + ", " + std::to_string(left()) + " bytes are left");
        return static_cast<size_t>(size);
    }

    Result<std::string> text() {
        RMT_TRY(size_t size, length());
        std::string out(bytes_.substr(at_, size));
        at_ += size;
        return out;
    }

    Result<Json> read(char type, int depth) {
        if (width(type) > 0) {
            if (left() < width(type)) return broken("it ends in the middle");
            return number(type);
        }
        switch (type) {
            case 'Z':
                return Json(nullptr);
            case 'T':
                return Json(true);
            case 'F':
                return Json(false);
            case 'S': {
                RMT_TRY(std::string value, text());
                return Json(std::move(value));
            }
            case '[':
                return array(depth + 1);
            case '{':
                return object(depth + 1);
        }
        return broken("byte " + std::to_string(static_cast<uint8_t>(type)) + " is no type");
    }

    Result<Json> array(int depth) {
        if (depth > kMaxNesting) return broken("it nests deeper than 64 levels");
        Json out = Json::array();
        char type = 0;
        if (skip('$')) {
            RMT_TRY(type, next());
            // An element of at least one byte: else a short file could ask for any amount of memory.
            if (width(type) == 0 && type != 'S' && type != '[' && type != '{') return broken("an array of elements without bytes");
            if (left() == 0 || bytes_[at_] != '#') return broken("a typed array needs a count");
        }
        if (skip('#')) {
            RMT_TRY(size_t count, length());
            if (width(type) > 0 && count > left() / width(type)) return broken("more elements than bytes");
            out.get_ref<Json::array_t&>().reserve(count);
            for (size_t i = 0; i < count; i++) {
                RMT_TRY(char each, type != 0 ? Result<char>(type) : next());
                RMT_TRY(Json value, read(each, depth));
                out.push_back(std::move(value));
            }
            return out;
        }
        while (!skip(']')) {
            RMT_TRY(char each, next());
            RMT_TRY(Json value, read(each, depth));
            out.push_back(std::move(value));
        }
        return out;
    }

    Result<Json> object(int depth) {
        if (depth > kMaxNesting) return broken("it nests deeper than 64 levels");
        Json out = Json::object();
        if (left() > 0 && bytes_[at_] == '$') return broken("typed objects are not supported");
        size_t count = SIZE_MAX;
        if (skip('#')) {
            RMT_TRY(count, length());
        }
        for (size_t i = 0; i < count && !(count == SIZE_MAX && skip('}')); i++) {
            RMT_TRY(std::string key, text());
            if (out.contains(key)) return broken("it has the key \"" + key + "\" twice in one object");
            RMT_TRY(char type, next());
            RMT_TRY(Json value, read(type, depth));
            out[key] = std::move(value);
        }
        return out;
    }

    std::string_view bytes_;
    size_t at_ = 0;
};

}  // namespace

Result<Json> parse_ubjson(std::string_view bytes) { return UbjsonReader(bytes).run(); }

Result<double> finite_number(const Reader& reader) {
    RMT_TRY(double value, reader.as_double());
    if (!std::isfinite(value)) return model_error("M0111", reader.path(), describe(reader.json()) + " is not a number that can be used");
    return value;
}

}  // namespace rmt::models
