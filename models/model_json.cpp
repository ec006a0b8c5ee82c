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

// Keys that came after the first artefacts are written where they say something: old artefacts keep their digest.
Json tree_json(const Tree& tree) {
    Json json = {{"feature", tree.feature}, {"threshold", tree.threshold}, {"left", tree.left}, {"right", tree.right}, {"value", tree.value}};
    if (!tree.default_left.empty()) json["default_left"] = tree.default_left;
    if (tree.output != 0) json["output"] = tree.output;
    return json;
}

Json input_json(const ModelInput& input) {
    Json json = {{"name", input.name}, {"type", input.type}, {"trained_range", {input.min, input.max}}};
    if (input.missing) json["missing"] = *input.missing;
    if (input.fraction_bits != 0) json["fraction_bits"] = input.fraction_bits;
    return json;
}

bool may_miss(const Model& model) {
    return std::any_of(model.inputs.begin(), model.inputs.end(), [](const ModelInput& input) { return input.missing.has_value(); });
}

Json fixed_point_json(const Model& model) {
    if (model.more_bases.empty()) return {{"shift", model.shift}, {"base", model.base}};
    Json bases = Json::array();
    for (size_t k = 0; k < model_outputs(model); k++) bases.push_back(base_of(model, k));
    return {{"shift", model.shift}, {"bases", bases}};
}

// Everything but the trees and the digest.
Json head_json(const Model& model) {
    Json inputs = Json::array();
    for (const ModelInput& input : model.inputs) inputs.push_back(input_json(input));
    Json output = {
        {"kind", output_kind_name(model.output.kind)}, {"type", model.output.type}, {"range", {model.output.min, model.output.max}}};
    if (!model.output.classes.empty()) {
        output["classes"] = Json::object();
        for (const auto& [name, value] : model.output.classes) output["classes"][name] = value;
    }
    Json outputs = Json::array();
    for (const auto& answer : model.samples.outputs) outputs.push_back(answer ? Json(*answer) : Json(nullptr));
    Json json = {{"rmt_model", 1},
                 {"name", model.name},
                 {"kind", model_kind_name(model.kind)},
                 {"inputs", inputs},
                 {"compare", "le"},
                 {"missing", may_miss(model) ? "default_side" : "reject"},
                 {"output", output},
                 {"link", link_name(model.link)},
                 {"provenance", model.provenance},
                 {"samples", {{"inputs", model.samples.inputs}, {"outputs", outputs}}}};
    if (model.net)
        json["net"] = Json::parse(net_to_json(*model.net));
    else
        json["fixed_point"] = fixed_point_json(model);
    if (!model.answers.empty()) json["answers"] = model.answers;
    if (!model.sets.empty()) {
        json["sets"] = Json::array();
        for (const CategorySet& set : model.sets) json["sets"].push_back({{"input", set.input}, {"members", set.members}});
    }
    if (!model.origin.empty()) json["origin"] = model.origin;
    return json;
}

// ---- reading ----------------------------------------------------------------------------------------------------------

Result<void> expect_word(const Reader& document, const char* key, const char* word, const char* id, const char* hint) {
    RMT_TRY(Reader reader, document.at(key));
    RMT_TRY(std::string given, reader.as_string());
    if (given != word) return model_error(id, reader.path(), "'" + given + "' given, '" + word + "' was expected", hint);
    return {};
}

// One of the words, by its place.
template <size_t N>
Result<size_t> as_one_of(const Reader& reader, const char* const (&words)[N]) {
    RMT_TRY(std::string given, reader.as_string());
    std::string list;
    for (size_t i = 0; i < N; i++) {
        if (given == words[i]) return i;
        list += (i > 0 ? ", " : "") + std::string(words[i]);
    }
    return model_error("M0102", reader.path(), "'" + given + "' given; one of " + list + " expected");
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
        RMT_CHECK(reader.only_keys({"name", "type", "trained_range", "missing", "fraction_bits"}));
        ModelInput input;
        RMT_TRY(input.name, reader.string_at("name"));
        RMT_TRY(input.type, reader.string_at("type"));
        RMT_TRY(auto range, read_range(reader, "trained_range"));
        std::tie(input.min, input.max) = range;
        if (reader.find("missing")) {
            RMT_TRY(input.missing, reader.int_at("missing", INT32_MIN, INT32_MAX));
        }
        if (reader.find("fraction_bits")) {
            RMT_TRY(int64_t bits, reader.int_at("fraction_bits", 0, 30));
            input.fraction_bits = static_cast<uint32_t>(bits);
        }
        inputs.push_back(std::move(input));
    }
    return inputs;
}

Result<ModelOutput> read_output(const Reader& document) {
    RMT_TRY(Reader reader, document.at("output"));
    RMT_CHECK(reader.only_keys({"kind", "type", "range", "classes"}));
    ModelOutput output;
    RMT_TRY(Reader kind, reader.at("kind"));
    RMT_TRY(size_t which, as_one_of(kind, {"value", "class", "score"}));
    output.kind = static_cast<OutputKind>(which);
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
        RMT_CHECK(reader.only_keys({"feature", "threshold", "left", "right", "value", "default_left", "output"}));
        Tree tree;
        RMT_TRY(tree.feature, read_array(reader, "feature"));
        RMT_TRY(tree.threshold, read_array(reader, "threshold"));
        RMT_TRY(tree.left, read_array(reader, "left"));
        RMT_TRY(tree.right, read_array(reader, "right"));
        RMT_TRY(tree.value, read_array(reader, "value"));
        if (auto sides = reader.find("default_left")) {
            RMT_TRY(auto numbers, sides->as_ints(0, 1));
            tree.default_left.assign(numbers.begin(), numbers.end());
        }
        if (reader.find("output")) {
            RMT_TRY(int64_t output, reader.int_at("output", 0, INT32_MAX));
            tree.output = static_cast<int32_t>(output);
        }
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

Result<void> read_fixed_point(const Reader& scale, Model& model) {
    RMT_CHECK(scale.only_keys({"shift", "base", "bases"}));
    RMT_TRY(int64_t shift, scale.int_at("shift", 0, 30));
    model.shift = static_cast<uint32_t>(shift);
    auto several = scale.find("bases");
    if (!several) {
        RMT_TRY(model.base, scale.int_at("base", -kAny, kAny));
        return {};
    }
    RMT_TRY(auto bases, several->as_ints(-kAny, kAny));
    if (bases.size() < 2 || scale.find("base"))
        return model_error("M0102", several->path(), "one output has 'base', several have 'bases'");
    model.base = bases[0];
    model.more_bases.assign(bases.begin() + 1, bases.end());
    return {};
}

Result<void> read_sets(const Reader& document, Model& model) {
    auto array = document.find("sets");
    if (!array) return {};
    RMT_TRY(size_t size, array->array_size());
    for (size_t i = 0; i < size; i++) {
        RMT_TRY(Reader reader, array->at(i));
        RMT_CHECK(reader.only_keys({"input", "members"}));
        CategorySet set;
        RMT_TRY(int64_t input, reader.int_at("input", 0, INT32_MAX));
        set.input = static_cast<int32_t>(input);
        RMT_TRY(set.members, read_array(reader, "members"));
        model.sets.push_back(std::move(set));
    }
    return {};
}

Result<void> read_rest(const Reader& document, Model& model) {
    RMT_TRY(Reader kind, document.at("kind"));
    RMT_TRY(size_t which, as_one_of(kind, {"tree", "forest", "oblivious", "linear", "mlp", "conv"}));
    model.kind = static_cast<ModelKind>(which);
    if (auto link = document.find("link")) {
        RMT_TRY(which, as_one_of(*link, {"round", "positive", "argmax"}));
        model.link = static_cast<Link>(which);
    }
    if (auto scale = document.find("fixed_point")) RMT_CHECK(read_fixed_point(*scale, model));
    if (auto answers = document.find("answers")) {
        RMT_TRY(model.answers, answers->as_ints(-kAny, kAny));
    }
    RMT_CHECK(read_sets(document, model));
    if (auto origin = document.find("origin")) {
        RMT_TRY(model.origin, origin->as_string());
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
                                  "provenance", "samples", "digest", "answers", "sets", "origin", "net"}));
    RMT_CHECK(expect_word(document, "compare", "le", "M0110", "export integer thresholds for which left means input <= threshold"));
    Model model;
    RMT_TRY(model.name, document.string_at("name"));
    RMT_TRY(model.inputs, read_inputs(document));
    RMT_CHECK(expect_word(document, "missing", may_miss(model) ? "default_side" : "reject", "M0110",
                          "'default_side' when some input has a number for 'missing', else 'reject'"));
    RMT_TRY(model.output, read_output(document));
    RMT_CHECK(read_rest(document, model));
    if (auto net = document.find("net")) {
        RMT_TRY(model.net, parse_net(net->json().dump()));
    }
    if (!model.net || document.find("trees")) {
        RMT_TRY(model.trees, read_trees(document));
    }
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
    if (has_trees(model.kind)) document["trees"] = Json::array();
    for (const Tree& tree : model.trees) document["trees"].push_back(tree_json(tree));
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);  // nlohmann::json keeps keys sorted
}

void seal(Model& model) { model.digest = "sha256:" + sha256_hex(canonical_bytes(model)); }

std::string to_json(const Model& model) {
    const Json head = head_json(model);
    auto dump = [](const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); };
    std::string text = "{\n";
    for (const char* key : {"rmt_model", "name", "kind", "inputs", "compare", "missing", "output", "link", "fixed_point", "answers", "sets",
                            "provenance", "samples", "origin"})
        if (head.contains(key)) text += "  \"" + std::string(key) + "\": " + dump(head[key]) + ",\n";
    if (model.net) {
        text += "  \"net\": " + dump(head["net"]) + ",\n";
    } else {
        text += "  \"trees\": [";
        for (size_t i = 0; i < model.trees.size(); i++) text += (i > 0 ? ",\n    " : "\n    ") + dump(tree_json(model.trees[i]));
        text += "\n  ],\n";
    }
    text += "  \"digest\": " + dump(model.digest) + "\n}\n";
    return text;
}

}  // namespace rmt::models
