// SPDX-License-Identifier: MIT
#include "models/quantise.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/quantise_tree.h"

namespace rmt::models {
namespace {

constexpr uint32_t kMaxFractionBits = 30;
constexpr size_t kTreeSlots = 15, kForestSlots = 63;  // what the kernel's value has for inputs and sets, by kind
constexpr double kMaxBase = 9e15;  // 2^53 is the artefact's limit

std::string number(size_t n) { return std::to_string(n); }

// What the integer model's margins are made of: one output of the float model, or the difference of its two classes.
struct Part {
    size_t output = 0;
    bool difference = false;  // outputs 1 - 0 of two classes: class 1 iff it is above 0, as argmax with the first of equals
};

class Quantiser {
public:
    Quantiser(const FloatModel& from, const QuantiseTreesOptions& options) : from_(from), options_(options) {}

    Result<QuantiseTreesReport> run() {
        if (!(options_.positive_above > 0 && options_.positive_above < 1))
            return model_error("M0305", "", "positive_above is a probability between 0 and 1");
        RMT_CHECK(check_float_model(from_));
        count_splits();
        RMT_CHECK(choose_inputs());
        RMT_CHECK(choose_parts());
        Model& model = report_.model;
        model.name = options_.name.empty() ? "model" : options_.name;
        if (from_.trees.size() == 1 && !options_.forest && !options_.score && !options_.output && from_.task != FloatTask::Multioutput) {
            RMT_CHECK(single_tree());
        } else {
            RMT_CHECK(check_link());
            RMT_CHECK(choose_bits());
            RMT_CHECK(sum_of_trees());
        }
        set_features();
        model.provenance = {{"imported_from", from_.source}, {"fraction_bits", number(report_.fraction_bits)}};
        model.origin = to_json(from_);
        RMT_CHECK(check_model(model));
        seal(model);
        return std::move(report_);
    }

private:
    void count_splits();
    Result<void> choose_inputs();
    Result<void> take_inputs(std::vector<int32_t> features);
    Result<void> choose_parts();
    Result<void> check_link();
    Result<void> choose_bits();
    Result<void> single_tree();
    Result<void> sum_of_trees();
    void set_range(double low, double high);
    void set_classes(size_t count);
    void set_features();
    double leaf(const FloatTree& tree, const FloatNode& node, const Part& part) const;
    double base(const Part& part) const;

    const FloatModel& from_;
    const QuantiseTreesOptions& options_;
    QuantiseTreesReport report_;
    std::vector<FeatureRange> ranges_;  // of each feature
    std::vector<Part> parts_;
};

void Quantiser::count_splits() {
    std::vector<std::set<double>> seen(from_.features.size());
    for (const FloatFeature& feature : from_.features) report_.features.push_back({.name = feature.name});
    for (const FloatTree& tree : from_.trees)
        for (const FloatNode& node : tree.nodes) {
            if (node.is_leaf()) continue;
            FeatureReport& feature = report_.features[node.feature];
            feature.splits++;
            if (node.set >= 0) continue;
            seen[node.feature].insert(node.threshold);
            double doubled = 2 * node.threshold;
            if (std::isfinite(doubled) && std::abs(doubled - std::nearbyint(doubled)) > 1e-4) feature.fractions = true;
        }
    for (size_t i = 0; i < seen.size(); i++) report_.features[i].thresholds = seen[i].size();
}

Result<void> Quantiser::take_inputs(std::vector<int32_t> features) {
    ranges_.assign(from_.features.size(), {});
    report_.feature_of_input = std::move(features);
    for (size_t i = 0; i < report_.feature_of_input.size(); i++) {
        const ModelInput& input = report_.model.inputs[i];
        int32_t feature = report_.feature_of_input[i];
        ranges_[feature] = {static_cast<int32_t>(i), input.min, input.max, input.missing.has_value(), input.fraction_bits};
        report_.features[feature].exact = input.fraction_bits == 0;
        if (from_.features[feature].categorical && input.fraction_bits != 0)
            return model_error("M0108", "/inputs/" + number(i) + "/fraction_bits", "a category is a whole number");
    }
    for (size_t f = 0; f < ranges_.size(); f++)
        if (ranges_[f].input < 0 && report_.features[f].splits > 0)
            return model_error("M0201", "/features/" + number(f),
                               "the model asks for '" + from_.features[f].name + "', which is not one of the inputs named");
    return {};
}

// Inputs that are all names of features stand for those, in any order; otherwise they go by position.
Result<void> Quantiser::choose_inputs() {
    std::vector<ModelInput>& inputs = report_.model.inputs;
    std::vector<int32_t> features;
    if (options_.inputs.empty()) {
        for (size_t f = 0; f < from_.features.size(); f++) {
            if (from_.features.size() > RMT_MODEL_MAX_INPUTS && report_.features[f].splits == 0) continue;
            features.push_back(static_cast<int32_t>(f));
            inputs.push_back({from_.features[f].name, "i32", -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT, {}, 0});
        }
        if (features.empty())
            features.push_back(0), inputs.push_back({from_.features[0].name, "i32", -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT, {}, 0});
        if (features.size() > RMT_MODEL_MAX_INPUTS)
            return model_error(
                "M0110", "/features",
                number(features.size()) + " features are asked for; a model in the kernel has 1.." + number(RMT_MODEL_MAX_INPUTS),
                "train on fewer features");
        if (features.size() < from_.features.size())
            report_.notes.push_back("inputs are the " + number(features.size()) + " of " + number(from_.features.size()) +
                                    " features that the trees ask for");
        return take_inputs(std::move(features));
    }
    inputs = options_.inputs;
    for (const ModelInput& input : inputs) {
        auto found =
            std::find_if(from_.features.begin(), from_.features.end(), [&](const FloatFeature& f) { return f.name == input.name; });
        if (found != from_.features.end()) features.push_back(static_cast<int32_t>(found - from_.features.begin()));
    }
    if (features.size() == inputs.size()) return take_inputs(std::move(features));
    if (inputs.size() != from_.features.size())
        return model_error("M0201", "/features", number(from_.features.size()) + " features, " + number(inputs.size()) + " inputs named",
                           "name all of them in order, or use the features' own names");
    features.clear();
    for (size_t f = 0; f < inputs.size(); f++) features.push_back(static_cast<int32_t>(f));
    return take_inputs(std::move(features));
}

Result<void> Quantiser::choose_parts() {
    if (options_.output) {
        if (*options_.output >= from_.outputs())
            return model_error("M0305", "",
                               "output " + number(*options_.output) + " given, the model has 0.." + number(from_.outputs() - 1));
        parts_ = {{*options_.output, false}};
    } else if (from_.task == FloatTask::Multiclass && from_.outputs() == 2) {
        parts_ = {{0, true}};
    } else {
        for (size_t k = 0; k < from_.outputs(); k++) parts_.push_back({k, false});
    }
    if (from_.task == FloatTask::Multioutput && !options_.output)
        return model_error("M0110", "", number(from_.outputs()) + " targets; a model in the kernel answers one number",
                           "choose one of them: output 0.." + number(from_.outputs() - 1));
    if (parts_.size() > 1 && options_.score)
        return model_error("M0110", "", "a score of " + number(parts_.size()) + " classes",
                           "choose the class whose score it is: output 0.." + number(from_.outputs() - 1));
    return {};
}

// A sum of leaves in the kernel ends with rounding or a decision: no exponential function.
Result<void> Quantiser::check_link() {
    bool value = options_.output || from_.task == FloatTask::Regression;
    if (options_.score || !value || from_.transform == Transform::Identity || from_.transform == Transform::Probability) return {};
    if (from_.task == FloatTask::Multiclass || from_.task == FloatTask::Multioutput) {
        report_.notes.push_back("the value is the margin, before softmax or sigmoid");
        return {};
    }
    return model_error("M0110", "", "the answer of '" + from_.source + "' is not linear in the sum of its leaves (exp or square)",
                       "import it as a score: the margin orders inputs in the same way; or train with a squared error");
}

double Quantiser::leaf(const FloatTree& tree, const FloatNode& node, const Part& part) const {
    double value = leaf_value(from_, tree, node, part.output);
    if (part.difference) value = leaf_value(from_, tree, node, 1) - value;
    return value * from_.scale / from_.divisor;
}

double Quantiser::base(const Part& part) const {
    double factor = from_.base_first ? from_.scale / from_.divisor : 1;
    double value = (part.difference ? from_.base[1] - from_.base[0] : from_.base[part.output]) * factor;
    if (from_.task == FloatTask::Binary && !options_.score && !options_.output) value -= raw_limit(from_, options_.positive_above);
    return value;
}

// As many fraction bits as the largest leaf leaves room for; the two bounds.
Result<void> Quantiser::choose_bits() {
    double largest = 1e-9, largest_base = 0;
    double unit = from_.sum_f32 ? std::ldexp(1.0, -24) : std::ldexp(1.0, -53);
    for (const Part& part : parts_) {
        double reach = std::abs(base(part)) + std::abs(part.difference ? from_.base[0] + from_.base[1] : from_.base[part.output]);
        for (const FloatTree& tree : from_.trees) {
            double of_tree = 0;
            for (const FloatNode& node : tree.nodes)
                if (node.is_leaf()) of_tree = std::max(of_tree, std::abs(leaf(tree, node, part)));
            largest = std::max(largest, of_tree);
            reach += of_tree;
        }
        largest_base = std::max(largest_base, std::abs(base(part)));
        // each addition rounds by at most half a unit of a partial sum; a few more for weight, scale, base
        report_.library_bound = std::max(report_.library_bound, static_cast<double>(from_.trees.size() + 4) * unit * reach * 1.01);
    }
    uint32_t bits = kMaxFractionBits;
    auto scaled = [&bits](double n) { return n * std::ldexp(1.0, static_cast<int>(bits)); };
    while (bits > 0 && (scaled(largest) > RMT_MODEL_MAX - 1 || scaled(largest_base) > kMaxBase)) bits--;
    if (scaled(largest) > RMT_MODEL_MAX - 1 || scaled(largest_base) > kMaxBase)
        return model_error("M0108", "", "leaves or base are too large for 32-bit leaves", "scale the target before training");
    report_.fraction_bits = bits;
    return {};
}

// The leaf's answer, computed once as the library does. The error of a class is 0, of a value that of its rounding.
Result<void> Quantiser::single_tree() {
    Model& model = report_.model;
    const FloatTree& tree = from_.trees[0];
    const bool is_class = from_.task != FloatTask::Regression;
    double low = HUGE_VAL, high = -HUGE_VAL;
    auto answer = [&](const FloatNode& node) -> double {
        std::vector<double> margins = from_.base;
        for (size_t k = 0; k < margins.size(); k++) {
            double first = from_.base_first ? margins[k] : 0, value = leaf_value(from_, tree, node, k);
            double sum = from_.sum_f32 ? static_cast<double>(static_cast<float>(first) + static_cast<float>(value)) : first + value;
            margins[k] = from_.scale * sum / from_.divisor + (from_.base_first ? 0 : margins[k]);
        }
        if (is_class) return static_cast<double>(class_of(from_, margins, options_.positive_above));
        return transformed(from_, margins)[0];
    };
    for (const FloatNode& node : tree.nodes) {
        if (!node.is_leaf()) continue;
        double value = answer(node);
        low = std::min(low, value), high = std::max(high, value);
    }
    if (!std::isfinite(low) || !std::isfinite(high) || low < RMT_MODEL_MIN || high > RMT_MODEL_MAX - 1)
        return model_error("M0108", "/trees/0", "a leaf answers more than 2^30", "scale the target before training");
    auto rounded = [](double x) { return std::floor(x + 0.5); };
    set_range(rounded(low), rounded(high));
    auto leaf_of = [&](const FloatNode& node) {
        double value = answer(node), whole = rounded(value);
        if (!is_class) report_.margin_bound = std::max(report_.margin_bound, std::abs(whole - value));
        return static_cast<int32_t>(std::clamp<int64_t>(static_cast<int64_t>(whole), model.output.min, model.output.max));
    };
    TreeQuantiser quantiser(from_, tree, ranges_, model.sets, model.inputs.size(), kTreeSlots, leaf_of, "/trees/0");
    RMT_TRY(Tree made, quantiser.run());
    model.kind = ModelKind::Tree;
    model.trees.push_back(std::move(made));
    if (is_class) set_classes(from_.task == FloatTask::Binary ? 2 : from_.outputs());
    return {};
}

Result<void> Quantiser::sum_of_trees() {
    Model& model = report_.model;
    const double scale = std::ldexp(1.0, static_cast<int>(report_.fraction_bits));
    model.kind = from_.oblivious ? ModelKind::Oblivious : ModelKind::Forest;
    double low = 0, high = 0;
    for (size_t p = 0; p < parts_.size(); p++) {
        const Part& part = parts_[p];
        double exact_base = base(part), fixed_base = std::nearbyint(exact_base * scale);
        double bound = std::abs(fixed_base / scale - exact_base);
        low = high = fixed_base;
        (p == 0 ? model.base : model.more_bases.emplace_back()) = static_cast<int64_t>(fixed_base);
        for (size_t t = 0; t < from_.trees.size(); t++) {
            const FloatTree& tree = from_.trees[t];
            if (!part.difference && tree.output >= 0 && static_cast<size_t>(tree.output) != part.output) continue;
            double worst = 0, tree_low = HUGE_VAL, tree_high = -HUGE_VAL;
            auto leaf_of = [&](const FloatNode& node) {
                double exact = leaf(tree, node, part), fixed = std::nearbyint(exact * scale);
                worst = std::max(worst, std::abs(fixed / scale - exact));
                tree_low = std::min(tree_low, fixed), tree_high = std::max(tree_high, fixed);
                return static_cast<int32_t>(fixed);
            };
            TreeQuantiser quantiser(from_, tree, ranges_, model.sets, model.inputs.size(), kForestSlots, leaf_of, "/trees/" + number(t));
            RMT_TRY(Tree made, from_.oblivious ? quantiser.run_oblivious() : quantiser.run());
            made.output = static_cast<int32_t>(p);
            if (model.trees.size() >= RMT_MODEL_MAX_TREES)
                return model_error("M0107", "/trees", "more than " + number(RMT_MODEL_MAX_TREES) + " trees, one for each output counted");
            model.trees.push_back(std::move(made));
            bound += worst;
            low += tree_low, high += tree_high;
        }
        report_.margin_bound = std::max(report_.margin_bound, bound);
    }
    if (model.trees.empty()) {  // every tree was another output's
        model.trees.emplace_back();
        model.trees.back().add_leaf(0);
    }
    const bool is_class = from_.task != FloatTask::Regression && from_.task != FloatTask::Multioutput;
    if (is_class && !options_.score && !options_.output) {
        model.shift = report_.fraction_bits;
        model.link = parts_.size() > 1 ? Link::Argmax : Link::Positive;
        set_range(0, static_cast<double>(std::max<size_t>(parts_.size(), 2) - 1));
        set_classes(std::max<size_t>(parts_.size(), 2));
        return {};
    }
    uint32_t kept = options_.score ? std::min(options_.score_bits, report_.fraction_bits) : 0;
    model.shift = report_.fraction_bits - kept;
    double divisor = std::ldexp(1.0, static_cast<int>(model.shift));
    set_range(std::floor(low / divisor), std::ceil(high / divisor));
    if (options_.score) report_.notes.push_back("the score is the margin times 2^" + number(kept));
    return {};
}

void Quantiser::set_range(double low, double high) {
    auto limit = [](double x) { return static_cast<int64_t>(std::clamp(x, -2147483648.0, 2147483647.0)); };
    report_.model.output = {options_.score ? OutputKind::Score : OutputKind::Value, "i32", limit(low), limit(high), {}};
    if (options_.output_range) std::tie(report_.model.output.min, report_.model.output.max) = *options_.output_range;
}

void Quantiser::set_classes(size_t count) {
    report_.model.output = {OutputKind::Class, "u8", 0, static_cast<int64_t>(count) - 1, {}};
    if (from_.classes.empty()) return;
    bool numbered = true;
    for (size_t k = 0; k < count; k++) numbered = numbered && from_.classes[k] == number(k);
    if (numbered) return;
    // Names can be those of a policy's classes; numbers cannot, there they would be taken for the class itself.
    bool names = std::none_of(from_.classes.begin(), from_.classes.end(), [](const std::string& label) {
        return label.empty() || label.find_first_not_of("0123456789+-.eE") == std::string::npos;
    });
    std::string text;
    for (size_t k = 0; k < count; k++) {
        if (names) report_.model.output.classes.emplace_back(from_.classes[k], static_cast<int64_t>(k));
        text += (k > 0 ? ", " : "") + number(k) + " is '" + from_.classes[k] + "'";
    }
    report_.notes.push_back("classes: " + text);
}

void Quantiser::set_features() {
    bool missing = false, ranges = false, defaults = false;
    for (const ModelInput& input : report_.model.inputs) {
        missing = missing || input.missing;
        ranges = ranges || input.min > -RMT_MODEL_LIMIT || input.max < RMT_MODEL_LIMIT;
    }
    std::string fractions;
    for (size_t f = 0; f < report_.features.size(); f++)
        if (report_.features[f].fractions && ranges_[f].fraction_bits == 0)
            fractions += (fractions.empty() ? "" : ", ") + from_.features[f].name;
    for (const FloatTree& tree : from_.trees)
        for (const FloatNode& node : tree.nodes) defaults = defaults || (!node.is_leaf() && node.missing != MissingRule::None);
    if (!ranges) report_.notes.push_back("the inputs have no ranges: any number in -2^30..2^30 is answered");
    if (!missing && defaults) report_.notes.push_back("no input says what means missing: default directions are dropped");
    if (!fractions.empty())
        report_.notes.push_back("thresholds of " + fractions + " have fractions: if these are not integers, give them fraction_bits");
}

}  // namespace

Result<QuantiseTreesReport> quantise_trees(const FloatModel& model, const QuantiseTreesOptions& options) { return Quantiser(model, options).run(); }

}  // namespace rmt::models
