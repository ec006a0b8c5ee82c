// SPDX-License-Identifier: MIT
// What a test needs of the host, made by the test and taken away with it: a memory cgroup with a limit, swap on the disk,
// pinned policies. A janitor process waits for the test's end, however that comes, and removes what is left.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "loader/cgroup.h"
#include "loader/session.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::test {

// Why tests that load programs cannot run here; empty when they can.
std::string cannot_load();

// Why tests that swap cannot run here; empty when they can. Uses swap that is on already, else makes a swapfile.
class Host {
public:
    explicit Host(uint64_t limit_mib);
    ~Host();
    Host(const Host&) = delete;

    const std::string& problem() const { return problem_; }
    const load::MemoryCgroup& cgroup() const { return *cgroup_; }

    // A policy of policies/, compiled when the project was built, under a name that only this test has. It goes with us.
    load::LoadRequest request(const std::string& policy);
    const std::string& policy_name() const { return policy_; }

private:
    std::string problem_, policy_, swapfile_, cgroup_path_;
    std::unique_ptr<load::MemoryCgroup> cgroup_;
    int janitor_ = -1;  // the end of its pipe
};

// An agent in a process of its own, for as long as the object lives: what an agent's children touch is never an event, and
// the workloads here are children of the test.
class Agent {
public:
    explicit Agent(const std::string& policy);
    ~Agent() { end(); }
    Agent(const Agent&) = delete;

    bool end(int signal = SIGTERM);  // true when it ended well
    int pid() const { return pid_; }

private:
    int pid_;
};

struct Touches {
    uint64_t accesses = 0;
    uint64_t major = 0;     // of getrusage
    bool ok = false;        // the child ended well and the data was intact
};

// Runs in a child inside the cgroup: fills `mib` of anonymous memory, then touches every page, `stride` pages apart, `passes`
// times. Majors are those of the passes.
Touches touch_pages(const load::MemoryCgroup& cgroup, uint64_t mib, uint64_t stride, int passes);

// The same on a file of that size that is mapped, beside the test's swapfile; without the fill.
Touches touch_file(const load::MemoryCgroup& cgroup, uint64_t mib, uint64_t stride, int passes);

// Polls until `condition` holds; false after `seconds`.
bool eventually(double seconds, const std::function<bool()>& condition);

std::string read_file(const std::string& path);

}  // namespace rmt::test
