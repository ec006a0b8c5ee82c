// SPDX-License-Identifier: MIT
// How many samples of a new workload a model needs: adapted from a model of other workloads, against one from nothing.
//   warm_bench [SEEDS [FIRST]]    10 seeds from 1 on; each: 24 workloads to learn from, 10 others to adapt to
// The model from nothing is shown with the best of four values of `min leaf`, chosen with hindsight for each line.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "bench/delta_streams.h"

using namespace rmt;
using namespace rmt::models;

namespace {

constexpr size_t kWorkloads = 10, kRows = 4000;
constexpr size_t kSamples[] = {8, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024};
constexpr uint32_t kMinLeaf[] = {1, 2, 4, 8};

struct Sum {
    double mean = 0, low = 1, high = 0;  // over seeds
    void add(double x, size_t seeds) { mean += x / static_cast<double>(seeds), low = std::min(low, x), high = std::max(high, x); }
};

Result<void> run(const char* title, DeltaTrainer trainer, size_t seeds, uint64_t first) {
    std::vector<Sum> warm(std::size(kSamples));
    std::vector<std::vector<Sum>> scratch(std::size(kSamples), std::vector<Sum>(std::size(kMinLeaf)));
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        trainer.min_leaf = TrainOptions().min_leaf;
        RMT_TRY(const Model meta, meta_model(trainer, seed));
        std::mt19937_64 random(seed + 1000000);
        std::vector<Dataset> workloads(kWorkloads);
        for (Dataset& workload : workloads) add_workload(workload, trainer.question, random_period(random), kRows, random);
        for (size_t s = 0; s < std::size(kSamples); s++) {
            double adapted = 0;
            for (size_t leaf = 0; leaf < std::size(kMinLeaf); leaf++) {
                trainer.min_leaf = kMinLeaf[leaf];
                double fresh = 0;
                for (const Dataset& workload : workloads) {
                    RMT_TRY(const FewShot one, few_shot(meta, workload, kSamples[s], trainer));
                    fresh += one.scratch / kWorkloads;
                    if (leaf == 0) adapted += one.warm / kWorkloads;
                }
                scratch[s][leaf].add(fresh, seeds);
            }
            warm[s].add(adapted, seeds);
        }
    }
    std::printf("%s\nsamples   warm start             from nothing           min leaf\n", title);
    for (size_t s = 0; s < std::size(kSamples); s++) {
        size_t best = 0;
        for (size_t leaf = 1; leaf < std::size(kMinLeaf); leaf++)
            if (scratch[s][leaf].mean > scratch[s][best].mean) best = leaf;
        const Sum &a = warm[s], &b = scratch[s][best];
        std::printf("%7zu   %.3f (%.3f..%.3f)   %.3f (%.3f..%.3f)   %u\n", kSamples[s], a.mean, a.low, a.high, b.mean, b.low, b.high,
                    kMinLeaf[best]);
    }
    return {};
}

Result<void> run_all(size_t seeds, uint64_t first) {
    RMT_CHECK(run("which delta comes again, boosted trees", {Question::Lags, true}, seeds, first));
    RMT_CHECK(run("which delta comes again, one tree", {Question::Lags, false}, seeds, first));
    return run("the next delta, one tree", {Question::Values, false}, seeds, first);
}

}  // namespace

int main(int argc, char** argv) {
    auto done = run_all(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10, argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1);
    if (done) return 0;
    std::fprintf(stderr, "warm_bench: %s\n", done.error().message.c_str());
    return 1;
}
