// SPDX-License-Identifier: MIT
#include "verifier_ext/longest.h"

#include <algorithm>

namespace rmt::verify {
namespace {

uint64_t add_sat(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
uint64_t mul_sat(uint64_t a, uint64_t b) { return b && a > UINT64_MAX / b ? UINT64_MAX : a * b; }

using Maybe = std::optional<Cost>;

void max_maybe(Maybe& to, const Maybe& other) {
    if (!other) return;
    if (to) max_cost(*to, *other);
    else to = other;
}

// Part of the graph: indices into all nodes, and which of their edges are gone.
struct Part {
    std::vector<uint32_t> nodes;
    std::vector<int32_t> without;  // iterators whose edges are gone
};

class Solver {
public:
    explicit Solver(const std::vector<CostNode>& nodes) : nodes_(nodes), part_of_(nodes.size(), 0) {}

    // For each node of the part the dearest path inside the part that ends where `ends` has a cost, which is added.
    bool solve(const Part& part, const std::vector<Maybe>& ends, std::vector<Maybe>& value);
    uint32_t unbounded() const { return unbounded_; }

private:
    bool inside(const Part& part, uint32_t stamp, const CostEdge& edge) const {
        return part_of_[edge.to] == stamp && std::find(part.without.begin(), part.without.end(), edge.iterator) == part.without.end();
    }
    std::vector<std::vector<uint32_t>> components(const Part& part, uint32_t stamp);
    bool solve_cycle(const Part& part, uint32_t stamp, const std::vector<uint32_t>& component, const std::vector<Maybe>& ends, std::vector<Maybe>& value);
    std::vector<int32_t> drivers(const Part& part, uint32_t stamp, const std::vector<uint32_t>& component) const;

    const std::vector<CostNode>& nodes_;
    std::vector<uint32_t> part_of_;  // stamp of the innermost part that is being looked at
    std::vector<uint32_t> local_;
    uint32_t stamps_ = 0, unbounded_ = 0;
};

// Tarjan's algorithm without recursion; components come out with what they lead to before them.
std::vector<std::vector<uint32_t>> Solver::components(const Part& part, uint32_t stamp) {
    std::vector<std::vector<uint32_t>> found;
    std::vector<int64_t> index(nodes_.size(), -1), low(nodes_.size(), 0);
    std::vector<bool> open(nodes_.size(), false);
    std::vector<uint32_t> stack;
    std::vector<std::pair<uint32_t, size_t>> calls;
    int64_t counter = 0;
    for (uint32_t start : part.nodes) {
        if (index[start] >= 0) continue;
        calls.push_back({start, 0});
        while (!calls.empty()) {
            auto& [node, at] = calls.back();
            if (at == 0) {
                index[node] = low[node] = counter++;
                stack.push_back(node);
                open[node] = true;
            }
            const auto& edges = nodes_[node].edges;
            bool descended = false;
            while (at < edges.size()) {
                const CostEdge& edge = edges[at++];
                if (!inside(part, stamp, edge)) continue;
                if (index[edge.to] < 0) {
                    calls.push_back({edge.to, 0});
                    descended = true;
                    break;
                }
                if (open[edge.to]) low[node] = std::min(low[node], index[edge.to]);
            }
            if (descended) continue;
            uint32_t done = node;
            if (edges.empty()) at = 1;
            if (low[done] == index[done]) {
                found.emplace_back();
                for (uint32_t top = UINT32_MAX; top != done;) {
                    top = stack.back();
                    stack.pop_back();
                    open[top] = false;
                    found.back().push_back(top);
                }
            }
            calls.pop_back();
            if (!calls.empty()) low[calls.back().first] = std::min(low[calls.back().first], low[done]);
        }
    }
    return found;
}

// Iterators that could bound the cycles of the component: stepped inside, begun outside.
std::vector<int32_t> Solver::drivers(const Part& part, uint32_t stamp, const std::vector<uint32_t>& component) const {
    std::vector<int32_t> found;
    for (uint32_t node : component)
        for (const CostEdge& edge : nodes_[node].edges)
            if (edge.iterator && inside(part, stamp, edge) && std::find(found.begin(), found.end(), edge.iterator) == found.end())
                found.push_back(edge.iterator);
    std::erase_if(found, [&](int32_t iterator) {
        return std::any_of(component.begin(), component.end(), [&](uint32_t node) {
            const auto& begins = nodes_[node].begins;
            return std::find(begins.begin(), begins.end(), iterator) != begins.end();
        });
    });
    return found;
}

bool Solver::solve_cycle(const Part& part, uint32_t stamp, const std::vector<uint32_t>& component, const std::vector<Maybe>& ends, std::vector<Maybe>& value) {
    std::vector<uint32_t> before;
    for (uint32_t node : component) before.push_back(part_of_[node]);
    uint32_t inner_stamp = ++stamps_;
    for (uint32_t node : component) part_of_[node] = inner_stamp;
    // What leaving the component leads to, seen with the component's own stamp.
    std::vector<Maybe> leave(nodes_.size());
    for (uint32_t node : component) {
        leave[node] = ends[node];
        for (const CostEdge& edge : nodes_[node].edges)
            if (part_of_[edge.to] == stamp && std::find(part.without.begin(), part.without.end(), edge.iterator) == part.without.end())
                max_maybe(leave[node], value[edge.to]);
    }
    bool solved = false;
    for (int32_t driver : drivers(part, inner_stamp, component)) {
        Part inner{component, part.without};
        inner.without.push_back(driver);
        uint64_t total = 0;
        std::vector<Maybe> steps(nodes_.size());
        for (uint32_t node : component)
            for (const CostEdge& edge : nodes_[node].edges)
                if (edge.iterator == driver && part_of_[edge.to] == inner_stamp) {
                    total = std::max<uint64_t>(total, edge.total);
                    steps[node] = Cost(nodes_[node].own.size(), 0);
                }
        std::vector<Maybe> around(nodes_.size()), out(nodes_.size());
        bool fits = true;
        for (uint32_t node : component) part_of_[node] = inner_stamp;
        fits = solve(inner, steps, around);
        for (uint32_t node : component) part_of_[node] = inner_stamp;
        fits = fits && solve(inner, leave, out);
        for (uint32_t node : component) part_of_[node] = inner_stamp;
        if (!fits) continue;
        // Both start where an element was given; the way to the first step starts where the component was entered.
        Maybe round, end;
        for (uint32_t node : component)
            for (const CostEdge& edge : nodes_[node].edges)
                if (edge.iterator == driver && part_of_[edge.to] == inner_stamp) max_maybe(round, around[edge.to]), max_maybe(end, out[edge.to]);
        for (uint32_t node : component) {
            value[node] = out[node];
            if (!around[node] || !end || total == 0) continue;
            Cost all = *around[node];
            add_cost(all, *end);
            for (size_t i = 0; round && i < all.size(); i++) all[i] = add_sat(all[i], mul_sat(total - 1, (*round)[i]));
            max_maybe(value[node], all);
        }
        solved = true;
        break;
    }
    if (!solved) unbounded_ = *std::min_element(component.begin(), component.end());
    for (size_t i = 0; i < component.size(); i++) part_of_[component[i]] = before[i];
    return solved;
}

bool Solver::solve(const Part& part, const std::vector<Maybe>& ends, std::vector<Maybe>& value) {
    uint32_t stamp = ++stamps_;
    for (uint32_t node : part.nodes) part_of_[node] = stamp;
    for (const auto& component : components(part, stamp)) {
        uint32_t node = component[0];
        bool cycle = component.size() > 1 || std::any_of(nodes_[node].edges.begin(), nodes_[node].edges.end(), [&](const CostEdge& edge) {
            return edge.to == node && inside(part, stamp, edge);
        });
        if (cycle) {
            if (!solve_cycle(part, stamp, component, ends, value)) return false;
        } else {
            Maybe best = ends[node];
            for (const CostEdge& edge : nodes_[node].edges)
                if (inside(part, stamp, edge)) max_maybe(best, value[edge.to]);
            value[node] = best;
        }
        if (cycle) continue;  // each node's own cost is in the value already
        if (value[node]) add_cost(*value[node], nodes_[node].own);
    }
    return true;
}

}  // namespace

void add_cost(Cost& to, const Cost& more) {
    for (size_t i = 0; i < to.size(); i++) to[i] = add_sat(to[i], more[i]);
}

void max_cost(Cost& to, const Cost& other) {
    for (size_t i = 0; i < to.size(); i++) to[i] = std::max(to[i], other[i]);
}

Longest find_longest(const std::vector<CostNode>& nodes) {
    if (nodes.empty()) return {};
    Solver solver(nodes);
    Part all;
    std::vector<Maybe> ends(nodes.size()), value(nodes.size());
    for (uint32_t i = 0; i < nodes.size(); i++) {
        all.nodes.push_back(i);
        if (nodes[i].exits) ends[i] = Cost(nodes[i].own.size(), 0);
    }
    if (!solver.solve(all, ends, value)) return {std::nullopt, solver.unbounded()};
    return {value[0], std::nullopt};
}

}  // namespace rmt::verify
