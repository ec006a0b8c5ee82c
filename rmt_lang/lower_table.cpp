// SPDX-License-Identifier: MIT
// Tables: keys, allowed actions, default, size, entries in their order.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "rmt_lang/entry.h"
#include "rmt_lang/entry_check.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::Scalar;

namespace {

constexpr int64_t kMaxEntries = 1024;  // the lookup looks at each: its cost grows with the size
constexpr uint32_t kMinSize = 16;
constexpr size_t kMaxKeys = 8;

enum class KeyKind { Number, Named, Text, Address };

KeyKind kind_of(const ir::Key& key) {
    if (std::holds_alternative<uint32_t>(key.source)) return key.match == MatchKind::Lpm ? KeyKind::Address : KeyKind::Text;
    return key.values.empty() ? KeyKind::Number : KeyKind::Named;
}

std::string key_type(const ir::Key& key) {
    if (kind_of(key) == KeyKind::Text) return "str";
    if (kind_of(key) == KeyKind::Address) return "address";
    const ir::Expr& e = std::get<ir::Expr>(key.source);
    if (e.type.scalar == Scalar::Bool) return "bool";
    return key.values.empty() ? ir::scalar_name(e.type.scalar) : "enum";
}

}  // namespace

// ---- keys ----

std::optional<ir::Key> Lowerer::lower_key(const AstKey& ast) {
    ir::Key key;
    key.name = text(ast.subject.span);
    key.span = ast.subject.span;
    const auto* ref = std::get_if<AstRef>(&ast.subject.node);
    const FieldProfile* field = ref ? find_field(*domain_, ref->name) : nullptr;
    if (field && ir::is_words(field->field.kind)) {
        key.source = use_field(*field);
        if (field->field.kind == ir::FieldKind::Address) key.match = MatchKind::Lpm;
    } else {
        if (!ref && !std::holds_alternative<AstIndex>(ast.subject.node)) {
            error("E0314", ast.subject.span, "a key is a field, a state variable or an element of a ring");
            return std::nullopt;
        }
        auto value = expr(ast.subject);
        if (!value) return std::nullopt;
        if (const auto* e = std::get_if<ir::RingElement>(&value->expr.node); e && !std::holds_alternative<ir::Const>(e->index->node)) {
            error("E0314", ast.subject.span, "the element of a key has a constant index");
            return std::nullopt;
        }
        if (value->expr.type.scalar == Scalar::Bool) key.values = {{"false", 0}, {"true", 1}};
        if (value->names) key.values = value->names->values;
        key.source = std::move(value->expr);
    }
    const KeyKind kind = kind_of(key);
    const std::string& match = ast.match.text;
    static const std::vector<std::string> kKnown{"exact", "range", "prefix", "lpm", "ternary", "glob"};
    if (std::find(kKnown.begin(), kKnown.end(), match) == kKnown.end()) {
        const std::string near = closest(match, kKnown);
        error("E0313", ast.match.span, fmt::format("'{}' is not a match kind", match), near.empty() ? "" : fmt::format("did you mean '{}'?", near),
              "exact, range (numbers), prefix (strings), lpm (addresses)");
        return std::nullopt;
    }
    const char* possible = kind == KeyKind::Address ? "lpm" : kind == KeyKind::Text ? "exact, prefix" : kind == KeyKind::Named ? "exact" : "exact, range";
    if ((match == "lpm" && kind == KeyKind::Number) || match == "ternary" || (match == "glob" && kind == KeyKind::Text)) {
        unsupported(ast.match.span, fmt::format("the match kind '{}'", match), fmt::format("for '{}' use one of: {}", key.name, possible));
        return std::nullopt;
    }
    if (std::string(possible).find(match) == std::string::npos) {
        error("E0303", ast.subject.span, fmt::format("'{}' is {}{}, which cannot be matched by '{}'", key.name, (kind == KeyKind::Named && key_type(key) == "enum") || kind == KeyKind::Address ? "an " : "", key_type(key), match),
              fmt::format("one of: {}", possible));
        return std::nullopt;
    }
    if (kind != KeyKind::Address) key.match = match == "exact" ? MatchKind::Exact : match == "range" ? MatchKind::Range : MatchKind::Prefix;
    return key;
}

void Lowerer::lower_keys(const AstTable& ast, ir::Table& out) {
    for (const AstKey& k : ast.keys) {
        auto key = lower_key(k);
        if (!key) continue;
        const auto same = std::find_if(out.keys.begin(), out.keys.end(), [&](const ir::Key& o) { return o.name == key->name; });
        if (same != out.keys.end())
            error_with("E0203", key->span, fmt::format("key '{}' is declared twice", key->name), "", same->span, "here before");
        out.keys.push_back(std::move(*key));
    }
}

// Everything of a table that needs actions and state, but no body.
void Lowerer::declare_table(const AstTable& ast) {
    ir::Table t;
    t.name = ast.name.text;
    t.span = ast.name.span;
    const size_t errors = diagnostics_.error_count();
    const std::string quoted = fmt::format("table '{}'", ast.name.text);
    if (ast.keys.empty()) error("E0314", ast.keys_span.value_or(ast.name.span), quoted + " has no keys", "", "write key { FIELD : exact; }");
    if (ast.keys.size() > kMaxKeys) error("E0314", ast.keys[kMaxKeys].subject.span, fmt::format("{} has more than {} keys", quoted, kMaxKeys));
    if (ast.actions.empty())
        error("E0314", ast.actions_span.value_or(ast.name.span), quoted + " allows no actions", "", "write actions { NAME; ... }");
    lower_keys(ast, t);
    for (const AstName& a : ast.actions) {
        const Symbol* symbol = find_symbol(a.text, SymbolKind::Action, a.span, "an action");
        if (!symbol) continue;
        if (std::find(t.actions.begin(), t.actions.end(), symbol->index) != t.actions.end())
            error("E0203", a.span, fmt::format("action '{}' is listed twice", a.text));
        t.actions.push_back(symbol->index);
    }
    if (!ast.default_action) {
        error("E0306", ast.name.span, quoted + " has no default", "a miss would be undefined",
              ast.actions.empty() ? "write default ACTION(...);" : fmt::format("write default {}(...);", ast.actions[0].text));
    } else if (const auto run = invocation(*ast.default_action, ast.default_span, t, ast.actions_span)) {
        t.default_run = *run;
    }
    t.size = std::max(kMinSize, std::bit_ceil(static_cast<uint32_t>(std::min<size_t>(ast.entries.size(), kMaxEntries))));
    if (ast.size) {
        if (const auto size = plain_constant(*ast.size, "the size of a table", 1, kMaxEntries, "E0315")) t.size = static_cast<uint32_t>(*size);
    }
    if (ast.entries.size() > t.size)
        error("E0407", ast.entries[t.size].span, fmt::format("{} has {} entries, its size is {}", quoted, ast.entries.size(), t.size),
              "the first that does not fit", ast.size ? "give it a larger size" : fmt::format("a table has at most {} entries", kMaxEntries));
    if (!t.keys.empty() && t.keys.size() == ast.keys.size() && t.actions.size() == ast.actions.size()) lower_entries(ast, t);
    const bool valid = diagnostics_.error_count() == errors;
    symbols_[ast.name.text].valid = valid;
    out_.tables.push_back(std::move(t));
}

// ---- entries ----

// What an entry's key is checked against: the same facts that the manifest carries for live entries.
ManifestKey Lowerer::key_facts(const ir::Key& key) {
    ManifestKey out{key.name, key.match, key_type(key), 0, 0, key.values};
    if (const auto* e = std::get_if<ir::Expr>(&key.source)) {
        out.min = e->type.range.lo;
        out.max = e->type.range.hi;
    }
    return out;
}

std::optional<KeyMatch> Lowerer::key_pattern(const AstPattern& pattern, const ir::Key& key) {
    const KeyReader reader{[&](const AstExpr& e) { return resolve_define(e); },
                           [&](const AstExpr& e, const Names* names) { return constant(e, "a key of an entry", names); }};
    return check_key(pattern, key_facts(key), reader, source_, diagnostics_);
}

std::optional<ir::Invocation> Lowerer::invocation(const AstCall& call, Span span, const ir::Table& table, std::optional<Span> actions_span) {
    const Symbol* symbol = find_symbol(call.callee.text, SymbolKind::Action, call.callee.span, "an action");
    if (!symbol) return std::nullopt;
    const ir::Action& action = out_.actions[symbol->index];
    if (std::find(table.actions.begin(), table.actions.end(), symbol->index) == table.actions.end()) {
        if (!table.actions.empty())
            error_with("E0406", call.callee.span, fmt::format("table '{}' does not allow action '{}'", table.name, action.name), "",
                       actions_span.value_or(table.span), "the allowed ones", fmt::format("add `{};` to its actions", action.name));
        return std::nullopt;
    }
    if (call.args.size() != action.params.size()) {
        error("E0309", span, fmt::format("action '{}' takes {} argument(s), {} given", action.name, action.params.size(), call.args.size()), text(action.span));
        return std::nullopt;
    }
    ir::Invocation out{symbol->index, {}};
    for (size_t i = 0; i < call.args.size(); i++) {
        auto value = expr(call.args[i]);
        if (!value) return std::nullopt;
        if (!storable(*value, action.params[i].type.scalar, fmt::format("parameter '{}'", action.params[i].name))) return std::nullopt;
        const auto* c = std::get_if<ir::Const>(&value->expr.node);
        if (!c) {
            error("E0318", call.args[i].span, "an argument in a table must be a constant", "this is known only while the policy runs",
                  "read it in the action instead");
            return std::nullopt;
        }
        out.args.push_back(c->value);
    }
    return out;
}

std::optional<ir::Entry> Lowerer::lower_entry(const AstEntry& ast, const ir::Table& table, std::optional<Span> actions_span) {
    ir::Entry out;
    out.span = ast.span;
    bool ok = true;
    if (ast.patterns.size() != table.keys.size()) {
        std::string names;
        for (const ir::Key& k : table.keys) names += (names.empty() ? "" : ", ") + k.name;
        const Span at = ast.patterns.empty() ? ast.span : join(ast.patterns.front().span, ast.patterns.back().span);
        error("E0402", at, fmt::format("table '{}' has {} key(s), this entry {}", table.name, table.keys.size(), ast.patterns.size()),
              fmt::format("one for each of: {}", names), "write '*' for any value");
        ok = false;
    } else {
        for (size_t i = 0; i < table.keys.size(); i++) {
            auto key = key_pattern(ast.patterns[i], table.keys[i]);
            ok &= key.has_value();
            if (key) out.keys.push_back(std::move(*key));
        }
    }
    const auto run = invocation(ast.action, ast.action_span, table, actions_span);
    if (ast.comment) {
        const auto comment = string_constant(*ast.comment, "a comment");
        ok &= comment.has_value();
        if (comment) out.comment = *comment;
    }
    if (!ok || !run) return std::nullopt;
    out.run = *run;
    return out;
}

void Lowerer::lower_entries(const AstTable& ast, ir::Table& out) {
    std::vector<std::pair<int64_t, int64_t>> bounds;
    for (const ir::Key& k : out.keys) {
        const auto* e = std::get_if<ir::Expr>(&k.source);
        bounds.emplace_back(e ? e->type.range.lo : 0, e ? e->type.range.hi : 0);
    }
    for (const AstEntry& a : ast.entries) {
        auto entry = lower_entry(a, out, ast.actions_span);
        if (!entry) continue;
        const auto earlier = std::find_if(out.entries.begin(), out.entries.end(),
                                          [&](const ir::Entry& e) { return covers(e.keys, entry->keys, bounds); });
        if (earlier != out.entries.end()) {
            auto patterns = [](const AstEntry& e) { return join(e.patterns.front().span, e.patterns.back().span); };
            const auto before = std::find_if(ast.entries.begin(), ast.entries.end(), [&](const AstEntry& e) { return e.span == earlier->span; });
            error_with("E0401", patterns(a), "this entry can never match", "unreachable", patterns(*before), "this earlier entry already covers it",
                       "move it above that entry, or narrow that entry; entries are tried in the order written");
        }
        out.entries.push_back(std::move(*entry));
    }
}

}  // namespace rmt::lang
