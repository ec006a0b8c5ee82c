// SPDX-License-Identifier: MIT
// Property V08: what a model learns in the kernel (`train online`) is written by its step alone, and an answer lies in the
// range that the policy declares, whatever was learned.
#pragma once

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/flow.h"

namespace rmt::verify {

// V0801 a function other than the step may write a learner's map, V0802 an answer may lie outside of the range, V0803 a
// function of a learner is missing.
FlowEnd check_learners(const Object& object, const Profile& profile, const Manifest& manifest);

}  // namespace rmt::verify
