// SPDX-License-Identifier: MIT
// Looking at all TCP sockets of the host by a policy's pinned iterators: converting, restoring, renewing, listing them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bpf/include/rmt/intf_tcp.h"
#include "loader/session.h"

namespace rmt::load {

// Of the map rmt_refused, since the policy was loaded or the scope attached.
struct Refusals {
    rmt_refusal what = {};
    uint64_t count = 0;
};
std::vector<Refusals> read_refusals(int map);
std::string refusal_text(const rmt_refusal& what);  // "at accept: no such congestion control"

// Adds what a further pass found; its namespaces are those of the first.
void add(SocketFigures& sum, const SocketFigures& more);

// `dir`: of the pins. One pass over every network namespace; `scope` 0: all. Programs of a policy see one pass at a time: the
// caller holds the lock of policies.
Result<SocketFigures> pass_sockets(const std::string& dir, rmt_tcp_task task, uint64_t scope);

struct SocketList {
    std::vector<rmt_tcp_record> sockets;   // those under the policy, listeners included
    std::vector<std::string> unreachable;  // namespaces that could not be looked into
};
Result<SocketList> list_sockets(const std::string& dir);

}  // namespace rmt::load
