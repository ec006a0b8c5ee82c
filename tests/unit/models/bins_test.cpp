// SPDX-License-Identifier: MIT
#include "models/bins.h"

#include <map>
#include <random>

#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

void check_order(const std::vector<int32_t>& values, const BinnedColumn& column) {
    REQUIRE(column.code.size() == values.size());
    REQUIRE(column.bins() <= 256);
    for (size_t i = 0; i < values.size(); i++) {
        size_t bin = column.code[i];
        REQUIRE(column.first[bin] <= values[i]);
        REQUIRE(values[i] <= column.last[bin]);
    }
    for (size_t bin = 1; bin < column.bins(); bin++) {
        REQUIRE(column.last[bin - 1] < column.first[bin]);
        int32_t t = column.threshold(bin - 1, bin);
        REQUIRE(column.last[bin - 1] <= t);
        REQUIRE(t < column.first[bin]);
    }
}

}  // namespace

TEST_CASE("bins: few values each have their own, however far apart") {
    for (int64_t step : {1, 1000, 8000000}) {
        std::vector<int32_t> values;
        for (int i = 0; i < 3000; i++) values.push_back(static_cast<int32_t>((i % 256 - 128) * step));
        BinnedColumn column = make_bins(values);
        CHECK(column.bins() == 256);
        check_order(values, column);
    }
}

TEST_CASE("bins: many values share, frequent ones do not") {
    std::mt19937_64 random(1);
    for (int64_t span : {5000, 2000000000}) {
        std::vector<int32_t> values;
        for (int i = 0; i < 20000; i++) values.push_back(i % 3 == 0 ? 17 : static_cast<int32_t>(random() % static_cast<uint64_t>(span)));
        BinnedColumn column = make_bins(values);
        check_order(values, column);
        CHECK(column.bins() > 200);
        size_t bin = column.code[0];
        CHECK(column.first[bin] == 17);
        CHECK(column.last[bin] == 17);
        std::map<uint8_t, size_t> counts;
        for (uint8_t code : column.code) counts[code]++;
        counts.erase(static_cast<uint8_t>(bin));
        for (auto [code, count] : counts) CHECK(count < 3 * 13333 / 200);
    }
}

TEST_CASE("bins: one value, the ends of the domain") {
    CHECK(make_bins({5, 5, 5}).bins() == 1);
    CHECK(make_bins({}).bins() == 0);
    std::vector<int32_t> ends = {-(1 << 30), 1 << 30, -(1 << 30)};
    BinnedColumn column = make_bins(ends);
    check_order(ends, column);
    CHECK(column.threshold(0, 1) == -1);
}
