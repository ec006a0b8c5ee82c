// SPDX-License-Identifier: MIT
// Memory cgroups, version 1 and 2: the directory, the id by which the kernel knows it, its limit and usage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::load {

struct MemoryController {
    std::string mount;  // "/sys/fs/cgroup/memory" or "/sys/fs/cgroup"
    bool v2 = false;
};

// Where the memory controller is mounted. Unsupported when the kernel shows none.
Result<MemoryController> find_memory_controller();

class MemoryCgroup {
public:
    // `path`: a directory, or a path relative to the controller's root ("/app" or "app"). NotFound when there is none;
    // Input when the directory is not a memory cgroup (says where memory is controlled on this host).
    static Result<MemoryCgroup> open(const std::string& path);

    // The cgroup with this id, for what the kernel's maps tell. NotFound when it has gone.
    static Result<MemoryCgroup> from_id(uint64_t id);

    const std::string& path() const { return path_; }
    uint64_t id() const { return id_; }  // inode of the directory
    bool v2() const { return v2_; }

    std::optional<uint64_t> limit_bytes() const;  // none: unlimited
    uint64_t usage_bytes() const;
    uint64_t oom_kills() const;
    Result<void> add_process(int pid) const;

private:
    std::string path_;
    uint64_t id_ = 0;
    bool v2_ = false;
};

}  // namespace rmt::load
