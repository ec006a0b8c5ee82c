// SPDX-License-Identifier: MIT
// All states in which a function can reach each instruction, with ranges, path by path: no join, so what held on one path
// is not blurred by another. Loops end because what an iterator's loop changes is forgotten at its header.
#pragma once

#include <functional>
#include <optional>

#include "verifier_ext/machine.h"

namespace rmt::verify {

// Calls `visit` with the state before each instruction. A verdict from here means that the walk could not be finished;
// then nothing may be concluded from what was visited.
struct FlowEnd {
    std::optional<Rejected> rejected;
    std::optional<Undecided> undecided;
    bool finished() const { return !rejected && !undecided; }
};
FlowEnd walk(const Object& object, const Profile& profile, const Function& function, const State& entry, const std::string& policy,
             const std::function<void(const State&, const Insn&)>& visit);

// The places that the passes on a sink look at, gathered in one walk over the function that writes to its map.
struct SinkSites {
    std::vector<State> sinks;  // before each call that acts
    std::vector<State> takes;  // before each call of the token bucket
    FlowEnd end;
};
SinkSites find_sinks(const Object& object, const Profile& profile, const Function& function, const std::string& map, const std::string& policy);

}  // namespace rmt::verify
