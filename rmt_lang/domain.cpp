// SPDX-License-Identifier: MIT
#include "rmt_lang/domain.h"

#include <algorithm>

#include <fmt/format.h>

namespace rmt::lang {

namespace {

using ir::Event;
using ir::FieldKind;
using ir::Scalar;
using ir::Unit;

constexpr EventSet kFault = event_bit(Event::Fault);
constexpr EventSet kOutcome = event_bit(Event::Outcome);
constexpr EventSet kBoth = kFault | kOutcome;

FieldProfile number(const char* name, Scalar scalar, EventSet events, const char* meaning, Unit unit = Unit::None) {
    const ir::Type type{scalar, ir::scalar_interval(scalar), unit};
    return {{name, FieldKind::Number, type, {}}, events, ir::scalar_name(scalar), meaning};
}

FieldProfile limited(const char* name, Scalar scalar, ir::Interval range, EventSet events, const char* meaning, Unit unit) {
    const std::string type = fmt::format("{} {}..{}", ir::scalar_name(scalar), range.lo, range.hi);
    return {{name, FieldKind::Number, {scalar, range, unit}, {}}, events, type, meaning};
}

FieldProfile boolean(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Bool, {Scalar::Bool, {0, 1}, Unit::None}, {{"false", 0}, {"true", 1}}}, events, "bool", meaning};
}

FieldProfile enumeration(const char* name, std::vector<std::pair<std::string, int64_t>> values, EventSet events,
                         const char* meaning) {
    std::string type;
    for (const auto& [value, n] : values) type += fmt::format("{}{}={}", type.empty() ? "" : " | ", value, n);
    // A kernel that cannot tell gives 0, which no name stands for.
    const ir::Interval range{0, values.back().second};
    return {{name, FieldKind::Enum, {Scalar::U8, range, Unit::None}, std::move(values)}, events, type, meaning};
}

FieldProfile text(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Text, {}, {}}, events, "str (15 bytes)", meaning};
}

Domain make_mm() {
    Domain d;
    d.name = "mm";
    d.supported = true;
    d.events = {
        {"mm.fault", Event::Fault, "a page fault on swapped or prefetched memory"},
        {"mm.outcome", Event::Outcome, "a page that this policy had brought in turned out used, late or wasted"},
    };
    d.fields = {
        number("fault.page", Scalar::Page, kBoth, "page of the fault (virtual address >> 12)", Unit::Page),
        number("fault.delta", Scalar::I32, kFault, "pages from the task's last event to this one", Unit::None),
        boolean("fault.prefetched", kBoth, "this policy had brought the page in"),
        boolean("fault.asked", kFault, "this policy has asked for the page lately, whether or not it came in time"),
        number("fault.lead", Scalar::U8, kFault, "pages that the task's policy asked for after this one; 0 when it was not asked for"),
        boolean("fault.major", kBoth, "the fault has to wait for a read"),
        boolean("fault.write", kBoth, "the access is a write"),
        enumeration("vma.kind", {{"anon", 1}, {"file", 2}}, kBoth, "what is mapped there"),
        number("vma.start", Scalar::Page, kBoth, "first page of the mapping, 0 where the kernel does not tell", Unit::Page),
        number("vma.end", Scalar::Page, kBoth, "page after the mapping, 0 where the kernel does not tell", Unit::Page),
        limited("memcg.usage_percent", Scalar::U8, {0, 100}, kBoth, "memory in use, of the cgroup's limit", Unit::Percent),
        number("cgroup", Scalar::U64, kBoth, "id of the memory cgroup"),
        text("comm", kBoth, "name of the task"),
        number("pid", Scalar::U32, kBoth, "id of the thread"),
        number("tgid", Scalar::U32, kBoth, "id of the process"),
        number("cpu", Scalar::U32, kBoth, "processor that runs the task"),
        number("ts", Scalar::Ns, kBoth, "time of the event since boot", Unit::Ns),
        number("outcome.page", Scalar::Page, kOutcome, "the page that had been brought in", Unit::Page),
        enumeration("outcome.kind", {{"used", 1}, {"late", 2}, {"wasted", 3}}, kOutcome,
                    "used: in time; late: the fault still waited; wasted: gone before its use"),
    };
    d.sinks = {
        {"prefetch(page)", kFault, "ask for one page"},
        {"prefetch(n, step)", kFault, "ask for n pages: fault.page + step, + 2 step, ..."},
    };
    return d;
}

Domain make_coming(const char* name, std::vector<std::string> fields) {
    Domain d;
    d.name = name;
    d.coming = std::move(fields);
    return d;
}

template <class T, class F>
const T* find_named(const std::vector<T>& items, const std::string& wanted, F name_of) {
    const auto it = std::find_if(items.begin(), items.end(), [&](const T& item) { return name_of(item) == wanted; });
    return it == items.end() ? nullptr : &*it;
}

}  // namespace

const std::vector<Domain>& domains() {
    static const std::vector<Domain> all{
        make_mm(),
        make_coming("sched", {"task.nice", "task.waker_same_cgroup", "sched.ran", "sched.enqueue", "sched.wakeup", "slice"}),
        make_coming("tcp", {"tcp.srtt", "tcp.rtt", "tcp.inflight", "tcp.lost", "tcp.rate", "tcp.dst", "cwnd"}),
    };
    return all;
}

const Domain* find_domain(const std::string& name) {
    return find_named(domains(), name, [](const Domain& d) { return d.name; });
}

const FieldProfile* find_field(const Domain& domain, const std::string& name) {
    return find_named(domain.fields, name, [](const FieldProfile& f) { return f.field.name; });
}

const EventProfile* find_event(const Domain& domain, const std::string& name) {
    return find_named(domain.events, name, [](const EventProfile& e) { return e.name; });
}

const char* event_name(ir::Event event) { return event == Event::Fault ? "mm.fault" : "mm.outcome"; }

std::vector<std::string> domains_with_field(const std::string& name) {
    std::vector<std::string> out;
    for (const Domain& d : domains())
        if (find_field(d, name) || std::find(d.coming.begin(), d.coming.end(), name) != d.coming.end()) out.push_back(d.name);
    return out;
}

std::string explain_fields(const std::string& name) {
    const Domain* d = find_domain(name);
    if (!d) return {};
    if (!d->supported) return fmt::format("domain {} is not supported yet\n", name);
    std::string out = fmt::format("domain {}\n\nevents\n", name);
    for (const EventProfile& e : d->events) out += fmt::format("  {:<22}{}\n", e.name, e.meaning);
    out += "\nfields\n";
    for (const FieldProfile& f : d->fields) {
        out += fmt::format("  {:<22}{:<30}{}", f.field.name, f.type, f.meaning);
        if (f.events == kFault) out += " (on mm.fault)";
        if (f.events == kOutcome) out += " (on mm.outcome)";
        out += "\n";
    }
    out += "\nsinks\n";
    for (const SinkProfile& s : d->sinks) out += fmt::format("  {:<22}{}\n", s.form, s.meaning);
    return out;
}

}  // namespace rmt::lang
