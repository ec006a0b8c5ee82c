// SPDX-License-Identifier: MIT
// What one event of a policy costs with a model of some class: the policy is compiled with room for that class, and the RMT
// verifier bounds it. For `model search`, which asks for many models of few classes.
#pragma once

#include <map>
#include <string>

#include "loader/cli/pipeline.h"
#include "models/search.h"

namespace rmt::cli {

class PolicyCost {
public:
    // NotFound when the policy has no model of that name.
    static Result<PolicyCost> make(Checked checked, const std::string& model);

    const ManifestModel& declared() const { return declared_; }
    double budget_ns() const { return budget_ns_; }  // of one event
    models::CandidateKinds kinds() const;            // which models the policy could have

    // Infinite when the policy cannot hold such a model, or the verifier refuses it whatever the budget.
    double event_ns(const models::Model& model);

private:
    explicit PolicyCost(Checked checked) : checked_(std::move(checked)) {}
    Result<double> event_ns_of(const ModelClass& shape) const;

    Checked checked_;
    ManifestModel declared_;
    double budget_ns_ = 0;
    std::map<std::string, double> known_;  // by class
};

}  // namespace rmt::cli
