// SPDX-License-Identifier: MIT
#include "models/grow.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <queue>
#include <span>
#include <utility>

namespace rmt::models {
namespace {

constexpr size_t kMaxBins = 256;

struct Split {
    double gain = -1;  // of the criterion, weighted by rows; < 0: none possible
    size_t column = 0, left_bin = 0, right_bin = 0;
};

// The bins that occur among some rows, in order.
class BinSet {
public:
    bool insert(size_t bin) {  // true when it is new
        uint64_t bit = uint64_t{1} << (bin & 63);
        bool fresh = !(words_[bin >> 6] & bit);
        words_[bin >> 6] |= bit;
        return fresh;
    }
    template <class F>
    void each(F visit) const {
        for (size_t word = 0; word < words_.size(); word++)
            for (uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) visit(word * 64 + static_cast<size_t>(std::countr_zero(bits)));
    }

private:
    std::array<uint64_t, kMaxBins / 64> words_ = {};
};

// A criterion: enter() names some rows; settled(), leaf() and best_split() are about them.
class Gini {
public:
    explicit Gini(const GrowInput& input) : in_(input), histogram_(kMaxBins * (kMaxLabels + 1)) {}

    // Counts the labels of these rows; the following calls are about them.
    void enter(const uint32_t* begin, const uint32_t* end) {
        begin_ = begin, end_ = end;
        std::array<uint32_t, kMaxLabels + 1> counts = {};
        for (const uint32_t* row = begin; row != end; row++) counts[in_.labels[*row]]++;
        present_ = 0;
        for (size_t label = 0; label <= in_.label_values.size(); label++) {
            if (counts[label] == 0) continue;
            compact_[label] = static_cast<uint8_t>(present_);
            label_of_[present_] = static_cast<uint8_t>(label);
            total_[present_++] = counts[label];
        }
    }
    // Nothing to gain: one label, or no label with enough rows for even the smallest leaf to answer it.
    bool settled() const {
        size_t best = most_frequent();
        return present_ <= 1 || best == present_ || total_[best] < in_.confidence * in_.limits.min_leaf;
    }

    int32_t leaf() const {
        size_t best = most_frequent();
        auto rows = static_cast<double>(end_ - begin_);
        if (best == present_ || total_[best] < in_.confidence * rows) return in_.none;
        return in_.label_values[label_of_[best]];
    }

    void best_split(size_t column, Split& best) {
        const uint8_t* code = in_.columns[column].code.data();
        BinSet bins;
        for (const uint32_t* row = begin_; row != end_; row++) {
            uint32_t* cell = &histogram_[code[*row] * present_];
            if (bins.insert(code[*row])) std::fill(cell, cell + present_, 0);
            cell[compact_[in_.labels[*row]]]++;
        }
        // sum of squares of the labels' counts, left and right of the cut; all exact in 64 bits
        std::array<uint32_t, kMaxLabels + 1> left = {};
        uint64_t left_rows = 0, left_squares = 0, right_rows = static_cast<uint64_t>(end_ - begin_), right_squares = 0;
        for (size_t i = 0; i < present_; i++) right_squares += uint64_t{total_[i]} * total_[i];
        double whole = static_cast<double>(right_squares) / static_cast<double>(right_rows);
        size_t previous = kMaxBins;
        bins.each([&](size_t bin) {
            if (left_rows >= in_.limits.min_leaf && right_rows >= in_.limits.min_leaf) {
                double gain = static_cast<double>(left_squares) / static_cast<double>(left_rows) +
                              static_cast<double>(right_squares) / static_cast<double>(right_rows) - whole;
                if (gain > best.gain) best = {std::max(gain, 0.0), column, previous, bin};
            }
            const uint32_t* cell = &histogram_[bin * present_];
            for (size_t i = 0; i < present_; i++) {
                uint64_t moved = cell[i];
                uint64_t right = total_[i] - left[i];
                left_squares += moved * (2 * uint64_t{left[i]} + moved);
                right_squares -= moved * (2 * right - moved);
                left[i] += static_cast<uint32_t>(moved);
                left_rows += moved;
                right_rows -= moved;
            }
            previous = bin;
        });
    }

private:
    size_t most_frequent() const {  // of the labels that may be answered; present_ when there is none
        size_t best = present_;
        for (size_t i = 0; i < present_; i++)
            if (label_of_[i] < in_.label_values.size() && (best == present_ || total_[i] > total_[best])) best = i;
        return best;
    }

    const GrowInput& in_;
    const uint32_t *begin_ = nullptr, *end_ = nullptr;
    std::vector<uint32_t> histogram_;
    std::array<uint8_t, kMaxLabels + 1> compact_ = {}, label_of_ = {};
    std::array<uint32_t, kMaxLabels + 1> total_ = {};
    size_t present_ = 0;
};

class SquaredError {
public:
    explicit SquaredError(const GrowInput& input) : in_(input) {}

    void enter(const uint32_t* begin, const uint32_t* end) {
        begin_ = begin, end_ = end;
        sum_ = 0;
        pure_ = true;
        for (const uint32_t* row = begin; row != end; row++) {
            sum_ += in_.targets[*row];
            pure_ &= in_.targets[*row] == in_.targets[*begin];
        }
    }
    bool settled() const { return pure_; }

    int32_t leaf() const {
        double mean = std::floor(sum_ / static_cast<double>(end_ - begin_) + 0.5);
        return static_cast<int32_t>(std::clamp(mean, static_cast<double>(in_.min_value), static_cast<double>(in_.max_value)));
    }

    void best_split(size_t column, Split& best) {
        const uint8_t* code = in_.columns[column].code.data();
        BinSet bins;
        for (const uint32_t* row = begin_; row != end_; row++) {
            size_t bin = code[*row];
            if (bins.insert(bin)) count_[bin] = 0, part_[bin] = 0;
            count_[bin]++;
            part_[bin] += in_.targets[*row];
        }
        double rows = static_cast<double>(end_ - begin_), whole = sum_ * sum_ / rows, left_sum = 0;
        uint64_t left_rows = 0, all = static_cast<uint64_t>(end_ - begin_);
        size_t previous = kMaxBins;
        bins.each([&](size_t bin) {
            if (left_rows >= in_.limits.min_leaf && all - left_rows >= in_.limits.min_leaf) {
                double right_sum = sum_ - left_sum;
                double gain = left_sum * left_sum / static_cast<double>(left_rows) +
                              right_sum * right_sum / static_cast<double>(all - left_rows) - whole;
                if (gain > best.gain) best = {std::max(gain, 0.0), column, previous, bin};
            }
            left_rows += count_[bin];
            left_sum += part_[bin];
            previous = bin;
        });
    }

private:
    const GrowInput& in_;
    const uint32_t *begin_ = nullptr, *end_ = nullptr;
    std::array<uint64_t, kMaxBins> count_ = {};
    std::array<double, kMaxBins> part_ = {};
    double sum_ = 0;
    bool pure_ = true;
};

template <class Criterion>
class Grower {
public:
    explicit Grower(const GrowInput& input)
        : in_(input), criterion_(input), order_(input.rows), columns_(input.columns.size()), gain_(input.columns.size()) {
        if (order_.empty()) {
            order_.resize(input.columns[0].code.size());
            std::iota(order_.begin(), order_.end(), 0u);
        }
        std::iota(columns_.begin(), columns_.end(), size_t{0});
    }

    Grown grow() {
        open_leaf(0, order_.size(), 0);
        while (!queue_.empty() && tree_.size() + 2 <= in_.limits.max_nodes) {
            Candidate best = queue_.top();
            queue_.pop();
            divide(best);
        }
        if (!in_.keep_leaves) return {merge_equal_leaves(std::move(tree_)), std::move(gain_), {}, {}};
        Grown grown;
        for (size_t node = 0; node < tree_.size(); node++)
            if (tree_.is_leaf(node)) grown.leaves.push_back({static_cast<int32_t>(node), runs_[node].first, runs_[node].second});
        grown.tree = std::move(tree_);
        grown.gain = std::move(gain_);
        grown.rows = std::move(order_);
        return grown;
    }

private:
    struct Candidate {
        Split split;
        int32_t node = 0;
        size_t begin = 0, end = 0;
        uint32_t depth = 0;
        bool operator<(const Candidate& other) const {
            return split.gain != other.split.gain ? split.gain < other.split.gain : node > other.node;
        }
    };

    int32_t open_leaf(size_t begin, size_t end, uint32_t depth) {
        criterion_.enter(order_.data() + begin, order_.data() + end);
        int32_t node = tree_.add_leaf(criterion_.leaf());
        runs_.emplace_back(begin, end);
        if (depth == in_.limits.max_depth || criterion_.settled() || end - begin < 2 * size_t{in_.limits.min_leaf}) return node;
        Candidate candidate{{}, node, begin, end, depth};
        for (size_t column : choose_columns()) criterion_.best_split(column, candidate.split);
        if (candidate.split.gain >= 0) queue_.push(candidate);
        return node;
    }

    std::span<const size_t> choose_columns() {
        size_t wanted = in_.columns_per_split;
        if (wanted == 0 || wanted >= columns_.size()) return columns_;
        for (size_t i = 0; i < wanted; i++) std::swap(columns_[i], columns_[i + (*in_.random)() % (columns_.size() - i)]);
        return {columns_.data(), wanted};
    }

    void divide(const Candidate& c) {
        const BinnedColumn& column = in_.columns[c.split.column];
        auto first = order_.begin() + static_cast<ptrdiff_t>(c.begin), last = order_.begin() + static_cast<ptrdiff_t>(c.end);
        auto middle = std::partition(first, last, [&](uint32_t row) { return column.code[row] <= c.split.left_bin; });
        auto cut = static_cast<size_t>(middle - order_.begin());
        int32_t left = open_leaf(c.begin, cut, c.depth + 1);
        int32_t right = open_leaf(cut, c.end, c.depth + 1);
        gain_[c.split.column] += c.split.gain;
        tree_.feature[c.node] = static_cast<int32_t>(c.split.column);
        tree_.threshold[c.node] = column.threshold(c.split.left_bin, c.split.right_bin);
        tree_.left[c.node] = left;
        tree_.right[c.node] = right;
        tree_.value[c.node] = 0;
    }

    const GrowInput& in_;
    Criterion criterion_;
    std::vector<uint32_t> order_;                  // rows; each leaf owns a run of it
    std::vector<std::pair<size_t, size_t>> runs_;  // of each node
    std::vector<size_t> columns_;
    Tree tree_;
    std::vector<double> gain_;
    std::priority_queue<Candidate> queue_;
};

int32_t copy_reached(const Tree& from, int32_t node, Tree& to) {  // depth <= 16
    int32_t at = to.add_leaf(from.value[node]);
    if (from.is_leaf(node)) return at;
    to.feature[at] = from.feature[node];
    to.threshold[at] = from.threshold[node];
    int32_t left = copy_reached(from, from.left[node], to);
    int32_t right = copy_reached(from, from.right[node], to);
    to.left[at] = left;
    to.right[at] = right;
    return at;
}

}  // namespace

Tree merge_equal_leaves(Tree tree) {
    for (size_t node = tree.size(); node-- > 0;) {  // children lie behind their parents: one backward pass sees them first
        if (tree.is_leaf(node)) continue;
        int32_t left = tree.left[node], right = tree.right[node];
        if (!tree.is_leaf(left) || !tree.is_leaf(right) || tree.value[left] != tree.value[right]) continue;
        tree.value[node] = tree.value[left];
        tree.left[node] = tree.right[node] = tree.feature[node] = -1;
        tree.threshold[node] = 0;
    }
    Tree packed;
    copy_reached(tree, 0, packed);
    packed.output = tree.output;
    return packed;
}

Grown grow_classifier(const GrowInput& input) { return Grower<Gini>(input).grow(); }
Grown grow_regressor(const GrowInput& input) { return Grower<SquaredError>(input).grow(); }

}  // namespace rmt::models
