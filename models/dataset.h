// SPDX-License-Identifier: MIT
// Collected events as columns of integers, as `rmt-load collect` writes them: .csv (header line), .jsonl (one object a line)
// and .npy (structured, one dimension). An array column `deltas` becomes deltas[0], deltas[1], ... Columns that hold text or
// fractions are not read; `skipped` names them, so that who asks for one is told why it is not there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::models {

struct Column {
    std::string name;
    std::string type = "i64";  // of the language; the smallest that holds the values when the format does not say
    std::vector<int64_t> values;
};

struct Dataset {
    std::vector<Column> columns;  // all of the same length
    std::vector<std::string> skipped;

    size_t rows() const { return columns.empty() ? 0 : columns[0].values.size(); }
    const Column* find(const std::string& name) const;
};

// By the extension of the path. Errors: NotFound, Environment; Input M0301 (not of its format), M0303 (a number).
Result<Dataset> read_dataset(const std::string& path);

Result<Dataset> parse_csv(std::string_view text);
Result<Dataset> parse_jsonl(std::string_view text);
Result<Dataset> parse_npy(std::string_view bytes);

// A column by name. Errors: Input M0302 with the nearest name.
Result<const Column*> need_column(const Dataset& data, const std::string& name);

// Adds column `as`: the value of `column` in the next row with the same value of `by` (empty: simply the next row). Rows
// without a next one are removed. This is how a label "what came next" is made of collected events, when none is left out
// (`sample 1/1`). Errors: Input M0302.
Result<void> add_next_column(Dataset& data, const std::string& column, const std::string& by, const std::string& as);

}  // namespace rmt::models
