// SPDX-License-Identifier: MIT
// Dearest paths: closed forms of nested loops, and graphs at random against a walk that counts elements.
#include "verifier_ext/longest.h"

#include <functional>
#include <map>
#include <random>

#include "tests/rmt_test.h"

using namespace rmt::verify;

namespace {

CostNode node(uint64_t cost, std::vector<CostEdge> edges, std::vector<int32_t> begins = {}, bool exits = false) {
    return {{cost}, std::move(edges), std::move(begins), exits};
}

// The exact answer by trying every walk: state is the node and what each iterator has left.
uint64_t brute(const std::vector<CostNode>& nodes) {
    using State = std::pair<uint32_t, std::map<int32_t, uint32_t>>;
    std::map<State, uint64_t> memo;
    std::function<uint64_t(uint32_t, std::map<int32_t, uint32_t>)> best = [&](uint32_t at, std::map<int32_t, uint32_t> left) -> uint64_t {
        for (int32_t begun : nodes[at].begins) left.erase(begun);
        State key{at, left};
        if (auto found = memo.find(key); found != memo.end()) return found->second;
        uint64_t most = 0;
        for (const CostEdge& edge : nodes[at].edges) {
            auto next = left;
            if (edge.iterator) {
                auto it = next.emplace(edge.iterator, edge.total).first;
                if (it->second == 0) continue;
                it->second--;
            }
            most = std::max(most, best(edge.to, next));
        }
        return memo[key] = most + nodes[at].own[0];
    };
    return best(0, {});
}

}  // namespace

TEST_CASE("one loop: n times the round, and the end") {
    for (uint32_t n : {0u, 1u, 2u, 32u, 1000u}) {
        std::vector<CostNode> g = {
            node(10, {{1}}, {-8}),                // begins the iterator
            node(1, {{2, -8, n}, {3}}),           // its step
            node(7, {{1}}),                       // body
            node(5, {}, {}, true),
        };
        if (n == 0) g[1].edges.erase(g[1].edges.begin());
        auto longest = find_longest(g);
        REQUIRE(longest.cost);
        CHECK((*longest.cost)[0] == 10 + n * (1 + 7) + 1 + 5);
    }
}

TEST_CASE("nested loops multiply") {
    uint32_t n = 6, m = 9;
    std::vector<CostNode> g = {
        node(1, {{1}}, {-8}),
        node(2, {{2, -8, n}, {5}}),
        node(3, {{3}}, {-16}),                    // the inner one begins in each round of the outer
        node(4, {{4, -16, m}, {1}}),
        node(5, {{3}}),
        node(6, {}, {}, true),
    };
    auto longest = find_longest(g);
    REQUIRE(longest.cost);
    CHECK((*longest.cost)[0] == 1 + n * (2 + 3 + m * (4 + 5) + 4) + 2 + 6);
}

TEST_CASE("a cycle that no iterator drives has no bound") {
    std::vector<CostNode> plain = {node(1, {{1}}), node(1, {{0}, {2}}), node(1, {}, {}, true)};
    CHECK(find_longest(plain).unbounded);
    // the iterator begins anew in each round
    std::vector<CostNode> renewed = {node(1, {{1}}, {-8}), node(1, {{0, -8, 4}, {2}}), node(1, {}, {}, true)};
    CHECK(find_longest(renewed).unbounded);
    // one way around passes the step, the other does not
    std::vector<CostNode> around = {node(1, {{1}}, {-8}), node(1, {{2, -8, 4}, {3}}), node(1, {{1}, {2}}), node(1, {}, {}, true)};
    CHECK(find_longest(around).unbounded);
    std::vector<CostNode> self = {node(1, {{0}})};
    CHECK(find_longest(self).unbounded);
}

TEST_CASE("sums saturate") {
    std::vector<CostNode> g = {node(1, {{1}}, {-8}), node(1, {{2, -8, UINT32_MAX}, {3}}), node(UINT64_MAX / 2, {{1}}), node(1, {}, {}, true)};
    CHECK((*find_longest(g).cost)[0] == UINT64_MAX);
}

// Random flow: forward edges, and loops closed through steps of iterators begun before them. Never below the exact answer;
// equal where there is no loop.
TEST_CASE("graphs at random are never underestimated") {
    std::mt19937 random(20261124);
    auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    int loops = 0, tight = 0;
    for (int round = 0; round < 3000; round++) {
        uint32_t n = 4 + below(8);
        std::vector<CostNode> g;
        for (uint32_t i = 0; i < n; i++) {
            g.push_back(node(1 + below(9), {}));
            if (i + 1 < n) g[i].edges.push_back({i + 1});
            if (i + 2 < n && below(2)) g[i].edges.push_back({i + 2 + below(n - i - 2)});
        }
        g[n - 1].exits = true;
        bool looped = below(4) != 0;
        if (looped) {
            g[0].begins = {-8, -16};
            for (int k = 0; k < 1 + static_cast<int>(below(2)); k++) {
                uint32_t at = 1 + below(n - 1), back = 1 + below(at);
                int32_t iterator = below(2) ? -8 : -16;
                if (at == n - 1) at--;
                if (at < back) continue;
                g[at].edges.push_back({back, iterator, 3});
                if (below(3) == 0) g[back].begins.push_back(iterator == -8 ? -16 : -8);
            }
        }
        auto longest = find_longest(g);
        if (!longest.cost) continue;
        uint64_t exact = brute(g);
        INFO("round " << round);
        REQUIRE((*longest.cost)[0] >= exact);
        if (looped) loops++; else REQUIRE((*longest.cost)[0] == exact);
        if (looped && (*longest.cost)[0] == exact) tight++;
    }
    CHECK(loops > 500);
    CHECK(tight > 100);
}
