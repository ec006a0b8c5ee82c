// SPDX-License-Identifier: MIT
#include "loader/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "loader/bpffs.h"
#include "loader/cgroup.h"
#include "loader/system_error.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

// Entries are told apart by what they match and do; a comment does not count.
bool same_entry(const ManifestEntry& a, const ManifestEntry& b) {
    return a.keys == b.keys && a.action == b.action && a.args == b.args;
}

}  // namespace

const char* stat_name(rmt_stat stat) {
    static const char* const kNames[RMT_STAT_COUNT] = {
        "faults", "events", "major", "hit", "late", "other", "asked", "clamped", "limited", "shadowed", "issued", "read", "used",
        "wasted", "file_issued", "file_used", "shadow_pred", "shadow_hit", "app_read", "written", "stall_major", "stall_hit",
        "breach", "ring_full", "collect_full", "on_error", "no_storage", "stuck", "lead"};
    return stat < RMT_STAT_COUNT && kNames[stat] ? kNames[stat] : "";
}

LivePolicy::LivePolicy(LivePolicy&& other) noexcept
    : name_(std::move(other.name_)), manifest_(std::move(other.manifest_)), ctl_(std::exchange(other.ctl_, nullptr)),
      maps_(std::move(other.maps_)) {}

LivePolicy& LivePolicy::operator=(LivePolicy&& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(manifest_, other.manifest_);
    std::swap(ctl_, other.ctl_);
    std::swap(maps_, other.maps_);
    return *this;
}

LivePolicy::~LivePolicy() {
    if (ctl_) munmap(ctl_, 4096);
}

Result<LivePolicy> LivePolicy::open(const std::string& name) {
    LivePolicy live;
    live.name_ = name;
    if (name.empty() || name.find('/') != std::string::npos || access(pin_dir(name).c_str(), F_OK) != 0) {
        if (errno == EACCES) return fail(ErrorKind::Permission, std::string("may not look into ") + kPinRoot, "run as root", EACCES);
        std::string have;
        for (const std::string& p : pinned_policies()) have += (have.empty() ? "" : ", ") + p;
        return fail(ErrorKind::NotFound, "no policy named '" + name + "' is loaded", have.empty() ? "none is" : "loaded: " + have);
    }
    RMT_TRY(const int manifest_fd, live.map("rmt_manifest"));
    RMT_TRY(const std::string text, read_text_map(manifest_fd));
    RMT_TRY(live.manifest_, parse_manifest(text));
    RMT_TRY(const int ctl_fd, live.map("rmt_ctl"));
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ctl_fd, 0);
    if (page == MAP_FAILED) return system_error("cannot map rmt_ctl of '" + name + "'");
    live.ctl_ = static_cast<rmt_ctl*>(page);
    return live;
}

const char* mode_name(uint32_t mode) { return mode == RMT_MODE_ENFORCE ? "enforce" : mode == RMT_MODE_SHADOW ? "shadow" : "off"; }

bool LivePolicy::has_agent() const {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t beat = ctl_->agent_beat;
    return beat && static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec) - beat < RMT_AGENT_DEAD_NS;
}

Result<std::string> LivePolicy::object_digest() const {
    RMT_TRY(const int fd, map("rmt_digest"));
    return read_text_map(fd);
}

Result<int> LivePolicy::map(const std::string& name) const {
    for (const auto& [known, fd] : maps_)
        if (known == name) return fd.get();
    Fd fd(bpf_obj_get((pin_dir(name_) + "/" + name).c_str()));
    if (!fd) return system_error("cannot open '" + name + "' of policy '" + name_ + "'");
    const int raw = fd.get();
    maps_.emplace_back(name, std::move(fd));
    return raw;
}

Result<void> LivePolicy::set_mode(rmt_mode mode) const {
    ctl_->mode = mode;
    RMT_TRY(const int scope, map("rmt_scope"));
    RMT_TRY(const std::vector<CgroupFigures> all, cgroups());
    for (const CgroupFigures& cgroup : all) {
        rmt_cgroup figures;
        if (bpf_map_lookup_elem(scope, &cgroup.id, &figures) != 0 || !figures.breaker.open_until_ns) continue;
        figures.breaker = {};
        bpf_map_update_elem(scope, &cgroup.id, &figures, BPF_EXIST);
    }
    return {};
}

Result<void> LivePolicy::add_cgroup(uint64_t id) const {
    RMT_TRY(const int scope, map("rmt_scope"));
    const rmt_cgroup fresh = {};
    ctl_->scope_bits[id / 64 % (RMT_SCOPE_BITS / 64)] |= uint64_t{1} << (id % 64);  // stays when the cgroup goes: a hint only
    if (bpf_map_update_elem(scope, &id, &fresh, BPF_NOEXIST) == 0) return {};
    if (errno == EEXIST) return fail(ErrorKind::Conflict, "policy '" + name_ + "' is attached to this cgroup already");
    return system_error("cannot attach policy '" + name_ + "' to the cgroup");
}

Result<void> LivePolicy::remove_cgroup(uint64_t id) const {
    RMT_TRY(const int scope, map("rmt_scope"));
    if (bpf_map_delete_elem(scope, &id) == 0) return {};
    if (errno == ENOENT) return fail(ErrorKind::NotFound, "policy '" + name_ + "' is not attached to this cgroup");
    return system_error("cannot detach policy '" + name_ + "' from the cgroup");
}

Result<std::vector<CgroupFigures>> LivePolicy::cgroups() const {
    RMT_TRY(const int scope, map("rmt_scope"));
    std::vector<CgroupFigures> all;
    uint64_t key = 0, next = 0;
    bool first = true;
    while (bpf_map_get_next_key(scope, first ? nullptr : &key, &next) == 0) {
        first = false;
        key = next;
        CgroupFigures cgroup;
        cgroup.id = key;
        if (bpf_map_lookup_elem(scope, &key, &cgroup.figures) != 0) continue;
        if (manifest_.domain == "tcp") {
            if (auto found = UnifiedCgroup::from_id(key)) cgroup.path = found->path();
        } else if (auto found = MemoryCgroup::from_id(key)) {
            cgroup.path = found->path();
        }
        all.push_back(std::move(cgroup));
    }
    return all;
}

Result<TableState> LivePolicy::table(const ManifestTable& table) const {
    TableState state;
    RMT_TRY(const int outer, map("rmt_table_" + table.name));
    RMT_TRY(const std::vector<uint8_t> value, read_value(outer));
    RMT_TRY(state.entries, decode_table(manifest_, table, value));
    rmt_table_header header = {};
    std::memcpy(&header, value.data(), sizeof(header));
    state.version = header.version;
    RMT_TRY(const int hits, map("rmt_hits_" + table.name));
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (uint32_t slot = 0; slot <= table.size; slot++) {
        if (slot < table.size && slot >= state.entries.size()) continue;
        uint64_t sum = 0;
        if (bpf_map_lookup_elem(hits, &slot, per_cpu.data()) == 0)
            for (const uint64_t n : per_cpu) sum += n;
        if (slot == table.size)
            state.default_hits = sum;
        else
            state.hits.push_back(sum);
    }
    return state;
}

Result<void> LivePolicy::set_table(const ManifestTable& table, const std::vector<ManifestEntry>& entries) const {
    RMT_TRY(Fd lock, lock_policies());
    RMT_TRY(const TableState before, this->table(table));
    RMT_TRY(const std::vector<uint8_t> value, encode_table(manifest_, table, entries, before.version + 1));
    RMT_TRY(const int outer, map("rmt_table_" + table.name));
    RMT_TRY(const int hits, map("rmt_hits_" + table.name));
    RMT_CHECK(replace_value(outer, "rmt_table", value));
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    for (uint32_t slot = 0; slot < table.size; slot++) {
        std::fill(per_cpu.begin(), per_cpu.end(), 0);
        for (size_t old = 0; slot < entries.size() && old < before.entries.size(); old++)
            if (same_entry(entries[slot], before.entries[old])) per_cpu[0] = before.hits[old];
        bpf_map_update_elem(hits, &slot, per_cpu.data(), BPF_ANY);
    }
    return {};
}

}  // namespace rmt::load
