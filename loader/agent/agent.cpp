// SPDX-License-Identifier: MIT
#include "loader/agent/agent.h"

#include <bpf/bpf.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "loader/agent/learner.h"
#include "loader/agent/page_cluster.h"
#include "loader/bpffs.h"
#include "loader/cgroup.h"
#include "loader/fd.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

constexpr int kPollMs = 50;
constexpr uint64_t kWatchNs = 500'000'000;

// In domain tcp the kernel acts by itself; an agent only trains.
bool acts_for(const LivePolicy& live) { return live.manifest().domain == "mm"; }

// Takes and gives back what the agent holds while it runs.
class Presence {
public:
    Presence(const LivePolicy& live, const AgentOptions& options) : live_(live), options_(options) {}

    ~Presence() {
        live_.ctl().train = 0;
        live_.ctl().agent_beat = 0;
        live_.ctl().agent_tgid = 0;
        release();
    }

    Result<void> claim() {
        RMT_TRY(Fd lock, lock_policies());
        const uint32_t other = live_.ctl().agent_tgid;
        const bool alive = other && kill(static_cast<int>(other), 0) == 0 && monotonic_ns() - live_.ctl().agent_beat < RMT_AGENT_DEAD_NS;
        if (alive && other != static_cast<uint32_t>(getpid()))
            return fail(ErrorKind::Conflict, "process " + std::to_string(other) + " is the agent of '" + live_.name() + "' already");
        live_.ctl().agent_tgid = static_cast<uint32_t>(getpid());
        live_.ctl().agent_cgroup = 0;
        return {};
    }

    // The sign of life; and the kernel's own readahead off exactly while we act.
    void beat() {
        live_.ctl().agent_beat = monotonic_ns();
        const bool acts = acts_for(live_) && live_.ctl().mode == RMT_MODE_ENFORCE;
        if (acts == holding_) return;
        if (!acts) return release();
        holding_ = true;
        if (auto held = hold_page_cluster(); !held) options_.say("warning: " + held.error().message);
    }

private:
    void release() {
        if (!holding_) return;
        holding_ = false;
        if (auto done = release_page_cluster(live_.name()); !done) options_.say("warning: " + done.error().message);
    }

    const LivePolicy& live_;
    const AgentOptions& options_;
    bool holding_ = false;
};

// Steps back when the kernel's OOM killer strikes in a cgroup that we serve: prefetching must never be what kills.
class OomWatch {
public:
    OomWatch(const LivePolicy& live, const AgentOptions& options) : live_(live), options_(options) {}

    void look(uint64_t now_ns) {
        if (now_ns - looked_ns_ < kWatchNs) return;
        looked_ns_ = now_ns;
        const auto cgroups = live_.cgroups();
        if (!cgroups) return;
        for (const CgroupFigures& figures : *cgroups) {
            const auto cgroup = MemoryCgroup::from_id(figures.id);
            if (!cgroup) continue;
            const uint64_t kills = cgroup->oom_kills();
            const auto [it, first] = seen_.try_emplace(figures.id, kills);
            if (first || kills <= it->second) continue;
            it->second = kills;
            if (live_.ctl().mode != RMT_MODE_ENFORCE) continue;
            live_.ctl().mode = RMT_MODE_SHADOW;
            options_.say("the OOM killer struck in " + cgroup->path() + ": policy '" + live_.name() +
                         "' is in shadow now; back with: rmt-load mode " + live_.name() + " enforce");
        }
    }

private:
    const LivePolicy& live_;
    const AgentOptions& options_;
    uint64_t looked_ns_ = 0;
    std::map<uint64_t, uint64_t> seen_;
};

// Serves the policy as it is loaded now, until it is told to stop, or the policy is detached or replaced.
Result<bool> serve(const std::string& policy, const AgentOptions& options, const std::atomic<bool>& stop, ActuatorFigures& figures) {
    RMT_TRY(const LivePolicy live, LivePolicy::open(policy));
    if (!acts_for(live) && !Learner::wanted(live.manifest()))
        return fail(ErrorKind::Input, "policy '" + policy + "' of domain " + live.manifest().domain + " leaves nothing to an agent: it acts in the kernel, and trains no model in the background",
                    "it works without one; `train background ...` in a model is what an agent would be for");
    Presence presence(live, options);
    RMT_CHECK(presence.claim());
    std::unique_ptr<Actuator> actuator;
    if (acts_for(live)) {
        RMT_TRY(actuator, Actuator::open(live, options.actuator));
    }
    std::unique_ptr<Learner> learner;
    if (options.train && Learner::wanted(live.manifest())) {
        RMT_TRY(learner, Learner::start(policy, options.train_cpu, options.say));
        live.ctl().train = 1;
    }
    if (options.realtime && actuator) {
        sched_param priority = {};
        priority.sched_priority = 1;
        if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) != 0)
            options.say(std::string("warning: no real-time priority (") + std::strerror(errno) + "); prefetches may come late");
    }
    options.say("agent of '" + policy + (actuator ? "' is acting" : "' is training"));
    RMT_TRY(const int ctl, live.map("rmt_ctl"));
    const uint32_t id = map_id(ctl);
    OomWatch oom(live, options);
    bool again = false;
    for (uint64_t looked = monotonic_ns(); !stop;) {
        presence.beat();
        if (actuator)
            RMT_CHECK(actuator->poll(kPollMs));
        else
            usleep(kPollMs * 1000);
        const uint64_t now = monotonic_ns();
        if (actuator) oom.look(now);
        if (now - looked < kWatchNs) continue;
        looked = now;
        const Fd pinned(bpf_obj_get((pin_dir(policy) + "/rmt_ctl").c_str()));
        if (map_id(pinned.get()) == id) continue;
        again = static_cast<bool>(pinned);
        options.say("policy '" + policy + (again ? "' was replaced" : "' was detached; the agent ends"));
        break;
    }
    if (actuator) figures += actuator->figures();
    return again;
}

}  // namespace

Result<ActuatorFigures> run_agent(const std::string& policy, const AgentOptions& options, const std::atomic<bool>& stop) {
    ActuatorFigures figures;
    for (bool again = true; again && !stop;) {
        RMT_TRY(again, serve(policy, options, stop, figures));
    }
    return figures;
}

}  // namespace rmt::load
