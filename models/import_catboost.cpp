// SPDX-License-Identifier: MIT
// CatBoost's JSON of symmetric (oblivious) trees over numeric features. Bit i of a leaf's number is 1 iff float32(x) > border of
// splits[i]; the raw value is scale * sum + bias.
#include <algorithm>
#include <cmath>
#include <map>

#include "models/errors.h"
#include "models/import_formats.h"

namespace rmt::models {
namespace {

constexpr size_t kMaxDepth = 16;

struct Column {
    int32_t flat = 0;
    bool nan_is_greater = false;
};

struct Known {
    const char* name;
    FloatTask task;
    Transform transform;
};
// clang-format off
const Known kLosses[] = {
    {"Logloss", FloatTask::Binary, Transform::Sigmoid}, {"CrossEntropy", FloatTask::Binary, Transform::Sigmoid},
    {"MultiClass", FloatTask::Multiclass, Transform::Softmax}, {"MultiClassOneVsAll", FloatTask::Multiclass, Transform::Sigmoid},
    {"RMSE", FloatTask::Regression, Transform::Identity}, {"MAE", FloatTask::Regression, Transform::Identity},
    {"MAPE", FloatTask::Regression, Transform::Identity}, {"SMAPE", FloatTask::Regression, Transform::Identity},
    {"Quantile", FloatTask::Regression, Transform::Identity}, {"Expectile", FloatTask::Regression, Transform::Identity},
    {"Huber", FloatTask::Regression, Transform::Identity}, {"Lq", FloatTask::Regression, Transform::Identity},
    {"MultiRMSE", FloatTask::Multioutput, Transform::Identity}, {"MultiQuantile", FloatTask::Multioutput, Transform::Identity},
    {"YetiRank", FloatTask::Regression, Transform::Identity}, {"PairLogit", FloatTask::Regression, Transform::Identity},
    {"QueryRMSE", FloatTask::Regression, Transform::Identity}, {"QuerySoftMax", FloatTask::Regression, Transform::Identity},
    {"LambdaMart", FloatTask::Regression, Transform::Identity},
    {"Poisson", FloatTask::Regression, Transform::Exp}, {"Tweedie", FloatTask::Regression, Transform::Exp},
};
// clang-format on

Result<std::string> loss_name(const Reader& root) {
    auto info = root.find("model_info");
    auto params = info ? info->find("params") : std::nullopt;
    if (!params) return std::string();
    Json parsed = params->json();
    if (parsed.is_string()) {  // old versions keep JSON in a string
        RMT_TRY(parsed, parse_json(parsed.get<std::string>()));
    }
    auto loss = Reader(parsed, params->path()).find("loss_function");
    if (!loss) return std::string();
    if (loss->json().is_string()) return loss->as_string();
    return loss->string_at("type");
}

Result<void> set_loss(FloatModel& model, const Reader& root, std::vector<std::string>& notes) {
    RMT_TRY(std::string name, loss_name(root));
    const size_t outputs = model.outputs();
    if (name.empty()) {
        model.task = outputs > 1 ? FloatTask::Multiclass : FloatTask::Regression;
        notes.push_back("the file does not tell its loss: the answer is the raw value" +
                        std::string(outputs > 1 ? ", the largest wins" : ""));
        return {};
    }
    std::string known;
    for (const Known& k : kLosses) {
        known += (known.empty() ? "" : ", ") + std::string(k.name);
        if (name.substr(0, name.find(':')) != k.name) continue;
        bool several = k.task == FloatTask::Multiclass || k.task == FloatTask::Multioutput;
        if (several != (outputs > 1))
            return model_error("M0107", "/oblivious_trees", "loss '" + name + "' with leaves of " + std::to_string(outputs) + " numbers");
        model.task = k.task;
        model.transform = k.transform;
        return {};
    }
    return unsupported("/model_info/params/loss_function", "loss '" + name + "' is not known: what its value means would be a guess",
                       "supported: " + known);
}

Result<void> read_features(const Reader& root, FloatModel& model, std::map<int64_t, Column>& columns) {
    RMT_TRY(Reader info, root.at("features_info"));
    if (auto ctrs = info.find("ctrs"); ctrs && !ctrs->json().empty())
        return unsupported(ctrs->path(), "categorical features with CTRs (target statistics)",
                           "train on numeric features, or encode categories first");
    RMT_TRY(Reader list, info.at("float_features"));
    RMT_TRY(size_t count, list.array_size());
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader entry, list.at(i));
        RMT_TRY(int64_t index, entry.int_at("feature_index", 0, 65535));
        RMT_TRY(int64_t flat, entry.int_at("flat_feature_index", 0, 65535));
        Column column{static_cast<int32_t>(flat), false};
        if (entry.find("nan_value_treatment")) {
            RMT_TRY(std::string rule, entry.string_at("nan_value_treatment"));
            if (rule != "AsIs" && rule != "AsFalse" && rule != "AsTrue")
                return unsupported(entry.path() + "/nan_value_treatment", "'" + rule + "' given; AsIs, AsFalse and AsTrue are known");
            column.nan_is_greater = rule == "AsTrue";
        }
        if (!columns.emplace(index, column).second) return model_error("M0107", entry.path() + "/feature_index", "is given twice");
        while (model.features.size() <= static_cast<size_t>(flat))
            model.features.push_back({"f" + std::to_string(model.features.size()), false});
        if (auto name = entry.find("feature_id"); name && name->json().is_string() && !name->json().get_ref<const std::string&>().empty())
            model.features[static_cast<size_t>(flat)].name = name->json().get<std::string>();
    }
    if (model.features.empty()) return model_error("M0107", list.path(), "the model has no numeric features");
    return {};
}

struct Level {
    int32_t feature = 0;
    double border = 0;
    bool nan_left = true;
};

Result<std::vector<Level>> read_splits(const Reader& tree, const std::map<int64_t, Column>& columns) {
    std::vector<Level> levels;
    auto splits = tree.find("splits");
    if (!splits || splits->json().is_null()) return levels;
    RMT_TRY(size_t count, splits->array_size());
    if (count > kMaxDepth) return model_error("M0107", splits->path(), "is deeper than " + std::to_string(kMaxDepth) + " steps");
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader split, splits->at(i));
        RMT_CHECK(split.only_keys(
            {"split_type", "float_feature_index", "border", "split_index", "cat_feature_index", "value", "ctr_target_border_idx"}));
        RMT_TRY(std::string type, split.string_at("split_type"));
        if (type != "FloatFeature")
            return unsupported(split.path() + "/split_type", "'" + type + "' splits by a hash of a category", "train on numeric features");
        RMT_TRY(int64_t index, split.int_at("float_feature_index", 0, 65535));
        auto column = columns.find(index);
        if (column == columns.end())
            return model_error("M0107", split.path() + "/float_feature_index", std::to_string(index) + " is not one of the float_features");
        RMT_TRY(Reader border, split.at("border"));
        RMT_TRY(double value, border.as_double());
        if (std::isnan(value)) return model_error("M0111", border.path(), "a border of NaN is not a number that can be used");
        levels.push_back({column->second.flat, static_cast<double>(static_cast<float>(value)), !column->second.nan_is_greater});
    }
    return levels;
}

// The root asks for the highest bit, so that leaves are in the order of their numbers.
FloatTree complete_tree(const std::vector<Level>& levels, std::vector<double> values) {
    FloatTree tree;
    const size_t inner = (size_t{1} << levels.size()) - 1, leaves = inner + 1;
    tree.nodes.resize(inner + leaves);
    for (size_t d = 0, first = 0; d < levels.size(); first = 2 * first + 1, d++)
        for (size_t i = first; i < 2 * first + 1; i++) {
            const Level& level = levels[levels.size() - 1 - d];
            FloatNode& node = tree.nodes[i];
            node.left = static_cast<int32_t>(2 * i + 1), node.right = static_cast<int32_t>(2 * i + 2);
            node.feature = level.feature;
            node.threshold = level.border;
            node.default_left = level.nan_left;
        }
    for (size_t l = 0; l < leaves; l++) tree.nodes[inner + l].leaf = static_cast<int32_t>(l);
    tree.values = std::move(values);
    return tree;
}

Result<void> read_scale(const Reader& root, FloatModel& model) {
    auto scale = root.find("scale_and_bias");
    if (!scale) return {};
    RMT_TRY(Reader factor, scale->at(size_t{0}));
    RMT_TRY(model.scale, finite_number(factor));
    if (!(model.scale > 0)) return unsupported(factor.path(), "a scale of " + describe(factor.json()));
    RMT_TRY(Reader bias, scale->at(size_t{1}));
    if (!bias.json().is_array()) {
        RMT_TRY(model.base[0], finite_number(bias));
        return {};
    }
    RMT_TRY(size_t count, bias.array_size());
    if (count != 0 && count != model.outputs())
        return model_error("M0107", bias.path(), std::to_string(count) + " numbers for " + std::to_string(model.outputs()) + " outputs");
    for (size_t k = 0; k < count; k++) {
        RMT_TRY(Reader entry, bias.at(k));
        RMT_TRY(model.base[k], finite_number(entry));
    }
    return {};
}

void read_labels(const Reader& root, FloatModel& model) {
    auto info = root.find("model_info");
    auto params = info ? info->find("class_params") : std::nullopt;
    auto names = params ? params->find("class_names") : std::nullopt;
    size_t wanted = model.task == FloatTask::Binary ? 2 : model.task == FloatTask::Multiclass ? model.outputs() : 0;
    if (!names || !names->json().is_array() || names->json().size() != wanted) return;
    for (const Json& name : names->json()) model.classes.push_back(name.is_string() ? name.get<std::string>() : name.dump());
}

}  // namespace

Result<FloatImport> import_catboost(const Json& document) {
    FloatImport out;
    FloatModel& model = out.model;
    Reader root(document, "");
    if (root.find("trees"))
        return unsupported("/trees", "trees that are not symmetric", "train with grow_policy=SymmetricTree (CatBoost's default)");
    RMT_CHECK(root.only_keys({"oblivious_trees", "model_info", "features_info", "scale_and_bias", "ctr_data"}));
    if (auto ctrs = root.find("ctr_data"); ctrs && !ctrs->json().empty())
        return unsupported(ctrs->path(), "categorical features with CTRs (target statistics)",
                           "train on numeric features, or encode categories first");
    model.source = "catboost";
    model.compare = Compare::LessEqual;
    model.compare_f32 = true;
    model.base_first = false;
    model.oblivious = true;
    std::map<int64_t, Column> columns;
    RMT_CHECK(read_features(root, model, columns));
    RMT_TRY(Reader trees, root.at("oblivious_trees"));
    RMT_TRY(size_t count, trees.array_size());
    if (count == 0) return model_error("M0107", trees.path(), "the model has no trees");
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader tree, trees.at(i));
        RMT_CHECK(tree.only_keys({"splits", "leaf_values", "leaf_weights"}));
        RMT_TRY(auto levels, read_splits(tree, columns));
        RMT_TRY(Reader leaves, tree.at("leaf_values"));
        RMT_TRY(size_t size, leaves.array_size());
        const size_t width = size >> levels.size();
        if (width == 0 || width << levels.size() != size || width > 1024 || (i > 0 && width != model.outputs()))
            return model_error("M0107", leaves.path(), std::to_string(size) + " values for " + std::to_string(levels.size()) + " splits");
        if (i == 0) model.base.assign(width, 0.0);
        std::vector<double> values(size);
        for (size_t v = 0; v < size; v++) {
            RMT_TRY(values[v], finite_number(Reader(leaves.json()[v], leaves.path() + "/" + std::to_string(v))));
        }
        model.trees.push_back(complete_tree(levels, std::move(values)));
        model.trees.back().output = width > 1 ? -1 : 0;
    }
    RMT_CHECK(set_loss(model, root, out.notes));
    RMT_CHECK(read_scale(root, model));
    read_labels(root, model);
    return out;
}

}  // namespace rmt::models
