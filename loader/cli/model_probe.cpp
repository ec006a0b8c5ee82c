// SPDX-License-Identifier: MIT
#include "loader/cli/model_probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstring>

#include "bpf/include/rmt/model_layout.h"
#include "bpf/probe/model_probe.h"
#include "loader/value_map.h"
#include "models/lower.h"
#include "models/net_lower.h"
#include "models/quantise.h"
#include "models/reference.h"

// The object's bytes, as compiled beside this file (CMakeLists.txt).
asm(".section .rodata\n"
    ".balign 8\n"
    "rmt_model_probe_begin: .incbin \"" RMT_MODEL_PROBE_OBJECT "\"\n"
    "rmt_model_probe_end: .byte 0\n"
    ".previous\n");
extern "C" const char rmt_model_probe_begin[], rmt_model_probe_end[];

namespace rmt::cli {

namespace {

constexpr size_t kCheckRows = 2000;  // beside the samples, before a model is put in place

std::string g_log;  // libbpf tells its reasons only through a callback

int collect_log(libbpf_print_level level, const char* format, va_list args) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[4096];
    const int n = vsnprintf(line, sizeof(line), format, args);
    if (n > 0) g_log.append(line, std::min<size_t>(static_cast<size_t>(n), sizeof(line) - 1));
    return n;
}

struct Chosen {
    std::string engine;  // as model_probe.bpf.c names it
    std::vector<uint8_t> value;
};

Result<Chosen> choose_engine(const models::Model& model) {
    Chosen chosen;
    if (!models::has_trees(model.kind)) {
        const NetClass needed = models::smallest_net_class(model);
        const bool linear = needed.tiles == 0 && needed.inputs <= RMT_MODEL_SLOTS;
        const NetClass shape = linear ? NetClass{RMT_MODEL_SLOTS, 0, 0, 0, 0, 1}
                                      : NetClass{PROBE_SLOTS, PROBE_TILES, PROBE_TILES, PROBE_TILES, PROBE_WIDTH, PROBE_OUTPUTS};
        chosen.engine = linear ? "probe_linear" : "probe_net";
        RMT_TRY(chosen.value, models::lower_net(model, shape));
        return chosen;
    }
    RMT_TRY(const ModelClass needed, models::smallest_class(model));
    const bool plain = needed.slots == RMT_MODEL_SLOTS && needed.derived == 0 && needed.outputs == 1;
    ModelClass shape = needed;
    shape.derived = plain ? 0 : PROBE_DERIVED;
    shape.slots = plain || needed.kind == EngineKind::Tree ? RMT_MODEL_SLOTS : PROBE_SLOTS;
    shape.outputs = plain || needed.kind == EngineKind::Tree ? 1 : PROBE_OUTPUTS;
    shape.trees = needed.kind == EngineKind::Tree ? 1 : PROBE_TREES;
    shape.depth = needed.kind == EngineKind::Oblivious ? PROBE_LEVELS : PROBE_DEPTH;
    shape.nodes = needed.kind == EngineKind::Tree ? PROBE_TREE_NODES : PROBE_NODES;
    chosen.engine = std::string("probe_") + engine_kind_name(needed.kind) + (plain ? "" : "_full");
    RMT_TRY(chosen.value, models::lower_model(model, shape));
    return chosen;
}

bool begins_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

}  // namespace

struct ModelProbe::Data {
    bpf_object* object = nullptr;
    std::string engine;
    probe_memory* memory = nullptr;

    ~Data() {
        if (memory) munmap(memory, mapped_bytes());
        bpf_object__close(object);
    }

    static size_t mapped_bytes() { return (sizeof(probe_memory) + 4095) / 4096 * 4096; }

    void select(const std::string& name) {
        engine = name;
        bpf_program* program;
        bpf_object__for_each_program(program, object) {
            const std::string of = bpf_program__name(program);
            bpf_program__set_autoload(program, of == name + "_all" || of == name + "_time" || of == name + "_none");
        }
        bpf_map* map;
        bpf_object__for_each_map(map, object) {
            const std::string of = bpf_map__name(map);
            if (begins_with(of, "rmt_")) bpf_map__set_autocreate(map, of == "rmt_model_" + name || of == "rmt_act_" + name);
        }
    }

    Result<void> map_memory() {
        const int fd = bpf_object__find_map_fd_by_name(object, "probe_memory");
        void* at = mmap(nullptr, mapped_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) return fail(ErrorKind::Kernel, std::string("cannot map the engine's rows: ") + std::strerror(errno), {}, errno);
        memory = static_cast<probe_memory*>(at);
        return {};
    }

    void put_rows(const std::vector<int64_t>* from, size_t count) {
        for (size_t i = 0; i < count; i++) {
            int32_t* row = memory->row[i];
            std::fill_n(row, PROBE_SLOTS, 0);
            // The engine's numbers have 32 bits; one beyond is outside of any trained range, as is the nearest that it has.
            for (size_t k = 0; k < from[i].size() && k < PROBE_SLOTS; k++)
                row[k] = static_cast<int32_t>(std::clamp<int64_t>(from[i][k], INT32_MIN, INT32_MAX));
        }
        memory->rows = static_cast<uint32_t>(count);
    }

    Result<void> run(const char* what) const {
        const bpf_program* program = bpf_object__find_program_by_name(object, (engine + what).c_str());
        bpf_test_run_opts options = {};
        options.sz = sizeof(options);
        if (const int err = bpf_prog_test_run_opts(bpf_program__fd(program), &options))
            return fail(ErrorKind::Kernel, std::string("the engine did not run: ") + std::strerror(-err), {}, -err);
        return {};
    }
};

ModelProbe::ModelProbe(std::unique_ptr<Data> data) : data_(std::move(data)) {}
ModelProbe::ModelProbe(ModelProbe&&) noexcept = default;
ModelProbe& ModelProbe::operator=(ModelProbe&&) noexcept = default;
ModelProbe::~ModelProbe() = default;

Result<ModelProbe> ModelProbe::open(const models::Model& model) {
    RMT_TRY(const Chosen chosen, choose_engine(model));
    auto data = std::make_unique<Data>();
    g_log.clear();
    const libbpf_print_fn_t before = libbpf_set_print(collect_log);
    data->object = bpf_object__open_mem(rmt_model_probe_begin, static_cast<size_t>(rmt_model_probe_end - rmt_model_probe_begin), nullptr);
    int err = data->object ? 0 : -errno;
    if (!err) {
        data->select(chosen.engine);
        err = bpf_object__load(data->object);
    }
    libbpf_set_print(before);
    if (err == -EPERM || err == -EACCES)
        return fail(ErrorKind::Permission, "running a model in the kernel was refused: " + std::string(std::strerror(-err)), "run as root", -err);
    if (err) return fail(Error{ErrorKind::Kernel, std::string("the kernel refused the model engine: ") + std::strerror(-err), {}, -err, g_log});
    RMT_CHECK(data->map_memory());
    const int outer = bpf_object__find_map_fd_by_name(data->object, ("rmt_model_" + chosen.engine).c_str());
    RMT_CHECK(load::replace_value(outer, "rmt_model", chosen.value));
    return ModelProbe(std::move(data));
}

Result<std::vector<std::optional<int64_t>>> ModelProbe::answers(const std::vector<std::vector<int64_t>>& rows) {
    static_assert(kMaxRows == PROBE_ROWS);
    std::vector<std::optional<int64_t>> all;
    for (size_t at = 0; at < rows.size(); at += kMaxRows) {
        const size_t count = std::min(kMaxRows, rows.size() - at);
        data_->put_rows(&rows[at], count);
        RMT_CHECK(data_->run("_all"));
        for (size_t i = 0; i < count; i++) {
            const probe_answer& answer = data_->memory->answer[i];
            if (answer.status == RMT_MODEL_NONE) return fail(ErrorKind::Kernel, "the engine does not take the model");
            all.push_back(answer.status == RMT_MODEL_OK ? std::optional<int64_t>(answer.value) : std::nullopt);
        }
    }
    return all;
}

Result<double> ModelProbe::nanoseconds(const std::vector<std::vector<int64_t>>& rows, uint32_t repeat) {
    using Clock = std::chrono::steady_clock;
    const size_t count = std::min(kMaxRows, rows.size());
    data_->put_rows(rows.data(), count);
    double total = 0;
    for (uint32_t i = 0; i < repeat; i++) {
        const auto begin = Clock::now();
        RMT_CHECK(data_->run("_time"));
        const auto middle = Clock::now();
        RMT_CHECK(data_->run("_none"));
        total += std::chrono::duration<double, std::nano>(middle - begin).count() -
                 std::chrono::duration<double, std::nano>(Clock::now() - middle).count();
    }
    return total / (static_cast<double>(count) * repeat);
}

Result<KernelCheck> check_in_kernel(const models::Model& model) {
    KernelCheck check;
    check.samples = model.samples.inputs.size();
    std::vector<std::vector<int64_t>> rows = model.samples.inputs;
    for (auto& row : models::probe_rows(model, kCheckRows, 1)) rows.push_back(std::move(row));
    check.rows = rows.size();
    RMT_TRY(ModelProbe probe, ModelProbe::open(model));
    RMT_TRY(const std::vector<std::optional<int64_t>> answers, probe.answers(rows));
    for (size_t i = 0; i < rows.size(); i++) {
        const std::optional<int64_t> wanted = models::infer(model, rows[i]);
        if (answers[i] == wanted) continue;
        const auto text = [](const std::optional<int64_t>& answer) { return answer ? std::to_string(*answer) : std::string("no answer"); };
        std::string row;
        for (const int64_t x : rows[i]) row += (row.empty() ? "" : ", ") + std::to_string(x);
        return fail(ErrorKind::Input, "model '" + model.name + "' is not the same in the kernel: (" + row + ") gives " + text(answers[i]) + " there, " +
                                          text(wanted) + " by the reference", "this is a fault of rmt-load; please report it with the model");
    }
    return check;
}

}  // namespace rmt::cli
