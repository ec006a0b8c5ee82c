// SPDX-License-Identifier: MIT
// Whole trees are golden files of tests/lang; here are precedence and recovery.
#include "rmt_lang/parser.h"

#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::lang;

namespace {

// The tree of one expression, in an action.
std::string tree(const std::string& expr) {
    const Source source("t.rmt", "rmt 1;\npolicy p { domain mm; action a() { x = " + expr + "; } }\n");
    Diagnostics diagnostics;
    const auto ast = parse(source, diagnostics);
    if (!ast) return format(diagnostics, source);
    const auto& policy = std::get<AstPolicy>(ast->items[0].node);
    const auto& action = std::get<AstAction>(policy.items[1].node);
    return dump(std::get<AstAssign>(action.body.stmts[0].node).value);
}

std::vector<std::string> errors(const std::string& text) {
    const Source source("t.rmt", text);
    Diagnostics diagnostics;
    CHECK_FALSE(parse(source, diagnostics));
    std::vector<std::string> out;
    for (const Diagnostic& d : diagnostics.all()) out.push_back(d.id + ":" + std::to_string(source.position(d.at->span.begin).line));
    return out;
}

}  // namespace

TEST_CASE("precedence is that of C") {
    const std::pair<const char*, const char*> cases[] = {
        {"a + b * c", "(+ a (* b c))"},
        {"a - b - c", "(- (- a b) c)"},
        {"(a - b) * c", "(* (- a b) c)"},
        {"a << 1 + b", "(<< a (+ 1 b))"},
        {"a & b == c", "(& a (== b c))"},
        {"a || b && c", "(|| a (&& b c))"},
        {"a | b ^ c & d", "(| a (^ b (& c d)))"},
        {"-a * !b", "(* (- a) (! b))"},
        {"a < b == c", "(== (< a b) c)"},
        {"a % 4", "(% a 4)"},
        {"min(a, r[i + 1])", "(call min a (index r (+ i 1)))"},
        {"infer(m, r)", "(call infer m r)"},
        {"32 pages", "32pages"},
        {"$N + 1", "(+ $N 1)"},
    };
    for (const auto& [text, expected] : cases) CHECK(tree(text) == expected);
}

TEST_CASE("independent errors are all reported, each once") {
    CHECK(errors("rmt 1;\npolicy p {\n  domain;\n  mode shadow\n  limit { cost < ; }\n  action a() { x = ; y = 1; z = ) ; }\n"
                 "  table t { key { a exact; } }\n  on mm.fault { }\n}\n") ==
          std::vector<std::string>{"E0104:3", "E0108:4", "E0104:5", "E0104:6", "E0104:6", "E0104:7"});
}

TEST_CASE("a missing brace is reported where it is open, and nothing after it is") {
    CHECK(errors("rmt 1;\npolicy p {\n  domain mm;\n  action a() { if (x) {\n    y = 1;\n\n  table t {\n    key { a : exact; }\n  }\n  on mm.fault { }\n}\n") ==
          std::vector<std::string>{"E0103:4"});
    CHECK(errors("rmt 1;\npolicy p {\n  limit {\n    cost <= 2us per event;\n    on breach (accuracy < 3% over 1s) => mode shadow;\n  state per task { a : u8; }\n}\n") ==
          std::vector<std::string>{"E0103:3"});
}

TEST_CASE("one brace too many gives one error") {
    CHECK(errors("rmt 1;\npolicy p {\n  domain mm;\n  action a() { } }\n  table t { key { a : exact; } }\n  on mm.fault { }\n}\n") ==
          std::vector<std::string>{"E0106:5"});
}

TEST_CASE("an entry alone") {
    struct Case {
        const char* text;
        bool good;
    };
    const Case cases[] = {{"anon, 0..95 => follow(32)", true}, {"*, ..8 => a(); ", true},          {"1 => a() comment \"x\";", true},
                          {"anon => follow", false},            {"anon, => follow(1)", false},      {"1 => a(); 2 => b();", false},
                          {"", false},                          {"anon, 0..95 => follow(32", false}};
    for (const Case& c : cases) {
        INFO(c.text);
        const Source source("entry", c.text);
        Diagnostics diagnostics;
        CHECK(parse_entry_text(source, diagnostics).has_value() == c.good);
        CHECK(diagnostics.has_errors() != c.good);
    }
}
