// SPDX-License-Identifier: MIT
// What this host can do, found by trying (a program is loaded and attached for a moment), never by version number.
#pragma once

#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::load {

enum class HookSet {
    Tracepoint,  // page_fault_user, page_fault_kernel, count_memcg_events
    Fentry,      // do_swap_page, swapin_readahead, filemap_*, handle_mm_fault
    StructOps,   // domain tcp: tcp_congestion_ops
};

const char* name_of(HookSet hooks);

struct Finding {
    std::string name;    // "fentry do_swap_page"
    bool ok = false;
    std::string detail;  // why not, or what it is for
};

// Tries to attach each hook of the mm domain; a line for each.
std::vector<Finding> probe_mm_hooks();

// The set to use in domain mm: $RMT_HOOKS (tracepoint | fentry) when set, else fentry when all of it attaches, else tracepoint.
// Unsupported with the findings in `detail` when neither works; Permission when BPF may not be used at all.
Result<HookSet> choose_mm_hooks();

// Whether congestion controls, sock_ops, cgroup/setsockopt and TCP iterators can be loaded, cgroup version 2, and which bases there
// are; a line for each. Nothing is attached.
std::vector<Finding> probe_tcp_hooks();

// Nothing when domain tcp works here, though perhaps not every base; else why not.
std::string why_no_tcp(const std::vector<Finding>& findings);

bool swap_is_on();

// Everything else that a policy of domain mm needs or that changes its effect: capabilities, BTF, bpffs, memory cgroup,
// swap devices, process_madvise, vm.page-cluster.
std::vector<Finding> probe_host();

}  // namespace rmt::load
