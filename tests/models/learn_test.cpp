// SPDX-License-Identifier: MIT
// Learning in fixed point in the kernel: rounded steps converge and stay, plain shifts do not; kernel and native compile keep the
// same weights bit for bit.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

// The engine's header itself: C++ only needs its structs.
#define rmt_engine_inline static inline
#define rmt_engine_unroll
#define rmt_engine_for(i, end) for (i = 0; i < (end); i++)
#include "bpf/include/rmt/learn.bpf.h"
#include "tests/models/learn_native.h"
#include "tests/rmt_test.h"

namespace {

constexpr size_t kRows = 4096;
constexpr rmt_learn_setup kSetup = {6, RMT_LEARN_INPUTS, {}};

struct Row {
    int32_t x[RMT_LEARN_INPUTS];
    int64_t label;
};
struct Learners {
    rmt_learn_linear linear[2];
    rmt_learn_mlp mlp[2];
};

class Kernel {
public:
    Kernel() {
        libbpf_set_print(nullptr);
        object_ = bpf_object__open_file(RMT_ENGINE_DIR "/learn_engine.bpf.o", nullptr);
        if (!object_) {
            error = "cannot open the object";
            return;
        }
        if (int e = bpf_object__load(object_); e) {
            error = std::string("cannot load: ") + std::strerror(-e);
            forbidden = e == -EPERM || e == -EACCES;
            return;
        }
        rows = static_cast<Row*>(map(".data.row", kRows * sizeof(Row)));
        learners = static_cast<Learners*>(map(".data.learner", sizeof(Learners)));
        if (!rows || !learners) error = "cannot map the tables";
    }
    ~Kernel() { bpf_object__close(object_); }
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    int run(const char* program) {
        LIBBPF_OPTS(bpf_test_run_opts, options);
        return bpf_prog_test_run_opts(bpf_program__fd(bpf_object__find_program_by_name(object_, program)), &options);
    }

    Row* rows = nullptr;
    Learners* learners = nullptr;
    std::string error;
    bool forbidden = false;

private:
    void* map(const char* name, size_t size) {
        void* at = mmap(nullptr, (size + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(object_, name), 0);
        return at == MAP_FAILED ? nullptr : at;
    }
    bpf_object* object_ = nullptr;
};

const int kWeights[RMT_LEARN_INPUTS] = {37, -20, 11, 5, -64, 90, -8, 0};

void fill(Row* rows, std::mt19937_64& random, bool bent) {
    for (size_t r = 0; r < kRows; r++) {
        int64_t y = 0;
        for (int i = 0; i < RMT_LEARN_INPUTS; i++) {
            rows[r].x[i] = static_cast<int32_t>(random() % 256) - 128;
            y += int64_t{kWeights[i]} * rows[r].x[i];
        }
        rows[r].label = bent ? (y < 0 ? -y : y) >> 4 : y >> 5;
    }
}

template <class L>
double mean_square(const L& learner) {
    return static_cast<double>(learner.score.squares) / static_cast<double>(learner.score.steps);
}

}  // namespace

TEST_CASE("learning: a linear model converges to less than a unit, in the kernel as natively") {
    Kernel kernel;
    if (kernel.forbidden) RMT_SKIP("may not load BPF programs: " + kernel.error);
    REQUIRE(kernel.error == "");
    std::mt19937_64 random(1);
    Learners native = {};
    fill(kernel.rows, random, false);
    for (int pass = 0; pass < 8; pass++) {
        for (auto* both : {kernel.learners->linear, native.linear})
            for (int k = 0; k < 2; k++) both[k].score.steps = both[k].score.squares = 0;
        REQUIRE(kernel.run("linear") == 0);
        for (size_t r = 0; r < kRows; r++)
            for (int k = 0; k < 2; k++) rmt_native_learn_linear(&native.linear[k], kernel.rows[r].x, kernel.rows[r].label, &kSetup, k == 0);
        REQUIRE(std::memcmp(native.linear, kernel.learners->linear, sizeof native.linear) == 0);
    }
    CHECK(mean_square(native.linear[0]) < 1);
    CHECK(mean_square(native.linear[0]) < mean_square(native.linear[1]));
}

TEST_CASE("learning: an MLP converges with rounding, and drifts away with a plain shift") {
    Kernel kernel;
    if (kernel.forbidden) RMT_SKIP("may not load BPF programs: " + kernel.error);
    REQUIRE(kernel.error == "");
    std::mt19937_64 random(2);
    Learners native = {};
    double first[2] = {};
    for (int pass = 0; pass < 64; pass++) {
        fill(kernel.rows, random, true);
        for (auto* both : {kernel.learners->mlp, native.mlp})
            for (int k = 0; k < 2; k++) both[k].score.steps = both[k].score.squares = 0;
        REQUIRE(kernel.run("mlp") == 0);
        for (size_t r = 0; r < kRows; r++)
            for (int k = 0; k < 2; k++) rmt_native_learn_mlp(&native.mlp[k], kernel.rows[r].x, kernel.rows[r].label, &kSetup, k == 0);
        REQUIRE(std::memcmp(native.mlp, kernel.learners->mlp, sizeof native.mlp) == 0);
        if (pass == 0)
            for (int k = 0; k < 2; k++) first[k] = mean_square(native.mlp[k]);
    }
    INFO("mean squares: first pass " << first[0] << " and " << first[1] << ", last " << mean_square(native.mlp[0]) << " and " << mean_square(native.mlp[1]));
    CHECK(mean_square(native.mlp[0]) < first[0] / 50);   // rounded: it learns
    CHECK(mean_square(native.mlp[1]) > first[1] / 5);    // plain: hardly, and then it loses it
    CHECK(mean_square(native.mlp[1]) > 20 * mean_square(native.mlp[0]));
}

TEST_CASE("learning: whatever inputs and labels come, weights stay within their limits") {
    std::mt19937_64 random(3);
    rmt_learn_linear line = {};
    rmt_learn_mlp net = {};
    rmt_learn_setup setup = {4, RMT_LEARN_INPUTS, {-7, -4, 0, 1, 4, 8, 16, 22}};
    for (int n = 0; n < 100000; n++) {
        int32_t x[RMT_LEARN_INPUTS];
        for (int32_t& one : x) one = static_cast<int32_t>(random());
        const auto label = static_cast<int64_t>(random()) >> (random() % 50);
        rmt_native_learn_linear(&line, x, label / 4, &setup, 1);
        rmt_native_learn_mlp(&net, x, label / 4, &setup, 1);
        for (__s64 weight : line.weight) REQUIRE(std::abs(weight) <= int64_t{RMT_LEARN_WEIGHT} << 8);
        for (__s64 weight : net.second) REQUIRE(std::abs(weight) <= RMT_LEARN_WEIGHT);
    }
}
