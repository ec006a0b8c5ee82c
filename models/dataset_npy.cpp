// SPDX-License-Identifier: MIT
// The .npy format, versions 1 to 3 (numpy.lib.format): magic, a Python literal, packed little-endian records.
#include <charconv>
#include <cstring>
#include <optional>

#include "models/dataset.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

struct Field {
    std::string name;
    char kind = 'V';  // i, u, b; others are skipped
    size_t size = 0;  // bytes of one element
    size_t count = 1;
    bool array = false;
    size_t offset = 0;
};

// The few Python literals of a header: {'descr': [('name', '<i4', (4,)), ...], 'fortran_order': False, 'shape': (N,), }
class Literal {
public:
    explicit Literal(std::string_view text) : text_(text) {}

    bool take(char c) {
        skip_space();
        if (text_.empty() || text_.front() != c) return false;
        text_.remove_prefix(1);
        return true;
    }
    std::optional<std::string> text() {
        skip_space();
        if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) return std::nullopt;
        size_t end = text_.find(text_.front(), 1);
        if (end == std::string_view::npos) return std::nullopt;
        std::string value(text_.substr(1, end - 1));
        text_.remove_prefix(end + 1);
        return value;
    }
    std::optional<size_t> number() {
        skip_space();
        size_t value = 0;
        auto [end, ec] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
        if (ec != std::errc()) return std::nullopt;
        text_.remove_prefix(static_cast<size_t>(end - text_.data()));
        return value;
    }
    std::optional<bool> truth() {
        skip_space();
        for (bool value : {true, false}) {
            std::string_view word = value ? "True" : "False";
            if (!text_.starts_with(word)) continue;
            text_.remove_prefix(word.size());
            return value;
        }
        return std::nullopt;
    }
    // (a, b,) -> product and number of elements
    std::optional<std::pair<size_t, size_t>> shape() {
        if (!take('(')) return std::nullopt;
        size_t product = 1, dims = 0;
        while (!take(')')) {
            auto n = number();
            if (!n || dims >= 8 || (product != 0 && *n > (size_t{1} << 40) / product)) return std::nullopt;
            product *= *n;
            dims++;
            take(',');
        }
        return std::pair{product, dims};
    }

private:
    void skip_space() {
        while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) text_.remove_prefix(1);
    }
    std::string_view text_;
};

const char* kPlace = "header";

Result<Field> read_field(Literal& literal) {
    Field field;
    auto name = literal.text();
    literal.take(',');
    auto type = literal.text();
    if (!name || !type || type->size() < 3) return model_error("M0301", kPlace, "a field is expected as ('name', '<i4')");
    field.name = *name;
    char order = (*type)[0];
    field.kind = (*type)[1];
    auto [end, ec] = std::from_chars(type->data() + 2, type->data() + type->size(), field.size);
    if (ec != std::errc() || end != type->data() + type->size() || field.size > 65536)
        return model_error("M0301", kPlace, "field '" + field.name + "' has the type '" + *type + "', one like '<i4' is expected");
    if (order == '>' && (field.kind == 'i' || field.kind == 'u'))
        return model_error("M0301", kPlace, "field '" + field.name + "' is big-endian", "write it with little-endian types ('<i4')");
    if (field.kind == 'U') field.size *= 4;
    if (literal.take(',')) {
        if (auto shape = literal.shape()) {
            field.array = true;
            field.count = shape->first;
            if (shape->second != 1 || field.count > 4096)
                return model_error("M0301", kPlace, "field '" + field.name + "' is not an array of one dimension");
        }
    }
    literal.take(',');
    if (!literal.take(')')) return model_error("M0301", kPlace, "field '" + field.name + "' does not end with ')'");
    return field;
}

struct Header {
    std::vector<Field> fields;
    size_t rows = 0, record = 0;
};

Result<Header> read_header(std::string_view text) {
    Literal literal(text);
    Header header;
    bool shape_seen = false;
    if (!literal.take('{')) return model_error("M0301", kPlace, "a Python dictionary is expected");
    while (!literal.take('}')) {
        auto key = literal.text();
        if (!key || !literal.take(':')) return model_error("M0301", kPlace, "a key and ':' are expected");
        if (*key == "descr") {
            if (!literal.take('['))
                return model_error("M0301", kPlace, "a structured array (named columns) is expected",
                                   "numpy: np.array(rows, dtype=[('deltas', '<i4', (4,)), ...])");
            while (!literal.take(']')) {
                if (!literal.take('(')) return model_error("M0301", kPlace, "a field is expected as ('name', '<i4')");
                RMT_TRY(Field field, read_field(literal));
                field.offset = header.record;
                header.record += field.size * field.count;
                header.fields.push_back(std::move(field));
                literal.take(',');
            }
        } else if (*key == "fortran_order") {
            if (!literal.truth()) return model_error("M0301", kPlace, "fortran_order is expected to be True or False");
        } else if (*key == "shape") {
            auto shape = literal.shape();
            if (!shape || shape->second != 1) return model_error("M0301", kPlace, "one dimension is expected");
            header.rows = shape->first;
            shape_seen = true;
        } else {
            return model_error("M0301", kPlace, "unknown key '" + *key + "'");
        }
        literal.take(',');
    }
    if (header.fields.empty() || !shape_seen) return model_error("M0301", kPlace, "descr or shape is missing");
    return header;
}

Result<std::vector<int64_t>> read_column(const Header& header, const Field& field, size_t element, std::string_view records) {
    std::vector<int64_t> values(header.rows);
    for (size_t row = 0; row < header.rows; row++) {
        const char* at = records.data() + row * header.record + field.offset + element * field.size;
        uint64_t bits = 0;
        std::memcpy(&bits, at, field.size);
        if (field.kind == 'i' && field.size < 8) {
            uint64_t sign = uint64_t{1} << (8 * field.size - 1);
            bits = (bits ^ sign) - sign;
        }
        if (field.kind == 'u' && bits > static_cast<uint64_t>(INT64_MAX))
            return model_error("M0303", "row " + std::to_string(row),
                               "column '" + field.name + "' holds " + std::to_string(bits) + ", which does not fit 63 bits");
        values[row] = static_cast<int64_t>(bits);
    }
    return values;
}

}  // namespace

Result<Dataset> parse_npy(std::string_view bytes) {
    if (bytes.size() < 12 || bytes.substr(0, 6) != std::string_view("\x93NUMPY", 6))
        return model_error("M0301", "", "this is not a .npy file: its first bytes are not \\x93NUMPY");
    unsigned major = static_cast<uint8_t>(bytes[6]);
    if (major < 1 || major > 3) return model_error("M0301", "", ".npy version " + std::to_string(major) + " given, 1 to 3 are supported");
    size_t prefix = major == 1 ? 10 : 12, length = 0;
    std::memcpy(&length, bytes.data() + 8, major == 1 ? 2 : 4);
    if (length > bytes.size() - prefix) return model_error("M0301", kPlace, "is cut off");
    RMT_TRY(Header header, read_header(bytes.substr(prefix, length)));
    std::string_view records = bytes.substr(prefix + length);
    if (header.record == 0 || header.rows > records.size() / header.record)
        return model_error("M0301", "",
                           std::to_string(header.rows) + " records of " + std::to_string(header.record) + " bytes announced, " +
                               std::to_string(records.size()) + " bytes present");
    Dataset data;
    for (const Field& field : header.fields) {
        bool integer =
            (field.kind == 'i' || field.kind == 'u') && (field.size == 1 || field.size == 2 || field.size == 4 || field.size == 8);
        bool truth = field.kind == 'b' && field.size == 1;
        if (!integer && !truth) {
            if (!field.name.empty()) data.skipped.push_back(field.name);
            continue;
        }
        std::string type = truth ? "bool" : field.kind + std::to_string(8 * field.size);
        for (size_t i = 0; i < field.count; i++) {
            RMT_TRY(auto values, read_column(header, field, i, records));
            data.columns.push_back({field.array ? field.name + "[" + std::to_string(i) + "]" : field.name, type, std::move(values)});
        }
    }
    return data;
}

}  // namespace rmt::models
