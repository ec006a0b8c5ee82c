// SPDX-License-Identifier: MIT
// The agent of one policy: carries out what the programs decide, watches for harm, trains models in the background. Ends
// when `stop` becomes true. While it runs, the programs see its sign of life; when it dies, whatever the way, they stop
// asking it within RMT_AGENT_DEAD_NS and go on counting.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "loader/agent/actuator.h"
#include "rmt_lang/support/result.h"

namespace rmt::load {

struct AgentOptions {
    ActuatorOptions actuator;
    bool realtime = true;  // SCHED_FIFO 1 for the acting thread: a prefetch that comes late is wasted
    bool train = true;     // background training, where the policy asks for it
    uint32_t train_cpu = 25;  // percent of one processor for it
    std::function<void(const std::string&)> say;  // one line at a time, for people
};

// Errors: NotFound; Conflict when another agent of the policy is alive; Environment.
Result<ActuatorFigures> run_agent(const std::string& policy, const AgentOptions& options, const std::atomic<bool>& stop);

}  // namespace rmt::load
