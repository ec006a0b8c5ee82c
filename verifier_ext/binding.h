// SPDX-License-Identifier: MIT
// Property V00: the object and the manifest describe the same policy. Every map is one of the profile or of the manifest,
// of its type and size; every table and model of the manifest is there; the anchors of the later passes are there.
#pragma once

#include <optional>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {

// V0003 a missing anchor, V0004 a foreign map, V0005 a size or type that differs, V0008 something of the manifest that is
// not in the object, V0104 a map type.
std::optional<Rejected> check_binding(const Object& object, const Profile& profile, const Manifest& manifest);

}  // namespace rmt::verify
