// SPDX-License-Identifier: MIT
#include "loader/session.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <memory>
#include <set>

#include "bpf/include/rmt/intf.h"
#include "loader/bpffs.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

const std::set<std::string> kFentry = {"rmt_fe_swap", "rmt_fe_swapin", "rmt_fe_map", "rmt_fe_file", "rmt_fx_file", "rmt_fx_fault"};
const std::set<std::string> kTracepoint = {"rmt_tp_user", "rmt_tp_kernel", "rmt_tp_memcg"};

// libbpf tells its reasons only through a callback; one load at a time collects them here.
std::string g_log;

int collect_log(libbpf_print_level level, const char* format, va_list args) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[8192];
    const int n = vsnprintf(line, sizeof(line), format, args);
    if (n > 0) g_log.append(line, std::min<size_t>(static_cast<size_t>(n), sizeof(line) - 1));
    return n;
}

using ObjectPtr = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

Unexpected<Error> kernel_error(const std::string& what, int err) {
    const bool permission = err == EPERM || err == EACCES;
    Error error{permission ? ErrorKind::Permission : ErrorKind::Kernel, what + ": " + std::strerror(err), {}, err, g_log};
    if (g_log.find("too many states") != std::string::npos || g_log.find("too large") != std::string::npos)
        error.hint = "the program is too large for this kernel's verifier; make tables or repeat bounds smaller";
    return fail(error);
}

Result<ObjectPtr> open_object(const LoadRequest& request, HookSet hooks) {
    bpf_object_open_opts options = {};
    options.sz = sizeof(options);
    options.object_name = "rmt";
    ObjectPtr object(bpf_object__open_mem(request.object.data(), request.object.size(), &options), bpf_object__close);
    if (!object) return kernel_error("the compiled policy cannot be opened", errno);
    bpf_program* program;
    bpf_object__for_each_program(program, object.get()) {
        const std::string name = bpf_program__name(program);
        bool wanted = true;
        if (kFentry.count(name)) wanted = hooks == HookSet::Fentry;
        if (kTracepoint.count(name)) wanted = hooks == HookSet::Tracepoint;
        if (name == "rmt_twin") wanted = request.twin;
        bpf_program__set_autoload(program, wanted);
    }
    return object;
}

int map_fd(const bpf_object* object, const std::string& name) {
    const bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    return map ? bpf_map__fd(map) : -1;
}

// Puts the address of the direct map into `ctl`, for the tracepoint programs. x86-64 only; elsewhere it stays 0.
Result<void> calibrate(const bpf_object* object, rmt_ctl& ctl) {
    const bpf_program* program = bpf_object__find_program_by_name(object, "rmt_calibrate");
    if (!program) return fail(ErrorKind::Input, "the compiled policy has no program 'rmt_calibrate'; compile it again");
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return fail(ErrorKind::Environment, "cannot map a page", {}, errno);
    madvise(page, 4096, MADV_NOHUGEPAGE);
    rmt_calibration c = {};
    c.address = reinterpret_cast<uint64_t>(page);
    if (getrandom(c.magic, sizeof(c.magic), 0) != sizeof(c.magic)) c.magic[0] = 0x524d54;
    std::memcpy(page, c.magic, sizeof(c.magic));
    bpf_test_run_opts run = {};
    run.sz = sizeof(run);
    run.ctx_in = &c;
    run.ctx_size_in = sizeof(c);
    const int err = bpf_prog_test_run_opts(bpf_program__fd(program), &run);
    munmap(page, 4096);
    if (err) return kernel_error("the calibration program could not run", -err);
    if (!c.direct_map)
        return fail(ErrorKind::Unsupported, "the kernel's direct map was not found, so swapped pages cannot be recognised without fentry",
                    "memory encryption hides it; use a kernel that allows fentry");
    ctl.direct_map = c.direct_map;
    ctl.pt_levels = c.pt_levels;
    return {};
}

// First values of control, tables and models, before any program can see an event.
Result<void> fill(const bpf_object* object, const LoadRequest& request, HookSet hooks) {
    rmt_ctl ctl = {};
    ctl.mode = request.mode;
    ctl.late_ns = 30'000;
    if (hooks == HookSet::Tracepoint) RMT_CHECK(calibrate(object, ctl));
    const __u32 zero = 0;
    if (bpf_map_update_elem(map_fd(object, "rmt_ctl"), &zero, &ctl, BPF_ANY) != 0) return kernel_error("cannot set rmt_ctl", errno);
    for (const ManifestTable& table : request.manifest.tables) {
        RMT_TRY(const std::vector<uint8_t> value, encode_table(request.manifest, table, table.entries, 1));
        RMT_CHECK(replace_value(map_fd(object, "rmt_table_" + table.name), "rmt_table", value));
    }
    for (const ModelValue& model : request.models)
        RMT_CHECK(replace_value(map_fd(object, "rmt_model_" + model.model), "rmt_model", model.value));
    return {};
}

Result<void> pin(int fd, const std::string& dir, const std::string& name) {
    if (bpf_obj_pin(fd, (dir + "/" + name).c_str()) != 0) return kernel_error("cannot pin " + name + " in " + dir, errno);
    return {};
}

Result<void> pin_maps(const bpf_object* object, const LoadRequest& request, const std::string& dir) {
    const bpf_map* map;
    bpf_object__for_each_map(map, object) {
        const std::string name = bpf_map__name(map);
        if (name.rfind("rmt_", 0) == 0) RMT_CHECK(pin(bpf_map__fd(map), dir, name));
    }
    RMT_TRY(Fd manifest, make_text_map("rmt_manifest", to_json(request.manifest)));
    RMT_CHECK(pin(manifest.get(), dir, "rmt_manifest"));
    RMT_TRY(Fd digest, make_text_map("rmt_digest", request.object_digest));
    RMT_CHECK(pin(digest.get(), dir, "rmt_digest"));
    for (const ModelValue& model : request.models) {
        RMT_TRY(Fd artefact, make_text_map("rmt_artefact", model.artefact));
        RMT_CHECK(pin(artefact.get(), dir, "artefact_" + model.model));
    }
    return {};
}

Result<std::vector<std::string>> attach_and_pin(bpf_object* object, const LoadRequest& request, const std::string& dir) {
    std::vector<std::string> names;
    bpf_program* program;
    bpf_object__for_each_program(program, object) {
        const std::string name = bpf_program__name(program);
        if (!bpf_program__autoload(program) || name == "rmt_calibrate") continue;
        if (bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL || !request.attach) {
            RMT_CHECK(pin(bpf_program__fd(program), dir, "prog_" + name));
            continue;
        }
        bpf_link* link = bpf_program__attach(program);
        if (!link) return kernel_error("cannot attach " + name, errno);
        const auto pinned = pin(bpf_link__fd(link), dir, "link_" + name);
        bpf_link__destroy(link);
        if (!pinned) return fail(pinned.error());
        names.push_back(name);
    }
    return names;
}

}  // namespace

namespace {

// The cgroups of the policy that is about to go, for the one that comes. Figures begin anew.
Result<void> carry_scope(const std::string& from, const bpf_object* to) {
    const __u32 zero = 0;
    rmt_ctl ctl = {};
    if (bpf_map_lookup_elem(map_fd(to, "rmt_ctl"), &zero, &ctl) != 0) return kernel_error("cannot read rmt_ctl", errno);
    Fd old(bpf_obj_get((from + "/rmt_scope").c_str()));
    if (!old) return kernel_error("cannot open the scope of the loaded policy", errno);
    const rmt_cgroup fresh = {};
    uint64_t key = 0, next = 0;
    for (bool first = true; bpf_map_get_next_key(old.get(), first ? nullptr : &key, &next) == 0; first = false) {
        key = next;
        if (bpf_map_update_elem(map_fd(to, "rmt_scope"), &key, &fresh, BPF_NOEXIST) != 0)
            return kernel_error("cannot attach the new policy to a cgroup of the old one", errno);
        ctl.scope_bits[key / 64 % (RMT_SCOPE_BITS / 64)] |= uint64_t{1} << (key % 64);
    }
    if (bpf_map_update_elem(map_fd(to, "rmt_ctl"), &zero, &ctl, BPF_ANY) != 0) return kernel_error("cannot set rmt_ctl", errno);
    return {};
}

// Loads, fills, attaches and pins in `dir`.
Result<LoadReport> load_into(const LoadRequest& request, HookSet hooks, const std::string& dir, const std::string& old_dir) {
    LoadReport report;
    report.hooks = hooks;
    RMT_TRY(ObjectPtr object, open_object(request, hooks));
    if (const int err = bpf_object__load(object.get()))
        return kernel_error("the kernel refused the programs of '" + request.manifest.policy + "'", -err);
    RMT_CHECK(fill(object.get(), request, hooks));
    if (!old_dir.empty()) RMT_CHECK(carry_scope(old_dir, object.get()));
    if (mkdir(dir.c_str(), 0755) != 0) return kernel_error("cannot make " + dir, errno);
    RMT_CHECK(pin_maps(object.get(), request, dir));
    RMT_TRY(report.programs, attach_and_pin(object.get(), request, dir));
    return report;
}

}  // namespace

Result<LoadReport> load_policy(const LoadRequest& request) {
    if (request.manifest.domain != "mm")
        return fail(ErrorKind::Unsupported, "domain '" + request.manifest.domain + "' cannot be loaded yet; only 'mm' can");
    for (const ModelValue& model : request.models)
        if (const ManifestModel* declared = request.manifest.find_model(model.model))
            RMT_CHECK(check_digest(request.manifest.source, model.model, declared->digest, "artefact", model.artefact));
    RMT_TRY(const HookSet hooks, choose_mm_hooks());
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(request.manifest.policy), next = dir + kNextSuffix, old = dir + kOldSuffix;
    remove_pins(next);  // left by a run that was killed half-way
    remove_pins(old);
    const bool replace = access(dir.c_str(), F_OK) == 0;
    if (replace && !request.replace)
        return fail(ErrorKind::Conflict, "a policy named '" + request.manifest.policy + "' is loaded already",
                    "rmt-load detach " + request.manifest.policy);
    g_log.clear();
    const libbpf_print_fn_t before = libbpf_set_print(collect_log);
    auto result = load_into(request, hooks, next, replace ? dir : "");
    libbpf_set_print(before);
    if (result && replace && rename(dir.c_str(), old.c_str()) != 0) result = kernel_error("cannot move the old policy aside", errno);
    if (result && rename(next.c_str(), dir.c_str()) != 0) {
        result = kernel_error("cannot put the new policy in place", errno);
        if (replace) rename(old.c_str(), dir.c_str());
    }
    remove_pins(result ? old : next);
    return result;
}

Result<void> unload_policy(const std::string& policy) {
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(policy);
    if (access(dir.c_str(), F_OK) != 0)
        return fail(ErrorKind::NotFound, "no policy named '" + policy + "' is loaded", "rmt-load list shows what is");
    remove_pins(dir);
    return {};
}

}  // namespace rmt::load
