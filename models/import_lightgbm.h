// SPDX-License-Identifier: MIT
// What LightGBM's two formats share. Internal to import.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/import_formats.h"

namespace rmt::models {

struct LightgbmHead {
    std::string objective;  // "binary sigmoid:1"; empty: old dumps do not have it
    bool average = false;   // average_output, random forests
    int64_t trees_per_iteration = 1;
};

// Task, transform and as many outputs as trees in a round.
Result<void> set_lightgbm_objective(FloatModel& model, const LightgbmHead& head, std::vector<std::string>& notes);

// Trees belong to the outputs in turn.
Result<void> finish_lightgbm(FloatModel& model, const LightgbmHead& head);

}  // namespace rmt::models
