// SPDX-License-Identifier: MIT
// The page cache is charged to the cgroup of the task that brings a page in. So requests for file pages are carried out by
// a child of the agent that lives in the cgroup that they are for; otherwise the workload would escape its own limit.
#pragma once

#include <cstdint>
#include <vector>

#include "loader/cgroup.h"
#include "loader/fd.h"

namespace rmt::load {

class FileWorker {
public:
    static Result<FileWorker> start(const MemoryCgroup& cgroup);

    FileWorker(FileWorker&& other) noexcept;
    FileWorker& operator=(FileWorker&& other) noexcept;
    ~FileWorker();  // ends the child and waits for it

    // Queues a request; false when the queue is full (the worker is behind: the request is dropped) or the child has died.
    bool prefetch(uint32_t tgid, const std::vector<uint64_t>& pages);

private:
    FileWorker() = default;
    int child_ = -1;
    Fd requests_;
};

}  // namespace rmt::load
