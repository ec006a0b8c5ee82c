// SPDX-License-Identifier: MIT
#include "rmt_lang/entry.h"

#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/entry_check.h"
#include "rmt_lang/parser.h"

namespace rmt::lang {

namespace {

constexpr size_t kMaxText = 15;  // bytes of a task's name; the kernel keeps 16 with the zero behind it

bool covers_one(const KeyMatch& earlier, const KeyMatch& later, std::pair<int64_t, int64_t> bounds) {
    if (std::holds_alternative<KeyAny>(earlier)) return true;
    if (const auto* a = std::get_if<KeyRange>(&earlier)) {
        const auto* b = std::get_if<KeyRange>(&later);
        const int64_t lo = b ? b->lo : bounds.first, hi = b ? b->hi : bounds.second;
        return a->lo <= lo && hi <= a->hi;
    }
    if (const auto* a = std::get_if<KeyPrefix>(&earlier)) {
        const auto* b = std::get_if<KeyPrefix>(&later);
        if (!b || b->bits < a->bits) return false;
        for (uint32_t i = 0; i < a->bits; i++)
            if ((a->address[i / 8] ^ b->address[i / 8]) & 0x80 >> i % 8) return false;
        return true;
    }
    const auto& a = std::get<KeyText>(earlier);
    const auto* b = std::get_if<KeyText>(&later);
    if (!b) return false;
    return a.prefix ? b->text.starts_with(a.text) : !b->prefix && a.text == b->text;
}

// Reads one entry against the manifest. Constants are literals, names and a sign: there are no defines here.
class EntryReader {
public:
    EntryReader(const Source& source, const Manifest& manifest, const ManifestTable& table, Diagnostics& diagnostics)
        : source_(source), manifest_(manifest), table_(table), diagnostics_(diagnostics) {}

    ManifestEntry read(const AstEntry& ast) {
        ManifestEntry out;
        keys(ast, out);
        action(ast, out);
        if (!ast.comment) return out;
        if (const auto* s = std::get_if<AstString>(&ast.comment->node)) out.comment = s->text;
        else no_define(*ast.comment);
        return out;
    }

private:
    void keys(const AstEntry& ast, ManifestEntry& out) {
        if (ast.patterns.size() != table_.keys.size()) {
            std::vector<std::string> names;
            for (const ManifestKey& k : table_.keys) names.push_back(k.name);
            const Span at = ast.patterns.empty() ? ast.span : join(ast.patterns.front().span, ast.patterns.back().span);
            return error("E0402", at, fmt::format("table '{}' has {} key(s), this entry {}", table_.name, table_.keys.size(), ast.patterns.size()),
                         fmt::format("one for each of: {}", fmt::join(names, ", ")), "write '*' for any value");
        }
        const KeyReader reader{[&](const AstExpr& e) { return no_define(e); },
                               [&](const AstExpr& e, const Names* names) { return constant(e, names); }};
        for (size_t i = 0; i < table_.keys.size(); i++)
            if (auto key = check_key(ast.patterns[i], table_.keys[i], reader, source_, diagnostics_)) out.keys.push_back(std::move(*key));
    }

    void action(const AstEntry& ast, ManifestEntry& out) {
        const std::string& name = ast.action.callee.text;
        std::vector<std::string> allowed;
        const ManifestAction* found = nullptr;
        for (const uint32_t index : table_.actions) {
            allowed.push_back(manifest_.actions.at(index).name);
            if (allowed.back() != name) continue;
            found = &manifest_.actions[index];
            out.action = index;
        }
        if (!found) {
            const std::string near = closest(name, allowed);
            return error("E0406", ast.action.callee.span, fmt::format("table '{}' does not allow action '{}'", table_.name, name),
                         near.empty() ? "" : fmt::format("did you mean '{}'?", near), fmt::format("allowed: {}", fmt::join(allowed, ", ")));
        }
        if (ast.action.args.size() != found->params.size()) {
            std::vector<std::string> params;
            for (const ManifestParam& p : found->params) params.push_back(fmt::format("{}: {}", p.name, p.type));
            return error("E0309", ast.action_span, fmt::format("action '{}' takes {} argument(s), {} given", name, found->params.size(), ast.action.args.size()),
                         fmt::format("{}({})", name, fmt::join(params, ", ")));
        }
        for (size_t i = 0; i < found->params.size(); i++) argument(ast.action.args[i], found->params[i], out);
    }

    void argument(const AstExpr& e, const ManifestParam& param, ManifestEntry& out) {
        const auto c = constant(e, nullptr);
        if (!c) return;
        const bool zero = c->unit == ir::Unit::None && c->value == 0;
        const bool unit_fits = param.type == "ns"     ? c->unit == ir::Unit::Ns || zero
                               : param.type == "rate" ? c->unit == ir::Unit::Rate || zero
                                                  : c->unit == ir::Unit::None || c->unit == ir::Unit::Pages || c->unit == ir::Unit::Percent;
        if (c->is_bool != (param.type == "bool") || !unit_fits)
            return error("E0304", e.span, fmt::format("parameter '{}' is {}, '{}' is {}", param.name, param.type, source_.slice(e.span), c->what()), "",
                         param.type == "ns" ? "write a time with its unit, for example 5us" : param.type == "rate" ? "write a rate with its unit, for example 10mbit" : "");
        if (c->value < param.min || c->value > param.max)
            return error("E0302", e.span, fmt::format("{} does not fit in {}", c->value, param.type),
                         fmt::format("parameter '{}' holds {}..{}", param.name, param.min, param.max));
        out.args.push_back(c->value);
    }

    std::optional<Constant> constant(const AstExpr& e, const Names* names) {
        if (const auto* i = std::get_if<AstInt>(&e.node)) {
            auto c = constant_of(*i, e.span);
            if (!c) error("E0302", e.span, fmt::format("'{}' is no number that fits in 64 bits", source_.slice(e.span)));
            return c;
        }
        if (const auto* b = std::get_if<AstBool>(&e.node)) {
            const bool named = names && names->find(b->value ? "true" : "false");
            return Constant{b->value, ir::Unit::None, true, named, e.span};
        }
        if (const auto* u = std::get_if<AstUnary>(&e.node); u && u->op == Tok::Minus) {
            auto c = constant(*u->operand, names);
            if (!c) return c;
            c->value = -c->value;
            c->span = e.span;
            return c;
        }
        if (const auto* ref = std::get_if<AstRef>(&e.node)) {
            if (names)
                if (const int64_t* v = names->find(ref->name)) return Constant{*v, ir::Unit::None, false, true, e.span};
            std::vector<std::string> known;
            if (names)
                for (const auto& [name, v] : names->values) known.push_back(name);
            const std::string near = closest(ref->name, known);
            error("E0205", e.span, names ? fmt::format("'{}' is not a value of {}", ref->name, names->of) : fmt::format("'{}' is not a constant", ref->name),
                  near.empty() ? "" : fmt::format("did you mean '{}'?", near), names ? fmt::format("one of: {}", names->list()) : "write a number");
            return std::nullopt;
        }
        if (no_define(e)) error("E0318", e.span, "a constant is expected here", "", "write a number, a name or '*'");
        return std::nullopt;
    }

    const AstExpr* no_define(const AstExpr& e) {
        const auto* d = std::get_if<AstDefine>(&e.node);
        if (!d) return &e;
        error("E0209", e.span, fmt::format("'${}' is not known here", d->name), "", "write the value: a live entry has no defines");
        return nullptr;
    }

    void error(const char* id, Span at, std::string message, std::string label = {}, std::string help = {}) {
        diagnostics_.error(id, at, std::move(message), std::move(label), std::move(help));
    }

    const Source& source_;
    const Manifest& manifest_;
    const ManifestTable& table_;
    Diagnostics& diagnostics_;
};

// The first error's message, then the lines that show its place, then the other errors.
std::string error_text(const Diagnostics& diagnostics, const Source& source) {
    std::string out;
    for (const Diagnostic& d : diagnostics.all()) {
        const std::string lines = format(d, source);
        out += out.empty() ? fmt::format("{} [{}]{}", d.message, d.id, lines.substr(lines.find('\n'))) : lines;
    }
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

}  // namespace

Result<ManifestEntry> parse_entry(const std::string& text, const Manifest& manifest, const ManifestTable& table) {
    const Source source("entry", text);
    Diagnostics diagnostics;
    const auto ast = parse_entry_text(source, diagnostics);
    ManifestEntry entry;
    if (ast) entry = EntryReader(source, manifest, table, diagnostics).read(*ast);
    if (diagnostics.has_errors()) return fail(ErrorKind::Input, error_text(diagnostics, source));
    return entry;
}

bool covers(const std::vector<KeyMatch>& earlier, const std::vector<KeyMatch>& later,
            const std::vector<std::pair<int64_t, int64_t>>& bounds) {
    for (size_t i = 0; i < earlier.size(); i++)
        if (!covers_one(earlier[i], later[i], bounds[i])) return false;
    return true;
}

std::string text_key_problem(const std::string& text, bool prefix) {
    if (text.size() > kMaxText) return fmt::format("a task's name has at most {} bytes, this has {}", kMaxText, text.size());
    if (prefix && text.empty()) return "an empty beginning matches everything: write '*' without quotes";
    if (text.find('*') != std::string::npos)
        return prefix ? "a prefix matches the beginning as it is: leave the '*' out" : "'*' in a string is no wildcard here: declare the key as prefix";
    return {};
}

}  // namespace rmt::lang
