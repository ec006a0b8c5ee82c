// SPDX-License-Identifier: MIT
#include "loader/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "loader/cgroup.h"
#include "loader/fd.h"

namespace rmt::load {

namespace {

struct Hook {
    HookSet set;
    bpf_attach_type type;
    const char* symbol;  // function, or tracepoint without "btf_trace_"
    bool needed;
};

constexpr Hook kMmHooks[] = {
    {HookSet::Fentry, BPF_TRACE_FENTRY, "do_swap_page", true},
    {HookSet::Fentry, BPF_TRACE_FENTRY, "swapin_readahead", true},
    {HookSet::Fentry, BPF_TRACE_FENTRY, "filemap_map_pages", true},
    {HookSet::Fentry, BPF_TRACE_FENTRY, "filemap_fault", true},
    {HookSet::Fentry, BPF_TRACE_FEXIT, "filemap_fault", true},
    {HookSet::Fentry, BPF_TRACE_FEXIT, "handle_mm_fault", true},
    {HookSet::Tracepoint, BPF_TRACE_RAW_TP, "page_fault_user", true},
    {HookSet::Tracepoint, BPF_TRACE_RAW_TP, "page_fault_kernel", true},
    {HookSet::Tracepoint, BPF_TRACE_RAW_TP, "count_memcg_events", true},
};
constexpr Hook kLedgerHook = {HookSet::Tracepoint, BPF_TRACE_RAW_TP, "block_bio_queue", true};

std::string type_name(bpf_attach_type type) {
    return type == BPF_TRACE_FENTRY ? "fentry" : type == BPF_TRACE_FEXIT ? "fexit" : "tp_btf";
}

using BtfPtr = std::unique_ptr<btf, decltype(&btf__free)>;

// Loads and attaches `return 0` at the hook and takes it away again.
Finding try_hook(const Hook& hook, const btf* vmlinux) {
    Finding finding{type_name(hook.type) + " " + hook.symbol, false, {}};
    const bool raw = hook.type == BPF_TRACE_RAW_TP;
    const std::string symbol = (raw ? "btf_trace_" : "") + std::string(hook.symbol);
    const int id = btf__find_by_name_kind(vmlinux, symbol.c_str(), raw ? BTF_KIND_TYPEDEF : BTF_KIND_FUNC);
    if (id < 0) {
        finding.detail = "this kernel does not have it";
        return finding;
    }
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_prog_load_opts options = {};
    options.sz = sizeof(options);
    options.expected_attach_type = hook.type;
    options.attach_btf_id = static_cast<__u32>(id);
    Fd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "rmt_probe", "GPL", code, 2, &options));
    if (!program) {
        finding.detail = std::string("the kernel refuses to load it: ") + std::strerror(errno);
        return finding;
    }
    Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
    if (!link) {
        finding.detail = std::string("the kernel refuses to attach it: ") + std::strerror(errno);
        return finding;
    }
    finding.ok = true;
    return finding;
}

std::string read_line(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

Finding probe_capabilities() {
    std::ifstream status("/proc/self/status");
    std::string key;
    uint64_t effective = 0;
    while (status >> key)
        if (key == "CapEff:") status >> std::hex >> effective;
    std::string missing;
    const auto need = [&](int cap, const char* name) {
        if (!(effective >> cap & 1)) missing += (missing.empty() ? "" : ", ") + std::string(name);
    };
    if (!(effective >> CAP_SYS_ADMIN & 1)) {
        need(39, "CAP_BPF");
        need(38, "CAP_PERFMON");
    }
    need(CAP_SYS_PTRACE, "CAP_SYS_PTRACE");
    need(CAP_SYS_NICE, "CAP_SYS_NICE");
    if (missing.empty()) return {"capabilities", true, "BPF, PERFMON, SYS_PTRACE and SYS_NICE are here"};
    return {"capabilities", false, "missing: " + missing + "; run as root"};
}

Finding probe_swap() {
    std::ifstream swaps("/proc/swaps");
    std::string line, names;
    std::getline(swaps, line);
    while (std::getline(swaps, line)) names += (names.empty() ? "" : ", ") + line.substr(0, line.find_first_of(" \t"));
    if (names.empty())
        return {"swap", false, "no swap is on; anonymous memory is never swapped, so there is nothing to prefetch (file mappings still work)"};
    return {"swap", true, names};
}

Finding probe_madvise() {
    // An empty vector on ourselves: ENOSYS tells an old kernel, everything else that the call is there.
    const long pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    const long r = pidfd < 0 ? -1 : syscall(SYS_process_madvise, pidfd, nullptr, 0, 3 /* MADV_WILLNEED */, 0);
    const int err = errno;
    if (pidfd >= 0) close(static_cast<int>(pidfd));
    if (r >= 0 || err != ENOSYS) return {"process_madvise", true, "the agent can prefetch and evict"};
    return {"process_madvise", false, "this kernel does not have it"};
}

}  // namespace

bool swap_is_on() { return probe_swap().ok; }

const char* name_of(HookSet hooks) {
    return hooks == HookSet::StructOps ? "struct_ops" : hooks == HookSet::Fentry ? "fentry" : "tracepoint";
}

std::vector<Finding> probe_mm_hooks() {
    std::vector<Finding> findings;
    BtfPtr vmlinux(btf__load_vmlinux_btf(), btf__free);
    if (!vmlinux) return {{"kernel BTF", false, "/sys/kernel/btf/vmlinux cannot be read; a kernel with CONFIG_DEBUG_INFO_BTF is needed"}};
    for (const Hook& hook : kMmHooks) findings.push_back(try_hook(hook, vmlinux.get()));
    findings.push_back(try_hook(kLedgerHook, vmlinux.get()));
    return findings;
}

Result<HookSet> choose_mm_hooks() {
    const std::vector<Finding> findings = probe_mm_hooks();
    bool fentry = findings.size() > 1, tracepoint = findings.size() > 1;
    std::string report;
    for (size_t i = 0; i < findings.size(); i++) {
        report += (findings[i].ok ? "  ok   " : "  no   ") + findings[i].name + "  " + findings[i].detail + "\n";
        if (findings[i].ok) continue;
        const bool ledger = i >= std::size(kMmHooks);
        if (ledger || kMmHooks[i].set == HookSet::Fentry) fentry = false;
        if (ledger || kMmHooks[i].set == HookSet::Tracepoint) tracepoint = false;
    }
    const char* wanted = std::getenv("RMT_HOOKS");
    if (wanted && *wanted) {
        const std::string w = wanted;
        if (w != "fentry" && w != "tracepoint")
            return fail(ErrorKind::Input, "RMT_HOOKS is '" + w + "', expected fentry or tracepoint");
        if (w == "fentry" ? fentry : tracepoint) return w == "fentry" ? HookSet::Fentry : HookSet::Tracepoint;
        fentry = tracepoint = false;
    }
    if (fentry) return HookSet::Fentry;
    if (tracepoint) return HookSet::Tracepoint;
    const Finding caps = probe_capabilities();
    if (!caps.ok) {
        return fail(ErrorKind::Permission, "may not load BPF programs: " + caps.detail);
    }
    Error error{ErrorKind::Unsupported, "this kernel shows page faults in neither of the two ways that RMT can use",
                "rmt-load doctor tells which hook is missing and why", 0, report};
    return fail(error);
}

std::vector<Finding> probe_host() {
    std::vector<Finding> findings;
    findings.push_back(probe_capabilities());
    const bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    findings.push_back({"kernel BTF", btf, btf ? "/sys/kernel/btf/vmlinux" : "not readable; a kernel with CONFIG_DEBUG_INFO_BTF is needed"});
    if (auto controller = find_memory_controller())
        findings.push_back({"memory cgroup", true, controller->mount + (controller->v2 ? " (version 2)" : " (version 1)")});
    else
        findings.push_back({"memory cgroup", false, controller.error().message});
    findings.push_back(probe_swap());
    findings.push_back(probe_madvise());
    const std::string cluster = read_line("/proc/sys/vm/page-cluster");
    findings.push_back({"vm.page-cluster", !cluster.empty(), cluster + "; the agent sets 0 while it works, and restores it"});
    return findings;
}

}  // namespace rmt::load
