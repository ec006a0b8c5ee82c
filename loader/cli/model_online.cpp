// SPDX-License-Identifier: MIT
#include "loader/cli/model_online.h"

#include <fmt/format.h>

#include <cstring>

#include "loader/cli/commands.h"
#include "models/online.h"

namespace rmt::cli {

using load::LivePolicy;

Result<Json> online_json(const LivePolicy& live, const ManifestModel& model) {
    if (!model.online) return Json(nullptr);
    RMT_TRY(const load::OnlineFigures f, live.online_figures(model));
    Json json = {{"kind", online_kind_name(model.online->kind)}, {"label", model.online->label}, {"steps", f.steps}, {"cpus", f.cpus},
                 {"answering", f.answering}, {"after", model.online->after}, {"squared_error", nullptr}, {"squared_error_of_mean", nullptr}};
    if (f.steps) json["squared_error"] = f.error, json["squared_error_of_mean"] = f.error_of_mean;
    return json;
}

std::string online_text(const Json& online) {
    std::string text = fmt::format("learns {} online ({}), {} steps", online["label"].get<std::string>(), online["kind"].get<std::string>(), online["steps"].get<uint64_t>());
    if (online["squared_error"].is_null()) return text;
    text += fmt::format(" on {} CPU{}; squared error now {:.4g}, of the mean {:.4g}", online["cpus"].get<uint32_t>(), online["cpus"] == 1 ? "" : "s",
                        online["squared_error"].get<double>(), online["squared_error_of_mean"].get<double>());
    if (online["answering"] != online["cpus"])
        text += fmt::format("; {} of them answer{}, after {} steps", online["answering"].get<uint32_t>(), online["answering"] == 1 ? "s" : "", online["after"].get<uint32_t>());
    return text;
}

Result<models::Model> learned_model(const LivePolicy& live, const ManifestModel& model) {
    std::vector<rmt_learn_linear> cpus;
    if (model.online->kind == OnlineKind::Linear) {
        RMT_TRY(const std::vector<std::vector<uint8_t>> bytes, live.learners(model));
        cpus.resize(bytes.size());
        for (size_t i = 0; i < bytes.size(); i++) std::memcpy(&cpus[i], bytes[i].data(), sizeof cpus[i]);
    }
    RMT_TRY(models::Model learned, models::model_of_learners(model, cpus));
    learned.provenance["policy"] = live.name();
    models::seal(learned);
    return learned;
}

Result<void> check_swappable(const ManifestModel& model, const std::string& where) {
    if (!model.online) return {};
    return fail(ErrorKind::Unsupported, "model '" + where + "' learns online, so no other model takes its place",
                "rmt-load model reset " + where + " lets it begin anew; with `source` or `train background` in the policy, models can be swapped");
}

int cmd_model_reset(const Output& out, const std::string& name) {
    RMT_CLI_TRY(const Where where, find_model(name));
    if (!where.model->online)
        return out.error({ErrorKind::Unsupported, "model '" + where.name() + "' does not learn in the kernel", "rmt-load model use " + where.name() + " NAME swaps another one in", 0, {}});
    RMT_CLI_TRY(const Json before, online_json(where.live, *where.model));
    RMT_CLI_CHECK(where.live.forget(*where.model));
    if (out.json)
        out.document("reset", {{"policy", where.live.name()}, {"model", where.model->name}, {"before", before}});
    else
        out.print(where.name() + ": begins anew; before, it " + online_text(before));
    return kOk;
}

}  // namespace rmt::cli
