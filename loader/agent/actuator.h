// SPDX-License-Identifier: MIT
// What a policy of domain mm decides, carried out: takes records from the ring buffer `rmt_actions`, prefetches with
// process_madvise(MADV_WILLNEED); an Evictor makes room behind the streams.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "loader/agent/evictor.h"
#include "loader/agent/file_worker.h"
#include "loader/agent/target.h"
#include "loader/live.h"

struct ring_buffer;

namespace rmt::load {

struct ActuatorOptions {
    uint32_t trail = 512;  // fewest touched pages kept behind the stream before they are paged out; 0: never page out
};

struct ActuatorFigures {
    uint64_t records = 0;
    uint64_t pages = 0;        // handed to the kernel
    uint64_t clipped = 0;      // outside the faulting mapping
    uint64_t evicted = 0;      // paged out behind the stream
    uint64_t gone = 0;         // records of processes that had ended
    uint64_t calls = 0;        // of process_madvise
    uint64_t wake_ns = 0;      // sum of the time from decision to action
    uint64_t busy_ns = 0;      // sum of the time spent on records

    ActuatorFigures& operator+=(const ActuatorFigures& other);
};

class Actuator {
public:
    static Result<std::unique_ptr<Actuator>> open(const LivePolicy& live, const ActuatorOptions& options);
    ~Actuator();

    // Waits up to timeout_ms for records and carries them out. Environment when the ring cannot be read.
    Result<void> poll(int timeout_ms);

    const ActuatorFigures& figures() const { return figures_; }

private:
    struct Cgroup {
        MemoryCgroup cgroup;
        std::unique_ptr<FileWorker> worker;
    };

    Actuator(const LivePolicy& live, const ActuatorOptions& options) : live_(live), options_(options) {}
    static int on_record(void* context, void* data, size_t size);
    void carry_out(const rmt_action& action);
    Target* find_target(uint32_t tgid);
    Cgroup* find_cgroup(uint64_t id);

    const LivePolicy& live_;
    ActuatorOptions options_;
    ActuatorFigures figures_;
    ring_buffer* ring_ = nullptr;
    std::unique_ptr<Evictor> evictor_;
    std::map<uint32_t, Target> targets_;
    std::map<uint64_t, Cgroup> cgroups_;
};

uint64_t monotonic_ns();

}  // namespace rmt::load
