// SPDX-License-Identifier: MIT
// doctor: what this host can do, need against have, and what a loaded policy lacks.
#include <fmt/format.h>
#include <sys/utsname.h>

#include "loader/agent/actuator.h"
#include "loader/cgroup.h"
#include "loader/cli/commands.h"
#include "loader/live.h"
#include "loader/probe.h"

namespace rmt::cli {

namespace {

Json finding_json(const load::Finding& finding) { return {{"name", finding.name}, {"ok", finding.ok}, {"detail", finding.detail}}; }

std::string finding_text(const load::Finding& finding) {
    return fmt::format("  {:<4} {:<32} {}\n", finding.ok ? "ok" : "no", finding.name, finding.detail);
}

Result<std::vector<load::Finding>> policy_findings(const std::string& policy) {
    std::vector<load::Finding> findings;
    RMT_TRY(const load::LivePolicy live, load::LivePolicy::open(policy));
    const uint64_t beat = live.ctl().agent_beat;
    const bool agent = beat && load::monotonic_ns() - beat < RMT_AGENT_DEAD_NS;
    findings.push_back({"agent", agent, agent ? fmt::format("process {}", live.ctl().agent_tgid + 0) : "not running; rmt-agent " + policy});
    RMT_TRY(const std::vector<load::CgroupFigures> cgroups, live.cgroups());
    for (const load::CgroupFigures& c : cgroups) {
        auto cgroup = load::MemoryCgroup::from_id(c.id);
        if (!cgroup) {
            findings.push_back({fmt::format("cgroup {}", c.id), false, "has gone"});
            continue;
        }
        const auto limit = cgroup->limit_bytes();
        findings.push_back({cgroup->path(), limit.has_value(),
                            limit ? fmt::format("limit {} MiB, in use {} MiB", *limit >> 20, cgroup->usage_bytes() >> 20)
                                  : "no memory limit: only a shortage of the whole machine swaps its pages"});
    }
    if (cgroups.empty()) findings.push_back({"cgroups", false, "none is attached; rmt-load attach " + policy + " --cgroup DIR"});
    return findings;
}

}  // namespace

int cmd_doctor(const Output& out, const std::string& policy) {
    utsname name = {};
    uname(&name);
    const std::vector<load::Finding> host = load::probe_host(), hooks = load::probe_mm_hooks();
    const auto chosen = load::choose_mm_hooks();
    std::vector<load::Finding> own;
    if (!policy.empty()) {
        RMT_CLI_TRY(own, policy_findings(policy));
    }
    bool usable = static_cast<bool>(chosen);
    for (const load::Finding& finding : host)
        if (!finding.ok && finding.name != "swap") usable = false;
    const std::string verdict = chosen ? std::string("domain mm works here with ") + load::name_of(*chosen) + " hooks"
                                       : "domain mm does not work here: " + chosen.error().message;
    if (out.json) {
        Json lists[3] = {Json::array(), Json::array(), Json::array()};
        for (const auto& f : host) lists[0].push_back(finding_json(f));
        for (const auto& f : hooks) lists[1].push_back(finding_json(f));
        for (const auto& f : own) lists[2].push_back(finding_json(f));
        out.document("doctor", {{"kernel", name.release}, {"usable", usable}, {"verdict", verdict}, {"host", lists[0]}, {"hooks", lists[1]},
                                {"policy", lists[2]}});
        return usable ? kOk : kUnsupported;
    }
    std::string text = fmt::format("kernel {}\n", name.release);
    for (const auto& f : host) text += finding_text(f);
    text += "hooks of domain mm (one complete set is enough)\n";
    for (const auto& f : hooks) text += finding_text(f);
    if (!own.empty()) text += "policy " + policy + "\n";
    for (const auto& f : own) text += finding_text(f);
    out.print(text + verdict);
    return usable ? kOk : kUnsupported;
}

}  // namespace rmt::cli
