// SPDX-License-Identifier: MIT
// Nanoseconds for one inference: the engine in the kernel (BPF_PROG_TEST_RUN, less the same program without inference), the
// same engine compiled natively, and the model as native if/else. Complete random trees: the worst case. Two kinds of input:
// all different (branches cannot be predicted) and always the same (they can). The kinds are run in turn, round by round, and
// the smallest figure of all rounds is printed: ratios hold on a busy machine, single figures do not.
//
//   model_bench [rounds]      (default 200; must be able to load BPF programs)
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>

#include "models/reference.h"
#include "tests/models/engine_host.h"
#include "tests/models/engine_native.h"
#include "tests/models/random_model.h"

using namespace rmt::models;
using rmt::ModelClass;

namespace {

struct Subject {
    const char* name;
    ModelClass shape;
    RandomShape random;
};

const Subject kSubjects[] = {
    {"tree depth 4", {1, 4, 256}, {.depth = 4, .inputs = 8, .span = 30000, .complete = true, .bisect = true}},
    {"tree depth 8", {1, 8, 1024}, {.depth = 8, .inputs = 8, .span = 30000, .complete = true, .bisect = true}},
    {"tree depth 12", {1, 12, 8192}, {.depth = 12, .inputs = 8, .span = 30000, .complete = true, .bisect = true}},
    {"tree depth 16", {1, 16, 131072}, {.depth = 16, .inputs = 8, .span = 30000, .complete = true, .bisect = true}},
    {"forest 12 x 6",
     {16, 8, 4096},
     {.kind = ModelKind::Forest, .trees = 12, .depth = 6, .inputs = 8, .span = 30000, .complete = true, .bisect = true, .shift = 12}},
    {"forest 100 x 8",
     {100, 8, 65536},
     {.kind = ModelKind::Forest, .trees = 100, .depth = 8, .inputs = 8, .span = 30000, .complete = true, .bisect = true, .shift = 12}},
};
constexpr uint32_t kMostBranches = 60000;  // clang does not finish on if/else of more

using IfElse = int64_t (*)(const int32_t*);

void write_node(FILE* out, const Tree& tree, int32_t node) {
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
IfElse compile_if_else(const Model& model, const std::string& folder) {
    if (model_nodes(model) > kMostBranches) return nullptr;
    std::string source = folder + "/model.c",
                library = folder + "/" + std::to_string(model_nodes(model)) + "_" + std::to_string(model.trees.size()) + ".so";
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
    std::string command = std::string(RMT_BPF_CLANG) + " -O3 -shared -fPIC -w -o '" + library + "' '" + source + "'";
    if (std::system(command.c_str()) != 0) return nullptr;
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    return handle ? reinterpret_cast<IfElse>(dlsym(handle, "infer")) : nullptr;
}

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point begin) { return std::chrono::duration<double, std::nano>(Clock::now() - begin).count(); }

// `runs` inferences on copies of the rows, from row `first` on; ns for one.
double native_ns(Engine& engine, uint32_t first, uint32_t runs, const std::function<int64_t(int32_t*)>& infer) {
    auto begin = Clock::now();
    int64_t sum = 0;
    for (uint32_t i = 0; i < runs; i++) {
        EngineRow row = engine.rows()[(first + i) % kEngineRows];
        asm volatile("" : : "r"(&row) : "memory");
        sum += infer(row.input);
    }
    asm volatile("" : : "r"(sum));
    return ns_since(begin) / runs;
}

double kernel_ns(Engine& engine, const char* program, uint32_t runs) {
    auto begin = Clock::now();
    engine.run(engine.program(program), runs);
    return ns_since(begin) / runs;
}

struct Figures {
    double kernel = 1e18, kernel_empty = 1e18, native = 1e18, native_empty = 1e18, branches = 1e18;
};

// Slices of about half a millisecond, shorter than the scheduler's, so that some run undisturbed on a busy machine.
void measure(Engine& engine, const std::vector<uint8_t>& value, IfElse branches, uint32_t round, Figures& best) {
    auto keep = [](double& smallest, double ns) { smallest = std::min(smallest, ns); };
    const ModelClass& shape = engine.shape();
    auto slice = [](double ns) { return static_cast<uint32_t>(std::clamp(5e5 / ns, 128.0, 16384.0)); };
    uint32_t runs = slice(best.kernel < 1e17 ? best.kernel : 1000), first = round * 977;
    keep(best.kernel, kernel_ns(engine, "one", runs));
    keep(best.kernel_empty, kernel_ns(engine, "none", 16384));
    keep(best.native, native_ns(engine, first, runs, [&](int32_t* f) {
             __s64 out = 0;
             rmt_native_infer(value.data(), f, &out, static_cast<int>(shape.trees), shape.depth, shape.nodes);
             return static_cast<int64_t>(out);
         }));
    if (branches) keep(best.branches, native_ns(engine, first, runs, [&](int32_t* f) { return branches(f); }));
    keep(best.native_empty, native_ns(engine, first, 16384, [](int32_t* f) { return static_cast<int64_t>(f[3]); }));
}

int bench(const Subject& subject, int rounds, const std::string& folder) {
    Engine engine(RMT_ENGINE_DIR, subject.shape);
    if (!engine.error().empty()) {
        std::fprintf(stderr, "model_bench: %s\n", engine.error().c_str());
        return 1;
    }
    std::mt19937_64 random(1);
    Model model = random_model(random, subject.random);
    auto value = lower_model(model, subject.shape);
    if (!value || engine.swap(*value) != 0) {
        std::fprintf(stderr, "model_bench: cannot lower or swap the model\n");
        return 1;
    }
    IfElse branches = compile_if_else(model, folder);
    for (bool same : {false, true}) {
        for (uint32_t i = 0; i < kEngineRows; i++)
            for (uint32_t k = 0; k < subject.random.inputs; k++)
                engine.rows()[i].input[k] = same && i > 0
                                                ? engine.rows()[0].input[k]
                                                : static_cast<int32_t>(between(random, -subject.random.span, subject.random.span));
        Figures best;
        for (int round = 0; round < rounds; round++) measure(engine, *value, branches, static_cast<uint32_t>(round), best);
        double kernel = best.kernel - best.kernel_empty, native = best.native - best.native_empty, code = best.branches - best.native_empty;
        std::printf("%-16s %-10s %10.1f %10.1f ", subject.name, same ? "same" : "different", kernel, native);
        if (branches)
            std::printf("%10.1f %10.2f\n", code, code / kernel);
        else
            std::printf("%10s %10s\n", "-", "-");
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
    if (rounds < 1) {
        std::fprintf(stderr, "usage: model_bench [rounds]\n");
        return 2;
    }
    char folder[] = "/tmp/rmt-model-bench-XXXXXX";
    if (!mkdtemp(folder)) {
        std::perror("model_bench: mkdtemp");
        return 1;
    }
    std::printf("%-16s %-10s %10s %10s %10s %10s\n", "model", "inputs", "kernel ns", "native ns", "if/else ns", "if/else / kernel");
    int failed = 0;
    for (const Subject& subject : kSubjects) failed |= bench(subject, rounds, folder);
    std::string remove = std::string("rm -rf '") + folder + "'";
    return std::system(remove.c_str()) != 0 ? 1 : failed;
}
