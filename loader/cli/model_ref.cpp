// SPDX-License-Identifier: MIT
#include "loader/cli/model_ref.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>

#include "loader/bpffs.h"
#include "loader/cli/model_online.h"
#include "models/lower.h"
#include "models/net_lower.h"
#include "verifier_ext/model_check.h"

namespace rmt::cli {

namespace fs = std::filesystem;
using load::LivePolicy;

Result<Artefact> read_artefact(const std::string& reference) {
    Artefact artefact;
    std::error_code ignored;
    if (fs::is_regular_file(reference, ignored)) {
        RMT_TRY(const Source source, Source::read(reference));
        artefact.text = std::string(source.text());
        artefact.where = reference;
    } else if (reference.ends_with(".json")) {
        return fail(ErrorKind::NotFound, "cannot read '" + reference + "': there is no such file");
    } else if (reference.find('/') != std::string::npos) {
        RMT_TRY(const Where where, find_model(reference));
        artefact.where = where.name();
        if (where.model->online) {
            RMT_TRY(const models::Model learned, learned_model(where.live, *where.model));
            artefact.text = models::to_json(learned);
        } else {
            RMT_TRY(artefact.text, where.live.model_artefact(*where.model));
        }
        if (artefact.text.empty()) return fail(ErrorKind::NotFound, "no model is in place in " + artefact.where + " yet");
    } else {
        const models::Store store = models::Store::standard();
        auto stored = store.find(reference);
        if (!stored) {
            if (stored.error().kind == ErrorKind::NotFound) stored.error().message = "no file '" + reference + "', and " + stored.error().message;
            return fail(stored.error());
        }
        RMT_TRY(artefact.text, store.artefact(*stored));
        artefact.where = stored->name + "@v" + std::to_string(stored->version);
        artefact.stored = std::move(*stored);
    }
    auto model = models::parse_model(artefact.text);
    if (!model) {
        model.error().message += " (in " + artefact.where + ")";
        return fail(model.error());
    }
    artefact.model = std::move(*model);
    return artefact;
}

Result<Where> find_model(const std::string& where) {
    const size_t slash = where.find('/');
    RMT_TRY(LivePolicy live, LivePolicy::open(where.substr(0, slash)));
    const std::vector<ManifestModel>& models = live.manifest().models;
    std::string names;
    for (const ManifestModel& m : models) names += (names.empty() ? "" : ", ") + m.name;
    if (models.empty()) return fail(ErrorKind::NotFound, "policy '" + live.name() + "' has no model");
    if (slash == std::string::npos && models.size() != 1)
        return fail(ErrorKind::Input, "'" + where + "' names no model", "write POLICY/MODEL; it has: " + names);
    const std::string name = slash == std::string::npos ? models[0].name : where.substr(slash + 1);
    Where found{std::move(live), nullptr};
    found.model = found.live.manifest().find_model(name);
    if (!found.model) return fail(ErrorKind::NotFound, "policy '" + found.live.name() + "' has no model '" + name + "'", "it has: " + names);
    return found;
}

std::vector<std::string> uses_of(const std::string& digest, bool& unknown) {
    std::vector<std::string> uses;
    const auto is = [&](const std::string& artefact) {
        if (artefact.empty()) return false;
        const auto model = models::parse_model(artefact);
        return model && model->digest == digest;
    };
    unknown = access(load::kPinRoot, R_OK | X_OK) != 0 && errno != ENOENT;
    for (const std::string& policy : load::pinned_policies()) {
        const auto live = LivePolicy::open(policy);
        if (!live) {
            unknown = true;
            continue;
        }
        for (const ManifestModel& declared : live->manifest().models) {
            const auto running = live->model_artefact(declared);
            const auto challenger = live->challenger(declared);
            if (running && is(*running)) uses.push_back(policy + "/" + declared.name);
            if (challenger && *challenger && is((*challenger)->artefact)) uses.push_back(policy + "/" + declared.name + " (challenger)");
        }
    }
    return uses;
}

Result<std::vector<uint8_t>> checked_value(const models::Model& model, const ManifestModel& policy) {
    RMT_CHECK(check_swappable(policy, policy.name));
    RMT_CHECK(models::check_against_policy(model, policy));
    RMT_TRY(std::vector<uint8_t> value, models::lower_model(model, policy.shape, 1));
    RMT_CHECK(verify::check_model_value(value, policy));
    return value;
}

std::string kind_text(const models::Model& model) {
    std::string text = models::model_kind_name(model.kind);
    if (model.net) return text + fmt::format(", {} layer{}", model.net->layers.size(), model.net->layers.size() == 1 ? "" : "s");
    if (model.kind != models::ModelKind::Tree) text += fmt::format(", {} tree{}", model.trees.size(), model.trees.size() == 1 ? "" : "s");
    return text + fmt::format(", {} nodes, depth {}", models::model_nodes(model), models::model_depth(model));
}

std::string summary(const models::Model& model) {
    return fmt::format("{}: {}, {} input{}, {}", model.name, kind_text(model), model.inputs.size(), model.inputs.size() == 1 ? "" : "s",
                       model.digest.substr(0, 19));
}

Json summary_json(const models::Model& model) {
    Json inputs = Json::array();
    for (const models::ModelInput& input : model.inputs) {
        Json item = {{"name", input.name}, {"type", input.type}, {"trained_range", {input.min, input.max}}};
        if (input.missing) item["missing"] = *input.missing;
        if (input.fraction_bits) item["fraction_bits"] = input.fraction_bits;
        inputs.push_back(std::move(item));
    }
    return {{"name", model.name},
            {"kind", models::model_kind_name(model.kind)},
            {"trees", model.trees.size()},
            {"nodes", models::model_nodes(model)},
            {"depth", models::model_depth(model)},
            {"layers", model.net ? model.net->layers.size() : 0},
            {"inputs", inputs},
            {"output", {{"kind", models::output_kind_name(model.output.kind)}, {"type", model.output.type}, {"range", {model.output.min, model.output.max}}}},
            {"digest", model.digest},
            {"provenance", model.provenance}};
}

Result<std::vector<std::vector<int64_t>>> rows_for(const models::Model& model, const models::Dataset& data) {
    std::vector<const models::Column*> columns;
    for (const models::ModelInput& input : model.inputs) {
        RMT_TRY(const models::Column* column, models::need_column(data, input.name));
        columns.push_back(column);
    }
    std::vector<std::vector<int64_t>> rows(data.rows(), std::vector<int64_t>(columns.size()));
    for (size_t k = 0; k < columns.size(); k++)
        for (size_t i = 0; i < rows.size(); i++) rows[i][k] = columns[k]->values[i];
    return rows;
}

std::vector<std::vector<int64_t>> random_rows(const std::vector<models::ModelInput>& inputs, size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::vector<int64_t>> rows(count);
    for (auto& row : rows)
        for (const models::ModelInput& input : inputs) {
            // Not uniform_int_distribution: that differs between libraries.
            const int64_t n = input.min + static_cast<int64_t>(random() % (static_cast<uint64_t>(input.max - input.min) + 1));
            row.push_back(input.missing && random() % 8 == 0 ? *input.missing : n);
        }
    return rows;
}

Result<std::string> class_of(const models::Model& model) {
    if (!models::has_trees(model.kind)) {
        const NetClass c = models::smallest_net_class(model);
        return fmt::format("kind net, inputs {}, tiles {}, rows {}, blocks {}, width {}, outputs {}", c.inputs, c.tiles, c.rows, c.blocks, c.width, c.outputs);
    }
    RMT_TRY(const ModelClass shape, models::smallest_class(model));
    return models::class_text(shape);
}

std::string who() {
    if (const char* behind = std::getenv("SUDO_USER"); behind && *behind) return behind;
    const passwd* entry = getpwuid(getuid());
    return entry ? entry->pw_name : "uid " + std::to_string(getuid());
}

ProgressBar::ProgressBar(const Output& out, std::string what) : what_(std::move(what)), on_(!out.json && isatty(STDERR_FILENO)) {}

void ProgressBar::clear() {
    if (on_ && last_percent_ >= 0) std::fprintf(stderr, "\r\033[K");
    last_percent_ = -1;
}

void ProgressBar::show(size_t done, size_t total, const std::string& more) {
    if (!on_ || total == 0) return;
    const int percent = static_cast<int>(100 * std::min(done, total) / total);
    if (percent == last_percent_) return;
    last_percent_ = percent;
    const std::string bar(static_cast<size_t>(percent) / 4, '#');
    std::fprintf(stderr, "\r\033[K%s [%-25s] %3d %%  %s", what_.c_str(), bar.c_str(), percent, more.c_str());
    std::fflush(stderr);
}

}  // namespace rmt::cli
