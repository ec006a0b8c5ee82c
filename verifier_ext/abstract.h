// SPDX-License-Identifier: MIT
// The state at the beginning of a block, reduced to what can still matter, and as a key that two equal states share.
// Reducing forgets, so it only adds behaviour: what is proved of the reduced state holds for the state.
#pragma once

#include <string>

#include "verifier_ext/cfg.h"
#include "verifier_ext/machine.h"

namespace rmt::verify {

struct Reduction {
    bool constants_only = true;    // forget ranges, names and tags: cost.cpp
    bool give_up_constants = false;
};

// At the header of a loop that an iterator drives, what the loop changes is forgotten: otherwise each round would be a new
// state, and the iterator's bound is the one that counts. Registers and stack words that nobody reads any more go as well.
void reduce(State& state, const Cfg& cfg, uint32_t block, const Reduction& reduction);

std::string key_of(const State& state);

}  // namespace rmt::verify
