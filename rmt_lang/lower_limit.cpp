// SPDX-License-Identifier: MIT
// Limits: what holds whatever a model, an entry or an action says.
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

}  // namespace

void Lowerer::limit_bound(const AstLimitBound& bound, Span span) {
    static const std::vector<std::string> kSubjects{"prefetch.pages", "cost"};
    const std::string& subject = bound.subject.text;
    if (bound.change || bound.per == AstLimitBound::Per::Other)
        return unsupported(span, bound.change ? "a limit of a change" : fmt::format("a limit per {}", bound.unit->text), "write per event, or per TIME");
    if (subject != "prefetch.pages" && subject != "cost") {
        const std::string near = closest(subject, kSubjects);
        const auto elsewhere = domains_with_field(subject);
        error("E0601", bound.subject.span, fmt::format("domain '{}' has no limit '{}'", domain_->name, subject),
              !near.empty() ? fmt::format("did you mean '{}'?", near) : elsewhere.empty() ? "" : fmt::format("available in: {}", fmt::join(elsewhere, ", ")),
              "prefetch.pages <= N per event, prefetch.pages <= N per TIME, cost <= TIME per event");
        return;
    }
    if (bound.op != Tok::Le) {
        error("E0602", bound.op_span, fmt::format("a limit is an upper bound, '{}' is none", spelling(bound.op)), "'<=' expected");
        return;
    }
    if (bound.per == AstLimitBound::Per::None) {
        error("E0602", span, fmt::format("the limit of {} has no 'per'", subject), "", subject == "cost" ? "write per event" : "write per event, or per TIME");
        return;
    }
    const bool per_event = bound.per == AstLimitBound::Per::Event;
    auto once = [&](const auto& slot) {
        if (slot) error_with("E0603", span, fmt::format("this limit of {} is given twice", subject), "", slot->span, "here before");
        return !slot;
    };
    if (subject == "cost") {
        if (!per_event) return error("E0602", bound.window->span, "cost is limited per event", "", "write cost <= TIME per event");
        const auto ns = time_constant(bound.bound, "the limit of cost", "E0604");
        if (!ns || !once(out_.limits.cost)) return;
        if (*ns > kMaxCostNs) return error("E0605", bound.bound.span, "a cost of more than 1s per event is no limit");
        out_.limits.cost = {*ns, span};
        return;
    }
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
        if (once(out_.limits.per_event)) out_.limits.per_event = {static_cast<uint32_t>(pages->value), span};
        return;
    }
    const auto window = time_constant(*bound.window, "the window of a limit", "E0604");
    if (!window || !once(out_.limits.rate)) return;
    if (*window < kMinWindowNs || *window > kMaxWindowNs) return error("E0605", bound.window->span, "the window of a limit is 1ms..3600s");
    if (pages->value > INT64_MAX / static_cast<int64_t>(*window))
        return error("E0605", span, "this many pages over this long a window do not fit in 64 bits", "", "choose a shorter window, or fewer pages");
    out_.limits.rate = {static_cast<uint64_t>(pages->value), *window, span};
}

void Lowerer::limit_on(const AstLimitOn& on, Span span) {
    if (on.what.text == "stall") return unsupported(span, "`on stall`");
    if (on.what.text != "breach") {
        error("E0601", on.what.span, fmt::format("'{}' is not a reason to react", on.what.text), "", "write on breach (accuracy < P% over TIME) => mode shadow");
        return;
    }
    if (on.reaction.text == "detach") return unsupported(on.reaction.span, "the reaction `detach`", "write => mode shadow");
    if (on.measure.text != "accuracy") {
        const std::string near = closest(on.measure.text, {"accuracy"});
        error("E0606", on.measure.span, fmt::format("domain '{}' has no measure '{}'", domain_->name, on.measure.text),
              near.empty() ? "" : "did you mean 'accuracy'?", "accuracy: of the pages read ahead, the part that was used");
        return;
    }
    if (on.op != Tok::Lt) {
        error("E0602", on.op_span, "accuracy is breached from above", "'<' expected");
        return;
    }
    if (on.mode->text != "shadow") {
        if (on.mode->text == "off") return unsupported(on.mode->span, "the reaction `mode off`", "write => mode shadow");
        return error("E0214", on.mode->span, fmt::format("'{}' is not a mode to fall back to", on.mode->text), "'shadow' expected");
    }
    const auto threshold = constant(on.threshold, "the threshold");
    if (!threshold) return;
    if (threshold->unit != Unit::Percent) {
        error("E0604", on.threshold.span, fmt::format("accuracy is a percentage, '{}' is {}", text(on.threshold.span), threshold->what()),
              "", fmt::format("write {}%", threshold->value));
        return;
    }
    if (threshold->value < 1 || threshold->value > 100) return error("E0605", on.threshold.span, "a threshold is 1%..100%");
    if (!on.over) return error("E0602", span, "a breach is measured over a time", "", "write (accuracy < 30% over 2s)");
    const auto window = time_constant(*on.over, "the window of a breach", "E0604");
    const auto hold = on.hold ? time_constant(*on.hold, "the time in shadow", "E0604") : std::optional<uint64_t>{0};
    if (!window || !hold) return;
    if (*window < kMinWindowNs || *window > kMaxWindowNs) return error("E0605", on.over->span, "the window of a breach is 1ms..3600s");
    if (out_.limits.breach) return error_with("E0603", span, "a breach of accuracy is given twice", "", out_.limits.breach->span, "here before");
    out_.limits.breach = {"accuracy", static_cast<uint32_t>(threshold->value), *window, *hold, span};
}

void Lowerer::lower_limit(const AstLimit& limit) {
    for (const AstLimitRule& rule : limit.rules) {
        if (const auto* bound = std::get_if<AstLimitBound>(&rule.node)) {
            limit_bound(*bound, rule.span);
        } else if (const auto* on = std::get_if<AstLimitOn>(&rule.node)) {
            limit_on(*on, rule.span);
        } else {
            const auto& range = std::get<AstLimitRange>(rule.node);
            const auto elsewhere = domains_with_field(range.subject.text);
            if (elsewhere.empty())
                unsupported(rule.span, "a limit by a range", "write prefetch.pages <= N per event");
            else
                error("E0601", range.subject.span, fmt::format("domain '{}' has no limit '{}'", domain_->name, range.subject.text),
                      fmt::format("available in: {}", fmt::join(elsewhere, ", ")));
        }
    }
}

}  // namespace rmt::lang
