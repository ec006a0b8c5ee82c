// SPDX-License-Identifier: MIT
// Property V01: only instructions, helpers, kernel functions, map types and attach points on the profile's positive list
// occur. A linear look at every instruction, reachable or not; maps handed to helpers are looked at in cost.cpp, where it
// is known which map it is.
#pragma once

#include <optional>

#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {

// V0002 an instruction that no kernel takes or whose target is none, V0107 one that this verifier does not reason about.
std::optional<Rejected> check_instructions(const Object& object);

// V0101 programs, V0102 helpers, V0103 kernel functions, V0105 tail calls, V0106 global functions.
std::optional<Rejected> check_allowed(const Object& object, const Profile& profile, const std::string& policy);

}  // namespace rmt::verify
