// SPDX-License-Identifier: MIT
// XGBoost's objectives, and its dump_model(dump_format="json"): trees alone. What the dump leaves out - objective, base_score,
// number of classes, dart's weights - has to be given beside it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "models/errors.h"
#include "models/import_formats.h"

namespace rmt::models {
namespace {

using Base = XgbObjective::Base;

// clang-format off
const XgbObjective kObjectives[] = {
    {"binary:logistic", Base::Logit, FloatTask::Binary, Transform::Sigmoid},
    {"binary:logitraw", Base::Identity, FloatTask::Binary, Transform::Identity},
    {"binary:hinge", Base::Identity, FloatTask::Binary, Transform::Hinge},
    {"reg:logistic", Base::Logit, FloatTask::Binary, Transform::Sigmoid},
    {"multi:softmax", Base::Identity, FloatTask::Multiclass, Transform::Softmax},
    {"multi:softprob", Base::Identity, FloatTask::Multiclass, Transform::Softmax},
    {"reg:squarederror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:linear", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:absoluteerror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:pseudohubererror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:squaredlogerror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:quantileerror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"reg:expectileerror", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"rank:pairwise", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"rank:ndcg", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"rank:map", Base::Identity, FloatTask::Regression, Transform::Identity},
    {"count:poisson", Base::Log, FloatTask::Regression, Transform::Exp},
    {"reg:gamma", Base::Log, FloatTask::Regression, Transform::Exp},
    {"reg:tweedie", Base::Log, FloatTask::Regression, Transform::Exp},
    {"survival:cox", Base::Log, FloatTask::Regression, Transform::Exp},
    {"survival:aft", Base::Log, FloatTask::Regression, Transform::Exp},
};
// clang-format on

// From output to margin space, in float32 as XGBoost computes it.
Result<double> base_margin(const XgbObjective& objective, double score, const std::string& path) {
    auto p = static_cast<float>(score);
    if (!std::isfinite(p)) return model_error("M0104", path, "is not finite");
    if (objective.base == Base::Identity) return static_cast<double>(p);
    if (objective.base == Base::Log) {
        if (!(p > 0)) return model_error("M0104", path, std::to_string(p) + " is not above 0, as '" + objective.name + "' needs");
        return static_cast<double>(std::log(p));
    }
    if (!(p > 0 && p < 1))
        return model_error("M0104", path, std::to_string(p) + " is not a probability between 0 and 1, as '" + objective.name + "' needs");
    return static_cast<double>(-std::log(1.0f / p - 1.0f));
}

class DumpReader {
public:
    DumpReader(FloatModel& model, std::map<std::string, int32_t>& names) : model_(model), names_(names) {}

    Result<FloatTree> run(const Reader& root) {
        RMT_CHECK(add(root));
        return std::move(tree_);
    }

private:
    // Recursion is as deep as the JSON, which parse_json() bounds.
    Result<int32_t> add(const Reader& reader) {
        RMT_CHECK(
            reader.only_keys({"nodeid", "depth", "split", "split_condition", "yes", "no", "missing", "children", "leaf", "gain", "cover"}));
        auto at = static_cast<int32_t>(tree_.nodes.size());
        tree_.nodes.emplace_back();
        if (auto leaf = reader.find("leaf")) {
            RMT_TRY(double value, finite_number(*leaf));
            tree_.nodes[at].leaf = static_cast<int32_t>(tree_.values.size());
            tree_.values.push_back(static_cast<double>(static_cast<float>(value)));
            return at;
        }
        RMT_TRY(std::string name, reader.string_at("split"));
        RMT_TRY(int32_t feature, feature_of(name));
        RMT_TRY(Reader children, reader.at("children"));
        RMT_TRY(size_t count, children.array_size());
        if (count != 2) return model_error("M0107", children.path(), "an inner node has two children, " + std::to_string(count) + " given");
        RMT_TRY(int64_t yes, reader.int_at("yes", 0, INT32_MAX));
        RMT_TRY(int64_t no, reader.int_at("no", 0, INT32_MAX));
        RMT_TRY(int64_t missing, reader.find("missing") ? reader.int_at("missing", 0, INT32_MAX) : Result<int64_t>(no));
        if (yes == no || (missing != yes && missing != no))
            return model_error("M0107", reader.path(), "yes, no and missing must name its two children");
        int32_t to_yes = -1, to_no = -1;
        for (size_t i = 0; i < 2; i++) {
            RMT_TRY(Reader child, children.at(i));
            RMT_TRY(int64_t id, child.int_at("nodeid", 0, INT32_MAX));
            if (id != yes && id != no)
                return model_error("M0107", child.path() + "/nodeid", std::to_string(id) + " is neither yes nor no of its parent");
            RMT_TRY(int32_t made, add(child));
            (id == yes ? to_yes : to_no) = made;
        }
        if (to_yes < 0 || to_no < 0) return model_error("M0107", children.path(), "names the same child twice");
        FloatNode& node = tree_.nodes[at];
        node.feature = feature;
        node.left = to_yes, node.right = to_no;
        node.default_left = missing == yes;
        RMT_CHECK(set_condition(reader, at));
        return at;
    }

    Result<void> set_condition(const Reader& reader, int32_t at) {
        RMT_TRY(Reader condition, reader.at("split_condition"));
        FloatNode& node = tree_.nodes[at];
        if (condition.json().is_array()) {  // in the list: yes
            RMT_TRY(auto members, condition.as_ints(0, 1 << 24));
            FloatSet set{{members.begin(), members.end()}, true};
            std::sort(set.members.begin(), set.members.end());
            set.members.erase(std::unique(set.members.begin(), set.members.end()), set.members.end());
            node.set = static_cast<int32_t>(tree_.sets.size());
            model_.features[node.feature].categorical = true;
            tree_.sets.push_back(std::move(set));
            return {};
        }
        RMT_TRY(double threshold, condition.as_double());
        if (std::isnan(threshold)) return model_error("M0111", condition.path(), "a threshold of NaN is not a number that can be used");
        node.threshold = static_cast<double>(static_cast<float>(threshold));
        return {};
    }

    // "f12" is feature 12 when the booster had no names; other names are features in the order in which they appear first.
    Result<int32_t> feature_of(const std::string& name) {
        int32_t index = -1;
        if (name.size() > 1 && name[0] == 'f') {
            auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), index);
            if (error != std::errc() || end != name.data() + name.size() || index < 0 || index > 65535) index = -1;
        }
        auto found = names_.find(name);
        if (found != names_.end()) return found->second;
        if (index < 0) index = static_cast<int32_t>(model_.features.size());
        if (model_.features.size() > 65536) return model_error("M0107", "", "more than 65536 features");
        while (model_.features.size() <= static_cast<size_t>(index))
            model_.features.push_back({"f" + std::to_string(model_.features.size()), false});
        model_.features[index].name = name;
        names_[name] = index;
        return index;
    }

    FloatModel& model_;
    std::map<std::string, int32_t>& names_;
    FloatTree tree_;
};

}  // namespace

Result<const XgbObjective*> find_xgb_objective(const std::string& name, const std::string& path) {
    std::string known;
    for (const XgbObjective& o : kObjectives) {
        if (name == o.name) return &o;
        known += (known.empty() ? "" : ", ") + std::string(o.name);
    }
    return unsupported(path, "objective '" + name + "' is not known: what its margin means would be a guess", "supported: " + known);
}

Result<void> set_xgb_objective(FloatModel& model, const XgbObjective& objective, const std::vector<double>& scores, size_t classes,
                               size_t targets, const std::string& path) {
    model.task = objective.task;
    model.transform = objective.transform;
    size_t outputs = std::max({size_t{1}, classes, targets});
    bool multiclass = objective.task == FloatTask::Multiclass;
    if (multiclass && classes < 2)
        return unsupported(path + "/num_class",
                           "objective '" + std::string(objective.name) + "' with " + std::to_string(classes) + " classes",
                           "it needs two classes or more");
    if (!multiclass && classes > 1)
        return unsupported(path + "/num_class", std::to_string(classes) + " classes with objective '" + objective.name + "'",
                           "only multi:softmax and multi:softprob have classes");
    if (multiclass && targets > 1) return unsupported(path + "/num_target", "several targets of several classes");
    if (!multiclass && outputs > 1) {
        model.task = FloatTask::Multioutput;
        if (model.transform == Transform::Hinge)
            return unsupported(path + "/num_target", std::to_string(targets) + " targets with objective '" + objective.name + "'");
    }
    if (scores.size() != 1 && scores.size() != outputs)
        return model_error("M0104", path + "/base_score",
                           "has " + std::to_string(scores.size()) + " values, a model of " + std::to_string(outputs) +
                               (outputs == 1 ? " output has one" : " outputs has as many, or one"));
    for (size_t k = 0; k < outputs; k++) {
        RMT_TRY(double margin, base_margin(objective, scores[scores.size() == 1 ? 0 : k], path + "/base_score"));
        model.base.push_back(margin);
    }
    return {};
}

Result<FloatImport> import_xgboost_dump(const Json& document, const ImportOptions& options) {
    if (options.objective.empty() || options.base_score.empty())
        return model_error("M0113", "",
                           "this is XGBoost's dump_model(): trees without objective and base_score, which decide what they mean",
                           "use save_model(\"model.json\"), or give objective, base_score and the number of classes beside it");
    FloatImport out;
    FloatModel& model = out.model;
    model.source = "xgboost dump";
    model.compare = Compare::Less;
    model.compare_f32 = model.sum_f32 = true;
    RMT_TRY(const XgbObjective* objective, find_xgb_objective(options.objective, ""));
    RMT_CHECK(set_xgb_objective(model, *objective, options.base_score, options.classes, 1, ""));
    std::map<std::string, int32_t> names;
    if (std::any_of(options.inputs.begin(), options.inputs.end(), [](const ModelInput& i) { return !i.name.empty(); })) {
        // The dump has no list of features: the inputs' order is theirs.
        for (const ModelInput& input : options.inputs) {
            names[input.name] = static_cast<int32_t>(model.features.size());
            model.features.push_back({input.name, false});
        }
        for (size_t i = 0; i < options.inputs.size(); i++) names.emplace("f" + std::to_string(i), static_cast<int32_t>(i));
    }
    Reader root(document, "");
    RMT_TRY(size_t count, root.array_size());
    if (count % model.outputs() != 0)
        return model_error("M0107", "",
                           std::to_string(count) + " trees are no multiple of " + std::to_string(model.outputs()) + " classes");
    for (size_t i = 0; i < count; i++) {
        RMT_TRY(Reader reader, root.at(i));
        RMT_TRY(FloatTree tree, DumpReader(model, names).run(reader));
        tree.output = static_cast<int32_t>(i % model.outputs());
        model.trees.push_back(std::move(tree));
    }
    if (model.features.empty()) model.features.push_back({"f0", false});
    out.notes.push_back("a dump does not tell the weights of booster 'dart': if it is one, use save_model()");
    if (model.outputs() > 1)
        out.notes.push_back("trees of a dump are taken to be one for each class in turn: not so for num_parallel_tree above 1");
    return out;
}

}  // namespace rmt::models
