// SPDX-License-Identifier: MIT
#include "loader/tcp/load.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loader/bpffs.h"
#include "loader/cgroup.h"
#include "loader/fd.h"
#include "loader/object.h"
#include "loader/system_error.h"
#include "loader/tcp/control.h"
#include "loader/tcp/pass.h"
#include "loader/tcp/scope.h"

namespace rmt::load {

namespace {

constexpr const char* kControls[] = {"rmt_control", "rmt_control_tx"};

bool is_control(const std::string& map) { return map == kControls[0] || map == kControls[1]; }

// Only the control that this kernel takes, and the programs that it names.
Result<ObjectPtr> open_tcp(const LoadRequest& request, const std::string& control, const std::string& old_dir) {
    RMT_TRY(ObjectPtr object, open_object(request));
    bpf_map* map;
    bpf_object__for_each_map(map, object.get()) {
        const std::string name = bpf_map__name(map);
        if (is_control(name)) bpf_map__set_autocreate(map, request.attach && name == control);
        if (name != "rmt_prior" || old_dir.empty()) continue;
        // What sockets had before is remembered across the replacement.
        Fd prior(bpf_obj_get((old_dir + "/rmt_prior").c_str()));
        if (!prior || bpf_map__reuse_fd(map, prior.get()) != 0) return kernel_error("cannot take over rmt_prior of the loaded policy", errno);
    }
    bpf_program* program;
    bpf_object__for_each_program(program, object.get()) {
        const std::string name = bpf_program__name(program);
        bool wanted = bpf_program__type(program) != BPF_PROG_TYPE_STRUCT_OPS || request.attach;
        if (name == "rmt_tcp_event") wanted = wanted && control == kControls[0];
        if (name == "rmt_tcp_event_tx") wanted = wanted && control == kControls[1];
        if (name == "rmt_twin") wanted = request.twin;
        bpf_program__set_autoload(program, wanted);
    }
    return object;
}

// The name under which the object registers. It must be the policy's: by it sockets are found again.
Result<void> check_name(const bpf_object* object, const LoadRequest& request, const std::string& control) {
    const bpf_map* map = bpf_object__find_map_by_name(object, control.c_str());
    const btf* types = bpf_object__btf(object);
    const int id = types ? btf__find_by_name_kind(types, "tcp_congestion_ops", BTF_KIND_STRUCT) : -1;
    const btf_type* type = id < 0 ? nullptr : btf__type_by_id(types, static_cast<__u32>(id));
    size_t size = 0;
    const char* value = map ? static_cast<const char*>(bpf_map__initial_value(map, &size)) : nullptr;
    for (int i = 0; value && type && i < btf_vlen(type); i++) {
        const btf_member& member = btf_members(type)[i];
        if (std::strcmp(btf__name_by_offset(types, member.name_off), "name") != 0 || member.offset / 8 + RMT_TCP_NAME_LEN > size) continue;
        const char* begin = value + member.offset / 8;
        const std::string name(begin, strnlen(begin, RMT_TCP_NAME_LEN));
        if (name == request.manifest.policy) return {};
        return fail(ErrorKind::Input, "the compiled policy's control is named '" + name + "', not '" + request.manifest.policy + "' as the policy is",
                    "compile the policy again");
    }
    return fail(ErrorKind::Input, "the compiled policy has no control '" + control + "'", "compile the policy again");
}

Unexpected<Error> load_error(const LoadRequest& request, int err) {
    const std::string base = missing_base(LibbpfLog::text());
    if (base.empty()) return kernel_error("the kernel refused the programs of '" + request.manifest.policy + "'", err);
    Unexpected<Error> refused = kernel_error("this kernel does not have the base \"" + base + "\", or its module is not loaded", err);
    refused.error.kind = ErrorKind::Unsupported;
    refused.error.hint = "modprobe tcp_" + base + ", or write another base in the policy";
    return refused;
}

// Registers the control, or, when its name is that of the policy which `old_dir` pins, puts the new code behind the registration
// that is there: there is no moment without the name. Pins the link in `dir`.
Result<void> register_control(const bpf_object* object, const LoadRequest& request, const std::string& control, const std::string& dir,
                              const std::string& old_dir) {
    const bpf_map* map = bpf_object__find_map_by_name(object, control.c_str());
    if (!map) return fail(ErrorKind::Input, "the compiled policy has no control '" + control + "'; compile it again");
    Fd running(old_dir.empty() ? -1 : bpf_obj_get((old_dir + "/link_control").c_str()));
    // libbpf makes the map's value only on the way to a link of its own; where the name is taken that link fails, and the map is
    // ready for the update of the running one.
    bpf_link* link = bpf_map__attach_struct_ops(map);
    const int err = link ? 0 : errno;
    if (link) {
        const auto pinned = pin(bpf_link__fd(link), dir, "link_control");
        bpf_link__destroy(link);  // of the descriptor only
        return pinned;
    }
    if (err != EEXIST || !running) {
        if (err == EEXIST)
            if (const auto taken = check_name_free(request.manifest.policy)) return fail(*taken);
        return kernel_error("cannot register the congestion control '" + request.manifest.policy + "'", err);
    }
    RMT_CHECK(pin(running.get(), dir, "link_control"));
    if (bpf_link_update(running.get(), bpf_map__fd(map), nullptr) != 0)
        return kernel_error("cannot put the new code behind the congestion control '" + request.manifest.policy + "'", errno);
    return {};
}

Result<std::vector<std::string>> pin_programs(bpf_object* object, const LoadRequest& request, const std::string& dir) {
    std::vector<std::string> names;
    bpf_program* program;
    bpf_object__for_each_program(program, object) {
        const std::string name = bpf_program__name(program);
        if (!bpf_program__autoload(program)) continue;
        names.push_back(name);
        if (bpf_program__type(program) == BPF_PROG_TYPE_STRUCT_OPS) continue;
        if (bpf_program__expected_attach_type(program) != BPF_TRACE_ITER) {
            RMT_CHECK(pin(bpf_program__fd(program), dir, "prog_" + name));
            continue;
        }
        bpf_link* iterator = bpf_program__attach_iter(program, nullptr);
        if (!iterator) return kernel_error("cannot make the iterator " + name, errno);
        const auto pinned = pin(bpf_link__fd(iterator), dir, "prog_" + name);
        bpf_link__destroy(iterator);
        if (!pinned) return fail(pinned.error());
    }
    if (!request.attach) names.clear();
    return names;
}

// sock_ops and guards of the new object beside those of the old one: both give the same name, and until the pins are exchanged
// both policies would be told of a refusal.
Result<void> carry_links(const std::string& old_dir, const std::string& dir) {
    for (const ScopeLink& old : scope_links(old_dir)) {
        auto cgroup = UnifiedCgroup::from_id(old.cgroup);
        if (!cgroup) continue;  // it has gone
        RMT_CHECK(link_to_cgroup(dir, old.kind, *cgroup));
    }
    return {};
}

// Sockets that no pass could reach keep the code, and with the mode off that is the base alone.
void switch_off(const std::string& dir) {
    Fd map(bpf_obj_get((dir + "/rmt_ctl").c_str()));
    const __u32 zero = 0;
    rmt_ctl ctl = {};
    if (!map || bpf_map_lookup_elem(map.get(), &zero, &ctl) != 0) return;
    ctl.mode = RMT_MODE_OFF;
    bpf_map_update_elem(map.get(), &zero, &ctl, BPF_ANY);
}

}  // namespace

Result<LoadReport> load_tcp_into(const LoadRequest& request, const std::string& dir, const std::string& old_dir) {
    LoadReport report;
    report.hooks = HookSet::StructOps;
    RMT_TRY(const std::string control, choose_control());
    if (old_dir.empty() && request.attach)
        if (const auto taken = check_name_free(request.manifest.policy)) return fail(*taken);
    RMT_TRY(ObjectPtr object, open_tcp(request, control, old_dir));
    RMT_CHECK(check_name(object.get(), request, control));
    if (const int err = bpf_object__load(object.get())) return load_error(request, -err);
    rmt_ctl ctl = {};
    ctl.mode = request.mode;
    RMT_CHECK(fill_maps(object.get(), request, ctl));
    if (!old_dir.empty()) RMT_CHECK(carry_scope(old_dir, object.get()));
    if (mkdir(dir.c_str(), 0755) != 0) return kernel_error("cannot make " + dir, errno);
    RMT_CHECK(pin_maps(object.get(), request, dir));
    RMT_TRY(report.programs, pin_programs(object.get(), request, dir));
    if (!request.attach) return report;
    if (!old_dir.empty()) RMT_CHECK(carry_links(old_dir, dir));
    RMT_CHECK(register_control(object.get(), request, control, dir, old_dir));
    return report;
}

void renew_sockets(const std::string& dir, LoadReport& report) {
    auto renewed = pass_sockets(dir, RMT_TCP_TASK_RENEW, 0);
    if (renewed)
        report.renewed = *renewed;
    else
        report.renewed.unreachable = {renewed.error().message};
}

Result<SocketFigures> restore_all(const std::string& dir) {
    for (const ScopeLink& link : scope_links(dir)) remove_pin(dir + "/" + link.pin);
    RMT_TRY(SocketFigures figures, pass_sockets(dir, RMT_TCP_TASK_RESTORE, 0));
    // A connection that a listener accepted while the pass went by may have been missed.
    if (figures.changed) {
        RMT_TRY(const SocketFigures late, pass_sockets(dir, RMT_TCP_TASK_RESTORE, 0));
        add(figures, late);
    }
    switch_off(dir);
    return figures;
}

}  // namespace rmt::load
