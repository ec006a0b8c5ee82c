// SPDX-License-Identifier: MIT
// Models that learn in the kernel, seen from outside: what each CPU has learned, how well, and forgetting it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cmath>
#include <cstring>

#include "loader/live.h"
#include "loader/system_error.h"

namespace rmt::load {

namespace {

size_t learner_size(const ManifestModel& model) { return model.online->kind == OnlineKind::Linear ? sizeof(rmt_learn_linear) : sizeof(rmt_learn_mlp); }

// A moving mean that began at 0 weighs only so much after n steps.
double moving_mean(uint64_t sum, uint64_t n) {
    const double window = 1 << RMT_LEARN_WINDOW_BITS;
    return static_cast<double>(sum) / (window * (1 - std::pow(1 - 1 / window, static_cast<double>(n))));
}

}  // namespace

Result<std::vector<std::vector<uint8_t>>> LivePolicy::learners(const ManifestModel& model) const {
    RMT_TRY(const int fd, map("rmt_online_" + model.name));
    // The kernel pads each CPU's value to 8 bytes; both structs are so already.
    const size_t size = learner_size(model);
    std::vector<uint8_t> all(size * static_cast<size_t>(libbpf_num_possible_cpus()));
    const __u32 zero = 0;
    if (bpf_map_lookup_elem(fd, &zero, all.data()) != 0) return system_error("cannot read what '" + model.name + "' has learned");
    std::vector<std::vector<uint8_t>> cpus;
    for (size_t at = 0; at < all.size(); at += size) cpus.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(at + size));
    return cpus;
}

Result<OnlineFigures> LivePolicy::online_figures(const ManifestModel& model) const {
    RMT_TRY(const std::vector<std::vector<uint8_t>> cpus, learners(model));
    OnlineFigures figures;
    for (const std::vector<uint8_t>& cpu : cpus) {
        rmt_learn_score score;  // both structs begin with it
        std::memcpy(&score, cpu.data(), sizeof score);
        if (!score.begun || !score.steps) continue;
        const auto n = static_cast<double>(score.steps);
        figures.cpus++;
        figures.answering += score.steps >= model.online->after;
        figures.steps += score.steps;
        figures.error += n * moving_mean(score.recent, score.steps);
        figures.error_of_mean += n * moving_mean(score.spread, score.steps);
    }
    if (figures.steps == 0) return figures;
    figures.error /= static_cast<double>(figures.steps);
    figures.error_of_mean /= static_cast<double>(figures.steps);
    return figures;
}

// Zeros: the next step on each CPU begins anew, and one that is under way can spoil nothing (learn.bpf.h).
Result<void> LivePolicy::forget(const ManifestModel& model) const {
    RMT_TRY(const int fd, map("rmt_online_" + model.name));
    const std::vector<uint8_t> none(learner_size(model) * static_cast<size_t>(libbpf_num_possible_cpus()));
    const __u32 zero = 0;
    if (bpf_map_update_elem(fd, &zero, none.data(), BPF_EXIST) != 0) return system_error("cannot reset '" + model.name + "'");
    return {};
}

}  // namespace rmt::load
