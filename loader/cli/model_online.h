// SPDX-License-Identifier: MIT
// What the verbs say and do about models that learn in the kernel.
#pragma once

#include "loader/cli/model_ref.h"

namespace rmt::cli {

Result<Json> online_json(const load::LivePolicy& live, const ManifestModel& model);  // null: it does not learn online
std::string online_text(const Json& online);                                          // one line for people, of the above

// What it has learned by now as an artefact. Errors: as models::model_of_learners().
Result<models::Model> learned_model(const load::LivePolicy& live, const ManifestModel& model);

// Unsupported for a model that learns online: nothing can be swapped into it, and nothing scored beside it.
Result<void> check_swappable(const ManifestModel& model, const std::string& where);

}  // namespace rmt::cli
