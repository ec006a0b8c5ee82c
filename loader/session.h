// SPDX-License-Identifier: MIT
// object + manifest -> open, configure, load, fill, attach, pin. Loads exactly the bytes that it is given, so what the RMT
// verifier accepted is what runs. Nothing is pinned or attached unless all of it succeeds.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "loader/probe.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::load {

struct ModelValue {
    std::string model;           // name in the policy
    std::vector<uint8_t> value;  // lowered, of the size that the policy reserves
    std::string artefact;        // JSON, kept beside it
};

struct LoadRequest {
    std::vector<uint8_t> object;
    std::string object_digest;   // as the RMT verifier named it; kept, so that an unchanged policy is recognised
    Manifest manifest;
    std::vector<ModelValue> models;
    uint32_t mode = 1;           // enum rmt_mode
    bool twin = false;           // load and pin the test twin as well
    bool attach = true;          // false: programs are loaded and pinned, but see no event (tests)
    bool replace = false;        // take the place, and the cgroups, of a loaded policy of the same name
};

struct LoadReport {
    HookSet hooks = HookSet::Tracepoint;
    std::vector<std::string> programs;
};

// Errors: Input (a model is not the file whose digest the policy gives), Unsupported (no hooks), Permission, Conflict (a policy of that name is loaded), Kernel (refused; `detail` is
// the kernel verifier's log, whose `; ... @ file.rmt:line` lines are places in the policy).
// A replacement is attached before the old policy goes, and what was loaded stays untouched when anything fails.
Result<LoadReport> load_policy(const LoadRequest& request);

// Detaches and removes a policy. NotFound when there is none.
Result<void> unload_policy(const std::string& policy);

}  // namespace rmt::load
