// SPDX-License-Identifier: MIT
// model search: which model is worth its cost in this policy? Cost is the RMT verifier's bound of one event of the policy,
// compiled for the model's class; budget is the policy's own limit.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "loader/cli/commands.h"
#include "loader/cli/model_make.h"
#include "loader/cli/policy_cost.h"
#include "models/search.h"
#include "models/train.h"

namespace rmt::cli {

namespace {

Json point_json(const models::SearchPoint& p) {
    Json item = {{"kind", p.kind}, {"settings", p.settings}, {"rows", p.rows}, {"complete", p.complete}, {"accuracy", p.accuracy},
                 {"cost_ns", std::isfinite(p.cost) ? Json(p.cost) : Json(nullptr)}, {"trees", p.trees}, {"depth", p.depth}, {"nodes", p.nodes}, {"front", p.front}};
    if (p.bits) item.update({{"bits", p.bits}, {"weights", p.weights}});
    if (!p.error.empty()) item["error"] = p.error;
    return item;
}

Result<void> write_report(const std::string& folder, const models::SearchReport& report, const std::string& title) {
    const std::filesystem::path to = std::filesystem::absolute(folder);
    RMT_CHECK(models::write_whole(to / "search.txt", models::search_table(report)));
    RMT_CHECK(models::write_whole(to / "search.svg", models::search_plot(report, title)));
    if (report.chosen == SIZE_MAX) return {};
    return models::write_whole(to / (report.model.name + ".json"), models::to_json(report.model));
}

}  // namespace

int cmd_model_search(const Output& out, const SearchArgs& args) {
    int exit = kOk;
    auto checked = check_file(out, args.policy, exit);
    if (!checked) return exit;
    RMT_CLI_TRY(PolicyCost policy, PolicyCost::make(std::move(*checked), args.model));
    RMT_CLI_TRY(models::Dataset data, models::read_dataset(args.data));
    models::SearchOptions options;
    options.common = models::options_for(policy.declared());
    if (!args.label.empty()) options.common.label = args.label;
    if (options.common.label.empty())
        return out.error({ErrorKind::Input, "model '" + args.model + "' declares no label", "--label COLUMN", 0, {}});
    options.common.seed = args.seed;
    options.common.max_inputs = options.common.inputs.size();  // what a kind cannot have is its candidates' concern
    if (!args.task.empty()) {
        RMT_CLI_TRY(options.common.task, parse_task(args.task));
    } else if (options.common.output.kind == models::OutputKind::Score) {
        options.common.task = models::Task::Regress;
    }
    if (!args.next_of.empty()) RMT_CLI_CHECK(models::add_next_column(data, args.next_of, data.find("tgid") ? "tgid" : "", options.common.label));
    options.budget = args.budget_ns ? *args.budget_ns : policy.budget_ns();
    options.cost = [&policy](const models::Model& model) { return policy.event_ns(model); };
    ProgressBar bar(out, "searching");
    options.progress = [&bar](const models::Progress& p) {
        bar.show(p.done, p.total);
        return true;
    };
    RMT_CLI_TRY(const std::vector<models::Candidate> candidates, models::usual_candidates(data, options.common, policy.kinds()));
    RMT_CLI_TRY(const models::SearchReport report, models::search_models(data, options, candidates));
    bar.clear();
    const std::string folder = args.output.empty() ? args.model + ".search" : args.output;
    RMT_CLI_CHECK(write_report(folder, report, args.model + ": accuracy against the cost of an event"));
    const bool found = report.chosen != SIZE_MAX;
    if (out.json) {
        Json points = Json::array();
        for (const models::SearchPoint& p : report.points) points.push_back(point_json(p));
        out.document("search", {{"folder", folder}, {"budget_ns", options.budget}, {"baseline", report.baseline}, {"points", points},
                                {"chosen", found ? Json(report.chosen) : Json(nullptr)}, {"model", found ? summary_json(report.model) : Json(nullptr)},
                                {"test_rows", report.test.rows}, {"test_accuracy", report.test_accuracy}});
        return found ? kOk : kFailed;
    }
    std::string text = models::search_table(report);
    if (found)
        text += fmt::format("\n{}\n  {:.2f} % {} on {} rows that neither trained nor chose it\n", summary(report.model), 100 * report.test_accuracy,
                            options.common.task == models::Task::Regress ? "of the error of always answering the mean saved" : "right", report.test.rows);
    out.print(text + fmt::format("  table, plot{} in {}/", found ? " and model" : "", folder));
    if (found) return kOk;
    return out.error({ErrorKind::Environment, fmt::format("no candidate costs at most {} an event", format_ns(options.budget)), "a larger `cost` limit in the policy, or --budget-ns", 0, {}});
}

}  // namespace rmt::cli
