// SPDX-License-Identifier: MIT
#include "models/quantise_tree.h"

#include <algorithm>
#include <cmath>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

constexpr size_t kDerived = 64;  // entries that the kernel's value has for sets and for second columns of missing values
constexpr size_t kStretch = 64;  // numbers that one entry covers

size_t entries_of(const CategorySet& set) {
    size_t entries = 0;
    for (size_t i = 0; i < set.members.size(); entries++) {
        const int64_t first = set.members[i];
        while (i < set.members.size() && set.members[i] - first < static_cast<int64_t>(kStretch)) i++;
    }
    return entries;
}

bool only_missing(const FeatureRange& range) { return range.low > range.high; }

}  // namespace

int64_t integer_threshold(const FloatModel& model, double threshold, const FeatureRange& range) {
    int64_t low = range.low - 1, high = range.high;  // left at low, by definition; not known above
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        double x = std::ldexp(static_cast<double>(middle), -static_cast<int>(range.fraction_bits));
        if (compares_left(model, x, threshold))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

TreeQuantiser::TreeQuantiser(const FloatModel& model, const FloatTree& tree, std::vector<FeatureRange> ranges,
                             std::vector<CategorySet>& sets, size_t inputs, size_t slots, Leaf leaf, std::string path)
    : model_(model),
      from_(tree),
      ranges_(std::move(ranges)),
      all_(ranges_),
      sets_(sets),
      inputs_(inputs),
      slots_(slots),
      leaf_(std::move(leaf)),
      path_(std::move(path)) {}

Result<Tree> TreeQuantiser::run() {
    RMT_CHECK(build(0, 0));
    set_defaults();
    return std::move(out_);
}

Result<Tree> TreeQuantiser::run_oblivious() {
    RMT_CHECK(build_levels(0, 0));
    set_defaults();
    return std::move(out_);
}

// Default sides are said where an input may be missing, and nowhere else.
void TreeQuantiser::set_defaults() {
    bool any = false;
    for (size_t i = 0; i < out_.size(); i++) {
        bool may_miss = false;
        if (!out_.is_leaf(i)) {
            auto feature = static_cast<size_t>(out_.feature[i]);
            int32_t input = feature < inputs_ ? out_.feature[i] : sets_[feature - inputs_].input;
            for (const FeatureRange& range : all_) may_miss = may_miss || (range.input == input && range.missing);
        }
        if (!may_miss) sides_[i] = 0;
        any = any || may_miss;
    }
    if (any) out_.default_left = std::move(sides_);
}

// As build(), but what is decided does not depend on the way down, so that levels stay alike.
Result<int32_t> TreeQuantiser::build_levels(int32_t at, uint32_t depth) {
    for (;;) {
        const FloatNode& node = from_.nodes[at];
        if (node.is_leaf()) {
            sides_.push_back(0);
            return out_.add_leaf(leaf_(node));
        }
        const FeatureRange& range = all_[node.feature];
        bool missing_left = node.missing == MissingRule::None ? compares_left(model_, 0, node.threshold) : node.default_left;
        int64_t threshold = integer_threshold(model_, node.threshold, range);
        if (threshold >= range.high && (!range.missing || missing_left)) {
            at = node.left;
        } else if (threshold < range.low && (!range.missing || !missing_left)) {
            at = node.right;
        } else {
            RMT_TRY(int32_t made, emit(range.input, threshold, missing_left, depth));
            RMT_TRY(int32_t left, build_levels(node.left, depth + 1));
            RMT_TRY(int32_t right, build_levels(node.right, depth + 1));
            out_.left[made] = left;
            out_.right[made] = right;
            return made;
        }
    }
}

Result<int32_t> TreeQuantiser::emit(int32_t feature, int64_t threshold, bool missing_left, uint32_t depth) {
    if (depth >= RMT_MODEL_MAX_DEPTH)
        return model_error("M0107", path_, "is deeper than " + std::to_string(RMT_MODEL_MAX_DEPTH) + " steps",
                           "train with a smaller max_depth (LightGBM: also fewer num_leaves)");
    if (out_.size() >= RMT_MODEL_MAX_NODES)
        return model_error("M0107", path_, "needs more than " + std::to_string(RMT_MODEL_MAX_NODES) + " nodes as integers");
    if (threshold < RMT_MODEL_MIN || threshold > RMT_MODEL_MAX)
        return model_error(
            "M0108", path_,
            "a missing value and -2^30 or 2^30 cannot be told apart: the range of an input that may be missing must be narrower",
            "give the input the range that it really has");
    int32_t at = out_.add_leaf(0);
    out_.feature[at] = feature;
    out_.threshold[at] = static_cast<int32_t>(threshold);
    sides_.push_back(missing_left ? 1 : 0);
    return at;
}

// Left iff the feature is at most `threshold`. Nothing is emitted where the range on this way leaves one side only.
Result<int32_t> TreeQuantiser::split(int32_t feature, int64_t threshold, bool missing_left, const Next& left, const Next& right,
                                     uint32_t depth) {
    FeatureRange& range = ranges_[feature];
    const FeatureRange saved = range;
    const bool none_left = threshold < saved.low || only_missing(saved), none_right = threshold >= saved.high || only_missing(saved);
    if (none_right && (!saved.missing || missing_left)) return left(depth);
    if (none_left && (!saved.missing || !missing_left)) return right(depth);
    RMT_TRY(int32_t at, emit(saved.input, threshold, missing_left, depth));
    range.high = std::min(saved.high, threshold);
    range.missing = saved.missing && missing_left;
    RMT_TRY(int32_t left_child, left(depth + 1));
    range = saved;
    range.low = std::max(saved.low, threshold + 1);
    range.missing = saved.missing && !missing_left;
    RMT_TRY(int32_t right_child, right(depth + 1));
    range = saved;
    out_.left[at] = left_child;
    out_.right[at] = right_child;
    return at;
}

Result<int32_t> TreeQuantiser::build(int32_t at, uint32_t depth) {
    for (;;) {
        const FloatNode& node = from_.nodes[at];
        if (node.is_leaf()) {
            sides_.push_back(0);
            return out_.add_leaf(leaf_(node));
        }
        const FeatureRange& range = ranges_[node.feature];
        if (node.set >= 0) return build_set(node, depth);
        bool missing_left = node.missing == MissingRule::None ? compares_left(model_, 0, node.threshold) : node.default_left;
        if (only_missing(range)) {
            at = missing_left ? node.left : node.right;
            continue;
        }
        int64_t threshold = integer_threshold(model_, node.threshold, range);
        bool zero_is_here = range.low <= 0 && range.high >= 0;
        if (node.missing == MissingRule::Zero && zero_is_here && (0 <= threshold) != node.default_left)
            return build_zero(node, threshold, depth);
        if (threshold >= range.high && (!range.missing || missing_left))
            at = node.left;
        else if (threshold < range.low && (!range.missing || !missing_left))
            at = node.right;
        else
            return split(node.feature, threshold, missing_left, to(node.left), to(node.right), depth);
    }
}

// 0 goes to the other side than its neighbours (LightGBM's zero_as_missing): three splits instead of one.
Result<int32_t> TreeQuantiser::build_zero(const FloatNode& node, int64_t threshold, uint32_t depth) {
    const int32_t f = node.feature;
    const Next left = to(node.left), right = to(node.right);
    if (!node.default_left) {  // ..-1 left, 0 right, 1..threshold left, above right
        auto above = [=, this](uint32_t d) { return split(f, threshold, false, left, right, d); };
        auto zero = [=, this](uint32_t d) { return split(f, 0, true, right, above, d); };
        return split(f, -1, false, left, zero, depth);
    }
    auto above = [=, this](uint32_t d) { return split(f, 0, true, left, right, d); };  // ..threshold left, ..-1 right, 0 left
    auto below = [=, this](uint32_t d) { return split(f, -1, false, right, above, d); };
    return split(f, threshold, true, left, below, depth);
}

// A set takes a slot beside the inputs, two where its input may be missing; as an input that may be missing does. What finds no room
// becomes ranges.
bool TreeQuantiser::has_room(const CategorySet& wanted) const {
    size_t slots = 0, entries = 0;
    auto missable = [this](int32_t input) {
        return std::any_of(all_.begin(), all_.end(), [input](const FeatureRange& r) { return r.input == input && r.missing; });
    };
    for (size_t i = 0; i < inputs_; i++) {
        const size_t columns = missable(static_cast<int32_t>(i)) ? 2 : 1;
        slots += columns;
        entries += columns == 2 ? 2 : 0;
    }
    auto add = [&](const CategorySet& set) {
        const size_t columns = missable(set.input) ? 2 : 1;
        slots += columns;
        entries += columns * entries_of(set);
    };
    for (const CategorySet& set : sets_) add(set);
    add(wanted);
    return slots <= slots_ && entries <= kDerived;
}

Result<int32_t> TreeQuantiser::build_set(const FloatNode& node, uint32_t depth) {
    const FeatureRange range = ranges_[node.feature];
    const FloatSet& set = from_.sets[node.set];
    const int32_t inside = set.left ? node.left : node.right, outside = set.left ? node.right : node.left;
    const bool missing_inside = node.default_left == set.left;
    CategorySet wanted{range.input, {}};  // of the whole range, so that nodes share sets
    size_t here = 0;                      // members that are possible on this way
    for (int32_t member : set.members) {
        if (member >= all_[node.feature].low && member <= all_[node.feature].high) wanted.members.push_back(member);
        here += member >= range.low && member <= range.high;
    }
    const size_t numbers = only_missing(range) ? 0 : static_cast<size_t>(range.high - range.low) + 1;
    if (numbers == 0) return build(missing_inside ? inside : outside, depth);
    if (here == 0 && (!range.missing || !missing_inside)) return build(outside, depth);
    if (here == numbers && (!range.missing || missing_inside)) return build(inside, depth);
    auto found = std::find(sets_.begin(), sets_.end(), wanted);
    if (wanted.members.empty() || (found == sets_.end() && !has_room(wanted))) return build_ranges(node, depth);
    const auto number = static_cast<int32_t>(found - sets_.begin());
    if (found == sets_.end()) sets_.push_back(wanted);
    RMT_TRY(int32_t at, emit(static_cast<int32_t>(inputs_) + number, 0, !missing_inside, depth));
    // What is left of the range on either side is not a range, except for missing.
    ranges_[node.feature].missing = range.missing && !missing_inside;
    RMT_TRY(int32_t left, build(outside, depth + 1));
    ranges_[node.feature].missing = range.missing && missing_inside;
    RMT_TRY(int32_t right, build(inside, depth + 1));
    ranges_[node.feature] = range;
    out_.left[at] = left;
    out_.right[at] = right;
    return at;
}

// A set of large numbers: splits at the ends of its runs, halving; then missing values, which are in the middle of nothing.
Result<int32_t> TreeQuantiser::build_ranges(const FloatNode& node, uint32_t depth) {
    const FeatureRange& range = ranges_[node.feature];
    const FloatSet& set = from_.sets[node.set];
    auto member = [&set](int64_t n) {
        return n >= 0 && n <= INT32_MAX && std::binary_search(set.members.begin(), set.members.end(), static_cast<int32_t>(n));
    };
    std::vector<int64_t> ends;  // n and n + 1 differ
    auto first = std::lower_bound(set.members.begin(), set.members.end(), range.low);
    for (auto it = first; it != set.members.end() && *it <= range.high; ++it)
        for (int64_t n : {int64_t{*it} - 1, int64_t{*it}})
            if (n >= range.low && n < range.high && member(n) != member(n + 1)) ends.push_back(n);
    if (ends.empty()) {
        bool left = only_missing(range) ? node.default_left : member(range.low) == set.left;
        Next numbers = to(left ? node.left : node.right), missing = to(node.default_left ? node.left : node.right);
        if (!range.missing || left == node.default_left) return numbers(depth);
        return split(node.feature, range.high, false, numbers, missing, depth);
    }
    Next again = [this, &node](uint32_t d) { return build_ranges(node, d); };
    return split(node.feature, ends[ends.size() / 2], true, again, again, depth);
}

}  // namespace rmt::models
