// SPDX-License-Identifier: MIT
// What user space must know of a policy, taken from the same IR as the text.
#include <algorithm>

#include "rmt_lang/emit.h"
#include "rmt_lang/emit_internal.h"

namespace rmt::lang {

namespace {

using namespace ir;

class Build {
public:
    Build(const Ir& ir, const Source& source) : ir_(ir), source_(source) {}

    Manifest manifest() {
        Manifest m;
        m.policy = ir_.name;
        m.description = ir_.description;
        m.domain = ir_.domain;
        m.mode = ir_.mode == Mode::Off ? "off" : ir_.mode == Mode::Shadow ? "shadow" : "enforce";
        m.source = base_name(source_.name());
        m.attach = ir_.attach;
        m.limits = limits();
        if (ir_.domain == "tcp") m.tcp = tcp();
        for (const Action& a : ir_.actions) m.actions.push_back(action(a));
        for (const Table& t : ir_.tables) m.tables.push_back(table(t));
        for (const Model& x : ir_.models) m.models.push_back(model(x));
        if (const Collect* c = emit::find_collect(ir_)) m.collect = collect(*c);
        m.state = state();
        return m;
    }

private:
    uint32_t line_of(Span span) const { return source_.position(span.begin).line; }

    ManifestLimits limits() const {
        const Limits& l = ir_.limits;
        ManifestLimits m;
        if (ir_.domain == "mm") {
            m.prefetch_per_event = l.per_event ? l.per_event->pages : kDefaultPrefetchPerEvent;
            m.prefetch_rate = l.rate ? l.rate->pages : kDefaultPrefetchRate;
            m.prefetch_window_ns = l.rate ? l.rate->window_ns : kDefaultPrefetchWindowNs;
        }
        m.cost_ns = l.cost ? l.cost->ns : 0;
        if (l.breach) m.breach = ManifestLimits::Breach{l.breach->measure, l.breach->percent, l.breach->window_ns, l.breach->hold_ns};
        m.line_per_event = l.per_event ? line_of(l.per_event->span) : 0;
        m.line_rate = l.rate ? line_of(l.rate->span) : 0;
        m.line_cost = l.cost ? line_of(l.cost->span) : 0;
        return m;
    }

    ManifestTcp tcp() const {
        const Limits& l = ir_.limits;
        const Interval cwnd = sink_limit(l, Sink::Cwnd), pacing = sink_limit(l, Sink::Pacing);
        ManifestTcp m;
        m.base = ir_.base;
        m.cwnd_min = static_cast<uint32_t>(cwnd.lo);
        m.cwnd_max = static_cast<uint32_t>(cwnd.hi);
        m.pacing_min = static_cast<uint64_t>(pacing.lo);
        m.pacing_max = static_cast<uint64_t>(pacing.hi);
        m.change = l.change ? l.change->times : 0;
        m.line_cwnd = l.cwnd ? line_of(l.cwnd->span) : 0;
        m.line_pacing = l.pacing ? line_of(l.pacing->span) : 0;
        m.line_change = l.change ? line_of(l.change->span) : 0;
        return m;
    }

    ManifestAction action(const Action& a) const {
        ManifestAction m{a.name, {}};
        for (const Param& p : a.params) m.params.push_back({p.name, scalar_name(p.type.scalar), p.type.range.lo, p.type.range.hi});
        return m;
    }

    ManifestKey key(const Key& k) const {
        ManifestKey m;
        m.name = k.name;
        m.match = k.match;
        m.values = k.values;
        const Expr* e = std::get_if<Expr>(&k.source);
        if (!e) {
            m.type = k.match == MatchKind::Lpm ? "address" : "str";
            return m;
        }
        m.type = e->type.scalar == Scalar::Bool ? "bool" : !k.values.empty() ? "enum" : scalar_name(e->type.scalar);
        m.min = e->type.range.lo;
        m.max = e->type.range.hi;
        return m;
    }

    ManifestTable table(const Table& t) const {
        ManifestTable m;
        m.name = t.name;
        for (const Key& k : t.keys) m.keys.push_back(key(k));
        m.actions = t.actions;
        m.default_entry = {{}, t.default_run.action, t.default_run.args, "", 0};
        m.size = t.size;
        m.args = static_cast<uint32_t>(ir_.actions.at(t.default_run.action).params.size());
        for (const uint32_t a : t.actions) m.args = std::max(m.args, static_cast<uint32_t>(ir_.actions.at(a).params.size()));
        for (const Entry& e : t.entries) m.entries.push_back({e.keys, e.run.action, e.run.args, e.comment, line_of(e.span)});
        m.line = line_of(t.span);
        return m;
    }

    ManifestModel model(const Model& x) const {
        ManifestModel m;
        m.name = x.name;
        for (const ModelInput& input : x.inputs) {
            m.inputs.push_back(input.name);
            m.input_types.push_back(scalar_name(input.value.type.scalar));
        }
        m.output_kind = x.output == OutputKind::Value ? "value" : x.output == OutputKind::Class ? "class" : "score";
        m.output_type = scalar_name(x.output_type);
        m.output_min = x.output_range.lo;
        m.output_max = x.output_range.hi;
        m.classes = x.classes;
        m.on_error = x.on_error;
        m.source = x.source;
        if (!x.sha256.empty()) m.digest = ManifestModel::Digest{x.sha256, line_of(x.sha256_span)};
        m.shape = x.shape;
        if (x.train && x.train->online) {
            const Model::Online& o = *x.train->online;
            m.online = ManifestModel::Online{o.kind, x.train->label_name, o.rate_bits, o.scale_bits, o.after};
        }
        if (x.train && !x.train->online) m.train = ManifestModel::Train{x.train->label_name, x.train->every_ns, x.train->window};
        m.line = line_of(x.span);
        return m;
    }

    ManifestField collected(const CollectItem& item, uint32_t offset) const {
        return std::visit(emit::Overloaded{
                              [&](const CollectItem::Value& v) {
                                  return ManifestField{item.name, scalar_name(v.type), offset, scalar_size(v.type), 1};
                              },
                              [&](const CollectItem::Ring& v) {
                                  const auto& r = std::get<State::Ring>(ir_.states.at(v.state).kind);
                                  return ManifestField{item.name, scalar_name(r.type), offset, scalar_size(r.type), r.n};
                              },
                              [&](const CollectItem::Text& v) {
                                  const bool address = ir_.fields.at(v.field).kind == FieldKind::Address;
                                  return ManifestField{item.name, address ? "address" : "str", offset, 16, 1};
                              },
                          },
                          item.what);
    }

    ManifestCollect collect(const Collect& c) const {
        const emit::Layout layout = emit::collect_layout(ir_, c);
        ManifestCollect m{{}, layout.size, c.sample};
        size_t item = 0;
        for (const emit::Member& member : layout.members)
            if (!emit::is_own(member)) m.fields.push_back(collected(c.items.at(item++), member.offset));
        return m;
    }

    // For people: a ring's offset is that of its first element, a mean is told as the 16 bytes that keep it.
    std::vector<ManifestField> state() const {
        std::vector<ManifestField> all;
        size_t next = 0;
        for (const emit::Member& member : emit::state_layout(ir_).members) {
            if (emit::is_own(member)) continue;
            const State& s = ir_.states.at(next++);
            const uint32_t at = member.offset;
            all.push_back(std::visit(
                emit::Overloaded{
                    [&](const State::Value& v) { return ManifestField{s.name, scalar_name(v.type), at, scalar_size(v.type), 1}; },
                    [&](const State::Ring& v) {
                        const uint32_t head = v.n > emit::kSmallRing ? std::max<uint32_t>(4, scalar_size(v.type)) : 0;
                        return ManifestField{s.name, scalar_name(v.type), at + head, scalar_size(v.type), emit::ring_slots(v.n)};
                    },
                    [&](const State::Ewma&) { return ManifestField{s.name, "ewma", at, 16, 1}; },
                    [&](const State::Count&) { return ManifestField{s.name, "u64", at, 8, 1}; },
                },
                s.kind));
        }
        return all;
    }

    const Ir& ir_;
    const Source& source_;
};

}  // namespace

Result<Manifest> make_manifest(const CheckedIr& checked, const Source& source) { return Build(checked.ir(), source).manifest(); }

}  // namespace rmt::lang
