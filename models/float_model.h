// SPDX-License-Identifier: MIT
// The neutral form of tree ensembles of other libraries, before quantisation: everything in which libraries differ is said, not
// implied (after treelite's schema): compare operator, precision of compare and of sum, what is missing and where it goes, which
// side a category set takes, scalar or vector leaves, weights, base, transform.
//
// raw_margin() and predict() are the reference: they repeat the library's own arithmetic (float32 sums of XGBoost in the
// order of its trees, doubles elsewhere). A FloatModel from parse_float_model() or an importer passed check_float_model().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::models {

enum class Compare { Less, LessEqual };  // left iff x < threshold, x <= threshold

// Which x takes the default side of a numeric node. None: no x; NaN is read as 0. Zero: NaN and |x| <= 1e-35. NaN: NaN.
enum class MissingRule { None, Zero, NaN };

// From the margin to what the library's predict() gives.
enum class Transform { Identity, Sigmoid, Softmax, Exp, Hinge, SignedSquare, Probability };  // Probability: the margin is one already

// Binary: one margin; Sigmoid: class 1 iff its probability is above a limit; Identity: the margin is a logit; Hinge: margin > 0.
// Multiclass: one margin for each class, the largest wins (the first of equals). Multioutput: margins of unrelated targets.
enum class FloatTask { Regression, Binary, Multiclass, Multioutput };

struct FloatFeature {
    std::string name;
    bool categorical = false;  // numbers of categories; only then nodes with sets
    bool operator==(const FloatFeature&) const = default;
};

struct FloatNode {
    int32_t left = -1, right = -1;  // -1: a leaf
    int32_t feature = -1;
    int32_t set = -1;   // of an inner node: number of its category set, -1: compares with threshold
    int32_t leaf = -1;  // of a leaf: which value, or group of values, of the tree
    double threshold = 0;
    bool default_left = false;
    MissingRule missing = MissingRule::NaN;  // of a node with a set always NaN
    bool is_leaf() const { return left < 0; }
    bool operator==(const FloatNode&) const = default;
};

struct FloatSet {
    std::vector<int32_t> members;  // ascending, >= 0
    bool left = false;             // members go left, everything else right; false: the other way round
    bool operator==(const FloatSet&) const = default;
};

struct FloatTree {
    std::vector<FloatNode> nodes;  // 0 is the root
    std::vector<FloatSet> sets;
    std::vector<double> values;  // of leaves
    int32_t output = 0;          // -1: each leaf has one value for each output
    double weight = 1;           // of all its leaves
    bool operator==(const FloatTree&) const = default;
};

struct FloatModel {
    std::string source;  // "xgboost 3.0.0"
    std::vector<FloatFeature> features;
    FloatTask task = FloatTask::Regression;
    Transform transform = Transform::Identity;
    double alpha = 1;                  // Sigmoid: 1 / (1 + exp(-alpha x))
    std::vector<std::string> classes;  // labels; empty: 0, 1, ...
    Compare compare = Compare::Less;
    bool compare_f32 = false;  // x is rounded to float32 first; the threshold is a double
    bool sum_f32 = false;      // leaves, weights and sums are float32, added to base in the order of the trees
    bool base_first = true;    // false: base is added after scale and divisor
    double scale = 1, divisor = 1;
    bool oblivious = false;    // each tree is complete, the nodes of one level are alike
    std::vector<double> base;  // one for each output
    std::vector<FloatTree> trees;

    size_t outputs() const { return base.size(); }
    bool operator==(const FloatModel&) const = default;
};

// 1..2^24 nodes together; features, children, leaves and outputs in range; each node reached once from the root; numbers finite
// (thresholds may be infinite); transform and task fit. Errors: Input M0107, M0108, M0111. `path` stands in front.
Result<void> check_float_model(const FloatModel& model);
Result<void> check_float_tree(const FloatModel& model, const FloatTree& tree, const std::string& path);

// {"rmt_float":1,"kind":"trees",...}: canonical (keys sorted, no white space, shortest digits that give the same number back).
// Reading is strict: unknown keys are refused. Errors: Input M0101..M0112.
std::string to_json(const FloatModel& model);
Result<FloatModel> parse_float_model(const std::string& text);

// NaN: missing. As many values as features.
std::vector<double> raw_margin(const FloatModel& model, std::span<const double> x);
std::vector<double> predict(const FloatModel& model, std::span<const double> x);  // transformed
std::vector<double> transformed(const FloatModel& model, std::vector<double> margins);

// The class that wins: number of the label. Binary: 1 iff the probability is above `positive_above` (Hinge: margin > 0).
size_t class_of(const FloatModel& model, std::span<const double> margins, double positive_above = 0.5);
double raw_limit(const FloatModel& model, double positive_above);  // Binary: class 1 iff the margin is above this

// Steps of the reference, for who has to repeat them.
bool goes_left(const FloatModel& model, const FloatTree& tree, const FloatNode& node, double x);
bool compares_left(const FloatModel& model, double x, double threshold);  // of a number that is not missing
const FloatNode& walk(const FloatModel& model, const FloatTree& tree, std::span<const double> x);
double leaf_value(const FloatModel& model, const FloatTree& tree, const FloatNode& leaf, size_t output);  // weighted; 0 for other outputs

}  // namespace rmt::models
