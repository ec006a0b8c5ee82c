// SPDX-License-Identifier: MIT
// Property V02, second half: for every input, content of a map and answer of a helper, one run of a program executes at
// most so many instructions, calls each helper and kernel function at most so often, and acts at most once.
//
// Method. The states of a function (place, known constants, iterators) form a graph, found by running the abstract machine
// with everything but constants forgotten at the beginning of each block. Loops over constants are thereby unrolled. What
// remains cyclic are loops driven by an open-coded iterator, or by a counter (loop_step.h), which counts as one: each way around
// passes the edge on which the iterator gave an element, which it does at most `total` times from its beginning. So a walk through a strongly connected part C with
// iterator X, begun outside of C, is cut by X's edges into at most total + 1 pieces, each a path in C without X's edges:
//     dearest path from the entry to a step of X + (total - 1) * (dearest path from an element to a step of X)
//         + (dearest path from an element out of C, and on).
// Inner loops are parts of C once X's edges are gone, and are bounded in the same way. A part without such an iterator has
// no bound that this analysis can show: refused.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {

struct CostLimits {
    uint64_t max_states = 400'000;  // over all functions; more: undecided
    size_t unroll = 4096;           // states of one block before its constants are given up
};

struct CostResult {
    std::vector<ProgramFacts> programs;
    std::vector<LoopFact> loops;
    // Of one call of the profile's event function: the most of each, over all programs.
    uint64_t event_insns = 0, event_acts = 0;
    double event_ns = 0;
    std::optional<Rejected> rejected;    // V0201, V0202, V0108
    std::optional<Undecided> undecided;  // V0205
};

// The object must have passed check_instructions, check_allowed and check_shape.
CostResult find_costs(const Object& object, const Profile& profile, const Calibration& calibration, const CostLimits& limits,
                      const std::string& policy);

}  // namespace rmt::verify
