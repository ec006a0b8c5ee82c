// SPDX-License-Identifier: MIT
// The trainers' own speed, driven by bench/train_bench.py, which interleaves it with another library:
//   train_bench TRAIN.npy TEST.npy    then one line for each training on stdin: KIND ROUNDS DEPTH (kinds: tree, gbt)
// Answers each line by one line of JSON: seconds from integers in memory to a checked model, and accuracy on TEST.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <sstream>

#include "models/boost.h"
#include "models/train.h"

namespace {

using namespace rmt;
using namespace rmt::models;

constexpr char kLabel[] = "y";

Result<TrainReport> train(const Dataset& data, const std::string& kind, uint32_t rounds, uint32_t depth) {
    BoostOptions options;
    TrainOptions& common = options.common;
    for (const Column& column : data.columns)
        if (column.name != kLabel) common.inputs.push_back(column.name);
    common.label = kLabel;
    common.output = {OutputKind::Class, "u8", 0, 1, {}};
    common.max_depth = depth;
    common.max_nodes = 1 << 20;
    common.holdout = 0;
    options.trees = rounds;
    return kind == "tree" ? train_tree(data, common) : train_boost(data, options);
}

int serve(const Dataset& data, const Dataset& test) {
    std::vector<uint32_t> rows(test.rows());
    std::iota(rows.begin(), rows.end(), 0u);
    std::string line, kind;
    for (uint32_t rounds = 0, depth = 0; std::getline(std::cin, line);) {
        std::istringstream words(line);
        if (!(words >> kind >> rounds >> depth)) return 2;
        auto start = std::chrono::steady_clock::now();
        auto report = train(data, kind, rounds, depth);
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        if (!report) {
            std::fprintf(stderr, "train_bench: %s\n", report.error().message.c_str());
            return 1;
        }
        auto figures = evaluate(report->model, test, kLabel, rows, 0);
        if (!figures) return 1;
        std::printf("{\"seconds\": %.6f, \"accuracy\": %.5f, \"nodes\": %u}\n", took.count(), figures->accuracy(),
                    model_nodes(report->model));
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: train_bench TRAIN.npy TEST.npy < lines of KIND ROUNDS DEPTH\n");
        return 2;
    }
    auto data = read_dataset(argv[1]);
    auto test = read_dataset(argv[2]);
    for (const auto* read : {&data, &test}) {
        if (*read) continue;
        std::fprintf(stderr, "train_bench: %s\n", read->error().message.c_str());
        return 1;
    }
    return serve(*data, *test);
}
