// SPDX-License-Identifier: MIT
// Property V05: what an act asks for was granted by the token bucket in the same run, with the constants of the policy.
// So over any time t, at most rate + rate * t / window units per cgroup, as long as the bucket keeps its books.
#pragma once

#include <optional>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/flow.h"

namespace rmt::verify {

struct RateFact {
    uint64_t rate = 0, window_ns = 0;
};

// V0501 an act not bounded by a grant, V0502 rate or window not constants, V0503 constants above the policy's.
std::optional<Rejected> check_rate(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function,
                                   const SinkSites& sites, RateFact& proved);

// V0504: the bucket's function may grant more than it was asked for. Its books are the library's and are tested there.
FlowEnd check_bucket(const Object& object, const Profile& profile, const Manifest& manifest);

}  // namespace rmt::verify
