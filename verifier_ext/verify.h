// SPDX-License-Identifier: MIT
// The RMT verifier: stands in front of the kernel's and answers what that one does not, how much a policy can cost, how
// much it can ask for, how often, and that it can be switched off. Everything is shown on the object's bytecode; the
// manifest gives names, limits and lines. What cannot be decided is not accepted. docs/verifier.md says what is proved,
// what is estimated, and what is trusted.
#pragma once

#include <span>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/profile.h"
#include "verifier_ext/verdict.h"

namespace rmt::verify {

struct VerifyOptions {
    // Limits of the site; a policy can be tighter, never looser. 0: none.
    double max_cost_ns = 0;
    uint32_t max_pages = 0;
    Calibration calibration = default_calibration();
};

// Looks at the bytes only; keeps no reference to them. Load exactly these bytes: the verdict names their digest.
Verdict verify(std::span<const uint8_t> object, const Manifest& manifest, const VerifyOptions& options = {});

}  // namespace rmt::verify
