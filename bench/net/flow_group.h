// SPDX-License-Identifier: MIT
// A group of flows with one congestion control, run by one process: bulk flows that send as much as they can until the end, or
// short transfers one after the other. All groups of a run share the times in Schedule.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bench/net/tcp.h"

namespace rmt::net {

struct Group {
    int flows = 1;        // bulk; 0: short transfers
    std::string control;  // empty: left alone
    std::string cgroup;   // empty: where this process is
    int64_t bytes = 0;    // of a short transfer
    int64_t every_ns = 0;
    int first = 0;  // the place of its first flow among all bulk flows, which the stagger counts
};

// "N,CONTROL[,CGROUP]" and "BYTES,EVERY_MS,CONTROL[,CGROUP]".
Result<Group> parse_bulk(const std::string& text);
Result<Group> parse_short(const std::string& text);

struct Schedule {
    Address to;
    int64_t start_ns = 0;    // of the first flow
    int64_t warm_up_ns = 0;  // after the start; nothing before counts
    int64_t window_ns = 0;   // after the warm-up
    int64_t stagger_ns = 0;  // between the starts of flows
    int64_t short_ns = 0;    // after the window: short transfers have this time of their own; 0: they run in the window
    bool series = false;     // figures of each second too
    uint64_t seed = 1;       // moves each start, within the stagger (without one, within 10 ms)
    int64_t window_start() const { return start_ns + warm_up_ns; }
    int64_t window_end() const { return window_start() + window_ns; }
    int64_t end() const { return window_end() + short_ns; }
    int64_t start_of(int flow) const;
};

// One JSON object. A bulk group: "flows", each with "control" (in force at the end), "mbit" (bytes that arrived in the window),
// "rtt" (samples in ms, every 10 ms of the window), "rtt_min_ms", "retransmits", "cwnd" (mean, packets), and perhaps "series": of each
// second [Mbit/s, last RTT]. Short transfers: "short" with "ms" (from connect() until the server has read the last byte and said so) and
// "unfinished" (age in ms at the end of those that were not done).
Result<nlohmann::json> run_bulk(const Schedule& schedule, const Group& group);
Result<nlohmann::json> run_short(const Schedule& schedule, const Group& group);

}  // namespace rmt::net
