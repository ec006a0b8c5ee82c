// SPDX-License-Identifier: MIT
// XGBoost's model JSON and UBJSON. Schema and its changes: doc/model.schema of dmlc/xgboost 1.3 to 3.4; learner_model_param.base_score
// became an array in a string in 3.1, dart's weights were seen in three places, leaves of vectors in two, nodes without a threshold may
// hold a bare NaN. Left iff float32(x) < threshold; a category that is in a node's set goes RIGHT.
#include <algorithm>
#include <cmath>

#include "models/errors.h"
#include "models/import_formats.h"

namespace rmt::models {
namespace {

constexpr int64_t kMaxNodes = 1 << 24;

// All of XGBoost's parameters are numbers in strings.
Result<int64_t> param(const Reader& owner, const char* key, int64_t fallback) {
    auto reader = owner.find(key);
    if (!reader) return fallback;
    RMT_TRY(double value, reader->as_double());
    if (!(value == std::floor(value)) || std::abs(value) > 1e15)
        return model_error("M0102", reader->path(), "an integer is expected, " + describe(reader->json()) + " given");
    return static_cast<int64_t>(value);
}

Result<int64_t> param_in(const Reader& owner, const char* key, int64_t fallback, int64_t min, int64_t max) {
    RMT_TRY(int64_t value, param(owner, key, fallback));
    if (value < min || value > max)
        return model_error("M0108", owner.path() + "/" + key,
                           std::to_string(value) + " is outside " + std::to_string(min) + ".." + std::to_string(max));
    return value;
}

Result<std::vector<double>> read_base_score(const Reader& params) {
    RMT_TRY(Reader reader, params.at("base_score"));
    bool array_in_string = reader.json().is_string() && reader.json().get_ref<const std::string&>().starts_with("[");
    std::vector<double> scores;
    Json list = reader.json();
    if (array_in_string) {  // since 3.1
        auto parsed = parse_json(reader.json().get<std::string>());
        if (!parsed) return model_error("M0104", reader.path(), describe(reader.json()) + " is neither a number nor an array of numbers");
        list = std::move(*parsed);
    }
    if (!list.is_array()) {
        RMT_TRY(double score, reader.as_double());
        return std::vector<double>{score};
    }
    for (size_t i = 0; i < list.size(); i++) {
        RMT_TRY(double score, Reader(list[i], reader.path() + "/" + std::to_string(i)).as_double());
        scores.push_back(score);
    }
    return scores;
}

Result<void> read_features(const Reader& learner, size_t count, FloatModel& model) {
    model.features.resize(count);
    for (size_t i = 0; i < count; i++) model.features[i].name = "f" + std::to_string(i);
    for (const char* key : {"feature_names", "feature_types"}) {
        auto list = learner.find(key);
        if (!list) continue;
        RMT_TRY(size_t given, list->array_size());
        if (given != 0 && given != count)
            return model_error("M0102", list->path(), std::to_string(given) + " entries for " + std::to_string(count) + " features");
        for (size_t i = 0; i < given; i++) {
            RMT_TRY(Reader reader, list->at(i));
            RMT_TRY(std::string word, reader.as_string());
            if (key == std::string("feature_names"))
                model.features[i].name = word;
            else
                model.features[i].categorical = word == "c";
        }
    }
    return {};
}

// Where the trees are, and dart's weights if there are any.
struct Booster {
    Reader model;
    std::vector<double> weights;
};

Result<Booster> find_booster(const Reader& learner) {
    RMT_TRY(Reader outer, learner.at("gradient_booster"));
    RMT_CHECK(outer.only_keys({"name", "model", "gbtree", "weight_drop"}));
    std::string name = "gbtree";
    if (outer.find("name")) {
        RMT_TRY(name, outer.string_at("name"));
    }
    if (name == "gblinear")
        return unsupported(outer.path() + "/name", "booster 'gblinear' is deprecated and its base_score depends on the version",
                           "train a linear model with scikit-learn and export it with scripts/export_model.py, or booster=gbtree");
    if (name != "gbtree" && name != "dart")
        return unsupported(outer.path() + "/name", "booster '" + name + "' given, 'gbtree' and 'dart' are supported");
    Reader trees = outer;
    if (auto nested = outer.find("gbtree")) {  // dart of 1.3 to 3.0
        RMT_CHECK(nested->only_keys({"name", "model"}));
        trees = *nested;
    }
    RMT_TRY(Reader model, trees.at("model"));
    RMT_CHECK(model.only_keys({"gbtree_model_param", "trees", "tree_info", "iteration_indptr", "cats", "weight_drop"}));
    Booster booster{model, {}};
    for (const Reader& place : {outer, model}) {
        auto weights = place.find("weight_drop");
        if (!weights) continue;
        RMT_TRY(size_t count, weights->array_size());
        if (count > 0 && !booster.weights.empty()) return model_error("M0107", weights->path(), "weights of trees are given twice");
        for (size_t i = 0; i < count; i++) {
            RMT_TRY(Reader entry, weights->at(i));
            RMT_TRY(double weight, finite_number(entry));
            booster.weights.push_back(static_cast<double>(static_cast<float>(weight)));
        }
    }
    if (name == "dart" && booster.weights.empty())
        return model_error("M0102", outer.path(), "booster 'dart' weighs its trees, but 'weight_drop' is missing");
    return booster;
}

Result<size_t> trees_in_use(const Reader& learner, const Reader& booster, size_t trees, size_t outputs, const ImportOptions& options,
                            std::vector<std::string>& notes) {
    auto attributes = learner.find("attributes");
    auto best = attributes ? attributes->find("best_iteration") : std::nullopt;
    if (!best) return trees;
    RMT_TRY(double iteration, best->as_double());
    if (!(iteration >= 0 && iteration < 1e9))
        return model_error("M0102", best->path(), "a round is expected, " + describe(best->json()) + " given");
    auto round = static_cast<size_t>(iteration) + 1;
    size_t used = trees;
    if (auto ends = booster.find("iteration_indptr")) {  // since 2.0
        RMT_TRY(auto list, ends->as_ints(0, static_cast<int64_t>(trees)));
        if (round < list.size()) used = static_cast<size_t>(list[round]);
    } else {
        RMT_TRY(Reader params, booster.at("gbtree_model_param"));
        RMT_TRY(int64_t parallel, param_in(params, "num_parallel_tree", 1, 1, 100000));
        used = std::min(trees, round * static_cast<size_t>(parallel) * outputs);
    }
    if (used == trees) return trees;
    if (!options.use_best_iteration) {
        notes.push_back("all " + std::to_string(trees) + " trees are used, as Booster.predict does; best_iteration names the first " +
                        std::to_string(used));
        return trees;
    }
    notes.push_back("the first " + std::to_string(used) + " of " + std::to_string(trees) + " trees are used (best_iteration)");
    return used;
}

class TreeReader {
public:
    TreeReader(const Reader& reader, const FloatModel& model) : reader_(reader), model_(model) {}

    Result<FloatTree> run() {
        RMT_CHECK(reader_.only_keys({"id", "tree_param", "left_children", "right_children", "parents", "split_indices", "split_conditions",
                                     "split_type", "default_left", "categories", "categories_nodes", "categories_segments",
                                     "categories_sizes", "base_weights", "leaf_weights", "loss_changes", "sum_hessian"}));
        RMT_TRY(left_, column("left_children", -1, kMaxNodes));
        RMT_TRY(right_, column("right_children", -1, kMaxNodes));
        RMT_TRY(feature_, column("split_indices", 0, UINT32_MAX));
        RMT_CHECK(read_thresholds());
        RMT_CHECK(check_sizes());
        RMT_CHECK(read_sides());
        RMT_CHECK(read_sets());
        RMT_CHECK(add(0, -1));
        return std::move(tree_);
    }

private:
    Result<std::vector<int64_t>> column(const char* key, int64_t min, int64_t max) {
        RMT_TRY(Reader reader, reader_.at(key));
        return reader.as_ints(min, max);
    }
    Result<void> read_thresholds();
    Result<void> check_sizes();
    Result<void> read_sides();
    Result<void> read_sets();
    Result<int32_t> add(int64_t root, int32_t parent);
    Result<int32_t> add_leaf(int64_t node);
    std::string at(const char* key, int64_t index) const { return reader_.path() + "/" + key + "/" + std::to_string(index); }

    const Reader& reader_;
    const FloatModel& model_;
    std::vector<int64_t> left_, right_, feature_, kind_, side_, parent_, set_of_;
    std::vector<double> value_;
    size_t width_ = 0;  // numbers in a leaf; 0: a leaf is one number, kept as its threshold
    const Json* leaves_ = nullptr;
    bool by_leaf_number_ = false;  // since 3.1: a leaf's right child is its number
    FloatTree tree_;
};

Result<void> TreeReader::read_thresholds() {
    RMT_TRY(Reader conditions, reader_.at("split_conditions"));
    RMT_TRY(size_t size, conditions.array_size());
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader number, conditions.at(i));
        RMT_TRY(double value, number.as_double());
        value_.push_back(static_cast<double>(static_cast<float>(value)));  // its digits are those of a float32
    }
    return {};
}

Result<void> TreeReader::check_sizes() {
    const size_t size = left_.size();
    if (size == 0 || right_.size() != size || feature_.size() != size || value_.size() != size)
        return model_error("M0107", reader_.path(), "its arrays are empty or differ in length");
    if (auto params = reader_.find("tree_param")) {
        RMT_TRY(int64_t nodes, param(*params, "num_nodes", static_cast<int64_t>(size)));
        if (nodes != static_cast<int64_t>(size))
            return model_error("M0107", params->path() + "/num_nodes",
                               std::to_string(nodes) + " nodes are announced, " + std::to_string(size) + " are there");
        RMT_TRY(int64_t width, param_in(*params, "size_leaf_vector", 0, 0, 1024));
        if (width > 1) {
            if (static_cast<size_t>(width) != model_.outputs())
                return model_error(
                    "M0107", params->path() + "/size_leaf_vector",
                    "leaves of " + std::to_string(width) + " numbers, the model has " + std::to_string(model_.outputs()) + " outputs");
            width_ = static_cast<size_t>(width);
            auto numbered = reader_.find("leaf_weights");
            by_leaf_number_ = numbered.has_value();
            RMT_TRY(Reader leaves, reader_.at(by_leaf_number_ ? "leaf_weights" : "base_weights"));
            RMT_CHECK(leaves.array_size());
            leaves_ = &leaves.json();
        }
    }
    if (auto parents = reader_.find("parents")) {
        RMT_TRY(parent_, parents->as_ints(INT32_MIN, UINT32_MAX));
        if (parent_.size() != size) return model_error("M0107", parents->path(), "has another length than the nodes");
    }
    return {};
}

Result<void> TreeReader::read_sides() {
    const size_t size = left_.size();
    side_.assign(size, 0);
    kind_.assign(size, 0);
    if (auto sides = reader_.find("default_left")) {
        RMT_TRY(size_t given, sides->array_size());
        if (given != size) return model_error("M0107", sides->path(), "has another length than the nodes");
        for (size_t i = 0; i < size; i++) {
            const Json& side = sides->json()[i];
            if (!side.is_boolean() && side != 0 && side != 1)
                return model_error("M0102", at("default_left", static_cast<int64_t>(i)),
                                   "0 or 1 is expected, " + describe(side) + " given");
            side_[i] = side == 1 || side == true;
        }
    }
    if (auto kinds = reader_.find("split_type")) {
        RMT_TRY(kind_, kinds->as_ints(0, 1));
        if (kind_.size() != size) return model_error("M0107", kinds->path(), "has another length than the nodes");
    }
    return {};
}

Result<void> TreeReader::read_sets() {
    set_of_.assign(left_.size(), -1);
    if (!reader_.find("categories_nodes")) return {};
    RMT_TRY(auto nodes, column("categories_nodes", 0, static_cast<int64_t>(left_.size()) - 1));
    if (nodes.empty()) return {};
    RMT_TRY(auto members, column("categories", 0, 1 << 24));
    RMT_TRY(auto starts, column("categories_segments", 0, static_cast<int64_t>(members.size())));
    RMT_TRY(auto sizes, column("categories_sizes", 0, static_cast<int64_t>(members.size())));
    if (starts.size() != nodes.size() || sizes.size() != nodes.size())
        return model_error("M0107", reader_.path() + "/categories_nodes", "nodes, segments and sizes differ in length");
    for (size_t i = 0; i < nodes.size(); i++) {
        if (starts[i] + sizes[i] > static_cast<int64_t>(members.size()))
            return model_error("M0107", at("categories_segments", static_cast<int64_t>(i)), "ends behind the categories");
        if (kind_[nodes[i]] != 1 || set_of_[nodes[i]] >= 0)
            return model_error("M0107", at("categories_nodes", static_cast<int64_t>(i)),
                               "node " + std::to_string(nodes[i]) + " is no categorical split, or is listed twice");
        FloatSet set;
        set.members.assign(members.begin() + starts[i], members.begin() + starts[i] + sizes[i]);
        std::sort(set.members.begin(), set.members.end());
        set.members.erase(std::unique(set.members.begin(), set.members.end()), set.members.end());
        set_of_[nodes[i]] = static_cast<int64_t>(tree_.sets.size());
        tree_.sets.push_back(std::move(set));
    }
    return {};
}

Result<int32_t> TreeReader::add_leaf(int64_t node) {
    FloatNode made;
    if (width_ == 0) {
        double value = value_[node];
        if (!std::isfinite(value))
            return model_error("M0111", at("split_conditions", node),
                               "a leaf of " + std::to_string(value) + " is not a number that can be used");
        made.leaf = static_cast<int32_t>(tree_.values.size());
        tree_.values.push_back(value);
    } else {
        int64_t first = (by_leaf_number_ ? right_[node] : node) * static_cast<int64_t>(width_);
        const char* key = by_leaf_number_ ? "leaf_weights" : "base_weights";
        if (first < 0 || first + static_cast<int64_t>(width_) > static_cast<int64_t>(leaves_->size()))
            return model_error("M0107", reader_.path() + "/" + key, "has no numbers for the leaf at node " + std::to_string(node));
        made.leaf = static_cast<int32_t>(tree_.values.size() / width_);
        for (size_t k = 0; k < width_; k++) {
            auto index = static_cast<size_t>(first) + k;
            RMT_TRY(double value, finite_number(Reader((*leaves_)[index], at(key, static_cast<int64_t>(index)))));
            tree_.values.push_back(static_cast<double>(static_cast<float>(value)));
        }
    }
    tree_.nodes.push_back(made);
    return static_cast<int32_t>(tree_.nodes.size()) - 1;
}

// What the root reaches, renumbered: a pruned tree keeps deleted nodes, which mean nothing.
Result<int32_t> TreeReader::add(int64_t root, int32_t) {
    struct Open {
        int64_t node;
        int32_t parent;
        bool left;
    };
    const auto size = static_cast<int64_t>(left_.size());
    std::vector<bool> seen(left_.size(), false);
    std::vector<Open> open = {{root, -1, false}};
    std::vector<int64_t> origin;
    while (!open.empty()) {
        Open next = open.back();
        open.pop_back();
        int64_t node = next.node;
        if (node < 0 || node >= size || seen[node])
            return model_error("M0107", reader_.path(), "node " + std::to_string(node) + " does not exist or is reached twice: not a tree");
        seen[node] = true;
        if (next.parent >= 0 && !parent_.empty() && parent_[node] != origin[next.parent])
            return model_error(
                "M0107", at("parents", node),
                std::to_string(parent_[node]) + " given, but node " + std::to_string(origin[next.parent]) + " has it as a child");
        bool leaf = left_[node] < 0;
        if (!leaf && right_[node] < 0) return model_error("M0107", at("right_children", node), "a node has two children or none");
        if (leaf && right_[node] >= 0 && !by_leaf_number_)
            return model_error("M0107", at("right_children", node), "a node has two children or none");
        int32_t made = 0;
        if (leaf) {
            RMT_TRY(made, add_leaf(node));
        } else {
            if (static_cast<size_t>(feature_[node]) >= model_.features.size())
                return model_error(
                    "M0107", at("split_indices", node),
                    std::to_string(feature_[node]) + " is not one of the " + std::to_string(model_.features.size()) + " features");
            if (kind_[node] == 1 && set_of_[node] < 0)
                return model_error("M0107", at("split_type", node), "a categorical split without categories");
            if (kind_[node] == 0 && std::isnan(value_[node]))
                return model_error("M0111", at("split_conditions", node), "a threshold of NaN is not a number that can be used");
            FloatNode inner;
            inner.feature = static_cast<int32_t>(feature_[node]);
            inner.threshold = kind_[node] == 1 ? 0 : value_[node];
            inner.set = static_cast<int32_t>(set_of_[node]);
            inner.default_left = side_[node] == 1;
            inner.left = inner.right = 0;  // set when the children are made
            made = static_cast<int32_t>(tree_.nodes.size());
            tree_.nodes.push_back(inner);
            open.push_back({right_[node], made, false});
            open.push_back({left_[node], made, true});
        }
        origin.push_back(node);
        if (next.parent >= 0) (next.left ? tree_.nodes[next.parent].left : tree_.nodes[next.parent].right) = made;
    }
    return 0;
}

Result<std::string> check_version(const Reader& root) {
    RMT_TRY(Reader reader, root.at("version"));
    RMT_TRY(auto numbers, reader.as_ints(0, INT32_MAX));
    if (numbers.size() < 2 || numbers[0] < 1 || numbers[0] > 3)
        return model_error("M0105", reader.path(), describe(reader.json()) + " given; XGBoost 1.3 to 3.4 were checked");
    std::string text;
    for (int64_t n : numbers) text += (text.empty() ? "" : ".") + std::to_string(n);
    return text;
}

}  // namespace

Result<FloatImport> import_xgboost(const Json& document, const ImportOptions& options) {
    Reader root(document, "");
    RMT_CHECK(root.only_keys({"version", "learner"}));
    FloatImport out;
    FloatModel& model = out.model;
    RMT_TRY(std::string version, check_version(root));
    model.source = "xgboost " + version;
    model.compare = Compare::Less;
    model.compare_f32 = model.sum_f32 = true;
    RMT_TRY(Reader learner, root.at("learner"));
    RMT_CHECK(learner.only_keys({"attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective"}));
    RMT_TRY(Booster booster, find_booster(learner));
    RMT_TRY(Reader params, learner.at("learner_model_param"));
    RMT_CHECK(params.only_keys({"base_score", "boost_from_average", "num_class", "num_feature", "num_target"}));
    RMT_TRY(int64_t features, param_in(params, "num_feature", 0, 1, 65536));
    RMT_TRY(int64_t classes, param_in(params, "num_class", 0, 0, 1024));
    RMT_TRY(int64_t targets, param_in(params, "num_target", 1, 0, 1024));
    RMT_TRY(Reader objective_reader, learner.at("objective"));
    RMT_TRY(std::string name, objective_reader.string_at("name"));
    RMT_TRY(const XgbObjective* objective, find_xgb_objective(name, objective_reader.path() + "/name"));
    RMT_TRY(auto scores, read_base_score(params));
    RMT_CHECK(set_xgb_objective(model, *objective, scores, static_cast<size_t>(classes), static_cast<size_t>(targets), params.path()));
    RMT_CHECK(read_features(learner, static_cast<size_t>(features), model));

    RMT_TRY(Reader array, booster.model.at("trees"));
    RMT_TRY(size_t count, array.array_size());
    RMT_TRY(Reader forest, booster.model.at("gbtree_model_param"));
    RMT_TRY(int64_t announced, param(forest, "num_trees", static_cast<int64_t>(count)));
    if (announced != static_cast<int64_t>(count))
        return model_error("M0107", forest.path() + "/num_trees",
                           std::to_string(announced) + " trees are announced, " + std::to_string(count) + " are there");
    RMT_TRY(Reader info, booster.model.at("tree_info"));
    RMT_TRY(auto groups, info.as_ints(0, static_cast<int64_t>(model.outputs()) - 1));
    if (groups.size() != count) return model_error("M0107", info.path(), "has another length than the trees");
    if (!booster.weights.empty() && booster.weights.size() != count)
        return model_error("M0107", booster.model.path() + "/weight_drop",
                           std::to_string(booster.weights.size()) + " weights for " + std::to_string(count) + " trees");
    RMT_TRY(size_t used, trees_in_use(learner, booster.model, count, model.outputs(), options, out.notes));
    for (size_t i = 0; i < used; i++) {
        RMT_TRY(Reader reader, array.at(i));
        RMT_TRY(FloatTree tree, TreeReader(reader, model).run());
        bool vectors = tree.values.size() > 1 && model.outputs() > 1 && reader.find("tree_param") &&
                       *param(*reader.find("tree_param"), "size_leaf_vector", 0) > 1;
        tree.output = vectors ? -1 : static_cast<int32_t>(groups[i]);
        if (!booster.weights.empty()) tree.weight = booster.weights[i];
        RMT_CHECK(check_float_tree(model, tree, array.path() + "/" + std::to_string(i)));
        model.trees.push_back(std::move(tree));
    }
    if (auto cats = booster.model.find("cats"); cats && cats->find("enc") && !cats->find("enc")->json().empty())
        out.notes.push_back("the file has its own codes for categories (cats/enc): the inputs must be those codes");
    return out;
}

}  // namespace rmt::models
