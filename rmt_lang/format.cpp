// SPDX-License-Identifier: MIT
#include "rmt_lang/format.h"

#include <algorithm>

#include <fmt/format.h>

namespace rmt::lang {

namespace {

constexpr size_t kIndent = 4;
constexpr char kMark = '\x01';  // between a line and the comment behind it, until they are aligned

// ---- expressions: parentheses only where the tree needs them ----

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
        default: return 10;
    }
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string number(const AstInt& e) {
    const char* unit = unit_name(e.unit);
    const bool apart = e.unit == WrittenUnit::Pages || e.unit == WrittenUnit::KiB || e.unit == WrittenUnit::MiB;
    return fmt::format("{}{}{}", e.hex ? fmt::format("{:#x}", e.value) : std::to_string(e.value), apart ? " " : "", unit);
}

std::string listed(const std::vector<AstExpr>& items) {
    std::string out;
    for (const AstExpr& e : items) out += (out.empty() ? "" : ", ") + format(e);
    return out;
}

std::string call(const AstCall& c) { return fmt::format("{}({})", c.callee.text, listed(c.args)); }

std::string operand(const AstExpr& e, int outer, bool right) {
    const auto* b = std::get_if<AstBinary>(&e.node);
    const bool brackets = b && (precedence(b->op) < outer || (right && precedence(b->op) == outer));
    return brackets ? "(" + format(e) + ")" : format(e);
}

struct ExprText {
    std::string operator()(const AstInt& e) const { return number(e); }
    std::string operator()(const AstBool& e) const { return e.value ? "true" : "false"; }
    std::string operator()(const AstString& e) const { return quoted(e.text); }
    std::string operator()(const AstAddress& e) const { return e.text; }
    std::string operator()(const AstRef& e) const { return e.name; }
    std::string operator()(const AstDefine& e) const { return "$" + e.name; }
    std::string operator()(const AstIndex& e) const { return fmt::format("{}[{}]", e.base.text, format(*e.index)); }
    std::string operator()(const AstCall& e) const { return call(e); }
    std::string operator()(const AstUnary& e) const { return spelling(e.op) + operand(*e.operand, 11, false); }
    std::string operator()(const AstBinary& e) const {
        const int p = precedence(e.op);
        return fmt::format("{} {} {}", operand(*e.left, p, false), spelling(e.op), operand(*e.right, p, true));
    }
    std::string operator()(const AstList& e) const { return e.items.empty() ? "{ }" : "{ " + listed(e.items) + " }"; }
};

std::string type(const AstType& t) {
    return t.args.empty() ? t.name.text : fmt::format("{}<{}>", t.name.text, listed(t.args));
}

std::string pattern(const AstPattern& p) {
    if (std::holds_alternative<AstAny>(p.node)) return "*";
    if (const auto* e = std::get_if<AstExpr>(&p.node)) return format(*e);
    const auto& r = std::get<AstRange>(p.node);
    return fmt::format("{}..{}", r.lo ? format(*r.lo) : "", r.hi ? format(*r.hi) : "");
}

std::string patterns(const std::vector<AstPattern>& ps) {
    std::string out;
    for (const AstPattern& p : ps) out += (out.empty() ? "" : ", ") + pattern(p);
    return out;
}

std::string entry(const AstEntry& e) {
    return fmt::format("{}{}=> {}{};", patterns(e.patterns), e.patterns.empty() ? "" : " ", call(e.action), e.comment ? " comment " + format(*e.comment) : "");
}

// ---- lines, with the comments between and behind them ----

class Formatter {
public:
    explicit Formatter(const Ast& ast) : ast_(ast) {}

    std::string run() {
        flush_comments(ast_.version_span.begin);
        line(fmt::format("rmt {};", ast_.version), ast_.version_span);
        for (const AstTop& top : ast_.items) {
            place_ = top.span;
            std::visit(*this, top.node);
        }
        flush_comments(UINT32_MAX);
        return aligned();
    }

    // a file
    void operator()(const AstDefinition& i) { line(fmt::format("define {} = {};", i.name.text, format(i.value)), place_); }
    void operator()(const AstInclude& i) { line(fmt::format("include {};", format(i.path)), place_); }
    void operator()(const AstPolicy& i) {
        braces("policy " + i.name.text, place_, i.items.empty(), [&] {
            for (const AstItem& item : i.items) {
                place_ = item.span;
                std::visit(*this, item.node);
            }
        });
    }

    // a policy
    void operator()(const AstDescription& i) { line(fmt::format("description {};", format(i.text)), place_); }
    void operator()(const AstDomain& i) { line(fmt::format("domain {};", i.name.text), place_); }
    void operator()(const AstBase& i) { line(fmt::format("base {};", format(i.name)), place_); }
    void operator()(const AstAttach& i) { line(fmt::format("attach {} {};", i.what.text, format(i.pattern)), place_); }
    void operator()(const AstMode& i) { line(fmt::format("mode {};", i.name.text), place_); }
    void operator()(const AstLimit& i) {
        braces("limit", place_, i.rules.empty(), [&] {
            for (const AstLimitRule& r : i.rules) {
                place_ = r.span;
                std::visit(*this, r.node);
            }
        });
    }
    void operator()(const AstLimitBound& r) {
        std::string per;
        if (r.per == AstLimitBound::Per::Event) per = " per event";
        if (r.window) per = " per " + format(*r.window);
        if (r.unit) per = " per " + r.unit->text;
        line(fmt::format("{}{} {} {}{};", r.subject.text, r.change ? " change" : "", spelling(r.op), format(r.bound), per), place_);
    }
    void operator()(const AstLimitRange& r) { line(fmt::format("{} in {}..{};", r.subject.text, format(r.lo), format(r.hi)), place_); }
    void operator()(const AstLimitOn& r) {
        line(fmt::format("on {} ({} {} {}{}) => {}{}{};", r.what.text, r.measure.text, spelling(r.op), format(r.threshold), r.over ? " over " + format(*r.over) : "",
                         r.reaction.text, r.mode ? " " + r.mode->text : "", r.hold ? " for " + format(*r.hold) : ""), place_);
    }
    void operator()(const AstState& i) {
        braces("state per " + i.scope.text, place_, i.vars.empty(), [&] {
            for (const AstStateVar& v : i.vars) line(fmt::format("{} : {};", v.name.text, type(v.type)), v.span);
        });
    }
    void operator()(const AstModel& i) {
        braces("model " + i.name.text, place_, i.items.empty(), [&] {
            for (const AstModelItem& m : i.items) {
                place_ = m.span;
                std::visit(*this, m.node);
            }
        });
    }
    void operator()(const AstModelSource& m) {
        line(fmt::format("source {}{};", format(m.path), m.sha256 ? " sha256 " + format(*m.sha256) : ""), place_);
    }
    void operator()(const AstModelInput& m) { line(fmt::format("input ({});", listed(m.inputs)), place_); }
    void operator()(const AstModelOutput& m) {
        std::string text = "output " + m.kind.text;
        if (m.type) text += " " + type(*m.type);
        if (m.lo) text += fmt::format(" in {}..{}", format(*m.lo), format(*m.hi));
        if (!m.type) {
            std::string classes;
            for (const AstClass& c : m.classes) classes += fmt::format("{}{} = {}", classes.empty() ? "" : ", ", c.name.text, format(c.value));
            text += classes.empty() ? " { }" : " { " + classes + " }";
        }
        line(text + ";", place_);
    }
    void operator()(const AstModelOnError& m) { line(fmt::format("on_error {};", format(m.answer)), place_); }
    void operator()(const AstModelEvery& m) { line(fmt::format("every {} events;", format(m.events)), place_); }
    void operator()(const AstModelTrain& m) {
        const auto ratio = [](const AstRatio& r) { return format(r.of) + (r.by ? "/" + format(*r.by) : ""); };
        std::string more, scales;
        if (m.every) more += " every " + format(*m.every);
        if (m.window) more += " window " + format(*m.window);
        if (m.rate) more += " rate " + ratio(*m.rate);
        for (const AstRatio& r : m.scale) scales += (scales.empty() ? "" : ", ") + ratio(r);
        if (!m.scale.empty()) more += m.scale.size() == 1 ? " scale " + scales : " scale (" + scales + ")";
        if (m.after) more += " after " + format(*m.after);
        line(fmt::format("train {}{} from {} label {}{};", m.how.text, m.learner ? " " + m.learner->text : "", m.event.text, format(m.label), more), place_);
    }
    void operator()(const AstDsq& i) { line(fmt::format("dsq {} {{ {}}}", i.name.text, i.order.text.empty() ? "" : fmt::format("order {}; ", i.order.text)), place_); }
    void operator()(const AstAction& i) {
        std::string params;
        for (const AstParam& p : i.params) params += fmt::format("{}{}: {}", params.empty() ? "" : ", ", p.name.text, type(p.type));
        body(fmt::format("action {}({})", i.name.text, params), place_, i.body);
    }
    void operator()(const AstTable& i) {
        braces("table " + i.name.text, place_, false, [&] {
            if (i.keys_span) braces("key", part(*i.keys_span, i.keys.empty() ? *i.keys_span : i.keys.back().match.span), i.keys.empty(), [&] {
                for (const AstKey& k : i.keys) line(fmt::format("{} : {};", format(k.subject), k.match.text), join(k.subject.span, k.match.span));
            });
            if (i.actions_span) braces("actions", part(*i.actions_span, i.actions.empty() ? *i.actions_span : i.actions.back().span), i.actions.empty(), [&] {
                for (const AstName& a : i.actions) line(a.text + ";", a.span);
            });
            if (i.default_action) line(fmt::format("default {};", call(*i.default_action)), i.default_span);
            if (i.size) line(fmt::format("size {};", format(*i.size)), i.size->span);
            if (i.entries_span) entries(i);
        });
    }
    void operator()(const AstOn& i) { body("on " + i.event.text, place_, i.body); }
    void operator()(const AstTest& i) {
        braces("test" + (i.name ? " " + format(*i.name) : ""), place_, i.steps.empty(), [&] {
            for (const AstTestStep& s : i.steps) {
                std::string fields;
                for (const AstTestField& f : s.fields) fields += fmt::format("{}{} = {}", fields.empty() ? "" : ", ", f.name.text, format(f.value));
                line(fmt::format("event {} {{ {}}}{};", s.event.text, fields.empty() ? "" : fields + " ", s.expect ? " expect " + call(*s.expect) : ""), s.span);
            }
        });
    }

    // statements
    void operator()(const AstLocal& s) {
        line(fmt::format("{} {}{} = {};", s.is_mutable ? "var" : "let", s.name.text, s.type ? " : " + type(*s.type) : "", format(s.value)), place_);
    }
    void operator()(const AstAssign& s) { line(fmt::format("{} = {};", format(s.target), format(s.value)), place_); }
    void operator()(const AstPush& s) { line(fmt::format("push {}, {};", s.ring.text, format(s.value)), place_); }
    void operator()(const AstIf& s) { if_chain(s, "if", place_); }
    void operator()(const AstRepeat& s) {
        body(fmt::format("repeat {}{}", format(s.count), s.index ? " as " + s.index->text : ""), place_, s.body);
    }
    void operator()(const AstBreak&) { line("break;", place_); }
    void operator()(const AstMatch& s) {
        braces("match " + format(s.subject), place_, s.arms.empty(), [&] {
            for (const AstArm& a : s.arms) {
                const std::string head = (a.patterns.empty() ? "_" : patterns(a.patterns)) + " =>";
                if (a.braces) {
                    body(head, a.span, a.body);
                } else {
                    prefix_ = head + " ";
                    statement(a.body.stmts.front(), a.span);
                }
            }
        });
    }
    void operator()(const AstCallStmt& s) { line(call(s.call) + ";", place_); }
    void operator()(const AstApply& s) { line(fmt::format("apply {};", s.table.text), place_); }
    void operator()(const AstCollect& s) {
        line(fmt::format("collect {{ {} }} sample {}/{};", listed(s.items), format(s.sample_of), format(s.sample)), place_);
    }

private:
    // Ends of a part that has no span of its own: its closing brace is near enough, comments before it stay inside.
    static Span part(Span word, Span last) { return {word.begin, last.end}; }

    void statement(const AstStmt& s, Span span) {
        place_ = span;
        std::visit(*this, s.node);
    }

    void if_chain(const AstIf& s, const std::string& head, Span span) {
        open(fmt::format("{} ({})", head, format(s.condition)), {span.begin, s.condition.span.end});
        block(s.then);
        if (!s.otherwise) return close("}", s.then.span.end);
        flush_comments(s.then.span.end);
        if (s.else_if) return if_chain(std::get<AstIf>(s.otherwise->stmts.front().node), "} else if", {s.then.span.end, s.otherwise->span.end});
        indent_--;
        open_text("} else {", s.otherwise->span.begin);
        block(*s.otherwise);
        close("}", s.otherwise->span.end);
    }

    void block(const AstBlock& b) {
        for (const AstStmt& s : b.stmts) statement(s, s.span);
    }

    void body(const std::string& head, Span span, const AstBlock& b) {
        braces(head, {span.begin, b.span.end}, b.stmts.empty(), [&] { block(b); });
    }

    // `head { ... }`; on one line when it is empty and holds no comment.
    template <class F>
    void braces(const std::string& head, Span span, bool empty, F inside) {
        const bool comment = next_ < ast_.comments.size() && ast_.comments[next_].span.begin < span.end &&
                             ast_.comments[next_].span.begin > span.begin;
        if (empty && !comment) return line(head + " { }", span);
        open(head, {span.begin, span.begin});
        inside();
        close("}", span.end);
    }

    void entries(const AstTable& t) {
        size_t width = 0;
        for (const AstEntry& e : t.entries) width = std::max(width, patterns(e.patterns).size());
        const Span span = part(*t.entries_span, t.entries.empty() ? *t.entries_span : t.entries.back().span);
        braces("entries", span, t.entries.empty(), [&] {
            for (const AstEntry& e : t.entries) {
                const std::string text = entry(e), keys = patterns(e.patterns);
                line(keys + std::string(width - keys.size(), ' ') + text.substr(keys.size()), e.span);
            }
        });
    }

    void open(const std::string& head, Span span) {
        const bool is_else = head.starts_with("}");
        if (is_else) indent_--;
        before(span.begin, is_else);
        open_text(head + " {", span.end);
    }
    void open_text(const std::string& text, uint32_t end) {
        write(text);
        trailing(end);
        out_ += "\n";
        indent_++;
        first_ = true;
    }
    void close(const std::string& text, uint32_t end) {
        flush_comments(end == 0 ? 0 : end - 1);
        indent_--;
        write(text);
        trailing(end);
        out_ += "\n";
        first_ = false;
    }

    void line(const std::string& text, Span span) {
        before(span.begin, false);
        write(text);
        trailing(span.end);
        out_ += "\n";
        first_ = false;
    }

    void write(const std::string& text) {
        out_ += std::string(indent_ * kIndent, ' ') + prefix_ + text;
        prefix_.clear();
    }

    bool blank_at(uint32_t offset) const { return std::binary_search(ast_.blank_before.begin(), ast_.blank_before.end(), offset); }

    // Comments on lines of their own before this place, then the empty line that stood before it.
    void before(uint32_t begin, bool joined) {
        flush_comments(begin);
        if (!joined && !first_ && blank_at(begin)) out_ += "\n";
    }

    void flush_comments(uint32_t until) {
        while (next_ < ast_.comments.size() && ast_.comments[next_].span.begin < until) {
            const Comment& c = ast_.comments[next_++];
            if (!c.own_line && !out_.empty()) {  // behind a bracket: of the line before
                out_.pop_back();
                behind(c);
                out_ += "\n";
                continue;
            }
            if (c.blank_before && !first_ && !out_.empty()) out_ += "\n";
            out_ += std::string(indent_ * kIndent, ' ') + c.text + "\n";
            first_ = false;
        }
    }

    // Comments that stand behind something of this line; one in the middle of it moves to its end.
    void trailing(uint32_t end) {
        while (next_ < ast_.comments.size()) {
            const Comment& c = ast_.comments[next_];
            // `+ 1`: the semicolon or bracket behind what has the span.
            if (c.own_line || c.after > end + 1) break;
            behind(c);
            next_++;
        }
    }

    // A comment on the line being written, behind a mark that aligned() replaces by spaces.
    void behind(const Comment& c) {
        const size_t line_begin = out_.rfind('\n') + 1;
        out_ += (out_.find(kMark, line_begin) == std::string::npos ? std::string(1, kMark) : " ") + c.text;
    }

    // Comments behind consecutive lines begin in one column.
    std::string aligned() const {
        std::string out;
        std::vector<std::string_view> run;
        auto flush = [&] {
            size_t width = 0;
            for (const std::string_view l : run) width = std::max(width, l.find(kMark));
            for (const std::string_view l : run) {
                const size_t mark = l.find(kMark);
                out += std::string(l.substr(0, mark)) + std::string(width - mark + 2, ' ') + std::string(l.substr(mark + 1)) + "\n";
            }
            run.clear();
        };
        const std::string_view text = out_;
        for (size_t at = 0; at < text.size();) {
            const size_t end = text.find('\n', at);
            const std::string_view l = text.substr(at, end - at);
            at = end + 1;
            if (l.find(kMark) != std::string_view::npos) {
                run.push_back(l);
                continue;
            }
            flush();
            out += std::string(l) + "\n";
        }
        flush();
        return out;
    }

    const Ast& ast_;
    std::string out_;
    std::string prefix_;
    Span place_;
    size_t indent_ = 0;
    size_t next_ = 0;     // comment
    bool first_ = true;   // nothing stands before on this level
};

}  // namespace

std::string format(const AstExpr& expr) { return std::visit(ExprText{}, expr.node); }

std::string format(const Ast& ast) { return Formatter(ast).run(); }

}  // namespace rmt::lang
