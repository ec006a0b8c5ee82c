// SPDX-License-Identifier: MIT
// Growing one regression tree on gradients (second-order boosting as in XGBoost, Chen and Guestrin 2016), over histograms; best
// split first. Internal to the trainers.
//
// Gradients and hessians are integers, and so are all sums of them: a histogram is the same whatever the order in which it
// was added up, and that of the larger child is exactly its parent's less its sibling's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/bins.h"
#include "models/model.h"

namespace rmt::models {

constexpr int kGradientBits = 30;  // |gradient| <= 2^30, 0 < hessian <= 2^30: 2^32 rows can be summed

struct GradientPair {
    int32_t gradient = 0, hessian = 0;
};

struct GradientLimits {
    uint32_t max_depth = 6;
    size_t max_leaves = 64;
    double min_hessian = 1;  // of a leaf; in the units of the pairs, as lambda
    double lambda = 1;
};

struct GradientLeaf {
    int32_t node = 0;           // of the tree
    size_t begin = 0, end = 0;  // its rows, in the rows given to grow()
    int64_t gradient = 0, hessian = 0;
};

struct GradientTree {
    Tree tree;  // leaves of value 0: who knows the objective fills them
    std::vector<GradientLeaf> leaves;
    std::vector<double> gain;  // of each column
};

class GradientGrower {
public:
    explicit GradientGrower(const std::vector<BinnedColumn>& columns);  // of equal length, not empty; kept by reference

    // Orders `rows` so that each leaf's are a run of it. `pairs` are indexed by row.
    GradientTree grow(std::span<uint32_t> rows, std::span<const GradientPair> pairs, const GradientLimits& limits);

private:
    // One gradient and one hessian, added with one instruction where the machine has vectors (gcc and clang).
    typedef int64_t Cell __attribute__((vector_size(16)));
    using Histogram = std::vector<Cell>;
    struct Split {
        double gain = 0;
        size_t column = 0, left_bin = 0, right_bin = 0;
        int64_t left_gradient = 0, left_hessian = 0;
    };
    struct Candidate {
        Split split;
        GradientLeaf leaf;
        uint32_t depth = 0;
        size_t histogram = 0;
        bool operator<(const Candidate& other) const {
            return split.gain != other.split.gain ? split.gain < other.split.gain : leaf.node > other.leaf.node;
        }
    };
    struct State;

    template <size_t kColumns>
    void add_rows(std::span<const uint32_t> rows, std::span<const GradientPair> pairs, Histogram& histogram) const;
    void fill(std::span<const uint32_t> rows, std::span<const GradientPair> pairs, Histogram& histogram) const;
    Split find_split(const Histogram& histogram, const GradientLeaf& leaf, const GradientLimits& limits) const;
    size_t take_histogram();
    void divide(State& state, const Candidate& candidate);
    void consider(State& state, const GradientLeaf& leaf, uint32_t depth, size_t histogram);

    const std::vector<BinnedColumn>& columns_;
    std::vector<uint8_t> codes_;   // row after row
    std::vector<size_t> offsets_;  // of each column's first bin in a histogram
    size_t cells_ = 0;
    std::vector<Histogram> histograms_;
    std::vector<size_t> free_;
    std::vector<uint32_t> scratch_;
};

}  // namespace rmt::models
