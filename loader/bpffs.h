// SPDX-License-Identifier: MIT
// Where policies are pinned: /sys/fs/bpf/rmt/<policy>/. The kernel is the state store: every verb opens the pins anew.
#pragma once

#include <string>
#include <vector>

#include "loader/fd.h"
#include "rmt_lang/support/result.h"

namespace rmt::load {

inline constexpr const char* kPinRoot = "/sys/fs/bpf/rmt";

// While a policy is replaced, two more directories exist for a moment. No policy's name can end so.
inline constexpr const char* kNextSuffix = "__next";
inline constexpr const char* kOldSuffix = "__old";

std::string pin_dir(const std::string& policy);

// Mounts bpffs when it is not mounted and makes kPinRoot. Permission or Environment when that fails.
Result<void> ensure_pin_root();

// Names of all pinned policies, sorted; empty when there are none or bpffs is not mounted.
std::vector<std::string> pinned_policies();

// Serialises changes to one policy; released when the lock goes. Conflict when somebody else holds it for 10 s.
Result<Fd> lock_policies();

// Removes one pin. What it was the last to hold has gone when this returns: the kernel puts off the end of what a pin held last,
// but not of what a descriptor did, so the pin is never the last.
void remove_pin(const std::string& path);

// Removes a policy's pins. Links go first: programs stop before the maps that they use lose their names.
void remove_pins(const std::string& dir);

}  // namespace rmt::load
