// SPDX-License-Identifier: MIT
#include "rmt_lang/entry_check.h"

#include <fmt/format.h>

#include "rmt_lang/entry.h"

namespace rmt::lang {

namespace {

using ir::Unit;

// Units that a key of this type takes. A page number has no way to be written but as a plain number.
bool unit_fits(const std::string& type, const Constant& c) {
    if (type == "rate") return c.unit == Unit::Rate || (c.unit == Unit::None && c.value == 0);
    if (type == "ns") return c.unit == Unit::Ns || (c.unit == Unit::None && c.value == 0);
    return c.unit == Unit::None || c.unit == Unit::Pages || c.unit == Unit::Percent;
}

class KeyCheck {
public:
    KeyCheck(const ManifestKey& key, const KeyReader& reader, const Source& source, Diagnostics& diagnostics)
        : key_(key), reader_(reader), source_(source), diagnostics_(diagnostics), names_{fmt::format("'{}'", key.name), key.values} {}

    std::optional<KeyMatch> pattern(const AstPattern& p) {
        if (std::holds_alternative<AstAny>(p.node)) return KeyAny{};
        if (const auto* range = std::get_if<AstRange>(&p.node)) return this->range(*range, p.span);
        const AstExpr& e = std::get<AstExpr>(p.node);
        if (key_.type == "str") return text(e);
        if (key_.type == "address") return address(e);
        const auto v = value(e);
        if (!v) return std::nullopt;
        return KeyRange{*v, *v};
    }

private:
    std::optional<KeyMatch> range(const AstRange& r, Span span) {
        if (key_.match != MatchKind::Range) {
            const bool number = key_.type != "str" && key_.type != "address" && key_.values.empty();
            error("E0403", span, fmt::format("key '{}' is not matched by a range", key_.name), "",
                  number ? fmt::format("declare it as `{} : range`", key_.name) : "write one value, or '*'");
            return std::nullopt;
        }
        const auto lo = r.lo ? value(*r.lo) : key_.min;
        const auto hi = r.hi ? value(*r.hi) : key_.max;
        if (!lo || !hi) return std::nullopt;
        if (*lo > *hi) {
            error("E0405", span, "this range is empty", fmt::format("{} is more than {}", *lo, *hi), "the smaller end comes first");
            return std::nullopt;
        }
        return KeyRange{*lo, *hi};
    }

    std::optional<KeyMatch> text(const AstExpr& e) {
        const AstExpr* resolved = reader_.resolve(e);
        if (!resolved) return std::nullopt;
        const auto* s = std::get_if<AstString>(&resolved->node);
        if (!s) {
            error("E0408", e.span, fmt::format("key '{}' is a string, '{}' is none", key_.name, source_.slice(e.span)), "",
                  "write it in quotes, or '*' for any");
            return std::nullopt;
        }
        const bool prefix = key_.match == MatchKind::Prefix;
        if (const std::string why = text_key_problem(s->text, prefix); !why.empty()) {
            error("E0409", e.span, why);
            return std::nullopt;
        }
        return KeyText{s->text, prefix};
    }

    std::optional<KeyMatch> address(const AstExpr& e) {
        const AstExpr* resolved = reader_.resolve(e);
        if (!resolved) return std::nullopt;
        const auto* a = std::get_if<AstAddress>(&resolved->node);
        if (!a) {
            error("E0408", e.span, fmt::format("key '{}' is an address, '{}' is none", key_.name, source_.slice(e.span)), "",
                  "write it as 10.0.0.0/8 or 2001:db8::/32, or '*' for any");
            return std::nullopt;
        }
        auto prefix = parse_prefix(a->text);
        if (!prefix) {
            error("E0409", e.span, prefix.error().message);
            return std::nullopt;
        }
        return *prefix;
    }

    std::optional<int64_t> value(const AstExpr& e) {
        const AstExpr* resolved = reader_.resolve(e);
        if (!resolved) return std::nullopt;
        if (std::holds_alternative<AstString>(resolved->node)) {
            error("E0408", e.span, fmt::format("key '{}' is {}, not a string", key_.name, key_.type), "",
                  key_.values.empty() ? "" : fmt::format("one of: {}", names_.list()));
            return std::nullopt;
        }
        const auto c = reader_.constant(e, key_.values.empty() ? nullptr : &names_);
        if (!c) return std::nullopt;
        const bool wants_bool = key_.type == "bool";
        if (!key_.values.empty() && !c->named && !(wants_bool && c->is_bool)) {
            error("E0408", e.span, fmt::format("key '{}' is matched by name", key_.name), fmt::format("one of: {}", names_.list()));
            return std::nullopt;
        }
        if ((c->is_bool && !wants_bool) || !unit_fits(key_.type, *c)) {
            error("E0304", e.span, fmt::format("key '{}' is {}, '{}' is {}", key_.name, key_.type, source_.slice(e.span), c->what()), "",
                  key_.type == "ns" ? "write a time with its unit, for example 3ms" : key_.type == "rate" ? "write a rate with its unit, for example 10mbit" : "write a plain number");
            return std::nullopt;
        }
        if (c->value < key_.min || c->value > key_.max) {
            error("E0404", e.span, fmt::format("key '{}' cannot be {}", key_.name, c->value),
                  fmt::format("it is within {}..{}", key_.min, key_.max));
            return std::nullopt;
        }
        return c->value;
    }

    void error(const char* id, Span at, std::string message, std::string label = {}, std::string help = {}) {
        diagnostics_.error(id, at, std::move(message), std::move(label), std::move(help));
    }

    const ManifestKey& key_;
    const KeyReader& reader_;
    const Source& source_;
    Diagnostics& diagnostics_;
    const Names names_;
};

}  // namespace

std::optional<KeyMatch> check_key(const AstPattern& pattern, const ManifestKey& key, const KeyReader& reader,
                                  const Source& source, Diagnostics& diagnostics) {
    return KeyCheck(key, reader, source, diagnostics).pattern(pattern);
}

}  // namespace rmt::lang
