// SPDX-License-Identifier: MIT
// Property V02, first half: calls form no cycle, no chain of calls is deeper or uses more stack than the kernel gives.
#pragma once

#include <optional>
#include <vector>

#include "verifier_ext/object.h"

namespace rmt::verify {

// V0203 recursion, V0204 more than 8 frames.
std::optional<Rejected> check_shape(const Object& object, const std::string& policy);

// Functions that a call of `function` may run, itself included, ascending.
std::vector<uint32_t> reachable(const Object& object, uint32_t function);

}  // namespace rmt::verify
