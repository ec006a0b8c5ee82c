// SPDX-License-Identifier: MIT
// Property V06: nothing acts unless rmt_mode_now() answered RMT_MODE_ENFORCE in this run, and it can only answer so when it
// has read RMT_MODE_ENFORCE from the control map, where a person's word stands.
#pragma once

#include <optional>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/flow.h"

namespace rmt::verify {

// V0601: the sink is reached without the edge `mode == RMT_MODE_ENFORCE`.
std::optional<Rejected> check_guard(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function,
                                    const SinkSites& sites);

// The same for the profile's other maps that somebody acts upon.
FlowEnd check_guarded(const Object& object, const Profile& profile, const Manifest& manifest);

// V0602: the function that answers may say ENFORCE although the control map does not.
FlowEnd check_mode(const Object& object, const Profile& profile, const Manifest& manifest);

}  // namespace rmt::verify
