// SPDX-License-Identifier: MIT
// top: what policies do at this moment, for each cgroup and each row of each table, as rates over the interval.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "bpf/include/rmt/intf_tcp.h"
#include "loader/agent/actuator.h"
#include "loader/bpffs.h"
#include "loader/cli/commands.h"
#include "loader/live.h"
#include "loader/tcp/scope.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;

struct Row {
    std::string table, entry;  // entry "default": none matched
    uint64_t hits = 0;
};

struct Snapshot {
    uint64_t at_ns = 0;
    std::string policy, domain, mode;
    std::map<uint64_t, load::CgroupFigures> cgroups;
    std::vector<Row> rows;
};

Result<Snapshot> take(const std::string& policy) {
    RMT_TRY(const LivePolicy live, LivePolicy::open(policy));
    Snapshot s{load::monotonic_ns(), policy, live.manifest().domain, load::mode_name(live.ctl().mode), {}, {}};
    RMT_TRY(const std::vector<load::CgroupFigures> cgroups, live.cgroups());
    for (const load::CgroupFigures& c : cgroups) s.cgroups[c.id] = c;
    for (const ManifestTable& table : live.manifest().tables) {
        RMT_TRY(const load::TableState state, live.table(table));
        for (size_t i = 0; i < state.entries.size(); i++) s.rows.push_back({table.name, format_entry(live.manifest(), table, state.entries[i]), state.hits[i]});
        s.rows.push_back({table.name, "default", state.default_hits});
    }
    return s;
}

Result<std::vector<Snapshot>> take_all(const std::string& policy) {
    std::vector<Snapshot> all;
    if (!policy.empty()) {
        RMT_TRY(Snapshot one, take(policy));
        all.push_back(std::move(one));
        return all;
    }
    for (const std::string& name : load::pinned_policies())
        if (auto one = take(name)) all.push_back(std::move(*one));  // one that goes at this moment is no error
    return all;
}

// A figure that is smaller than before began anew: the policy was replaced, or attached again.
double rate(uint64_t before, uint64_t now, double seconds) { return static_cast<double>(now >= before ? now - before : now) / seconds; }

class Interval {
public:
    Interval(const Snapshot* before, const Snapshot& now) : before_(before), now_(now) {
        seconds_ = before ? std::max(1e-3, static_cast<double>(now.at_ns - before->at_ns) / 1e9) : 1;
    }

    double of(uint64_t cgroup, uint32_t stat) const {
        const auto now = now_.cgroups.find(cgroup);
        if (now == now_.cgroups.end() || !before_) return 0;
        const auto before = before_->cgroups.find(cgroup);
        return rate(before == before_->cgroups.end() ? 0 : before->second.figures.stat[stat], now->second.figures.stat[stat], seconds_);
    }
    double of(const Row& row) const {
        if (!before_) return 0;
        for (const Row& old : before_->rows)
            if (old.table == row.table && old.entry == row.entry) return rate(old.hits, row.hits, seconds_);
        return rate(0, row.hits, seconds_);
    }
    double seconds() const { return seconds_; }

private:
    const Snapshot* before_;
    const Snapshot& now_;
    double seconds_;
};

const char* stat_of(const Snapshot& s, uint32_t stat) { return s.domain == "tcp" ? load::tcp_stat_name(stat) : load::stat_name(static_cast<rmt_stat>(stat)); }

Json policy_json(const Snapshot& s, const Interval& interval) {
    Json cgroups = Json::array(), rows = Json::array();
    for (const auto& [id, c] : s.cgroups) {
        Json per_second = Json::object();
        for (uint32_t i = 0; i < RMT_STAT_COUNT; i++)
            if (const char* name = stat_of(s, i); *name) per_second[name] = interval.of(id, i);
        cgroups.push_back({{"id", id}, {"path", c.path}, {"per_second", per_second}});
    }
    for (const Row& row : s.rows) rows.push_back({{"table", row.table}, {"entry", row.entry}, {"hits", row.hits}, {"per_second", interval.of(row)}});
    return {{"policy", s.policy}, {"domain", s.domain}, {"mode", s.mode}, {"seconds", interval.seconds()}, {"cgroups", cgroups}, {"rows", rows}};
}

std::string cgroup_line(const Snapshot& s, const load::CgroupFigures& c, const Interval& interval) {
    const auto per = [&](uint32_t stat) { return interval.of(c.id, stat); };
    const std::string name = c.path.empty() ? fmt::format("cgroup {} (has gone)", c.id) : c.path;
    if (s.domain != "tcp")
        return fmt::format("  {:<40} faults {:>9.0f}/s  misses {:>8.0f}  hits {:>8.0f}  pages issued {:>8.0f}  used {:>8.0f}\n", name, per(RMT_STAT_FAULTS),
                           per(RMT_STAT_MAJOR), per(RMT_STAT_HIT), per(RMT_STAT_ISSUED) + per(RMT_STAT_FILE_ISSUED), per(RMT_STAT_USED) + per(RMT_STAT_FILE_USED));
    const double rounds = per(RMT_TCP_ROUNDS);
    return fmt::format("  {:<40} segments {:>9.0f}/s  lost {:>7.0f}  rounds {:>8.0f}  rtt {:>9} ({} queued)  decisions {:>8.0f}  sockets +{:.0f} -{:.0f}\n", name,
                       per(RMT_TCP_DELIVERED), per(RMT_TCP_LOST), rounds, format_ns(rounds > 0 ? per(RMT_TCP_RTT_US) / rounds * 1e3 : 0),
                       format_ns(rounds > 0 ? per(RMT_TCP_QUEUE_US) / rounds * 1e3 : 0), per(RMT_TCP_DECISIONS), per(RMT_TCP_SOCKETS), per(RMT_TCP_CLOSED));
}

std::string policy_text(const Snapshot& s, const Interval& interval) {
    std::string text = fmt::format("{}   domain {}   mode {}   over {:.1f} s\n", s.policy, s.domain, s.mode, interval.seconds());
    for (const auto& [id, c] : s.cgroups) text += cgroup_line(s, c, interval);
    if (s.cgroups.empty()) text += "  no cgroup is attached\n";
    for (const Row& row : s.rows) text += fmt::format("  {:<16} {:<50} {:>10.1f}/s {:>14}\n", row.table, row.entry, interval.of(row), row.hits);
    return text;
}

}  // namespace

int cmd_top(const Output& out, const TopArgs& args) {
    const bool screen = !out.json && args.count != 1 && isatty(STDOUT_FILENO);
    RMT_CLI_TRY(std::vector<Snapshot> before, take_all(args.policy));
    for (uint32_t n = 0; args.count == 0 || n < args.count; n++) {
        usleep(static_cast<useconds_t>(args.interval_s * 1e6));
        RMT_CLI_TRY(std::vector<Snapshot> now, take_all(args.policy));
        Json list = Json::array();
        std::string text;
        for (const Snapshot& s : now) {
            const auto old = std::find_if(before.begin(), before.end(), [&](const Snapshot& b) { return b.policy == s.policy; });
            const Interval interval(old == before.end() ? nullptr : &*old, s);
            if (out.json)
                list.push_back(policy_json(s, interval));
            else
                text += policy_text(s, interval);
        }
        if (out.json)
            out.document("top", {{"policies", list}});
        else
            out.print((screen ? "\033[H\033[J" : "") + (text.empty() ? "no policy is loaded" : text));
        before = std::move(now);
    }
    return kOk;
}

}  // namespace rmt::cli
