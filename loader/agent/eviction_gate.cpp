// SPDX-License-Identifier: MIT
#include "loader/agent/eviction_gate.h"

namespace rmt::load {

bool EvictionGate::observe(uint64_t hits, uint64_t lead) {
    if (!started_) {
        started_ = true;
        hits_ = hits;
        lead_ = lead;
    }
    const uint64_t new_hits = hits - hits_, new_lead = lead - lead_;
    if (new_hits < kWindow) return on_;
    hits_ = hits;
    lead_ = lead;
    on_ = new_lead < new_hits * (on_ ? kLong : kShort);
    return on_;
}

}  // namespace rmt::load
