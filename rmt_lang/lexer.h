// SPDX-License-Identifier: MIT
// Text -> tokens. Knows numbers with their units, strings, dotted names, `$NAME`, addresses and comments; knows no
// grammar. Always ends with one End token; bytes that are no token are reported (E00xx) and stand as a Bad token.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rmt_lang/support/diagnostics.h"
#include "rmt_lang/support/source.h"

namespace rmt::lang {

enum class Tok {
    End, Name, Define, Int, String, Address,
    LBrace, RBrace, LParen, RParen, LBracket, RBracket, Comma, Semicolon, Colon, DotDot, Arrow,
    Assign, Eq, Ne, Lt, Le, Gt, Ge, Plus, Minus, Star, Slash, Percent, Amp, Pipe, Caret, Tilde, Bang,
    AndAnd, OrOr, Shl, Shr,
    Bad,  // bytes that are no token; they were reported, the parser adds nothing
};

// Written unit of a number. A number keeps the unit that it was written with, so that it can be printed again.
enum class WrittenUnit { None, Ns, Us, Ms, S, Pages, KiB, MiB, Kbit, Mbit, Gbit, Percent, Times };

const char* unit_name(WrittenUnit unit);   // "ms"; "" for None

struct Token {
    Tok kind = Tok::End;
    Span span;
    std::string text;       // Name: as written; Define: without `$`; String: its contents; Address: as written
    int64_t value = 0;      // Int: as written, before the unit
    WrittenUnit unit = WrittenUnit::None; // Int
    bool hex = false;       // Int: written 0x...
    bool broken = false;    // String without its end; it was reported
    bool line_start = false;    // first token of its line
    bool blank_before = false;  // an empty line stands before it
};

struct Comment {
    Span span;              // from `#` to the end of the line
    std::string text;       // with its `#`, without trailing space
    uint32_t after = 0;     // end of the token before it, 0: none
    bool own_line = false;
    bool blank_before = false;
    bool operator==(const Comment&) const = default;
};

struct Tokens {
    std::vector<Token> tokens;
    std::vector<Comment> comments;
};

Tokens lex(const Source& source, Diagnostics& diagnostics);

// How a token is named in a message: "';'", "name 'foo'", "number 12", "the end of the text".
std::string describe(const Token& token);
const char* spelling(Tok kind);

}  // namespace rmt::lang
