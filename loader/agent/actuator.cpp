// SPDX-License-Identifier: MIT
#include "loader/agent/actuator.h"

#include <bpf/libbpf.h>
#include <linux/mman.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace rmt::load {

namespace {

constexpr uint64_t kCheckNs = 20'000'000;
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
    RMT_TRY(const int passed, live.map("rmt_passed"));
    if (!actuator->ring_ || ring_buffer__add(actuator->ring_, passed, on_passed, actuator.get()) != 0)
        return fail(ErrorKind::Environment, "cannot read the ring buffer of '" + live.name() + "': " + std::strerror(errno), {}, errno);
    return actuator;
}

Actuator::~Actuator() { ring_buffer__free(ring_); }

Result<void> Actuator::poll(int timeout_ms) {
    int n = ring_buffer__poll(ring_, timeout_ms);
    // `rmt_passed` wakes nobody by itself.
    if (n >= 0) n = ring_buffer__consume(ring_);
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
    auto target = Target::open(tgid, options_.trail);
    if (!target) return nullptr;
    if (targets_.size() >= kMaxTargets) targets_.clear();  // of processes that have long gone, mostly
    return &targets_.emplace(tgid, std::move(*target)).first->second;
}

Actuator::Cgroup* Actuator::find_cgroup(uint64_t id) {
    const auto it = cgroups_.find(id);
    if (it != cgroups_.end()) return &it->second;
    auto found = MemoryCgroup::from_id(id);
    if (!found) return nullptr;
    return &cgroups_.emplace(id, Cgroup{*found, 0, 0, false, nullptr}).first->second;
}

// Close to its limit: within 1/16, so that eviction begins before the kernel has to reclaim on its own.
bool Actuator::is_tight(Cgroup& cgroup, uint64_t now_ns) {
    if (cgroup.checked_ns && now_ns - cgroup.checked_ns < kCheckNs) return cgroup.tight;
    cgroup.checked_ns = now_ns;
    const auto limit = cgroup.cgroup.limit_bytes();
    cgroup.tight = limit && cgroup.cgroup.usage_bytes() > *limit - *limit / 16;
    return cgroup.tight;
}

int Actuator::on_passed(void* context, void* data, size_t size) {
    auto* self = static_cast<Actuator*>(context);
    rmt_passed passed;
    if (size < sizeof(passed)) return 0;
    std::memcpy(&passed, data, sizeof(passed));
    if (self->options_.trail) self->evict_behind(passed);
    return 0;
}

// Where little was asked for there is no stream to make room for, and the kernel's own choice of victims is the better one.
void Actuator::evict_behind(const rmt_passed& passed) {
    Target* target = find_target(passed.tgid);
    Cgroup* cgroup = find_cgroup(passed.cgroup);
    if (!target || !cgroup) return;
    for (const uint64_t page : passed.page) target->trail().touch(page);
    const bool evict = target->asked() * 4 >= RMT_PASSED_PAGES && is_tight(*cgroup, monotonic_ns());
    target->asked() = 0;
    for (;;) {
        std::vector<uint64_t> pages = target->trail().take(RMT_PASSED_PAGES, evict);
        if (pages.empty()) return;
        if (!evict) continue;
        const int calls = target->advise(pages, MADV_PAGEOUT);
        if (calls < 0) {
            targets_.erase(passed.tgid);
            return;
        }
        figures_.calls += static_cast<uint64_t>(calls);
        figures_.evicted += pages.size();
    }
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
        target->asked() += pages.size();
    }
    figures_.busy_ns += monotonic_ns() - began;
}

}  // namespace rmt::load
