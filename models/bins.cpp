// SPDX-License-Identifier: MIT
#include "models/bins.h"

#include <algorithm>

namespace rmt::models {
namespace {

constexpr size_t kMaxBins = 256;
constexpr int64_t kTable = 1 << 16;  // widest range of values that is counted and coded through a table

struct Distinct {
    int32_t value;
    size_t count;
};

std::vector<Distinct> count_values(const std::vector<int32_t>& values, int64_t min, int64_t max) {
    std::vector<Distinct> distinct;
    if (max - min < kTable) {
        std::vector<size_t> table(static_cast<size_t>(max - min + 1), 0);
        for (int32_t v : values) table[static_cast<size_t>(v - min)]++;
        for (size_t i = 0; i < table.size(); i++)
            if (table[i] > 0) distinct.push_back({static_cast<int32_t>(min + static_cast<int64_t>(i)), table[i]});
        return distinct;
    }
    std::vector<int32_t> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    for (int32_t v : sorted) {
        if (distinct.empty() || distinct.back().value != v) distinct.push_back({v, 0});
        distinct.back().count++;
    }
    return distinct;
}

// Each bin aims at an even share of the rows that are left; a value that has a share by itself stays alone.
void cut(const std::vector<Distinct>& distinct, size_t rows, BinnedColumn& column) {
    size_t left = rows, in_bin = 0;
    bool open = false, heavy = false;
    for (size_t i = 0; i < distinct.size(); i++) {
        size_t bins_left = kMaxBins - column.bins() + (open ? 1 : 0);  // the open one included
        size_t share = (left + in_bin) / bins_left + 1;
        bool alone = distinct.size() <= kMaxBins || distinct[i].count >= share;
        bool full = in_bin >= share || heavy || alone;
        if (!open || (full && column.bins() < kMaxBins)) {
            column.first.push_back(distinct[i].value);
            column.last.push_back(distinct[i].value);
            in_bin = 0;
            open = true;
        }
        column.last.back() = distinct[i].value;
        in_bin += distinct[i].count;
        left -= distinct[i].count;
        heavy = alone;
    }
}

}  // namespace

BinnedColumn make_bins(const std::vector<int32_t>& values) {
    BinnedColumn column;
    if (values.empty()) return column;
    auto [min_it, max_it] = std::minmax_element(values.begin(), values.end());
    int64_t min = *min_it, max = *max_it;
    cut(count_values(values, min, max), values.size(), column);
    column.code.resize(values.size());
    if (max - min < kTable) {
        std::vector<uint8_t> table(static_cast<size_t>(max - min + 1));
        for (size_t bin = 0; bin < column.bins(); bin++)
            for (int64_t v = column.first[bin]; v <= column.last[bin]; v++) table[static_cast<size_t>(v - min)] = static_cast<uint8_t>(bin);
        for (size_t row = 0; row < values.size(); row++) column.code[row] = table[static_cast<size_t>(values[row] - min)];
    } else {
        for (size_t row = 0; row < values.size(); row++)
            column.code[row] =
                static_cast<uint8_t>(std::lower_bound(column.last.begin(), column.last.end(), values[row]) - column.last.begin());
    }
    return column;
}

}  // namespace rmt::models
