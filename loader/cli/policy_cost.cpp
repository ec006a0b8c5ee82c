// SPDX-License-Identifier: MIT
#include "loader/cli/policy_cost.h"

#include <algorithm>
#include <limits>

#include "models/lower.h"
#include "rmt_lang/compile.h"
#include "verifier_ext/profile.h"

namespace rmt::cli {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr uint64_t kNoLimitNs = 1'000'000'000;  // dearer models are points of the search too; the budget chooses

}  // namespace

Result<PolicyCost> PolicyCost::make(Checked checked, const std::string& model) {
    PolicyCost cost(std::move(checked));
    RMT_TRY(const lang::Compiled compiled, lang::compile_policy(*cost.checked_.ir, cost.checked_.source));
    const ManifestModel* declared = compiled.manifest.find_model(model);
    std::string names;
    for (const ManifestModel& m : compiled.manifest.models) names += (names.empty() ? "it has: " : ", ") + m.name;
    if (!declared)
        return fail(ErrorKind::NotFound, "policy '" + compiled.manifest.policy + "' has no model '" + model + "'", names);
    if (declared->online)
        return fail(ErrorKind::Unsupported, "model '" + model + "' learns online, so none is searched for it", "write `source` or `train background` in place of `train online`");
    cost.declared_ = *declared;
    const uint64_t limit = compiled.manifest.limits.cost_ns;
    const auto& handlers = cost.checked_.ir->ir().handlers;
    const bool hot = std::any_of(handlers.begin(), handlers.end(), [](const lang::ir::Handler& h) { return h.event == lang::ir::Event::Ack; });
    const verify::Profile& profile = verify::profile_of(compiled.manifest.domain);
    cost.budget_ns_ = limit ? static_cast<double>(limit) : hot ? profile.hot_cost_ns : profile.cost_ns;
    return cost;
}

Result<double> PolicyCost::event_ns_of(const ModelClass& shape) const {
    lang::Ir ir = checked_.ir->ir();
    for (lang::ir::Model& model : ir.models)
        if (model.name == declared_.name) model.shape = shape;
    const lang::CheckedIr checked = lang::CheckedIr::seal(std::move(ir));
    RMT_TRY(lang::Compiled compiled, lang::compile_policy(checked, checked_.source));
    compiled.manifest.limits.cost_ns = kNoLimitNs;
    const verify::Verdict verdict = verify::verify(compiled.object, compiled.manifest);
    if (!verdict.accepted()) return kNever;
    double most = verdict.facts()->facts.event_ns;
    if (most > 0) return most;  // tcp: an event is a part of a program
    for (const verify::ProgramFacts& program : verdict.facts()->facts.programs)
        if (program.runs_policy) most = std::max(most, program.est_ns);
    return most;
}

models::CandidateKinds PolicyCost::kinds() const {
    return declared_.train ? models::CandidateKinds::SingleTrees : models::CandidateKinds::All;
}

double PolicyCost::event_ns(const models::Model& model) {
    const auto shape = models::smallest_class(model);
    if (!shape) return kNever;
    if (declared_.train && shape->kind != EngineKind::Tree) return kNever;  // it trains single trees while it runs
    const std::string text = models::class_text(*shape);
    const auto at = known_.find(text);
    if (at != known_.end()) return at->second;
    const auto cost = event_ns_of(*shape);
    return known_[text] = cost ? *cost : kNever;
}

}  // namespace rmt::cli
