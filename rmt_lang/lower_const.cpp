// SPDX-License-Identifier: MIT
// Constants of the text: defines, numbers with units, strings, and the names of scalar types.
#include <fmt/format.h>

#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

namespace {

constexpr int kMaxDefines = 16;  // of a chain: deeper ones name themselves

}  // namespace

// What $NAME stands for, through further defines; the expression itself when it is none.
const AstExpr* Lowerer::resolve_define(const AstExpr& expr) {
    const AstExpr* e = &expr;
    for (int i = 0; i < kMaxDefines; i++) {
        const auto* d = std::get_if<AstDefine>(&e->node);
        if (!d) return e;
        const auto it = defines_.find(d->name);
        if (it == defines_.end()) {
            std::vector<std::string> known;
            for (const auto& [name, definition] : defines_) known.push_back(name);
            const std::string near = closest(d->name, known);
            error("E0209", e->span, fmt::format("'${}' is not defined", d->name),
                  near.empty() ? "" : fmt::format("did you mean '${}'?", near),
                  fmt::format("write `define {} = ...;` above the policy", d->name));
            return nullptr;
        }
        e = &it->second->value;
    }
    error("E0210", expr.span, "this definition contains itself", "", "define it by a value");
    return nullptr;
}

std::optional<Constant> Lowerer::constant(const AstExpr& ast, const std::string& what, const Names* names) {
    const auto typed = expr(ast, names);
    if (!typed) return std::nullopt;
    const auto* c = std::get_if<ir::Const>(&typed->expr.node);
    if (!c) {
        error("E0318", ast.span, fmt::format("{} must be a constant", what), "this is known only while the policy runs",
              "write a number, or $NAME of a define");
        return std::nullopt;
    }
    return Constant{c->value, typed->expr.type.unit, typed->expr.type.scalar == ir::Scalar::Bool, typed->names != nullptr, ast.span};
}

// A constant without a unit (an amount of pages may say so), within lo..hi.
std::optional<int64_t> Lowerer::plain_constant(const AstExpr& ast, const std::string& what, int64_t lo, int64_t hi, const char* id) {
    const auto c = constant(ast, what);
    if (!c) return std::nullopt;
    if (c->is_bool || (c->unit != ir::Unit::None && c->unit != ir::Unit::Pages)) {
        error(id, ast.span, fmt::format("{} is a plain number, '{}' is {}", what, text(ast.span), c->what()));
        return std::nullopt;
    }
    if (c->value < lo || c->value > hi) {
        error(id, ast.span, fmt::format("{} is {}, {}..{} is possible", what, c->value, lo, hi));
        return std::nullopt;
    }
    return c->value;
}

std::optional<uint64_t> Lowerer::time_constant(const AstExpr& ast, const std::string& what, const char* id) {
    const auto c = constant(ast, what);
    if (!c) return std::nullopt;
    if (c->unit != ir::Unit::Ns) {
        const std::string written = text(ast.span);
        error(id, ast.span, fmt::format("{} is a time, '{}' is {}", what, written, c->what()),
              "a unit is expected", c->unit == ir::Unit::None && !c->is_bool
                  ? fmt::format("write {0}ns, {0}us, {0}ms or {0}s", c->value) : "write a time, for example 2us");
        return std::nullopt;
    }
    if (c->value <= 0) {
        error(id, ast.span, fmt::format("{} must be longer than 0", what));
        return std::nullopt;
    }
    return static_cast<uint64_t>(c->value);
}

std::optional<std::string> Lowerer::string_constant(const AstExpr& ast, const std::string& what) {
    const AstExpr* e = resolve_define(ast);
    if (!e) return std::nullopt;
    if (const auto* s = std::get_if<AstString>(&e->node)) return s->text;
    error("E0305", ast.span, fmt::format("{} is a string, '{}' is none", what, text(e->span)), "", "write it in quotes");
    return std::nullopt;
}

std::optional<ir::Scalar> Lowerer::scalar_type(const AstType& type, const std::string& what) {
    static const std::vector<std::string> kScalars{"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "bool", "page", "ns", "rate"};
    if (const auto s = ir::find_scalar(type.name.text)) {
        if (type.args.empty()) return s;
        error("E0307", type.span, fmt::format("'{}' takes no arguments", type.name.text));
        return std::nullopt;
    }
    std::vector<std::string> known = kScalars;
    for (const char* t : {"us", "ms", "s"})
        if (type.name.text == t) {
            error("E0307", type.name.span, "times have the type ns", "", "values are written in any unit: 5us, 3ms");
            return std::nullopt;
        }
    const std::string near = closest(type.name.text, known);
    error("E0307", type.name.span, fmt::format("'{}' is not a type for {}", type.name.text, what),
          near.empty() ? "" : fmt::format("did you mean '{}'?", near), "u8 u16 u32 u64, i8 i16 i32 i64, bool, page, ns, rate");
    return std::nullopt;
}

}  // namespace rmt::lang
