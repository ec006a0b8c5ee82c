// SPDX-License-Identifier: MIT
// What the verbs that make models share: where a model goes (a file, or the store), and what is to be learned.
#pragma once

#include <filesystem>
#include <string>

#include "loader/cli/model_ref.h"
#include "models/store_files.h"
#include "models/train.h"

namespace rmt::cli {

struct Kept {
    std::string text;  // "in the store as next_delta@v3"
    Json json;
};

// The file when there is one, else a version of `name`. Errors: Input when there is neither.
Result<Kept> keep_model(const models::Model& model, const std::string& file, const std::string& name);

// "classify" or "regress". Errors: Input.
Result<models::Task> parse_task(const std::string& text);

}  // namespace rmt::cli
