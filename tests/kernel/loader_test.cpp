// SPDX-License-Identifier: MIT
// load, replace, change and unload policies in the running kernel.
#include <sys/stat.h>
#include <unistd.h>

#include "loader/bpffs.h"
#include "loader/live.h"
#include "rmt_lang/entry.h"
#include "tests/kernel/host.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;

namespace {
constexpr uint64_t kLimitMib = 64;
}

TEST_CASE("a policy is loaded, found again by its pins, and leaves nothing") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const load::LoadRequest request = host.request("learned_prefetch");
    REQUIRE(load::load_policy(request));
    {
        auto live = load::LivePolicy::open(host.policy_name());
        REQUIRE(live);
        CHECK(live->manifest() == request.manifest);
        CHECK(live->ctl().mode == RMT_MODE_ENFORCE);
        auto artefact = live->model_artefact(live->manifest().models[0]);
        REQUIRE(artefact);
        CHECK(artefact->empty());
        auto again = load::load_policy(request);
        REQUIRE_FALSE(again);
        CHECK(again.error().kind == ErrorKind::Conflict);
    }
    REQUIRE(load::unload_policy(host.policy_name()));
    CHECK(access(load::pin_dir(host.policy_name()).c_str(), F_OK) != 0);
    auto gone = load::LivePolicy::open(host.policy_name());
    REQUIRE_FALSE(gone);
    CHECK(gone.error().kind == ErrorKind::NotFound);
    CHECK(load::unload_policy(host.policy_name()).error().kind == ErrorKind::NotFound);
}

TEST_CASE("a cgroup is attached once, by path or id, and detached") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("next_n")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    const uint64_t id = host.cgroup().id();
    REQUIRE(live->add_cgroup(id));
    CHECK(live->add_cgroup(id).error().kind == ErrorKind::Conflict);
    auto all = live->cgroups();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(all->front().path == host.cgroup().path());
    REQUIRE(live->remove_cgroup(id));
    CHECK(live->remove_cgroup(id).error().kind == ErrorKind::NotFound);
}

TEST_CASE("a replacement keeps the cgroups, and one that fails changes nothing") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("next_n")));
    {
        auto live = load::LivePolicy::open(host.policy_name());
        REQUIRE(live);
        REQUIRE(live->add_cgroup(host.cgroup().id()));
    }
    load::LoadRequest broken = host.request("leap");
    broken.replace = true;
    broken.object.resize(broken.object.size() / 2);
    CHECK_FALSE(load::load_policy(broken));
    {
        auto live = load::LivePolicy::open(host.policy_name());
        REQUIRE(live);
        CHECK(live->manifest().source == "next_n.rmt");
    }
    load::LoadRequest other = host.request("leap");
    other.replace = true;
    REQUIRE(load::load_policy(other));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    CHECK(live->manifest().source == "leap.rmt");
    auto all = live->cgroups();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(all->front().id == host.cgroup().id());
    CHECK(access((load::pin_dir(host.policy_name()) + load::kOldSuffix).c_str(), F_OK) != 0);
}

TEST_CASE("entries change while the policy runs, all or nothing") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    REQUIRE(load::load_policy(host.request("learned_prefetch")));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    const ManifestTable& table = live->manifest().tables[0];
    auto before = live->table(table);
    REQUIRE(before);
    REQUIRE(before->entries.size() == table.entries.size());
    for (size_t i = 0; i < table.entries.size(); i++) {
        CHECK(before->entries[i].keys == table.entries[i].keys);
        CHECK(before->entries[i].action == table.entries[i].action);
        CHECK(before->entries[i].args == table.entries[i].args);
    }
    auto entry = lang::parse_entry("anon, 98.. => follow(8)", live->manifest(), table);
    REQUIRE(entry);
    std::vector<ManifestEntry> entries = before->entries;
    entries.insert(entries.begin(), *entry);
    REQUIRE(live->set_table(table, entries));
    auto after = live->table(table);
    REQUIRE(after);
    REQUIRE(after->entries.size() == entries.size());
    CHECK(after->version == before->version + 1);
    CHECK(format_entry(live->manifest(), table, after->entries[0]) == "anon, 98.. => follow(8)");
    // Too many: refused, and what was there stays.
    entries.resize(table.size + 1, *entry);
    CHECK(live->set_table(table, entries).error().kind == ErrorKind::Input);
    auto still = live->table(table);
    REQUIRE(still);
    CHECK(still->entries == after->entries);
}
