// SPDX-License-Identifier: MIT
// list, show, stats: what runs, and how it does.
#include <fmt/format.h>
#include <unistd.h>

#include "loader/agent/actuator.h"
#include "loader/bpffs.h"
#include "loader/cli/commands.h"
#include "loader/cli/model_online.h"
#include "loader/cli/tcp_text.h"
#include "loader/live.h"
#include "models/model.h"

namespace rmt::cli {

namespace {

using load::CgroupFigures;
using load::LivePolicy;

double ratio(uint64_t part, uint64_t whole) { return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

// Definitions of docs/operations.md: hits and misses are faults; accuracy is of pages really read.
struct Rates {
    double coverage, accuracy, shadow_accuracy;
};

Rates rates(const rmt_cgroup& f) {
    const auto& s = f.stat;
    return {ratio(s[RMT_STAT_HIT], s[RMT_STAT_HIT] + s[RMT_STAT_MAJOR]),
            ratio(s[RMT_STAT_USED] + s[RMT_STAT_FILE_USED], s[RMT_STAT_READ] + s[RMT_STAT_FILE_ISSUED]),
            ratio(s[RMT_STAT_SHADOW_HIT], s[RMT_STAT_SHADOW_PRED])};
}

bool breaker_open(const rmt_cgroup& f) { return f.breaker.open_until_ns > load::monotonic_ns(); }

Json cgroup_json(const CgroupFigures& c) {
    Json stat = Json::object();
    for (int i = 0; i < RMT_STAT_COUNT; i++) {
        const char* name = load::stat_name(static_cast<rmt_stat>(i));
        if (*name) stat[name] = c.figures.stat[i];
    }
    const Rates r = rates(c.figures);
    return {{"id", c.id}, {"path", c.path}, {"coverage", r.coverage}, {"accuracy", r.accuracy}, {"shadow_accuracy", r.shadow_accuracy},
            {"breaker_open", breaker_open(c.figures)}, {"stat", stat}};
}

std::string cgroup_text(const CgroupFigures& c) {
    const auto& s = c.figures.stat;
    const Rates r = rates(c.figures);
    std::string text = (c.path.empty() ? fmt::format("cgroup {} (has gone)", c.id) : c.path) + (breaker_open(c.figures) ? "   BREAKER OPEN" : "") + "\n";
    text += fmt::format("  faults    {:>12}   events {}   misses {}   hits {} (late {})   other {}\n", s[RMT_STAT_FAULTS], s[RMT_STAT_EVENTS],
                        s[RMT_STAT_MAJOR], s[RMT_STAT_HIT], s[RMT_STAT_LATE], s[RMT_STAT_OTHER]);
    text += fmt::format("  prefetch  {:>12} pages issued   read {}   used {}   wasted {}\n", s[RMT_STAT_ISSUED] + s[RMT_STAT_FILE_ISSUED],
                        s[RMT_STAT_READ], s[RMT_STAT_USED] + s[RMT_STAT_FILE_USED], s[RMT_STAT_WASTED]);
    text += fmt::format("  coverage  {:>11.1f} %   accuracy {:.1f} %   stall {} in misses, {} in hits\n", 100 * r.coverage, 100 * r.accuracy,
                        format_ns(static_cast<double>(s[RMT_STAT_STALL_MAJOR])), format_ns(static_cast<double>(s[RMT_STAT_STALL_HIT])));
    if (s[RMT_STAT_HIT])
        text += fmt::format("  lead      {:>12.1f} pages asked for behind a hit   stuck {}\n",
                            static_cast<double>(s[RMT_STAT_LEAD]) / static_cast<double>(s[RMT_STAT_HIT]), s[RMT_STAT_STUCK]);
    if (s[RMT_STAT_SHADOW_PRED])
        text += fmt::format("  shadow    {:>12} pages would have been asked for, {:.1f} % of them were then touched\n", s[RMT_STAT_SHADOW_PRED],
                            100 * r.shadow_accuracy);
    // Never hidden: what was lost, refused or answered without a model.
    text += fmt::format("  lost      ring_full {}   collect_full {}   no_storage {}   clamped {}   limited {}   on_error {}   breaches {}\n",
                        s[RMT_STAT_RING_FULL], s[RMT_STAT_COLLECT_FULL], s[RMT_STAT_NO_STORAGE], s[RMT_STAT_CLAMPED], s[RMT_STAT_LIMITED],
                        s[RMT_STAT_ON_ERROR], s[RMT_STAT_BREACH]);
    return text;
}

Result<Json> tables_json(const LivePolicy& live) {
    Json tables = Json::array();
    for (const ManifestTable& table : live.manifest().tables) {
        RMT_TRY(const load::TableState state, live.table(table));
        Json entries = Json::array();
        for (size_t i = 0; i < state.entries.size(); i++)
            entries.push_back({{"entry", format_entry(live.manifest(), table, state.entries[i])}, {"hits", state.hits[i]}});
        tables.push_back({{"name", table.name}, {"version", state.version}, {"size", table.size}, {"entries", entries}, {"default_hits", state.default_hits}});
    }
    return tables;
}

Result<Json> models_json(const LivePolicy& live) {
    Json list = Json::array();
    for (const ManifestModel& model : live.manifest().models) {
        RMT_TRY(const std::string artefact, live.model_artefact(model));
        Json item = {{"name", model.name}, {"loaded", !artefact.empty()}, {"trains", model.train.has_value()}};
        RMT_TRY(Json online, online_json(live, model));
        if (!online.is_null()) item["online"] = std::move(online);
        if (!artefact.empty()) {
            RMT_TRY(const models::Model parsed, models::parse_model(artefact));
            item["digest"] = parsed.digest;
            item["provenance"] = parsed.provenance;
            item["nodes"] = models::model_nodes(parsed);
            item["depth"] = models::model_depth(parsed);
        }
        list.push_back(std::move(item));
    }
    return list;
}

std::string model_state(const Json& model, size_t digits) {
    if (model.contains("online")) return online_text(model["online"]);
    return model["loaded"].get<bool>() ? model["digest"].get<std::string>().substr(0, digits) : "none yet";
}

// A policy of domain tcp acts by itself; its agent trains.
const char* agent_text(const LivePolicy& live) {
    if (live.manifest().domain == "tcp") return live.has_agent() ? "training" : "none needed";
    return live.has_agent() ? "acting" : "not running";
}

int stats_once(const Output& out, const std::string& policy) {
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
    RMT_CLI_TRY(const std::vector<CgroupFigures> cgroups, live.cgroups());
    RMT_CLI_TRY(Json tables, tables_json(live));
    RMT_CLI_TRY(Json models, models_json(live));
    const bool tcp = live.manifest().domain == "tcp";
    if (out.json) {
        Json list = Json::array();
        for (const CgroupFigures& c : cgroups) list.push_back(tcp ? tcp_cgroup_json(live, c) : cgroup_json(c));
        out.document("stats", {{"policy", policy}, {"mode", load::mode_name(live.ctl().mode)}, {"agent", live.has_agent()}, {"cgroups", list},
                               {"tables", tables}, {"models", models}});
        return kOk;
    }
    std::string text = fmt::format("{}   mode {}   agent {}\n", policy, load::mode_name(live.ctl().mode), agent_text(live));
    for (const CgroupFigures& c : cgroups) text += tcp ? tcp_cgroup_text(live, c) : cgroup_text(c);
    if (cgroups.empty()) text += "no cgroup is attached\n";
    for (const Json& table : tables) {
        text += fmt::format("table {}\n", table["name"].get<std::string>());
        int n = 0;
        for (const Json& entry : table["entries"])
            text += fmt::format("  #{:<3} {:<48} {:>12}\n", ++n, entry["entry"].get<std::string>(), entry["hits"].get<uint64_t>());
        text += fmt::format("  {:<53} {:>12}\n", "default", table["default_hits"].get<uint64_t>());
    }
    for (const Json& model : models)
        text += fmt::format("model {}: {}{}\n", model["name"].get<std::string>(), model_state(model, 19), model["trains"].get<bool>() ? ", trains in the background" : "");
    out.print(text);
    return kOk;
}

std::string limits_text(const Manifest& m) {
    const std::string cost = m.limits.cost_ns ? format_ns(static_cast<double>(m.limits.cost_ns)) : "the profile's";
    if (!m.tcp)
        return fmt::format("  limit  {} pages per event, {} pages per {}, cost {}\n", m.limits.prefetch_per_event, m.limits.prefetch_rate,
                           format_ns(static_cast<double>(m.limits.prefetch_window_ns)), cost);
    return fmt::format("  base   {}\n", m.tcp->base.empty() ? "none: the policy owns the growth of the window" : m.tcp->base) +
           fmt::format("  limit  window {}..{} segments{}, pacing {} .. {}, cost {}\n", m.tcp->cwnd_min, m.tcp->cwnd_max,
                       m.tcp->change ? fmt::format(", by {}x per round trip at most", m.tcp->change) : "", rate_text(m.tcp->pacing_min),
                       rate_text(m.tcp->pacing_max), cost);
}

}  // namespace

int cmd_list(const Output& out) {
    Json list = Json::array();
    std::string text;
    if (access(load::kPinRoot, R_OK | X_OK) != 0 && errno == EACCES)
        return out.error({ErrorKind::Permission, std::string("may not look into ") + load::kPinRoot, "run as root", EACCES, {}});
    for (const std::string& name : load::pinned_policies()) {
        auto live = LivePolicy::open(name);
        if (!live) {
            out.say("warning: " + name + ": " + live.error().message);
            continue;
        }
        auto cgroups = live->cgroups();
        const size_t n = cgroups ? cgroups->size() : 0;
        list.push_back({{"policy", name}, {"domain", live->manifest().domain}, {"mode", load::mode_name(live->ctl().mode)}, {"agent", live->has_agent()},
                        {"cgroups", n}});
        text += fmt::format("{:<24} {:<6} {:<8} {:<10} {:>3} cgroup{}   {}\n", name, live->manifest().domain, load::mode_name(live->ctl().mode),
                            live->has_agent() ? "acting" : live->manifest().domain == "tcp" ? "-" : "no agent", n, n == 1 ? " " : "s", live->manifest().description);
    }
    if (out.json)
        out.document("list", {{"policies", list}});
    else if (text.empty())
        out.say("no policy is loaded");
    else
        out.print(text);
    return kOk;
}

int cmd_show(const Output& out, const std::string& policy) {
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
    RMT_CLI_TRY(Json tables, tables_json(live));
    RMT_CLI_TRY(Json models, models_json(live));
    const Manifest& m = live.manifest();
    if (out.json) {
        out.document("show", {{"policy", policy}, {"manifest", Json::parse(to_json(m))}, {"tables", tables}, {"models", models}});
        return kOk;
    }
    std::string text = fmt::format("{}: {}\n  from {}, domain {}, mode {}\n", policy, m.description, m.source, m.domain, load::mode_name(live.ctl().mode));
    text += limits_text(m);
    if (m.limits.breach)
        text += fmt::format("  breach {} {} {} % over {} => shadow for {}\n", m.limits.breach->measure, m.tcp ? ">" : "<", m.limits.breach->percent,
                            format_ns(static_cast<double>(m.limits.breach->window_ns)),
                            m.limits.breach->hold_ns ? format_ns(static_cast<double>(m.limits.breach->hold_ns)) : "good");
    for (const ManifestField& field : m.state)
        text += fmt::format("  state  {} : {}{}\n", field.name, field.type, field.count > 1 ? fmt::format("[{}]", field.count) : "");
    for (const Json& table : tables) {
        text += fmt::format("  table {} ({} of {} entries)\n", table["name"].get<std::string>(), table["entries"].size(), table["size"].get<uint32_t>());
        for (const Json& entry : table["entries"]) text += "    " + entry["entry"].get<std::string>() + ";\n";
    }
    for (const Json& model : models) {
        text += fmt::format("  model {}: {}\n", model["name"].get<std::string>(), model_state(model, std::string::npos));
        if (!model["loaded"].get<bool>()) continue;
        text += fmt::format("    {} nodes, depth {}\n", model["nodes"].get<uint32_t>(), model["depth"].get<uint32_t>());
        for (const auto& [key, value] : model["provenance"].items()) text += fmt::format("    {}: {}\n", key, value.get<std::string>());
    }
    out.print(text);
    return kOk;
}

int cmd_stats(const Output& out, const std::string& policy, double interval_s) {
    int exit = stats_once(out, policy);
    while (interval_s > 0 && exit == kOk) {
        usleep(static_cast<useconds_t>(interval_s * 1e6));
        exit = stats_once(out, policy);
    }
    return exit;
}

}  // namespace rmt::cli
