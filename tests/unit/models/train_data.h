// SPDX-License-Identifier: MIT
// Data sets for the tests of trainers: seeded, and hard enough that a constant or one split does not do.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "models/train.h"
#include "tests/models/random_model.h"

namespace rmt::models {

// Columns x0 .. x<width-1>, uniform in 0..65535, and y = label(row of inputs).
inline Dataset uniform_rows(size_t rows, size_t width, uint64_t seed,
                            const std::function<int64_t(const std::vector<int64_t>&, std::mt19937_64&)>& label) {
    std::mt19937_64 random(seed);
    Dataset data;
    for (size_t c = 0; c < width; c++) data.columns.push_back({"x" + std::to_string(c), "i32", {}});
    data.columns.push_back({"y", "i64", {}});
    std::vector<int64_t> x(width);
    for (size_t row = 0; row < rows; row++) {
        for (size_t c = 0; c < width; c++) data.columns[c].values.push_back(x[c] = between(random, 0, 65535));
        data.columns[width].values.push_back(label(x, random));
    }
    return data;
}

// Five inputs decide, of eight; one label in twenty is wrong.
inline int64_t two_classes(const std::vector<int64_t>& x, std::mt19937_64& random) {
    bool y = (x[0] > 30000) != (x[1] + x[2] > 70000) != (x[3] > 50000 && x[4] < 20000);
    return y != (random() % 20 == 0);
}

inline int64_t four_classes(const std::vector<int64_t>& x, std::mt19937_64& random) {
    if (random() % 20 == 0) return between(random, 0, 3);
    return (x[0] + x[1] > 65536 ? 2 : 0) + (x[2] > 20000 ? 1 : 0);
}

inline TrainOptions options_of(const Dataset& data) {
    TrainOptions options;
    for (size_t c = 0; c + 1 < data.columns.size(); c++) options.inputs.push_back(data.columns[c].name);
    options.label = "y";
    options.max_depth = 6;
    options.max_nodes = 1 << 20;
    return options;
}

inline TrainOptions class_options(const Dataset& data, int64_t classes) {
    TrainOptions options = options_of(data);
    options.output = {OutputKind::Class, "u8", 0, classes - 1, {}};
    return options;
}

// Of trees and constants, not of figures or texts: what must be the same on every machine.
inline uint64_t fingerprint(const Model& model) {
    uint64_t hash = 14695981039346656037u;
    auto add = [&](int64_t value) { hash = (hash ^ static_cast<uint64_t>(value)) * 1099511628211u; };
    add(model.base), add(model.shift);
    for (const Tree& tree : model.trees)
        for (const auto* array : {&tree.feature, &tree.threshold, &tree.left, &tree.right, &tree.value})
            for (int32_t value : *array) add(value);
    return hash;
}

}  // namespace rmt::models
