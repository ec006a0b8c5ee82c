// SPDX-License-Identifier: MIT
// Property V07: a model's bytes, as they would stand in the map, make the engine (bpf/include/rmt/model.bpf.h) answer inside
// the policy's range, for every input, in the steps that the program has. The second line of defence: what a model can do is
// bounded by limit, rate and mode, whatever it answers; this finds models that are broken. Bytes only: nothing here knows
// how they were made.
#pragma once

#include <optional>
#include <span>

#include "rmt_lang/support/manifest.h"
#include "rmt_lang/support/result.h"
#include "verifier_ext/verdict.h"

namespace rmt::verify {

struct ModelFacts {
    uint32_t trees = 0, nodes = 0;   // in use
    uint32_t longest = 0;            // steps to the farthest leaf
    uint32_t unreachable = 0;        // leaves that no input in the trained ranges reaches
    int64_t out_min = 0, out_max = 0;  // of all answers; exact for one tree, and for a forest at most too wide
};

struct ModelVerdict {
    std::optional<Rejected> rejected;  // V0701 header, V0702 a node, V0703 no tree, V0704 range, V0705 inputs, V0706 sum
    ModelFacts facts;
};

// `value`: the whole value of map rmt_model_<name>.
ModelVerdict verify_model(std::span<const uint8_t> value, const ManifestModel& model);

// The same for who swaps models and only asks yes or no. Errors: Input, the refusal with its id.
Result<void> check_model_value(std::span<const uint8_t> value, const ManifestModel& model);

}  // namespace rmt::verify
