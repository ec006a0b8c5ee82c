// SPDX-License-Identifier: MIT
// One float tree as an integer tree. Internal to quantise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/float_model.h"
#include "models/model.h"

namespace rmt::models {

// What a feature of the float model can be on the way down a tree: integers low..high (none when low > high), missing, or both.
struct FeatureRange {
    int32_t input = -1;  // of the integer model; -1: not an input
    int64_t low = 0, high = 0;
    bool missing = false;
    uint32_t fraction_bits = 0;
};

// The largest n in low..high whose x = n / 2^fraction_bits goes left, or low - 1. Soundness: rounding to float32, division by a power
// of two and the compare are monotone, so left holds up to some n and nowhere above.
int64_t integer_threshold(const FloatModel& model, double threshold, const FeatureRange& range);

class TreeQuantiser {
public:
    using Leaf = std::function<int32_t(const FloatNode&)>;

    TreeQuantiser(const FloatModel& model, const FloatTree& tree, std::vector<FeatureRange> ranges, std::vector<CategorySet>& sets,
                  size_t inputs, size_t slots, Leaf leaf, std::string path);

    // Errors: Input M0107 (too deep, too large), M0108 (no room beside a range for missing values).
    Result<Tree> run();
    // Of a tree whose levels are alike: complete again, without the levels that the ranges decide.
    Result<Tree> run_oblivious();

private:
    using Next = std::function<Result<int32_t>(uint32_t depth)>;

    Result<int32_t> build(int32_t node, uint32_t depth);
    Result<int32_t> build_zero(const FloatNode& node, int64_t threshold, uint32_t depth);
    Result<int32_t> build_set(const FloatNode& node, uint32_t depth);
    bool has_room(const CategorySet& wanted) const;
    Result<int32_t> build_ranges(const FloatNode& node, uint32_t depth);
    Result<int32_t> build_levels(int32_t node, uint32_t depth);
    void set_defaults();
    Result<int32_t> emit(int32_t feature, int64_t threshold, bool missing_left, uint32_t depth);
    Result<int32_t> split(int32_t feature, int64_t threshold, bool missing_left, const Next& left, const Next& right, uint32_t depth);
    Next to(int32_t node) {
        return [this, node](uint32_t depth) { return build(node, depth); };
    }

    const FloatModel& model_;
    const FloatTree& from_;
    std::vector<FeatureRange> ranges_;     // on the way to where it builds
    const std::vector<FeatureRange> all_;  // at the root
    std::vector<CategorySet>& sets_;
    size_t inputs_;
    size_t slots_;  // for inputs and sets together
    Leaf leaf_;
    std::string path_;
    Tree out_;
    std::vector<uint8_t> sides_;  // default side of each node of out_
};

}  // namespace rmt::models
