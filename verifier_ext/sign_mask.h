// SPDX-License-Identifier: MIT
// Property V01, a guard of the host: no sign mask is ANDed with a constant. Linux 6.18 forks its state there
// (kernel/bpf/verifier.c, maybe_fork_scalars) and dereferences NULL when it has too many states already: loading crashes.
#pragma once

#include <optional>

#include "verifier_ext/object.h"

namespace rmt::verify {

// V0109. The instructions must have passed check_instructions (allow.h).
//
// A sign mask is what an arithmetic shift right by 63 (31 of 32 bits) leaves, or minus one bit: all ones or 0, which the
// kernel knows. Where it may flow is over-estimated: through moves, shifts, the function's own stack, calls and returns, and at
// joins whatever holds on one path; likewise for constants, which are immediates, what is computed from them, read-only data, and what
// was compared equal to one. Not followed: stack memory that is handed to another function by address.
std::optional<Rejected> check_sign_masks(const Object& object, const std::string& policy);

}  // namespace rmt::verify
