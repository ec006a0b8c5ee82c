// SPDX-License-Identifier: MIT
// Expressions, types, patterns, calls. Precedence is that of C.
#include <fmt/format.h>

#include "rmt_lang/parser_impl.h"

namespace rmt::lang {

namespace {

int precedence(Tok op) {
    switch (op) {
        case Tok::OrOr: return 1;
        case Tok::AndAnd: return 2;
        case Tok::Pipe: return 3;
        case Tok::Caret: return 4;
        case Tok::Amp: return 5;
        case Tok::Eq: case Tok::Ne: return 6;
        case Tok::Lt: case Tok::Le: case Tok::Gt: case Tok::Ge: return 7;
        case Tok::Shl: case Tok::Shr: return 8;
        case Tok::Plus: case Tok::Minus: return 9;
        case Tok::Star: case Tok::Slash: case Tok::Percent: return 10;
        default: return 0;
    }
}

constexpr int kAdditive = 9;

// `32 pages`: a unit may stand behind a space.
WrittenUnit unit_word(const Token& t) {
    if (t.kind != Tok::Name || t.line_start) return WrittenUnit::None;
    for (const WrittenUnit u : {WrittenUnit::Ns, WrittenUnit::Us, WrittenUnit::Ms, WrittenUnit::S, WrittenUnit::Pages, WrittenUnit::KiB, WrittenUnit::MiB,
                                WrittenUnit::Kbit, WrittenUnit::Mbit, WrittenUnit::Gbit})
        if (t.text == unit_name(u)) return u;
    return WrittenUnit::None;
}

}  // namespace

AstExpr Parser::expr() { return binary(1); }

AstExpr Parser::binary(int min_precedence) {
    AstExpr left = unary();
    for (int operators = 0;; operators++) {
        const Token op = peek();
        const int p = precedence(op.kind);
        if (p == 0 || p < min_precedence) return left;
        if (operators == kMaxOperators)
            fail("E0107", op.span, "this expression is too long", fmt::format("at most {} operators", kMaxOperators),
                 "give a part of it a name with `let`");
        take();
        AstExpr right = binary(p + 1);
        const Span span = join(left.span, right.span);
        left = AstExpr{span, AstBinary{op.kind, op.span, std::move(left), std::move(right)}};
    }
}

AstExpr Parser::unary() {
    const Deeper deeper(*this);
    const Token t = peek();
    if (t.kind == Tok::Minus || t.kind == Tok::Bang) {
        take();
        AstExpr operand = unary();
        return {since(t.span), AstUnary{t.kind, std::move(operand)}};
    }
    if (t.kind == Tok::Tilde)
        fail("E0104", t.span, "'~' is not an operator of the language", "", "write `-1 ^ x` for the complement of x");
    return primary();
}

AstExpr Parser::primary() {
    const Token t = peek();
    switch (t.kind) {
        case Tok::Int: {
            take();
            WrittenUnit unit = t.unit;
            if (unit == WrittenUnit::None) unit = unit_word(peek());
            if (unit != t.unit) take();
            return {since(t.span), AstInt{t.value, unit, t.hex}};
        }
        case Tok::String: take(); return {t.span, AstString{t.text}};
        case Tok::Address: take(); return {t.span, AstAddress{t.text}};
        case Tok::Define: take(); return {t.span, AstDefine{t.text}};
        case Tok::LParen: {
            take();
            AstExpr inner = expr();
            expect(Tok::RParen, "')'");
            return inner;
        }
        case Tok::Name: break;
        default: expected("an expression");
    }
    if (t.text == "true" || t.text == "false") {
        take();
        return {t.span, AstBool{t.text == "true"}};
    }
    const bool function = t.text == "infer" || t.text == "min" || t.text == "max" || t.text == "abs";
    if (is_reserved_word(t.text) && !(function && peek(1).kind == Tok::LParen)) expected("an expression");
    take();
    if (at(Tok::LParen)) {
        AstCall c{{t.text, t.span}, arguments()};
        return {since(t.span), std::move(c)};
    }
    if (accept(Tok::LBracket)) {
        AstExpr index = expr();
        expect(Tok::RBracket, "']'");
        return {since(t.span), AstIndex{{t.text, t.span}, std::move(index)}};
    }
    return {t.span, AstRef{t.text}};
}

std::vector<AstExpr> Parser::arguments() {
    std::vector<AstExpr> out;
    expect(Tok::LParen, "'('");
    if (accept(Tok::RParen)) return out;
    do out.push_back(expr());
    while (accept(Tok::Comma));
    expect(Tok::RParen, "',' or ')'");
    return out;
}

AstCall Parser::call(const std::string& what) {
    AstName callee = name(what);
    if (!at(Tok::LParen)) expected(fmt::format("'(' after '{}'", callee.text), fmt::format("write {}(...)", callee.text));
    return {std::move(callee), arguments()};
}

AstExpr Parser::value_or_list() {
    if (!at(Tok::LBrace)) return expr();
    const Span begin = take().span;
    AstList list;
    if (!at(Tok::RBrace)) {
        do list.items.push_back(expr());
        while (accept(Tok::Comma));
    }
    expect(Tok::RBrace, "',' or '}'");
    return {since(begin), std::move(list)};
}

AstExpr Parser::literal_string(const std::string& what) {
    if (!at(Tok::String) && !at(Tok::Define)) expected(fmt::format("{} in quotes, or $NAME", what));
    return primary();
}

AstType Parser::type(const std::string& what) {
    AstType out;
    out.name = name(what);
    if (accept(Tok::Lt)) {
        do out.args.push_back(binary(kAdditive));
        while (accept(Tok::Comma));
        expect(Tok::Gt, "',' or '>'");
    }
    out.span = since(out.name.span);
    return out;
}

// `*`, a value, or a range with at least one end. `end` is what may follow it, for the message.
AstPattern Parser::pattern(const char* end) {
    const Token first = peek();
    auto open_end = [&] { return at(Tok::Comma) || at(Tok::Arrow) || at(Tok::End); };
    if (first.kind == Tok::Star) {
        take();
        return {first.span, AstAny{}};
    }
    if (first.kind == Tok::Name && first.text == "_")
        fail("E0104", first.span, "'_' is no pattern here", "",
             end == std::string("arm") ? "'_' stands alone in the last arm" : "write '*' for any value");
    std::optional<AstExpr> lo;
    if (first.kind != Tok::DotDot) lo = expr();
    if (!accept(Tok::DotDot)) {
        const Span span = lo->span;
        return {span, std::move(*lo)};
    }
    std::optional<AstExpr> hi;
    if (!open_end()) hi = expr();
    if (!lo && !hi) fail("E0110", since(first.span), "a range needs at least one end", "", "write '*' for any value");
    return {since(first.span), AstRange{std::move(lo), std::move(hi)}};
}

}  // namespace rmt::lang
