// SPDX-License-Identifier: MIT
// XGBoost's model JSON. Schema and its changes: doc/model.schema of dmlc/xgboost 1.7 to 3.4; learner_model_param.base_score
// became an array in a string in 3.1, dart's weights were seen in three places, categorical nodes may hold a bare NaN.
#include "models/import_xgboost.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

constexpr uint32_t kMaxFractionBits = 24;

enum class Transform { Identity, Logit };  // of base_score, from output to margin space
struct Objective {
    const char* name;
    Transform base;
    bool is_class;
    bool is_probability;  // the margin is a logit
};
// clang-format off
const Objective kObjectives[] = {
    {"binary:logistic", Transform::Logit, true, true},     {"binary:logitraw", Transform::Identity, true, true},
    {"binary:hinge", Transform::Identity, true, false},    {"reg:logistic", Transform::Logit, true, true},
    {"reg:squarederror", Transform::Identity, false, false}, {"reg:linear", Transform::Identity, false, false},
    {"reg:absoluteerror", Transform::Identity, false, false}, {"reg:pseudohubererror", Transform::Identity, false, false},
    {"reg:squaredlogerror", Transform::Identity, false, false}, {"reg:quantileerror", Transform::Identity, false, false},
    {"rank:pairwise", Transform::Identity, false, false},  {"rank:ndcg", Transform::Identity, false, false},
    {"rank:map", Transform::Identity, false, false},
};
// clang-format on

Unexpected<Error> unsupported(const std::string& path, const std::string& what, std::string hint = {}) {
    return model_error("M0110", path, what, std::move(hint));
}

// All of XGBoost's parameters are numbers in strings.
Result<int64_t> param(const Reader& owner, const char* key, int64_t fallback) {
    auto reader = owner.find(key);
    if (!reader) return fallback;
    RMT_TRY(double value, reader->as_double());
    if (value != std::floor(value) || std::abs(value) > 1e15)
        return model_error("M0102", reader->path(), "an integer is expected, " + describe(reader->json()) + " given");
    return static_cast<int64_t>(value);
}

Result<const Objective*> read_objective(const Reader& learner) {
    RMT_TRY(Reader objective, learner.at("objective"));
    RMT_TRY(std::string name, objective.string_at("name"));
    std::string known;
    for (const Objective& o : kObjectives) {
        if (name == o.name) return &o;
        known += (known.empty() ? "" : ", ") + std::string(o.name);
    }
    return unsupported(
        objective.path() + "/name",
        "objective '" + name + "' is not supported: its answer is not a linear function of the sum of leaves, or has several parts",
        "supported: " + known);
}

Result<float> read_base_score(const Reader& params, const Objective& objective) {
    RMT_TRY(Reader reader, params.at("base_score"));
    double score = 0;
    if (reader.json().is_string() && reader.json().get_ref<const std::string&>().starts_with("[")) {  // since 3.1
        auto list = parse_json(reader.json().get<std::string>());
        if (!list || !list->is_array())
            return model_error("M0104", reader.path(), describe(reader.json()) + " is neither a number nor an array of numbers");
        if (list->size() != 1)
            return model_error("M0104", reader.path(), "has " + std::to_string(list->size()) + " values, a model of one output has one");
        RMT_TRY(score, Reader((*list)[0], reader.path() + "/0").as_double());
    } else {
        RMT_TRY(score, reader.as_double());
    }
    auto p = static_cast<float>(score);
    if (!std::isfinite(p)) return model_error("M0104", reader.path(), "is not finite");
    if (objective.base == Transform::Identity) return p;
    if (!(p > 0 && p < 1))
        return model_error("M0104", reader.path(),
                           std::to_string(p) + " is not a probability between 0 and 1, as '" + objective.name + "' needs");
    return -std::log(1.0f / p - 1.0f);  // in float, as XGBoost computes it
}

Result<std::vector<ModelInput>> read_inputs(const Reader& learner, const Reader& params, const ImportOptions& options) {
    RMT_TRY(int64_t count, param(params, "num_feature", 0));
    if (count < 1 || count > RMT_MAX_INPUTS)
        return unsupported(params.path() + "/num_feature",
                           std::to_string(count) + " features; a model in the kernel has 1.." + std::to_string(RMT_MAX_INPUTS),
                           "train on fewer features");
    auto n = static_cast<size_t>(count);
    std::vector<ModelInput> inputs(n);
    for (size_t i = 0; i < n; i++) inputs[i] = {"f" + std::to_string(i), "i32", -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT};
    if (auto types = learner.find("feature_types")) {
        RMT_TRY(size_t given, types->array_size());
        for (size_t i = 0; i < given; i++) {
            RMT_TRY(Reader reader, types->at(i));
            RMT_TRY(std::string type, reader.as_string());
            if (type == "c") return unsupported(reader.path(), "categorical feature", "encode it as numbers before training");
        }
    }
    if (!options.inputs.empty()) {
        if (options.inputs.size() != n)
            return model_error("M0201", params.path() + "/num_feature",
                               std::to_string(n) + " features, " + std::to_string(options.inputs.size()) + " inputs named");
        return options.inputs;
    }
    auto names = learner.find("feature_names");
    if (!names) return inputs;
    RMT_TRY(size_t given, names->array_size());
    if (given != 0 && given != n)
        return model_error("M0102", names->path(), std::to_string(given) + " names for " + std::to_string(n) + " features");
    for (size_t i = 0; i < given; i++) {
        RMT_TRY(Reader reader, names->at(i));
        RMT_TRY(inputs[i].name, reader.as_string());
    }
    return inputs;
}

// dart's weights have been in three places; a booster that has any is not a plain sum of trees.
Result<Reader> find_trees(const Reader& learner) {
    RMT_TRY(Reader booster, learner.at("gradient_booster"));
    if (auto weights = booster.find("weight_drop"); weights && !weights->json().empty())
        return unsupported(weights->path(), "booster 'dart' weighs its trees", "train with booster=gbtree");
    auto name = booster.find("name");
    if (name && name->json() != "gbtree")
        return unsupported(name->path(), "booster " + describe(name->json()) + " given, only 'gbtree' is supported");
    RMT_TRY(Reader model, booster.at("model"));
    if (auto weights = model.find("weight_drop"); weights && !weights->json().empty())
        return unsupported(weights->path(), "booster 'dart' weighs its trees", "train with booster=gbtree");
    return model;
}

Result<size_t> trees_in_use(const Reader& learner, const Reader& booster, size_t trees, const ImportOptions& options,
                            std::vector<std::string>& notes) {
    auto attributes = learner.find("attributes");
    auto best = attributes ? attributes->find("best_iteration") : std::nullopt;
    if (!best) return trees;
    RMT_TRY(double iteration, best->as_double());
    if (!(iteration >= 0 && iteration < 1e9))
        return model_error("M0102", best->path(), "a round is expected, " + describe(best->json()) + " given");
    RMT_TRY(Reader params, booster.at("gbtree_model_param"));
    RMT_TRY(int64_t parallel, param(params, "num_parallel_tree", 1));
    if (parallel < 1 || parallel > 100000)
        return model_error("M0108", params.path() + "/num_parallel_tree", std::to_string(parallel) + " is outside 1..100000");
    auto used = std::min(trees, (static_cast<size_t>(iteration) + 1) * static_cast<size_t>(parallel));
    if (used == trees) return trees;
    if (!options.use_best_iteration) {
        notes.push_back("all " + std::to_string(trees) + " trees are used, as Booster.predict does; best_iteration names the first " +
                        std::to_string(used));
        return trees;
    }
    notes.push_back("the first " + std::to_string(used) + " of " + std::to_string(trees) + " trees are used (best_iteration)");
    return used;
}

// The largest x of the engine's domain with float32(x) < t, or LIMIT_MIN - 1 when there is none. Rounding to float32 is
// monotone, so the predicate is, and bisection finds its edge exactly.
int64_t integer_threshold(float t) {
    int64_t lo = -RMT_MODEL_LIMIT - 1, hi = RMT_MODEL_LIMIT;  // predicate holds at lo (by definition), unknown above
    while (lo < hi) {
        int64_t middle = lo + (hi - lo + 1) / 2;
        if (static_cast<float>(middle) < t)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

struct FloatTree {  // as in the file, checked
    std::vector<int64_t> left, right, feature;
    std::vector<float> value;  // threshold of an inner node, value of a leaf
};

Result<FloatTree> read_tree(const Reader& reader, size_t inputs) {
    FloatTree tree;
    if (auto params = reader.find("tree_param")) {
        RMT_TRY(int64_t vector_size, param(*params, "size_leaf_vector", 0));
        if (vector_size > 1)
            return unsupported(params->path() + "/size_leaf_vector", "leaves are vectors of " + std::to_string(vector_size),
                               "train with multi_strategy=one_output_per_tree and one target");
    }
    if (auto categories = reader.find("categories_nodes"); categories && !categories->json().empty())
        return unsupported(categories->path(), "categorical splits", "encode categories as numbers before training");
    RMT_TRY(Reader left, reader.at("left_children"));
    RMT_TRY(Reader right, reader.at("right_children"));
    RMT_TRY(Reader feature, reader.at("split_indices"));
    RMT_TRY(Reader condition, reader.at("split_conditions"));
    RMT_TRY(tree.left, left.as_ints(-1, RMT_MODEL_MAX_NODES));
    RMT_TRY(tree.right, right.as_ints(-1, RMT_MODEL_MAX_NODES));
    RMT_TRY(tree.feature, feature.as_ints(0, INT32_MAX));
    RMT_TRY(size_t size, condition.array_size());
    if (size == 0 || tree.left.size() != size || tree.right.size() != size || tree.feature.size() != size)
        return model_error("M0107", reader.path(), "its arrays are empty or differ in length");
    if (auto types = reader.find("split_type")) {
        RMT_TRY(auto kinds, types->as_ints(0, 1));
        for (size_t i = 0; i < kinds.size(); i++)
            if (kinds[i] != 0)
                return unsupported(types->path() + "/" + std::to_string(i), "categorical split",
                                   "encode categories as numbers before training");
    }
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader number, condition.at(i));
        RMT_TRY(double value, number.as_double());
        tree.value.push_back(static_cast<float>(value));  // printed with the digits that give back the same float32
        bool leaf = tree.left[i] < 0;
        if (std::isnan(tree.value[i]) || (leaf && std::isinf(tree.value[i])))
            return model_error("M0111", number.path(), describe(number.json()) + " is not a number that can be used");
        if (leaf != (tree.right[i] < 0))
            return model_error("M0107", right.path() + "/" + std::to_string(i), "a node has two children or none");
        if (!leaf && static_cast<size_t>(tree.feature[i]) >= inputs)
            return model_error("M0107", feature.path() + "/" + std::to_string(i),
                               std::to_string(tree.feature[i]) + " is not one of the " + std::to_string(inputs) + " features");
    }
    return tree;
}

// A node that integers of the engine's domain always pass to the same side is replaced by that side, so what remains is
// smaller than the original and answers the same.
class Converter {
public:
    Converter(const FloatTree& from, uint32_t bits, const std::string& path)
        : from_(from), scale_(std::ldexp(1.0, static_cast<int>(bits))), path_(path), seen_(from.left.size(), false) {}

    Result<Tree> convert() {
        RMT_CHECK(copy(0, 0));
        return std::move(to_);
    }
    double worst_error() const { return worst_; }  // of a leaf, in units of the margin

private:
    Result<int32_t> copy(int64_t node, uint32_t depth) {
        for (;;) {
            if (node < 0 || node >= static_cast<int64_t>(seen_.size()) || seen_[node])
                return model_error("M0107", path_, "node " + std::to_string(node) + " does not exist or is reached twice: not a tree");
            seen_[node] = true;
            if (from_.left[node] < 0) return leaf(from_.value[node]);
            int64_t threshold = integer_threshold(from_.value[node]);
            if (threshold < RMT_MODEL_MIN)
                node = from_.right[node];
            else if (threshold > RMT_MODEL_MAX)
                node = from_.left[node];
            else
                return inner(node, static_cast<int32_t>(threshold), depth);
        }
    }
    Result<int32_t> leaf(float value) {
        double fixed = std::nearbyint(static_cast<double>(value) * scale_);
        worst_ = std::max(worst_, std::abs(fixed / scale_ - static_cast<double>(value)));
        return to_.add_leaf(static_cast<int32_t>(fixed));
    }
    Result<int32_t> inner(int64_t node, int32_t threshold, uint32_t depth) {
        if (depth == RMT_MODEL_MAX_DEPTH)
            return model_error("M0107", path_, "is deeper than " + std::to_string(RMT_MODEL_MAX_DEPTH) + " steps",
                               "train with a smaller max_depth");
        int32_t at = to_.add_leaf(0);
        to_.feature[at] = static_cast<int32_t>(from_.feature[node]);
        to_.threshold[at] = threshold;
        RMT_TRY(int32_t left, copy(from_.left[node], depth + 1));
        RMT_TRY(int32_t right, copy(from_.right[node], depth + 1));
        to_.left[at] = left;
        to_.right[at] = right;
        return at;
    }

    const FloatTree& from_;
    double scale_;
    std::string path_;
    std::vector<bool> seen_;
    Tree to_;
    double worst_ = 0;
};

// As many fraction bits as the largest leaf leaves room for.
Result<uint32_t> choose_bits(const std::vector<FloatTree>& trees, double base) {
    double largest = 1e-9;
    for (const FloatTree& tree : trees)
        for (size_t i = 0; i < tree.value.size(); i++)
            if (tree.left[i] < 0) largest = std::max(largest, std::abs(static_cast<double>(tree.value[i])));
    uint32_t bits = kMaxFractionBits;
    while (bits > 0 && (largest * std::ldexp(1.0, static_cast<int>(bits)) > RMT_MODEL_MAX - 1 ||
                        std::abs(base) * std::ldexp(1.0, static_cast<int>(bits)) > 9e15))
        bits--;
    if (largest > RMT_MODEL_MAX - 1 || std::abs(base) > 9e15)
        return model_error("M0108", "/learner", "leaves or base_score are too large for 32-bit leaves", "scale the target before training");
    return bits;
}

void set_output(Model& model, const Objective& objective, const ImportOptions& options, uint32_t bits, ImportReport& report) {
    model.shift = bits;
    if (objective.is_class && !options.score) {
        model.output = {OutputKind::Class, "u8", 0, 1, {}};
        model.link = Link::Positive;
        return;
    }
    uint32_t kept = options.score ? std::min(options.score_bits, bits) : 0;
    model.shift = bits - kept;
    double low = static_cast<double>(model.base), high = low;
    for (const Tree& tree : model.trees) {
        int32_t tree_low = INT32_MAX, tree_high = INT32_MIN;
        for (size_t i = 0; i < tree.size(); i++) {
            if (!tree.is_leaf(i)) continue;
            tree_low = std::min(tree_low, tree.value[i]);
            tree_high = std::max(tree_high, tree.value[i]);
        }
        low += tree_low, high += tree_high;
    }
    double scale = std::ldexp(1.0, static_cast<int>(model.shift));
    auto limit = [](double x) { return static_cast<int64_t>(std::clamp(x, -2147483648.0, 2147483647.0)); };
    model.output = {
        options.score ? OutputKind::Score : OutputKind::Value, "i32", limit(std::floor(low / scale)), limit(std::ceil(high / scale)), {}};
    if (options.output_range) std::tie(model.output.min, model.output.max) = *options.output_range;
    if (options.score) report.notes.push_back("the score is the margin times 2^" + std::to_string(kept));
}

Result<std::string> check_version(const Reader& root) {
    RMT_TRY(Reader reader, root.at("version"));
    RMT_TRY(auto numbers, reader.as_ints(0, INT32_MAX));
    if (numbers.size() < 2 || numbers[0] < 1 || numbers[0] > 3)
        return model_error("M0105", reader.path(), describe(reader.json()) + " given; XGBoost 1.7 to 3.4 were checked");
    std::string text;
    for (int64_t n : numbers) text += (text.empty() ? "" : ".") + std::to_string(n);
    return text;
}

Result<void> check_single_output(const Reader& params) {
    RMT_TRY(int64_t classes, param(params, "num_class", 0));
    if (classes > 1)
        return unsupported(params.path() + "/num_class", std::to_string(classes) + " classes: several margins are not supported yet",
                           "train one binary model, or `rmt-load model train`");
    RMT_TRY(int64_t targets, param(params, "num_target", 1));
    if (targets > 1) return unsupported(params.path() + "/num_target", std::to_string(targets) + " targets; one is supported");
    return {};
}

}  // namespace

Result<ImportReport> import_xgboost(const Json& document, const ImportOptions& options) {
    if (!(options.positive_above > 0 && options.positive_above < 1))
        return model_error("M0305", "", "positive_above is a probability between 0 and 1");
    Reader root(document, "");
    ImportReport report;
    RMT_TRY(std::string version, check_version(root));
    report.format = "xgboost " + version;
    RMT_TRY(Reader learner, root.at("learner"));
    RMT_TRY(Reader booster, find_trees(learner));
    RMT_TRY(Reader params, learner.at("learner_model_param"));
    RMT_CHECK(check_single_output(params));
    RMT_TRY(const Objective* objective, read_objective(learner));
    RMT_TRY(float base_score, read_base_score(params, *objective));
    Model& model = report.model;
    RMT_TRY(model.inputs, read_inputs(learner, params, options));
    RMT_TRY(Reader array, booster.at("trees"));
    RMT_TRY(size_t count, array.array_size());
    RMT_TRY(size_t used, trees_in_use(learner, booster, count, options, report.notes));
    if (used == 0 || used > RMT_MODEL_MAX_TREES)
        return model_error("M0107", array.path(),
                           "1.." + std::to_string(RMT_MODEL_MAX_TREES) + " trees are possible, " + std::to_string(used) + " given");
    if (auto info = booster.find("tree_info")) {
        RMT_TRY(auto groups, info->as_ints(0, INT32_MAX));
        if (std::any_of(groups.begin(), groups.end(), [](int64_t g) { return g != 0; }))
            return unsupported(info->path(), "trees of several outputs");
    }
    std::vector<FloatTree> trees;
    for (size_t i = 0; i < used; i++) {
        RMT_TRY(Reader reader, array.at(i));
        RMT_TRY(FloatTree tree, read_tree(reader, model.inputs.size()));
        trees.push_back(std::move(tree));
    }
    double base = base_score;
    if (objective->is_class && objective->is_probability && !options.score)
        base -= std::log(options.positive_above / (1 - options.positive_above));
    RMT_TRY(report.fraction_bits, choose_bits(trees, base));
    for (size_t i = 0; i < used; i++) {
        Converter converter(trees[i], report.fraction_bits, array.path() + "/" + std::to_string(i));
        RMT_TRY(Tree tree, converter.convert());
        model.trees.push_back(std::move(tree));
        report.margin_bound += converter.worst_error();
    }
    double scale = std::ldexp(1.0, static_cast<int>(report.fraction_bits));
    model.base = static_cast<int64_t>(std::nearbyint(base * scale));
    report.margin_bound += std::abs(static_cast<double>(model.base) / scale - base);
    model.name = options.name.empty() ? "model" : options.name;
    model.kind = ModelKind::Forest;
    set_output(model, *objective, options, report.fraction_bits, report);
    model.provenance = {
        {"imported_from", report.format}, {"objective", objective->name}, {"fraction_bits", std::to_string(report.fraction_bits)}};
    if (options.inputs.empty()) report.notes.push_back("the file holds no ranges of the training data: inputs are accepted in -2^30..2^30");
    report.notes.push_back("missing values do not occur here: default directions are dropped");
    RMT_CHECK(check_model(model));
    seal(model);
    return report;
}

}  // namespace rmt::models
