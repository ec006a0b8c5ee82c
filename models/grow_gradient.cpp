// SPDX-License-Identifier: MIT
#include "models/grow_gradient.h"

#include <algorithm>
#include <queue>

namespace rmt::models {
namespace {

// What is less than this share of a node's score may be rounding of the doubles in which gains are compared.
constexpr double kNoGain = 1e-10;

double score(int64_t gradient, int64_t hessian, double lambda) {
    auto g = static_cast<double>(gradient);
    return g * g / (static_cast<double>(hessian) + lambda);
}

}  // namespace

struct GradientGrower::State {
    std::span<uint32_t> rows;
    std::span<const GradientPair> pairs;
    const GradientLimits& limits;
    GradientTree out;
    std::priority_queue<Candidate> open;
};

GradientGrower::GradientGrower(const std::vector<BinnedColumn>& columns) : columns_(columns) {
    size_t rows = columns[0].code.size(), width = columns.size();
    codes_.resize(rows * width);
    for (size_t c = 0; c < width; c++) {
        for (size_t row = 0; row < rows; row++) codes_[row * width + c] = columns[c].code[row];
        offsets_.push_back(cells_);
        cells_ += columns[c].bins();
    }
    scratch_.resize(rows);
}

template <size_t kColumns>
void GradientGrower::add_rows(std::span<const uint32_t> rows, std::span<const GradientPair> pairs, Histogram& histogram) const {
    const size_t width = kColumns > 0 ? kColumns : columns_.size();
    Cell* cells = histogram.data();
    const size_t* offsets = offsets_.data();
    for (uint32_t row : rows) {
        const Cell pair = {pairs[row].gradient, pairs[row].hessian};
        const uint8_t* code = codes_.data() + row * width;
        for (size_t c = 0; c < width; c++) cells[offsets[c] + code[c]] += pair;
    }
}

void GradientGrower::fill(std::span<const uint32_t> rows, std::span<const GradientPair> pairs, Histogram& histogram) const {
    std::fill(histogram.begin(), histogram.end(), Cell{0, 0});
    switch (columns_.size()) {
        case 1:
            return add_rows<1>(rows, pairs, histogram);
        case 2:
            return add_rows<2>(rows, pairs, histogram);
        case 3:
            return add_rows<3>(rows, pairs, histogram);
        case 4:
            return add_rows<4>(rows, pairs, histogram);
        case 6:
            return add_rows<6>(rows, pairs, histogram);
        case 8:
            return add_rows<8>(rows, pairs, histogram);
        default:
            return add_rows<0>(rows, pairs, histogram);
    }
}

GradientGrower::Split GradientGrower::find_split(const Histogram& histogram, const GradientLeaf& leaf, const GradientLimits& limits) const {
    Split best;
    const double whole = score(leaf.gradient, leaf.hessian, limits.lambda);
    best.gain = whole * kNoGain;
    const double least = best.gain;
    for (size_t column = 0; column < columns_.size(); column++) {
        const Cell* cells = &histogram[offsets_[column]];
        int64_t gradient = 0, hessian = 0;  // left of the cut
        size_t previous = 0;
        for (size_t bin = 0; bin < columns_[column].bins(); bin++) {
            if (cells[bin][1] == 0) continue;  // no row: every hessian is positive
            int64_t right = leaf.hessian - hessian;
            if (hessian > 0 && static_cast<double>(hessian) >= limits.min_hessian && static_cast<double>(right) >= limits.min_hessian) {
                double gain = score(gradient, hessian, limits.lambda) + score(leaf.gradient - gradient, right, limits.lambda) - whole;
                if (gain > best.gain) best = {gain, column, previous, bin, gradient, hessian};
            }
            gradient += cells[bin][0];
            hessian += cells[bin][1];
            previous = bin;
        }
    }
    if (best.gain <= least) best.gain = 0;
    return best;
}

size_t GradientGrower::take_histogram() {
    if (free_.empty()) {
        histograms_.emplace_back(cells_);
        return histograms_.size() - 1;
    }
    size_t index = free_.back();
    free_.pop_back();
    return index;
}

void GradientGrower::consider(State& state, const GradientLeaf& leaf, uint32_t depth, size_t histogram) {
    Split split = find_split(histograms_[histogram], leaf, state.limits);
    if (split.gain > 0)
        state.open.push({split, leaf, depth, histogram});
    else
        free_.push_back(histogram), state.out.leaves.push_back(leaf);
}

void GradientGrower::divide(State& state, const Candidate& c) {
    const BinnedColumn& column = columns_[c.split.column];
    const uint8_t* code = codes_.data() + c.split.column;
    const size_t width = columns_.size(), last_left = c.split.left_bin;
    uint32_t *out = state.rows.data() + c.leaf.begin, *right_rows = scratch_.data();
    for (size_t i = c.leaf.begin; i < c.leaf.end; i++) {  // stable, without a branch: which side is not predictable
        uint32_t row = state.rows[i];
        bool right_side = code[row * width] > last_left;
        *out = row;
        *right_rows = row;
        out += !right_side;
        right_rows += right_side;
    }
    std::copy(scratch_.data(), right_rows, out);
    auto cut = static_cast<size_t>(out - state.rows.data());

    Tree& tree = state.out.tree;
    GradientLeaf left = {tree.add_leaf(0), c.leaf.begin, cut, c.split.left_gradient, c.split.left_hessian};
    GradientLeaf right = {tree.add_leaf(0), cut, c.leaf.end, c.leaf.gradient - left.gradient, c.leaf.hessian - left.hessian};
    tree.feature[c.leaf.node] = static_cast<int32_t>(c.split.column);
    tree.threshold[c.leaf.node] = column.threshold(c.split.left_bin, c.split.right_bin);
    tree.left[c.leaf.node] = left.node;
    tree.right[c.leaf.node] = right.node;
    state.out.gain[c.split.column] += c.split.gain;

    if (c.depth + 1 == state.limits.max_depth) {
        free_.push_back(c.histogram);
        state.out.leaves.push_back(left);
        state.out.leaves.push_back(right);
        return;
    }
    bool left_smaller = left.end - left.begin <= right.end - right.begin;
    const GradientLeaf& smaller = left_smaller ? left : right;
    size_t fresh = take_histogram();  // of the smaller child; the parent's becomes the larger one's
    fill(state.rows.subspan(smaller.begin, smaller.end - smaller.begin), state.pairs, histograms_[fresh]);
    Histogram &rest = histograms_[c.histogram], &part = histograms_[fresh];
    for (size_t i = 0; i < cells_; i++) rest[i] -= part[i];
    consider(state, left, c.depth + 1, left_smaller ? fresh : c.histogram);
    consider(state, right, c.depth + 1, left_smaller ? c.histogram : fresh);
}

GradientTree GradientGrower::grow(std::span<uint32_t> rows, std::span<const GradientPair> pairs, const GradientLimits& limits) {
    State state{rows, pairs, limits, {}, {}};
    state.out.gain.resize(columns_.size());
    GradientLeaf root = {state.out.tree.add_leaf(0), 0, rows.size(), 0, 0};
    for (uint32_t row : rows) root.gradient += pairs[row].gradient, root.hessian += pairs[row].hessian;
    if (limits.max_depth == 0 || limits.max_leaves < 2) {
        state.out.leaves.push_back(root);
        return std::move(state.out);
    }
    size_t histogram = take_histogram();
    fill(rows, pairs, histograms_[histogram]);
    consider(state, root, 0, histogram);
    while (!state.open.empty()) {
        Candidate best = state.open.top();
        state.open.pop();
        if (state.out.leaves.size() + state.open.size() + 2 <= limits.max_leaves) {
            divide(state, best);
        } else {
            free_.push_back(best.histogram);
            state.out.leaves.push_back(best.leaf);
        }
    }
    return std::move(state.out);
}

}  // namespace rmt::models
