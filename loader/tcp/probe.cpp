// SPDX-License-Identifier: MIT
// Domain tcp's part of loader/probe.h.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "loader/cgroup.h"
#include "loader/fd.h"
#include "loader/probe.h"
#include "loader/tcp/control.h"

namespace rmt::load {

namespace {

using BtfPtr = std::unique_ptr<btf, decltype(&btf__free)>;

constexpr const char* kBase = "base ";

// `return 1` in a program of this type, loaded and forgotten.
Finding try_load(const std::string& name, bpf_prog_type type, uint32_t attach_type, uint32_t btf_id, const std::string& use) {
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, type == BPF_PROG_TYPE_TRACING ? 0 : 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_prog_load_opts options = {};
    options.sz = sizeof(options);
    options.expected_attach_type = static_cast<bpf_attach_type>(attach_type);
    options.attach_btf_id = btf_id;
    Fd program(bpf_prog_load(type, "rmt_probe", "GPL", code, 2, &options));
    return {name, static_cast<bool>(program), program ? use : std::string("the kernel refuses to load it: ") + std::strerror(errno)};
}

// Programs of a struct_ops are loaded for one member, told by its index.
Finding probe_struct_ops(const btf* types) {
    const std::string name = "struct_ops tcp_congestion_ops";
    const auto control = choose_control();
    const int id = btf__find_by_name_kind(types, "tcp_congestion_ops", BTF_KIND_STRUCT);
    if (!control || id < 0) return {name, false, control ? "this kernel does not have it" : control.error().message};
    const btf_type* type = btf__type_by_id(types, static_cast<__u32>(id));
    for (int i = 0; i < btf_vlen(type); i++)
        if (std::strcmp(btf__name_by_offset(types, btf_members(type)[i].name_off), "init") == 0)
            return try_load(name, BPF_PROG_TYPE_STRUCT_OPS, static_cast<uint32_t>(i), static_cast<uint32_t>(id), "the control itself (map " + *control + ")");
    return {name, false, "its member `init` is not there"};
}

Finding probe_iterator(const btf* types) {
    const int id = btf__find_by_name_kind(types, "bpf_iter_tcp", BTF_KIND_FUNC);
    if (id < 0) return {"iter/tcp", false, "this kernel does not have it"};
    return try_load("iter/tcp", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, static_cast<uint32_t>(id), "sockets that are open already");
}

// A base is there when its functions are, in the kernel or in a module that is loaded.
Finding probe_base(const btf* types, const std::string& base, const char* function) {
    const bool built_in = btf__find_by_name_kind(types, function, BTF_KIND_FUNC) >= 0;
    const std::vector<std::string> controls = registered_controls();
    const bool registered = std::count(controls.begin(), controls.end(), base) > 0;
    if (registered && (built_in || access(("/sys/kernel/btf/tcp_" + base).c_str(), R_OK) == 0)) return {kBase + base, true, built_in ? "in the kernel" : "a module"};
    return {kBase + base, false, registered ? "its module has no BTF" : "not there; modprobe tcp_" + base};
}

}  // namespace

std::vector<Finding> probe_tcp_hooks() {
    BtfPtr types(btf__load_vmlinux_btf(), btf__free);
    if (!types) return {{"kernel BTF", false, "/sys/kernel/btf/vmlinux cannot be read; a kernel with CONFIG_DEBUG_INFO_BTF is needed"}};
    std::vector<Finding> findings = {
        probe_struct_ops(types.get()),
        try_load("sock_ops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, 0, "sockets that are born in the scope"),
        try_load("cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, 0, "the guard against other choices of applications"),
        probe_iterator(types.get()),
    };
    const auto mount = find_unified_mount();
    findings.push_back({"cgroup version 2", mount.has_value(), mount ? *mount : mount.error().message});
    findings.push_back(probe_base(types.get(), "reno", "tcp_reno_cong_avoid"));
    findings.push_back(probe_base(types.get(), "cubic", "cubictcp_cong_avoid"));
    findings.push_back(probe_base(types.get(), "bbr", "bbr_main"));
    return findings;
}

std::string why_no_tcp(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings)
        if (!finding.ok && (finding.name.rfind(kBase, 0) != 0 || finding.name == "base reno")) return finding.name + ": " + finding.detail;
    return {};
}

}  // namespace rmt::load
