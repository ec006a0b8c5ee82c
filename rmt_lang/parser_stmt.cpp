// SPDX-License-Identifier: MIT
// Statements of actions, handlers and match arms.
#include <fmt/format.h>

#include "rmt_lang/parser_impl.h"

namespace rmt::lang {

AstBlock Parser::block(const std::string& what) {
    const Deeper deeper(*this);
    AstBlock out;
    out.span = braced(what, [&] { out.stmts.push_back(statement()); });
    return out;
}

AstStmt Parser::statement() {
    const Token first = peek();
    auto make = [&](auto node) { return AstStmt{since(first.span), std::move(node)}; };
    if (first.kind == Tok::Semicolon) fail("E0104", first.span, "an empty statement", "", "remove this ';'");
    if (first.kind != Tok::Name) expected("a statement");
    if (first.text == "let" || first.text == "var") {
        take();
        AstName n = declared_name("the name of a local value");
        std::optional<AstType> t;
        if (accept(Tok::Colon)) t = type("a type");
        expect(Tok::Assign, "'=' after the name");
        AstExpr value = expr();
        expect_semicolon("the value");
        return make(AstLocal{std::move(n), first.text == "var", std::move(t), std::move(value)});
    }
    if (accept_word("push")) {
        AstName ring = name("the name of a ring");
        expect(Tok::Comma, "',' after the ring");
        AstExpr value = expr();
        expect_semicolon("the pushed value");
        return make(AstPush{std::move(ring), std::move(value)});
    }
    if (first.text == "if") return make(if_statement());
    if (first.text == "else") fail("E0111", first.span, "'else' without an 'if' before it", "", "it follows the '}' of an if");
    if (accept_word("repeat")) {
        AstExpr count = expr();
        std::optional<AstName> index;
        if (accept_word("as")) index = declared_name("the name of a loop's index");
        AstBlock body = block("the number of rounds");
        return make(AstRepeat{std::move(count), std::move(index), std::move(body)});
    }
    if (accept_word("break")) {
        expect_semicolon("'break'");
        return make(AstBreak{});
    }
    if (first.text == "match") return make(match_statement());
    if (accept_word("apply")) {
        AstName table = name("the name of a table");
        expect_semicolon("the table");
        return make(AstApply{std::move(table)});
    }
    if (first.text == "collect") return make(collect_statement());
    return assignment_or_call();
}

AstIf Parser::if_statement() {
    const Deeper deeper(*this);
    take();
    expect(Tok::LParen, "'(' after 'if'");
    AstExpr condition = expr();
    expect(Tok::RParen, "')' after the condition");
    AstBlock then = block("the condition");
    AstIf out{std::move(condition), std::move(then), std::nullopt, false};
    if (!accept_word("else")) return out;
    if (!at_word("if")) {
        out.otherwise = block("'else'");
        return out;
    }
    const Span begin = peek().span;
    AstIf nested = if_statement();
    AstBlock chain;
    chain.span = since(begin);
    chain.stmts.push_back({chain.span, std::move(nested)});
    out.otherwise = std::move(chain);
    out.else_if = true;
    return out;
}

AstMatch Parser::match_statement() {
    take();
    AstMatch out{expr(), {}};
    braced("the value to match", [&] {
        const Span begin = peek().span;
        AstArm arm;
        if (!accept_word("_")) {
            do arm.patterns.push_back(pattern("arm"));
            while (accept(Tok::Comma));
        }
        expect(Tok::Arrow, "'=>' after the pattern");
        arm.braces = at(Tok::LBrace);
        if (arm.braces) {
            arm.body = block("'=>'");
        } else {
            const Deeper deeper(*this);
            arm.body.stmts.push_back(statement());
            arm.body.span = arm.body.stmts.back().span;
        }
        arm.span = since(begin);
        out.arms.push_back(std::move(arm));
    });
    return out;
}

AstCollect Parser::collect_statement() {
    const Span begin = take().span;
    AstExpr one{begin, AstInt{1}};
    AstCollect out{{}, one, one};
    expect(Tok::LBrace, "'{' after 'collect'");
    if (!at(Tok::RBrace)) {
        do out.items.push_back(expr());
        while (accept(Tok::Comma) && !at(Tok::RBrace));
    }
    expect(Tok::RBrace, "',' or '}'");
    if (accept_word("sample")) {
        out.sample_of = primary();
        expect(Tok::Slash, "'/' in `sample 1/N`");
        out.sample = primary();
    }
    expect_semicolon("the collected fields");
    return out;
}

AstStmt Parser::assignment_or_call() {
    const Token first = peek();
    if (peek(1).kind == Tok::LParen) {
        AstCall c = call("the name of an action");
        expect_semicolon("the call");
        return {since(first.span), AstCallStmt{std::move(c)}};
    }
    AstExpr target = primary();
    const Token op = peek();
    const Tok after = peek(1).kind;
    const std::string written(source_.slice(target.span));
    switch (op.kind) {
        case Tok::Plus: case Tok::Minus: case Tok::Star: case Tok::Slash: case Tok::Pipe: case Tok::Amp: case Tok::Caret:
            if (after == Tok::Assign)
                fail("E0112", join(op.span, peek(1).span), fmt::format("'{}=' is not in the language", spelling(op.kind)), "",
                     fmt::format("write {} = {} {} ...", written, written, spelling(op.kind)));
            if (after == op.kind)
                fail("E0112", join(op.span, peek(1).span), fmt::format("'{0}{0}' is not in the language", spelling(op.kind)), "",
                     fmt::format("write {} = {} {} 1", written, written, spelling(op.kind)));
            break;
        default: break;
    }
    if (!at(Tok::Assign)) expected(fmt::format("'=' or '(' after '{}'", written), "a statement is an assignment, a call, "
                                   "or begins with let var push if repeat break match apply collect");
    take();
    AstExpr value = expr();
    expect_semicolon("the assigned value");
    return {since(first.span), AstAssign{std::move(target), std::move(value)}};
}

}  // namespace rmt::lang
