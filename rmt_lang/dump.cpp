// SPDX-License-Identifier: MIT
// The tree as indented text, one node a line, without places: for golden files and `--dump=ast`.
#include <fmt/format.h>

#include "rmt_lang/ast.h"

namespace rmt::lang {

namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string list(const std::vector<AstExpr>& items) {
    std::string out;
    for (const AstExpr& e : items) out += " " + dump(e);
    return out;
}

std::string dump_call(const AstCall& call) { return fmt::format("(call {}{})", call.callee.text, list(call.args)); }

std::string dump_type(const AstType& type) {
    if (type.args.empty()) return type.name.text;
    return fmt::format("(type {}{})", type.name.text, list(type.args));
}

struct ExprDump {
    std::string operator()(const AstInt& e) const {
        return (e.hex ? fmt::format("{:#x}", e.value) : std::to_string(e.value)) + unit_name(e.unit);
    }
    std::string operator()(const AstBool& e) const { return e.value ? "true" : "false"; }
    std::string operator()(const AstString& e) const { return quoted(e.text); }
    std::string operator()(const AstAddress& e) const { return "@" + e.text; }
    std::string operator()(const AstRef& e) const { return e.name; }
    std::string operator()(const AstDefine& e) const { return "$" + e.name; }
    std::string operator()(const AstIndex& e) const { return fmt::format("(index {} {})", e.base.text, dump(*e.index)); }
    std::string operator()(const AstCall& e) const { return dump_call(e); }
    std::string operator()(const AstUnary& e) const { return fmt::format("({} {})", spelling(e.op), dump(*e.operand)); }
    std::string operator()(const AstBinary& e) const {
        return fmt::format("({} {} {})", spelling(e.op), dump(*e.left), dump(*e.right));
    }
    std::string operator()(const AstList& e) const { return fmt::format("(list{})", list(e.items)); }
};

std::string dump_pattern(const AstPattern& p) {
    if (std::holds_alternative<AstAny>(p.node)) return "*";
    if (const auto* e = std::get_if<AstExpr>(&p.node)) return dump(*e);
    const auto& r = std::get<AstRange>(p.node);
    return fmt::format("(range {} {})", r.lo ? dump(*r.lo) : "-", r.hi ? dump(*r.hi) : "-");
}

std::string dump_patterns(const std::vector<AstPattern>& patterns) {
    std::string out;
    for (const AstPattern& p : patterns) out += (out.empty() ? "" : ", ") + dump_pattern(p);
    return out;
}

class Dumper {
public:
    std::string out;

    void line(const std::string& text) { out += std::string(indent_ * 2, ' ') + text + "\n"; }

    void block(const AstBlock& b) {
        indent_++;
        for (const AstStmt& s : b.stmts) std::visit(*this, s.node);
        indent_--;
    }

    template <class F>
    void nested(F body) {
        indent_++;
        body();
        indent_--;
    }

    // statements
    void operator()(const AstLocal& s) {
        line(fmt::format("{} {}{} = {}", s.is_mutable ? "var" : "let", s.name.text, s.type ? " : " + dump_type(*s.type) : "",
                         dump(s.value)));
    }
    void operator()(const AstAssign& s) { line(fmt::format("assign {} = {}", dump(s.target), dump(s.value))); }
    void operator()(const AstPush& s) { line(fmt::format("push {} {}", s.ring.text, dump(s.value))); }
    void operator()(const AstIf& s) {
        line("if " + dump(s.condition));
        block(s.then);
        if (!s.otherwise) return;
        line(s.else_if ? "else-if" : "else");
        block(*s.otherwise);
    }
    void operator()(const AstRepeat& s) {
        line(fmt::format("repeat {}{}", dump(s.count), s.index ? " as " + s.index->text : ""));
        block(s.body);
    }
    void operator()(const AstBreak&) { line("break"); }
    void operator()(const AstMatch& s) {
        line("match " + dump(s.subject));
        nested([&] {
            for (const AstArm& a : s.arms) {
                line("arm " + (a.patterns.empty() ? "_" : dump_patterns(a.patterns)));
                block(a.body);
            }
        });
    }
    void operator()(const AstCallStmt& s) { line(dump_call(s.call)); }
    void operator()(const AstApply& s) { line("apply " + s.table.text); }
    void operator()(const AstCollect& s) {
        line(fmt::format("collect{} sample {}/{}", list(s.items), dump(s.sample_of), dump(s.sample)));
    }

    // limits
    void operator()(const AstLimitBound& r) {
        std::string per;
        if (r.per == AstLimitBound::Per::Event) per = " per event";
        if (r.window) per = " per " + dump(*r.window);
        if (r.unit) per = " per " + r.unit->text;
        line(fmt::format("bound {}{} {} {}{}", r.subject.text, r.change ? " change" : "", spelling(r.op), dump(r.bound), per));
    }
    void operator()(const AstLimitRange& r) { line(fmt::format("range {} {} {}", r.subject.text, dump(r.lo), dump(r.hi))); }
    void operator()(const AstLimitOn& r) {
        line(fmt::format("on {} {} {} {}{} => {}{}{}", r.what.text, r.measure.text, spelling(r.op), dump(r.threshold),
                         r.over ? " over " + dump(*r.over) : "", r.reaction.text, r.mode ? " " + r.mode->text : "",
                         r.hold ? " for " + dump(*r.hold) : ""));
    }

    // items of a model
    void operator()(const AstModelSource& m) {
        line("source " + dump(m.path) + (m.sha256 ? " sha256 " + dump(*m.sha256) : ""));
    }
    void operator()(const AstModelInput& m) { line("input" + list(m.inputs)); }
    void operator()(const AstModelOutput& m) {
        std::string text = "output " + m.kind.text;
        if (m.type) text += " " + dump_type(*m.type);
        if (m.lo) text += fmt::format(" (range {} {})", dump(*m.lo), dump(*m.hi));
        for (const AstClass& c : m.classes) text += fmt::format(" {}={}", c.name.text, dump(c.value));
        line(text);
    }
    void operator()(const AstModelOnError& m) { line("on_error " + dump(m.answer)); }
    void operator()(const AstModelEvery& m) { line("every " + dump(m.events) + " events"); }
    void operator()(const AstModelTrain& m) {
        const auto ratio = [](const AstRatio& r) { return dump(r.of) + (r.by ? "/" + dump(*r.by) : ""); };
        std::string more;
        if (m.every) more += " every " + dump(*m.every);
        if (m.window) more += " window " + dump(*m.window);
        if (m.rate) more += " rate " + ratio(*m.rate);
        for (size_t i = 0; i < m.scale.size(); i++) more += (i ? " " : " scale ") + ratio(m.scale[i]);
        if (m.after) more += " after " + dump(*m.after);
        line(fmt::format("train {}{} from {} label {}{}", m.how.text, m.learner ? " " + m.learner->text : "", m.event.text, dump(m.label), more));
    }

    // items of a policy
    void operator()(const AstDescription& i) { line("description " + dump(i.text)); }
    void operator()(const AstDomain& i) { line("domain " + i.name.text); }
    void operator()(const AstBase& i) { line("base " + dump(i.name)); }
    void operator()(const AstAttach& i) { line(fmt::format("attach {} {}", i.what.text, dump(i.pattern))); }
    void operator()(const AstMode& i) { line("mode " + i.name.text); }
    void operator()(const AstLimit& i) {
        line("limit");
        nested([&] { for (const AstLimitRule& r : i.rules) std::visit(*this, r.node); });
    }
    void operator()(const AstState& i) {
        line("state per " + i.scope.text);
        nested([&] { for (const AstStateVar& v : i.vars) line(v.name.text + " : " + dump_type(v.type)); });
    }
    void operator()(const AstModel& i) {
        line("model " + i.name.text);
        nested([&] { for (const AstModelItem& m : i.items) std::visit(*this, m.node); });
    }
    void operator()(const AstDsq& i) { line(fmt::format("dsq {} order {}", i.name.text, i.order.text)); }
    void operator()(const AstAction& i) {
        std::string text = "action " + i.name.text;
        for (const AstParam& p : i.params) text += fmt::format(" ({} : {})", p.name.text, dump_type(p.type));
        line(text);
        block(i.body);
    }
    void operator()(const AstTable& i) {
        line("table " + i.name.text);
        nested([&] {
            for (const AstKey& k : i.keys) line(fmt::format("key {} {}", dump(k.subject), k.match.text));
            for (const AstName& a : i.actions) line("action " + a.text);
            if (i.default_action) line("default " + dump_call(*i.default_action));
            if (i.size) line("size " + dump(*i.size));
            for (const AstEntry& e : i.entries)
                line(fmt::format("entry {} => {}{}", dump_patterns(e.patterns), dump_call(e.action),
                                 e.comment ? " comment " + dump(*e.comment) : ""));
        });
    }
    void operator()(const AstOn& i) {
        line("on " + i.event.text);
        block(i.body);
    }
    void operator()(const AstTest& i) {
        line("test" + (i.name ? " " + dump(*i.name) : ""));
        nested([&] {
            for (const AstTestStep& s : i.steps) {
                std::string text = "event " + s.event.text;
                for (const AstTestField& f : s.fields) text += fmt::format(" {}={}", f.name.text, dump(f.value));
                line(text + (s.expect ? " expect " + dump_call(*s.expect) : ""));
            }
        });
    }

    // a file
    void operator()(const AstDefinition& i) { line(fmt::format("define {} = {}", i.name.text, dump(i.value))); }
    void operator()(const AstInclude& i) { line("include " + dump(i.path)); }
    void operator()(const AstPolicy& i) {
        line("policy " + i.name.text);
        nested([&] { for (const AstItem& item : i.items) std::visit(*this, item.node); });
    }

private:
    int indent_ = 0;
};

}  // namespace

std::string dump(const AstExpr& expr) { return std::visit(ExprDump{}, expr.node); }

std::string dump(const Ast& ast) {
    Dumper d;
    d.line(fmt::format("rmt {}", ast.version));
    for (const AstTop& top : ast.items) std::visit(d, top.node);
    return std::move(d.out);
}

}  // namespace rmt::lang
