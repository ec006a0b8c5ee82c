// SPDX-License-Identifier: MIT
// Limits: what holds whatever a model, an entry or an action says.
#include <algorithm>

#include <fmt/format.h>

#include "bpf/include/rmt/intf.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::Unit;

namespace {

constexpr int64_t kMaxRate = 1'000'000'000;        // pages per window
constexpr uint64_t kMinWindowNs = 1'000'000;       // 1 ms
constexpr uint64_t kMaxWindowNs = 3'600'000'000'000;  // 1 h: the bucket multiplies rate by elapsed time
constexpr uint64_t kMaxCostNs = 1'000'000'000;
constexpr int64_t kMaxChange = 1024;

}  // namespace

template <class T>
bool Lowerer::limit_once(const std::optional<T>& slot, Span span, const std::string& what) {
    if (slot) error_with("E0603", span, fmt::format("this limit of {} is given twice", what), "", slot->span, "here before");
    return !slot;
}

void Lowerer::limit_bound(const AstLimitBound& bound, Span span) {
    const bool tcp = domain_->name == "tcp";
    const std::vector<std::string> subjects = tcp ? std::vector<std::string>{"cwnd", "pacing", "cost"} : std::vector<std::string>{"prefetch.pages", "cost"};
    const char* forms = tcp ? "cwnd in LO..HI, pacing in LO..HI, cwnd change <= Nx per rtt, cost <= TIME per event"
                            : "prefetch.pages <= N per event, prefetch.pages <= N per TIME, cost <= TIME per event";
    const std::string& subject = bound.subject.text;
    if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end()) {
        const std::string near = closest(subject, subjects);
        const auto elsewhere = domains_with_field(subject);
        error("E0601", bound.subject.span, fmt::format("domain '{}' has no limit '{}'", domain_->name, subject),
              !near.empty() ? fmt::format("did you mean '{}'?", near) : elsewhere.empty() ? "" : fmt::format("available in: {}", fmt::join(elsewhere, ", ")), forms);
        return;
    }
    if (bound.change && tcp) return limit_change(bound, span);
    if (bound.change || bound.per == AstLimitBound::Per::Other)
        return unsupported(span, bound.change ? "a limit of a change" : fmt::format("a limit per {}", bound.unit->text), "write per event, or per TIME");
    if (bound.op != Tok::Le) {
        error("E0602", bound.op_span, fmt::format("a limit is an upper bound, '{}' is none", spelling(bound.op)), "'<=' expected");
        return;
    }
    if (subject == "cwnd" || subject == "pacing") return error("E0602", span, fmt::format("{} is limited by a range", subject), "", fmt::format("write {} in LO..HI", subject));
    if (bound.per == AstLimitBound::Per::None) {
        error("E0602", span, fmt::format("the limit of {} has no 'per'", subject), "", subject == "cost" ? "write per event" : "write per event, or per TIME");
        return;
    }
    if (subject == "cost") return limit_cost(bound, span);
    limit_pages(bound, span);
}

void Lowerer::limit_cost(const AstLimitBound& bound, Span span) {
    if (bound.per != AstLimitBound::Per::Event) return error("E0602", bound.window->span, "cost is limited per event", "", "write cost <= TIME per event");
    const auto ns = time_constant(bound.bound, "the limit of cost", "E0604");
    if (!ns || !limit_once(out_.limits.cost, span, "cost")) return;
    if (*ns > kMaxCostNs) return error("E0605", bound.bound.span, "a cost of more than 1s per event is no limit");
    out_.limits.cost = {*ns, span};
}

void Lowerer::limit_pages(const AstLimitBound& bound, Span span) {
    const bool per_event = bound.per == AstLimitBound::Per::Event;
    const auto pages = constant(bound.bound, "the limit of prefetch.pages");
    if (!pages) return;
    if (pages->is_bool || (pages->unit != Unit::None && pages->unit != Unit::Pages)) {
        error("E0604", bound.bound.span, fmt::format("prefetch.pages is an amount of pages, '{}' is {}", text(bound.bound.span), pages->what()));
        return;
    }
    const int64_t most = per_event ? RMT_MAX_PAGES : kMaxRate;
    if (pages->value < 1 || pages->value > most) {
        error("E0605", bound.bound.span, fmt::format("{} pages per {}, 1..{} are possible", pages->value, per_event ? "event" : "window", most));
        return;
    }
    if (per_event) {
        if (limit_once(out_.limits.per_event, span, "prefetch.pages")) out_.limits.per_event = {static_cast<uint32_t>(pages->value), span};
        return;
    }
    const auto window = time_constant(*bound.window, "the window of a limit", "E0604");
    if (!window || !limit_once(out_.limits.rate, span, "prefetch.pages")) return;
    if (*window < kMinWindowNs || *window > kMaxWindowNs) return error("E0605", bound.window->span, "the window of a limit is 1ms..3600s");
    if (pages->value > INT64_MAX / static_cast<int64_t>(*window))
        return error("E0605", span, "this many pages over this long a window do not fit in 64 bits", "", "choose a shorter window, or fewer pages");
    out_.limits.rate = {static_cast<uint64_t>(pages->value), *window, span};
}

// cwnd change <= 2x per rtt: within half and twice the window that the round began with.
void Lowerer::limit_change(const AstLimitBound& bound, Span span) {
    const auto* times = std::get_if<AstInt>(&bound.bound.node);
    const bool per_round = bound.per == AstLimitBound::Per::Other && (bound.unit->text == "rtt" || bound.unit->text == "round");
    if (bound.subject.text != "cwnd" || bound.op != Tok::Le || !per_round || !times || times->unit != WrittenUnit::Times)
        return error("E0602", span, "a change is limited for cwnd, by a factor, per round trip", "", "write cwnd change <= 2x per rtt");
    if (times->value < 2 || times->value > kMaxChange) return error("E0605", bound.bound.span, fmt::format("a factor of {}, 2x..{}x are possible", times->value, kMaxChange));
    if (limit_once(out_.limits.change, span, "the change of cwnd")) out_.limits.change = {static_cast<uint32_t>(times->value), span};
}

// cwnd in 4..4096; pacing in 1mbit..10gbit. The ends are proved on the bytecode, so they stay inside the profile's range.
void Lowerer::limit_range(const AstLimitRange& range, Span span) {
    const std::string& subject = range.subject.text;
    if (domain_->name != "tcp" || (subject != "cwnd" && subject != "pacing")) {
        const auto elsewhere = domains_with_field(subject);
        if (elsewhere.empty()) return unsupported(span, "a limit by a range", domain_->name == "tcp" ? "write cwnd in LO..HI" : "write prefetch.pages <= N per event");
        error("E0601", range.subject.span, fmt::format("domain '{}' has no limit '{}'", domain_->name, subject), fmt::format("available in: {}", fmt::join(elsewhere, ", ")));
        return;
    }
    const bool window = subject == "cwnd";
    const ir::Interval may = window ? ir::kWindowRange : ir::kPacingRange;
    int64_t ends[2] = {};
    for (const int i : {0, 1}) {
        const AstExpr& e = i ? range.hi : range.lo;
        const auto c = constant(e, fmt::format("the limit of {}", subject));
        if (!c) return;
        if (c->is_bool || c->unit != (window ? Unit::None : Unit::Rate))
            return error("E0604", e.span, fmt::format("{} is {}, '{}' is {}", subject, window ? "an amount of segments" : "a rate", text(e.span), c->what()), "",
                         window ? "write a number of segments" : "write a rate with its unit, for example 10mbit");
        if (c->value < may.lo || c->value > may.hi)
            return error("E0605", e.span, fmt::format("{} cannot be {}", subject, c->value), fmt::format("{}..{} are possible", may.lo, may.hi),
                         window && c->value < may.lo ? "a window below 2 stops a connection" : "");
        ends[i] = c->value;
    }
    if (ends[0] > ends[1]) return error("E0605", span, "this range is empty", fmt::format("{} is more than {}", ends[0], ends[1]), "the smaller end comes first");
    auto& slot = window ? out_.limits.cwnd : out_.limits.pacing;
    if (limit_once(slot, span, subject)) slot = {ends[0], ends[1], span};
}

void Lowerer::limit_on(const AstLimitOn& on, Span span) {
    // accuracy falls below, retransmissions rise above.
    const bool tcp = domain_->name == "tcp";
    const std::string measure = tcp ? "retrans" : "accuracy";
    const Tok side = tcp ? Tok::Gt : Tok::Lt;
    if (on.what.text == "stall") return unsupported(span, "`on stall`");
    if (on.what.text != "breach") {
        error("E0601", on.what.span, fmt::format("'{}' is not a reason to react", on.what.text), "", fmt::format("write on breach ({} {} P% over TIME) => mode shadow", measure, spelling(side)));
        return;
    }
    if (on.reaction.text == "detach") return unsupported(on.reaction.span, "the reaction `detach`", "write => mode shadow");
    if (on.measure.text != measure) {
        const std::string near = closest(on.measure.text, {measure});
        error("E0606", on.measure.span, fmt::format("domain '{}' has no measure '{}'", domain_->name, on.measure.text),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near),
              tcp ? "retrans: of the segments delivered and lost, the part that was lost" : "accuracy: of the pages read ahead, the part that was used");
        return;
    }
    if (on.op != side) {
        error("E0602", on.op_span, fmt::format("{} is breached from {}", measure, tcp ? "below" : "above"), fmt::format("'{}' expected", spelling(side)));
        return;
    }
    if (on.mode->text != "shadow") {
        if (on.mode->text == "off") return unsupported(on.mode->span, "the reaction `mode off`", "write => mode shadow");
        return error("E0214", on.mode->span, fmt::format("'{}' is not a mode to fall back to", on.mode->text), "'shadow' expected");
    }
    const auto threshold = constant(on.threshold, "the threshold");
    if (!threshold) return;
    if (threshold->unit != Unit::Percent) {
        error("E0604", on.threshold.span, fmt::format("{} is a percentage, '{}' is {}", measure, text(on.threshold.span), threshold->what()),
              "", fmt::format("write {}%", threshold->value));
        return;
    }
    if (threshold->value < 1 || threshold->value > 100) return error("E0605", on.threshold.span, "a threshold is 1%..100%");
    if (!on.over) return error("E0602", span, "a breach is measured over a time", "", tcp ? "write (retrans > 3% over 10s)" : "write (accuracy < 30% over 2s)");
    const auto window = time_constant(*on.over, "the window of a breach", "E0604");
    const auto hold = on.hold ? time_constant(*on.hold, "the time in shadow", "E0604") : std::optional<uint64_t>{0};
    if (!window || !hold) return;
    if (*window < kMinWindowNs || *window > kMaxWindowNs) return error("E0605", on.over->span, "the window of a breach is 1ms..3600s");
    if (out_.limits.breach) return error_with("E0603", span, fmt::format("a breach of {} is given twice", measure), "", out_.limits.breach->span, "here before");
    out_.limits.breach = {measure, static_cast<uint32_t>(threshold->value), *window, *hold, span};
}

void Lowerer::lower_limit(const AstLimit& limit) {
    for (const AstLimitRule& rule : limit.rules) {
        if (const auto* bound = std::get_if<AstLimitBound>(&rule.node)) {
            limit_bound(*bound, rule.span);
        } else if (const auto* on = std::get_if<AstLimitOn>(&rule.node)) {
            limit_on(*on, rule.span);
        } else {
            limit_range(std::get<AstLimitRange>(rule.node), rule.span);
        }
    }
}

}  // namespace rmt::lang
