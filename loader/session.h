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

// What became of sockets in one look at all of them (domain tcp).
struct SocketFigures {
    uint64_t seen = 0;                     // that it was about
    uint64_t changed = 0;                  // converted, restored, or moved to the new code
    uint64_t refused = 0;                  // could not be converted or renewed, or got reno in place of what they had
    std::vector<std::pair<std::string, uint64_t>> reasons;  // of those: "when restored: no such congestion control", how many
    uint32_t namespaces = 0;               // network namespaces that were looked into
    std::vector<std::string> unreachable;  // those that could not be, and why
};

struct LoadReport {
    HookSet hooks = HookSet::Tracepoint;
    std::vector<std::string> programs;
    SocketFigures renewed;                 // by the replacement of a policy of domain tcp
};

struct UnloadReport {
    bool tcp = false;
    SocketFigures sockets;                 // that got back what they had
};

// Errors: Input (a model is not the file whose digest the policy gives), Unsupported (no hooks), Permission, Conflict (a policy of that name is loaded), Kernel (refused; `detail` is
// the kernel verifier's log, whose `; ... @ file.rmt:line` lines are places in the policy).
// A replacement is attached before the old policy goes, and what was loaded stays untouched when anything fails.
Result<LoadReport> load_policy(const LoadRequest& request);

// Detaches and removes a policy, and what an interrupted load left of it. NotFound when there is none.
// Domain tcp: sockets get back what they had, in every network namespace that can be entered, before the control goes.
Result<UnloadReport> unload_policy(const std::string& policy);

}  // namespace rmt::load
