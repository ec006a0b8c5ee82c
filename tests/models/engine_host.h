// SPDX-License-Identifier: MIT
// Loads engine.bpf.c of one class, gives it models and rows, and reads its answers. Also used by bench/.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpf/include/rmt/model_layout.h"
#include "models/lower.h"

namespace rmt::models {

constexpr uint32_t kEngineRows = 4096;  // of a test's engine

struct EngineAnswer {
    int64_t value;
    uint64_t status;
};
struct EngineControl {
    uint32_t rows, next;
    uint64_t sink, zero;
};
struct EngineWatch {
    uint64_t runs, torn;
    int64_t allowed[2];
};

// "tree_1_8_1024_16_0_1", as engines.cmake names objects.
inline std::string engine_name(const ModelClass& c) {
    std::string name = engine_kind_name(c.kind);
    for (uint32_t n : {c.trees, c.depth, c.nodes, c.slots, c.derived, c.outputs}) name += "_" + std::to_string(n);
    return name;
}

class Engine {
public:
    // `folder` holds engine_<kind>_<trees>_<depth>_<nodes>_<slots>_<derived>_<outputs>.bpf.o
    Engine(const std::string& folder, ModelClass shape, bool with_tracing = false) : shape_(shape) {
        libbpf_set_print(nullptr);
        std::string path = folder + "/engine_" + engine_name(shape) + ".bpf.o";
        object_ = bpf_object__open_file(path.c_str(), nullptr);
        if (!object_) {
            error_ = "cannot open " + path + ": " + std::strerror(errno);
            return;
        }
        bpf_program__set_autoload(bpf_object__find_program_by_name(object_, "traced"), with_tracing);
        if (int e = bpf_object__load(object_); e) {
            error_ = "cannot load " + path + ": " + std::strerror(-e);
            permission_ = e == -EPERM || e == -EACCES;
            return;
        }
        outer_ = bpf_object__find_map_fd_by_name(object_, "rmt_model_test");
        for (int& inner : inner_) inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_test_inner", 4, value_size(shape), 1, nullptr);
        for (Memory& memory : memory_) {
            bpf_map* map = bpf_object__find_map_by_name(object_, memory.map);
            memory.size = (bpf_map__value_size(map) + 4095) / 4096 * 4096;
            memory.at = mmap(nullptr, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
            if (memory.at == MAP_FAILED) {
                memory.at = nullptr;
                error_ = std::string("cannot map ") + memory.map + ": " + std::strerror(errno);
                return;
            }
        }
        if (inner_[0] < 0 || inner_[1] < 0) error_ = std::string("cannot make a map: ") + std::strerror(errno);
    }
    ~Engine() {
        for (int inner : inner_)
            if (inner >= 0) close(inner);
        for (Memory& memory : memory_)
            if (memory.at) munmap(memory.at, memory.size);
        bpf_object__close(object_);
    }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    const std::string& error() const { return error_; }
    bool lacks_permission() const { return permission_; }
    const ModelClass& shape() const { return shape_; }
    int program(const char* name) const { return bpf_program__fd(bpf_object__find_program_by_name(object_, name)); }

    int32_t* row(uint32_t i) const { return static_cast<int32_t*>(memory_[0].at) + size_t{i} * shape_.slots; }
    int hash_map() const { return bpf_object__find_map_fd_by_name(object_, "hash"); }
    uint32_t verified_insns(const char* name) const {
        bpf_prog_info info = {};
        __u32 size = sizeof info;
        return bpf_prog_get_info_by_fd(program(name), &info, &size) == 0 ? info.verified_insns : 0;
    }
    EngineAnswer* answers() const { return static_cast<EngineAnswer*>(memory_[1].at); }
    EngineControl* control() const { return static_cast<EngineControl*>(memory_[2].at); }
    EngineWatch* watch() const { return static_cast<EngineWatch*>(memory_[3].at); }

    // Writes the value into the map that is not in use and swaps it in; returns after all running programs have left the other.
    int swap(const std::vector<uint8_t>& value) {
        uint32_t zero = 0;
        turn_ ^= 1;
        if (int e = bpf_map_update_elem(inner_[turn_], &zero, value.data(), BPF_ANY); e) return e;
        return bpf_map_update_elem(outer_, &zero, &inner_[turn_], BPF_ANY);
    }
    // Rewrites the map in use, which nobody may do: for the test that notices.
    int overwrite(const std::vector<uint8_t>& value) {
        uint32_t zero = 0;
        return bpf_map_update_elem(inner_[turn_], &zero, value.data(), BPF_ANY);
    }
    int unload() {
        uint32_t zero = 0;
        return bpf_map_delete_elem(outer_, &zero);
    }
    int run_all(uint32_t rows) {
        control()->rows = rows;
        LIBBPF_OPTS(bpf_test_run_opts, options);
        return bpf_prog_test_run_opts(program("all"), &options);
    }
    int run_chain(const char* name, uint32_t first, uint32_t rows) {
        control()->rows = rows;
        control()->next = first;
        LIBBPF_OPTS(bpf_test_run_opts, options);
        return bpf_prog_test_run_opts(program(name), &options);
    }
    // `repeat` runs of a tc program; mean ns of one, or -1.
    int64_t run(int program_fd, uint32_t repeat) {
        char packet[64] = {};
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet, .repeat = static_cast<int>(repeat));
        if (bpf_prog_test_run_opts(program_fd, &options)) return -1;
        return options.duration;
    }

private:
    struct Memory {
        const char* map;
        void* at = nullptr;
        size_t size = 0;
    };
    ModelClass shape_;
    Memory memory_[4] = {{".data.row"}, {".data.answer"}, {".data.control"}, {".data.watch"}};
    bpf_object* object_ = nullptr;
    int outer_ = -1, inner_[2] = {-1, -1}, turn_ = 0;
    std::string error_;
    bool permission_ = false;
};

}  // namespace rmt::models
