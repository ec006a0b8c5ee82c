// SPDX-License-Identifier: MIT
// Figures and sockets of domain tcp, as text and as JSON.
#pragma once

#include <string>

#include "bpf/include/rmt/intf_tcp.h"
#include "loader/cli/output.h"
#include "loader/live.h"
#include "loader/tcp/scope.h"

namespace rmt::cli {

Json sockets_json(const load::SocketFigures& sockets);
std::string sockets_text(const load::SocketFigures& sockets, const char* what);  // "7 open sockets in 2 network namespaces, 7 converted"
void say_troubles(const Output& out, const load::SocketFigures& sockets);  // what was refused, and where nobody looked

Json tcp_cgroup_json(const load::LivePolicy& live, const load::CgroupFigures& cgroup);
std::string tcp_cgroup_text(const load::LivePolicy& live, const load::CgroupFigures& cgroup);

std::string endpoint_text(uint32_t family, const uint8_t address[16], uint16_t port);  // port in network order: "[::1]:80"
std::string rate_text(uint64_t bytes_per_second);                                      // "12.5 Mbit/s"
const char* state_name(uint32_t state);                                                // "established"

}  // namespace rmt::cli
