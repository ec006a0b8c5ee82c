// SPDX-License-Identifier: MIT
// Items of a policy: limit, state, model, dsq, action, table, test.
#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/parser_impl.h"

namespace rmt::lang {

namespace {

const std::vector<std::string> kModelItems{"source", "input", "output", "on_error", "every", "train"};
const std::vector<std::string> kTrainWords{"every", "window", "rate", "scale", "after"};
const std::vector<std::string> kTableParts{"key", "actions", "default", "size", "entries"};

}  // namespace

// ---- limit ----

AstLimit Parser::limit() {
    take();
    AstLimit out;
    braced("'limit'", [&] { out.rules.push_back(limit_rule()); });
    return out;
}

AstLimitRule Parser::limit_rule() {
    const Span begin = peek().span;
    if (accept_word("on")) {
        AstLimitOn on = limit_on();
        expect_semicolon("the reaction");
        return {since(begin), std::move(on)};
    }
    AstName subject = name("what is limited, or 'on'", true);
    if (accept_word("in")) {
        AstExpr lo = expr();
        expect(Tok::DotDot, "'..' of a range");
        AstExpr hi = expr();
        expect_semicolon("the range");
        return {since(begin), AstLimitRange{std::move(subject), std::move(lo), std::move(hi)}};
    }
    const bool change = accept_word("change");
    const Token op = peek();
    if (op.kind != Tok::Le && op.kind != Tok::Lt && op.kind != Tok::Ge && op.kind != Tok::Gt && op.kind != Tok::Eq)
        expected("'<=' or 'in'");
    take();
    AstLimitBound out{std::move(subject), change, op.kind, op.span, expr(), AstLimitBound::Per::None, {}, {}};
    if (accept_word("per")) {
        if (at(Tok::Int) || at(Tok::Define)) {
            out.per = AstLimitBound::Per::Time;
            out.window = expr();
        } else {
            AstName unit = name("'event' or a time after 'per'");
            out.per = unit.text == "event" ? AstLimitBound::Per::Event : AstLimitBound::Per::Other;
            if (out.per == AstLimitBound::Per::Other) out.unit = std::move(unit);
        }
    }
    expect_semicolon("the limit");
    return {since(begin), std::move(out)};
}

AstLimitOn Parser::limit_on() {
    AstName what = name("'breach' or 'stall'");
    expect(Tok::LParen, fmt::format("'(' after 'on {}'", what.text));
    AstName measure = name("a measure", true);
    const Token op = peek();
    if (op.kind != Tok::Lt && op.kind != Tok::Gt && op.kind != Tok::Le && op.kind != Tok::Ge) expected("'<' or '>'");
    take();
    AstLimitOn out{std::move(what), std::move(measure), op.kind, op.span, expr(), {}, {}, {}, {}};
    if (accept_word("over")) out.over = expr();
    expect(Tok::RParen, "')' or 'over TIME'");
    expect(Tok::Arrow, "'=>' and a reaction");
    out.reaction = name("'mode' or 'detach'");
    if (out.reaction.text == "mode") {
        out.mode = name("a mode");
        if (accept_word("for")) out.hold = expr();
    } else if (out.reaction.text != "detach") {
        fail("E0106", out.reaction.span, fmt::format("'{}' is not a reaction", out.reaction.text), "",
             "write `=> mode shadow`, `=> mode shadow for TIME` or `=> detach`");
    }
    return out;
}

// ---- state ----

AstState Parser::state() {
    take();
    AstState out;
    expect_word("per", "after 'state'");
    if (at_word("numa")) {  // reserved; the checker says that it is not supported yet
        out.scope = {"numa", take().span};
    } else {
        out.scope = name("'task', 'sock' or 'cgroup' after 'per'");
    }
    braced("the owner of the state", [&] {
        const Span begin = peek().span;
        AstName n = declared_name("the name of a state variable");
        expect(Tok::Colon, fmt::format("':' and a type after '{}'", n.text));
        AstType t = type("a type");
        expect_semicolon("the type");
        out.vars.push_back({std::move(n), std::move(t), since(begin)});
    });
    return out;
}

// ---- model ----

AstModel Parser::model() {
    take();
    AstModel out;
    out.name = declared_name("the name of a model");
    braced("the model's name", [&] { out.items.push_back(model_item()); });
    return out;
}

AstModelItem Parser::model_item() {
    const Span begin = peek().span;
    auto finish = [&](const char* what, auto node) {
        expect_semicolon(what);
        return AstModelItem{since(begin), std::move(node)};
    };
    if (accept_word("source")) {
        AstModelSource out{literal_string("a path"), {}};
        if (accept_word("sha256")) out.sha256 = literal_string("a digest");
        return finish("the source", std::move(out));
    }
    if (accept_word("input")) return finish("the inputs", AstModelInput{arguments()});
    if (accept_word("output")) return finish("the output", model_output());
    if (accept_word("on_error")) return finish("the answer", AstModelOnError{expr()});
    if (accept_word("every")) {
        AstModelEvery out{expr()};
        expect_word("events", "after the number");
        return finish("'events'", std::move(out));
    }
    if (accept_word("train")) return finish("the training", model_train());
    unknown_word("a model", kModelItems);
}

AstModelOutput Parser::model_output() {
    AstModelOutput out;
    out.kind = name("'value', 'class' or 'score'");
    if (out.kind.text == "class") {
        expect(Tok::LBrace, "'{' and the classes");
        if (!at(Tok::RBrace)) {
            do {
                AstName n = declared_name("the name of a class");
                expect(Tok::Assign, fmt::format("'=' and a number after '{}'", n.text));
                out.classes.push_back({std::move(n), expr()});
            } while (accept(Tok::Comma) && !at(Tok::RBrace));
        }
        expect(Tok::RBrace, "',' or '}'");
        return out;
    }
    if (out.kind.text != "value" && out.kind.text != "score")
        fail("E0106", out.kind.span, fmt::format("'{}' is not a kind of output", out.kind.text), "",
             "write `output value TYPE in LO..HI`, `output class { NAME = N, ... }` or `output score TYPE`");
    out.type = type(fmt::format("a type after '{}'", out.kind.text));
    if (accept_word("in")) {
        out.lo = expr();
        expect(Tok::DotDot, "'..' of the output's range");
        out.hi = expr();
    }
    return out;
}

AstModelTrain Parser::model_train() {
    AstName how = name("'background' or 'online'");
    std::optional<AstName> learner;
    if (how.text == "online" && !at_word("from")) learner = name("'linear' or 'mlp'");
    expect_word("from", fmt::format("and an event after 'train {}'", learner ? how.text + " " + learner->text : how.text));
    AstName event = name("the name of an event", true);
    expect_word("label", "and a field after the event");
    AstModelTrain out{std::move(how), std::move(learner), std::move(event), expr(), {}, {}, {}, {}, {}};
    while (std::any_of(kTrainWords.begin(), kTrainWords.end(), [&](const std::string& word) { return at_word(word.c_str()); })) {
        const Token word = take();
        const bool again = word.text == "every" ? out.every.has_value() : word.text == "window" ? out.window.has_value() : word.text == "rate" ? out.rate.has_value()
                         : word.text == "after" ? out.after.has_value() : !out.scale.empty();
        if (again) fail("E0113", word.span, fmt::format("'{}' is given twice", word.text));
        if (word.text == "every") out.every = expr();
        if (word.text == "window") out.window = expr();
        if (word.text == "after") out.after = expr();
        if (word.text == "rate") out.rate = ratio();
        if (word.text == "scale") out.scale = scales();
    }
    return out;
}

// 16 or 1/64; unlike an expression, what it is made of matters.
AstRatio Parser::ratio() {
    AstRatio out{primary(), {}};
    if (accept(Tok::Slash)) out.by = primary();
    return out;
}

std::vector<AstRatio> Parser::scales() {
    std::vector<AstRatio> out;
    if (!accept(Tok::LParen)) {
        out.push_back(ratio());
        return out;
    }
    do out.push_back(ratio());
    while (accept(Tok::Comma));
    expect(Tok::RParen, "',' or ')'");
    return out;
}

AstDsq Parser::dsq() {
    take();
    AstDsq out;
    out.name = declared_name("the name of a queue");
    braced("the queue's name", [&] {
        expect_word("order", "of a queue");
        out.order = name("'fifo' or 'vtime'");
        expect_semicolon("the order");
    });
    return out;
}

// ---- action and table ----

AstAction Parser::action() {
    take();
    AstAction out;
    out.name = declared_name("the name of an action");
    expect(Tok::LParen, fmt::format("'(' after '{}'", out.name.text));
    if (!at(Tok::RParen)) {
        do {
            AstName n = declared_name("the name of a parameter");
            expect(Tok::Colon, fmt::format("':' and a type after '{}'", n.text));
            out.params.push_back({std::move(n), type("a type")});
        } while (accept(Tok::Comma));
    }
    expect(Tok::RParen, "',' or ')'");
    out.body = block("the parameters");
    return out;
}

AstTable Parser::table() {
    take();
    AstTable out;
    out.name = declared_name("the name of a table");
    braced("the table's name", [&] { table_part(out); });
    return out;
}

void Parser::table_part(AstTable& table) {
    const Token word = peek();
    auto once = [&](const auto& slot) {
        if (slot) fail("E0113", word.span, fmt::format("'{}' is given twice in table '{}'", word.text, table.name.text));
    };
    if (accept_word("key")) {
        once(table.keys_span);
        table.keys_span = word.span;
        braced("'key'", [&] {
            AstExpr subject = primary();
            expect(Tok::Colon, "':' and a match kind");
            table.keys.push_back({std::move(subject), name("a match kind")});
            expect_semicolon("the match kind");
        });
    } else if (accept_word("actions")) {
        once(table.actions_span);
        table.actions_span = word.span;
        braced("'actions'", [&] {
            table.actions.push_back(name("the name of an action"));
            if (at(Tok::LParen)) fail("E0104", peek().span, "';' expected, '(' found", "", "list actions by name, their arguments stand in the entries");
            expect_semicolon("the action");
        });
    } else if (accept_word("default")) {
        once(table.default_action);
        const Span begin = peek().span;
        table.default_action = call("an action");
        table.default_span = since(begin);
        expect_semicolon("the default");
    } else if (accept_word("size")) {
        once(table.size);
        table.size = expr();
        expect_semicolon("the size");
    } else if (accept_word("entries")) {
        once(table.entries_span);
        table.entries_span = word.span;
        braced("'entries'", [&] {
            AstEntry e = entry();
            expect_semicolon("the entry");
            table.entries.push_back(std::move(e));
        });
    } else {
        unknown_word("a table", kTableParts);
    }
}

AstEntry Parser::entry() {
    const Span begin = peek().span;
    AstEntry out;
    if (!at(Tok::Arrow)) {
        do out.patterns.push_back(pattern("entry"));
        while (accept(Tok::Comma));
    }
    expect(Tok::Arrow, "',' or '=>' after a key");
    const Span action_begin = peek().span;
    out.action = call("an action");
    out.action_span = since(action_begin);
    if (accept_word("comment")) out.comment = literal_string("a comment");
    out.span = since(begin);
    return out;
}

// ---- test ----

AstTest Parser::test() {
    take();
    AstTest out;
    if (at(Tok::String)) out.name = primary();
    braced("'test'", [&] {
        const Span begin = peek().span;
        expect_word("event", "and its fields");
        AstTestStep step;
        step.event = name("the name of an event", true);
        expect(Tok::LBrace, "'{' and the fields of the event");
        if (!at(Tok::RBrace)) {
            do {
                AstName field = name("the name of a field", true);
                expect(Tok::Assign, fmt::format("'=' and a value after '{}'", field.text));
                step.fields.push_back({std::move(field), expr()});
            } while (accept(Tok::Comma) && !at(Tok::RBrace));
        }
        expect(Tok::RBrace, "',' or '}'");
        if (accept_word("expect")) step.expect = call("an action");
        expect_semicolon("the step");
        step.span = since(begin);
        out.steps.push_back(std::move(step));
    });
    return out;
}

}  // namespace rmt::lang
