// SPDX-License-Identifier: MIT
#include "models/train_forest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/grow.h"
#include "models/train_rows.h"

namespace rmt::models {
namespace {

constexpr uint32_t kShareShift = 20;  // fraction bits of a class's share; 1024 trees are far from 2^53

Result<void> check_options(const ForestOptions& o) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (o.trees < 1 || o.trees > RMT_MODEL_MAX_TREES)
        return wrong("trees " + std::to_string(o.trees) + " is outside 1.." + std::to_string(RMT_MODEL_MAX_TREES));
    if (!(o.bootstrap > 0 && o.bootstrap <= 1)) return wrong("bootstrap is a share above 0 and up to 1");
    return {};
}

class Forest {
public:
    Forest(const TrainRows& rows, const ForestOptions& options, std::vector<BinnedColumn> columns, const ClassNumbers& classes,
           uint32_t trees)
        : rows_(rows),
          options_(options),
          classes_(classes),
          round_limit_(trees),
          random_(options.common.seed),
          gain_(columns.size()),
          nodes_left_(options.common.max_nodes) {
        auto width = static_cast<double>(columns.size());
        in_.columns = std::move(columns);
        in_.columns_per_split = options.inputs_per_split;
        if (in_.columns_per_split == 0) in_.columns_per_split = static_cast<uint32_t>(std::ceil(classify() ? std::sqrt(width) : width / 3));
        in_.random = &random_;
        in_.keep_leaves = true;
        in_.confidence = 0;
        for (int64_t answer : classes.answers) in_.label_values.push_back(static_cast<int32_t>(answer));
        for (int64_t label : labels_of(rows, rows.grow)) {
            if (classify())
                in_.labels.push_back(static_cast<uint8_t>(classes.number_of(label)));
            else
                in_.targets.push_back(static_cast<double>(std::clamp(label, options.common.output.min, options.common.output.max)));
        }
        in_.min_value = static_cast<int32_t>(options.common.output.min);
        in_.max_value = static_cast<int32_t>(options.common.output.max);
    }

    void run() {
        for (size_t tree = 0; tree < round_limit_; tree++) {
            grow_tree(tree);
            if (options_.common.progress && !options_.common.progress({tree + 1, round_limit_, 0, 0})) break;
        }
    }

    void fill(TrainReport& report) {
        Model& model = report.model;
        model.kind = ModelKind::Forest;
        model.shift = shift();
        if (classify()) set_outputs(model, classes_, std::vector<int64_t>(outputs(), 0));
        if (!classify() && trees_.size() < round_limit_)  // stopped early: leaves are shares of a mean of all trees
            for (Tree& tree : trees_)
                for (int32_t& value : tree.value)
                    value = static_cast<int32_t>(int64_t{value} * round_limit_ / static_cast<int64_t>(trees_.size()));
        for (Tree& tree : trees_) name_features(tree, rows_);
        model.trees = std::move(trees_);
        report.importance = spread_gain(gain_, rows_);
        report.rounds = model.trees.size() / outputs();
        report.leaf_bound = std::ldexp(static_cast<double>(report.rounds), -static_cast<int>(model.shift) - 1);
    }

private:
    bool classify() const { return options_.common.task == Task::Classify; }
    uint32_t outputs() const { return std::max(classes_.outputs(), 1u); }

    // Numbers: as many fraction bits as leave a mean within a leaf.
    uint32_t shift() const {
        if (classify()) return kShareShift;
        int64_t most = std::max(std::abs(options_.common.output.min), std::abs(options_.common.output.max));
        auto bits = static_cast<uint32_t>(std::bit_width(static_cast<uint64_t>(most)));
        uint32_t room = 29 + static_cast<uint32_t>(std::bit_width(round_limit_)) - 1;  // a leaf holds a part of the mean
        return bits >= room ? 0 : std::min(kShareShift, room - bits);
    }

    void grow_tree(size_t index) {
        size_t rows = in_.columns[0].code.size();
        in_.rows.resize(std::max<size_t>(1, static_cast<size_t>(options_.bootstrap * static_cast<double>(rows))));
        for (uint32_t& row : in_.rows) row = static_cast<uint32_t>(random_() % rows);
        size_t nodes = nodes_left_ / (round_limit_ - index) / outputs();
        in_.limits = {options_.common.max_depth, static_cast<uint32_t>(std::max<size_t>(nodes, 1)), options_.common.min_leaf};
        Grown grown = classify() ? grow_classifier(in_) : grow_regressor(in_);
        for (size_t c = 0; c < gain_.size(); c++) gain_[c] += grown.gain[c];
        for (uint32_t output = 0; output < outputs(); output++) {
            for (const GrownLeaf& leaf : grown.leaves) grown.tree.value[static_cast<size_t>(leaf.node)] = leaf_value(grown, leaf, output);
            trees_.push_back(merge_equal_leaves(grown.tree));
            trees_.back().output = static_cast<int32_t>(output);
            nodes_left_ -= trees_.back().size();
        }
    }

    int32_t leaf_value(const Grown& grown, const GrownLeaf& leaf, uint32_t output) const {
        auto rows = static_cast<double>(leaf.end - leaf.begin);
        double sum = 0;  // whole numbers: exact
        const uint32_t wanted = classes_.positive ? 1 : output;
        for (size_t i = leaf.begin; i < leaf.end; i++)
            sum += classify() ? (in_.labels[grown.rows[i]] == wanted ? 1 : 0) : in_.targets[grown.rows[i]];
        double value = sum / rows;
        if (classes_.positive) value -= 0.5;  // positive when most trees' shares are above half
        if (!classify()) value /= round_limit_;
        return static_cast<int32_t>(std::floor(std::ldexp(value, static_cast<int>(shift())) + 0.5));
    }

    const TrainRows& rows_;
    const ForestOptions& options_;
    const ClassNumbers& classes_;
    const uint32_t round_limit_;
    GrowInput in_;
    std::mt19937_64 random_;
    std::vector<double> gain_;
    size_t nodes_left_;
    std::vector<Tree> trees_;
};

}  // namespace

Result<TrainReport> train_forest(const Dataset& data, const ForestOptions& options) {
    RMT_CHECK(check_options(options));
    RMT_TRY(const TrainRows rows, select_rows(data, options.common));
    TrainReport report;
    ClassNumbers classes;
    if (options.common.task == Task::Classify) {
        RMT_TRY(classes, number_classes(rows, options.common, report));
    }
    RMT_TRY(const uint32_t trees, rounds_that_fit(options.common, options.trees, options.max_trees, std::max(classes.outputs(), 1u)));
    Forest forest(rows, options, bin_inputs(rows, options.common, report.model), classes, trees);
    forest.run();
    forest.fill(report);
    RMT_CHECK(finish_report(report, data, rows, options.common, "rmt forest 1"));
    return report;
}

ForestOptions forest_options_for(const ManifestModel& policy) {
    ForestOptions options;
    options.common = options_for(policy);
    options.common.min_leaf = 2;
    options.common.max_nodes = policy.shape.nodes - 1;  // one may be needed to fill up a group of trees
    options.trees = options.max_trees = policy.shape.trees;
    options.common.max_labels = std::min(options.common.max_labels, std::max(policy.shape.trees / 4, 2u));
    return options;
}

}  // namespace rmt::models
