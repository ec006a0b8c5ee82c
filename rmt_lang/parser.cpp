// SPDX-License-Identifier: MIT
// Tokens, errors and recovery, and the outermost level: version line, defines, includes, policies.
#include "rmt_lang/parser.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rmt_lang/parser_impl.h"

namespace rmt::lang {

namespace {

constexpr std::array kReserved{"priority", "import", "extern", "async", "numa", "if", "else", "repeat", "break", "let", "var",
                               "match", "apply", "push", "collect", "infer", "true", "false", "min", "max", "abs", "_"};
constexpr std::array kFuture{"priority", "import", "extern", "async", "numa"};
const std::vector<std::string> kTopItems{"define", "include", "policy", "test"};
const std::vector<std::string> kPolicyItems{"description", "domain", "base", "attach", "mode", "limit", "state", "model",
                                            "dsq", "action", "table", "on", "test"};

bool is_one_of(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_future_word(const std::string& word) { return std::find(kFuture.begin(), kFuture.end(), word) != kFuture.end(); }

}  // namespace

bool is_reserved_word(const std::string& word) {
    return std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end();
}

Parser::Parser(const Source& source, Diagnostics& diagnostics)
    : source_(source), diagnostics_(diagnostics), lexed_(lex(source, diagnostics)) {}

Parser::Deeper::Deeper(Parser& parser) : parser_(parser) {
    if (++parser_.depth_ <= kMaxDepth) return;
    parser_.depth_--;
    parser_.fail("E0107", parser_.peek().span, "this is nested too deeply", fmt::format("at most {} levels", kMaxDepth),
                 "move the inner part to an action, or its value to a `let`");
}

// ---- tokens ----

const Token& Parser::peek(size_t ahead) const { return lexed_.tokens[std::min(pos_ + ahead, lexed_.tokens.size() - 1)]; }

Token Parser::take() {
    const Token& t = peek();
    last_end_ = t.span.end;
    if (t.kind != Tok::End) pos_++;
    return t;
}

bool Parser::accept(Tok kind) {
    if (!at(kind)) return false;
    take();
    return true;
}

bool Parser::accept_word(const char* word) {
    if (!at_word(word)) return false;
    take();
    return true;
}

Token Parser::expect(Tok kind, const std::string& what) {
    if (!at(kind)) expected(what);
    return take();
}

void Parser::expect_word(const char* word, const std::string& where) {
    if (!at_word(word)) expected(fmt::format("'{}' {}", word, where));
    take();
}

// A forgotten semicolon shows at the end of the line that lacks it, and parsing goes on as if it were there.
void Parser::expect_semicolon(const std::string& after) {
    if (accept(Tok::Semicolon) || after_broken()) return;
    if (!peek().line_start && !at(Tok::End) && !at(Tok::RBrace)) expected("';' after " + after);
    diagnostics_.error("E0108", {last_end_, last_end_ + 1}, fmt::format("a ';' is missing after {}", after), "expected here");
}

AstName Parser::name(const std::string& what, bool dots) {
    if (!at(Tok::Name)) expected(what);
    const Token t = take();
    if (!dots && t.text.find('.') != std::string::npos)
        fail("E0109", t.span, fmt::format("'{}' has a dot; {} cannot have one", t.text, what));
    return {t.text, t.span};
}

AstName Parser::declared_name(const std::string& what) {
    const AstName n = name(what);
    if (is_reserved_word(n.text))
        fail("E0105", n.span, fmt::format("'{}' is a reserved word, it cannot be {}", n.text, what), "",
             "choose another name, for example '" + (n.text == "_" ? "other" : n.text + "_1") + "'");
    return n;
}

// ---- errors ----

void Parser::fail(const char* id, Span at, std::string message, std::string label, std::string help) {
    diagnostics_.error(id, at, std::move(message), std::move(label), std::move(help));
    throw Panic{};
}

void Parser::expected(const std::string& what, const std::string& help) {
    const Token& t = peek();
    if (t.kind == Tok::Bad || after_broken()) throw Panic{};  // it was reported
    if (t.kind == Tok::End) unclosed_at_ = pos_;              // one message about the end is enough
    if (t.kind == Tok::Name && is_future_word(t.text))
        fail("E0105", t.span, fmt::format("'{}' is reserved for later use", t.text), fmt::format("{} expected", what), help);
    if (t.kind == Tok::End && pos_ > 0) {  // shown behind the last token: the end itself may be an empty line far below
        const Span last = lexed_.tokens[pos_ - 1].span;
        fail("E0104", {last.end, last.end + 1}, fmt::format("{} expected, the text ends", what), "", help);
    }
    fail("E0104", t.span, fmt::format("{} expected, {} found", what, describe(t)), fmt::format("{} expected", what), help);
}

void Parser::unknown_word(const std::string& place, const std::vector<std::string>& known) {
    const Token& t = peek();
    if (t.kind == Tok::Bad) throw Panic{};
    if (t.kind != Tok::Name) expected(fmt::format("an item of {}", place), fmt::format("one of: {}", fmt::join(known, ", ")));
    if (is_future_word(t.text)) fail("E0105", t.span, fmt::format("'{}' is reserved for later use", t.text));
    const std::string near = closest(t.text, known);
    fail("E0106", t.span, fmt::format("'{}' is not an item of {}", t.text, place),
         near.empty() ? "" : fmt::format("did you mean '{}'?", near), fmt::format("one of: {}", fmt::join(known, ", ")));
}

// Reported once where several braces are open.
void Parser::not_closed(Span brace) {
    if (unclosed_at_ != pos_)
        diagnostics_.error("E0103", brace, "this '{' is not closed", "its '}' is missing",
                           at(Tok::End) ? "" : fmt::format("'{}' on line {} belongs outside of it", peek().text,
                                                           source_.position(peek().span.begin).line));
    unclosed_at_ = pos_;
}

// `table name`, `on event`, `limit {` at the beginning of a line, inside a brace that is not the policy's own.
bool Parser::at_outer_keyword() const {
    const Token& t = peek();
    if (t.kind != Tok::Name || !t.line_start) return false;
    const Tok next = peek(1).kind;
    if (next != Tok::Name && next != Tok::LBrace && next != Tok::String && next != Tok::Define) return false;
    if (t.text == "test") return braces_ > 1;
    if (t.text == "on" && peek(2).kind != Tok::LBrace) return false;  // `on breach (` of a limit
    return (braces_ > 1 && is_one_of(kPolicyItems, t.text)) || (braces_ > 0 && is_one_of(kTopItems, t.text));
}

// Skips to behind the next ';' or closing brace of the level where the broken construct began.
void Parser::synchronise(size_t start) {
    int depth = 0;
    for (size_t i = start; i < pos_; i++) {
        depth += lexed_.tokens[i].kind == Tok::LBrace;
        depth -= lexed_.tokens[i].kind == Tok::RBrace;
    }
    const bool advanced = pos_ > start;
    for (bool first = true; !at(Tok::End); first = false) {
        if (at(Tok::RBrace) && depth <= 0) {
            if (braces_ == 0) take();  // nobody waits for it
            return;
        }
        if (!(first && !advanced) && depth <= 0 && at_outer_keyword()) return;
        const Tok kind = take().kind;
        depth += kind == Tok::LBrace;
        if (kind == Tok::RBrace && --depth <= 0) return;
        if (kind == Tok::Semicolon && depth <= 0) return;
    }
}

// ---- the file ----

void Parser::version(Ast& ast) {
    const Span begin = peek().span;
    if (!at_word("rmt")) {
        diagnostics_.error("E0101", begin, "the first line must be 'rmt 1;'", "'rmt 1;' expected before this",
                           "it says which version of the language the text is written in");
        return;
    }
    recovered([&] {
        take();
        const Token number = expect(Tok::Int, "the version of the language");
        ast.version = number.value;
        if (number.value != 1 || number.unit != WrittenUnit::None)
            fail("E0102", number.span, fmt::format("version {} of the language is not known", source_.slice(number.span)),
                 "only 1 is", "a newer rmt-load may know it");
        expect_semicolon("the version");
        ast.version_span = since(begin);
    });
}

void Parser::definition(Ast& ast) {
    const Span begin = take().span;
    AstName n = declared_name("the name of a definition");
    expect(Tok::Assign, "'=' after the name");
    AstExpr value = value_or_list();
    expect_semicolon("the definition");
    ast.items.push_back({since(begin), AstDefinition{std::move(n), std::move(value)}});
}

void Parser::top(Ast& ast) {
    const Span begin = peek().span;
    if (at_word("define")) {
        definition(ast);
    } else if (accept_word("include")) {
        AstExpr path = literal_string("a path");
        expect_semicolon("the path");
        ast.items.push_back({since(begin), AstInclude{std::move(path)}});
    } else if (accept_word("policy")) {
        AstPolicy p = policy();
        ast.items.push_back({since(begin), std::move(p)});
    } else if (at_word("test")) {
        AstTest t = test();
        ast.items.push_back({since(begin), std::move(t)});
    } else if (at_word("rmt")) {
        fail("E0101", begin, "'rmt 1;' stands once, on the first line");
    } else if (at(Tok::RBrace)) {
        take();
        if (!outside_)
            diagnostics_.error("E0104", begin, "this '}' closes nothing", "", "remove it, or look for a '{' that is missing above");
    } else if (at(Tok::Name) && is_one_of(kPolicyItems, peek().text)) {
        if (!outside_)
            diagnostics_.error("E0106", begin, fmt::format("'{}' stands outside of a policy", peek().text), "",
                               "move it into `policy NAME { ... }`, or look for a '}' too many above");
        outside_ = true;  // once is enough, the rest of that policy follows
        AstPolicy stray;
        policy_item(stray);
    } else {
        unknown_word("a policy file", kTopItems);
    }
}

AstPolicy Parser::policy() {
    AstPolicy out;
    out.name = declared_name("the name of a policy");
    out.span = braced("the policy's name", [&] { policy_item(out); });
    return out;
}

void Parser::policy_item(AstPolicy& policy) {
    const Span begin = peek().span;
    auto add = [&](auto node) { policy.items.push_back({since(begin), std::move(node)}); };
    if (accept_word("description")) {
        AstExpr text = literal_string("a text");
        expect_semicolon("the description");
        add(AstDescription{std::move(text)});
    } else if (accept_word("domain")) {
        AstName n = name("the name of a domain");
        expect_semicolon("the domain");
        add(AstDomain{std::move(n)});
    } else if (accept_word("base")) {
        AstExpr n = literal_string("the name of a base");
        expect_semicolon("the base");
        add(AstBase{std::move(n)});
    } else if (accept_word("attach")) {
        AstName what = name("'cgroup'");
        AstExpr pattern = literal_string("a pattern");
        expect_semicolon("the pattern");
        add(AstAttach{std::move(what), std::move(pattern)});
    } else if (accept_word("mode")) {
        AstName n = name("a mode");
        expect_semicolon("the mode");
        add(AstMode{std::move(n)});
    } else if (at_word("limit")) {
        add(limit());
    } else if (at_word("state")) {
        add(state());
    } else if (at_word("model")) {
        add(model());
    } else if (at_word("dsq")) {
        add(dsq());
    } else if (at_word("action")) {
        add(action());
    } else if (at_word("table")) {
        add(table());
    } else if (at_word("test")) {
        add(test());
    } else if (accept_word("on")) {
        AstName event = name("the name of an event", true);
        AstBlock body = block("the event");
        add(AstOn{std::move(event), std::move(body)});
    } else {
        unknown_word("a policy", kPolicyItems);
    }
}

std::optional<Ast> Parser::file() {
    Ast ast;
    version(ast);
    while (!at(Tok::End)) recovered([&] { top(ast); });
    if (diagnostics_.has_errors()) return std::nullopt;
    ast.comments = std::move(lexed_.comments);
    for (const Token& t : lexed_.tokens)
        if (t.blank_before) ast.blank_before.push_back(t.span.begin);
    return ast;
}

std::optional<AstEntry> Parser::single_entry() {
    try {
        AstEntry out = entry();
        accept(Tok::Semicolon);
        if (!at(Tok::End)) expected("the end of the entry");
        if (diagnostics_.has_errors()) return std::nullopt;
        return out;
    } catch (const Panic&) {
        return std::nullopt;
    }
}

std::optional<Ast> parse(const Source& source, Diagnostics& diagnostics) { return Parser(source, diagnostics).file(); }

std::optional<AstEntry> parse_entry_text(const Source& source, Diagnostics& diagnostics) {
    return Parser(source, diagnostics).single_entry();
}

}  // namespace rmt::lang
