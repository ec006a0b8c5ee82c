// SPDX-License-Identifier: MIT
// Cgroups: those that control memory, version 1 and 2 (domain mm), and those of version 2 (domain tcp): the directory, and the id
// by which the kernel knows it.
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

// Where cgroup version 2 is mounted: /sys/fs/cgroup, /sys/fs/cgroup/unified, or elsewhere. Unsupported when it is not.
Result<std::string> find_unified_mount();

// A directory of cgroup version 2, which the kernel's socket hooks know; with or without controllers.
class UnifiedCgroup {
public:
    // `path`: a directory, or a path relative to the mount ("/app" or "app"). NotFound when there is none; Input when it is one of
    // version 1, or no cgroup (says where version 2 is).
    static Result<UnifiedCgroup> open(const std::string& path);
    static Result<UnifiedCgroup> from_id(uint64_t id);  // NotFound when it has gone

    const std::string& path() const { return path_; }
    uint64_t id() const { return id_; }

    std::vector<uint64_t> ancestors() const;  // nearest first, without itself, up to the mount's root
    Result<void> add_process(int pid) const;

private:
    std::string path_, mount_;
    uint64_t id_ = 0;
};

}  // namespace rmt::load
