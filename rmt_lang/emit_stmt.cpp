// SPDX-License-Identifier: MIT
// Statements as C. Each begins with a `#line` of the policy; loops are bpf_for with a constant bound.
#include <algorithm>
#include <set>

#include "rmt_lang/domain.h"
#include "rmt_lang/emit_internal.h"

#include "bpf/include/rmt/intf.h"

namespace rmt::lang::emit {

namespace {

using namespace ir;

bool is_member(const std::string& c) { return c.rfind("st->", 0) == 0; }

class Statements {
public:
    Statements(CWriter& out, const Source& source, const Scope& scope, const Body& body)
        : out_(out), source_(source), scope_(scope), body_(body) {}

    void block(const Block& block) {
        for (const Stmt& s : block) {
            out_.at(line_of(s.span));
            std::visit(*this, s.node);
        }
    }

    void operator()(const Push& n);
    void operator()(const AssignState& n);
    void operator()(const CopyRing& n);
    void operator()(const Declare& n) { local_store(is_member(scope_.locals.at(n.local)) ? "" : "__s64 ", n.local, n.value); }
    void operator()(const AssignLocal& n) { local_store("", n.local, n.value); }
    void operator()(const If& n);
    void operator()(const Repeat& n);
    void operator()(const Break&) { out_.line("break;"); }
    void operator()(const Match& n);
    void operator()(const Call& n);
    void operator()(const Apply& n);
    void operator()(const PrefetchPage& n) { out_.line("rmt_prefetch(ev, " + stored(scope_, n.page, Scalar::Page) + ");"); }
    void operator()(const PrefetchRun& n);
    void operator()(const SetSink& n);
    void operator()(const Collect& n);

private:
    uint32_t line_of(Span span) const { return source_.position(span.begin).line; }
    std::string place(uint32_t state) const { return "st->" + c_name(scope_.ir.states.at(state).name); }
    const State::Ring& ring(uint32_t state) const { return std::get<State::Ring>(scope_.ir.states.at(state).kind); }
    void local_store(const char* type, uint32_t local, const Expr& value);
    std::string condition(const std::string& subject, const Arm& arm) const;
    void collect_item(const CollectItem& item, const std::string& to);
    std::string fresh(const char* stem) { return std::string("rmt_") + stem + std::to_string(temporaries_++); }

    CWriter& out_;
    const Source& source_;
    const Scope& scope_;
    const Body& body_;
    uint32_t temporaries_ = 0;
};

void Statements::operator()(const Push& n) {
    const State::Ring& r = ring(n.state);
    const bool large = r.n > kSmallRing;
    out_.line(std::string(large ? "RMT_RING_PUSH_LARGE(" : "RMT_RING_PUSH(") + place(n.state) + ", " + std::to_string(ring_slots(r.n)) +
              ", " + stored(scope_, n.value, r.type) + ");");
}

void Statements::operator()(const AssignState& n) {
    const std::string to = place(n.state);
    std::visit(Overloaded{
                   [&](const State::Value& v) { out_.line(to + " = " + bare(stored(scope_, n.value, v.type)) + ";"); },
                   [&](const State::Ewma& v) {
                       out_.line("rmt_ewma_feed(&" + to + ", " + stored(scope_, n.value, v.type) + ", " + std::to_string(v.n) + ");");
                   },
                   [&](const State::Count&) { out_.line("rmt_count_feed(&" + to + ", " + expr(scope_, n.value) + ");"); },
                   [&](const State::Ring&) { RMT_BUG_IF(true, "a number assigned to a ring"); },
               },
               scope_.ir.states.at(n.state).kind);
}

void Statements::operator()(const CopyRing& n) {
    const State::Ring& r = ring(n.to);
    RMT_BUG_IF(!(r == ring(n.from)), "rings of different type copied");
    const bool large = r.n > kSmallRing;
    out_.line(std::string(large ? "RMT_RING_COPY_LARGE(" : "RMT_RING_COPY(") + place(n.to) + ", " + place(n.from) + ", " +
              std::to_string(ring_slots(r.n)) + ");");
}

void Statements::local_store(const char* type, uint32_t local, const Expr& value) {
    const Scalar target = body_.locals.at(local).type.scalar;
    out_.line(type + scope_.locals.at(local) + " = " + bare(stored(scope_, value, target)) + ";");
}

void Statements::operator()(const If& n) {
    out_.open("if (" + bare(expr(scope_, n.condition)) + ")");
    block(n.then);
    if (!n.otherwise.empty()) {
        out_.reopen("else");
        block(n.otherwise);
    }
    out_.close();
}

void Statements::operator()(const Repeat& n) {
    const std::string i = fresh("i");
    out_.line("int " + i + ";");
    out_.open("bpf_for(" + i + ", 0, " + std::to_string(n.count) + ")");
    if (n.local) out_.line("__s64 " + scope_.locals.at(*n.local) + " = " + i + ";");
    block(n.body);
    out_.close();
}

std::string Statements::condition(const std::string& subject, const Arm& arm) const {
    std::string c;
    for (const Interval& p : arm.patterns) {
        if (!c.empty()) c += " || ";
        if (p.lo == p.hi) {
            c += subject + " == " + c_number(p.lo);
        } else {
            const std::string from = p.lo == 0 ? "!rmt_negative(" + subject + ")" : subject + " >= " + c_number(p.lo);
            const std::string to = p.hi == -1 ? "rmt_negative(" + subject + ")" : subject + " <= " + c_number(p.hi);
            const std::string both = from + " && " + to;
            c += arm.patterns.size() > 1 ? "(" + both + ")" : both;
        }
    }
    return c;
}

void Statements::operator()(const Match& n) {
    const std::string subject = fresh("m");
    out_.line("__s64 " + subject + " = " + bare(expr(scope_, n.value)) + ";");
    bool first = true;
    for (const Arm& arm : n.arms) {
        const std::string test = arm.patterns.empty() ? "" : "if (" + condition(subject, arm) + ")";
        if (first && test.empty()) {
            out_.open("");
        } else if (first) {
            out_.open(test);
        } else {
            out_.reopen(test.empty() ? "else" : "else " + test);
        }
        block(arm.body);
        first = false;
        if (test.empty()) break;
    }
    if (!first) out_.close();
}

void Statements::operator()(const Call& n) {
    const Action& action = scope_.ir.actions.at(n.action);
    std::string c = "rmt_action_" + action.name + "(ev, st";
    for (size_t i = 0; i < n.args.size(); i++) c += ", " + stored(scope_, n.args[i], action.params.at(i).type.scalar);
    out_.line(c + ");");
}

void Statements::operator()(const Apply& n) {
    const std::string& name = scope_.ir.tables.at(n.table).name;
    out_.line("rmt_chosen_" + name + " = rmt_apply_" + name + "(ev, st);");
}

void Statements::operator()(const PrefetchRun& n) {
    const int64_t most = std::clamp<int64_t>(n.count.type.range.hi, 0, RMT_MAX_PAGES);
    const auto part = [&](const Expr& e) { return ", " + bare(expr(scope_, e)); };
    out_.line("RMT_PREFETCH_RUN(ev" + part(n.base) + part(n.count) + part(n.step) + ", " + std::to_string(most) + ");");
}

// The bit says that the event set it; limits and mode come after the handler.
void Statements::operator()(const SetSink& n) {
    static const char* const kNames[] = {"cwnd", "ssthresh", "pacing"};
    const Scalar to = n.sink == Sink::Pacing ? Scalar::Rate : Scalar::U32;
    out_.line(std::string("rmt_set_") + kNames[static_cast<size_t>(n.sink)] + "(ev, " + bare(stored(scope_, n.value, to)) + ");");
}

void Statements::collect_item(const CollectItem& item, const std::string& to) {
    std::visit(Overloaded{
                   [&](const CollectItem::Value& v) { out_.line(to + " = " + bare(stored(scope_, v.value, v.type)) + ";"); },
                   [&](const CollectItem::Ring& v) {
                       const State::Ring& r = ring(v.state);
                       const std::string n = std::to_string(r.n);
                       if (r.n <= kSmallRing)
                           out_.line("RMT_RING_EXPORT(" + to + ", " + place(v.state) + ", " + n + ");");
                       else
                           out_.line("RMT_RING_EXPORT_LARGE(" + to + ", " + place(v.state) + ", " + n + ", " +
                                     std::to_string(ring_slots(r.n)) + ");");
                   },
                   [&](const CollectItem::Text& v) {
                       std::string name = scope_.ir.fields.at(v.field).name;
                       std::replace(name.begin(), name.end(), '.', '_');
                       out_.line("rmt_field_" + name + "(ev, " + to + ");");
                   },
               },
               item.what);
}

// The record is built in the task's state: the 512 bytes of stack are shared by the whole chain of calls. Its gaps are
// zero from the beginning and stay so.
void Statements::operator()(const Collect& n) {
    out_.open(n.sample > 1 ? "if (bpf_get_prandom_u32() % " + std::to_string(n.sample) + " == 0)" : "");
    size_t item = 0;
    for (const Member& m : collect_layout(scope_.ir, n).members) {
        if (is_own(m)) continue;
        out_.at(line_of(n.items.at(item).span));
        collect_item(n.items[item++], "st->rmt_record." + m.name);
    }
    out_.line("rmt_collect_out(ev, &st->rmt_record, sizeof(st->rmt_record));");
    out_.close();
}

// Adds the C name for `name` to `taken`, with a number when it is there already.
std::string unique_name(const std::string& name, std::set<std::string>& taken) {
    const std::string plain = c_name(name);
    std::string s = plain;
    for (int i = 2; !taken.insert(s).second; i++) s = plain + "_" + std::to_string(i);
    return s;
}

// Which locals are changed in a loop that does not declare them.
void find_carried(const Block& block, std::vector<bool>& carried) {
    each_stmt(block, [&](const Stmt& s) {
        const Repeat* loop = std::get_if<Repeat>(&s.node);
        if (!loop) return;
        std::set<uint32_t> declared;
        each_stmt(loop->body, [&](const Stmt& inner) {
            if (const Declare* d = std::get_if<Declare>(&inner.node)) declared.insert(d->local);
        });
        each_stmt(loop->body, [&](const Stmt& inner) {
            const AssignLocal* a = std::get_if<AssignLocal>(&inner.node);
            if (a && !declared.count(a->local)) carried.at(a->local) = true;
        });
    });
}

// prefix: of the members of st->rmt_var, one for each body.
Scope make_scope(const Ir& ir, const Body& body, const std::vector<Param>& params, const std::string& prefix) {
    Scope scope{ir, {}, {}};
    std::set<std::string> taken;
    std::vector<bool> carried(body.locals.size());
    find_carried(body.block, carried);
    for (const Param& p : params) scope.params.push_back(unique_name(p.name, taken));
    for (size_t i = 0; i < body.locals.size(); i++)
        scope.locals.push_back((carried[i] ? "st->rmt_var." + prefix : "") + unique_name(body.locals[i].name, taken));
    return scope;
}

}  // namespace

// By number: names of actions and locals could be joined in two ways to the same.
Scope scope_of(const Ir& ir, const Action& action) {
    return make_scope(ir, action.body, action.params, "a" + std::to_string(&action - ir.actions.data()) + "_");
}

Scope scope_of(const Ir& ir, const Handler& handler) {
    return make_scope(ir, handler.body, {}, event_symbol(handler.event) + "_");
}

std::vector<std::string> carried_variables(const Ir& ir) {
    std::vector<std::string> members;
    const auto add = [&](const Scope& scope) {
        for (const std::string& local : scope.locals)
            if (is_member(local)) members.push_back(local.substr(local.find('.') + 1));
    };
    for (const Action& a : ir.actions) add(scope_of(ir, a));
    for (const Handler& h : ir.handlers) add(scope_of(ir, h));
    return members;
}

void body(CWriter& out, const Source& source, const Scope& scope, const Body& body) {
    Statements(out, source, scope, body).block(body.block);
}

const Collect* find_collect(const Ir& ir) {
    const Collect* found = nullptr;
    const auto look = [&](const Stmt& s) {
        if (const Collect* c = std::get_if<Collect>(&s.node)) found = c;
    };
    for (const Handler& h : ir.handlers) each_stmt(h.body.block, look);
    return found;
}

}  // namespace rmt::lang::emit
