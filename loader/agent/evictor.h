// SPDX-License-Identifier: MIT
// Pages out behind the streams, in a thread of its own and at ordinary priority: a prefetch never waits for a page-out.
//
// Why page out: on kernels up to 6.18 a prefetch that has to reclaim first keeps the swap entry half done, and a fault
// that meets it sleeps a whole jiffy (4 ms at HZ=250). Pages that a stream has passed (ring buffer `rmt_passed`) are
// evicted early, so that a prefetch finds room without reclaim. Only touched pages are: what was merely asked for is still
// to be used. And only in a cgroup whose policy asks shortly before the need: see EvictionGate.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "loader/agent/eviction_gate.h"
#include "loader/agent/target.h"
#include "loader/agent/trail.h"
#include "loader/cgroup.h"
#include "loader/live.h"

struct ring_buffer;

namespace rmt::load {

class Evictor {
public:
    // `shortest`: fewest touched pages that are kept behind a stream.
    static Result<std::unique_ptr<Evictor>> start(const LivePolicy& live, size_t shortest);
    ~Evictor();  // stops and joins

    uint64_t evicted() const { return evicted_; }

private:
    struct Process {
        Target target;
        Trail trail;
    };
    struct Cgroup {
        MemoryCgroup cgroup;
        uint64_t checked_ns = 0;
        bool evict = false;  // usage close to the limit, and the gate is open
        EvictionGate gate;
    };

    Evictor(size_t shortest, int scope) : shortest_(shortest), scope_(scope) {}
    static int on_record(void* context, void* data, size_t size);
    void run();
    void note(const rmt_passed& passed);
    bool is_wanted(uint64_t cgroup_id);

    size_t shortest_;
    int scope_;  // map rmt_scope, of the policy that was given to start()
    ring_buffer* ring_ = nullptr;
    std::map<uint32_t, Process> processes_;
    std::map<uint64_t, Cgroup> cgroups_;
    std::atomic<uint64_t> evicted_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace rmt::load
