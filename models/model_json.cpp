// SPDX-License-Identifier: MIT
#include <algorithm>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/json_read.h"
#include "models/model.h"
#include "models/reference.h"
#include "rmt_lang/support/sha256.h"

namespace rmt::models {
namespace {

constexpr int64_t kAny = INT64_MAX;
constexpr size_t kMaxSamples = 1024;

// ---- writing ----------------------------------------------------------------------------------------------------------

Json tree_json(const Tree& tree) {
    return {{"feature", tree.feature}, {"threshold", tree.threshold}, {"left", tree.left}, {"right", tree.right}, {"value", tree.value}};
}

// Everything but the trees and the digest.
Json head_json(const Model& model) {
    Json inputs = Json::array();
    for (const ModelInput& input : model.inputs)
        inputs.push_back({{"name", input.name}, {"type", input.type}, {"trained_range", {input.min, input.max}}});
    Json output = {
        {"kind", output_kind_name(model.output.kind)}, {"type", model.output.type}, {"range", {model.output.min, model.output.max}}};
    if (!model.output.classes.empty()) {
        output["classes"] = Json::object();
        for (const auto& [name, value] : model.output.classes) output["classes"][name] = value;
    }
    Json outputs = Json::array();
    for (const auto& answer : model.samples.outputs) outputs.push_back(answer ? Json(*answer) : Json(nullptr));
    return {{"rmt_model", 1},
            {"name", model.name},
            {"kind", model.kind == ModelKind::Tree ? "tree" : "forest"},
            {"inputs", inputs},
            {"compare", "le"},
            {"missing", "reject"},
            {"output", output},
            {"link", model.link == Link::Round ? "round" : "positive"},
            {"fixed_point", {{"shift", model.shift}, {"base", model.base}}},
            {"provenance", model.provenance},
            {"samples", {{"inputs", model.samples.inputs}, {"outputs", outputs}}}};
}

// ---- reading ----------------------------------------------------------------------------------------------------------

Result<void> expect_word(const Reader& document, const char* key, const char* word, const char* id, const char* hint) {
    RMT_TRY(Reader reader, document.at(key));
    RMT_TRY(std::string given, reader.as_string());
    if (given != word) return model_error(id, reader.path(), "'" + given + "' given, only '" + word + "' is supported", hint);
    return {};
}

Result<std::pair<int64_t, int64_t>> read_range(const Reader& owner, const char* key) {
    RMT_TRY(Reader reader, owner.at(key));
    RMT_TRY(auto ends, reader.as_ints(-kAny, kAny));
    if (ends.size() != 2)
        return model_error("M0102", reader.path(), "a range is [lowest, highest], " + std::to_string(ends.size()) + " numbers given");
    return std::pair{ends[0], ends[1]};
}

Result<std::vector<ModelInput>> read_inputs(const Reader& document) {
    RMT_TRY(Reader array, document.at("inputs"));
    RMT_TRY(size_t size, array.array_size());
    std::vector<ModelInput> inputs;
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader reader, array.at(i));
        RMT_CHECK(reader.only_keys({"name", "type", "trained_range"}));
        ModelInput input;
        RMT_TRY(input.name, reader.string_at("name"));
        RMT_TRY(input.type, reader.string_at("type"));
        RMT_TRY(auto range, read_range(reader, "trained_range"));
        std::tie(input.min, input.max) = range;
        inputs.push_back(std::move(input));
    }
    return inputs;
}

Result<ModelOutput> read_output(const Reader& document) {
    RMT_TRY(Reader reader, document.at("output"));
    RMT_CHECK(reader.only_keys({"kind", "type", "range", "classes"}));
    ModelOutput output;
    RMT_TRY(std::string kind, reader.string_at("kind"));
    if (kind == "value")
        output.kind = OutputKind::Value;
    else if (kind == "class")
        output.kind = OutputKind::Class;
    else if (kind == "score")
        output.kind = OutputKind::Score;
    else
        return model_error("M0102", reader.path() + "/kind", "'" + kind + "' given; one of value, class, score expected");
    RMT_TRY(output.type, reader.string_at("type"));
    RMT_TRY(auto range, read_range(reader, "range"));
    std::tie(output.min, output.max) = range;
    if (auto classes = reader.find("classes")) {
        if (!classes->json().is_object()) return model_error("M0102", classes->path(), "an object of names and numbers is expected");
        for (const auto& [name, value] : classes->json().items()) {
            RMT_TRY(int64_t given, Reader(value, classes->path() + "/" + name).as_int(-kAny, kAny));
            output.classes.emplace_back(name, given);
        }
        std::stable_sort(output.classes.begin(), output.classes.end(), [](auto& a, auto& b) { return a.second < b.second; });
    }
    return output;
}

Result<std::vector<int32_t>> read_array(const Reader& tree, const char* key) {
    RMT_TRY(Reader reader, tree.at(key));
    RMT_TRY(auto numbers, reader.as_ints(INT32_MIN, INT32_MAX));
    return std::vector<int32_t>(numbers.begin(), numbers.end());
}

Result<std::vector<Tree>> read_trees(const Reader& document) {
    RMT_TRY(Reader array, document.at("trees"));
    RMT_TRY(size_t size, array.array_size());
    if (size > RMT_MODEL_MAX_TREES)
        return model_error("M0107", array.path(),
                           "1.." + std::to_string(RMT_MODEL_MAX_TREES) + " trees are possible, " + std::to_string(size) + " given");
    std::vector<Tree> trees;
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader reader, array.at(i));
        RMT_CHECK(reader.only_keys({"feature", "threshold", "left", "right", "value"}));
        Tree tree;
        RMT_TRY(tree.feature, read_array(reader, "feature"));
        RMT_TRY(tree.threshold, read_array(reader, "threshold"));
        RMT_TRY(tree.left, read_array(reader, "left"));
        RMT_TRY(tree.right, read_array(reader, "right"));
        RMT_TRY(tree.value, read_array(reader, "value"));
        trees.push_back(std::move(tree));
    }
    return trees;
}

Result<Samples> read_samples(const Reader& document) {
    Samples samples;
    auto reader = document.find("samples");
    if (!reader) return samples;
    RMT_CHECK(reader->only_keys({"inputs", "outputs"}));
    RMT_TRY(Reader inputs, reader->at("inputs"));
    RMT_TRY(Reader outputs, reader->at("outputs"));
    RMT_TRY(size_t rows, inputs.array_size());
    RMT_TRY(size_t answers, outputs.array_size());
    if (rows != answers || rows > kMaxSamples)
        return model_error("M0102", reader->path(),
                           std::to_string(rows) + " inputs and " + std::to_string(answers) +
                               " outputs; as many of both expected, at most " + std::to_string(kMaxSamples));
    for (size_t i = 0; i < rows; i++) {
        RMT_TRY(Reader row, inputs.at(i));
        RMT_TRY(auto values, row.as_ints(-kAny, kAny));
        samples.inputs.push_back(std::move(values));
        RMT_TRY(Reader answer, outputs.at(i));
        if (answer.json().is_null()) {
            samples.outputs.push_back(std::nullopt);
            continue;
        }
        RMT_TRY(int64_t given, answer.as_int(-kAny, kAny));
        samples.outputs.push_back(given);
    }
    return samples;
}

Result<void> read_rest(const Reader& document, Model& model) {
    RMT_TRY(std::string kind, document.string_at("kind"));
    if (kind != "tree" && kind != "forest") return model_error("M0102", "/kind", "'" + kind + "' given; one of tree, forest expected");
    model.kind = kind == "tree" ? ModelKind::Tree : ModelKind::Forest;
    if (auto link = document.find("link")) {
        RMT_TRY(std::string word, link->as_string());
        if (word != "round" && word != "positive")
            return model_error("M0102", "/link", "'" + word + "' given; one of round, positive expected");
        model.link = word == "round" ? Link::Round : Link::Positive;
    }
    if (auto scale = document.find("fixed_point")) {
        RMT_CHECK(scale->only_keys({"shift", "base"}));
        RMT_TRY(int64_t shift, scale->int_at("shift", 0, 30));
        model.shift = static_cast<uint32_t>(shift);
        RMT_TRY(model.base, scale->int_at("base", -kAny, kAny));
    }
    if (auto provenance = document.find("provenance")) {
        if (!provenance->json().is_object()) return model_error("M0102", "/provenance", "an object of strings is expected");
        for (const auto& [key, value] : provenance->json().items()) {
            RMT_TRY(model.provenance[key], Reader(value, "/provenance/" + key).as_string());
        }
    }
    return {};
}

Result<void> check_samples(const Model& model) {
    for (size_t i = 0; i < model.samples.inputs.size(); i++) {
        std::string path = "/samples/inputs/" + std::to_string(i);
        if (model.samples.inputs[i].size() != model.inputs.size())
            return model_error(
                "M0102", path,
                std::to_string(model.samples.inputs[i].size()) + " values for " + std::to_string(model.inputs.size()) + " inputs");
        auto answer = infer(model, model.samples.inputs[i]);
        auto text = [](const std::optional<int64_t>& a) { return a ? std::to_string(*a) : std::string("no answer"); };
        if (answer != model.samples.outputs[i])
            return model_error("M0109", path, "the model answers " + text(answer) + ", the sample says " + text(model.samples.outputs[i]),
                               "the trees and the samples are not of the same model; export it again");
    }
    return {};
}

}  // namespace

Result<Model> parse_model(const std::string& json) {
    RMT_TRY(Json parsed, parse_json(json));
    Reader document(parsed, "");
    if (!document.find("rmt_model")) return model_error("M0112", "", "this is not an rmt_model artefact: the key 'rmt_model' is missing");
    RMT_TRY(Reader version, document.at("rmt_model"));
    if (version.json() != 1)
        return model_error("M0105", "/rmt_model", "version " + describe(version.json()) + " given, version 1 is supported",
                           "use the rmt-load that wrote it, or a newer one");
    RMT_CHECK(document.only_keys({"rmt_model", "name", "kind", "inputs", "compare", "missing", "output", "link", "fixed_point", "trees",
                                  "provenance", "samples", "digest"}));
    RMT_CHECK(expect_word(document, "compare", "le", "M0110", "export integer thresholds for which left means input <= threshold"));
    RMT_CHECK(
        expect_word(document, "missing", "reject", "M0110", "an input outside its trained range is answered by the policy's on_error"));
    Model model;
    RMT_TRY(model.name, document.string_at("name"));
    RMT_TRY(model.inputs, read_inputs(document));
    RMT_TRY(model.output, read_output(document));
    RMT_CHECK(read_rest(document, model));
    RMT_TRY(model.trees, read_trees(document));
    RMT_TRY(model.samples, read_samples(document));
    RMT_CHECK(check_model(model));
    RMT_CHECK(check_samples(model));
    seal(model);
    if (auto digest = document.find("digest")) {
        RMT_TRY(std::string given, digest->as_string());
        if (given != model.digest)
            return model_error("M0106", "/digest", given + " given, the contents have " + model.digest,
                               "the file was changed after it was written; remove the key 'digest' if that was on purpose");
    }
    return model;
}

std::string canonical_bytes(const Model& model) {
    Json document = head_json(model);
    document["trees"] = Json::array();
    for (const Tree& tree : model.trees) document["trees"].push_back(tree_json(tree));
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);  // nlohmann::json keeps keys sorted
}

void seal(Model& model) { model.digest = "sha256:" + sha256_hex(canonical_bytes(model)); }

std::string to_json(const Model& model) {
    const Json head = head_json(model);
    auto dump = [](const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); };
    std::string text = "{\n";
    for (const char* key :
         {"rmt_model", "name", "kind", "inputs", "compare", "missing", "output", "link", "fixed_point", "provenance", "samples"})
        text += "  \"" + std::string(key) + "\": " + dump(head[key]) + ",\n";
    text += "  \"trees\": [";
    for (size_t i = 0; i < model.trees.size(); i++) text += (i > 0 ? ",\n    " : "\n    ") + dump(tree_json(model.trees[i]));
    text += "\n  ],\n  \"digest\": " + dump(model.digest) + "\n}\n";
    return text;
}

}  // namespace rmt::models
