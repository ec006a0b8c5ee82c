// SPDX-License-Identifier: MIT
// Internal to import.
#pragma once

#include "models/import.h"
#include "models/json_read.h"

namespace rmt::models {

Result<ImportReport> import_xgboost(const Json& document, const ImportOptions& options);

}  // namespace rmt::models
