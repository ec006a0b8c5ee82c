// SPDX-License-Identifier: MIT
// What a decision costs, as ratios: the engine in the kernel against the same model as native C (clang -O3, if/else), against
// a lookup in a hash map, and what a swap adds. Complete random trees on inputs that are all different: no branch can be
// predicted. Each inference waits for the answer before it, in the kernel as natively, and the same loop without inference is
// subtracted. All subjects are run in turn, slice by slice; a repetition keeps the smallest figure of each and gives one ratio;
// the table shows the median of the repetitions and the smallest and largest. Ratios hold on a busy machine, nanoseconds less.
//
//   model_bench [--json] [repetitions [rounds]]      (default 7 repetitions of 30 rounds; must be able to load BPF programs)
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "models/reference.h"
#include "tests/models/engine_host.h"
#include "tests/models/random_model.h"

using namespace rmt::models;
using rmt::EngineKind;
using rmt::ModelClass;

namespace {

constexpr uint32_t kRows = 16384;
constexpr uint32_t kMostBranches = 60000;  // clang does not finish on if/else of more

struct Subject {
    const char* name;
    ModelClass shape;
    RandomShape random;
};

RandomShape tree(uint32_t depth) { return {.depth = depth, .inputs = 8, .span = 30000, .complete = true, .bisect = true}; }
RandomShape forest(ModelKind kind, uint32_t trees, uint32_t depth) {
    RandomShape shape = tree(depth);
    shape.kind = kind, shape.trees = trees, shape.shift = 12;
    return shape;
}

const Subject kSubjects[] = {
    {"tree depth 4", {1, 4, 256}, tree(4)},
    {"tree depth 8", {1, 8, 512}, tree(8)},
    {"tree depth 12", {1, 12, 8192}, tree(12)},
    {"tree depth 16", {1, 16, 131072}, tree(16)},
    {"forest 12 x 6", {12, 8, 2048, EngineKind::Forest}, forest(ModelKind::Forest, 12, 6)},
    {"forest 100 x 6", {100, 8, 16384, EngineKind::Forest}, forest(ModelKind::Forest, 100, 6)},
    {"forest 100 x 8", {100, 8, 65536, EngineKind::Forest}, forest(ModelKind::Forest, 100, 8)},
    {"oblivious 1 x 8", {4, 8, 1024, EngineKind::Oblivious}, forest(ModelKind::Oblivious, 1, 8)},
    {"oblivious 100 x 6", {100, 6, 8192, EngineKind::Oblivious}, forest(ModelKind::Oblivious, 100, 6)},
};

using IfElse = int64_t (*)(const int32_t*);

void write_node(FILE* out, const Tree& tree, int32_t at) {
    const auto node = static_cast<size_t>(at);
    if (tree.is_leaf(node)) {
        std::fprintf(out, "return %d;", tree.value[node]);
        return;
    }
    std::fprintf(out, "if(f[%d]<=%d){", tree.feature[node], tree.threshold[node]);
    write_node(out, tree, tree.left[node]);
    std::fprintf(out, "}else{");
    write_node(out, tree, tree.right[node]);
    std::fprintf(out, "}\n");
}

// The model as C, compiled with -O3 and opened; nullptr when it is too large or the compiler fails.
IfElse compile_if_else(const Model& model, const std::string& folder, const std::string& name) {
    if (model_nodes(model) > kMostBranches) return nullptr;
    const std::string source = folder + "/model.c", library = folder + "/" + name + ".so";
    FILE* out = std::fopen(source.c_str(), "w");
    if (!out) return nullptr;
    for (size_t i = 0; i < model.trees.size(); i++) {
        std::fprintf(out, "static long long t%zu(const int*f){", i);
        write_node(out, model.trees[i], 0);
        std::fprintf(out, "}\n");
    }
    std::fprintf(out, "long long infer(const int*f){return %lldLL", static_cast<long long>(model.base));
    for (size_t i = 0; i < model.trees.size(); i++) std::fprintf(out, "+t%zu(f)", i);
    std::fprintf(out, ";}\n");
    std::fclose(out);
    const std::string command = std::string(RMT_BPF_CLANG) + " -O3 -shared -fPIC -w -o '" + library + "' '" + source + "'";
    if (std::system(command.c_str()) != 0) return nullptr;
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    return handle ? reinterpret_cast<IfElse>(dlsym(handle, "infer")) : nullptr;
}

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point begin) { return std::chrono::duration<double, std::nano>(Clock::now() - begin).count(); }

int64_t no_inference(const int32_t* f) { return f[3]; }

// A model in the kernel and, where it compiles, as native branches.
class Running {
public:
    Running(const Subject& subject, const std::string& folder) : subject_(subject), engine_(RMT_ENGINE_DIR, subject.shape) {
        if (!engine_.error().empty()) {
            error_ = engine_.error();
            return;
        }
        std::mt19937_64 random(1);
        const Model model = random_model(random, subject.random);
        auto value = lower_model(model, subject.shape);
        if (!value || engine_.swap(*value) != 0) {
            error_ = value ? "cannot swap the model in" : value.error().message;
            return;
        }
        value_ = *value;
        for (uint32_t i = 0; i < kRows; i++)
            for (uint32_t k = 0; k < subject.random.inputs; k++)
                engine_.row(i)[k] = static_cast<int32_t>(between(random, -subject.random.span, subject.random.span));
        if (engine_.map("hash") >= 0)
            for (uint32_t key = 0; key < 1024; key++) {
                const uint64_t number = key;
                bpf_map_update_elem(engine_.map("hash"), &key, &number, BPF_ANY);
            }
        branches_ = compile_if_else(model, folder, engine_name(subject.shape));
    }

    const Subject& subject() const { return subject_; }
    const std::string& error() const { return error_; }
    bool has_branches() const { return branches_ != nullptr; }
    uint32_t verified() const { return engine_.verified_insns("one"); }
    Engine& engine() { return engine_; }
    const std::vector<uint8_t>& value() const { return value_; }

    double kernel(const char* program, uint32_t rows) {
        const auto begin = Clock::now();
        engine_.run_chain(program, turn_ += rows, rows);
        return ns_since(begin) / rows;
    }
    double native(bool empty, uint32_t rows) {
        const IfElse infer = empty ? no_inference : branches_;
        volatile uint64_t sink = 0, zero = 0;
        turn_ += rows;
        const auto begin = Clock::now();
        for (uint32_t i = 0; i < rows; i++) {
            int32_t f[RMT_MODEL_SLOTS];
            std::memcpy(f, engine_.row((turn_ + i + static_cast<uint32_t>(sink & zero)) % kRows), sizeof f);
            asm volatile("" : : "r"(f) : "memory");
            sink = static_cast<uint64_t>(infer(f));
        }
        return ns_since(begin) / rows;
    }

private:
    const Subject& subject_;
    Engine engine_;
    std::vector<uint8_t> value_;
    IfElse branches_ = nullptr;
    uint32_t turn_ = 0;
    std::string error_;
};

// The smallest figures of one repetition, net of the loop around them.
struct Figures {
    double kernel = 1e18, kernel_empty = 1e18, branches = 1e18, native_empty = 1e18, hash = 1e18;
    double kernel_net() const { return kernel - kernel_empty; }
    double branches_net() const { return branches - native_empty; }
    double hash_net() const { return hash - kernel_empty; }
};

void measure(Running& running, Figures& best) {
    auto keep = [](double& smallest, double ns) { smallest = std::min(smallest, ns); };
    // Slices of a fraction of a millisecond, shorter than the scheduler's, so that some run undisturbed.
    const auto rows = static_cast<uint32_t>(best.kernel < 1e17 ? std::clamp(5e5 / best.kernel, 256.0, double{kRows}) : 256.0);
    keep(best.kernel, running.kernel("chain", rows));
    if (running.has_branches()) keep(best.branches, running.native(false, rows));
    keep(best.hash, running.kernel("chain_hash", 8192));
    keep(best.kernel_empty, running.kernel("chain_none", 8192));
    keep(best.native_empty, running.native(true, 8192));
}

// What a swap costs whoever asks the model: inferences while the model is swapped all the time, against none.
struct SwapFigures {
    double quiet = 1e18, swapping = 1e18, latency_ms = 0;
    uint64_t swaps = 0;
};

SwapFigures measure_swaps(Running& running, int rounds) {
    SwapFigures out;
    for (int round = 0; round < rounds; round++) out.quiet = std::min(out.quiet, running.kernel("chain", 8192));
    std::atomic<bool> done = false;
    std::atomic<uint64_t> swaps = 0;
    const auto begin = Clock::now();
    std::thread swapper([&] {
        while (!done) {
            running.engine().swap(running.value());
            swaps++;
        }
    });
    for (int round = 0; round < rounds || swaps < 20; round++) out.swapping = std::min(out.swapping, running.kernel("chain", 8192));
    done = true;
    swapper.join();
    out.swaps = swaps;
    out.latency_ms = ns_since(begin) / 1e6 / static_cast<double>(swaps);
    return out;
}

struct Ratio {
    std::vector<double> values;
    void add(double value) { values.push_back(value); }
    double middle() const {
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        return sorted.empty() ? 0 : sorted[sorted.size() / 2];
    }
    std::string text() const {
        char buffer[64];
        std::snprintf(buffer, sizeof buffer, "%.2f (%.2f..%.2f)", middle(), *std::min_element(values.begin(), values.end()),
                      *std::max_element(values.begin(), values.end()));
        return values.empty() ? "-" : buffer;
    }
    nlohmann::json json() const { return {{"median", middle()}, {"values", values}}; }
};

struct Row {
    Ratio kernel_ns, branches_ns, to_branches, to_hash;
};

void print(const std::vector<std::unique_ptr<Running>>& running, const std::vector<Row>& rows, const SwapFigures& swap) {
    std::printf("%-18s %9s %11s %20s %22s %9s\n", "model", "kernel ns", "if/else ns", "kernel / if/else", "in hash-map lookups", "verified");
    for (size_t i = 0; i < rows.size(); i++) {
        char branches[32] = "-";
        if (running[i]->has_branches()) std::snprintf(branches, sizeof branches, "%.1f", rows[i].branches_ns.middle());
        std::printf("%-18s %9.1f %11s %20s %22s %9u\n", running[i]->subject().name, rows[i].kernel_ns.middle(), branches,
                    running[i]->has_branches() ? rows[i].to_branches.text().c_str() : "-", rows[i].to_hash.text().c_str(), running[i]->verified());
    }
    std::printf("swaps without a pause: %.1f ns for a tree of depth 8 with its loop, %.1f without swaps; %.1f ms for each of %llu swaps\n", swap.swapping,
                swap.quiet, swap.latency_ms, static_cast<unsigned long long>(swap.swaps));
}

nlohmann::json to_json(const std::vector<std::unique_ptr<Running>>& running, const std::vector<Row>& rows, const SwapFigures& swap) {
    nlohmann::json models = nlohmann::json::array();
    for (size_t i = 0; i < rows.size(); i++) {
        models.push_back({{"model", running[i]->subject().name},
                          {"kernel_ns", rows[i].kernel_ns.json()},
                          {"kernel_per_hash_lookup", rows[i].to_hash.json()},
                          {"verified_insns", running[i]->verified()}});
        if (!running[i]->has_branches()) continue;
        models.back()["if_else_ns"] = rows[i].branches_ns.json();
        models.back()["kernel_per_if_else"] = rows[i].to_branches.json();
    }
    return {{"models", models},
            {"swap", {{"ns_while_swapping", swap.swapping}, {"ns_quiet", swap.quiet}, {"ms_for_a_swap", swap.latency_ms}, {"swaps", swap.swaps}}}};
}

int bench(bool json, int repetitions, int rounds, const std::string& folder) {
    std::vector<std::unique_ptr<Running>> running;
    for (const Subject& subject : kSubjects) {
        running.push_back(std::make_unique<Running>(subject, folder));
        if (running.back()->error().empty()) continue;
        std::fprintf(stderr, "model_bench: %s: %s\n", subject.name, running.back()->error().c_str());
        return 1;
    }
    std::vector<Row> rows(running.size());
    for (int repetition = 0; repetition < repetitions; repetition++) {
        std::vector<Figures> best(running.size());
        for (int round = 0; round < rounds; round++)
            for (size_t i = 0; i < running.size(); i++) measure(*running[i], best[i]);
        for (size_t i = 0; i < running.size(); i++) {
            rows[i].kernel_ns.add(best[i].kernel_net());
            rows[i].to_hash.add(best[i].kernel_net() / best[i].hash_net());
            if (!running[i]->has_branches()) continue;
            rows[i].branches_ns.add(best[i].branches_net());
            rows[i].to_branches.add(best[i].kernel_net() / best[i].branches_net());
        }
    }
    const SwapFigures swap = measure_swaps(*running[1], 4 * rounds);
    if (json)
        std::printf("%s\n", to_json(running, rows, swap).dump(2).c_str());
    else
        print(running, rows, swap);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
    const int first = json ? 2 : 1;
    const int repetitions = argc > first ? std::atoi(argv[first]) : 7, rounds = argc > first + 1 ? std::atoi(argv[first + 1]) : 30;
    if (repetitions < 1 || rounds < 1) {
        std::fprintf(stderr, "usage: model_bench [--json] [repetitions [rounds]]\n");
        return 2;
    }
    char folder[] = "/tmp/rmt-model-bench-XXXXXX";
    if (!mkdtemp(folder)) {
        std::perror("model_bench: mkdtemp");
        return 1;
    }
    const int failed = bench(json, repetitions, rounds, folder);
    const std::string remove = std::string("rm -rf '") + folder + "'";
    return std::system(remove.c_str()) != 0 ? 1 : failed;
}
