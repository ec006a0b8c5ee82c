// SPDX-License-Identifier: MIT
// Expressions: names, literals, operators, calls.
#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::BinaryOp;
using ir::Interval;
using ir::Scalar;
using ir::Unit;

namespace {

Typed make_const(int64_t value, Unit unit, Span span, const Names* names = nullptr) {
    return {{span, {Scalar::I64, {value, value}, unit}, ir::Const{value}}, names};
}

BinaryOp binary_op(Tok op) {
    switch (op) {
        case Tok::Plus: return BinaryOp::Add;
        case Tok::Minus: return BinaryOp::Sub;
        case Tok::Star: return BinaryOp::Mul;
        case Tok::Slash: return BinaryOp::Div;
        case Tok::Percent: return BinaryOp::Mod;
        case Tok::Shl: return BinaryOp::Shl;
        case Tok::Shr: return BinaryOp::Shr;
        case Tok::Amp: return BinaryOp::BitAnd;
        case Tok::Pipe: return BinaryOp::BitOr;
        case Tok::Caret: return BinaryOp::BitXor;
        case Tok::Eq: return BinaryOp::Eq;
        case Tok::Ne: return BinaryOp::Ne;
        case Tok::Lt: return BinaryOp::Lt;
        case Tok::Le: return BinaryOp::Le;
        case Tok::Gt: return BinaryOp::Gt;
        case Tok::Ge: return BinaryOp::Ge;
        case Tok::AndAnd: return BinaryOp::And;
        default: return BinaryOp::Or;
    }
}

bool is_comparison(BinaryOp op) { return op >= BinaryOp::Eq && op <= BinaryOp::Ge; }

std::string plural(size_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

}  // namespace

std::optional<Typed> Lowerer::expr(const AstExpr& ast, const Names* names) {
    const Span span = ast.span;
    if (const auto* e = std::get_if<AstInt>(&ast.node)) return number_literal(*e, span);
    if (const auto* e = std::get_if<AstBool>(&ast.node)) {
        const int64_t v = e->value;
        return Typed{{span, {Scalar::Bool, {v, v}, Unit::None}, ir::Const{v}}, nullptr};
    }
    if (std::holds_alternative<AstString>(ast.node)) {
        error("E0305", span, "a string is not a value here", "", "strings are matched by tables: key { comm : prefix; }");
        return std::nullopt;
    }
    if (std::holds_alternative<AstAddress>(ast.node)) {
        unsupported(span, "an address", "no field of a supported domain is one");
        return std::nullopt;
    }
    if (std::holds_alternative<AstList>(ast.node)) {
        unsupported(span, "a set of values");
        return std::nullopt;
    }
    if (std::holds_alternative<AstDefine>(ast.node)) {
        const AstExpr* target = resolve_define(ast);
        if (!target) return std::nullopt;
        if (++define_depth_ > 16) {
            define_depth_--;
            error("E0210", span, "this definition contains itself", "", "define it by a value");
            return std::nullopt;
        }
        auto out = expr(*target, names);
        define_depth_--;
        if (out) out->expr.span = span;
        return out;
    }
    if (const auto* e = std::get_if<AstRef>(&ast.node)) return reference(e->name, span, names);
    if (const auto* e = std::get_if<AstIndex>(&ast.node)) return element(*e, span);
    if (const auto* e = std::get_if<AstCall>(&ast.node)) return call_expr(*e, span);
    if (const auto* e = std::get_if<AstUnary>(&ast.node)) return unary(*e, span);
    return binary(std::get<AstBinary>(ast.node), span);
}

std::optional<Typed> Lowerer::number_literal(const AstInt& literal, Span span) {
    if (literal.unit == WrittenUnit::Times) {
        error("E0304", span, "a factor like 2x stands in a limit only", "", "write a plain number");
        return std::nullopt;
    }
    const auto c = constant_of(literal, span);
    if (!c) {
        error("E0302", span, fmt::format("'{}' does not fit in 64 bits", text(span)));
        return std::nullopt;
    }
    return make_const(c->value, c->unit, span);
}

// ---- names ----

const LocalSymbol* Lowerer::find_local(const std::string& name) const {
    if (!scope_) return nullptr;
    for (const auto& block : scope_->blocks)
        for (const LocalSymbol& l : block)
            if (l.name == name) return &l;
    return nullptr;
}

std::vector<std::string> Lowerer::visible_names() const {
    std::vector<std::string> out;
    if (scope_) {
        for (const auto& block : scope_->blocks)
            for (const LocalSymbol& l : block) out.push_back(l.name);
        if (scope_->action)
            for (const ir::Param& p : scope_->action->params) out.push_back(p.name);
    }
    for (const auto& [name, symbol] : symbols_)
        if (symbol.kind == SymbolKind::State) out.push_back(name);
    for (const FieldProfile& f : domain_->fields) out.push_back(f.field.name);
    return out;
}

uint32_t Lowerer::use_field(const FieldProfile& field) {
    for (uint32_t i = 0; i < out_.fields.size(); i++)
        if (out_.fields[i].name == field.field.name) return i;
    out_.fields.push_back(field.field);
    return static_cast<uint32_t>(out_.fields.size() - 1);
}

const Names* Lowerer::keep(Names names) {
    for (const Names& n : names_)
        if (n.of == names.of) return &n;
    names_.push_back(std::move(names));
    return &names_.back();
}

std::optional<Typed> Lowerer::field_reference(const FieldProfile& field, Span span) {
    if (ir::is_words(field.field.kind)) {
        unsupported(span, fmt::format("'{}' in an expression", field.field.name),
                    fmt::format("match it by a table: key {{ {} : {}; }}", field.field.name, field.field.kind == ir::FieldKind::Text ? "prefix" : "lpm"));
        return std::nullopt;
    }
    const Names* names = nullptr;
    if (field.field.kind == ir::FieldKind::Enum) names = keep({fmt::format("'{}'", field.field.name), field.field.values});
    return Typed{{span, field.field.type, ir::FieldRef{use_field(field)}}, names};
}

std::optional<Typed> Lowerer::state_reference(uint32_t index, Span span) {
    const ir::State& state = out_.states[index];
    auto scalar = [&](Scalar s) {
        const Unit unit = ir::scalar_unit(s);
        return Typed{{span, {s, ir::scalar_interval(s), unit}, ir::StateRef{index}}, nullptr};
    };
    if (const auto* v = std::get_if<ir::State::Value>(&state.kind)) return scalar(v->type);
    if (const auto* e = std::get_if<ir::State::Ewma>(&state.kind)) return scalar(e->type);
    if (std::holds_alternative<ir::State::Count>(state.kind)) return scalar(Scalar::U64);
    error("E0305", span, fmt::format("'{}' is a ring; a value is expected here", state.name), fmt::format("'{}[0]' is the newest element", state.name));
    return std::nullopt;
}

std::optional<Typed> Lowerer::reference(const std::string& name, Span span, const Names* names) {
    if (names)
        if (const int64_t* value = names->find(name)) return make_const(*value, Unit::None, span, names);
    if (const LocalSymbol* local = find_local(name)) {
        if (!local->valid) return std::nullopt;
        return Typed{{span, scope_->body.locals[local->index].type, ir::LocalRef{local->index}}, local->names};
    }
    if (scope_ && scope_->action) {
        const auto& params = scope_->action->params;
        for (uint32_t i = 0; i < params.size(); i++)
            if (params[i].name == name) return Typed{{span, params[i].type, ir::ParamRef{i}}, nullptr};
    }
    if (const auto it = symbols_.find(name); it != symbols_.end()) {
        if (!it->second.valid) return std::nullopt;
        if (it->second.kind == SymbolKind::State) return state_reference(it->second.index, span);
        const char* kind = it->second.kind == SymbolKind::Action ? "an action" : it->second.kind == SymbolKind::Table ? "a table" : "a model";
        error("E0207", span, fmt::format("'{}' is {}, a value is expected here", name, kind), "",
              it->second.kind == SymbolKind::Model ? fmt::format("write infer({})", name)
              : it->second.kind == SymbolKind::Table ? fmt::format("write `apply {};` before, then {}.action", name, name) : "");
        return std::nullopt;
    }
    if (const FieldProfile* field = find_field(*domain_, name)) return field_reference(*field, span);
    if (name.size() > 7 && name.ends_with(".action")) {
        const auto it = symbols_.find(name.substr(0, name.size() - 7));
        if (it != symbols_.end() && it->second.kind == SymbolKind::Table) {
            if (!it->second.valid) return std::nullopt;
            if (!scope_ || !scope_->handler) {
                error("E0211", span, fmt::format("'{}' is known in a handler only", name), "", fmt::format("use it after `apply` in `on {}`", domain_->events.front().name));
                return std::nullopt;
            }
            const auto last = static_cast<int64_t>(out_.actions.size()) - 1;
            std::vector<std::pair<std::string, int64_t>> actions;
            for (size_t i = 0; i < out_.actions.size(); i++) actions.emplace_back(out_.actions[i].name, i);
            return Typed{{span, {Scalar::I32, {-1, last}, Unit::None}, ir::TableAction{it->second.index}},
                         keep({fmt::format("'{}'", name), std::move(actions)})};
        }
    }
    return unknown_name(name, span, names);
}

std::optional<Typed> Lowerer::unknown_name(const std::string& name, Span span, const Names* names) {
    if (names) {
        std::vector<std::string> known;
        for (const auto& [n, value] : names->values) known.push_back(n);
        const std::string near = closest(name, known);
        error("E0205", span, fmt::format("'{}' is not a value of {}", name, names->of),
              near.empty() ? fmt::format("one of: {}", names->list()) : fmt::format("did you mean '{}'?", near),
              near.empty() ? "" : fmt::format("one of: {}", names->list()));
        return std::nullopt;
    }
    const std::string near = closest(name, visible_names());
    const std::vector<std::string> elsewhere = domains_with_field(name);
    if (name.find('.') != std::string::npos || !elsewhere.empty()) {
        const std::string label = !near.empty() && elsewhere.empty() ? fmt::format("did you mean '{}'?", near)
                                  : elsewhere.empty() ? "" : fmt::format("available in: {}", fmt::join(elsewhere, ", "));
        error("E0301", span, fmt::format("field '{}' does not exist in domain '{}'", name, domain_->name), label,
              fmt::format("`rmt-load explain fields {}` lists what can be matched here", domain_->name));
        return std::nullopt;
    }
    error("E0205", span, fmt::format("'{}' is not known here", name), near.empty() ? "" : fmt::format("did you mean '{}'?", near),
          "it is no local value, parameter, state variable or field");
    return std::nullopt;
}

const Symbol* Lowerer::find_symbol(const std::string& name, SymbolKind kind, Span span, const char* what) {
    const auto it = symbols_.find(name);
    if (it != symbols_.end() && it->second.kind == kind) return it->second.valid ? &it->second : nullptr;
    std::vector<std::string> known;
    for (const auto& [n, symbol] : symbols_)
        if (symbol.kind == kind) known.push_back(n);
    const std::string near = closest(name, known);
    const bool other = it != symbols_.end();
    error(other ? "E0207" : "E0205", span, other ? fmt::format("'{}' is not {}", name, what) : fmt::format("there is no {} '{}'", what + (what[1] == 'n' ? 3 : 2), name),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near),
          known.empty() ? fmt::format("the policy declares none") : fmt::format("declared: {}", fmt::join(known, ", ")));
    return nullptr;
}

std::optional<Typed> Lowerer::element(const AstIndex& ast, Span span) {
    if (ast.base.text.find('.') != std::string::npos || find_local(ast.base.text)) {
        error("E0207", ast.base.span, fmt::format("'{}' is not a ring, it has no elements", ast.base.text));
        return std::nullopt;
    }
    const Symbol* symbol = find_symbol(ast.base.text, SymbolKind::State, ast.base.span, "a state variable");
    if (!symbol) return std::nullopt;
    const auto* ring = std::get_if<ir::State::Ring>(&out_.states[symbol->index].kind);
    if (!ring) {
        error("E0207", ast.base.span, fmt::format("'{}' is not a ring, it has no elements", ast.base.text));
        return std::nullopt;
    }
    auto index = expr(*ast.index);
    if (!index) return std::nullopt;
    const ir::Type& t = index->expr.type;
    if (t.scalar == Scalar::Bool || (t.unit != Unit::None && t.unit != Unit::Pages)) {
        error("E0305", index->expr.span, fmt::format("an index is a plain number, '{}' is {}", text(index->expr.span), describe(t)));
        return std::nullopt;
    }
    if (t.range.hi < 0 || t.range.lo >= ring->n) {
        error("E0308", index->expr.span, fmt::format("'{}' has {} elements, index {} is outside", ast.base.text, ring->n, text(index->expr.span)),
              fmt::format("0..{} is possible", ring->n - 1), "element 0 is the newest");
        return std::nullopt;
    }
    const Unit unit = ir::scalar_unit(ring->type);
    return Typed{{span, {ring->type, ir::scalar_interval(ring->type), unit}, ir::RingElement{symbol->index, std::move(index->expr)}}, nullptr};
}

// ---- calls ----

std::optional<Typed> Lowerer::call_expr(const AstCall& call, Span span) {
    const std::string& name = call.callee.text;
    if (name == "infer") return infer(call, span);
    if (name == "min" || name == "max") return min_max(call, span);
    if (name == "abs") {
        if (call.args.size() != 1) {
            error("E0309", span, fmt::format("'abs' takes 1 argument, {} given", call.args.size()));
            return std::nullopt;
        }
        auto x = expr(call.args[0]);
        if (!x) return std::nullopt;
        if (x->expr.type.scalar == Scalar::Bool) {
            error("E0305", x->expr.span, fmt::format("'{}' is bool, a number is expected here", text(x->expr.span)));
            return std::nullopt;
        }
        const Interval r = x->expr.type.range;
        auto positive = [](int64_t v) { return v == INT64_MIN ? INT64_MAX : v < 0 ? -v : v; };
        const int64_t hi = std::max(positive(r.lo), positive(r.hi));
        const int64_t lo = r.lo <= 0 && r.hi >= 0 ? 0 : std::min(positive(r.lo), positive(r.hi));
        const Unit unit = x->expr.type.unit;
        if (std::holds_alternative<ir::Const>(x->expr.node)) return make_const(hi, unit, span);
        return Typed{{span, {Scalar::I64, {lo, hi}, unit}, ir::Unary{ir::UnaryOp::Abs, std::move(x->expr)}}, nullptr};
    }
    if (const auto scalar = ir::find_scalar(name)) return cast(*scalar, call, span);
    const auto it = symbols_.find(name);
    if ((it != symbols_.end() && it->second.kind == SymbolKind::Action) || name == "prefetch") {
        error("E0207", span, fmt::format("'{}' is an action; it has no value", name), "", "call it as a statement");
        return std::nullopt;
    }
    const std::string near = closest(name, {"infer", "min", "max", "abs", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"});
    error("E0205", call.callee.span, fmt::format("there is no function '{}'", name),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near), "functions: infer, min, max, abs, and the names of types");
    return std::nullopt;
}

// u8(x), i32(x), page(x), ns(x): saturates, and drops or gives a unit.
std::optional<Typed> Lowerer::cast(Scalar to, const AstCall& call, Span span) {
    if (call.args.size() != 1) {
        error("E0309", span, fmt::format("'{}' takes 1 argument, {} given", call.callee.text, call.args.size()));
        return std::nullopt;
    }
    auto x = expr(call.args[0]);
    if (!x) return std::nullopt;
    const bool from_bool = x->expr.type.scalar == Scalar::Bool;
    if (to == Scalar::Bool && !from_bool) {
        error("E0305", x->expr.span, "a number does not become a bool", "", "write a comparison, for example x != 0");
        return std::nullopt;
    }
    const Interval bounds = ir::scalar_interval(to), r = x->expr.type.range;
    const Interval range{std::clamp(r.lo, bounds.lo, bounds.hi), std::clamp(r.hi, bounds.lo, bounds.hi)};
    const Unit unit = ir::scalar_unit(to);
    return Typed{{span, {to, range, unit}, ir::Cast{to, std::move(x->expr)}}, nullptr};
}

std::optional<Typed> Lowerer::min_max(const AstCall& call, Span span) {
    if (call.args.size() != 2) {
        error("E0309", span, fmt::format("'{}' takes 2 arguments, {} given", call.callee.text, call.args.size()));
        return std::nullopt;
    }
    auto a = expr(call.args[0]);
    auto b = expr(call.args[1]);
    if (!a || !b) return std::nullopt;
    return arithmetic(call.callee.text == "min" ? BinaryOp::Min : BinaryOp::Max, std::move(*a), std::move(*b), call.callee.span, span);
}

// The inputs of an inference: the model's own, or those of another ring in their place.
std::optional<std::vector<ir::Expr>> Lowerer::infer_inputs(uint32_t model, const AstCall& call) {
    const ir::Model& m = out_.models[model];
    std::vector<ir::Expr> inputs;
    for (const ir::ModelInput& i : m.inputs) inputs.push_back(i.value);
    if (call.args.size() == 1) return inputs;
    const auto* ref = std::get_if<AstRef>(&call.args[1].node);
    if (!ref) {
        error("E0506", call.args[1].span, "the second argument of infer is a ring", "", fmt::format("write infer({}) for the model's own inputs", m.name));
        return std::nullopt;
    }
    const Symbol* symbol = find_symbol(ref->name, SymbolKind::State, call.args[1].span, "a state variable");
    if (!symbol) return std::nullopt;
    const auto* ring = std::get_if<ir::State::Ring>(&out_.states[symbol->index].kind);
    const ir::State::Ring* own = nullptr;
    for (size_t i = 0; i < inputs.size(); i++) {
        const auto* e = std::get_if<ir::RingElement>(&inputs[i].node);
        const auto* c = e ? std::get_if<ir::Const>(&e->index->node) : nullptr;
        const auto* first = i ? std::get_if<ir::RingElement>(&m.inputs[0].value.node) : e;
        if (!e || !c || c->value != static_cast<int64_t>(i) || e->state != first->state) {
            error_with("E0506", call.args[1].span, fmt::format("the inputs of '{}' are not one ring, they cannot be replaced by one", m.name), "",
                       m.span, "declared here", fmt::format("write infer({}), or make the inputs elements 0, 1, ... of one ring", m.name));
            return std::nullopt;
        }
        own = std::get_if<ir::State::Ring>(&out_.states[e->state].kind);
    }
    if (!ring || !own || ring->n != inputs.size() || ring->type != own->type) {
        error("E0506", call.args[1].span, fmt::format("'{}' cannot stand for the inputs of '{}'", ref->name, m.name),
              own ? fmt::format("ring<{}, {}> expected", ir::scalar_name(own->type), inputs.size()) : "a ring is expected");
        return std::nullopt;
    }
    for (ir::Expr& input : inputs) {
        std::get<ir::RingElement>(input.node).state = symbol->index;
        input.span = call.args[1].span;
    }
    return inputs;
}

const Names* Lowerer::names_of(const ir::Model& model) {
    if (model.output != ir::OutputKind::Class) return nullptr;
    return keep({fmt::format("model '{}'", model.name), model.classes});
}

std::optional<Typed> Lowerer::infer(const AstCall& call, Span span) {
    if (call.args.empty() || call.args.size() > 2) {
        error("E0309", span, fmt::format("'infer' takes a model, and a ring in place of its inputs; {} given", plural(call.args.size(), "argument")));
        return std::nullopt;
    }
    const auto* ref = std::get_if<AstRef>(&call.args[0].node);
    if (!ref) {
        error("E0207", call.args[0].span, "the first argument of infer is the name of a model");
        return std::nullopt;
    }
    const Symbol* symbol = find_symbol(ref->name, SymbolKind::Model, call.args[0].span, "a model");
    if (!symbol) return std::nullopt;
    auto inputs = infer_inputs(symbol->index, call);
    if (!inputs) return std::nullopt;
    const ir::Model& m = out_.models[symbol->index];
    return Typed{{span, {Scalar::I64, m.output_range, Unit::None}, ir::Infer{symbol->index, std::move(*inputs)}}, names_of(m)};
}

// ---- operators ----

std::optional<Typed> Lowerer::unary(const AstUnary& ast, Span span) {
    auto x = expr(*ast.operand);
    if (!x) return std::nullopt;
    const bool is_bool = x->expr.type.scalar == Scalar::Bool;
    if ((ast.op == Tok::Bang) != is_bool) {
        error("E0305", x->expr.span, fmt::format("'{}' is {}, {} is expected after '{}'", text(x->expr.span), describe(x->expr.type), is_bool ? "a number" : "a bool", spelling(ast.op)), "",
              is_bool ? "" : "write x == 0");
        return std::nullopt;
    }
    if (is_bool) return Typed{{span, {Scalar::Bool, {0, 1}, Unit::None}, ir::Unary{ir::UnaryOp::Not, std::move(x->expr)}}, nullptr};
    if (x->expr.type.unit == Unit::Page) {
        error("E0304", span, "a page number cannot be negative");
        return std::nullopt;
    }
    const Interval range = interval_of(BinaryOp::Sub, {0, 0}, x->expr.type.range);
    if (std::holds_alternative<ir::Const>(x->expr.node)) return make_const(range.lo, x->expr.type.unit, span);
    return Typed{{span, {Scalar::I64, range, x->expr.type.unit}, ir::Unary{ir::UnaryOp::Neg, std::move(x->expr)}}, nullptr};
}

// A name that is no variable or field: it can only be a name of the other side's enum.
bool Lowerer::is_name_only(const AstExpr& e) const {
    const auto* ref = std::get_if<AstRef>(&e.node);
    if (!ref || find_local(ref->name) || find_field(*domain_, ref->name) || ref->name.find('.') != std::string::npos) return false;
    if (scope_ && scope_->action)
        for (const ir::Param& p : scope_->action->params)
            if (p.name == ref->name) return false;
    const auto it = symbols_.find(ref->name);
    return it == symbols_.end() || it->second.kind == SymbolKind::Action;
}

std::optional<std::pair<Typed, Typed>> Lowerer::operands(const AstBinary& ast) {
    if (std::holds_alternative<AstString>(ast.right->node)) {  // one message: about the text on the left, or the string
        if (expr(*ast.left)) expr(*ast.right);
        return std::nullopt;
    }
    if (is_name_only(*ast.left) && !is_name_only(*ast.right)) {
        auto right = expr(*ast.right);
        if (!right) return std::nullopt;
        auto left = expr(*ast.left, right->names);
        if (!left) return std::nullopt;
        return std::pair{std::move(*left), std::move(*right)};
    }
    auto left = expr(*ast.left);
    if (!left && is_name_only(*ast.right)) return std::nullopt;
    auto right = expr(*ast.right, left && is_name_only(*ast.right) ? left->names : nullptr);
    if (!left || !right) return std::nullopt;
    return std::pair{std::move(*left), std::move(*right)};
}

std::optional<Typed> Lowerer::binary(const AstBinary& ast, Span span) {
    const BinaryOp op = binary_op(ast.op);
    if (op == BinaryOp::And || op == BinaryOp::Or) {
        auto left = condition(*ast.left);
        auto right = condition(*ast.right);
        if (!left || !right) return std::nullopt;
        return Typed{{span, {Scalar::Bool, {0, 1}, Unit::None}, ir::Binary{op, std::move(left->expr), std::move(right->expr)}}, nullptr};
    }
    auto sides = operands(ast);
    if (!sides) return std::nullopt;
    if (is_comparison(op)) return comparison(op, std::move(sides->first), std::move(sides->second), ast.op_span, span);
    return arithmetic(op, std::move(sides->first), std::move(sides->second), ast.op_span, span);
}

std::optional<Typed> Lowerer::condition(const AstExpr& ast) {
    auto c = expr(ast);
    if (!c) return std::nullopt;
    if (c->expr.type.scalar != Scalar::Bool) {
        error("E0305", c->expr.span, fmt::format("a condition is bool, '{}' is {}", text(c->expr.span), describe(c->expr.type)), "",
              "write a comparison, for example x != 0");
        return std::nullopt;
    }
    return c;
}

}  // namespace rmt::lang
