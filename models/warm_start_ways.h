// SPDX-License-Identifier: MIT
// Between the files of warm_start.h: how trees are adapted.
#pragma once

#include "models/warm_start.h"

namespace rmt::models {

// prior_rows is at least 0. Errors: as warm_start().
Result<TrainReport> adapt_trees(const Model& old, const Dataset& data, const WarmOptions& options);

}  // namespace rmt::models
