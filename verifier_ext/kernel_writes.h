// SPDX-License-Identifier: MIT
// Property V09, of domains that write to the kernel themselves (tcp): nothing stores through a pointer that may be the kernel's but
// the profile's writers, each its one member and a value in its range; those that act are called by the function that acts alone,
// behind the mode; the policy's code is handed no pointer into the kernel and none to a stack of the library's, and calls nothing
// that writes there.
#pragma once

#include <optional>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/flow.h"

namespace rmt::verify {

// V0406: the policy's limits, before anything is compared with them. For profiles with writers.
std::optional<Rejected> check_write_limits(const Profile& profile, const Manifest& manifest);

// V0901 a store into the kernel by somebody else, V0902 a writer that stores something else, V0903 the policy's code and the kernel,
// V0904 who calls whom, V0905 a call with other arguments or from another program, V0906 an answer that the kernel stores; V0405 a value outside of its range.
// Appends what was proved of each writer.
FlowEnd check_kernel_writes(const Object& object, const Profile& profile, const Manifest& manifest, std::vector<WriteFact>& proved);

// V0601: a writer that acts is called although the mode is not enforce.
FlowEnd check_act_guard(const Object& object, const Profile& profile, const Manifest& manifest);

}  // namespace rmt::verify
