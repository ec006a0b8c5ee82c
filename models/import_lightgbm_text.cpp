// SPDX-License-Identifier: MIT
// LightGBM's text model: a head of key=value lines, blocks `Tree=i`, `end of trees`, then what training was given (not read).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "models/errors.h"
#include "models/import_lightgbm.h"

namespace rmt::models {
namespace {

using Block = std::map<std::string, std::string, std::less<>>;

const std::set<std::string, std::less<>> kHeadKeys = {"version",         "num_class",  "num_tree_per_iteration", "label_index",
                                                      "max_feature_idx", "objective",  "average_output",         "feature_names",
                                                      "feature_infos",   "tree_sizes", "monotone_constraints",   "monotone_penalty"};
const std::set<std::string, std::less<>> kTreeKeys = {
    "num_leaves", "num_cat",     "split_feature", "split_gain",     "threshold",       "decision_type",  "left_child",     "right_child",
    "leaf_value", "leaf_weight", "leaf_count",    "internal_value", "internal_weight", "internal_count", "cat_boundaries", "cat_threshold",
    "is_linear",  "shrinkage",   "leaf_const",    "num_features",   "leaf_features",   "leaf_coeff"};

struct Document {
    Block head;
    std::vector<Block> trees;
    bool pandas = false;
};

Result<Document> split_blocks(std::string_view text) {
    Document out;
    bool ended = false;
    size_t line_number = 0;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        line_number++;
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (ended) {
            out.pandas = out.pandas ||
                         (line.starts_with("pandas_categorical:") && line != "pandas_categorical:null" && line != "pandas_categorical:[]");
            continue;
        }
        const std::string place = "line " + std::to_string(line_number);
        if (line.empty() || (line_number == 1 && line == "tree")) continue;
        if (line == "end of trees") {
            ended = true;
            continue;
        }
        size_t equals = line.find('=');
        std::string key(line.substr(0, equals)), value(equals == std::string_view::npos ? "" : line.substr(equals + 1));
        if (key == "Tree") {
            if (value != std::to_string(out.trees.size()))
                return model_error("M0107", place, "Tree=" + value + " given, Tree=" + std::to_string(out.trees.size()) + " expected");
            out.trees.emplace_back();
            continue;
        }
        const bool in_head = out.trees.empty();
        if (!(in_head ? kHeadKeys : kTreeKeys).contains(key))
            return model_error("M0103", place,
                               "unknown key '" + key.substr(0, 40) + "'; it may change what the model means, so it is not ignored");
        if (!(in_head ? out.head : out.trees.back()).emplace(key, value).second)
            return model_error("M0107", place, "'" + key + "' is given twice");
    }
    if (!ended) return model_error("M0107", "", "the line 'end of trees' is missing: the file is cut off");
    return out;
}

Result<double> to_number(std::string_view word, const std::string& place) {
    double value = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || word.empty())
        return model_error("M0102", place, "a number is expected, '" + std::string(word.substr(0, 40)) + "' given");
    return value;
}

Result<std::vector<double>> numbers(const Block& block, const char* key, const std::string& path) {
    std::vector<double> out;
    auto found = block.find(key);
    if (found == block.end()) return model_error("M0102", path, "the key '" + std::string(key) + "' is missing");
    std::string_view text = found->second;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) {
            RMT_TRY(double value, to_number(text.substr(at, end - at), path + "/" + key + "/" + std::to_string(out.size())));
            out.push_back(value);
        }
        at = end + 1;
    }
    return out;
}

Result<std::vector<int64_t>> integers(const Block& block, const char* key, const std::string& path, double min, double max) {
    RMT_TRY(auto values, numbers(block, key, path));
    std::vector<int64_t> out;
    for (size_t i = 0; i < values.size(); i++) {
        if (!(values[i] >= min && values[i] <= max) || values[i] != std::floor(values[i]))
            return model_error("M0108", path + "/" + key + "/" + std::to_string(i),
                               "is not an integer in the range that is possible there");
        out.push_back(static_cast<int64_t>(values[i]));
    }
    return out;
}

Result<int64_t> integer(const Block& block, const char* key, const std::string& path, double min, double max) {
    RMT_TRY(auto values, integers(block, key, path, min, max));
    if (values.size() != 1)
        return model_error("M0102", path + "/" + key, "one number is expected, " + std::to_string(values.size()) + " given");
    return values[0];
}

Result<void> read_set(const Block& block, const std::string& path, double which, FloatSet& set) {
    RMT_TRY(auto ends, integers(block, "cat_boundaries", path, 0, 1 << 24));
    RMT_TRY(auto words, integers(block, "cat_threshold", path, 0, UINT32_MAX));
    if (!(which >= 0) || which != std::floor(which) || which + 1 >= static_cast<double>(ends.size()))
        return model_error("M0107", path + "/threshold", "a categorical split without categories");
    auto index = static_cast<size_t>(which);
    if (ends[index] > ends[index + 1] || ends[index + 1] > static_cast<int64_t>(words.size()))
        return model_error("M0107", path + "/cat_boundaries", "ends behind cat_threshold, or falls");
    for (int64_t w = ends[index]; w < ends[index + 1]; w++)
        for (int64_t bit = 0; bit < 32; bit++)
            if (words[static_cast<size_t>(w)] >> bit & 1) set.members.push_back(static_cast<int32_t>((w - ends[index]) * 32 + bit));
    set.left = true;
    return {};
}

Result<FloatTree> read_tree(const Block& block, const std::string& path, FloatModel& model) {
    FloatTree tree;
    if (auto linear = block.find("is_linear"); linear != block.end() && linear->second != "0")
        return unsupported(path + "/is_linear", "linear trees: a leaf is a linear function", "train with linear_tree=false");
    RMT_TRY(int64_t leaves, integer(block, "num_leaves", path, 1, 1 << 24));
    RMT_TRY(tree.values, numbers(block, "leaf_value", path));
    if (tree.values.size() != static_cast<size_t>(leaves))
        return model_error("M0107", path + "/leaf_value",
                           std::to_string(tree.values.size()) + " values for " + std::to_string(leaves) + " leaves");
    const auto inner = static_cast<size_t>(leaves) - 1;
    std::vector<int64_t> feature, decision, left, right;
    std::vector<double> threshold;
    if (inner > 0) {
        const auto last_leaf = -static_cast<double>(leaves), last_node = static_cast<double>(inner) - 1;
        RMT_TRY(feature, integers(block, "split_feature", path, 0, static_cast<double>(model.features.size()) - 1));
        RMT_TRY(decision, integers(block, "decision_type", path, 0, 11));
        RMT_TRY(left, integers(block, "left_child", path, last_leaf, last_node));
        RMT_TRY(right, integers(block, "right_child", path, last_leaf, last_node));
        RMT_TRY(threshold, numbers(block, "threshold", path));
    }
    if (feature.size() != inner || decision.size() != inner || left.size() != inner || right.size() != inner || threshold.size() != inner)
        return model_error("M0107", path, "its arrays do not have " + std::to_string(inner) + " entries, one for each inner node");
    tree.nodes.resize(inner + static_cast<size_t>(leaves));
    auto child = [inner](int64_t c) { return static_cast<int32_t>(c >= 0 ? c : static_cast<int64_t>(inner) + ~c); };
    for (size_t i = 0; i < inner; i++) {
        FloatNode& node = tree.nodes[i];
        node.feature = static_cast<int32_t>(feature[i]);
        node.left = child(left[i]), node.right = child(right[i]);
        if (decision[i] & 1) {
            FloatSet set;
            RMT_CHECK(read_set(block, path, threshold[i], set));
            node.set = static_cast<int32_t>(tree.sets.size());
            model.features[node.feature].categorical = true;
            tree.sets.push_back(std::move(set));  // NaN is no category: right
            continue;
        }
        node.threshold = threshold[i];
        node.default_left = (decision[i] & 2) != 0;
        node.missing = static_cast<MissingRule>(decision[i] >> 2 & 3);  // None, Zero, NaN; at most 2, see the range above
    }
    for (size_t l = 0; l < static_cast<size_t>(leaves); l++) tree.nodes[inner + l].leaf = static_cast<int32_t>(l);
    RMT_CHECK(check_float_tree(model, tree, path));
    return tree;
}

}  // namespace

Result<FloatImport> import_lightgbm_text(const std::string& text) {
    RMT_TRY(Document document, split_blocks(text));
    FloatImport out;
    FloatModel& model = out.model;
    const Block& head = document.head;
    auto word = [&head](const char* key) {
        auto found = head.find(key);
        return found == head.end() ? std::string() : found->second;
    };
    if (word("version") != "v2" && word("version") != "v3" && word("version") != "v4")
        return model_error("M0105", "/version", "'" + word("version") + "' given; LightGBM's v2, v3 and v4 were checked");
    model.source = "lightgbm " + word("version");
    LightgbmHead wanted;
    wanted.objective = word("objective");
    wanted.average = head.contains("average_output");
    RMT_TRY(wanted.trees_per_iteration, integer(head, "num_tree_per_iteration", "", 1, 1024));
    RMT_CHECK(set_lightgbm_objective(model, wanted, out.notes));
    RMT_TRY(int64_t last, integer(head, "max_feature_idx", "", 0, 65535));
    std::string names = word("feature_names");
    for (size_t at = 0; model.features.size() <= static_cast<size_t>(last);) {
        size_t end = std::min(names.find(' ', at), names.size());
        std::string name = at < names.size() ? names.substr(at, end - at) : "Column_" + std::to_string(model.features.size());
        model.features.push_back({name, false});
        at = end + 1;
    }
    if (head.contains("tree_sizes")) {
        RMT_TRY(auto sizes, numbers(head, "tree_sizes", ""));
        if (sizes.size() != document.trees.size())
            return model_error(
                "M0107", "/tree_sizes",
                std::to_string(sizes.size()) + " trees are announced, " + std::to_string(document.trees.size()) + " are there");
    }
    for (size_t i = 0; i < document.trees.size(); i++) {
        RMT_TRY(FloatTree tree, read_tree(document.trees[i], "/Tree=" + std::to_string(i), model));
        model.trees.push_back(std::move(tree));
    }
    RMT_CHECK(finish_lightgbm(model, wanted));
    if (document.pandas)
        out.notes.push_back("the file has its own codes for categories (pandas_categorical): the inputs must be those codes");
    return out;
}

}  // namespace rmt::models
