// SPDX-License-Identifier: MIT
// Property V07 for nets: the bytes of a net, as they would stand in the map (bpf/include/rmt/net_layout.h), make the engine
// answer inside the policy's range for every input within the trained ranges, and nothing on the way overflows. Proved by
// intervals, tile by tile, from the bytes alone. Called by verify_model() for a policy whose class is a net.
#pragma once

#include <optional>
#include <span>

#include "verifier_ext/model_check.h"

namespace rmt::verify {

// Of the verdict's facts, trees is the number of rows, nodes that of the weights' words, longest that of the tiles in use.
ModelVerdict verify_net(std::span<const uint8_t> value, const ManifestModel& model, const NetClass& shape);

}  // namespace rmt::verify
