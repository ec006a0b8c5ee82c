// SPDX-License-Identifier: MIT
// why: what a policy of domain tcp last did with one socket, and which entry said so.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "loader/agent/actuator.h"
#include "loader/bpffs.h"
#include "loader/cgroup.h"
#include "loader/cli/commands.h"
#include "loader/cli/tcp_text.h"
#include "loader/live.h"
#include "loader/tcp/pass.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;

// IPv4 as ::ffff:a.b.c.d, so that a socket of either family is found.
struct Endpoint {
    std::array<uint8_t, 16> address{};
    uint16_t port = 0;  // network order
    bool operator==(const Endpoint&) const = default;
};

Endpoint endpoint_of(uint32_t family, const uint8_t* address, uint16_t port) {
    Endpoint e;
    e.port = port;
    if (family == AF_INET6) {
        std::memcpy(e.address.data(), address, 16);
    } else {
        e.address[10] = e.address[11] = 0xff;
        std::memcpy(e.address.data() + 12, address, 4);
    }
    return e;
}

std::optional<Endpoint> parse_endpoint(const std::string& text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon + 1 == text.size()) return std::nullopt;
    char* end = nullptr;
    const unsigned long port = std::strtoul(text.c_str() + colon + 1, &end, 10);
    if (*end || port > 65535) return std::nullopt;
    std::string address = text.substr(0, colon);
    const bool v6 = address.size() > 2 && address.front() == '[' && address.back() == ']';
    if (v6) address = address.substr(1, address.size() - 2);
    uint8_t bytes[16];
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) return std::nullopt;
    return endpoint_of(v6 ? AF_INET6 : AF_INET, bytes, htons(static_cast<uint16_t>(port)));
}

Result<std::pair<Endpoint, Endpoint>> parse_socket(const std::string& text) {
    const size_t dash = text.find('-');
    const auto source = parse_endpoint(text.substr(0, dash));
    const auto peer = dash == std::string::npos ? std::nullopt : parse_endpoint(text.substr(dash + 1));
    if (source && peer) return std::pair{*source, *peer};
    return fail(ErrorKind::Input, "socket '" + text + "' was given, SRC:PORT-DST:PORT was expected",
                "as ss -tn shows it: 10.0.0.1:5201-10.0.0.2:40000, [::1]:80-[::1]:40000");
}

const char* event_name(uint32_t event) {
    static const char* const kNames[] = {"nothing yet", "tcp.established", "tcp.ack", "tcp.round", "tcp.loss", "tcp.rto"};
    return kNames[event <= RMT_TCP_EVENT_RTO ? event : 0];
}

std::string cgroup_name(uint64_t id) {
    auto cgroup = load::UnifiedCgroup::from_id(id);
    return cgroup ? cgroup->path() : fmt::format("cgroup {} (has gone)", id);
}

std::string name_of_socket(const rmt_tcp_record& r) {
    return endpoint_text(r.family, r.saddr, r.sport) + (r.state == 10 ? "" : "-" + endpoint_text(r.family, r.daddr, r.dport));
}

// Which entry of which table decided last. Entries may have been changed since: then the action says so.
struct Choice {
    std::string table, action, entry;  // table empty: none was applied; entry empty: the default, or one that is no more
    int64_t row = -1;                  // -1: the default
    bool changed = false;
};

Choice choice_of(const LivePolicy& live, const rmt_tcp_view& v) {
    Choice c;
    const Manifest& m = live.manifest();
    if (v.table >= m.tables.size()) return c;
    const ManifestTable& table = m.tables[v.table];
    c.table = table.name;
    c.action = v.action < m.actions.size() ? m.actions[v.action].name : "?";
    if (v.slot >= table.size) return c;
    c.row = v.slot;
    const auto state = live.table(table);
    if (state && v.slot < state->entries.size() && state->entries[v.slot].action == v.action)
        c.entry = format_entry(m, table, state->entries[v.slot]);
    else
        c.changed = true;
    return c;
}

uint32_t limited(const LivePolicy& live, uint32_t window) {
    const auto& tcp = live.manifest().tcp;
    return tcp ? std::clamp(window, tcp->cwnd_min, tcp->cwnd_max) : window;
}

Json socket_json(const LivePolicy& live, const rmt_tcp_record& r) {
    const rmt_tcp_view& v = r.view;
    const Choice c = choice_of(live, v);
    Json j = {{"socket", name_of_socket(r)}, {"state", state_name(r.state)}, {"netns", r.netns}, {"scope", v.scope}, {"scope_path", v.scope ? cgroup_name(v.scope) : ""},
              {"cgroup", v.cgroup}, {"base", live.manifest().tcp ? live.manifest().tcp->base : ""}, {"since_ns", v.since_ns}, {"last_ns", v.last_ns},
              {"rounds", v.rounds}, {"decisions", v.decisions}, {"event", event_name(v.event)}, {"mode", load::mode_name(v.mode)}};
    Json choice = nullptr;
    if (!c.table.empty()) {
        choice = {{"table", c.table}, {"action", c.action}, {"row", c.row}, {"entry", c.entry}};
        if (c.row < 0) choice["row"] = nullptr;
    }
    j["choice"] = choice;
    Json wanted = Json::object();
    if (v.set & RMT_TCP_SINK_CWND) wanted["cwnd"] = v.want_cwnd;
    if (v.set & RMT_TCP_SINK_SSTHRESH) wanted["ssthresh"] = v.want_ssthresh;
    if (v.set & RMT_TCP_SINK_PACING) wanted["pacing"] = v.want_pacing;
    j["wanted"] = wanted;
    j["now"] = {{"cwnd", v.cwnd}, {"ssthresh", v.ssthresh}, {"pacing", v.pacing}};
    j["rtt_us"] = v.rtt_us;
    j["min_rtt_us"] = v.min_rtt_us;
    j["answer_error"] = v.answer_error;
    return j;
}

std::string choice_text(const Choice& c) {
    if (c.table.empty()) return "no table was applied yet";
    if (c.row < 0) return fmt::format("table {}, its default: {}", c.table, c.action);
    if (c.changed) return fmt::format("table {}, row #{}, action {}; the row has been changed since", c.table, c.row + 1, c.action);
    return fmt::format("table {}, row #{}: {}", c.table, c.row + 1, c.entry);
}

std::string wanted_text(const LivePolicy& live, const rmt_tcp_view& v) {
    std::string text;
    const auto window = [&](const char* name, uint32_t want) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, want);
        if (limited(live, want) != want) text += fmt::format(" (limits make it {})", limited(live, want));
    };
    if (v.set & RMT_TCP_SINK_CWND) window("window", v.want_cwnd);
    if (v.set & RMT_TCP_SINK_SSTHRESH) window("ssthresh", v.want_ssthresh);
    if (v.set & RMT_TCP_SINK_PACING) text += fmt::format("{}pacing {}", text.empty() ? "" : ", ", rate_text(v.want_pacing));
    return text.empty() ? "nothing" : text;
}

std::string socket_text(const LivePolicy& live, const rmt_tcp_record& r) {
    const rmt_tcp_view& v = r.view;
    const std::string base = live.manifest().tcp && !live.manifest().tcp->base.empty() ? live.manifest().tcp->base : "none, the policy owns the control";
    const auto ago = [](uint64_t ns) { return format_ns(static_cast<double>(load::monotonic_ns() - ns)); };
    std::string text = fmt::format("{}   {}, net:[{}]\n", name_of_socket(r), state_name(r.state), r.netns);
    text += fmt::format("  scope   {}\n", v.scope ? cgroup_name(v.scope) : "no attached cgroup: it runs the base alone");
    if (v.cgroup && v.cgroup != v.scope) text += fmt::format("  cgroup  {}\n", cgroup_name(v.cgroup));
    text += fmt::format("  base    {}\n", base);
    if (!v.since_ns) return text + (r.state == 10 ? "  a listener: each connection that it accepts comes under the policy\n" : "");
    text += fmt::format("  since   {}, {} rounds, {} decisions\n", ago(v.since_ns), v.rounds, v.decisions);
    if (!v.last_ns) return text + "  has sent nothing yet that the policy was asked about\n";
    if (v.decisions) text += fmt::format("  last    {}, mode {}, {} ago\n", event_name(v.event), load::mode_name(v.mode), ago(v.last_ns));
    text += fmt::format("  by      {}\n", choice_text(choice_of(live, v)));
    text += fmt::format("  wanted  {}{}\n", wanted_text(live, v), v.decisions && v.mode != RMT_MODE_ENFORCE ? "; not carried out" : "");
    text += fmt::format("  now     window {}, ssthresh {}, pacing {}\n", v.cwnd, v.ssthresh >= 0x7fffffff ? "none" : std::to_string(v.ssthresh), rate_text(v.pacing));
    text += fmt::format("  rtt     {} in the last round, least {}\n", format_ns(v.rtt_us * 1e3), format_ns(v.min_rtt_us * 1e3));
    if (v.answer_error) text += fmt::format("  models  {} answers by on_error\n", v.answer_error);
    return text;
}

std::string line_of(const rmt_tcp_record& r) {
    const rmt_tcp_view& v = r.view;
    if (!v.last_ns) return fmt::format("{:<44} {}\n", name_of_socket(r), state_name(r.state));
    return fmt::format("{:<44} {:<12} window {:>6}   rtt {:>9}   decisions {:>9}\n", name_of_socket(r), state_name(r.state), v.cwnd, format_ns(v.rtt_us * 1e3), v.decisions);
}

}  // namespace

int cmd_why(const Output& out, const std::string& policy, const std::string& socket) {
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
    if (live.manifest().domain != "tcp")
        return out.error({ErrorKind::Input, "policy '" + policy + "' is of domain " + live.manifest().domain + "; sockets are decided on in domain tcp", "rmt-load stats " + policy, 0, {}});
    std::pair<Endpoint, Endpoint> ends;
    if (!socket.empty()) {
        RMT_CLI_TRY(ends, parse_socket(socket));
    }
    RMT_CLI_TRY(const load::SocketList list, load::list_sockets(load::pin_dir(policy)));
    Json found = Json::array();
    std::string text;
    for (const rmt_tcp_record& r : list.sockets) {
        if (!socket.empty() && !(endpoint_of(r.family, r.saddr, r.sport) == ends.first && endpoint_of(r.family, r.daddr, r.dport) == ends.second)) continue;
        found.push_back(socket_json(live, r));
        text += socket.empty() ? line_of(r) : socket_text(live, r);
    }
    if (found.empty() || socket.empty())
        for (const std::string& one : list.unreachable) out.say("warning: sockets were not looked at in " + one);
    if (found.empty() && !socket.empty())
        return out.error({ErrorKind::NotFound, "no socket " + socket + " is under policy '" + policy + "'",
                          "rmt-load why " + policy + " lists those that are; ss -ti shows what control a socket has", 0, {}});
    if (out.json)
        out.document("why", {{"policy", policy}, {"sockets", found}});
    else if (text.empty())
        out.say("no socket is under policy '" + policy + "'");
    else
        out.print(text);
    return kOk;
}

}  // namespace rmt::cli
