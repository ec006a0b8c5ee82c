// SPDX-License-Identifier: MIT
#include "rmt_lang/lexer.h"

#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::lang;

namespace {

struct Lexed {
    Tokens out;
    Diagnostics diagnostics;
};

Lexed lexed(const std::string& text) {
    Lexed l;
    const Source source("t.rmt", text);
    l.out = lex(source, l.diagnostics);
    return l;
}

}  // namespace

TEST_CASE("each kind of token is recognised") {
    struct Case {
        const char* text;
        Tok kind;
        const char* word;
        int64_t value;
        WrittenUnit unit;
    };
    const Case cases[] = {
        {"fault.page", Tok::Name, "fault.page", 0, WrittenUnit::None},
        {"_", Tok::Name, "_", 0, WrittenUnit::None},
        {"$DB", Tok::Define, "DB", 0, WrittenUnit::None},
        {"0x1F", Tok::Int, "", 31, WrittenUnit::None},
        {"1_000", Tok::Int, "", 1000, WrittenUnit::None},
        {"2us", Tok::Int, "", 2, WrittenUnit::Us},
        {"30%", Tok::Int, "", 30, WrittenUnit::Percent},
        {"2x", Tok::Int, "", 2, WrittenUnit::Times},
        {"64KiB", Tok::Int, "", 64, WrittenUnit::KiB},
        {"\"a\\\"b\\\\\"", Tok::String, "a\"b\\", 0, WrittenUnit::None},
        {"10.0.0.0/8", Tok::Address, "10.0.0.0/8", 0, WrittenUnit::None},
        {"2001:db8::/32", Tok::Address, "2001:db8::/32", 0, WrittenUnit::None},
        {"::1", Tok::Address, "::1", 0, WrittenUnit::None},
        {"=>", Tok::Arrow, "", 0, WrittenUnit::None},
        {"..", Tok::DotDot, "", 0, WrittenUnit::None},
        {"<<", Tok::Shl, "", 0, WrittenUnit::None},
    };
    for (const Case& c : cases) {
        INFO(c.text);
        const Lexed l = lexed(c.text);
        CHECK_FALSE(l.diagnostics.has_errors());
        REQUIRE(l.out.tokens.size() == 2);
        CHECK(l.out.tokens[0].kind == c.kind);
        CHECK(l.out.tokens[0].text == c.word);
        CHECK(l.out.tokens[0].value == c.value);
        CHECK(l.out.tokens[0].unit == c.unit);
        CHECK(l.out.tokens[1].kind == Tok::End);
    }
}

TEST_CASE("what looks alike is told apart") {
    struct Case {
        const char* text;
        std::vector<Tok> kinds;
    };
    const Case cases[] = {
        {"0..95", {Tok::Int, Tok::DotDot, Tok::Int}},
        {"8..", {Tok::Int, Tok::DotDot}},
        {"20ms..500ms", {Tok::Int, Tok::DotDot, Tok::Int}},
        {"1/64", {Tok::Int, Tok::Slash, Tok::Int}},
        {"30%4", {Tok::Int, Tok::Percent, Tok::Int}},
        {"a:b", {Tok::Name, Tok::Colon, Tok::Name}},
        {"a.b.c", {Tok::Name}},
        {"a..b", {Tok::Name, Tok::DotDot, Tok::Name}},
        {"<=>", {Tok::Le, Tok::Gt}},
    };
    for (const Case& c : cases) {
        INFO(c.text);
        const Lexed l = lexed(c.text);
        CHECK_FALSE(l.diagnostics.has_errors());
        std::vector<Tok> kinds;
        for (const Token& t : l.out.tokens) kinds.push_back(t.kind);
        REQUIRE(kinds.back() == Tok::End);
        kinds.pop_back();
        CHECK(kinds == c.kinds);
    }
}

TEST_CASE("comments keep their place") {
    const Lexed l = lexed("a; # behind\n\n# alone\nb;");
    REQUIRE(l.out.comments.size() == 2);
    CHECK(l.out.comments[0].text == "# behind");
    CHECK_FALSE(l.out.comments[0].own_line);
    CHECK(l.out.comments[0].after == 2);
    CHECK(l.out.comments[1].own_line);
    CHECK(l.out.comments[1].blank_before);
    CHECK(l.out.tokens[2].line_start);
    CHECK_FALSE(l.out.tokens[2].blank_before);
}

TEST_CASE("a byte that is no token is one error and one token") {
    const Lexed l = lexed("a @ b");
    CHECK(l.diagnostics.error_count() == 1);
    CHECK(l.diagnostics.all()[0].id == "E0001");
    REQUIRE(l.out.tokens.size() == 4);
    CHECK(l.out.tokens[1].kind == Tok::Bad);
}
