// SPDX-License-Identifier: MIT
// May this model answer for that policy?
#include <algorithm>

#include "models/errors.h"
#include "models/lower.h"
#include "models/types.h"

namespace rmt::models {
namespace {

std::string range_text(int64_t min, int64_t max) { return std::to_string(min) + ".." + std::to_string(max); }

std::string list(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return "(" + text + ")";
}

Result<void> check_inputs(const Model& model, const ManifestModel& policy) {
    std::vector<std::string> given;
    for (const ModelInput& input : model.inputs) given.push_back(input.name);
    if (given != policy.inputs) {
        auto sorted = [](std::vector<std::string> names) {
            std::sort(names.begin(), names.end());
            return names;
        };
        bool order = sorted(given) == sorted(policy.inputs);
        return model_error("M0201", "/inputs", "the model takes " + list(given) + ", the policy gives " + list(policy.inputs),
                           order ? "the same inputs in another order: change the policy's `input`"
                                 : "train on the policy's inputs, or change the policy's `input`");
    }
    for (size_t i = 0; i < model.inputs.size() && i < policy.input_types.size(); i++) {
        const ModelInput& input = model.inputs[i];
        std::string path = "/inputs/" + std::to_string(i);
        auto has = find_type(input.type), wants = find_type(policy.input_types[i]);
        if (!has || !wants) continue;  // a type of a newer language: the ranges decide at run time
        if (std::string(has->unit) != wants->unit)
            return model_error("M0202", path + "/type",
                               "'" + input.name + "' was trained as " + input.type + ", the policy gives " + policy.input_types[i],
                               "train on values of the policy's unit");
        if (input.max < wants->min || input.min > wants->max)
            return model_error("M0202", path + "/trained_range",
                               "'" + input.name + "' was trained on " + range_text(input.min, input.max) + ", which " +
                                   policy.input_types[i] + " never is",
                               "every event would be answered by on_error; train on data of this policy");
    }
    return {};
}

Result<void> check_output(const Model& model, const ManifestModel& policy) {
    if (policy.output_kind != output_kind_name(model.output.kind))
        return model_error(
            "M0203", "/output/kind",
            std::string("the model answers a ") + output_kind_name(model.output.kind) + ", the policy expects a " + policy.output_kind);
    if (model.output.min < policy.output_min || model.output.max > policy.output_max)
        return model_error("M0204", "/output/range",
                           "the model answers " + range_text(model.output.min, model.output.max) + ", the policy takes " +
                               range_text(policy.output_min, policy.output_max),
                           "train with the policy's range, or widen the policy's `output`");
    for (const auto& [name, value] : model.output.classes) {
        auto same_name =
            std::find_if(policy.classes.begin(), policy.classes.end(), [&name = name](const auto& c) { return c.first == name; });
        if (same_name == policy.classes.end())
            return model_error("M0205", "/output/classes/" + name, "the policy has no class of this name");
        if (same_name->second != value)
            return model_error("M0205", "/output/classes/" + name,
                               "the model answers " + std::to_string(value) + ", in the policy it is " + std::to_string(same_name->second));
    }
    return {};
}

}  // namespace

Result<void> check_against_policy(const Model& model, const ManifestModel& policy) {
    RMT_CHECK(check_inputs(model, policy));
    RMT_CHECK(check_output(model, policy));
    return check_fits(model, policy.shape);
}

}  // namespace rmt::models
