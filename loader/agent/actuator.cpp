// SPDX-License-Identifier: MIT
#include "loader/agent/actuator.h"

#include <bpf/libbpf.h>
#include <linux/mman.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace rmt::load {

namespace {

constexpr size_t kMaxTargets = 4096;

}  // namespace

ActuatorFigures& ActuatorFigures::operator+=(const ActuatorFigures& other) {
    records += other.records;
    pages += other.pages;
    clipped += other.clipped;
    evicted += other.evicted;
    gone += other.gone;
    calls += other.calls;
    wake_ns += other.wake_ns;
    busy_ns += other.busy_ns;
    return *this;
}

uint64_t monotonic_ns() {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

Result<std::unique_ptr<Actuator>> Actuator::open(const LivePolicy& live, const ActuatorOptions& options) {
    std::unique_ptr<Actuator> actuator(new Actuator(live, options));
    RMT_TRY(const int map, live.map("rmt_actions"));
    actuator->ring_ = ring_buffer__new(map, on_record, actuator.get(), nullptr);
    if (!actuator->ring_)
        return fail(ErrorKind::Environment, "cannot read the ring buffer of '" + live.name() + "': " + std::strerror(errno), {}, errno);
    if (options.trail) {
        RMT_TRY(actuator->evictor_, Evictor::start(live, options.trail));
    }
    return actuator;
}

Actuator::~Actuator() { ring_buffer__free(ring_); }

Result<void> Actuator::poll(int timeout_ms) {
    const int n = ring_buffer__poll(ring_, timeout_ms);
    if (evictor_) figures_.evicted = evictor_->evicted();
    if (n < 0 && n != -EINTR)
        return fail(ErrorKind::Environment, std::string("cannot read the ring buffer: ") + std::strerror(-n), {}, -n);
    return {};
}

int Actuator::on_record(void* context, void* data, size_t size) {
    auto* self = static_cast<Actuator*>(context);
    if (size < RMT_ACTION_HEADER) return 0;
    rmt_action action = {};  // the ring is mapped read-only and may wrap: work on a copy
    std::memcpy(&action, data, std::min(size, sizeof(action)));
    action.n = std::min<uint32_t>(action.n, static_cast<uint32_t>((size - RMT_ACTION_HEADER) / 8));
    self->carry_out(action);
    return 0;
}

Target* Actuator::find_target(uint32_t tgid) {
    const auto it = targets_.find(tgid);
    if (it != targets_.end()) return &it->second;
    auto target = Target::open(tgid);
    if (!target) return nullptr;
    if (targets_.size() >= kMaxTargets) targets_.clear();  // of processes that have long gone, mostly
    return &targets_.emplace(tgid, std::move(*target)).first->second;
}

Actuator::Cgroup* Actuator::find_cgroup(uint64_t id) {
    const auto it = cgroups_.find(id);
    if (it != cgroups_.end()) return &it->second;
    auto found = MemoryCgroup::from_id(id);
    if (!found) return nullptr;
    return &cgroups_.emplace(id, Cgroup{*found, nullptr}).first->second;
}

void Actuator::carry_out(const rmt_action& action) {
    const uint64_t began = monotonic_ns();
    figures_.records++;
    figures_.wake_ns += began > action.ts ? began - action.ts : 0;
    Target* target = find_target(action.tgid);
    if (!target) {
        figures_.gone++;
        return;
    }
    std::vector<uint64_t> pages(action.page, action.page + action.n);
    if (const auto mapping = target->mapping(action.fault, began)) {
        std::erase_if(pages, [&](uint64_t p) { return p < mapping->begin || p >= mapping->end; });
        figures_.clipped += action.n - pages.size();
    }
    if (action.kind == RMT_PAGE_FILE) {
        Cgroup* cgroup = find_cgroup(action.cgroup);
        if (cgroup && !cgroup->worker) {
            auto worker = FileWorker::start(cgroup->cgroup);
            if (worker) cgroup->worker = std::make_unique<FileWorker>(std::move(*worker));
        }
        if (cgroup && cgroup->worker && cgroup->worker->prefetch(action.tgid, pages)) figures_.pages += pages.size();
    } else if (!pages.empty()) {
        live_.ctl().agent_cgroup = action.cgroup;  // whose read the ledger is about to see
        figures_.pages += pages.size();
        const int calls = target->advise(pages, MADV_WILLNEED);
        live_.ctl().agent_cgroup = 0;
        if (calls < 0) {
            figures_.gone++;
            targets_.erase(action.tgid);
            return;
        }
        figures_.calls += static_cast<uint64_t>(calls);
    }
    figures_.busy_ns += monotonic_ns() - began;
}

}  // namespace rmt::load
