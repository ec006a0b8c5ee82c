// SPDX-License-Identifier: MIT
// Domain mm on real page faults: the programs, the ledger, the agent, on a cgroup that swaps.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/agent/actuator.h"
#include "loader/bpffs.h"
#include "loader/live.h"
#include "tests/kernel/host.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;

namespace {

// With smaller limits prefetching can meet the OOM killer (docs/operations.md).
constexpr uint64_t kLimitMib = 64, kFootprintMib = 112;

rmt_cgroup figures(const load::LivePolicy& live) {
    auto all = live.cgroups();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    return all->front().figures;
}

bool agent_beats(const load::LivePolicy& live) { return live.ctl().agent_beat != 0; }

void check_ledger(const rmt_cgroup& f) {
    CHECK(f.stat[RMT_STAT_USED] <= f.stat[RMT_STAT_READ]);
    CHECK(f.stat[RMT_STAT_USED] + f.stat[RMT_STAT_WASTED] <= f.stat[RMT_STAT_READ] + f.stat[RMT_STAT_MAJOR]);
    CHECK(f.stat[RMT_STAT_HIT] == f.stat[RMT_STAT_USED] + f.stat[RMT_STAT_FILE_USED]);
    CHECK(f.stat[RMT_STAT_LATE] <= f.stat[RMT_STAT_HIT]);
    CHECK(f.stat[RMT_STAT_EVENTS] <= f.stat[RMT_STAT_FAULTS]);
    CHECK(f.stat[RMT_STAT_NO_STORAGE] == 0);
}

}  // namespace

TEST_CASE("in shadow every miss is seen and nothing is touched") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    load::LoadRequest request = host.request("next_n");
    request.mode = RMT_MODE_SHADOW;
    auto loaded = load::load_policy(request);
    REQUIRE(loaded);
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    const std::string cluster = read_file("/proc/sys/vm/page-cluster");
    Agent agent(host.policy_name());
    REQUIRE(eventually(20, [&] { return agent_beats(*live); }));

    const Touches touches = touch_pages(host.cgroup(), kFootprintMib, 11, 1);
    REQUIRE(touches.ok);
    const rmt_cgroup f = figures(*live);
    // The fill faults too, on what it has just written and lost; the passes' own misses are a part of all.
    CHECK(f.stat[RMT_STAT_MAJOR] >= touches.major);
    CHECK(f.stat[RMT_STAT_MAJOR] <= touches.major + touches.major / 10 + 200);
    CHECK(touches.major > 4000);
    CHECK(f.stat[RMT_STAT_SHADOW_PRED] > 0);
    CHECK(f.stat[RMT_STAT_SHADOW_PRED] == f.stat[RMT_STAT_SHADOWED]);
    CHECK(f.stat[RMT_STAT_ISSUED] == 0);
    CHECK(f.stat[RMT_STAT_READ] == 0);
    CHECK(f.stat[RMT_STAT_HIT] == 0);
    CHECK(read_file("/proc/sys/vm/page-cluster") == cluster);
    check_ledger(f);
    CHECK(agent.end());
}

TEST_CASE("the learned policy starts from nothing and takes over most of the misses") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("learned_prefetch")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    const std::string cluster = read_file("/proc/sys/vm/page-cluster");
    Agent agent(host.policy_name());
    REQUIRE(eventually(20, [&] { return agent_beats(*live); }));
    REQUIRE(eventually(5, [&] { return read_file("/proc/sys/vm/page-cluster") == "0\n"; }));

    const Touches touches = touch_pages(host.cgroup(), kFootprintMib, 11, 2);
    REQUIRE(touches.ok);
    const rmt_cgroup f = figures(*live);
    INFO("hits " << f.stat[RMT_STAT_HIT] << " misses " << f.stat[RMT_STAT_MAJOR] << " read " << f.stat[RMT_STAT_READ] << " used " << f.stat[RMT_STAT_USED]);
    check_ledger(f);
    CHECK(f.stat[RMT_STAT_HIT] > f.stat[RMT_STAT_MAJOR]);
    CHECK(f.stat[RMT_STAT_USED] * 10 > f.stat[RMT_STAT_READ] * 8);
    // With the kernel's readahead off, the workload reads what it misses, and nothing else.
    CHECK(f.stat[RMT_STAT_APP_READ] <= f.stat[RMT_STAT_MAJOR]);
    auto artefact = live->model_artefact(live->manifest().models[0]);
    REQUIRE(artefact);
    CHECK_FALSE(artefact->empty());
    CHECK(agent.end());
    CHECK(read_file("/proc/sys/vm/page-cluster") == cluster);
}

TEST_CASE("events outside the attached cgroups are not seen") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("next_n")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    // Attached to the parent: the memory controller charges the child cgroup, which is another one.
    const std::string parent = host.cgroup().path().substr(0, host.cgroup().path().rfind('/')) + "/";
    const std::string other = parent + "rmt-test-other-" + std::to_string(getpid());
    REQUIRE(mkdir(other.c_str(), 0755) == 0);
    auto cgroup = load::MemoryCgroup::open(other);
    REQUIRE(cgroup);
    REQUIRE(live->add_cgroup(cgroup->id()));
    const Touches touches = touch_pages(host.cgroup(), kLimitMib + 16, 11, 1);
    const rmt_cgroup f = figures(*live);
    rmdir(other.c_str());
    REQUIRE(touches.ok);
    CHECK(f.stat[RMT_STAT_FAULTS] == 0);
    CHECK(f.stat[RMT_STAT_EVENTS] == 0);
}

TEST_CASE("when the agent is killed the policy goes on counting, and the next agent restores the host") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("next_n")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    const std::string cluster = read_file("/proc/sys/vm/page-cluster");
    {
        Agent agent(host.policy_name());
        REQUIRE(eventually(20, [&] { return agent_beats(*live); }));
        REQUIRE(eventually(5, [&] { return read_file("/proc/sys/vm/page-cluster") == "0\n"; }));
        agent.end(SIGKILL);
    }
    const uint64_t last = live->ctl().agent_beat;
    REQUIRE(eventually(5, [&] { return load::monotonic_ns() - last > RMT_AGENT_DEAD_NS; }));

    REQUIRE(touch_pages(host.cgroup(), kLimitMib + 16, 11, 1).ok);
    const rmt_cgroup f = figures(*live);
    CHECK(f.stat[RMT_STAT_MAJOR] > 0);
    CHECK(f.stat[RMT_STAT_ISSUED] == 0);
    CHECK(f.stat[RMT_STAT_SHADOWED] > 0);

    Agent agent(host.policy_name());
    REQUIRE(eventually(20, [&] { return live->ctl().agent_tgid == static_cast<uint32_t>(agent.pid()); }));
    CHECK(agent.end());
    CHECK(read_file("/proc/sys/vm/page-cluster") == cluster);
}

TEST_CASE("file mappings are prefetched within the cgroup's own limit") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("learned_prefetch")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    Agent agent(host.policy_name());
    REQUIRE(eventually(20, [&] { return agent_beats(*live); }));
    const Touches touches = touch_file(host.cgroup(), kFootprintMib, 11, 2);
    REQUIRE(touches.ok);
    const rmt_cgroup f = figures(*live);
    INFO("asked " << f.stat[RMT_STAT_FILE_ISSUED] << " used " << f.stat[RMT_STAT_FILE_USED] << " misses " << f.stat[RMT_STAT_MAJOR] << " of "
                  << touches.accesses);
    check_ledger(f);
    CHECK(f.stat[RMT_STAT_FILE_USED] > 0);
    CHECK(f.stat[RMT_STAT_FILE_USED] <= f.stat[RMT_STAT_FILE_ISSUED]);
    // Half of the file does not fit. Were the cache charged to somebody else, the later passes would miss nothing at all.
    CHECK(f.stat[RMT_STAT_FILE_ISSUED] + f.stat[RMT_STAT_MAJOR] > touches.accesses / 2);
    CHECK(agent.end());
}
