// SPDX-License-Identifier: MIT
// How many samples of a new workload a model needs: adapted from a model of other workloads, against one from nothing.
//   warm_bench [SEEDS [FIRST [PART]]]    10 seeds from 1 on; each: 24 workloads to learn from, 10 others to adapt to; PART: of the titles
// The model from nothing is shown with the best of four settings, chosen with hindsight for each line.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "bench/delta_streams.h"

using namespace rmt;
using namespace rmt::models;

namespace {

constexpr size_t kWorkloads = 10, kRows = 4000;
constexpr size_t kSamples[] = {2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024};
constexpr size_t kCounts = std::size(kSamples);

struct Sum {
    double mean = 0, low = 1, high = 0;  // over seeds
    void add(double x, size_t seeds) { mean += x / static_cast<double>(seeds), low = std::min(low, x), high = std::max(high, x); }
};

struct Curve {  // of one workload
    double as_it_is = 0;
    FewShot at[kCounts];
};

Result<std::vector<Curve>> measure(const DeltaTrainer& trainer, uint64_t seed) {
    RMT_TRY(const Model meta, meta_model(trainer, seed));
    std::mt19937_64 random(seed + 1000000);
    std::vector<Curve> curves(kWorkloads);
    for (Curve& curve : curves) {
        Dataset workload;
        add_workload(workload, trainer.question, kRows, random);
        RMT_TRY(curve.as_it_is, accuracy_after(meta, workload, 0));
        for (size_t s = 0; s < kCounts; s++) {
            RMT_TRY(curve.at[s], few_shot(meta, workload, kSamples[s], trainer));
        }
    }
    return curves;
}

// The fewest samples from which on the accuracy is at least that; 0 when the old model as it is has it and it is never lost. When
// not even the most samples do, twice as many.
template <class Accuracy>
double needed(double target, double at_nothing, const Accuracy& accuracy) {
    size_t from = kCounts;
    while (from > 0 && accuracy(from - 1) >= target) from--;
    if (from == 0 && at_nothing >= target) return 0;
    return from == kCounts ? 2.0 * static_cast<double>(kSamples[kCounts - 1]) : static_cast<double>(kSamples[from]);
}

void print_needed(const std::vector<Curve>& curves, double share) {
    double warm = 0, scratch[kSettings] = {};
    std::vector<double> of_warm, of_scratch[kSettings];
    for (const Curve& curve : curves) {
        double target = 0;
        for (double final : curve.at[kCounts - 1].scratch) target = std::max(target, share * final);
        of_warm.push_back(needed(target, curve.as_it_is, [&](size_t s) { return curve.at[s].warm; }));
        warm += of_warm.back() / static_cast<double>(curves.size());
        for (size_t k = 0; k < kSettings; k++) {
            of_scratch[k].push_back(needed(target, 0, [&](size_t s) { return curve.at[s].scratch[k]; }));
            scratch[k] += of_scratch[k].back() / static_cast<double>(curves.size());
        }
    }
    const size_t best = static_cast<size_t>(std::min_element(scratch, scratch + kSettings) - scratch);
    size_t fewer = 0, more = 0;
    for (size_t i = 0; i < of_warm.size(); i++) fewer += of_warm[i] < of_scratch[best][i], more += of_warm[i] > of_scratch[best][i];
    const auto median = [](std::vector<double> list) {
        std::sort(list.begin(), list.end());
        return list[list.size() / 2];
    };
    std::printf("%.0f %% of the final accuracy: warm %.1f samples (median %.0f), from nothing %.1f (median %.0f), warm / from nothing %.2f; fewer for %zu, more for %zu of %zu workloads\n",
                100 * share, warm, median(of_warm), scratch[best], median(of_scratch[best]), warm / scratch[best], fewer, more, of_warm.size());
}

Result<void> run(const char* title, const DeltaTrainer& trainer, size_t seeds, uint64_t first) {
    std::vector<Curve> all;
    Sum as_it_is, warm[kCounts], scratch[kCounts][kSettings];
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        RMT_TRY(const std::vector<Curve> curves, measure(trainer, seed));
        const auto mean = [&](const auto& of) {
            double sum = 0;
            for (const Curve& curve : curves) sum += of(curve) / kWorkloads;
            return sum;
        };
        as_it_is.add(mean([](const Curve& c) { return c.as_it_is; }), seeds);
        for (size_t s = 0; s < kCounts; s++) {
            warm[s].add(mean([&](const Curve& c) { return c.at[s].warm; }), seeds);
            for (size_t k = 0; k < kSettings; k++) scratch[s][k].add(mean([&](const Curve& c) { return c.at[s].scratch[k]; }), seeds);
        }
        all.insert(all.end(), curves.begin(), curves.end());
    }
    std::printf("%s\nsamples   warm start             from nothing           setting\n", title);
    std::printf("%7d   %.3f (%.3f..%.3f)\n", 0, as_it_is.mean, as_it_is.low, as_it_is.high);
    for (size_t s = 0; s < kCounts; s++) {
        const auto best = static_cast<size_t>(std::max_element(scratch[s], scratch[s] + kSettings, [](const Sum& a, const Sum& b) { return a.mean < b.mean; }) - scratch[s]);
        const Sum &a = warm[s], &b = scratch[s][best];
        std::printf("%7zu   %.3f (%.3f..%.3f)   %.3f (%.3f..%.3f)   %zu\n", kSamples[s], a.mean, a.low, a.high, b.mean, b.low, b.high, best);
    }
    for (double share : {0.9, 0.95, 0.98}) print_needed(all, share);
    std::fflush(stdout);
    return {};
}

Result<void> run_all(size_t seeds, uint64_t first, const std::string& part) {
    const struct {
        const char* title;
        DeltaTrainer trainer;
    } subjects[] = {
        {"which delta comes again, one tree", {Question::Lags, Learner::Tree}},
        {"which delta comes again, boosted trees", {Question::Lags, Learner::Boosted}},
        {"which delta comes again, mlp", {Question::Lags, Learner::Mlp}},
        {"will a page be touched again, one tree", {Question::Reuse, Learner::Tree}},
        {"will a page be touched again, boosted trees", {Question::Reuse, Learner::Boosted}},
        {"will a page be touched again, mlp", {Question::Reuse, Learner::Mlp}},
        {"the next delta, one tree", {Question::Values, Learner::Tree}},
    };
    for (const auto& [title, trainer] : subjects)
        if (std::string(title).find(part) != std::string::npos) RMT_CHECK(run(title, trainer, seeds, first));
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    auto done = run_all(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10, argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1, argc > 3 ? argv[3] : "");
    if (done) return 0;
    std::fprintf(stderr, "warm_bench: %s\n", done.error().message.c_str());
    return 1;
}
