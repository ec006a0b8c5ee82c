// SPDX-License-Identifier: MIT
#include "loader/agent/eviction_gate.h"

#include "tests/rmt_test.h"

using rmt::load::EvictionGate;

namespace {

// A workload's counters as they grow.
struct Hits {
    uint64_t hits = 1000, lead = 4000;  // from before the agent began
    bool show(EvictionGate& gate, uint64_t more, uint64_t mean_lead) {
        hits += more;
        lead += more * mean_lead;
        return gate.observe(hits, lead);
    }
};

}  // namespace

TEST_CASE("nothing is paged out behind a policy that looks far ahead, whatever was before") {
    EvictionGate gate;
    Hits h;
    CHECK_FALSE(h.show(gate, 0, 0));
    for (int i = 0; i < 100; i++) CHECK_FALSE(h.show(gate, 700, 40));
}

TEST_CASE("a short lead is believed after a window's hits, and no sooner") {
    EvictionGate gate;
    Hits h;
    h.show(gate, 0, 0);
    CHECK_FALSE(h.show(gate, 500, 3));
    CHECK(h.show(gate, 12, 3));
}

TEST_CASE("a lead between the two thresholds changes nothing") {
    EvictionGate gate;
    Hits h;
    h.show(gate, 0, 0);
    CHECK_FALSE(h.show(gate, 512, 10));
    CHECK(h.show(gate, 512, 7));
    CHECK(h.show(gate, 512, 10));
    CHECK_FALSE(h.show(gate, 512, 13));
    CHECK_FALSE(h.show(gate, 512, 10));
}
