// SPDX-License-Identifier: MIT
// doctor: what this host can do, need against have, and what a loaded policy lacks.
#include <fmt/format.h>
#include <sys/utsname.h>

#include "loader/agent/actuator.h"
#include "loader/cgroup.h"
#include "loader/cli/commands.h"
#include "loader/live.h"
#include "loader/probe.h"
#include "loader/tcp/scope.h"

namespace rmt::cli {

namespace {

Json finding_json(const load::Finding& finding) { return {{"name", finding.name}, {"ok", finding.ok}, {"detail", finding.detail}}; }

std::string finding_text(const load::Finding& finding) {
    return fmt::format("  {:<4} {:<32} {}\n", finding.ok ? "ok" : "no", finding.name, finding.detail);
}

// What each cgroup of the policy lacks.
load::Finding cgroup_finding(const load::LivePolicy& live, uint64_t id) {
    const load::Finding gone{fmt::format("cgroup {}", id), false, "has gone"};
    if (live.manifest().domain == "tcp") {
        auto cgroup = load::UnifiedCgroup::from_id(id);
        if (!cgroup) return gone;
        const bool linked = load::is_attached(live, *cgroup);
        return {cgroup->path(), linked,
                !linked                        ? "an interrupted run did not attach it; apply the policy again"
                : load::is_guarded(live, id) ? "attached, with a guard"
                                               : "attached; applications may choose another control"};
    }
    auto cgroup = load::MemoryCgroup::from_id(id);
    if (!cgroup) return gone;
    const auto limit = cgroup->limit_bytes();
    return {cgroup->path(), limit.has_value(),
            limit ? fmt::format("limit {} MiB, in use {} MiB", *limit >> 20, cgroup->usage_bytes() >> 20)
                  : "no memory limit: only a shortage of the whole machine swaps its pages"};
}

std::vector<load::Finding> policy_findings(const load::LivePolicy& live) {
    std::vector<load::Finding> findings;
    const std::string& policy = live.name();
    const uint64_t beat = live.ctl().agent_beat;
    const bool agent = beat && load::monotonic_ns() - beat < RMT_AGENT_DEAD_NS;
    bool trains = live.manifest().domain == "mm";
    for (const ManifestModel& model : live.manifest().models) trains |= model.train.has_value();
    if (trains || agent) findings.push_back({"agent", agent, agent ? fmt::format("process {}", live.ctl().agent_tgid + 0) : "not running; rmt-agent " + policy});
    const auto cgroups = live.cgroups();
    if (!cgroups) return findings;
    for (const load::CgroupFigures& c : *cgroups) findings.push_back(cgroup_finding(live, c.id));
    if (cgroups->empty()) findings.push_back({"cgroups", false, "none is attached; rmt-load attach " + policy + " --cgroup DIR"});
    return findings;
}

Json list_json(const std::vector<load::Finding>& findings) {
    Json list = Json::array();
    for (const load::Finding& f : findings) list.push_back(finding_json(f));
    return list;
}

struct Domain {
    std::string name, title;
    std::vector<load::Finding> hooks;
    bool usable = false;
    std::string verdict;
};

Domain look_at_mm(const std::vector<load::Finding>& host) {
    Domain mm{"mm", "domain mm (one complete set of hooks is enough)", load::probe_mm_hooks(), false, {}};
    const auto chosen = load::choose_mm_hooks();
    mm.usable = static_cast<bool>(chosen);
    for (const load::Finding& finding : host)
        if (!finding.ok && finding.name != "swap") mm.usable = false;
    mm.verdict = chosen ? std::string("domain mm works here with ") + load::name_of(*chosen) + " hooks" : "domain mm does not work here: " + chosen.error().message;
    return mm;
}

Domain look_at_tcp() {
    Domain tcp{"tcp", "domain tcp (all but the bases, of which a policy names one)", load::probe_tcp_hooks(), false, {}};
    const std::string why = load::why_no_tcp(tcp.hooks);
    tcp.usable = why.empty();
    tcp.verdict = why.empty() ? "domain tcp works here" : "domain tcp does not work here: " + why;
    return tcp;
}

}  // namespace

// Usable: the domain of the policy that was named, else one of the two.
int cmd_doctor(const Output& out, const std::string& policy) {
    utsname name = {};
    uname(&name);
    const std::vector<load::Finding> host = load::probe_host();
    const Domain domains[] = {look_at_mm(host), look_at_tcp()};
    std::vector<load::Finding> own;
    bool usable = domains[0].usable || domains[1].usable;
    if (!policy.empty()) {
        RMT_CLI_TRY(const load::LivePolicy live, load::LivePolicy::open(policy));
        own = policy_findings(live);
        for (const Domain& d : domains)
            if (d.name == live.manifest().domain) usable = d.usable;
    }
    if (out.json) {
        Json list = Json::object();
        for (const Domain& d : domains) list[d.name] = {{"usable", d.usable}, {"verdict", d.verdict}, {"hooks", list_json(d.hooks)}};
        out.document("doctor", {{"kernel", name.release}, {"usable", usable}, {"host", list_json(host)}, {"domains", list}, {"policy", list_json(own)}});
        return usable ? kOk : kUnsupported;
    }
    std::string text = fmt::format("kernel {}\n", name.release);
    for (const auto& f : host) text += finding_text(f);
    for (const Domain& d : domains) {
        text += d.title + "\n";
        for (const auto& f : d.hooks) text += finding_text(f);
    }
    if (!own.empty()) text += "policy " + policy + "\n";
    for (const auto& f : own) text += finding_text(f);
    out.print(text + domains[0].verdict + "\n" + domains[1].verdict);
    return usable ? kOk : kUnsupported;
}

}  // namespace rmt::cli
