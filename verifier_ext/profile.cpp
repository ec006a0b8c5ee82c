// SPDX-License-Identifier: MIT
#include "verifier_ext/profile.h"

#include <linux/bpf.h>

#include <fmt/format.h>

#include "bpf/include/rmt/intf.h"
#include "bpf/include/rmt/model_layout.h"

namespace rmt::verify {
namespace {

Profile make_mm() {
    Profile p;
    p.domain = "mm";
    // Attach points: docs/hooks.md. Nothing that runs with a lock of the page-fault path held for writing.
    p.programs = {
        {"tp_btf/page_fault_user"}, {"tp_btf/page_fault_kernel"}, {"tp_btf/count_memcg_events"}, {"tp_btf/block_bio_queue"},
        {"fentry/do_swap_page"}, {"fentry/swapin_readahead"}, {"fentry/filemap_map_pages"}, {"fentry/filemap_fault"},
        {"fexit/filemap_fault"}, {"fexit/handle_mm_fault"}, {"syscall", true},
    };
    // Helpers of constant time, and what they write. Times: facts measured with BPF_PROG_TEST_RUN on Linux 6.18, warm.
    const std::vector<std::string> looked_up = {"rmt_ctl", "rmt_scope", "rmt_tags", "rmt_slots", "rmt_table_*", "rmt_hits_*", "rmt_model_*", "rmt_act_*", "rmt_online_*"};
    p.helpers = {
        {BPF_FUNC_map_lookup_elem, {"bpf_map_lookup_elem", {}, 2.0, 1, looked_up}},
        {BPF_FUNC_probe_read_kernel, {"bpf_probe_read_kernel", {1, 2}, 6.0}},
        {BPF_FUNC_ktime_get_ns, {"bpf_ktime_get_ns", {}, 24.0}},
        {BPF_FUNC_get_prandom_u32, {"bpf_get_prandom_u32", {}, 3.2}},
        {BPF_FUNC_get_smp_processor_id, {"bpf_get_smp_processor_id", {}, 0.2}},
        {BPF_FUNC_get_current_pid_tgid, {"bpf_get_current_pid_tgid", {}, 0.5}},
        {BPF_FUNC_get_current_comm, {"bpf_get_current_comm", {1, 2}, 4.0}},
        {BPF_FUNC_get_current_task_btf, {"bpf_get_current_task_btf", {}, 0.3}},
        {BPF_FUNC_task_storage_get, {"bpf_task_storage_get", {}, 8.0, 1, {"rmt_tasks"}}},
        {BPF_FUNC_ringbuf_output, {"bpf_ringbuf_output", {}, 30.0, 1, {"rmt_actions", "rmt_passed", "rmt_collect", "rmt_train"}}},
    };
    p.kfuncs = {
        {"bpf_iter_num_new", {"bpf_iter_num_new", {}, 1.0}},
        {"bpf_iter_num_next", {"bpf_iter_num_next", {}, 1.0}},
        {"bpf_iter_num_destroy", {"bpf_iter_num_destroy", {}, 0.5}},
    };
    p.maps = {
        {"rmt_actions", BPF_MAP_TYPE_RINGBUF},
        {"rmt_collect", BPF_MAP_TYPE_RINGBUF},
        {"rmt_train", BPF_MAP_TYPE_RINGBUF},
        {"rmt_ctl", BPF_MAP_TYPE_ARRAY, 0, sizeof(rmt_ctl)},
        {"rmt_scope", BPF_MAP_TYPE_HASH, 0, sizeof(rmt_cgroup)},
        {"rmt_tasks", BPF_MAP_TYPE_TASK_STORAGE},
        {"rmt_tags", BPF_MAP_TYPE_ARRAY},
        {"rmt_slots", BPF_MAP_TYPE_ARRAY},
        {"rmt_passed", BPF_MAP_TYPE_RINGBUF},
        {"rmt_table_*", BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_ARRAY},
        {"rmt_hits_*", BPF_MAP_TYPE_PERCPU_ARRAY, 0, 8},
        {"rmt_model_*", BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_ARRAY},
        {"rmt_act_*", BPF_MAP_TYPE_PERCPU_ARRAY},
        {"rmt_online_*", BPF_MAP_TYPE_PERCPU_ARRAY},
    };
    p.data = {".rodata", ".rodata.*"};
    p.sink_map = "rmt_actions", p.sink_function = "rmt_emit";
    p.mode_function = "rmt_mode_now", p.take_function = "rmt_take", p.control_map = "rmt_ctl";
    p.guarded = {{"rmt_passed", "rmt_note_passed"}};
    p.handlers = {"rmt_on_fault", "rmt_on_outcome"};
    p.sink_header = RMT_ACTION_HEADER, p.sink_unit = 8, p.max_units = RMT_MAX_PAGES;
    p.mode_enforce = RMT_MODE_ENFORCE;
    p.max_insns = 500'000;        // half of what the kernel's own verifier would walk
    p.max_tool_insns = 64'000'000;
    p.cost_ns = 10'000;
    return p;
}

}  // namespace

bool name_matches(const std::string& pattern, const std::string& name) {
    if (!pattern.ends_with('*')) return pattern == name;
    return name.size() >= pattern.size() && name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
}

const CallRule* Profile::find_helper(uint32_t id) const {
    auto found = helpers.find(id);
    return found == helpers.end() ? nullptr : &found->second;
}

const CallRule* Profile::find_kfunc(const std::string& name) const {
    auto found = kfuncs.find(name);
    return found == kfuncs.end() ? nullptr : &found->second;
}

const MapRule* Profile::find_map(const std::string& name) const {
    for (const MapRule& rule : maps)
        if (name_matches(rule.name, name)) return &rule;
    return nullptr;
}

const ProgramRule* Profile::find_program(const std::string& section) const {
    std::string name = section.starts_with('?') ? section.substr(1) : section;  // "?": not loaded unless asked for
    for (const ProgramRule& rule : programs)
        if (name_matches(rule.section, name)) return &rule;
    return nullptr;
}

const Writer* Profile::find_writer(const std::string& function) const {
    for (const Writer& writer : writers)
        if (writer.function == function) return &writer;
    return nullptr;
}

const Profile& profile_of(const std::string& domain) { return domain == tcp_profile().domain ? tcp_profile() : mm_profile(); }

const Profile& mm_profile() {
    static const Profile profile = make_mm();
    return profile;
}

Calibration default_calibration() {
    Calibration c;
    c.source = "built-in table (BPF_PROG_TEST_RUN, Linux 6.18, x86-64, warm caches)";
    return c;
}

std::string helper_name(uint32_t id) {
    static const char* const names[] = {
#define RMT_HELPER_NAME(name) "bpf_" #name
        __BPF_FUNC_MAPPER(RMT_HELPER_NAME)
#undef RMT_HELPER_NAME
    };
    return id < std::size(names) ? names[id] : fmt::format("helper {}", id);
}

}  // namespace rmt::verify
