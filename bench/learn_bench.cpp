// SPDX-License-Identifier: MIT
// Nanoseconds of one step and of one prediction of a learner in the kernel: learn_bench [REPETITIONS]. Prints the median of the
// repetitions, less what the empty loop costs, and the smallest and largest.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "bpf/include/rmt/learn_layout.h"

namespace {

constexpr double kRounds = 1 << 16;
constexpr size_t kRows = 4096;

struct Row {
    int32_t x[RMT_LEARN_INPUTS];
    int64_t label;
};

bool fill(const bpf_object* object) {
    void* at = mmap(nullptr, kRows * sizeof(Row), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(object, ".data.row"), 0);
    if (at == MAP_FAILED) return false;
    std::mt19937_64 random(1);
    auto* rows = static_cast<Row*>(at);
    for (size_t r = 0; r < kRows; r++) {
        rows[r].label = static_cast<int64_t>(random() % 401) - 200;
        for (int32_t& x : rows[r].x) {
            x = static_cast<int32_t>(random() % 4096) - 2048;
            rows[r].label += x / 4;
        }
    }
    munmap(at, kRows * sizeof(Row));
    return true;
}

double nanoseconds(int program) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    const auto begin = std::chrono::steady_clock::now();
    if (bpf_prog_test_run_opts(program, &options) != 0) return -1;
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / kRounds;
}

}  // namespace

int main(int argc, char** argv) {
    const int repetitions = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
    bpf_object* object = bpf_object__open_file(RMT_LEARN_BENCH, nullptr);
    if (!object || bpf_object__load(object) != 0 || !fill(object)) {
        std::fprintf(stderr, "error: cannot load %s: %s\n", RMT_LEARN_BENCH, std::strerror(errno));
        return 1;
    }
    cpu_set_t one;  // each CPU has learners of its own
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) std::perror("warning: sched_setaffinity");
    std::vector<const bpf_program*> programs;
    bpf_program* program;
    bpf_object__for_each_program(program, object) programs.push_back(program);
    std::vector<std::vector<double>> times(programs.size());
    for (int i = 0; i < repetitions + 1; i++)  // round and round, so that a busy moment does not hit one of them alone
        for (size_t p = 0; p < programs.size(); p++) {
            const double ns = nanoseconds(bpf_program__fd(programs[p]));
            if (i > 0) times[p].push_back(ns);
        }
    double empty = 0;
    for (size_t p = 0; p < programs.size(); p++) {
        std::sort(times[p].begin(), times[p].end());
        const double median = times[p][times[p].size() / 2];
        if (std::strcmp(bpf_program__name(programs[p]), "empty") == 0) empty = median;
        std::printf("%-18s %7.1f ns  (%.1f .. %.1f)\n", bpf_program__name(programs[p]), median - empty, times[p].front() - empty, times[p].back() - empty);
    }
    bpf_object__close(object);
    return 0;
}
