// SPDX-License-Identifier: MIT
#include "rmt_lang/lexer.h"

#include <array>
#include <limits>

#include <fmt/format.h>

namespace rmt::lang {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

struct UnitName {
    const char* text;
    WrittenUnit unit;
};
constexpr std::array<UnitName, 11> kUnits{{{"ns", WrittenUnit::Ns}, {"us", WrittenUnit::Us}, {"ms", WrittenUnit::Ms}, {"s", WrittenUnit::S},
                                          {"pages", WrittenUnit::Pages}, {"KiB", WrittenUnit::KiB}, {"MiB", WrittenUnit::MiB},
                                           {"kbit", WrittenUnit::Kbit}, {"mbit", WrittenUnit::Mbit}, {"gbit", WrittenUnit::Gbit}, {"x", WrittenUnit::Times}}};

struct Punctuation {
    const char* text;
    Tok kind;
};
// Longest first: the first that fits is taken.
constexpr std::array<Punctuation, 32> kPunctuation{{
    {"..", Tok::DotDot}, {"=>", Tok::Arrow}, {"==", Tok::Eq}, {"!=", Tok::Ne}, {"<=", Tok::Le}, {">=", Tok::Ge},
    {"&&", Tok::AndAnd}, {"||", Tok::OrOr}, {"<<", Tok::Shl}, {">>", Tok::Shr}, {"{", Tok::LBrace}, {"}", Tok::RBrace},
    {"(", Tok::LParen}, {")", Tok::RParen}, {"[", Tok::LBracket}, {"]", Tok::RBracket}, {",", Tok::Comma},
    {";", Tok::Semicolon}, {":", Tok::Colon}, {"=", Tok::Assign}, {"<", Tok::Lt}, {">", Tok::Gt}, {"+", Tok::Plus},
    {"-", Tok::Minus}, {"*", Tok::Star}, {"/", Tok::Slash}, {"%", Tok::Percent}, {"&", Tok::Amp}, {"|", Tok::Pipe},
    {"^", Tok::Caret}, {"~", Tok::Tilde}, {"!", Tok::Bang},
}};

class Lexer {
public:
    Lexer(const Source& source, Diagnostics& diagnostics) : text_(source.text()), diagnostics_(diagnostics) {}

    Tokens run() {
        while (skip_space()) {
            const size_t begin = pos_;
            if (!address() && !number() && !name() && !string() && !punctuation()) unknown_byte();
            line_start_ = blank_ = false;
            RMT_BUG_IF(pos_ == begin, "the lexer does not advance");
        }
        push(Tok::End, text_.size());
        return std::move(out_);
    }

private:
    char peek(size_t ahead = 0) const { return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0'; }
    Span span_from(size_t begin) const { return {static_cast<uint32_t>(begin), static_cast<uint32_t>(pos_)}; }

    Token& push(Tok kind, size_t begin, std::string text = {}) {
        Token t;
        t.kind = kind;
        t.span = span_from(begin);
        t.text = std::move(text);
        t.line_start = line_start_;
        t.blank_before = blank_;
        last_end_ = static_cast<uint32_t>(pos_);
        out_.tokens.push_back(std::move(t));
        return out_.tokens.back();
    }

    // Skips space and comments; false at the end of the text.
    bool skip_space() {
        int newlines = 0;
        while (pos_ < text_.size()) {
            const char c = text_[pos_];
            if (c == '\n') {
                line_start_ = true;
                if (++newlines > 1) blank_ = true;
                pos_++;
            } else if (c == ' ' || c == '\t' || c == '\r') {
                pos_++;
            } else if (c == '#') {
                comment();
                newlines = 0;
            } else {
                return true;
            }
        }
        return false;
    }

    void comment() {
        const size_t begin = pos_;
        for (; pos_ < text_.size() && text_[pos_] != '\n'; pos_++) {
            const auto c = static_cast<unsigned char>(text_[pos_]);
            if (c < 0x20 && c != '\t' && c != '\r')
                diagnostics_.error("E0007", {static_cast<uint32_t>(pos_), static_cast<uint32_t>(pos_ + 1)},
                                   "a control character in a comment", "", "remove it");
        }
        std::string text(text_.substr(begin, pos_ - begin));
        while (text.back() == ' ' || text.back() == '\t' || text.back() == '\r') text.pop_back();
        out_.comments.push_back({span_from(begin), std::move(text), last_end_, line_start_, blank_});
        blank_ = false;
    }

    // 10.0.0.0/8, 2001:db8::/32, ::1. A run of hexadecimal digits, dots and colons with three dots or two colons.
    bool address() {
        if (!is_hex(peek()) && !(peek() == ':' && peek(1) == ':')) return false;
        size_t end = pos_, dots = 0, colons = 0;
        while (end < text_.size() && (is_hex(text_[end]) || text_[end] == '.' || text_[end] == ':')) {
            if (text_[end] == '.' && end + 1 < text_.size() && text_[end + 1] == '.') break;  // a range
            dots += text_[end] == '.';
            colons += text_[end] == ':';
            end++;
        }
        if (!(colons >= 2 || (dots == 3 && is_digit(peek())))) return false;
        const size_t begin = pos_;
        if (end < text_.size() && text_[end] == '/' && end + 1 < text_.size() && is_digit(text_[end + 1])) {
            end++;
            while (end < text_.size() && is_digit(text_[end])) end++;
        }
        pos_ = end;
        push(Tok::Address, begin, std::string(text_.substr(begin, end - begin)));
        return true;
    }

    bool number() {
        if (!is_digit(peek())) return false;
        const size_t begin = pos_;
        const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && is_hex(peek(2));
        if (hex) pos_ += 2;
        const int base = hex ? 16 : 10;
        int64_t value = 0;
        bool overflow = false;
        for (; hex ? is_hex(peek()) : is_digit(peek()) || peek() == '_'; pos_++) {
            if (peek() == '_') continue;
            const char c = peek();
            const int digit = is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
            overflow |= __builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value);
        }
        if (overflow) {
            diagnostics_.error("E0003", span_from(begin), "this number is too large", "at most 9223372036854775807",
                               "numbers have 64 bits with a sign");
            value = std::numeric_limits<int64_t>::max();
        }
        if (!hex && peek() == '.' && is_digit(peek(1))) return fraction(begin);
        const WrittenUnit unit = number_unit();
        Token& t = push(Tok::Int, begin);
        t.value = value;
        t.unit = unit;
        t.hex = hex;
        return true;
    }

    bool fraction(size_t begin) {
        for (pos_++; is_name(peek()); pos_++) {}
        diagnostics_.error("E0004", span_from(begin), "numbers have no fraction", "a whole number is expected",
                           "write it in a smaller unit, for example 1500us instead of 1.5ms");
        push(Tok::Int, begin);
        return true;
    }

    WrittenUnit number_unit() {
        if (peek() == '%' && !is_name(peek(1)) && peek(1) != '(') {  // else the remainder: 30%n
            pos_++;
            return WrittenUnit::Percent;
        }
        if (!is_name_start(peek())) return WrittenUnit::None;
        const size_t unit_begin = pos_;
        while (is_name(peek())) pos_++;
        const std::string word(text_.substr(unit_begin, pos_ - unit_begin));
        std::vector<std::string> known;
        for (const UnitName& u : kUnits) {
            if (word == u.text) return u.unit;
            known.push_back(u.text);
        }
        const std::string near = closest(word, known);
        diagnostics_.error("E0005", span_from(unit_begin), fmt::format("'{}' is not a unit", word),
                           near.empty() ? "" : fmt::format("did you mean '{}'?", near),
                           "units are ns us ms s, pages KiB MiB, kbit mbit gbit (per second), % and x; a name cannot begin with a digit");
        return WrittenUnit::None;
    }

    // A name, dots included: `fault.page`. A dot belongs to the name only when a letter follows.
    bool name() {
        const bool define = peek() == '$';
        if (!is_name_start(peek(define ? 1 : 0))) return false;
        const size_t begin = pos_;
        if (define) pos_++;
        const size_t text_begin = pos_;
        while (is_name(peek()) || (!define && peek() == '.' && is_name_start(peek(1)))) pos_++;
        push(define ? Tok::Define : Tok::Name, begin, std::string(text_.substr(text_begin, pos_ - text_begin)));
        return true;
    }

    bool string() {
        if (peek() != '"') return false;
        const size_t begin = pos_++;
        std::string value;
        while (pos_ < text_.size() && peek() != '"' && peek() != '\n') {
            if (peek() == '\\') {
                const char escaped = peek(1);
                if (escaped != '"' && escaped != '\\') {
                    const size_t at = pos_++;
                    diagnostics_.error("E0006", {static_cast<uint32_t>(at), static_cast<uint32_t>(at + 1)},
                                       "a backslash in a string stands before '\"' or '\\' only", "",
                                       "write '\\\\' for a backslash");
                    continue;
                }
                pos_++;
            } else if (static_cast<unsigned char>(peek()) < 0x20) {
                diagnostics_.error("E0007", {static_cast<uint32_t>(pos_), static_cast<uint32_t>(pos_ + 1)},
                                   "a control character in a string", "", "remove it; strings hold printable text");
            }
            value += text_[pos_++];
        }
        const bool closed = peek() == '"';
        if (closed) {
            pos_++;
        } else {
            diagnostics_.error("E0002", span_from(begin), "this string has no end", "'\"' expected on the same line",
                               "close it with '\"'");
        }
        push(Tok::String, begin, std::move(value)).broken = !closed;
        return true;
    }

    bool punctuation() {
        const size_t begin = pos_;
        if (peek() == '/' && (peek(1) == '/' || peek(1) == '*')) return foreign_comment();
        for (const Punctuation& p : kPunctuation) {
            const std::string_view s = p.text;
            if (text_.substr(pos_, s.size()) != s) continue;
            pos_ += s.size();
            push(p.kind, begin);
            return true;
        }
        return false;
    }

    bool foreign_comment() {
        const size_t begin = pos_;
        const bool block = peek(1) == '*';
        pos_ += 2;
        diagnostics_.error("E0008", span_from(begin), "a comment begins with '#' here", "", "write '# ...' to the end of the line");
        if (block) {
            const size_t end = text_.find("*/", pos_);
            pos_ = end == std::string_view::npos ? text_.size() : end + 2;
        } else {
            while (pos_ < text_.size() && text_[pos_] != '\n') pos_++;
        }
        return true;
    }

    // One report for a run of bytes that no token begins with.
    void unknown_byte() {
        const size_t begin = pos_++;
        const auto c = static_cast<unsigned char>(text_[begin]);
        while (pos_ < text_.size() && static_cast<unsigned char>(text_[pos_]) >= 0x80) pos_++;
        const std::string what = c >= 0x80 ? "a character outside ASCII"
                                 : c < 0x20 || c == 0x7f ? fmt::format("the byte 0x{:02x}", c)
                                                         : fmt::format("'{}'", static_cast<char>(c));
        diagnostics_.error("E0001", span_from(begin), fmt::format("{} is not part of the language", what), "",
                           c >= 0x80 ? "such characters may stand in strings and comments only" : "remove it");
        push(Tok::Bad, begin);
    }

    std::string_view text_;
    Diagnostics& diagnostics_;
    Tokens out_;
    size_t pos_ = 0;
    uint32_t last_end_ = 0;
    bool line_start_ = true;
    bool blank_ = false;
};

}  // namespace

const char* unit_name(WrittenUnit unit) {
    if (unit == WrittenUnit::Percent) return "%";
    for (const UnitName& u : kUnits)
        if (u.unit == unit) return u.text;
    return "";
}

const char* spelling(Tok kind) {
    for (const Punctuation& p : kPunctuation)
        if (p.kind == kind) return p.text;
    switch (kind) {
        case Tok::Name: return "a name";
        case Tok::Define: return "$NAME";
        case Tok::Int: return "a number";
        case Tok::String: return "a string";
        case Tok::Address: return "an address";
        default: return "the end of the text";
    }
}

std::string describe(const Token& token) {
    switch (token.kind) {
        case Tok::End: return "the end of the text";
        case Tok::Name: return fmt::format("'{}'", token.text);
        case Tok::Define: return fmt::format("'${}'", token.text);
        case Tok::Int: return fmt::format("the number {}{}", token.value, unit_name(token.unit));
        case Tok::String: return fmt::format("the string \"{}\"", token.text);
        case Tok::Address: return fmt::format("the address {}", token.text);
        default: return fmt::format("'{}'", spelling(token.kind));
    }
}

Tokens lex(const Source& source, Diagnostics& diagnostics) { return Lexer(source, diagnostics).run(); }

}  // namespace rmt::lang
