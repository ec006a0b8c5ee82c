// SPDX-License-Identifier: MIT
// The neutral float form as JSON: columns of each tree with one entry for each node; in a leaf's, left, right and feature are -1 and
// `leaf` is the number of its value. Columns that would say nothing (missing, set) are left out.
#include <algorithm>
#include <cmath>

#include "models/errors.h"
#include "models/float_model.h"
#include "models/json_read.h"

namespace rmt::models {
namespace {

template <class E>
struct Word {
    E value;
    const char* word;
};

// clang-format off
constexpr Word<Compare> kCompares[] = {{Compare::Less, "lt"}, {Compare::LessEqual, "le"}};
constexpr Word<MissingRule> kMissings[] = {{MissingRule::None, "none"}, {MissingRule::Zero, "zero"}, {MissingRule::NaN, "nan"}};
constexpr Word<Transform> kTransforms[] = {
    {Transform::Identity, "identity"}, {Transform::Sigmoid, "sigmoid"}, {Transform::Softmax, "softmax"}, {Transform::Exp, "exp"},
    {Transform::Hinge, "hinge"}, {Transform::SignedSquare, "signed_square"}, {Transform::Probability, "probability"}};
constexpr Word<FloatTask> kTasks[] = {
    {FloatTask::Regression, "regression"}, {FloatTask::Binary, "binary"},
    {FloatTask::Multiclass, "multiclass"}, {FloatTask::Multioutput, "multioutput"}};
constexpr Word<bool> kPrecisions[] = {{true, "f32"}, {false, "f64"}};
// clang-format on

template <class E, size_t N>
const char* word_of(const Word<E> (&words)[N], E value) {
    for (const Word<E>& w : words)
        if (w.value == value) return w.word;
    return "?";
}

template <class E, size_t N>
Result<E> read_word(const Reader& owner, const char* key, const Word<E> (&words)[N]) {
    RMT_TRY(Reader reader, owner.at(key));
    RMT_TRY(std::string given, reader.as_string());
    std::string known;
    for (const Word<E>& w : words) {
        if (given == w.word) return w.value;
        known += (known.empty() ? "" : ", ") + std::string(w.word);
    }
    return model_error("M0102", reader.path(), "'" + given + "' given; one of " + known + " expected");
}

Json number_json(double n) {
    if (std::isinf(n)) return n > 0 ? "Infinity" : "-Infinity";
    return n;
}

// ---- writing ----------------------------------------------------------------------------------------------------------

Json tree_json(const FloatTree& tree) {
    Json left = Json::array(), right = Json::array(), feature = Json::array(), threshold = Json::array(), leaf = Json::array();
    Json set = Json::array(), default_left = Json::array(), missing = Json::array();
    bool same_rule = true;
    for (const FloatNode& node : tree.nodes) {
        left.push_back(node.left);
        right.push_back(node.right);
        feature.push_back(node.feature);
        threshold.push_back(number_json(node.threshold));
        leaf.push_back(node.leaf);
        set.push_back(node.set);
        default_left.push_back(node.default_left ? 1 : 0);
        missing.push_back(word_of(kMissings, node.missing));
        same_rule = same_rule && node.missing == MissingRule::NaN;
    }
    Json out = {{"left", left}, {"right", right},        {"feature", feature},           {"threshold", threshold},
                {"leaf", leaf}, {"values", tree.values}, {"default_left", default_left}, {"output", tree.output}};
    if (tree.weight != 1) out["weight"] = tree.weight;
    if (!same_rule) out["missing"] = missing;
    if (!tree.sets.empty()) {
        out["set"] = set;
        out["sets"] = Json::array();
        for (const FloatSet& s : tree.sets) out["sets"].push_back({{"members", s.members}, {"left", s.left}});
    }
    return out;
}

// ---- reading ----------------------------------------------------------------------------------------------------------

Result<double> read_number(const Json& json, const std::string& path) {
    RMT_TRY(double n, Reader(json, path).as_double());
    if (json.is_string() && !std::isinf(n)) return model_error("M0102", path, "a number is expected, " + describe(json) + " given");
    return n;
}

Result<std::vector<double>> read_numbers(const Reader& owner, const char* key) {
    RMT_TRY(Reader reader, owner.at(key));
    RMT_TRY(size_t size, reader.array_size());
    std::vector<double> out(size);
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(out[i], read_number(reader.json()[i], reader.path() + "/" + std::to_string(i)));
    }
    return out;
}

Result<std::vector<int64_t>> read_column(const Reader& owner, const char* key, size_t size, int64_t min, int64_t max) {
    RMT_TRY(Reader reader, owner.at(key));
    RMT_TRY(auto numbers, reader.as_ints(min, max));
    if (numbers.size() != size)
        return model_error("M0107", reader.path(), std::to_string(numbers.size()) + " entries for " + std::to_string(size) + " nodes");
    return numbers;
}

Result<bool> read_bool(const Reader& owner, const char* key) {
    RMT_TRY(Reader reader, owner.at(key));
    if (!reader.json().is_boolean())
        return model_error("M0102", reader.path(), "true or false is expected, " + describe(reader.json()) + " given");
    return reader.json().get<bool>();
}

Result<void> read_sets(const Reader& reader, FloatTree& tree) {
    auto sets = reader.find("sets");
    if (!sets) return {};
    RMT_TRY(size_t count, sets->array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader entry, sets->at(i));
        RMT_CHECK(entry.only_keys({"members", "left"}));
        RMT_TRY(Reader members, entry.at("members"));
        RMT_TRY(auto numbers, members.as_ints(0, INT32_MAX));
        FloatSet set{{numbers.begin(), numbers.end()}, false};
        RMT_TRY(set.left, read_bool(entry, "left"));
        tree.sets.push_back(std::move(set));
    }
    RMT_TRY(auto column, read_column(reader, "set", tree.nodes.size(), -1, INT32_MAX));
    for (size_t i = 0; i < column.size(); i++) tree.nodes[i].set = static_cast<int32_t>(column[i]);
    return {};
}

Result<void> read_missing(const Reader& reader, FloatTree& tree) {
    auto missing = reader.find("missing");
    if (!missing) return {};
    RMT_TRY(size_t size, missing->array_size());
    if (size != tree.nodes.size()) return model_error("M0107", missing->path(), "has another length than the nodes");
    for (size_t i = 0; i < size; i++) {
        const Json& given = missing->json()[i];
        bool found = false;
        for (const auto& w : kMissings)
            if (given == w.word) tree.nodes[i].missing = w.value, found = true;
        if (!found)
            return model_error("M0102", missing->path() + "/" + std::to_string(i),
                               describe(given) + " given; one of none, zero, nan expected");
    }
    return {};
}

Result<FloatTree> read_tree(const Reader& reader) {
    RMT_CHECK(reader.only_keys(
        {"left", "right", "feature", "threshold", "leaf", "values", "default_left", "output", "weight", "missing", "set", "sets"}));
    FloatTree tree;
    RMT_TRY(Reader first, reader.at("left"));
    RMT_TRY(size_t size, first.array_size());
    tree.nodes.resize(size);
    RMT_TRY(auto left, read_column(reader, "left", size, -1, INT32_MAX));
    RMT_TRY(auto right, read_column(reader, "right", size, -1, INT32_MAX));
    RMT_TRY(auto feature, read_column(reader, "feature", size, -1, INT32_MAX));
    RMT_TRY(auto leaf, read_column(reader, "leaf", size, -1, INT32_MAX));
    RMT_TRY(auto sides, read_column(reader, "default_left", size, 0, 1));
    RMT_TRY(auto threshold, read_numbers(reader, "threshold"));
    if (threshold.size() != size) return model_error("M0107", reader.path() + "/threshold", "has another length than the nodes");
    RMT_TRY(tree.values, read_numbers(reader, "values"));
    for (size_t i = 0; i < size; i++) {
        FloatNode& node = tree.nodes[i];
        node.left = static_cast<int32_t>(left[i]);
        node.right = static_cast<int32_t>(right[i]);
        node.feature = static_cast<int32_t>(feature[i]);
        node.leaf = static_cast<int32_t>(leaf[i]);
        node.threshold = threshold[i];
        node.default_left = sides[i] == 1;
    }
    RMT_TRY(int64_t output, reader.int_at("output", -1, INT32_MAX));
    tree.output = static_cast<int32_t>(output);
    if (auto weight = reader.find("weight")) {
        RMT_TRY(tree.weight, read_number(weight->json(), weight->path()));
    }
    RMT_CHECK(read_missing(reader, tree));
    RMT_CHECK(read_sets(reader, tree));
    return tree;
}

Result<void> read_head(const Reader& document, FloatModel& model) {
    RMT_TRY(model.source, document.string_at("source"));
    RMT_TRY(model.task, read_word(document, "task", kTasks));
    RMT_TRY(model.transform, read_word(document, "transform", kTransforms));
    RMT_TRY(model.compare, read_word(document, "compare", kCompares));
    RMT_TRY(model.compare_f32, read_word(document, "compare_as", kPrecisions));
    RMT_TRY(model.sum_f32, read_word(document, "sum_as", kPrecisions));
    RMT_TRY(model.base, read_numbers(document, "base"));
    if (document.find("base_first")) {
        RMT_TRY(model.base_first, read_bool(document, "base_first"));
    }
    if (document.find("oblivious")) {
        RMT_TRY(model.oblivious, read_bool(document, "oblivious"));
    }
    for (auto [key, to] : {std::pair{"alpha", &model.alpha}, std::pair{"scale", &model.scale}, std::pair{"divisor", &model.divisor}})
        if (auto reader = document.find(key)) {
            RMT_TRY(*to, read_number(reader->json(), reader->path()));
        }
    if (auto classes = document.find("classes")) {
        RMT_TRY(size_t size, classes->array_size());
        for (size_t i = 0; i < size; i++) {
            RMT_TRY(Reader reader, classes->at(i));
            RMT_TRY(std::string label, reader.as_string());
            model.classes.push_back(std::move(label));
        }
    }
    return {};
}

Result<void> read_features(const Reader& document, FloatModel& model) {
    RMT_TRY(Reader array, document.at("features"));
    RMT_TRY(size_t size, array.array_size());
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader reader, array.at(i));
        RMT_CHECK(reader.only_keys({"name", "categorical"}));
        FloatFeature feature;
        RMT_TRY(feature.name, reader.string_at("name"));
        if (reader.find("categorical")) {
            RMT_TRY(feature.categorical, read_bool(reader, "categorical"));
        }
        model.features.push_back(std::move(feature));
    }
    return {};
}

}  // namespace

std::string to_json(const FloatModel& model) {
    Json features = Json::array(), trees = Json::array();
    for (const FloatFeature& feature : model.features) {
        Json entry = {{"name", feature.name}};
        if (feature.categorical) entry["categorical"] = true;
        features.push_back(std::move(entry));
    }
    for (const FloatTree& tree : model.trees) trees.push_back(tree_json(tree));
    Json document = {{"rmt_float", 1},
                     {"kind", "trees"},
                     {"source", model.source},
                     {"features", features},
                     {"task", word_of(kTasks, model.task)},
                     {"transform", word_of(kTransforms, model.transform)},
                     {"compare", word_of(kCompares, model.compare)},
                     {"compare_as", word_of(kPrecisions, model.compare_f32)},
                     {"sum_as", word_of(kPrecisions, model.sum_f32)},
                     {"base", model.base},
                     {"trees", trees}};
    if (!model.base_first) document["base_first"] = false;
    if (model.oblivious) document["oblivious"] = true;
    if (model.alpha != 1) document["alpha"] = model.alpha;
    if (model.scale != 1) document["scale"] = model.scale;
    if (model.divisor != 1) document["divisor"] = model.divisor;
    if (!model.classes.empty()) document["classes"] = model.classes;
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<FloatModel> parse_float_model(const std::string& text) {
    RMT_TRY(Json json, parse_json(text));
    Reader document(json, "");
    if (!document.find("rmt_float")) return model_error("M0112", "", "this is not an rmt_float model: the key 'rmt_float' is missing");
    if (json["rmt_float"] != 1)
        return model_error("M0105", "/rmt_float", "version " + describe(json["rmt_float"]) + " given, version 1 is supported");
    RMT_TRY(std::string kind, document.string_at("kind"));
    if (kind != "trees") return model_error("M0102", "/kind", "'" + kind + "' given, 'trees' expected");
    RMT_CHECK(document.only_keys({"rmt_float", "kind", "source", "features", "task", "transform", "compare", "compare_as", "sum_as", "base",
                                  "base_first", "oblivious", "alpha", "scale", "divisor", "classes", "trees"}));
    FloatModel model;
    RMT_CHECK(read_head(document, model));
    RMT_CHECK(read_features(document, model));
    RMT_TRY(Reader trees, document.at("trees"));
    RMT_TRY(size_t count, trees.array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader reader, trees.at(i));
        RMT_TRY(FloatTree tree, read_tree(reader));
        model.trees.push_back(std::move(tree));
    }
    RMT_CHECK(check_float_model(model));
    return model;
}

}  // namespace rmt::models
