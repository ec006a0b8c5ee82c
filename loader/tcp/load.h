// SPDX-License-Identifier: MIT
// Loading, replacing and removing a policy of domain tcp. Called by session.cpp, under the lock of policies.
//
// What a process that is killed leaves behind, and who cleans it:
// - before the pin of link_control: nothing; the link's only descriptor closes, and the kernel unregisters the control.
// - pins in <policy>__next: the control may be registered, but it governs no socket. The next load or detach removes them.
// - a replacement after its link update: the old pins hold the same link, so new sockets run the new code. Scope and memory of
//   former controls (rmt_prior) are shared or the same, so the next apply renews, and detach restores.
// - a replacement after the exchange of pins: open sockets still run the old code, which the kernel keeps for them. The next
//   apply, also of an unchanged policy, renews them; detach restores them, since it goes by the control's name.
// - detach: without sock_ops first, then restored, then unregistered. A second detach goes on from wherever the first ended.
// In every one of these states connections go on: a socket holds the code that it runs.
#pragma once

#include <string>

#include "loader/session.h"

namespace rmt::load {

// Loads, fills, registers and pins in `dir`. With `old_dir`, the pins of the policy to be replaced: takes over its scope and its
// registration, in that order; sockets are not renewed yet. When it fails, what was loaded is as it was.
Result<LoadReport> load_tcp_into(const LoadRequest& request, const std::string& dir, const std::string& old_dir);

// Open sockets begin anew in the code that is registered now. Those that cannot be reached stay in the old code until they close.
void renew_sockets(const std::string& dir, LoadReport& report);

// Takes sock_ops and guards off all cgroups, then gives all sockets back.
Result<SocketFigures> restore_all(const std::string& dir);

}  // namespace rmt::load
