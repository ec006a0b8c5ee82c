// SPDX-License-Identifier: MIT
// model list, show, alias, rm, export: the store, and what runs of it.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "loader/cli/commands.h"
#include "loader/cli/model_online.h"
#include "loader/cli/model_ref.h"
#include "models/lower.h"
#include "models/store_files.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;
using models::Store;
using models::StoredModel;

std::string version_text(const StoredModel& stored) {
    std::string text = fmt::format("{}@v{}", stored.name, stored.version);
    for (const std::string& alias : stored.aliases) text += " " + alias;
    return text;
}

double share(uint64_t part, uint64_t whole) { return whole ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0; }

std::string tally_text(const char* who, const load::ModelTally& t, uint64_t rows) {
    return fmt::format("    {:<10} {:>9} right ({:.1f} %), {} answered, of those {:.1f} % right\n", who, t.correct, share(t.correct, rows), t.answered,
                       share(t.correct_answered, t.answered));
}

Json tally_json(const load::ModelTally& t) {
    return {{"correct", t.correct}, {"answered", t.answered}, {"correct_answered", t.correct_answered}};
}

struct Line {
    Json json;
    std::string text;
};

Result<Line> challenger_line(const LivePolicy& live, const ManifestModel& declared) {
    RMT_TRY(const std::optional<load::Challenger> challenger, live.challenger(declared));
    if (!challenger) return Line{nullptr, ""};
    RMT_TRY(const models::Model model, models::parse_model(challenger->artefact));
    load::ModelScore score = challenger->score;
    if (model.digest != score.challenger) score = {};  // of the one before, or nothing scored yet
    Json json = summary_json(model);
    json["scored"] = {{"rows", score.rows}, {"champion_changes", score.changes}, {"champion", tally_json(score.champion_tally)},
                      {"challenger", tally_json(score.challenger_tally)}};
    std::string text = fmt::format("  challenger  {}\n  on {} events that neither was trained on{}:\n", summary(model), score.rows,
                                   score.changes ? fmt::format(" (the champion changed {} times)", score.changes) : "");
    return Line{json, text + tally_text("champion", score.champion_tally, score.rows) + tally_text("challenger", score.challenger_tally, score.rows)};
}

Result<Line> live_line(const LivePolicy& live, const ManifestModel& declared) {
    const std::string where = live.name() + "/" + declared.name;
    if (declared.online) {
        RMT_TRY(const Json online, online_json(live, declared));
        return Line{{{"where", where}, {"loaded", false}, {"online", online}}, fmt::format("{:<32} {}\n", where, online_text(online))};
    }
    RMT_TRY(const std::string artefact, live.model_artefact(declared));
    RMT_TRY(const Line challenger, challenger_line(live, declared));
    Json item = {{"where", where}, {"loaded", !artefact.empty()}};
    std::string text = fmt::format("{:<32} ", where);
    if (artefact.empty()) {
        text += "none yet\n";
    } else {
        RMT_TRY(const models::Model model, models::parse_model(artefact));
        item.update(summary_json(model));
        text += summary(model) + "\n";
    }
    if (!challenger.json.is_null()) item["challenger"] = challenger.json;
    return Line{item, text + challenger.text};
}

Result<std::vector<Line>> live_lines(const std::string& policy) {
    RMT_TRY(const LivePolicy live, LivePolicy::open(policy));
    std::vector<Line> lines;
    for (const ManifestModel& declared : live.manifest().models) {
        RMT_TRY(Line line, live_line(live, declared));
        lines.push_back(std::move(line));
    }
    return lines;
}

Result<std::vector<Line>> store_lines(const Output& out, const Store& store) {
    RMT_TRY(const std::vector<StoredModel> all, store.list());
    std::vector<Line> lines;
    for (const StoredModel& stored : all) {
        const std::string reference = stored.name + "@v" + std::to_string(stored.version);
        auto artefact = read_artefact(reference);
        if (!artefact) {
            out.say("warning: " + reference + ": " + artefact.error().message);
            continue;
        }
        Json item = {{"where", reference}, {"store_name", stored.name}, {"version", stored.version}, {"aliases", stored.aliases}, {"added", stored.added}, {"history", store.in_history(artefact->model.digest)}};
        item.update(summary_json(artefact->model));
        lines.push_back({item, fmt::format("{:<32} {}\n", version_text(stored), summary(artefact->model))});
    }
    return lines;
}

std::string show_text(const Artefact& artefact, const std::string& shape, const std::vector<std::string>& uses, bool unknown) {
    const models::Model& m = artefact.model;
    std::string text = fmt::format("{}: {}\n  {}, {} kB, {}\n", artefact.where, m.name, kind_text(m), (artefact.text.size() + 1023) / 1024, m.digest);
    if (artefact.stored) {
        text += fmt::format("  in the store since {}", artefact.stored->added);
        for (const std::string& alias : artefact.stored->aliases) text += fmt::format(", alias {}", alias);
        text += "\n";
    }
    for (const models::ModelInput& input : m.inputs)
        text += fmt::format("  input   {} : {} in {}..{}{}{}\n", input.name, input.type, input.min, input.max,
                            input.missing ? fmt::format(", {} means missing", *input.missing) : "",
                            input.fraction_bits ? fmt::format(", times 2^{}", input.fraction_bits) : "");
    text += fmt::format("  output  {} {} in {}..{}\n", models::output_kind_name(m.output.kind), m.output.type, m.output.min, m.output.max);
    for (const auto& [name, number] : m.output.classes) text += fmt::format("    {} = {}\n", name, number);
    text += fmt::format("  needs   {}\n  samples {}\n", shape, m.samples.inputs.size());
    for (const auto& [key, value] : m.provenance) text += fmt::format("  {}: {}\n", key, value);
    for (const std::string& history : Store::standard().in_history(m.digest)) text += "  kept in the history of " + history + "\n";
    for (const std::string& use : uses) text += "  used by " + use + "\n";
    if (unknown) text += "  used by: not known, the policies cannot be read without privilege\n";
    else if (uses.empty()) text += "  used by no running policy\n";
    return text;
}

// "POLICY/MODEL" that learns in the kernel: it need not have an artefact.
std::optional<int> show_online(const Output& out, const std::string& reference) {
    if (reference.find('/') == std::string::npos || std::filesystem::exists(reference) || reference.ends_with(".json")) return std::nullopt;
    const auto where = find_model(reference);
    if (!where || !where->model->online) return std::nullopt;
    const auto line = live_line(where->live, *where->model);
    if (!line) return out.error(line.error());
    if (out.json)
        out.document("model", line->json);
    else
        out.print(line->text);
    return kOk;
}

}  // namespace

int cmd_model_list(const Output& out, const std::string& policy) {
    const Store store = Store::standard();
    RMT_CLI_TRY(const std::vector<Line> lines, policy.empty() ? store_lines(out, store) : live_lines(policy));
    Json list = Json::array();
    std::string text;
    for (const Line& line : lines) {
        list.push_back(line.json);
        text += line.text;
    }
    if (out.json)
        out.document("models", {{"models", list}});
    else if (text.empty())
        out.say(policy.empty() ? "no model is in " + (store.root() / "models").string() + "; rmt-load model import FILE --name NAME puts one there"
                               : "policy '" + policy + "' has no model");
    else
        out.print(text);
    return kOk;
}

int cmd_model_show(const Output& out, const std::string& reference) {
    if (const auto shown = show_online(out, reference)) return *shown;
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));
    RMT_CLI_TRY(const std::string shape, class_of(artefact.model));
    bool unknown = false;
    const std::vector<std::string> uses = uses_of(artefact.model.digest, unknown);
    Line challenger{nullptr, ""};
    if (!artefact.stored && artefact.where == reference && reference.find('/') != std::string::npos && !std::filesystem::exists(reference)) {
        RMT_CLI_TRY(const Where where, find_model(reference));
        RMT_CLI_TRY(challenger, challenger_line(where.live, *where.model));
    }
    if (!out.json) {
        out.print(show_text(artefact, shape, uses, unknown) + challenger.text);
        return kOk;
    }
    Json document = {{"where", artefact.where}, {"bytes", artefact.text.size()}, {"class", shape}, {"samples", artefact.model.samples.inputs.size()}};
    document.update(summary_json(artefact.model));
    document["used_by"] = unknown && uses.empty() ? Json(nullptr) : Json(uses);
    if (artefact.stored)
        document["stored"] = {{"name", artefact.stored->name}, {"version", artefact.stored->version}, {"aliases", artefact.stored->aliases}, {"added", artefact.stored->added}};
    if (!challenger.json.is_null()) document["challenger"] = challenger.json;
    out.document("model", document);
    return kOk;
}

int cmd_model_alias(const Output& out, const std::string& name, const std::string& alias, const std::string& version, bool remove) {
    const Store store = Store::standard();
    if (remove) {
        RMT_CLI_CHECK(store.remove_alias(name, alias));
        if (out.json)
            out.document("alias", {{"name", name}, {"alias", alias}, {"version", nullptr}});
        else
            out.print(name + ": no alias " + alias + " any more");
        return kOk;
    }
    RMT_CLI_TRY(const StoredModel meant, store.find(version.empty() ? name : name + "@" + version));
    RMT_CLI_CHECK(store.set_alias(name, alias, meant.version));
    if (out.json)
        out.document("alias", {{"name", name}, {"alias", alias}, {"version", meant.version}});
    else
        out.print(fmt::format("{}@{} is {}@v{}", name, alias, name, meant.version));
    return kOk;
}

int cmd_model_rm(const Output& out, const std::string& reference, bool force) {
    const Store store = Store::standard();
    const std::string name = reference.substr(0, reference.find('@'));
    const bool all = name == reference;
    RMT_CLI_TRY(const StoredModel meant, store.find(reference));
    RMT_CLI_TRY(const std::vector<StoredModel> known, store.list());
    std::vector<uint32_t> versions;
    for (const StoredModel& stored : known) {
        if (stored.name != name || (!all && stored.version != meant.version)) continue;
        versions.push_back(stored.version);
        auto artefact = read_artefact(name + "@v" + std::to_string(stored.version));
        if (force || !artefact) continue;  // a damaged one can only be removed
        bool unknown = false;
        const std::vector<std::string> uses = uses_of(artefact->model.digest, unknown);
        if (!uses.empty())
            return out.error({ErrorKind::Conflict, fmt::format("{}@v{} is in use by {}", name, stored.version, uses[0]),
                              "rmt-load model rollback " + uses[0].substr(0, uses[0].find(' ')) + ", or --force: what runs has a copy of its own", 0, {}});
        if (unknown) out.say("warning: whether a running policy uses " + artefact->where + " is not known: the policies cannot be read");
    }
    std::vector<std::string> histories;
    for (const uint32_t version : versions)
        if (const auto artefact = read_artefact(name + "@v" + std::to_string(version)))
            for (const std::string& history : store.in_history(artefact->model.digest))
                if (std::find(histories.begin(), histories.end(), history) == histories.end()) histories.push_back(history);
    RMT_CLI_CHECK(store.remove(name, all ? std::nullopt : std::optional<uint32_t>(meant.version)));
    if (out.json)
        out.document("rm", {{"name", name}, {"versions", versions}, {"history", histories}});
    else
        out.print(all ? fmt::format("{}: {} version{} removed", name, versions.size(), versions.size() == 1 ? "" : "s")
                      : fmt::format("{}@v{}: removed", name, meant.version));
    for (const std::string& history : histories) out.say("note: the history of " + history + " keeps a copy; rmt-load model rollback brings it back");
    return kOk;
}

int cmd_model_export(const Output& out, const std::string& reference, const std::string& file) {
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));
    const std::string text = models::to_json(artefact.model);
    if (file == "-") {
        out.print(text);
        return kOk;
    }
    RMT_CLI_CHECK(models::write_whole(std::filesystem::absolute(file), text));
    if (out.json)
        out.document("export", {{"from", artefact.where}, {"file", file}, {"model", summary_json(artefact.model)}});
    else
        out.print(summary(artefact.model) + "\n  from " + artefact.where + ", written to " + file);
    return kOk;
}

}  // namespace rmt::cli
