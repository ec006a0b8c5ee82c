// SPDX-License-Identifier: MIT
// A test's BPF object around one engine: rows and answers in mapped memory, a model behind `rmt_model_test`. Also used by bench/.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace rmt::models {

class EngineObject {
public:
    // `maps`: global data to map, in the order of memory(). error() says what went wrong.
    EngineObject(const std::string& path, uint32_t value_size, std::initializer_list<const char*> maps, bool with_tracing) {
        libbpf_set_print(nullptr);
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
        outer_ = map("rmt_model_test");
        for (int& inner : inner_) inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_test_inner", 4, value_size, 1, nullptr);
        if (inner_[0] < 0 || inner_[1] < 0) error_ = std::string("cannot make a map: ") + std::strerror(errno);
        for (const char* name : maps) {
            const size_t size = (bpf_map__value_size(bpf_object__find_map_by_name(object_, name)) + 4095) / 4096 * 4096;
            void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map(name), 0);
            if (at == MAP_FAILED) {
                error_ = std::string("cannot map ") + name + ": " + std::strerror(errno);
                return;
            }
            memory_.push_back({at, size});
        }
    }
    ~EngineObject() {
        for (int inner : inner_)
            if (inner >= 0) close(inner);
        for (const Memory& memory : memory_) munmap(memory.at, memory.size);
        bpf_object__close(object_);
    }
    EngineObject(const EngineObject&) = delete;
    EngineObject& operator=(const EngineObject&) = delete;

    const std::string& error() const { return error_; }
    bool lacks_permission() const { return permission_; }
    int program(const char* name) const { return bpf_program__fd(bpf_object__find_program_by_name(object_, name)); }
    int map(const char* name) const { return bpf_object__find_map_fd_by_name(object_, name); }
    uint32_t verified_insns(const char* name) const {
        bpf_prog_info info = {};
        __u32 size = sizeof info;
        return bpf_prog_get_info_by_fd(program(name), &info, &size) == 0 ? info.verified_insns : 0;
    }

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
    int test_run(const char* name) {
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

protected:
    template <typename T>
    T* memory(size_t i) const {
        return static_cast<T*>(memory_[i].at);
    }

private:
    struct Memory {
        void* at;
        size_t size;
    };
    std::vector<Memory> memory_;
    bpf_object* object_ = nullptr;
    int outer_ = -1, inner_[2] = {-1, -1}, turn_ = 0;
    std::string error_;
    bool permission_ = false;
};

}  // namespace rmt::models
