// SPDX-License-Identifier: MIT
#include "loader/agent/page_cluster.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "loader/bpffs.h"
#include "loader/live.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

constexpr const char* kSysctl = "/proc/sys/vm/page-cluster";

std::string pin_path() { return std::string(kPinRoot) + "/page_cluster"; }

Result<void> write_sysctl(const std::string& value) {
    std::ofstream out(kSysctl);
    out << value << std::flush;
    if (!out) return fail(ErrorKind::Permission, std::string("cannot set vm.page-cluster to ") + value + ": " + std::strerror(errno), "run as root");
    return {};
}

bool acts(const std::string& policy) {
    auto live = LivePolicy::open(policy);
    if (!live || live->ctl().mode != RMT_MODE_ENFORCE || !live->ctl().agent_tgid) return false;
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
    return ns - live->ctl().agent_beat < RMT_AGENT_DEAD_NS;
}

}  // namespace

Result<void> hold_page_cluster() {
    RMT_TRY(Fd lock, lock_policies());
    Fd kept(bpf_obj_get(pin_path().c_str()));
    if (!kept) {
        std::ifstream in(kSysctl);
        std::string value;
        in >> value;
        if (value.empty()) return fail(ErrorKind::Environment, std::string("cannot read ") + kSysctl);
        RMT_TRY(Fd map, make_text_map("rmt_cluster", value));
        if (bpf_obj_pin(map.get(), pin_path().c_str()) != 0)
            return fail(ErrorKind::Environment, "cannot keep vm.page-cluster in " + pin_path() + ": " + std::strerror(errno), {}, errno);
    }
    return write_sysctl("0");
}

Result<void> release_page_cluster(const std::string& except) {
    RMT_TRY(Fd lock, lock_policies());
    Fd kept(bpf_obj_get(pin_path().c_str()));
    if (!kept) return {};
    for (const std::string& policy : pinned_policies())
        if (policy != except && acts(policy)) return {};
    RMT_TRY(const std::string value, read_text_map(kept.get()));
    RMT_CHECK(write_sysctl(value));
    unlink(pin_path().c_str());
    return {};
}

}  // namespace rmt::load
