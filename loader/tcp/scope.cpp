// SPDX-License-Identifier: MIT
#include "loader/tcp/scope.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loader/bpffs.h"
#include "loader/fd.h"
#include "loader/system_error.h"
#include "loader/tcp/pass.h"

namespace rmt::load {

namespace {

std::string pin_of(const std::string& kind, uint64_t cgroup) { return "link_" + kind + "_" + std::to_string(cgroup); }

bool has_pin(const std::string& dir, const std::string& kind, uint64_t cgroup) {
    return access((dir + "/" + pin_of(kind, cgroup)).c_str(), F_OK) == 0;
}

// Of two policies one above the other, the upper one's sock_ops would run last and win, against the rule of the nearest.
Result<void> check_no_other(const LivePolicy& live, const UnifiedCgroup& cgroup) {
    const std::vector<uint64_t> above = cgroup.ancestors();
    for (const std::string& name : pinned_policies()) {
        if (name == live.name()) continue;
        for (const ScopeLink& link : scope_links(pin_dir(name))) {
            auto other = UnifiedCgroup::from_id(link.cgroup);
            if (!other) continue;
            const std::vector<uint64_t> others = other->ancestors();
            const bool same = link.cgroup == cgroup.id();
            if (!same && std::count(above.begin(), above.end(), link.cgroup) == 0 && std::count(others.begin(), others.end(), cgroup.id()) == 0) continue;
            return fail(ErrorKind::Conflict,
                        "policy '" + name + "' is attached to " + (same ? "this cgroup" : other->path()) +
                            (same ? "" : ", and of two policies of domain tcp one cannot stand above the other") + " (" + cgroup.path() + ")",
                        "rmt-load detach " + name + " --cgroup " + other->path());
        }
    }
    return {};
}

// The nearest cgroup above that is attached, 0: none.
uint64_t attached_above(int scope_map, const UnifiedCgroup& cgroup) {
    rmt_cgroup figures;
    for (const uint64_t id : cgroup.ancestors())
        if (bpf_map_lookup_elem(scope_map, &id, &figures) == 0) return id;
    return 0;
}

void forget_refusals(int map, uint64_t scope) {
    for (const Refusals& one : read_refusals(map))
        if (one.what.scope == scope) bpf_map_delete_elem(map, &one.what);
}

}  // namespace

std::vector<ScopeLink> scope_links(const std::string& dir) {
    std::vector<ScopeLink> links;
    DIR* d = opendir(dir.c_str());
    if (!d) return links;
    while (const dirent* e = readdir(d)) {
        const std::string pin = e->d_name;
        for (const char* kind : {"sockops", "guard"}) {
            const std::string prefix = std::string("link_") + kind + "_";
            if (pin.rfind(prefix, 0) == 0) links.push_back({pin, kind, std::strtoull(pin.c_str() + prefix.size(), nullptr, 10)});
        }
    }
    closedir(d);
    return links;
}

Result<void> link_to_cgroup(const std::string& dir, const std::string& kind, const UnifiedCgroup& cgroup) {
    Fd program(bpf_obj_get((dir + "/prog_rmt_" + kind).c_str()));
    if (!program) return system_error("cannot open " + dir + "/prog_rmt_" + kind);
    Fd directory(open(cgroup.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return system_error("cannot open " + cgroup.path());
    Fd link(bpf_link_create(program.get(), directory.get(), kind == "guard" ? BPF_CGROUP_SETSOCKOPT : BPF_CGROUP_SOCK_OPS, nullptr));
    if (!link) {
        const int err = errno;
        Unexpected<Error> refused = system_error("the kernel refused to attach to " + cgroup.path(), err);
        if (err == EPERM) refused.error.hint = "a program that was attached there, or above, without BPF_F_ALLOW_MULTI tolerates no other: bpftool cgroup show " + cgroup.path();
        return refused;
    }
    if (bpf_obj_pin(link.get(), (dir + "/" + pin_of(kind, cgroup.id())).c_str()) != 0) return system_error("cannot pin a link in " + dir);
    return {};
}

bool is_attached(const LivePolicy& live, const UnifiedCgroup& cgroup) { return has_pin(pin_dir(live.name()), "sockops", cgroup.id()); }

bool is_guarded(const LivePolicy& live, uint64_t cgroup) { return has_pin(pin_dir(live.name()), "guard", cgroup); }

// In scope before there is sock_ops, which gives nothing to a socket without a scope; open sockets last, so that none falls in between. A run
// that is killed in the middle has done the first of these; the next one does the rest.
Result<SocketFigures> attach_scope(const LivePolicy& live, const UnifiedCgroup& cgroup, bool guard) {
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(live.name());
    RMT_CHECK(check_no_other(live, cgroup));
    const auto added = live.add_cgroup(cgroup.id());
    if (!added && added.error().kind != ErrorKind::Conflict) return fail(added.error());
    if (!has_pin(dir, "sockops", cgroup.id()))
        if (const auto linked = link_to_cgroup(dir, "sockops", cgroup); !linked) {
            if (added) (void)live.remove_cgroup(cgroup.id());
            return fail(linked.error());
        }
    if (guard && !has_pin(dir, "guard", cgroup.id())) RMT_CHECK(link_to_cgroup(dir, "guard", cgroup));
    return pass_sockets(dir, RMT_TCP_TASK_CONVERT, cgroup.id());
}

Result<SocketFigures> refresh_scope(const LivePolicy& live) {
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(live.name());
    RMT_TRY(const std::vector<CgroupFigures> cgroups, live.cgroups());
    for (const CgroupFigures& c : cgroups) {
        auto cgroup = UnifiedCgroup::from_id(c.id);
        if (cgroup && !has_pin(dir, "sockops", c.id)) RMT_CHECK(link_to_cgroup(dir, "sockops", *cgroup));
    }
    RMT_TRY(SocketFigures figures, pass_sockets(dir, RMT_TCP_TASK_RENEW, 0));
    RMT_TRY(const SocketFigures converted, pass_sockets(dir, RMT_TCP_TASK_CONVERT, 0));
    figures.refused += converted.refused;
    figures.reasons.insert(figures.reasons.end(), converted.reasons.begin(), converted.reasons.end());
    return figures;
}

Result<SocketFigures> detach_scope(const LivePolicy& live, const UnifiedCgroup& cgroup) {
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(live.name());
    const uint64_t id = cgroup.id();
    RMT_TRY(const int scope, live.map("rmt_scope"));
    rmt_cgroup figures;
    if (bpf_map_lookup_elem(scope, &id, &figures) != 0)
        return fail(ErrorKind::NotFound, "policy '" + live.name() + "' is not attached to " + cgroup.path(), "rmt-load stats " + live.name());
    remove_pin(dir + "/" + pin_of("guard", id));
    remove_pin(dir + "/" + pin_of("sockops", id));
    SocketFigures sockets;
    if (const uint64_t above = attached_above(scope, cgroup)) {
        RMT_CHECK(live.remove_cgroup(id));
        RMT_TRY(sockets, pass_sockets(dir, RMT_TCP_TASK_CONVERT, above));
    } else {
        RMT_TRY(sockets, pass_sockets(dir, RMT_TCP_TASK_RESTORE, id));
        if (sockets.changed) {
            RMT_TRY(const SocketFigures late, pass_sockets(dir, RMT_TCP_TASK_RESTORE, id));  // accepted meanwhile
            add(sockets, late);
        }
        RMT_CHECK(live.remove_cgroup(id));
    }
    RMT_TRY(const int refused, live.map("rmt_refused"));
    forget_refusals(refused, id);
    return sockets;
}

Result<std::vector<Refusals>> refusals(const LivePolicy& live) {
    RMT_TRY(const int map, live.map("rmt_refused"));
    return read_refusals(map);
}

const char* tcp_stat_name(uint32_t stat) {
    static const char* const kNames[RMT_STAT_COUNT] = {
        "sockets", "converted", "restored", "refused", "guarded", "closed", "acks", "rounds", "loss_events", "rto_events", "decisions",
        "set_cwnd", "set_ssthresh", "set_pacing", "clamped", "shadowed", "shadow_agree", "shadow_above", "shadow_below", "delivered", "lost", "rtt_us",
        "breach", "queue_us", "collect_full", "on_error", "no_storage"};
    static_assert(RMT_TCP_RTT_US + 1 == RMT_TCP_BREACH && RMT_TCP_BREACH + 1 == RMT_TCP_QUEUE_US && RMT_TCP_QUEUE_US + 1 == RMT_TCP_COLLECT_FULL);
    return stat < RMT_STAT_COUNT && kNames[stat] ? kNames[stat] : "";
}

}  // namespace rmt::load
