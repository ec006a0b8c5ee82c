// SPDX-License-Identifier: MIT
// Statements of actions and handlers.
#include <algorithm>

#include <fmt/format.h>

#include "bpf/include/rmt/intf.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::Interval;
using ir::Scalar;
using ir::Unit;

namespace {

constexpr int64_t kMaxRounds = 256;
constexpr int64_t kMaxSample = 1 << 30;

}  // namespace

ir::Block Lowerer::block(const AstBlock& ast) {
    ir::Block out;
    scope_->blocks.emplace_back();
    for (const AstStmt& s : ast.stmts) statement(s, out);
    scope_->blocks.pop_back();
    return out;
}

void Lowerer::statement(const AstStmt& stmt, ir::Block& out) {
    const Span span = stmt.span;
    if (const auto* s = std::get_if<AstLocal>(&stmt.node)) return local_statement(*s, span, out);
    if (const auto* s = std::get_if<AstAssign>(&stmt.node)) return assignment(*s, span, out);
    if (const auto* s = std::get_if<AstPush>(&stmt.node)) return push_statement(*s, span, out);
    if (const auto* s = std::get_if<AstIf>(&stmt.node)) return if_statement(*s, span, out);
    if (const auto* s = std::get_if<AstRepeat>(&stmt.node)) return repeat_statement(*s, span, out);
    if (const auto* s = std::get_if<AstMatch>(&stmt.node)) return match_statement(*s, span, out);
    if (const auto* s = std::get_if<AstCallStmt>(&stmt.node)) return call_statement(s->call, span, out);
    if (const auto* s = std::get_if<AstCollect>(&stmt.node)) return collect_statement(*s, span, out);
    if (const auto* s = std::get_if<AstApply>(&stmt.node)) {
        if (!scope_->handler) {
            error("E0211", span, "'apply' stands in a handler, not in an action", "", fmt::format("actions are what tables choose; apply tables in `on {}`", domain_->events.front().name));
            return;
        }
        if (const Symbol* t = find_symbol(s->table.text, SymbolKind::Table, s->table.span, "a table"))
            out.push_back({span, ir::Apply{t->index}});
        return;
    }
    if (scope_->loops == 0) {
        error("E0212", span, "'break' outside of a repeat", "", "it leaves the innermost `repeat`");
        return;
    }
    out.push_back({span, ir::Break{}});
}

// ---- local values ----

std::optional<uint32_t> Lowerer::declare_local(const AstName& name, ir::Type type, bool is_mutable, const Names* names) {
    std::optional<Span> other;
    std::string what;
    if (const LocalSymbol* l = find_local(name.text)) other = l->span, what = "a local value";
    if (scope_->action)
        for (const ir::Param& p : scope_->action->params)
            if (p.name == name.text) other = p.span, what = "a parameter";
    if (const auto it = symbols_.find(name.text); it != symbols_.end()) other = it->second.span, what = "a declaration of the policy";
    if (other) {
        error_with("E0203", name.span, fmt::format("'{}' is declared twice", name.text), "", *other, what + " has this name", "choose another name");
        return std::nullopt;
    }
    if (find_field(*domain_, name.text)) {
        error("E0203", name.span, fmt::format("'{}' is a field of domain '{}'", name.text, domain_->name), "", "choose another name");
        return std::nullopt;
    }
    const auto index = static_cast<uint32_t>(scope_->body.locals.size());
    scope_->body.locals.push_back({name.text, name.span, type, false});
    scope_->blocks.back().push_back({name.text, index, name.span, is_mutable, true, names});
    return index;
}

// A local whose value has an error: later uses of its name are silent.
void Lowerer::poison_local(const AstName& name) {
    if (!find_local(name.text)) scope_->blocks.back().push_back({name.text, 0, name.span, true, false, nullptr});
}

void Lowerer::local_statement(const AstLocal& local, Span span, ir::Block& out) {
    auto value = expr(local.value);
    std::optional<Scalar> annotated;
    if (local.type) annotated = scalar_type(*local.type, "a local value");
    if (!value || (local.type && !annotated) || (annotated && !storable(*value, *annotated, fmt::format("'{}'", local.name.text))))
        return poison_local(local.name);
    ir::Type type = value->expr.type;
    if (annotated) {
        type.scalar = *annotated;
        type.range = ir::scalar_interval(*annotated);
        type.unit = ir::scalar_unit(*annotated) != Unit::None ? ir::scalar_unit(*annotated) : value->expr.type.unit;
    } else if (type.scalar != Scalar::Bool) {
        type.scalar = Scalar::I64;
        if (local.is_mutable) {
            // A page, a time or a rate that is assigned again stays one: the store saturates to its range.
            if (type.unit == Unit::Page) type.scalar = Scalar::Page;
            if (type.unit == Unit::Ns) type.scalar = Scalar::Ns;
            if (type.unit == Unit::Rate) type.scalar = Scalar::Rate;
            type.range = ir::scalar_interval(type.scalar);
        }
    } else {
        type.range = {0, 1};
    }
    const auto index = declare_local(local.name, type, local.is_mutable, value->names);
    if (index) out.push_back({span, ir::Declare{*index, std::move(value->expr)}});
}

// ---- assignment ----

void Lowerer::assignment(const AstAssign& assign, Span span, ir::Block& out) {
    const auto* ref = std::get_if<AstRef>(&assign.target.node);
    if (!ref) {
        error("E0217", assign.target.span, fmt::format("'{}' cannot be assigned to", text(assign.target.span)), "",
              std::holds_alternative<AstIndex>(assign.target.node) ? "a ring changes by `push RING, VALUE;`" : "the left side is a state variable or a `var`");
        return;
    }
    const std::string& name = ref->name;
    if (const LocalSymbol* local = find_local(name)) {
        if (!local->valid) return;
        if (!local->is_mutable) {
            error_with("E0217", assign.target.span, fmt::format("'{}' is fixed by `let`, it cannot be assigned to", name), "", local->span,
                       "declared here", "declare it with `var`");
            return;
        }
        const uint32_t index = local->index;
        const Names* names = local->names;
        auto value = expr(assign.value, is_name_only(assign.value) ? names : nullptr);
        if (!value || !storable(*value, scope_->body.locals[index].type.scalar, fmt::format("'{}'", name))) return;
        scope_->body.locals[index].assigned = true;
        out.push_back({span, ir::AssignLocal{index, std::move(value->expr)}});
        return;
    }
    if (const SinkProfile* sink = find_sink(*domain_, name); sink && sink->assigned) return assign_sink(*sink, assign, span, out);
    const bool param = scope_->action && std::any_of(scope_->action->params.begin(), scope_->action->params.end(),
                                                     [&](const ir::Param& p) { return p.name == name; });
    const bool field = find_field(*domain_, name) != nullptr;
    if (param || field) {
        error("E0217", assign.target.span, fmt::format("'{}' is {}, it cannot be assigned to", name, param ? "a parameter" : "a field of the event"), "",
              "copy it to a `var` and change that");
        return;
    }
    const auto it = symbols_.find(name);
    if (it == symbols_.end()) {
        const std::vector<std::string> elsewhere = domains_with_field(name);
        std::vector<std::string> known;
        for (const auto& [n, symbol] : symbols_)
            if (symbol.kind == SymbolKind::State) known.push_back(n);
        for (const SinkProfile& sink : domain_->sinks)
            if (sink.assigned) known.push_back(sink.name);
        const std::string near = closest(name, known);
        error("E0205", assign.target.span, fmt::format("'{}' is not a state variable or a `var`", name),
              !near.empty() ? fmt::format("did you mean '{}'?", near)
              : !elsewhere.empty() ? fmt::format("it is a sink of domain {}", elsewhere[0]) : "",
              fmt::format("declare it in `state per {} {{ ... }}`, or with `var` before", state_scope()));
        return;
    }
    const Symbol* symbol = find_symbol(name, SymbolKind::State, assign.target.span, "a state variable");
    if (!symbol) return;
    const ir::State& state = out_.states[symbol->index];
    if (std::holds_alternative<ir::State::Ring>(state.kind)) return assign_ring(symbol->index, assign.value, span, out);
    Scalar scalar = Scalar::I64;
    if (const auto* v = std::get_if<ir::State::Value>(&state.kind)) scalar = v->type;
    if (const auto* e = std::get_if<ir::State::Ewma>(&state.kind)) scalar = e->type;
    if (std::holds_alternative<ir::State::Count>(state.kind)) scalar = Scalar::U64;
    auto value = expr(assign.value);
    if (!value || !storable(*value, scalar, fmt::format("'{}'", name))) return;
    out.push_back({span, ir::AssignState{symbol->index, std::move(value->expr)}});
}

// The window is an amount of segments, written as a plain number; what is always outside of the policy's limit is a mistake.
void Lowerer::assign_sink(const SinkProfile& sink, const AstAssign& assign, Span span, ir::Block& out) {
    auto value = expr(assign.value);
    if (!value) return;
    const ir::Type& type = value->expr.type;
    const bool window = *sink.assigned != ir::Sink::Pacing;
    if (type.scalar == Scalar::Bool || (window ? type.unit != Unit::None && type.unit != Unit::Segments : type.unit != Unit::Rate)) {
        error("E0304", value->expr.span, fmt::format("{} is {}, '{}' is {}", sink.name, window ? "an amount of segments" : "a rate", text(value->expr.span), describe(type)), "",
              window ? "write a number of segments: bytes / tcp.mss, or tcp.bdp for a path's content" : "write a rate with its unit, for example 10mbit");
        return;
    }
    const Interval may = sink_limit(out_.limits, *sink.assigned);
    if (type.range.hi < may.lo || type.range.lo > may.hi) {
        error("E0320", value->expr.span, fmt::format("'{}' is {}, {} is within {}..{}", text(value->expr.span),
              type.range.lo == type.range.hi ? std::to_string(type.range.lo) : fmt::format("{}..{}", type.range.lo, type.range.hi), sink.name, may.lo, may.hi), "",
              fmt::format("the limit would replace it every time; change it, or write another `{} in LO..HI` into the limits", window ? "cwnd" : "pacing"));
        return;
    }
    out.push_back({span, ir::SetSink{*sink.assigned, std::move(value->expr)}});
}

void Lowerer::assign_ring(uint32_t to, const AstExpr& value, Span span, ir::Block& out) {
    const auto& ring = std::get<ir::State::Ring>(out_.states[to].kind);
    const auto* ref = std::get_if<AstRef>(&value.node);
    const auto it = ref ? symbols_.find(ref->name) : symbols_.end();
    const bool is_state = it != symbols_.end() && it->second.kind == SymbolKind::State;
    if (is_state && !it->second.valid) return;
    const auto* from = is_state ? std::get_if<ir::State::Ring>(&out_.states[it->second.index].kind) : nullptr;
    if (!from) {
        error("E0317", value.span, fmt::format("'{}' is a ring, only another ring can be assigned to it", out_.states[to].name), "",
              fmt::format("write `push {}, VALUE;` to add an element", out_.states[to].name));
        return;
    }
    if (*from != ring) {
        error("E0317", value.span, fmt::format("'{}' is ring<{}, {}>, '{}' is ring<{}, {}>", out_.states[to].name, ir::scalar_name(ring.type),
                                               ring.n, ref->name, ir::scalar_name(from->type), from->n), "", "both must have the same type");
        return;
    }
    out.push_back({span, ir::CopyRing{to, it->second.index}});
}

void Lowerer::push_statement(const AstPush& push, Span span, ir::Block& out) {
    const Symbol* symbol = find_symbol(push.ring.text, SymbolKind::State, push.ring.span, "a state variable");
    auto value = expr(push.value);
    if (!symbol) return;
    const auto* ring = std::get_if<ir::State::Ring>(&out_.states[symbol->index].kind);
    if (!ring) {
        error("E0207", push.ring.span, fmt::format("'{}' is not a ring", push.ring.text), "", fmt::format("write `{} = VALUE;`", push.ring.text));
        return;
    }
    if (!value || !storable(*value, ring->type, fmt::format("an element of '{}'", push.ring.text))) return;
    out.push_back({span, ir::Push{symbol->index, std::move(value->expr)}});
}

// ---- control ----

void Lowerer::if_statement(const AstIf& stmt, Span span, ir::Block& out) {
    auto c = condition(stmt.condition);
    ir::Block then = block(stmt.then), otherwise;
    if (stmt.otherwise) otherwise = block(*stmt.otherwise);
    if (c) out.push_back({span, ir::If{std::move(c->expr), std::move(then), std::move(otherwise)}});
}

void Lowerer::repeat_statement(const AstRepeat& repeat, Span span, ir::Block& out) {
    const auto count = plain_constant(repeat.count, "the number of rounds", 1, kMaxRounds, "E0310");
    scope_->blocks.emplace_back();
    std::optional<uint32_t> local;
    if (repeat.index) {
        local = declare_local(*repeat.index, {Scalar::I64, {0, count.value_or(kMaxRounds) - 1}, Unit::None}, false, nullptr);
        if (!local) poison_local(*repeat.index);
    }
    scope_->loops++;
    ir::Block body = block(repeat.body);
    scope_->loops--;
    scope_->blocks.pop_back();
    if (count) out.push_back({span, ir::Repeat{static_cast<uint32_t>(*count), local, std::move(body)}});
}

std::optional<Interval> Lowerer::arm_pattern(const AstPattern& pattern, const Typed& subject) {
    const ir::Type& type = subject.expr.type;
    auto bound = [&](const AstExpr& e) -> std::optional<int64_t> {
        const auto c = constant(e, "a pattern", subject.names);
        if (!c) return std::nullopt;
        const bool same_unit = c->unit == type.unit || c->unit == Unit::None;
        if (c->is_bool != (type.scalar == Scalar::Bool) || !same_unit || (c->unit == Unit::None && c->value != 0 && (type.unit == Unit::Ns || type.unit == Unit::Page))) {
            error("E0304", e.span, fmt::format("the matched value is {}, '{}' is {}", describe(type), text(e.span), c->what()));
            return std::nullopt;
        }
        return c->value;
    };
    std::optional<Interval> out;
    if (std::holds_alternative<AstAny>(pattern.node)) {
        error("E0312", pattern.span, "'*' is no pattern of a match", "", "write '_' for the rest, as the last arm");
        return std::nullopt;
    }
    if (const auto* e = std::get_if<AstExpr>(&pattern.node)) {
        const auto v = bound(*e);
        if (!v) return std::nullopt;
        out = Interval{*v, *v};
    } else {
        const auto& r = std::get<AstRange>(pattern.node);
        const auto lo = r.lo ? bound(*r.lo) : type.range.lo;
        const auto hi = r.hi ? bound(*r.hi) : type.range.hi;
        if (!lo || !hi) return std::nullopt;
        out = Interval{*lo, *hi};
        if (*lo > *hi) {
            error("E0312", pattern.span, "this range is empty", "", "the smaller end comes first");
            return std::nullopt;
        }
    }
    if (out->hi < type.range.lo || out->lo > type.range.hi) {
        error("E0312", pattern.span, "this arm can never match",
              fmt::format("the value is within {}..{}", type.range.lo, type.range.hi));
        return std::nullopt;
    }
    return out;
}

void Lowerer::match_statement(const AstMatch& match, Span span, ir::Block& out) {
    auto subject = expr(match.subject);
    ir::Match m{subject ? subject->expr : ir::Expr{}, {}};
    std::vector<std::pair<Interval, Span>> seen;
    std::optional<Span> rest;
    for (const AstArm& a : match.arms) {
        ir::Arm arm;
        arm.span = a.span;
        if (rest) {
            error_with("E0312", a.span, "this arm can never match", "unreachable", *rest, "'_' takes every value", "'_' stands last");
            break;
        }
        if (a.patterns.empty()) rest = a.span;
        for (const AstPattern& p : a.patterns) {
            if (!subject) break;
            const auto interval = arm_pattern(p, *subject);
            if (!interval) continue;
            const auto covers = std::find_if(seen.begin(), seen.end(), [&](const auto& s) {
                return s.first.lo <= interval->lo && interval->hi <= s.first.hi;
            });
            if (covers != seen.end())
                error_with("E0312", p.span, "this arm can never match", "unreachable", covers->second, "this earlier arm already covers it");
            seen.emplace_back(*interval, p.span);
            arm.patterns.push_back(*interval);
        }
        arm.body = block(a.body);
        if (a.patterns.empty() || !arm.patterns.empty()) m.arms.push_back(std::move(arm));
    }
    if (subject && match.arms.empty()) error("E0312", span, "this match has no arms", "", "write at least `_ => ...;`");
    if (subject && subject->expr.type.scalar == Scalar::Bool) {
        error("E0312", match.subject.span, "a bool is not matched", "", "use `if`");
        return;
    }
    if (subject) out.push_back({span, std::move(m)});
}

// ---- calls ----

void Lowerer::call_statement(const AstCall& call, Span span, ir::Block& out) {
    const std::string& name = call.callee.text;
    if (name == "prefetch" && domain_->name == "mm") return prefetch_statement(call, span, out);
    if (name == "infer" || name == "min" || name == "max" || name == "abs") {
        error("E0207", span, fmt::format("the value of '{}' is not used", name), "", fmt::format("write `let x = {}(...);`", name));
        return;
    }
    if (name == "dispatch" || name == "prefetch") {
        error("E0205", call.callee.span, fmt::format("domain '{}' has no sink '{}'", domain_->name, name), name == "dispatch" ? "available in: sched" : "available in: mm",
              fmt::format("`rmt-load explain fields {}` lists the sinks", domain_->name));
        return;
    }
    if (domain_->name == "mm" && symbols_.find(name) == symbols_.end() && !closest(name, {"prefetch"}).empty()) {
        error("E0205", call.callee.span, fmt::format("there is no action '{}'", name), "did you mean 'prefetch'?");
        return;
    }
    std::vector<std::optional<Typed>> values;
    const Symbol* symbol = find_symbol(name, SymbolKind::Action, call.callee.span, "an action");
    if (!symbol) return;
    const ir::Action& action = out_.actions[symbol->index];
    if (call.args.size() != action.params.size()) {
        error("E0309", span, fmt::format("action '{}' takes {} argument(s), {} given", name, action.params.size(), call.args.size()),
              text(action.span));
        return;
    }
    ir::Call c{symbol->index, {}};
    bool ok = true;
    for (size_t i = 0; i < call.args.size(); i++) {
        auto value = expr(call.args[i]);
        ok &= value && storable(*value, action.params[i].type.scalar, fmt::format("parameter '{}'", action.params[i].name));
        if (value) c.args.push_back(std::move(value->expr));
    }
    if (ok) out.push_back({span, std::move(c)});
}

void Lowerer::prefetch_statement(const AstCall& call, Span span, ir::Block& out) {
    if (call.args.size() != 1 && call.args.size() != 2) {
        error("E0309", span, fmt::format("'prefetch' takes 1 or 2 arguments, {} given", call.args.size()), "prefetch(page) or prefetch(n, step)");
        return;
    }
    if (call.args.size() == 1) {
        auto page = expr(call.args[0]);
        if (!page) return;
        if (page->expr.type.unit != Unit::Page || page->expr.type.scalar == Scalar::Bool) {
            error("E0304", page->expr.span, fmt::format("prefetch takes a page number, '{}' is {}", text(page->expr.span), describe(page->expr.type)), "",
                  "for a distance write prefetch(fault.page + distance); for n pages prefetch(n, step)");
            return;
        }
        out.push_back({span, ir::PrefetchPage{std::move(page->expr)}});
        return;
    }
    auto count = expr(call.args[0]);
    auto step = expr(call.args[1]);
    if (!count || !step) return;
    for (const Typed* t : {&*count, &*step}) {
        const ir::Type& type = t->expr.type;
        if (type.scalar != Scalar::Bool && (type.unit == Unit::None || type.unit == Unit::Pages)) continue;
        error("E0304", t->expr.span, fmt::format("prefetch(n, step) takes an amount of pages and a distance, '{}' is {}", text(t->expr.span), describe(type)));
        return;
    }
    if (const auto* n = std::get_if<ir::Const>(&count->expr.node); n && (n->value < 1 || n->value > RMT_MAX_PAGES)) {
        error("E0302", count->expr.span, fmt::format("{} pages at once, 1..{} are possible", n->value, RMT_MAX_PAGES));
        return;
    }
    if (const auto* s = std::get_if<ir::Const>(&step->expr.node); s && s->value == 0) {
        error("E0302", step->expr.span, "a step of 0 asks for the faulting page again");
        return;
    }
    auto base = field_reference(*find_field(*domain_, "fault.page"), span);
    out.push_back({span, ir::PrefetchRun{std::move(base->expr), std::move(count->expr), std::move(step->expr)}});
}

// ---- collect ----

std::optional<ir::CollectItem> Lowerer::collect_item(const AstExpr& item) {
    const std::string name = text(item.span);
    if (const auto* ref = std::get_if<AstRef>(&item.node)) {
        const FieldProfile* field = find_field(*domain_, ref->name);
        if (field && ir::is_words(field->field.kind) && !find_local(ref->name))
            return ir::CollectItem{name, item.span, ir::CollectItem::Text{use_field(*field)}};
        const auto it = symbols_.find(ref->name);
        if (it != symbols_.end() && it->second.kind == SymbolKind::State && it->second.valid && !find_local(ref->name) &&
            std::holds_alternative<ir::State::Ring>(out_.states[it->second.index].kind))
            return ir::CollectItem{name, item.span, ir::CollectItem::Ring{it->second.index}};
    } else if (!std::holds_alternative<AstIndex>(item.node)) {
        error("E0213", item.span, "collect takes names: fields, state, local values", "", "give an expression a name with `let`, the data carries it");
        return std::nullopt;
    }
    auto value = expr(item);
    if (!value) return std::nullopt;
    return ir::CollectItem{name, item.span, ir::CollectItem::Value{value->expr.type.scalar, std::move(value->expr)}};
}

void Lowerer::collect_statement(const AstCollect& ast, Span span, ir::Block& out) {
    if (!scope_->handler) {
        error("E0211", span, "'collect' stands in a handler, not in an action", "", fmt::format("move it to `on {}`", domain_->events.front().name));
        return;
    }
    if (collect_span_) {
        error_with("E0204", span, "a policy collects once", "", *collect_span_, "collected here", "put all fields into one collect");
        return;
    }
    collect_span_ = span;
    ir::Collect c;
    const auto one = plain_constant(ast.sample_of, "the numerator of a sample", 1, 1, "E0213");
    const auto n = plain_constant(ast.sample, "the denominator of a sample", 1, kMaxSample, "E0213");
    if (ast.items.empty()) error("E0213", span, "collect without fields", "", "name at least one field or state variable");
    for (const AstExpr& item : ast.items) {
        auto lowered = collect_item(item);
        if (!lowered) continue;
        const auto same = std::find_if(c.items.begin(), c.items.end(), [&](const ir::CollectItem& i) { return i.name == lowered->name; });
        if (same != c.items.end())
            error_with("E0203", item.span, fmt::format("'{}' is collected twice", lowered->name), "", same->span, "here before");
        c.items.push_back(std::move(*lowered));
    }
    if (!one || !n) return;
    c.sample = static_cast<uint32_t>(*n);
    out.push_back({span, std::move(c)});
}

}  // namespace rmt::lang
