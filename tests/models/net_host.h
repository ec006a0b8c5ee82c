// SPDX-License-Identifier: MIT
// Loads net_engine.bpf.c of one class, gives it nets and rows, and reads its answers. Also used by bench/.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "models/net_lower.h"

namespace rmt::models {

constexpr uint32_t kNetRows = 4096;

struct NetAnswer {
    int64_t value;
    uint64_t status;
};

inline std::string net_class_name(const NetClass& c) {
    std::string name;
    for (uint32_t part : {c.inputs, c.tiles, c.rows, c.blocks, c.width, c.outputs}) name += "_" + std::to_string(part);
    return name;
}

class NetEngine {
public:
    NetEngine(const std::string& folder, const NetClass& shape, bool with_tracing = false) : shape_(shape) {
        libbpf_set_print(nullptr);
        const std::string path = folder + "/net" + net_class_name(shape) + ".bpf.o";
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
        for (int& inner : inner_) inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_test_inner", 4, net_value_size(shape), 1, nullptr);
        for (Memory& memory : memory_) {
            bpf_map* map = bpf_object__find_map_by_name(object_, memory.map);
            memory.size = (bpf_map__value_size(map) + 4095) / 4096 * 4096;
            memory.at = mmap(nullptr, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
            if (memory.at != MAP_FAILED) continue;
            memory.at = nullptr;
            error_ = std::string("cannot map ") + memory.map + ": " + std::strerror(errno);
            return;
        }
        if (inner_[0] < 0 || inner_[1] < 0) error_ = std::string("cannot make a map: ") + std::strerror(errno);
    }
    ~NetEngine() {
        for (int inner : inner_)
            if (inner >= 0) close(inner);
        for (Memory& memory : memory_)
            if (memory.at) munmap(memory.at, memory.size);
        bpf_object__close(object_);
    }
    NetEngine(const NetEngine&) = delete;
    NetEngine& operator=(const NetEngine&) = delete;

    const std::string& error() const { return error_; }
    bool lacks_permission() const { return permission_; }
    const NetClass& shape() const { return shape_; }
    int program(const char* name) const { return bpf_program__fd(bpf_object__find_program_by_name(object_, name)); }
    int map(const char* name) const { return bpf_object__find_map_fd_by_name(object_, name); }

    int32_t* row(uint32_t i) const { return static_cast<int32_t*>(memory_[0].at) + size_t{i} * shape_.inputs; }
    NetAnswer* answers() const { return static_cast<NetAnswer*>(memory_[1].at); }

    int swap(const std::vector<uint8_t>& value) {
        uint32_t zero = 0;
        turn_ ^= 1;
        if (int e = bpf_map_update_elem(inner_[turn_], &zero, value.data(), BPF_ANY); e) return e;
        return bpf_map_update_elem(outer_, &zero, &inner_[turn_], BPF_ANY);
    }
    int run_all(uint32_t rows) {
        static_cast<uint32_t*>(memory_[2].at)[0] = rows;
        LIBBPF_OPTS(bpf_test_run_opts, options);
        return bpf_prog_test_run_opts(program("all"), &options);
    }
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
    NetClass shape_;
    Memory memory_[3] = {{".data.row"}, {".data.answer"}, {".data.control"}};
    bpf_object* object_ = nullptr;
    int outer_ = -1, inner_[2] = {-1, -1}, turn_ = 0;
    std::string error_;
    bool permission_ = false;
};

}  // namespace rmt::models
