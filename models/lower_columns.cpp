// SPDX-License-Identifier: MIT
#include "models/lower_columns.h"

#include <algorithm>
#include <set>

namespace rmt::models {
namespace {

constexpr int32_t kMembers = 64;  // in one word of a set

using Key = std::pair<int32_t, bool>;

Key key_of(const Tree& tree, size_t node) { return {tree.feature[node], !tree.default_left.empty() && tree.default_left[node] != 0}; }

rmt_model_derive entry(const Model& model, size_t input, bool left, uint32_t to) {
    const ModelInput& from = model.inputs[input];
    rmt_model_derive d = {};
    d.lo = static_cast<int32_t>(from.min);
    d.span = static_cast<uint32_t>(from.max - from.min);
    // Without a number for "missing" one that the range check has refused before.
    d.missing = static_cast<int32_t>(from.missing.value_or(INT32_MIN));
    d.fill = left ? RMT_MODEL_BELOW : RMT_MODEL_ABOVE;
    d.from = static_cast<uint8_t>(input);
    d.to = static_cast<uint8_t>(to);
    return d;
}

// One word for each stretch of 64 numbers that has members.
void add_set(const Model& model, const CategorySet& set, bool left, uint32_t to, std::vector<rmt_model_derive>& derive) {
    for (size_t i = 0; i < set.members.size();) {
        rmt_model_derive d = entry(model, static_cast<size_t>(set.input), left, to);
        d.lo = set.members[i];
        d.span = kMembers - 1;
        d.more = i > 0;
        for (; i < set.members.size() && int64_t{set.members[i]} - d.lo < kMembers; i++) d.mask |= uint64_t{1} << (set.members[i] - d.lo);
        derive.push_back(d);
    }
}

}  // namespace

uint32_t Columns::slot_of(const Tree& tree, size_t node) const { return slots.at(key_of(tree, node)); }

Columns plan_columns(const Model& model) {
    std::set<Key> asked;
    for (const Tree& tree : model.trees)
        for (size_t node = 0; node < tree.size(); node++)
            if (!tree.is_leaf(node)) asked.insert(key_of(tree, node));
    Columns columns;
    const auto inputs = static_cast<int32_t>(model.inputs.size());
    columns.used = static_cast<uint32_t>(inputs);
    std::vector<rmt_model_derive> in_place;
    for (const Key& key : asked) {
        const auto [feature, left] = key;
        if (feature >= inputs) {
            columns.slots[key] = columns.used;
            add_set(model, model.sets[static_cast<size_t>(feature - inputs)], left, columns.used++, columns.derive);
        } else if (left && asked.contains({feature, false})) {  // the other side has the input's own slot
            columns.slots[key] = columns.used;
            columns.derive.push_back(entry(model, static_cast<size_t>(feature), left, columns.used++));
        } else {
            columns.slots[key] = static_cast<uint32_t>(feature);
        }
    }
    for (int32_t i = 0; i < inputs; i++) {
        if (!model.inputs[static_cast<size_t>(i)].missing) continue;
        bool left = !asked.contains({i, false});
        columns.derive.push_back(entry(model, static_cast<size_t>(i), left, static_cast<uint32_t>(i)));
    }
    return columns;
}

}  // namespace rmt::models
