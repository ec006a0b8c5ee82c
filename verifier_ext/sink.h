// SPDX-License-Identifier: MIT
// Property V04: on every path, one act asks for at least none and at most the policy's limit of units, and one event acts
// at most once.
#pragma once

#include <optional>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/flow.h"

namespace rmt::verify {

// V0401 more than `limit` units, V0402 less than a header (or a size that may have wrapped). `limit` is the smallest of
// the policy's, the site's and the profile's.
std::optional<Rejected> check_sink_range(const Object& object, const Profile& profile, const Manifest& manifest, uint32_t limit,
                                         const Function& function, const SinkSites& sites, uint32_t& proved);

// V0404: from the counts that cost.cpp proved.
std::optional<Rejected> check_sink_count(const Object& object, const Profile& profile, const Manifest& manifest,
                                         const std::vector<ProgramFacts>& programs);

}  // namespace rmt::verify
