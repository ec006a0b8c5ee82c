// SPDX-License-Identifier: MIT
// The cgroups of a loaded policy of domain tcp: attach, detach, and what became of their sockets.
#pragma once

#include <string>
#include <vector>

#include "bpf/include/rmt/intf_tcp.h"
#include "loader/cgroup.h"
#include "loader/live.h"
#include "loader/session.h"
#include "loader/tcp/pass.h"

namespace rmt::load {

struct ScopeLink {
    std::string pin;   // "link_sockops_63"
    std::string kind;  // "sockops" or "guard"
    uint64_t cgroup = 0;
};
std::vector<ScopeLink> scope_links(const std::string& dir);

// Attaches the program prog_rmt_<kind> that is pinned in `dir` to the cgroup, and pins the link there.
Result<void> link_to_cgroup(const std::string& dir, const std::string& kind, const UnifiedCgroup& cgroup);

// A cgroup and its children come under the policy: sockets that are born there from now on, and those that are open. Idempotent: a cgroup that
// is attached already has its open sockets looked at again, and gets the guard when `guard` asks for one. Conflict when another policy of
// domain tcp has this cgroup, or one above or below it.
Result<SocketFigures> attach_scope(const LivePolicy& live, const UnifiedCgroup& cgroup, bool guard);

// What interrupted runs left undone: links of cgroups in scope, open sockets not converted or still in old code.
Result<SocketFigures> refresh_scope(const LivePolicy& live);

bool is_attached(const LivePolicy& live, const UnifiedCgroup& cgroup);
bool is_guarded(const LivePolicy& live, uint64_t cgroup);

// Sockets of the cgroup get back what they had, or come under the nearest cgroup above that is attached. NotFound when it is not attached.
Result<SocketFigures> detach_scope(const LivePolicy& live, const UnifiedCgroup& cgroup);

Result<std::vector<Refusals>> refusals(const LivePolicy& live);

const char* tcp_stat_name(uint32_t stat);  // "set_cwnd", empty for an unused number

}  // namespace rmt::load
