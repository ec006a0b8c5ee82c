// SPDX-License-Identifier: MIT
#include "loader/cli/tcp_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "loader/agent/actuator.h"

namespace rmt::cli {

namespace {

using load::CgroupFigures;
using load::LivePolicy;

double ratio(uint64_t part, uint64_t whole) { return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

struct Means {
    double rtt_us, queue_us, loss;
};

Means means(const rmt_cgroup& f) {
    const auto& s = f.stat;
    return {ratio(s[RMT_TCP_RTT_US], s[RMT_TCP_ROUNDS]), ratio(s[RMT_TCP_QUEUE_US], s[RMT_TCP_ROUNDS]),
            ratio(s[RMT_TCP_LOST], s[RMT_TCP_DELIVERED] + s[RMT_TCP_LOST])};
}

bool breaker_open(const rmt_cgroup& f) { return f.breaker.open_until_ns > load::monotonic_ns(); }

}  // namespace

Json sockets_json(const load::SocketFigures& sockets) {
    Json reasons = Json::array();
    for (const auto& [reason, count] : sockets.reasons) reasons.push_back({{"reason", reason}, {"count", count}});
    return {{"seen", sockets.seen}, {"changed", sockets.changed}, {"refused", sockets.refused}, {"reasons", reasons}, {"namespaces", sockets.namespaces},
            {"unreachable", sockets.unreachable}};
}

std::string sockets_text(const load::SocketFigures& sockets, const char* what) {
    std::string text = fmt::format("{} open socket{} in {} network namespace{}", sockets.seen, sockets.seen == 1 ? "" : "s", sockets.namespaces,
                                   sockets.namespaces == 1 ? "" : "s");
    if (sockets.seen) text += fmt::format(", {} {}", sockets.changed, what);
    if (sockets.refused) text += fmt::format(", {} refused", sockets.refused);
    return text;
}

void say_troubles(const Output& out, const load::SocketFigures& sockets) {
    for (const auto& [reason, count] : sockets.reasons) out.say(fmt::format("warning: {} refused {}", count, reason));
    for (const std::string& one : sockets.unreachable) out.say("warning: sockets were not looked at in " + one);
}

Json tcp_cgroup_json(const LivePolicy& live, const CgroupFigures& c) {
    Json stat = Json::object(), refused = Json::array();
    for (uint32_t i = 0; i < RMT_STAT_COUNT; i++)
        if (const char* name = load::tcp_stat_name(i); *name) stat[name] = c.figures.stat[i];
    if (const auto all = load::refusals(live))
        for (const load::Refusals& one : *all)
            if (one.what.scope == c.id) refused.push_back({{"errno", one.what.error}, {"reason", load::refusal_text(one.what)}, {"count", one.count}});
    const Means m = means(c.figures);
    return {{"id", c.id}, {"path", c.path}, {"guarded", load::is_guarded(live, c.id)}, {"rtt_us", m.rtt_us}, {"queue_us", m.queue_us}, {"loss", m.loss},
            {"breaker_open", breaker_open(c.figures)}, {"stat", stat}, {"refused", refused}};
}

std::string tcp_cgroup_text(const LivePolicy& live, const CgroupFigures& c) {
    const auto& s = c.figures.stat;
    const Means m = means(c.figures);
    std::string text = (c.path.empty() ? fmt::format("cgroup {} (has gone)", c.id) : c.path) + (load::is_guarded(live, c.id) ? "   guarded" : "") +
                       (breaker_open(c.figures) ? "   BREAKER OPEN" : "") + "\n";
    text += fmt::format("  sockets   {:>12}   of them open before {}   closed {}   given back {}\n", s[RMT_TCP_SOCKETS], s[RMT_TCP_CONVERTED],
                        s[RMT_TCP_CLOSED], s[RMT_TCP_RESTORED]);
    text += fmt::format("  traffic   {:>12} segments   acks {}   rounds {}   lost {} ({:.2f} %)\n", s[RMT_TCP_DELIVERED], s[RMT_TCP_ACKS], s[RMT_TCP_ROUNDS],
                        s[RMT_TCP_LOST], 100 * m.loss);
    text += fmt::format("  delay     {:>12} mean round trip   {} of it in queues   recoveries {}   timeouts {}\n", format_ns(m.rtt_us * 1e3),
                        format_ns(m.queue_us * 1e3), s[RMT_TCP_LOSS_EVENTS], s[RMT_TCP_RTO_EVENTS]);
    text += fmt::format("  decisions {:>12}   windows set {}   ssthresh {}   pacing {}   changed by a limit {}\n", s[RMT_TCP_DECISIONS], s[RMT_TCP_SET_CWND],
                        s[RMT_TCP_SET_SSTHRESH], s[RMT_TCP_SET_PACING], s[RMT_TCP_CLAMPED]);
    if (s[RMT_TCP_SHADOWED]) {
        const uint64_t scored = s[RMT_TCP_SHADOW_AGREE] + s[RMT_TCP_SHADOW_ABOVE] + s[RMT_TCP_SHADOW_BELOW];
        text += fmt::format("  shadow    {:>12} not carried out   of {} windows {:.1f} % as the one in force, {:.1f} % above, {:.1f} % below\n", s[RMT_TCP_SHADOWED],
                            scored, 100 * ratio(s[RMT_TCP_SHADOW_AGREE], scored), 100 * ratio(s[RMT_TCP_SHADOW_ABOVE], scored),
                            100 * ratio(s[RMT_TCP_SHADOW_BELOW], scored));
    }
    // Never hidden: what was refused, lost, or answered without a model.
    text += fmt::format("  refused   {:>12} sockets   {} choices of applications   collect_full {}   on_error {}   no_storage {}   breaches {}\n",
                        s[RMT_TCP_REFUSED], s[RMT_TCP_GUARDED], s[RMT_TCP_COLLECT_FULL], s[RMT_TCP_ON_ERROR], s[RMT_TCP_NO_STORAGE], s[RMT_TCP_BREACH]);
    if (const auto all = load::refusals(live))
        for (const load::Refusals& one : *all)
            if (one.what.scope == c.id) text += fmt::format("            {:>12} {}\n", one.count, load::refusal_text(one.what));
    return text;
}

std::string endpoint_text(uint32_t family, const uint8_t address[16], uint16_t port) {
    char text[INET6_ADDRSTRLEN] = "?";
    inet_ntop(static_cast<int>(family), address, text, sizeof(text));
    return family == AF_INET6 ? fmt::format("[{}]:{}", text, ntohs(port)) : fmt::format("{}:{}", text, ntohs(port));
}

std::string rate_text(uint64_t bytes_per_second) {
    if (bytes_per_second == ~0ull || bytes_per_second == ~0u) return "not paced";
    const double bits = static_cast<double>(bytes_per_second) * 8;
    if (bits < 1e6) return fmt::format("{:.1f} kbit/s", bits / 1e3);
    if (bits < 1e9) return fmt::format("{:.1f} Mbit/s", bits / 1e6);
    return fmt::format("{:.2f} Gbit/s", bits / 1e9);
}

const char* state_name(uint32_t state) {
    static const char* const kNames[] = {"?", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait",
                                         "close", "close-wait", "last-ack", "listen", "closing", "syn-recv", "bound"};
    return state < std::size(kNames) ? kNames[state] : "?";
}

}  // namespace rmt::cli
