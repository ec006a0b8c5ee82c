// SPDX-License-Identifier: MIT
// model use, promote, rollback, history: which model answers in a running policy, and which one is scored beside it.
//
// A model is put in place only after all of: its artefact is whole (parse_model: structure, digest, samples by the reference),
// it fits what the policy declares, its bytes pass the RMT verifier's check, and the engine in the kernel gives the reference's
// answers on its samples and on rows beside them. Until then nothing is touched; the swap itself is one pointer.
#include <fmt/format.h>

#include "loader/cli/commands.h"
#include "loader/cli/model_online.h"
#include "loader/cli/model_probe.h"
#include "loader/cli/model_ref.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;
using models::HistoryEntry;
using models::Store;

// What ran already without being in the history: it came with the policy, or the agent trained it.
Result<void> note_running(const Where& where) {
    RMT_TRY(const std::string running, where.live.model_artefact(*where.model));
    if (running.empty()) return {};
    RMT_TRY(const models::Model model, models::parse_model(running));
    const Store store = Store::standard();
    RMT_TRY(const std::vector<HistoryEntry> history, store.history(where.live.name(), where.model->name));
    if (!history.empty() && history.back().digest == model.digest) return {};
    return store.append_history(where.live.name(), where.model->name, {"", model.digest, "", model.name, 0, "before", {}}, running);
}

// Validates, swaps, writes it down. What ran before runs on when anything fails before the swap.
int put_in_place(const Output& out, const Where& where, const Artefact& artefact, HistoryEntry entry, Json more) {
    RMT_CLI_TRY(const std::vector<uint8_t> value, checked_value(artefact.model, *where.model));
    RMT_CLI_TRY(const KernelCheck kernel, check_in_kernel(artefact.model));
    RMT_CLI_CHECK(note_running(where));
    RMT_CLI_CHECK(where.live.set_model(*where.model, value, models::to_json(artefact.model)));
    entry.digest = artefact.model.digest;
    entry.who = who();
    if (artefact.stored) entry.name = artefact.stored->name, entry.version = artefact.stored->version;
    auto kept = Store::standard().append_history(where.live.name(), where.model->name, entry, models::to_json(artefact.model));
    if (!kept) {
        kept.error().message = "the model runs, but the history could not be written: " + kept.error().message;
        (void)out.error(kept.error());
        return kPartly;
    }
    if (out.json) {
        Json document = {{"policy", where.live.name()}, {"model", where.model->name}, {"how", entry.how}, {"from", artefact.where},
                         {"artefact", summary_json(artefact.model)}, {"rows_checked", kernel.rows}};
        if (more.is_object()) document.update(more);
        out.document("use", document);
        return kOk;
    }
    out.print(fmt::format("{}: {}\n  from {}, checked on {} rows in the kernel", where.name(), summary(artefact.model), artefact.where, kernel.rows));
    return kOk;
}

Result<void> can_score(const Where& where) {
    if (!where.model->train)
        return fail(ErrorKind::Unsupported, "model '" + where.name() + "' has no label to score a challenger by",
                    "add `train background from ... label ...` to the model in the policy");
    if (!where.live.has_agent())
        return fail(ErrorKind::Conflict, "no agent of '" + where.live.name() + "' is running, and it is the agent that scores",
                    "start it with: rmt-agent " + where.live.name());
    if (!where.live.ctl().train)
        return fail(ErrorKind::Conflict, "the agent of '" + where.live.name() + "' was started with --no-train, so it reads no labels",
                    "start it without --no-train");
    return {};
}

int use_in_shadow(const Output& out, const Where& where, const std::string& reference) {
    if (reference == "none") {
        RMT_CLI_CHECK(where.live.remove_challenger(*where.model));
        if (out.json)
            out.document("shadow", {{"policy", where.live.name()}, {"model", where.model->name}, {"challenger", nullptr}});
        else
            out.print(where.name() + ": no challenger any more");
        return kOk;
    }
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));
    RMT_CLI_CHECK(can_score(where));
    RMT_CLI_TRY(const std::vector<uint8_t> value, checked_value(artefact.model, *where.model));
    RMT_CLI_TRY(const KernelCheck kernel, check_in_kernel(artefact.model));
    RMT_CLI_CHECK(where.live.set_challenger(*where.model, models::to_json(artefact.model)));
    if (out.json) {
        out.document("shadow", {{"policy", where.live.name()}, {"model", where.model->name}, {"from", artefact.where},
                                {"challenger", summary_json(artefact.model)}, {"rows_checked", kernel.rows}});
        return kOk;
    }
    out.print(fmt::format("{}: {} is scored beside the running model; it answers nothing\n  scores: rmt-load model list {}\n  then: rmt-load model promote {}",
                          where.name(), summary(artefact.model), where.live.name(), where.name()));
    return kOk;
}

// The history's own copy; or the store's version, where that is still there and still the same.
Result<std::string> old_artefact(const Store& store, const Where& where, const HistoryEntry& entry) {
    auto copy = store.history_artefact(where.live.name(), where.model->name, entry.digest);
    if (copy || copy.error().kind != ErrorKind::NotFound) return copy;
    const auto stored = entry.version ? store.find(entry.name + "@v" + std::to_string(entry.version)) : Result<models::StoredModel>(fail(copy.error()));
    if (stored) {
        RMT_TRY(std::string text, store.artefact(*stored));
        const auto model = models::parse_model(text);
        if (model && model->digest == entry.digest) return text;
    }
    return fail(ErrorKind::NotFound,
                fmt::format("the model of {} is not kept any more: the history of '{}' keeps what a rollback of {} steps reaches", entry.time, where.name(),
                            models::kHistoryDepth),
                "rmt-load model use " + where.name() + " with a file or a version of the store");
}

std::string entry_text(const HistoryEntry& e) {
    std::string from = e.name.empty() ? "" : e.version ? fmt::format("{}@v{}", e.name, e.version) : e.name;
    return fmt::format("{}  {:<9} {}  {}{}", e.time, e.how, e.digest.substr(0, 19), from, e.who.empty() ? "" : "  by " + e.who);
}

Json entry_json(const HistoryEntry& e) {
    Json item = {{"time", e.time}, {"how", e.how}, {"digest", e.digest}, {"name", e.name}, {"version", e.version}, {"who", e.who}};
    if (e.of) item["of"] = *e.of;
    return item;
}

}  // namespace

int cmd_model_use(const Output& out, const UseArgs& args) {
    RMT_CLI_TRY(const Where where, find_model(args.where));
    RMT_CLI_CHECK(check_swappable(*where.model, where.name()));
    if (args.shadow) return use_in_shadow(out, where, args.model);
    RMT_CLI_TRY(const Artefact artefact, read_artefact(args.model));
    return put_in_place(out, where, artefact, {"", "", "", artefact.where, 0, "use", {}}, {});
}

int cmd_model_promote(const Output& out, const std::string& name) {
    RMT_CLI_TRY(const Where where, find_model(name));
    RMT_CLI_CHECK(check_swappable(*where.model, where.name()));
    RMT_CLI_TRY(const std::optional<load::Challenger> challenger, where.live.challenger(*where.model));
    if (!challenger)
        return out.error({ErrorKind::NotFound, "'" + where.name() + "' has no challenger", "rmt-load model use " + where.name() + " NAME --shadow", 0, {}});
    Artefact artefact;
    artefact.text = challenger->artefact;
    artefact.where = "the challenger";
    RMT_CLI_TRY(artefact.model, models::parse_model(artefact.text));
    const int exit = put_in_place(out, where, artefact, {"", "", "", artefact.model.name, 0, "promote", {}}, {{"rows_scored", challenger->score.rows}});
    if (exit != kOk && exit != kPartly) return exit;
    if (auto removed = where.live.remove_challenger(*where.model); !removed) out.say("warning: " + removed.error().message);
    return exit;
}

int cmd_model_rollback(const Output& out, const std::string& name, uint32_t steps) {
    RMT_CLI_TRY(const Where where, find_model(name));
    RMT_CLI_CHECK(check_swappable(*where.model, where.name()));
    RMT_CLI_CHECK(note_running(where));
    const Store store = Store::standard();
    RMT_CLI_TRY(const std::vector<HistoryEntry> history, store.history(where.live.name(), where.model->name));
    RMT_CLI_TRY(const std::string running, where.live.model_artefact(*where.model));
    // Applied anew without a model: one step back is the one that ran last.
    std::optional<size_t> to = history.empty() ? std::nullopt : std::optional<size_t>(history.size() - 1);
    if (to && running.empty()) {
        to = history[*to].of.value_or(*to);
        steps--;
    }
    for (; to && steps > 0; steps--) to = models::before_in_history(history, *to);
    if (!to)
        return out.error({ErrorKind::NotFound, "the history of '" + where.name() + "' does not go back so far", "rmt-load model history " + where.name(), 0, {}});
    Artefact artefact;
    RMT_CLI_TRY(artefact.text, old_artefact(store, where, history[*to]));
    RMT_CLI_TRY(artefact.model, models::parse_model(artefact.text));
    artefact.where = "the history: " + history[*to].time;
    return put_in_place(out, where, artefact, {"", "", "", history[*to].name, history[*to].version, "rollback", *to}, {});
}

int cmd_model_history(const Output& out, const std::string& where) {
    // Also of a policy that is not loaded: the history outlives it.
    const size_t slash = where.find('/');
    std::string policy = where.substr(0, slash), model = slash == std::string::npos ? "" : where.substr(slash + 1);
    if (model.empty()) {
        RMT_CLI_TRY(const Where found, find_model(where));
        model = found.model->name;
    }
    RMT_CLI_TRY(const std::vector<HistoryEntry> history, Store::standard().history(policy, model));
    Json list = Json::array();
    std::string text;
    for (const HistoryEntry& e : history) {
        list.push_back(entry_json(e));
        text += entry_text(e) + "\n";
    }
    if (out.json)
        out.document("history", {{"policy", policy}, {"model", model}, {"entries", list}});
    else if (text.empty())
        out.say("no model was put in place in " + policy + "/" + model + " by rmt-load model use");
    else
        out.print(text);
    return kOk;
}

}  // namespace rmt::cli
