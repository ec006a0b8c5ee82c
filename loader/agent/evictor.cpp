// SPDX-License-Identifier: MIT
#include "loader/agent/evictor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/mman.h>

#include <cerrno>
#include <cstring>

#include "loader/agent/actuator.h"

namespace rmt::load {

namespace {

constexpr int kPollMs = 100;
constexpr uint64_t kCheckNs = 20'000'000;
constexpr size_t kMaxProcesses = 4096;

}  // namespace

Result<std::unique_ptr<Evictor>> Evictor::start(const LivePolicy& live, size_t shortest) {
    RMT_TRY(const int map, live.map("rmt_passed"));
    RMT_TRY(const int scope, live.map("rmt_scope"));
    std::unique_ptr<Evictor> evictor(new Evictor(shortest, scope));
    evictor->ring_ = ring_buffer__new(map, on_record, evictor.get(), nullptr);
    if (!evictor->ring_)
        return fail(ErrorKind::Environment, std::string("cannot read the ring buffer 'rmt_passed': ") + std::strerror(errno), {}, errno);
    evictor->thread_ = std::thread([e = evictor.get()] { e->run(); });
    return evictor;
}

Evictor::~Evictor() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    ring_buffer__free(ring_);
}

void Evictor::run() {
    while (!stop_) {
        const int n = ring_buffer__poll(ring_, kPollMs);
        if (n < 0 && n != -EINTR) return;  // the actuator meets the same failure and tells it
    }
}

int Evictor::on_record(void* context, void* data, size_t size) {
    rmt_passed passed;
    if (size < sizeof(passed)) return 0;
    std::memcpy(&passed, data, sizeof(passed));
    static_cast<Evictor*>(context)->note(passed);
    return 0;
}

// Within 1/16 of the limit, so that eviction begins before the kernel has to reclaim on its own.
bool Evictor::is_wanted(uint64_t cgroup_id) {
    auto it = cgroups_.find(cgroup_id);
    if (it == cgroups_.end()) {
        auto found = MemoryCgroup::from_id(cgroup_id);
        if (!found) return false;
        it = cgroups_.emplace(cgroup_id, Cgroup{*found, 0, false, {}}).first;
    }
    Cgroup& cgroup = it->second;
    const uint64_t now = monotonic_ns();
    if (cgroup.checked_ns && now - cgroup.checked_ns < kCheckNs) return cgroup.evict;
    cgroup.checked_ns = now;
    rmt_cgroup figures = {};
    cgroup.evict = false;
    if (bpf_map_lookup_elem(scope_, &cgroup_id, &figures) != 0) return false;
    if (!cgroup.gate.observe(figures.stat[RMT_STAT_HIT], figures.stat[RMT_STAT_LEAD])) return false;
    const auto limit = cgroup.cgroup.limit_bytes();
    cgroup.evict = limit && cgroup.cgroup.usage_bytes() > *limit - *limit / 16;
    return cgroup.evict;
}

// Where little was asked for there is no stream to make room for, and the kernel's own choice of victims is the better one.
void Evictor::note(const rmt_passed& passed) {
    auto it = processes_.find(passed.tgid);
    if (it == processes_.end()) {
        auto target = Target::open(passed.tgid);
        if (!target) return;
        if (processes_.size() >= kMaxProcesses) processes_.clear();  // of processes that have long gone, mostly
        it = processes_.emplace(passed.tgid, Process{std::move(*target), Trail(shortest_)}).first;
    }
    Process& process = it->second;
    for (const uint64_t page : passed.page) process.trail.touch(page);
    const bool evict = passed.asked * 4 >= RMT_PASSED_PAGES && is_wanted(passed.cgroup);
    for (;;) {
        std::vector<uint64_t> pages = process.trail.take(RMT_PASSED_PAGES, evict);
        if (pages.empty()) return;
        if (!evict) continue;
        evicted_ += pages.size();
        if (process.target.advise(pages, MADV_PAGEOUT) < 0) {
            processes_.erase(it);
            return;
        }
    }
}

}  // namespace rmt::load
