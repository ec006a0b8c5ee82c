// SPDX-License-Identifier: MIT
// Where a model that was made goes: a file, or the store.
#pragma once

#include <filesystem>
#include <string>

#include "loader/cli/model_ref.h"
#include "models/store_files.h"

namespace rmt::cli {

struct Kept {
    std::string text;  // "in the store as next_delta@v3"
    Json json;
};

// The file when there is one, else a version of `name`. Errors: Input when there is neither.
Result<Kept> keep_model(const models::Model& model, const std::string& file, const std::string& name);

}  // namespace rmt::cli
