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
        {"prefetch(page)", kFault, "ask for one page", "prefetch", {}},
        {"prefetch(n, step)", kFault, "ask for n pages: fault.page + step, + 2 step, ...", "prefetch", {}},
    };
    return d;
}

constexpr EventSet kAck = event_bit(Event::Ack) | event_bit(Event::Round);
constexpr EventSet kTcp = kAck | event_bit(Event::Established) | event_bit(Event::Loss) | event_bit(Event::Rto);
constexpr int64_t kMostTime = int64_t{1} << 42;       // ns, 73 minutes
constexpr int64_t kMostSegments = int64_t{1} << 30;
constexpr int64_t kMostRate = int64_t{1} << 42;       // bytes per second

FieldProfile duration(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Number, {Scalar::Ns, {0, kMostTime}, Unit::Ns}, {}}, events, "ns", meaning};
}

FieldProfile segments(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Number, {Scalar::U32, {0, kMostSegments}, Unit::Segments}, {}}, events, "u32 segments", meaning};
}

FieldProfile rate(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Number, {Scalar::Rate, {0, kMostRate}, Unit::Rate}, {}}, events, "rate", meaning};
}

FieldProfile address(const char* name, EventSet events, const char* meaning) {
    return {{name, FieldKind::Address, {}, {}}, events, "address", meaning};
}

// Times are nanoseconds as everywhere, though the kernel measures microseconds. docs/hooks.md says how each is made.
Domain make_tcp() {
    Domain d;
    d.name = "tcp";
    d.supported = true;
    d.events = {
        {"tcp.established", Event::Established, "a connection is open, or came under the policy"},
        {"tcp.ack", Event::Ack, "an acknowledgement, after the base has dealt with it"},
        {"tcp.round", Event::Round, "once in a round trip: the first acknowledgement of what was sent after the last round"},
        {"tcp.loss", Event::Loss, "fast recovery, or a reduction by ECN, begins"},
        {"tcp.rto", Event::Rto, "the retransmission timer fired"},
    };
    d.fields = {
        duration("tcp.srtt", kTcp, "smoothed round-trip time; 0 before the first sample"),
        duration("tcp.rtt", kTcp, "mean round-trip time of the last round"),
        duration("tcp.min_rtt", kTcp, "least round-trip time of the last 10 s"),
        limited("tcp.rtt_gradient", Scalar::I32, {-1'000'000, 1'000'000}, kTcp, "how much the mean rose from the round before to the last, 1/1000 of min_rtt", Unit::None),
        rate("tcp.rate", kTcp, "delivery rate, the last sample"),
        rate("tcp.max_rate", kTcp, "most of tcp.rate in the last 10 rounds"),
        segments("tcp.bdp", kTcp, "max_rate times min_rtt: what fills the path without a queue"),
        segments("tcp.inflight", kTcp, "sent, neither acknowledged nor lost"),
        segments("tcp.delivered", kTcp, "delivered in the last round; on tcp.ack by this acknowledgement"),
        segments("tcp.lost", kTcp, "marked lost in the last round"),
        limited("tcp.loss_rate", Scalar::U16, {0, 1000}, kTcp, "lost of lost and delivered in the last round, 1/1000", Unit::None),
        segments("tcp.retrans", kTcp, "retransmitted since the connection began"),
        limited("tcp.ecn", Scalar::U16, {0, 1000}, kTcp, "marked by ECN of those delivered in the last round, 1/1000", Unit::None),
        segments("tcp.cwnd", kTcp, "congestion window, as the base left it"),
        segments("tcp.ssthresh", kTcp, "slow-start threshold, as the base left it"),
        boolean("tcp.slow_start", kTcp, "cwnd is below ssthresh"),
        boolean("tcp.app_limited", kTcp, "the sender had too little to send when the sample was taken"),
        enumeration("tcp.state", {{"open", 1}, {"disorder", 2}, {"cwr", 3}, {"recovery", 4}, {"loss", 5}}, kTcp, "state of congestion avoidance"),
        duration("tcp.age", kTcp, "since the connection came under the policy"),
        segments("tcp.rounds", kTcp, "rounds since then"),
        limited("tcp.mss", Scalar::U16, {0, 65535}, kTcp, "bytes of a segment", Unit::Bytes),
        address("tcp.dst", kTcp, "address of the peer, IPv4 or IPv6"),
        limited("tcp.dport", Scalar::U16, {0, 65535}, kTcp, "port of the peer", Unit::None),
        limited("tcp.sport", Scalar::U16, {0, 65535}, kTcp, "own port", Unit::None),
        number("cgroup", Scalar::U64, kTcp, "id of the socket's cgroup (version 2)"),
        number("cpu", Scalar::U32, kTcp, "processor"),
        number("ts", Scalar::Ns, kTcp, "time of the event since boot", Unit::Ns),
        segments("cwnd", kTcp, "what the window is going to be: tcp.cwnd, or what was assigned"),
        segments("ssthresh", kTcp, "what the threshold is going to be"),
        rate("pacing", kTcp, "what the pacing rate is going to be; the largest number: not paced"),
    };
    d.sinks = {
        {"cwnd = SEGMENTS", kTcp, "the congestion window", "cwnd", ir::Sink::Cwnd},
        {"ssthresh = SEGMENTS", kTcp, "the slow-start threshold; never above the window, outside of slow start", "ssthresh", ir::Sink::Ssthresh},
        {"pacing = RATE", kTcp, "the pacing rate, until the policy gives another", "pacing", ir::Sink::Pacing},
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
        make_tcp(),
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

const SinkProfile* find_sink(const Domain& domain, const std::string& name) {
    return find_named(domain.sinks, name, [](const SinkProfile& s) { return s.name; });
}

const char* event_name(ir::Event event) {
    for (const Domain& d : domains())
        for (const EventProfile& e : d.events)
            if (e.event == event) return e.name.c_str();
    return "";
}

std::string event_symbol(ir::Event event) {
    const std::string name = event_name(event);
    return name.substr(name.find('.') + 1);
}

std::string event_list(EventSet events) {
    std::string out;
    for (const Domain& d : domains())
        for (const EventProfile& e : d.events)
            if (events & event_bit(e.event)) out += (out.empty() ? "" : ", ") + e.name;
    return out;
}

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
        EventSet all = 0;
        for (const EventProfile& e : d->events) all |= event_bit(e.event);
        if (f.events != all) out += " (on " + event_list(f.events) + ")";
        out += "\n";
    }
    out += "\nsinks\n";
    for (const SinkProfile& s : d->sinks) out += fmt::format("  {:<22}{}\n", s.form, s.meaning);
    return out;
}

}  // namespace rmt::lang
