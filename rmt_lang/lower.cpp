// SPDX-License-Identifier: MIT
// The policy as a whole: header, declarations, then bodies.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rmt_lang/check.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::Scalar;
using ir::Unit;

namespace {

constexpr size_t kMaxDeclarations = 256;  // of one kind: far above any policy, far below what breaks a compiler
constexpr size_t kMaxModels = 8;
constexpr size_t kMaxParams = 8;
constexpr size_t kMaxStateBytes = 4096;   // of one task's storage
constexpr size_t kMaxNameLength = 48;
constexpr size_t kMaxControlName = 15;     // linux: TCP_CA_NAME_MAX, with its end

template <class T>
std::vector<const T*> items_of(const AstPolicy& policy) {
    std::vector<const T*> out;
    for (const AstItem& i : policy.items)
        if (const auto* item = std::get_if<T>(&i.node)) out.push_back(item);
    return out;
}

size_t state_bytes(const ir::State& state) {
    if (const auto* v = std::get_if<ir::State::Value>(&state.kind)) return ir::scalar_size(v->type);
    if (const auto* r = std::get_if<ir::State::Ring>(&state.kind)) return size_t{8} + size_t{r->n} * ir::scalar_size(r->type);
    return 16;
}

}  // namespace

// ---- messages ----

void Lowerer::error(const char* id, Span at, std::string message, std::string label, std::string help) {
    diagnostics_.error(id, at, std::move(message), std::move(label), std::move(help));
}

void Lowerer::error_with(const char* id, Span at, std::string message, std::string label, Span related, std::string related_label, std::string help) {
    diagnostics_.add({id, Severity::Error, std::move(message), Label{at, std::move(label)}, Label{related, std::move(related_label)}, {}, std::move(help)});
}

void Lowerer::unsupported(Span at, const std::string& what, const std::string& help) {
    error("E0900", at, fmt::format("{} is not supported yet", what), "", help);
}

// ---- the file and the policy's header ----

const AstPolicy* Lowerer::find_policy() {
    const AstPolicy* policy = nullptr;
    for (const AstTop& top : ast_.items) {
        if (const auto* d = std::get_if<AstDefinition>(&top.node)) {
            const auto [it, fresh] = defines_.emplace(d->name.text, d);
            if (!fresh) error_with("E0203", d->name.span, fmt::format("'{}' is defined twice", d->name.text), "", it->second->name.span, "here before");
        } else if (std::holds_alternative<AstInclude>(top.node)) {
            unsupported(top.span, "`include`", "copy the text into this file");
        } else if (std::holds_alternative<AstTest>(top.node)) {
            unsupported(Span{top.span.begin, top.span.begin + 4}, "a `test` block");
        } else if (policy) {
            unsupported(std::get<AstPolicy>(top.node).name.span, "a second policy in one file", "put it into a file of its own");
        } else {
            policy = &std::get<AstPolicy>(top.node);
        }
    }
    if (!policy && !diagnostics_.has_errors()) {
        const auto end = static_cast<uint32_t>(source_.text().empty() ? 0 : source_.text().find_last_not_of(" \t\r\n") + 1);
        error("E0201", {end, end + 1}, "there is no policy in this file", "", "write policy NAME { domain mm; ... }");
    }
    return policy;
}

// Items that may stand once, and the domain. False when nothing further makes sense.
bool Lowerer::header(const AstPolicy& policy) {
    static const char* const kOnce[] = {"description", "domain", "base", nullptr, "mode", nullptr};
    const AstDomain* domain = nullptr;
    for (const AstItem& item : policy.items) {
        std::string once = item.node.index() < std::size(kOnce) && kOnce[item.node.index()] ? kOnce[item.node.index()] : "";
        Span span = item.span;
        if (const auto* on = std::get_if<AstOn>(&item.node)) {
            once = "on " + on->event.text;
            span.end = on->event.span.end;
        }
        if (once.empty()) continue;
        const auto [it, fresh] = items_seen_.emplace(once, span);
        if (!fresh) error_with("E0204", span, fmt::format("'{}' stands twice in the policy", once), "", it->second, "here before");
        if (const auto* d = std::get_if<AstDomain>(&item.node); d && fresh) domain = d;
    }
    if (!domain) {
        error("E0201", policy.name.span, fmt::format("policy '{}' has no domain", policy.name.text), "", "write domain mm;");
        return false;
    }
    std::vector<std::string> known;
    for (const Domain& d : domains()) known.push_back(d.name);
    domain_ = find_domain(domain->name.text);
    if (!domain_) {
        const std::string near = closest(domain->name.text, known);
        error("E0202", domain->name.span, fmt::format("there is no domain '{}'", domain->name.text),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near), fmt::format("domains: {}", fmt::join(known, ", ")));
        return false;
    }
    if (!domain_->supported) unsupported(domain->name.span, fmt::format("domain '{}'", domain_->name), "domains mm and tcp are");
    return domain_->supported;
}

void Lowerer::unsupported_items(const AstPolicy& policy) {
    for (const AstItem& item : policy.items) {
        if (std::holds_alternative<AstDsq>(item.node)) unsupported(item.span, "a `dsq`");
        if (std::holds_alternative<AstTest>(item.node)) unsupported({item.span.begin, item.span.begin + 4}, "a `test` block");
        if (const auto* s = std::get_if<AstState>(&item.node); s && s->scope.text != state_scope()) {
            const bool possible = s->scope.text == "task" || s->scope.text == "sock";
            if (possible && (!domain_ || !domain_->supported)) continue;  // the domain is the mistake
            if (possible)
                error("E0202", s->scope.span, fmt::format("state of domain '{}' belongs to a {}, not to a {}", domain_->name, state_scope(), s->scope.text), "", fmt::format("write state per {}", state_scope()));
            else if (s->scope.text == "cgroup" || s->scope.text == "numa")
                unsupported(s->scope.span, fmt::format("state per {}", s->scope.text), fmt::format("write state per {}", state_scope()));
            else
                error("E0202", s->scope.span, fmt::format("state belongs to a task, a sock or a cgroup, not to '{}'", s->scope.text), "", "write state per task");
        }
    }
}

void Lowerer::lower_mode(const AstMode& mode) {
    static const std::vector<std::string> kModes{"off", "shadow", "enforce"};
    const auto it = std::find(kModes.begin(), kModes.end(), mode.name.text);
    if (it != kModes.end()) {
        out_.mode = static_cast<ir::Mode>(it - kModes.begin());
        return;
    }
    const std::string near = closest(mode.name.text, kModes);
    error("E0214", mode.name.span, fmt::format("there is no mode '{}'", mode.name.text), near.empty() ? "" : fmt::format("did you mean '{}'?", near),
          "modes: shadow (decides and counts), enforce (also acts), off");
}

// The policy's name is its congestion control's: what `ss -ti` shows, and what setsockopt would be given.
void Lowerer::check_control_name(const AstName& name) {
    static const std::vector<std::string> kTaken{"reno", "cubic", "bbr", "dctcp", "vegas", "westwood", "bic", "htcp", "hybla", "illinois", "veno", "yeah", "lp", "nv", "cdg", "scalable", "highspeed"};
    if (name.text.size() > kMaxControlName)
        error("E0203", name.span, fmt::format("'{}' has {} characters; the name of a congestion control has at most {}", name.text, name.text.size(), kMaxControlName), "",
              "a policy of domain tcp gives its control its name: choose a shorter one");
    if (std::find(kTaken.begin(), kTaken.end(), name.text) != kTaken.end())
        error("E0203", name.span, fmt::format("'{}' is a congestion control of the kernel", name.text), "", "choose a name of your own");
}

void Lowerer::lower_base(const AstBase& base) {
    static const std::vector<std::string> kBases{"reno", "cubic", "bbr"};
    if (domain_->name != "tcp") return unsupported(base.name.span, fmt::format("`base` in domain '{}'", domain_->name));
    const auto name = string_constant(base.name, "a base");
    if (!name) return;
    if (std::find(kBases.begin(), kBases.end(), *name) == kBases.end()) {
        const std::string near = closest(*name, kBases);
        return error("E0202", base.name.span, fmt::format("there is no base '{}'", *name), near.empty() ? "" : fmt::format("did you mean '{}'?", near),
                     "a base is \"reno\", \"cubic\" or \"bbr\"; without one the policy owns the window");
    }
    out_.base = *name;
}

void Lowerer::lower_attach(const AstAttach& attach) {
    if (attach.what.text != "cgroup") {
        error("E0216", attach.what.span, fmt::format("a policy is attached to cgroups, not to '{}'", attach.what.text), "'cgroup' expected");
        return;
    }
    const auto pattern = string_constant(attach.pattern, "a pattern of cgroups");
    if (!pattern) return;
    if (pattern->empty() || pattern->front() != '/') {
        error("E0216", attach.pattern.span, "a pattern of cgroups begins with '/'", "", "it is a path below the root of the cgroup file system, * and ** match names");
        return;
    }
    out_.attach.push_back(*pattern);
}

// ---- declarations ----

void Lowerer::declare_symbol(const AstName& name, SymbolKind kind, uint32_t index, bool valid) {
    if (name.text.size() > kMaxNameLength) error("E0203", name.span, fmt::format("a name has at most {} characters", kMaxNameLength));
    if (find_sink(*domain_, name.text)) return error("E0203", name.span, fmt::format("'{}' is the domain's sink", name.text), "", "choose another name");
    if (find_field(*domain_, name.text)) return error("E0203", name.span, fmt::format("'{}' is a field of domain '{}'", name.text, domain_->name), "", "choose another name");
    const auto [it, fresh] = symbols_.emplace(name.text, Symbol{kind, index, name.span, valid});
    if (!fresh) error_with("E0203", name.span, fmt::format("'{}' is declared twice", name.text), "", it->second.span, "here before", "names of state, models, actions and tables are one set");
}

// A constant argument of a type, `ring<i32, 4>`.
std::optional<uint32_t> Lowerer::length_argument(const AstType& type, size_t index, int64_t lo, int64_t hi) {
    if (type.args.size() <= index) {
        error("E0307", type.span, fmt::format("'{}' needs a type and a length", type.name.text), "", fmt::format("for example {}<i32, 4>", type.name.text));
        return std::nullopt;
    }
    const auto n = plain_constant(type.args[index], fmt::format("the length of a {}", type.name.text), lo, hi, "E0307");
    if (!n) return std::nullopt;
    return static_cast<uint32_t>(*n);
}

std::optional<decltype(ir::State::kind)> Lowerer::state_kind(const AstType& type) {
    const std::string& name = type.name.text;
    if ((name == "rate" && !type.args.empty()) || name == "min" || name == "max") {
        unsupported(type.span, fmt::format("state of type {}", name), "ring, ewma, count and plain values are");
        return std::nullopt;
    }
    if (name == "count") {
        if (type.args.empty()) return ir::State::Count{};
        error("E0307", type.span, "'count' takes no arguments");
        return std::nullopt;
    }
    if (name != "ring" && name != "ewma") {
        if (const std::string near = closest(name, {"ring", "ewma", "count"}); !near.empty() && !ir::find_scalar(name) && !type.args.empty()) {
            error("E0307", type.name.span, fmt::format("there is no type '{}'", name), fmt::format("did you mean '{}'?", near));
            return std::nullopt;
        }
        const auto scalar = scalar_type(type, "state");
        if (!scalar) return std::nullopt;
        return ir::State::Value{*scalar};
    }
    const auto* element = type.args.empty() ? nullptr : std::get_if<AstRef>(&type.args[0].node);
    if (!element || type.args.size() != 2) {
        error("E0307", type.span, fmt::format("'{}' needs a type and a length", name), "", fmt::format("for example {}<i32, 4>", name));
        return std::nullopt;
    }
    const auto scalar = scalar_type({{element->name, type.args[0].span}, {}, type.args[0].span}, fmt::format("the elements of a {}", name));
    const auto n = length_argument(type, 1, 2, name == "ring" ? 64 : 256);
    if (!scalar || !n) return std::nullopt;
    if (name == "ring") return ir::State::Ring{*scalar, *n};
    if (*scalar == Scalar::Bool || *scalar == Scalar::Page) {
        error("E0307", type.args[0].span, fmt::format("there is no mean of {}", ir::scalar_name(*scalar)), "", "ewma is for numbers and times");
        return std::nullopt;
    }
    return ir::State::Ewma{*scalar, *n};
}

void Lowerer::lower_state(const AstState& state) {
    for (const AstStateVar& v : state.vars) {
        const auto kind = state_kind(v.type);
        const bool here = state.scope.text == state_scope();
        declare_symbol(v.name, SymbolKind::State, static_cast<uint32_t>(out_.states.size()), kind && here);
        out_.states.push_back({v.name.text, v.name.span, kind.value_or(ir::State::Value{Scalar::I64})});
    }
}

void Lowerer::declare_action(const AstAction& action) {
    ir::Action a;
    a.name = action.name.text;
    const std::string_view header = source_.slice({action.name.span.begin, action.body.span.begin});
    a.span = {action.name.span.begin, action.name.span.begin + static_cast<uint32_t>(header.find_last_of(')') + 1)};
    bool valid = true;
    if (action.params.size() > kMaxParams) error("E0203", action.params[kMaxParams].name.span, fmt::format("an action has at most {} parameters", kMaxParams));
    for (const AstParam& p : action.params) {
        const auto same = std::find_if(a.params.begin(), a.params.end(), [&](const ir::Param& o) { return o.name == p.name.text; });
        if (same != a.params.end()) error_with("E0203", p.name.span, fmt::format("parameter '{}' is declared twice", p.name.text), "", same->span, "here before");
        const auto clash = symbols_.find(p.name.text);
        if (clash != symbols_.end())
            error_with("E0203", p.name.span, fmt::format("'{}' is declared twice", p.name.text), "", clash->second.span, "here before", "a parameter needs a name of its own");
        else if (find_field(*domain_, p.name.text))
            error("E0203", p.name.span, fmt::format("'{}' is a field of domain '{}'", p.name.text, domain_->name), "", "choose another name");
        const auto scalar = scalar_type(p.type, "a parameter");
        valid &= scalar.has_value();
        const Scalar s = scalar.value_or(Scalar::I64);
        const Unit unit = ir::scalar_unit(s);
        a.params.push_back({p.name.text, p.name.span, {s, ir::scalar_interval(s), unit}});
    }
    if (const auto it = symbols_.find(action.name.text); it != symbols_.end() && !valid) it->second.valid = false;
    out_.actions.push_back(std::move(a));
}

// Names first, in an order that lets each part see what it may refer to: state, then actions' heads, models, tables.
void Lowerer::declare(const AstPolicy& policy) {
    const auto models = items_of<AstModel>(policy);
    const auto actions = items_of<AstAction>(policy);
    const auto tables = items_of<AstTable>(policy);
    for (const AstState* s : items_of<AstState>(policy)) lower_state(*s);
    for (size_t i = 0; i < models.size(); i++) declare_symbol(models[i]->name, SymbolKind::Model, static_cast<uint32_t>(i));
    for (size_t i = 0; i < actions.size(); i++) declare_symbol(actions[i]->name, SymbolKind::Action, static_cast<uint32_t>(i));
    for (size_t i = 0; i < tables.size(); i++) declare_symbol(tables[i]->name, SymbolKind::Table, static_cast<uint32_t>(i));
    auto at_most = [&](size_t n, size_t most, const char* what, auto name_of) {
        if (n > most) error("E0203", name_of(most), fmt::format("a policy has at most {} {}", most, what));
    };
    at_most(out_.states.size(), kMaxDeclarations, "state variables", [&](size_t i) { return out_.states[i].span; });
    at_most(models.size(), kMaxModels, "models", [&](size_t i) { return models[i]->name.span; });
    at_most(actions.size(), kMaxDeclarations, "actions", [&](size_t i) { return actions[i]->name.span; });
    at_most(tables.size(), kMaxDeclarations, "tables", [&](size_t i) { return tables[i]->name.span; });
    size_t bytes = 0;
    for (const ir::State& s : out_.states) {
        if (bytes <= kMaxStateBytes && bytes + state_bytes(s) > kMaxStateBytes)
            error("E0319", s.span, fmt::format("the state of a {} is larger than {} bytes", state_scope(), kMaxStateBytes), "this does not fit any more", "shorten a ring");
        bytes += state_bytes(s);
    }
}

// ---- bodies ----

void Lowerer::lower_action(const AstAction& action, uint32_t index) {
    BodyScope scope;
    const ir::Action head = out_.actions[index];  // a copy: the vector's element gets its body below
    scope.action = &head;
    scope_ = &scope;
    scope.body.block = block(action.body);
    scope_ = nullptr;
    out_.actions[index].body = std::move(scope.body);
}

void Lowerer::lower_handler(const AstOn& on, Span span) {
    const EventProfile* event = find_event(*domain_, on.event.text);
    if (!event) {
        std::vector<std::string> known;
        for (const EventProfile& e : domain_->events) known.push_back(e.name);
        const std::string near = closest(on.event.text, known);
        error("E0206", on.event.span, fmt::format("domain '{}' has no event '{}'", domain_->name, on.event.text),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near), fmt::format("events: {}", fmt::join(known, ", ")));
    }
    BodyScope scope;
    scope.handler = true;
    scope_ = &scope;
    scope.body.block = block(on.body);
    scope_ = nullptr;
    if (event) out_.handlers.push_back({event->event, span, std::move(scope.body)});
}

std::optional<CheckedIr> Lowerer::run() {
    const AstPolicy* policy = find_policy();
    if (!policy) return std::nullopt;
    const bool can_go_on = header(*policy);
    unsupported_items(*policy);
    if (!can_go_on) return std::nullopt;
    out_.name = policy->name.text;
    out_.span = policy->name.span;
    out_.domain = domain_->name;
    if (policy->name.text.size() > kMaxNameLength) error("E0203", policy->name.span, fmt::format("a name has at most {} characters", kMaxNameLength));
    if (domain_->name == "tcp") check_control_name(policy->name);
    declare(*policy);
    const auto models = items_of<AstModel>(*policy);
    const auto modes = items_of<AstMode>(*policy);
    out_.mode = models.empty() ? ir::Mode::Enforce : ir::Mode::Shadow;
    for (const AstDescription* d : items_of<AstDescription>(*policy)) out_.description = string_constant(d->text, "a description").value_or("");
    for (const AstMode* m : modes) lower_mode(*m);
    for (const AstAttach* a : items_of<AstAttach>(*policy)) lower_attach(*a);
    for (const AstBase* b : items_of<AstBase>(*policy)) lower_base(*b);
    for (const AstLimit* l : items_of<AstLimit>(*policy)) lower_limit(*l);
    for (const AstModel* m : models) lower_model(*m);
    const auto actions = items_of<AstAction>(*policy);
    for (const AstAction* a : actions) declare_action(*a);
    for (const AstTable* t : items_of<AstTable>(*policy)) declare_table(*t);
    for (size_t i = 0; i < actions.size(); i++) lower_action(*actions[i], static_cast<uint32_t>(i));
    for (const AstItem& item : policy->items)
        if (const auto* on = std::get_if<AstOn>(&item.node)) lower_handler(*on, {item.span.begin, on->event.span.end});
    if (items_of<AstOn>(*policy).empty())
        error("E0201", policy->name.span, fmt::format("policy '{}' handles no event", policy->name.text), "", fmt::format("write on {} {{ ... }}", domain_->events.front().name));
    if (!diagnostics_.has_errors()) check_calls();
    if (!diagnostics_.has_errors()) {
        check_availability();
        check_collect();
    }
    if (diagnostics_.has_errors()) return std::nullopt;
    return CheckedIr::seal(std::move(out_));
}

std::optional<CheckedIr> check(const Ast& ast, const Source& source, Diagnostics& diagnostics) {
    return Lowerer(ast, source, diagnostics).run();
}

}  // namespace rmt::lang
