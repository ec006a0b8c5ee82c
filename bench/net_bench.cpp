// SPDX-License-Identifier: MIT
// Nanoseconds for one inference of a net: the engine in the kernel (BPF_PROG_TEST_RUN, less the same program without inference),
// the same engine compiled natively, and the same net as plain C loops over int8 or int16 weights, compiled by clang -O3 for
// SSE2 (what Debian's amd64 has; no range check of its inputs). The kinds are run in turn, round by round, and the smallest
// figure of all rounds is printed: ratios hold on a busy machine, single figures do not.
//
//   net_bench [rounds]      (default 200; must be able to load BPF programs)
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "bpf/include/rmt/net_layout.h"
#include "models/reference.h"
#include "tests/models/net_host.h"
#include "tests/models/net_native.h"
#include "tests/models/random_net.h"

using namespace rmt::models;
using rmt::NetClass;

namespace {

using enum LayerKind;

const std::vector<LayerSpec> kConv = {{Conv1d, 8, 5, 2}, {MaxPool, 0, 14, 14}, {Dense, 1}};

const NetSpec kSubjects[] = {
    {"linear 8", 8, 1, {{Dense, 1}}, 16, Link::Round, 30000, false, ModelKind::Linear},
    {"8-16-8-1 int8", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}, 8},
    {"8-16-8-1 int16", 8, 1, {{Dense, 16}, {Dense, 8}, {Dense, 1}}, 16},
    {"15-10-1 int16", 15, 1, {{Dense, 10}, {Dense, 1}}, 16},
    {"32-64-32-1 int8", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 8},
    {"32-64-32-1 int16", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 16},
    {"conv 32x4 int8", 128, 32, kConv, 8, Link::Round, 30000, true, ModelKind::Conv},
    {"conv 32x4 int16", 128, 32, kConv, 16, Link::Round, 30000, true, ModelKind::Conv},
};

using Plain = int64_t (*)(const int32_t*);

template <class T>
void write_array(FILE* out, const char* type, const char* name, size_t at, const std::vector<T>& values) {
    std::fprintf(out, "static const %s %s%zu[]={", type, name, at);
    for (T value : values) std::fprintf(out, "%lld,", static_cast<long long>(value));
    std::fprintf(out, "};\n");
}

// The net as anybody would write it in C: loops over constant bounds, 32-bit sums where 8-bit weights allow them.
Plain compile_plain(const Model& model, const std::string& folder) {
    const Net& net = *model.net;
    const std::string source = folder + "/net.c", library = folder + "/" + std::to_string(net_multiplications(net, model.inputs.size())) + "_" + std::to_string(net.bits) + ".so";
    FILE* out = std::fopen(source.c_str(), "w");
    if (!out) return nullptr;
    const char *weight = net.bits == 8 ? "signed char" : "short", *sum = net.bits == 8 ? "int" : "long long";
    const auto shapes = net_shapes(net, model.inputs.size());
    std::vector<long long> multipliers, adds;
    for (const InputScale& scale : net.scales) multipliers.push_back(scale.multiplier), adds.push_back(scale.add);
    if (!net.scales.empty()) write_array(out, "long long", "im", 0, multipliers), write_array(out, "long long", "ia", 0, adds);
    for (size_t l = 0; l < net.layers.size(); l++) {
        const NetLayer& layer = net.layers[l];
        if (layer.kind == MaxPool) continue;
        write_array(out, weight, "w", l, layer.weights);
        write_array(out, sum, "b", l, layer.bias);
        write_array(out, "long long", "m", l, layer.multiplier);
    }
    std::fprintf(out, "long long infer(const int*f){\n");
    const char* activation = net.scales.empty() ? "int" : weight;
    std::fprintf(out, "%s x0[%u];for(int i=0;i<%u;i++)x0[i]=", activation, shapes[0].size(), shapes[0].size());
    std::fprintf(out, net.scales.empty() ? "f[i];\n" : "(f[i]*im0[i]+ia0[i])>>%u;\n", net.input_shift);
    for (size_t l = 0; l < net.layers.size(); l++) {
        const NetLayer& layer = net.layers[l];
        const NetShape before = shapes[l], after = shapes[l + 1];
        const bool last = l + 1 == net.layers.size();
        std::fprintf(out, "%s x%zu[%u];\n", last ? "long long" : weight, l + 1, after.size());
        if (layer.kind == MaxPool) {
            std::fprintf(out, "for(int t=0;t<%u;t++)for(int c=0;c<%u;c++){int v=x%zu[t*%u*%u+c];for(int k=1;k<%u;k++){int o=x%zu[(t*%u+k)*%u+c];if(o>v)v=o;}x%zu[t*%u+c]=v;}\n", after.steps,
                         after.channels, l, layer.stride, before.channels, layer.kernel, l, layer.stride, before.channels, l + 1, after.channels);
            continue;
        }
        const uint32_t count = layer.kind == Dense ? before.size() : layer.kernel * before.channels, stride = layer.kind == Dense ? 0 : layer.stride * before.channels;
        std::fprintf(out,
                     "for(int t=0;t<%u;t++)for(int k=0;k<%u;k++){%s s=b%zu[k];for(int i=0;i<%u;i++)s+=(%s)w%zu[k*%u+i]*x%zu[t*%u+i];"
                     "long long v=((long long)s*m%zu[k]+%lldLL)>>%u;if(v<%lldLL)v=%lldLL;if(v>%lldLL)v=%lldLL;x%zu[t*%u+k]=v;}\n",
                     after.steps, after.channels, sum, l, count, sum, l, count, l, stride, l, layer.shift > 0 ? 1LL << (layer.shift - 1) : 0LL, layer.shift,
                     static_cast<long long>(layer.lo), static_cast<long long>(layer.lo), static_cast<long long>(layer.hi), static_cast<long long>(layer.hi), l + 1, after.channels);
    }
    std::fprintf(out, "return x%zu[0];}\n", net.layers.size());
    std::fclose(out);
    const std::string command = std::string(RMT_BPF_CLANG) + " -O3 -shared -fPIC -w -o '" + library + "' '" + source + "'";
    if (std::system(command.c_str()) != 0) return nullptr;
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    return handle ? reinterpret_cast<Plain>(dlsym(handle, "infer")) : nullptr;
}

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point begin) { return std::chrono::duration<double, std::nano>(Clock::now() - begin).count(); }

double native_ns(NetEngine& engine, uint32_t first, uint32_t runs, const std::function<int64_t(const int32_t*)>& infer) {
    const auto begin = Clock::now();
    int64_t sum = 0;
    for (uint32_t i = 0; i < runs; i++) sum += infer(engine.row((first + i) % kNetRows));
    asm volatile("" : : "r"(sum));
    return ns_since(begin) / runs;
}

double kernel_ns(NetEngine& engine, const char* program, uint32_t runs) {
    const auto begin = Clock::now();
    engine.run(engine.program(program), runs);
    return ns_since(begin) / runs;
}

int bench(const NetSpec& subject, int rounds, const std::string& folder) {
    std::mt19937_64 random(1);
    const Model model = random_net(random, subject);
    const NetClass shape = smallest_net_class(model);
    NetEngine engine(RMT_ENGINE_DIR, shape);
    auto value = lower_net(model, shape);
    if (!engine.error().empty() || !value || engine.swap(*value) != 0) {
        std::fprintf(stderr, "net_bench: %s: %s\n", subject.name, engine.error().empty() ? "cannot lower or swap the model" : engine.error().c_str());
        return 1;
    }
    for (uint32_t i = 0; i < kNetRows; i++)
        for (uint32_t k = 0; k < shape.inputs; k++)
            engine.row(i)[k] = k < model.inputs.size() ? static_cast<int32_t>(pick(random, model.inputs[k].min, model.inputs[k].max)) : 0;
    const Plain plain = compile_plain(model, folder);
    std::vector<__s64> act(shape.width + RMT_NET_SLACK);
    const rmt_native_class native_class = {shape.inputs, shape.tiles, shape.rows, shape.blocks, shape.width, shape.outputs};
    const auto native = [&](const int32_t* f) {
        __s64 out = 0;
        rmt_native_net(value->data(), &native_class, f, act.data(), &out);
        return static_cast<int64_t>(out);
    };
    for (uint32_t i = 0; i < kNetRows && plain; i++)
        if (std::clamp(plain(engine.row(i)), model.output.min, model.output.max) != native(engine.row(i))) {
            std::fprintf(stderr, "net_bench: %s: plain C and the engine differ in row %u\n", subject.name, i);
            return 1;
        }
    double kernel = 1e18, empty = 1e18, host = 1e18, loops = 1e18, nothing = 1e18;
    const auto keep = [](double& smallest, double ns) { smallest = std::min(smallest, ns); };
    for (int round = 0; round < rounds; round++) {
        const auto runs = static_cast<uint32_t>(std::clamp(5e5 / (kernel < 1e17 ? kernel : 2000.0), 128.0, 16384.0));
        const uint32_t first = static_cast<uint32_t>(round) * 977;
        keep(kernel, kernel_ns(engine, "one", runs));
        keep(empty, kernel_ns(engine, "none", 16384));
        keep(host, native_ns(engine, first, runs, native));
        if (plain) keep(loops, native_ns(engine, first, runs, [&](const int32_t* f) { return plain(f); }));
        keep(nothing, native_ns(engine, first, 16384, [](const int32_t* f) { return static_cast<int64_t>(f[3]); }));
    }
    std::printf("%-18s %8zu %10.1f %10.1f %10.1f %8.2f\n", subject.name, net_multiplications(*model.net, model.inputs.size()), kernel - empty, host - nothing, loops - nothing,
                (kernel - empty) / (loops - nothing));
    std::fflush(stdout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
    if (rounds < 1) {
        std::fprintf(stderr, "usage: net_bench [rounds]\n");
        return 2;
    }
    char folder[] = "/tmp/rmt-net-bench-XXXXXX";
    if (!mkdtemp(folder)) {
        std::perror("net_bench: mkdtemp");
        return 1;
    }
    std::printf("%-18s %8s %10s %10s %10s %8s\n", "net", "products", "kernel ns", "native ns", "plain C ns", "kernel / C");
    int failed = 0;
    for (const NetSpec& subject : kSubjects) failed |= bench(subject, rounds, folder);
    const std::string remove = std::string("rm -rf '") + folder + "'";
    return std::system(remove.c_str()) != 0 ? 1 : failed;
}
