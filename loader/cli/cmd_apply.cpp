// SPDX-License-Identifier: MIT
// apply, attach, detach, mode, run: what changes the running system.
#include <fmt/format.h>
#include <glob.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <variant>

#include "loader/agent/agent.h"
#include "loader/agent/page_cluster.h"
#include "loader/bpffs.h"
#include "loader/cgroup.h"
#include "loader/cli/commands.h"
#include "loader/cli/pipeline.h"
#include "loader/cli/tcp_text.h"
#include "loader/live.h"
#include "loader/probe.h"
#include "loader/tcp/scope.h"
#include "models/store.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;
using load::MemoryCgroup;
using load::UnifiedCgroup;

std::atomic<bool> g_stop{false};

void stop_on_signals() {
    struct sigaction action = {};
    action.sa_handler = [](int) { g_stop = true; };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

Result<rmt_mode> parse_mode(const std::string& text) {
    if (text == "off") return RMT_MODE_OFF;
    if (text == "shadow") return RMT_MODE_SHADOW;
    if (text == "enforce") return RMT_MODE_ENFORCE;
    return fail(ErrorKind::Input, "mode '" + text + "' was given, off, shadow or enforce was expected");
}

// A cgroup as the policy's domain knows it.
using Target = std::variant<MemoryCgroup, UnifiedCgroup>;

const std::string& path_of(const Target& target) {
    return std::visit([](const auto& cgroup) -> const std::string& { return cgroup.path(); }, target);
}

Result<Target> open_target(const std::string& domain, const std::string& path) {
    if (domain == "tcp") {
        RMT_TRY(UnifiedCgroup cgroup, UnifiedCgroup::open(path));
        return Target(std::move(cgroup));
    }
    RMT_TRY(MemoryCgroup cgroup, MemoryCgroup::open(path));
    return Target(std::move(cgroup));
}

Result<std::string> mount_of(const std::string& domain) {
    if (domain == "tcp") return load::find_unified_mount();
    RMT_TRY(const load::MemoryController controller, load::find_memory_controller());
    return controller.mount;
}

// The cgroups named on the command line, else those that match the policy's `attach` patterns.
Result<std::vector<Target>> find_cgroups(const std::string& domain, const std::vector<std::string>& given, const std::vector<std::string>& patterns) {
    std::vector<Target> found;
    for (const std::string& path : given) {
        RMT_TRY(Target cgroup, open_target(domain, path));
        found.push_back(std::move(cgroup));
    }
    if (!given.empty() || patterns.empty()) return found;
    RMT_TRY(const std::string mount, mount_of(domain));
    for (const std::string& pattern : patterns) {
        glob_t matches = {};
        if (glob((mount + pattern).c_str(), GLOB_ONLYDIR, nullptr, &matches) == 0)
            for (size_t i = 0; i < matches.gl_pathc; i++)
                if (auto cgroup = open_target(domain, matches.gl_pathv[i])) found.push_back(std::move(*cgroup));
        globfree(&matches);
    }
    return found;
}

// "A policy with a model starts in shadow the first time on a host": seen policies leave a mark.
bool first_time(const std::string& policy) {
    const char* state = std::getenv("RMT_STATE_DIR");
    const std::filesystem::path folder = std::filesystem::path(state && *state ? state : "/var/lib/rmt-load") / "seen";
    std::error_code ignored;
    if (std::filesystem::exists(folder / policy, ignored)) return false;
    std::filesystem::create_directories(folder, ignored);
    std::ofstream(folder / policy) << "";
    return true;
}

struct Attached {
    std::vector<std::string> paths, unlimited;  // unlimited: memory cgroups without a limit
    std::vector<load::SocketFigures> sockets;   // domain tcp: of each path
};

Result<void> attach_one(const LivePolicy& live, const Target& target, bool again_is_fine, bool guard, Attached& attached) {
    if (const auto* unified = std::get_if<UnifiedCgroup>(&target)) {
        if (!again_is_fine && load::is_attached(live, *unified) && (!guard || load::is_guarded(live, unified->id())))
            return fail(ErrorKind::Conflict, "policy '" + live.name() + "' is attached to this cgroup already");
        RMT_TRY(load::SocketFigures sockets, load::attach_scope(live, *unified, guard));
        attached.sockets.push_back(std::move(sockets));
    } else {
        const auto& memory = std::get<MemoryCgroup>(target);
        const auto added = live.add_cgroup(memory.id());
        if (!added && !(again_is_fine && added.error().kind == ErrorKind::Conflict)) return fail(added.error());
        if (!memory.limit_bytes()) attached.unlimited.push_back(memory.path());
    }
    attached.paths.push_back(path_of(target));
    return {};
}

Result<Attached> attach_all(const LivePolicy& live, const std::vector<Target>& cgroups, bool again_is_fine, bool guard) {
    Attached attached;
    for (const Target& cgroup : cgroups)
        if (auto one = attach_one(live, cgroup, again_is_fine, guard, attached); !one) {
            if (one.error().message.find(path_of(cgroup)) == std::string::npos) one.error().message += " (" + path_of(cgroup) + ")";
            return fail(one.error());
        }
    return attached;
}

Json attached_json(const Attached& attached) {
    Json list = Json::array();
    for (size_t i = 0; i < attached.paths.size(); i++) {
        if (i < attached.sockets.size())
            list.push_back({{"path", attached.paths[i]}, {"sockets", sockets_json(attached.sockets[i])}});
        else
            list.push_back(attached.paths[i]);
    }
    return list;
}

void say_sockets(const Output& out, const Attached& attached) {
    for (size_t i = 0; i < attached.sockets.size(); i++) {
        out.say(attached.paths[i] + ": " + sockets_text(attached.sockets[i], "converted"));
        say_troubles(out, attached.sockets[i]);
    }
}

void warn_about(const Output& out, const LivePolicy& live, const Attached& attached) {
    for (const std::string& path : attached.unlimited)
        out.say("warning: " + path + " has no memory limit: its pages are swapped only when the whole machine is short of memory");
    if (live.manifest().domain == "mm" && !load::swap_is_on())
        out.say("warning: no swap is on: anonymous memory is never swapped, and only file mappings can be prefetched");
    const auto scope = live.cgroups();
    if (scope && scope->empty()) {
        out.say("warning: no cgroup is attached, so the policy sees nothing yet");
        out.say(" = help: rmt-load attach " + live.name() + " --cgroup DIR");
    }
}

// A policy comes without the models that ran in it before; the history knows them.
void note_last_models(const Output& out, const LivePolicy& live) {
    for (const ManifestModel& model : live.manifest().models) {
        const auto running = live.model_artefact(model);
        const auto history = models::Store::standard().history(live.name(), model.name);
        if (!running || !running->empty() || !history || history->empty()) continue;
        const models::HistoryEntry& last = history->back();
        out.say("note: " + live.name() + "/" + model.name + " last ran " + (last.name.empty() ? last.digest.substr(0, 19) : last.name) +
                (last.version ? "@v" + std::to_string(last.version) : "") + " (" + last.time + "); back with: rmt-load model rollback " + live.name() + "/" + model.name);
    }
}

bool unchanged(const Package& package, const load::LoadRequest& request) {
    auto live = LivePolicy::open(request.manifest.policy);
    if (!live || !(live->manifest() == request.manifest)) return false;
    auto digest = live->object_digest();
    return digest && *digest == package.verdict.object_sha256 && package.models.empty();
}

}  // namespace

int cmd_apply(const Output& out, const PolicyArgs& args, const std::vector<std::string>& paths, const std::string& mode, bool twin, bool guard) {
    int exit = kOk;
    BuildOptions options;
    options.models = args.models;
    options.verify.max_cost_ns = args.max_cost_ns;
    options.verify.max_pages = args.max_pages;
    const auto package = build(out, args.file, options, exit);
    if (!package) return exit;
    RMT_CLI_TRY(const std::vector<Target> cgroups, find_cgroups(package->manifest.domain, paths, package->manifest.attach));
    const bool tcp = package->manifest.domain == "tcp";
    if (guard && !tcp) return out.error({ErrorKind::Input, "--guard was given, and the policy is of domain " + package->manifest.domain, "only domain tcp has a guard", 0, {}});

    load::LoadRequest request;
    request.object = package->object;
    request.object_digest = package->verdict.object_sha256;
    request.manifest = package->manifest;
    request.twin = twin;
    request.replace = true;
    RMT_CLI_TRY(request.models, lower_models(*package));
    RMT_CLI_TRY(const rmt_mode declared, parse_mode(mode.empty() ? package->manifest.mode : mode));
    request.mode = declared;
    const bool careful = mode.empty() && declared == RMT_MODE_ENFORCE && !request.manifest.models.empty() && first_time(request.manifest.policy);
    if (careful) request.mode = RMT_MODE_SHADOW;

    const bool same = unchanged(*package, request);
    std::string hooks;
    load::SocketFigures renewed;
    if (!same) {
        RMT_CLI_TRY(const load::LoadReport report, load::load_policy(request));
        hooks = load::name_of(report.hooks);
        renewed = report.renewed;
    }
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(request.manifest.policy));
    if (same && !mode.empty()) RMT_CLI_CHECK(live.set_mode(declared));
    RMT_CLI_TRY(const Attached attached, attach_all(live, cgroups, true, guard));
    if (same && tcp) {
        RMT_CLI_TRY(renewed, load::refresh_scope(live));
    }
    RMT_CLI_TRY(const std::vector<load::CgroupFigures> scope, live.cgroups());
    if (out.json) {
        Json list = Json::array();
        for (const load::CgroupFigures& c : scope) list.push_back({{"id", c.id}, {"path", c.path}});
        out.document("apply", {{"policy", live.name()}, {"changed", !same}, {"hooks", hooks}, {"mode", load::mode_name(live.ctl().mode)}, {"cgroups", list},
                               {"attached", attached_json(attached)}, {"renewed", sockets_json(renewed)}});
        return kOk;
    }
    out.print(fmt::format("{}: {}, mode {}, attached to {} cgroup{}", live.name(), same ? "unchanged" : "loaded (" + hooks + " hooks)",
                          load::mode_name(live.ctl().mode), scope.size(), scope.size() == 1 ? "" : "s"));
    if (renewed.changed) out.say("note: " + std::to_string(renewed.changed) + " open sockets begin anew in the new code");
    say_sockets(out, attached);
    if (careful && !same)
        out.say("note: a policy with a model starts in shadow the first time on a host; let it act with: rmt-load mode " + live.name() + " enforce");
    if (!same) note_last_models(out, live);
    warn_about(out, live, attached);
    if (!tcp && !live.has_agent()) out.say("note: no agent is running, so nothing is prefetched; start it with: rmt-agent " + live.name());
    return kOk;
}

int cmd_attach(const Output& out, const std::string& policy, const std::vector<std::string>& paths, bool guard) {
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
    const std::string& domain = live.manifest().domain;
    if (guard && domain != "tcp") return out.error({ErrorKind::Input, "--guard was given, and the policy is of domain " + domain, "only domain tcp has a guard", 0, {}});
    RMT_CLI_TRY(const std::vector<Target> cgroups, find_cgroups(domain, paths, live.manifest().attach));
    RMT_CLI_TRY(const Attached attached, attach_all(live, cgroups, false, guard));
    warn_about(out, live, attached);
    if (out.json) out.document("attach", {{"policy", policy}, {"cgroups", attached_json(attached)}});
    for (const std::string& path : attached.paths)
        if (!out.json) out.print(policy + ": attached to " + path);
    say_sockets(out, attached);
    return kOk;
}

int cmd_detach(const Output& out, const std::string& policy, const std::vector<std::string>& paths) {
    load::SocketFigures sockets;
    bool tcp = false;
    if (!paths.empty()) {
        RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
        tcp = live.manifest().domain == "tcp";
        RMT_CLI_TRY(const std::vector<Target> cgroups, find_cgroups(live.manifest().domain, paths, {}));
        for (const Target& cgroup : cgroups) {
            if (const auto* memory = std::get_if<MemoryCgroup>(&cgroup)) {
                RMT_CLI_CHECK(live.remove_cgroup(memory->id()));
                continue;
            }
            RMT_CLI_TRY(const load::SocketFigures one, load::detach_scope(live, std::get<UnifiedCgroup>(cgroup)));
            load::add(sockets, one);
            sockets.namespaces = one.namespaces;
            sockets.unreachable = one.unreachable;
        }
    } else {
        RMT_CLI_TRY(const load::UnloadReport report, load::unload_policy(policy));
        tcp = report.tcp;
        sockets = report.sockets;
        if (!tcp) RMT_CLI_CHECK(load::release_page_cluster(policy));
    }
    Json data = {{"policy", policy}, {"cgroups", paths}, {"unloaded", paths.empty()}};
    if (tcp) data["sockets"] = sockets_json(sockets);
    if (out.json)
        out.document("detach", data);
    else
        out.print(policy + (paths.empty() ? ": detached and unloaded" : ": detached from " + paths.front() + (paths.size() > 1 ? " and others" : "")));
    if (tcp) {
        out.say(policy + ": " + sockets_text(sockets, "given back what they had"));
        say_troubles(out, sockets);
        if (sockets.refused) out.say("warning: sockets that could not get back what they had run reno now: " + std::to_string(sockets.refused));
    }
    return sockets.refused ? kPartly : kOk;
}

int cmd_mode(const Output& out, const std::string& policy, const std::string& text) {
    RMT_CLI_TRY(const LivePolicy live, LivePolicy::open(policy));
    if (!text.empty()) {
        RMT_CLI_TRY(const rmt_mode mode, parse_mode(text));
        RMT_CLI_CHECK(live.set_mode(mode));
    }
    if (out.json)
        out.document("mode", {{"policy", policy}, {"mode", load::mode_name(live.ctl().mode)}, {"agent", live.has_agent()}});
    else
        out.print(policy + ": mode " + load::mode_name(live.ctl().mode));
    if (live.manifest().domain == "mm" && live.ctl().mode == RMT_MODE_ENFORCE && !live.has_agent())
        out.say("note: no agent is running, so nothing is prefetched; start it with: rmt-agent " + policy);
    return kOk;
}

int cmd_run(const Output& out, const RunArgs& args) {
    stop_on_signals();
    load::AgentOptions options;
    options.actuator.trail = args.trail;
    options.realtime = args.realtime;
    options.train = args.train;
    options.train_cpu = args.train_cpu;
    options.say = [&](const std::string& line) { out.say("rmt-agent: " + line); };
    RMT_CLI_TRY(const load::ActuatorFigures figures, load::run_agent(args.policy, options, g_stop));
    const double records = figures.records ? static_cast<double>(figures.records) : 1;
    if (out.json)
        out.document("agent", {{"policy", args.policy}, {"records", figures.records}, {"pages", figures.pages}, {"clipped", figures.clipped},
                               {"evicted", figures.evicted}, {"gone", figures.gone}, {"calls", figures.calls},
                               {"wake_ns", figures.wake_ns}, {"busy_ns", figures.busy_ns}});
    else
        out.say(fmt::format("rmt-agent: {} requests, {} pages prefetched, {} evicted behind streams; {} from decision to action on average",
                            figures.records, figures.pages, figures.evicted, format_ns(static_cast<double>(figures.wake_ns) / records)));
    return kOk;
}

}  // namespace rmt::cli
