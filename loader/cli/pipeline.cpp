// SPDX-License-Identifier: MIT
#include "loader/cli/pipeline.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/lower.h"
#include "models/model.h"
#include "rmt_lang/compile.h"
#include "rmt_lang/parser.h"
#include "verifier_ext/model_check.h"

namespace rmt::cli {

namespace fs = std::filesystem;

namespace {

Result<std::string> read_text(const std::string& path) {
    RMT_TRY(const Source source, Source::read(path));
    return std::string(source.text());
}

Result<void> write_text(const fs::path& path, std::string_view text) {
    std::ofstream file(path, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.flush();
    if (!file) return fail(ErrorKind::Environment, "cannot write '" + path.string() + "'");
    return {};
}

Unexpected<Error> no_such_model(const std::string& name, const std::string& file) {
    return fail(ErrorKind::Input, "--model " + name + "=" + file + ": the policy has no model '" + name + "'");
}

// Artefacts of the policy's models: what the command line says, else the file that the policy names (from its own
// folder). A model that trains while it runs may have none.
Result<std::map<std::string, std::string>> find_artefacts(const lang::Ir& ir, const Source& policy, const std::string& policy_path,
                                                          const std::map<std::string, std::string>& given) {
    std::map<std::string, std::string> artefacts;
    for (const auto& [name, file] : given) {
        bool known = false;
        for (const lang::ir::Model& model : ir.models) known |= model.name == name;
        if (!known) return no_such_model(name, file);
    }
    for (const lang::ir::Model& model : ir.models) {
        std::string file;
        if (const auto it = given.find(model.name); it != given.end())
            file = it->second;
        else if (!model.source.empty())
            file = (fs::path(policy_path).parent_path() / model.source).string();
        else
            continue;
        RMT_TRY(std::string text, read_text(file));
        std::optional<ManifestModel::Digest> digest;
        if (!model.sha256.empty()) digest = {model.sha256, policy.position(model.sha256_span.begin).line};
        RMT_CHECK(check_digest(policy.name(), model.name, digest, file, text));
        artefacts[model.name] = std::move(text);
    }
    return artefacts;
}

// The program reserves room for the larger of what it learns by itself and what it is given.
Result<lang::CheckedIr> with_room(const lang::CheckedIr& checked, const std::map<std::string, std::string>& artefacts) {
    lang::Ir ir = checked.ir();
    for (lang::ir::Model& model : ir.models) {
        const auto it = artefacts.find(model.name);
        if (it == artefacts.end() || (model.train && model.train->online)) continue;  // lower_models() says why not
        RMT_TRY(const models::Model artefact, models::parse_model(it->second));
        RMT_TRY(const ModelClass needed, models::smallest_class(artefact));
        if (!model.train) {
            model.shape = needed;
            continue;
        }
        if (needed.kind != model.shape.kind)
            return fail(ErrorKind::Input, "model '" + model.name + "' runs as kind " + engine_kind_name(needed.kind) + ", but this policy trains single trees in the background",
                        "give a tree, or take `train background` out of the policy");
        model.shape.depth = std::max(model.shape.depth, needed.depth);
        model.shape.nodes = std::max(model.shape.nodes, needed.nodes);
        model.shape.derived = std::max(model.shape.derived, needed.derived);
    }
    return lang::CheckedIr::seal(std::move(ir));
}

Result<Package> read_package(const std::string& folder, const std::map<std::string, std::string>& given) {
    Package package;
    RMT_TRY(const std::string manifest, read_text(folder + "/manifest.json"));
    RMT_TRY(package.manifest, parse_manifest(manifest));
    RMT_TRY(const std::string object, read_text(folder + "/policy.bpf.o"));
    package.object.assign(object.begin(), object.end());
    for (const auto& [name, file] : given)
        if (!package.manifest.find_model(name)) return no_such_model(name, file);
    for (const ManifestModel& model : package.manifest.models) {
        const auto it = given.find(model.name);
        const std::string file = it != given.end() ? it->second : folder + "/models/" + model.name + ".json";
        if (it == given.end() && !fs::exists(file)) continue;
        RMT_TRY(package.models[model.name], read_text(file));
        RMT_CHECK(check_digest(package.manifest.source, model.name, model.digest, file, package.models[model.name]));
    }
    return package;
}

Result<Package> compile(const Checked& checked, const std::string& path, const BuildOptions& options) {
    Package package;
    RMT_TRY(package.models, find_artefacts(checked.ir->ir(), checked.source, path, options.models));
    RMT_TRY(const lang::CheckedIr ir, with_room(*checked.ir, package.models));
    RMT_TRY(lang::Compiled compiled, lang::compile_policy(ir, checked.source));
    package.object = std::move(compiled.object);
    package.manifest = std::move(compiled.manifest);
    package.c_text = std::move(compiled.c_text);
    return package;
}

}  // namespace

std::optional<Checked> check_file(const Output& out, const std::string& path, int& exit) {
    auto source = Source::read(path);
    if (!source) {
        exit = out.error(source.error());
        return std::nullopt;
    }
    // What people read, and what the kernel's log shows, is the file's name, not where it lay.
    Checked checked{std::move(*source), std::nullopt};
    Diagnostics diagnostics;
    const auto ast = lang::parse(checked.source, diagnostics);
    if (ast && !diagnostics.has_errors()) checked.ir = lang::check(*ast, checked.source, diagnostics);
    if (!checked.ir || diagnostics.has_errors()) {
        exit = out.invalid(diagnostics, checked.source);
        return std::nullopt;
    }
    if (!diagnostics.all().empty() && !out.json) out.invalid(diagnostics, checked.source);
    return checked;
}

std::optional<Package> build(const Output& out, const std::string& path, const BuildOptions& options, int& exit) {
    const auto reported = [&](const Error& error) {
        exit = out.error(error);
        return std::optional<Package>{};
    };
    std::optional<Package> package;
    if (fs::is_directory(path)) {
        auto read = read_package(path, options.models);
        if (!read) return reported(read.error());
        package = std::move(*read);
    } else {
        const auto checked = check_file(out, path, exit);
        if (!checked) return std::nullopt;
        auto compiled = compile(*checked, path, options);
        if (!compiled) return reported(compiled.error());
        package = std::move(*compiled);
    }
    package->verdict = verify::verify(package->object, package->manifest, options.verify);
    if (!package->verdict.accepted()) {
        exit = out.refused(verify::to_text(package->verdict, package->manifest.source), Json::parse(verify::to_json(package->verdict)));
        return std::nullopt;
    }
    if (auto values = lower_models(*package); !values) return reported(values.error());
    return package;
}

Result<std::vector<load::ModelValue>> lower_models(const Package& package) {
    std::vector<load::ModelValue> values;
    for (const ManifestModel& declared : package.manifest.models) {
        const auto it = package.models.find(declared.name);
        if (it == package.models.end()) {
            if (!declared.train && !declared.online)
                return fail(ErrorKind::Input, "model '" + declared.name + "' has neither a file nor background training",
                            "--model " + declared.name + "=FILE, or `train background ...` in the policy");
            continue;
        }
        if (declared.online)
            return fail(ErrorKind::Unsupported, "model '" + declared.name + "' learns online, so it takes no file", "leave --model out, or write `source` in place of `train online`");
        RMT_TRY(const models::Model model, models::parse_model(it->second));
        RMT_CHECK(models::check_against_policy(model, declared));
        RMT_TRY(std::vector<uint8_t> value, models::lower_model(model, declared.shape, 1));
        RMT_CHECK(verify::check_model_value(value, declared));
        values.push_back({declared.name, std::move(value), it->second});
    }
    return values;
}

Result<void> write_package(const Package& package, const std::string& folder) {
    std::error_code error;
    fs::create_directories(fs::path(folder) / "models", error);
    if (error) return fail(ErrorKind::Environment, "cannot make '" + folder + "': " + error.message());
    RMT_CHECK(write_text(fs::path(folder) / "policy.bpf.o",
                         {reinterpret_cast<const char*>(package.object.data()), package.object.size()}));
    RMT_CHECK(write_text(fs::path(folder) / "manifest.json", to_json(package.manifest)));
    RMT_CHECK(write_text(fs::path(folder) / "certificate.json", verify::to_json(package.verdict)));
    for (const auto& [name, text] : package.models) RMT_CHECK(write_text(fs::path(folder) / "models" / (name + ".json"), text));
    return {};
}

Json facts_json(const verify::Verdict& verdict) { return Json::parse(verify::to_json(verdict)); }

}  // namespace rmt::cli
