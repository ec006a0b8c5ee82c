// SPDX-License-Identifier: MIT
// Dearest path in a graph whose cycles are driven by iterators (cost.h has the argument). Costs are vectors, compared and
// bounded component by component.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rmt::verify {

using Cost = std::vector<uint64_t>;  // saturating

void add_cost(Cost& to, const Cost& more);
void max_cost(Cost& to, const Cost& other);

struct CostEdge {
    uint32_t to = 0;
    int32_t iterator = 0;  // taken when the iterator at this stack offset gave an element; 0: any other edge
    uint32_t total = 0;    // elements that it gives at most from its beginning
};

struct CostNode {
    Cost own;
    std::vector<CostEdge> edges;
    std::vector<int32_t> begins;  // iterators that begin here
    bool exits = false;
};

struct Longest {
    std::optional<Cost> cost;           // of the dearest path from node 0 to an exit
    std::optional<uint32_t> unbounded;  // a node of a cycle that no iterator bounds
};

Longest find_longest(const std::vector<CostNode>& nodes);

}  // namespace rmt::verify
