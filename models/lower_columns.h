// SPDX-License-Identifier: MIT
// Which slot of the feature vector each node asks for. An input that may be missing counts as below everything where missing
// goes left, and as above everything where it goes right: one column for each side that the trees use, the first one in
// the input's own slot. A category set is a column of 0 and 1.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "bpf/include/rmt/model_layout.h"
#include "models/model.h"

namespace rmt::models {

struct Columns {
    std::map<std::pair<int32_t, bool>, uint32_t> slots;  // of feature and default side (false where nothing is missing)
    std::vector<rmt_model_derive> derive;                // in the engine's order
    uint32_t used = 0;                                   // slots, without the sentinel's

    uint32_t slot_of(const Tree& tree, size_t node) const;
};

Columns plan_columns(const Model& model);

}  // namespace rmt::models
