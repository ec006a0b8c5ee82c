// SPDX-License-Identifier: MIT
// Source text and places in it. Lines and columns count from 1; a column counts bytes. A Span is half open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt {

struct Span {
    uint32_t begin = 0;  // byte offset into the source
    uint32_t end = 0;
    bool operator==(const Span&) const = default;
};

inline Span join(Span a, Span b) { return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end}; }

struct Position {
    uint32_t line = 1;
    uint32_t column = 1;
    bool operator==(const Position&) const = default;
};

class Source {
public:
    Source(std::string name, std::string text);

    // Reads a whole file; NotFound or Environment when it cannot, Input when it is larger than 16 MiB.
    static Result<Source> read(const std::string& path);

    const std::string& name() const { return name_; }
    std::string_view text() const { return text_; }
    std::string_view slice(Span span) const { return text().substr(span.begin, span.end - span.begin); }
    Position position(uint32_t offset) const;
    uint32_t line_count() const { return static_cast<uint32_t>(line_starts_.size()); }
    std::string_view line(uint32_t number) const;  // without its newline

private:
    std::string name_;
    std::string text_;
    std::vector<uint32_t> line_starts_;
};

}  // namespace rmt
