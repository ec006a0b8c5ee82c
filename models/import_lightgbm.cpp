// SPDX-License-Identifier: MIT
// LightGBM's dump_model() as JSON, and what both of its formats share. Left iff x <= threshold, in double; a category that is in a
// node's set goes LEFT. Three rules for missing values: None (NaN is 0), Zero (NaN and 0), NaN. Leaf values are final: shrinkage and the
// first tree's average are inside.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/errors.h"
#include "models/import_lightgbm.h"

namespace rmt::models {
namespace {

struct Known {
    const char* name;
    FloatTask task;
    Transform transform;
};
// clang-format off
const Known kObjectives[] = {
    {"binary", FloatTask::Binary, Transform::Sigmoid},
    {"cross_entropy", FloatTask::Binary, Transform::Sigmoid}, {"xentropy", FloatTask::Binary, Transform::Sigmoid},
    {"multiclass", FloatTask::Multiclass, Transform::Softmax}, {"multiclassova", FloatTask::Multiclass, Transform::Sigmoid},
    {"regression", FloatTask::Regression, Transform::Identity}, {"regression_l2", FloatTask::Regression, Transform::Identity},
    {"regression_l1", FloatTask::Regression, Transform::Identity}, {"huber", FloatTask::Regression, Transform::Identity},
    {"fair", FloatTask::Regression, Transform::Identity}, {"quantile", FloatTask::Regression, Transform::Identity},
    {"mape", FloatTask::Regression, Transform::Identity}, {"lambdarank", FloatTask::Regression, Transform::Identity},
    {"rank_xendcg", FloatTask::Regression, Transform::Identity},
    {"poisson", FloatTask::Regression, Transform::Exp}, {"gamma", FloatTask::Regression, Transform::Exp},
    {"tweedie", FloatTask::Regression, Transform::Exp},
};
// clang-format on

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) words.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

// Depth of the JSON is bounded by parse_json(), hence that of the recursion.
class NodeReader {
public:
    NodeReader(FloatModel& model) : model_(model) {}

    Result<FloatTree> run(const Reader& root) {
        RMT_CHECK(add(root));
        return std::move(tree_);
    }

private:
    Result<int32_t> add(const Reader& reader) {
        auto at = static_cast<int32_t>(tree_.nodes.size());
        tree_.nodes.emplace_back();
        if (auto leaf = reader.find("leaf_value"); leaf && !reader.find("split_feature")) {
            if (reader.find("leaf_const") || reader.find("leaf_coeff"))
                return unsupported(reader.path(), "linear trees: a leaf is a linear function", "train with linear_tree=false");
            RMT_CHECK(reader.only_keys({"leaf_index", "leaf_value", "leaf_weight", "leaf_count"}));
            RMT_TRY(double value, finite_number(*leaf));
            tree_.nodes[at].leaf = static_cast<int32_t>(tree_.values.size());
            tree_.values.push_back(value);
            return at;
        }
        RMT_CHECK(reader.only_keys({"split_index", "split_feature", "split_gain", "threshold", "decision_type", "default_left",
                                    "missing_type", "internal_value", "internal_weight", "internal_count", "left_child", "right_child"}));
        FloatNode node;
        RMT_TRY(int64_t feature, reader.int_at("split_feature", 0, static_cast<int64_t>(model_.features.size()) - 1));
        node.feature = static_cast<int32_t>(feature);
        RMT_TRY(Reader side, reader.at("default_left"));
        if (!side.json().is_boolean())
            return model_error("M0102", side.path(), "true or false is expected, " + describe(side.json()) + " given");
        node.default_left = side.json().get<bool>();
        RMT_CHECK(set_condition(reader, node));
        RMT_TRY(Reader left, reader.at("left_child"));
        RMT_TRY(Reader right, reader.at("right_child"));
        RMT_TRY(node.left, add(left));
        RMT_TRY(node.right, add(right));
        tree_.nodes[at] = node;
        return at;
    }

    Result<void> set_condition(const Reader& reader, FloatNode& node) {
        RMT_TRY(std::string type, reader.string_at("decision_type"));
        RMT_TRY(std::string missing, reader.string_at("missing_type"));
        RMT_TRY(Reader threshold, reader.at("threshold"));
        if (type == "==") {
            FloatSet set{{}, true};
            RMT_CHECK(read_categories(threshold, set.members));
            node.set = static_cast<int32_t>(tree_.sets.size());
            node.default_left = false;  // NaN is no category
            model_.features[node.feature].categorical = true;
            tree_.sets.push_back(std::move(set));
            return {};
        }
        if (type != "<=") return unsupported(reader.path() + "/decision_type", "'" + type + "' given; '<=' and '==' are known");
        if (missing == "None")
            node.missing = MissingRule::None;
        else if (missing == "Zero")
            node.missing = MissingRule::Zero;
        else if (missing != "NaN")
            return unsupported(reader.path() + "/missing_type", "'" + missing + "' given; None, Zero and NaN are known");
        RMT_TRY(node.threshold, threshold.as_double());
        if (std::isnan(node.threshold))
            return model_error("M0111", threshold.path(), "a threshold of NaN is not a number that can be used");
        return {};
    }

    // "1||5||9"
    Result<void> read_categories(const Reader& reader, std::vector<int32_t>& members) {
        RMT_TRY(std::string text, reader.as_string());
        for (size_t at = 0; at < text.size();) {
            size_t end = std::min(text.find("||", at), text.size());
            int32_t number = -1;
            auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, number);
            if (error != std::errc() || stop != text.data() + end || number < 0)
                return model_error("M0102", reader.path(),
                                   "categories such as \"1||5\" are expected, " + describe(reader.json()) + " given");
            members.push_back(number);
            at = end + 2;
        }
        std::sort(members.begin(), members.end());
        members.erase(std::unique(members.begin(), members.end()), members.end());
        return {};
    }

    FloatModel& model_;
    FloatTree tree_;
};

}  // namespace

Result<void> set_lightgbm_objective(FloatModel& model, const LightgbmHead& head, std::vector<std::string>& notes) {
    model.compare = Compare::LessEqual;
    if (head.trees_per_iteration < 1 || head.trees_per_iteration > 1024)
        return model_error("M0108", "/num_tree_per_iteration", std::to_string(head.trees_per_iteration) + " is outside 1..1024");
    auto outputs = static_cast<size_t>(head.trees_per_iteration);
    model.base.assign(outputs, 0.0);
    if (head.objective.empty() || head.objective == "custom") {
        model.task = outputs > 1 ? FloatTask::Multiclass : FloatTask::Regression;
        notes.push_back("the file has no objective: the answer is the raw score" + std::string(outputs > 1 ? ", the largest wins" : ""));
        return {};
    }
    std::vector<std::string> words = words_of(head.objective);
    const Known* known = nullptr;
    std::string names;
    for (const Known& k : kObjectives) {
        if (!words.empty() && words[0] == k.name) known = &k;
        names += (names.empty() ? "" : ", ") + std::string(k.name);
    }
    if (known == nullptr)
        return unsupported("/objective", "objective '" + head.objective + "' is not known: what its score means would be a guess",
                           "supported: " + names);
    model.task = known->task;
    model.transform = known->transform;
    for (size_t i = 1; i < words.size(); i++) {
        if (words[i].starts_with("sigmoid:")) {
            const char* first = words[i].data() + 8;
            auto [end, error] = std::from_chars(first, words[i].data() + words[i].size(), model.alpha);
            if (error != std::errc() || end != words[i].data() + words[i].size() || !(model.alpha > 0) || !std::isfinite(model.alpha))
                return model_error("M0102", "/objective", "'" + words[i] + "' is not a sigmoid of a number above 0");
        } else if (words[i] == "sqrt") {
            model.transform = Transform::SignedSquare;
        }
    }
    if (known->transform != Transform::Sigmoid) model.alpha = 1;
    if ((model.task == FloatTask::Multiclass) != (outputs > 1))
        return unsupported("/objective", "objective '" + head.objective + "' with " + std::to_string(outputs) + " trees in each round");
    if (head.average) {  // a random forest: leaves are outputs already
        bool classes = model.task == FloatTask::Binary || model.task == FloatTask::Multiclass;
        model.transform = classes ? Transform::Probability : Transform::Identity;
        model.alpha = 1;
    }
    return {};
}

Result<void> finish_lightgbm(FloatModel& model, const LightgbmHead& head) {
    if (model.trees.empty()) return model_error("M0107", "/trees", "the model has no trees");
    if (model.trees.size() % model.outputs() != 0)
        return model_error("M0107", "/trees",
                           std::to_string(model.trees.size()) + " trees are no multiple of " + std::to_string(model.outputs()) +
                               " in each round: the file is cut off");
    for (size_t i = 0; i < model.trees.size(); i++) model.trees[i].output = static_cast<int32_t>(i % model.outputs());
    if (head.average) model.divisor = static_cast<double>(model.trees.size() / model.outputs());
    return {};
}

Result<FloatImport> import_lightgbm_json(const Json& document) {
    FloatImport out;
    FloatModel& model = out.model;
    Reader root(document, "");
    RMT_CHECK(root.only_keys({"name", "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
                              "average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_info",
                              "feature_importances", "pandas_categorical"}));
    LightgbmHead head;
    RMT_TRY(std::string version, root.string_at("version"));
    if (version != "v2" && version != "v3" && version != "v4")
        return model_error("M0105", "/version", "'" + version + "' given; LightGBM's v2, v3 and v4 were checked");
    model.source = "lightgbm " + version;
    RMT_TRY(head.trees_per_iteration, root.int_at("num_tree_per_iteration", 1, 1024));
    if (root.find("objective")) {
        RMT_TRY(head.objective, root.string_at("objective"));
    }
    if (auto average = root.find("average_output")) {
        if (!average->json().is_boolean()) return model_error("M0102", average->path(), "true or false is expected");
        head.average = average->json().get<bool>();
    }
    RMT_CHECK(set_lightgbm_objective(model, head, out.notes));
    RMT_TRY(int64_t last, root.int_at("max_feature_idx", 0, 65535));
    for (int64_t i = 0; i <= last; i++) model.features.push_back({"Column_" + std::to_string(i), false});
    if (auto names = root.find("feature_names")) {
        RMT_TRY(size_t count, names->array_size());
        for (size_t i = 0; i < std::min(count, model.features.size()); i++) {
            RMT_TRY(Reader name, names->at(i));
            RMT_TRY(model.features[i].name, name.as_string());
        }
    }
    RMT_TRY(Reader trees, root.at("tree_info"));
    RMT_TRY(size_t count, trees.array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader entry, trees.at(i));
        RMT_CHECK(entry.only_keys({"tree_index", "num_leaves", "num_cat", "shrinkage", "tree_structure"}));
        RMT_TRY(Reader structure, entry.at("tree_structure"));
        RMT_TRY(FloatTree tree, NodeReader(model).run(structure));
        RMT_TRY(int64_t leaves, entry.int_at("num_leaves", 1, 1 << 24));
        if (tree.values.size() != static_cast<size_t>(leaves))
            return model_error("M0107", entry.path() + "/num_leaves",
                               std::to_string(leaves) + " leaves are announced, " + std::to_string(tree.values.size()) + " are there");
        model.trees.push_back(std::move(tree));
    }
    RMT_CHECK(finish_lightgbm(model, head));
    if (auto codes = root.find("pandas_categorical"); codes && codes->json().is_array() && !codes->json().empty())
        out.notes.push_back("the file has its own codes for categories (pandas_categorical): the inputs must be those codes");
    return out;
}

}  // namespace rmt::models
