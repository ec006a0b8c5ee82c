// SPDX-License-Identifier: MIT
#include "loader/cli/records.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace rmt::cli {

namespace {

// numpy's letter and whether it is text, for a scalar type of the language.
struct Format {
    char letter;
    bool text = false;
};

Format format_of(const std::string& type) {
    if (type == "str") return {'S', true};
    if (type == "address") return {'V', true};  // 16 bytes in network order, IPv4 as ::ffff:a.b.c.d
    return {type[0] == 'i' ? 'i' : 'u'};
}

std::string address_of(const uint8_t* at) {
    KeyPrefix whole{{}, 128};
    std::memcpy(whole.address.data(), at, whole.address.size());
    return format_prefix(whole);
}

std::string text_of(const uint8_t* at, uint32_t size) {
    const auto* s = reinterpret_cast<const char*>(at);
    return std::string(s, strnlen(s, size));
}

std::string number_of(const uint8_t* at, uint32_t size, bool is_signed) {
    uint64_t raw = 0;
    std::memcpy(&raw, at, size);  // little endian, as the kernel that wrote it
    if (!is_signed) return std::to_string(raw);
    const unsigned shift = 64 - 8 * size;
    return std::to_string(static_cast<int64_t>(raw << shift) >> shift);
}

std::string quoted(const std::string& s) {
    std::string out = "\"";
    for (const char c : s) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out + "\"";
}

// RFC 4180: a quote is doubled. A line stays one line: what would break it becomes a space.
std::string csv_quoted(const std::string& s) {
    std::string out = "\"";
    for (const char c : s) {
        if (c == '"') out += '"';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + "\"";
}

class File {
public:
    File(FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
    ~File() {
        if (file_ && file_ != stdout) std::fclose(file_);
    }
    File(const File&) = delete;

    Result<void> put(const std::string& bytes) {
        if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) return {};
        return fail(ErrorKind::Environment, "cannot write '" + path_ + "': " + std::strerror(errno), {}, errno);
    }
    Result<void> flush() {
        if (std::fflush(file_) == 0) return {};
        return fail(ErrorKind::Environment, "cannot write '" + path_ + "': " + std::strerror(errno), {}, errno);
    }
    void rewind() { std::rewind(file_); }

private:
    FILE* file_;
    std::string path_;
};

class TextWriter : public RecordWriter {
public:
    TextWriter(FILE* file, const std::string& path, const ManifestCollect& layout, bool csv) : file_(file, path), layout_(layout), csv_(csv) {}

    Result<void> write(const uint8_t* record) override {
        if (csv_ && !header_) {
            header_ = true;
            RMT_CHECK(file_.put(header()));
        }
        std::string line = csv_ ? "" : "{";
        for (const ManifestField& field : layout_.fields) {
            const std::string value = values(field, record);
            if (&field != &layout_.fields[0]) line += csv_ ? "," : ", ";
            line += csv_ ? value : quoted(field.name) + ": " + (field.count > 1 ? "[" + value + "]" : value);
        }
        return file_.put(line + (csv_ ? "\n" : "}\n"));
    }
    Result<void> finish() override { return file_.flush(); }

private:
    std::string header() const {
        std::string line;
        for (const ManifestField& field : layout_.fields) {
            for (uint32_t i = 0; i < field.count; i++) {
                if (!line.empty()) line += ",";
                line += field.count > 1 ? fmt::format("{}[{}]", field.name, i) : field.name;
            }
        }
        return line + "\n";
    }

    std::string values(const ManifestField& field, const uint8_t* record) const {
        const Format format = format_of(field.type);
        std::string out;
        for (uint32_t i = 0; i < field.count; i++) {
            const uint8_t* at = record + field.offset + i * field.size;
            if (i) out += ",";
            out += format.letter == 'V' ? quoted(address_of(at)) : format.text ? (csv_ ? csv_quoted(text_of(at, field.size)) : quoted(text_of(at, field.size))) : number_of(at, field.size, format.letter == 'i');
        }
        return out;
    }

    File file_;
    ManifestCollect layout_;
    bool csv_, header_ = false;
};

// NEP 1: magic, version 1.0, header padded to 64 bytes; the number of rows is known only at the end, so the header has a
// fixed width and is written twice.
class NpyWriter : public RecordWriter {
public:
    NpyWriter(FILE* file, const std::string& path, const ManifestCollect& layout) : file_(file, path), layout_(layout) {}

    Result<void> write(const uint8_t* record) override {
        if (!begun_) {
            begun_ = true;
            RMT_CHECK(file_.put(header()));
        }
        rows_++;
        return file_.put(std::string(reinterpret_cast<const char*>(record), layout_.record_size));
    }

    Result<void> finish() override {
        file_.rewind();
        RMT_CHECK(file_.put(header()));
        return file_.flush();
    }

private:
    std::string header() const {
        std::string dict = fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': ({:>20},), }}", descr(), rows_);
        const size_t total = (10 + dict.size() + 1 + 63) / 64 * 64;
        dict.append(total - 10 - dict.size() - 1, ' ');
        dict += '\n';
        std::string out("\x93NUMPY\x01\x00", 8);
        out += static_cast<char>(dict.size() & 0xff);
        out += static_cast<char>(dict.size() >> 8);
        return out + dict;
    }

    // A list of (name, format[, shape]); gaps of the alignment are void columns, which numpy names ''.
    std::string descr() const {
        std::string out = "[";
        uint32_t at = 0;
        const auto gap = [&](uint32_t to) {
            if (to > at) out += fmt::format("('', '|V{}'), ", to - at);
        };
        for (const ManifestField& field : layout_.fields) {
            gap(field.offset);
            const Format format = format_of(field.type);
            out += fmt::format("('{}', '{}{}{}'", field.name, format.text || field.size == 1 ? "|" : "<", format.letter, field.size);
            out += field.count > 1 ? fmt::format(", ({},)), ", field.count) : std::string("), ");
            at = field.offset + field.size * field.count;
        }
        gap(layout_.record_size);
        return out + "]";
    }

    File file_;
    ManifestCollect layout_;
    uint64_t rows_ = 0;
    bool begun_ = false;
};

}  // namespace

Result<std::unique_ptr<RecordWriter>> open_records(const std::string& path, const ManifestCollect& layout) {
    const auto ends = [&](const char* suffix) { return path.ends_with(suffix); };
    if (path == "-") return std::unique_ptr<RecordWriter>(std::make_unique<TextWriter>(stdout, path, layout, false));
    if (!ends(".npy") && !ends(".csv") && !ends(".jsonl"))
        return fail(ErrorKind::Input, "'" + path + "' does not say a format; .npy, .csv or .jsonl was expected");
    FILE* file = std::fopen(path.c_str(), "we");
    if (!file) return fail(ErrorKind::Environment, "cannot make '" + path + "': " + std::strerror(errno), {}, errno);
    if (ends(".npy")) return std::unique_ptr<RecordWriter>(std::make_unique<NpyWriter>(file, path, layout));
    return std::unique_ptr<RecordWriter>(std::make_unique<TextWriter>(file, path, layout, ends(".csv")));
}

}  // namespace rmt::cli
