// SPDX-License-Identifier: MIT
#include "loader/session.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "bpf/include/rmt/intf.h"
#include "loader/bpffs.h"
#include "loader/fd.h"
#include "loader/object.h"
#include "loader/system_error.h"
#include "loader/tcp/load.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

const std::set<std::string> kFentry = {"rmt_fe_swap", "rmt_fe_swapin", "rmt_fe_map", "rmt_fe_file", "rmt_fx_file", "rmt_fx_fault"};
const std::set<std::string> kTracepoint = {"rmt_tp_user", "rmt_tp_kernel", "rmt_tp_memcg"};

Result<ObjectPtr> open_mm(const LoadRequest& request, HookSet hooks) {
    RMT_TRY(ObjectPtr object, open_object(request));
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

Result<void> fill(const bpf_object* object, const LoadRequest& request, HookSet hooks) {
    rmt_ctl ctl = {};
    ctl.mode = request.mode;
    ctl.late_ns = 30'000;
    if (hooks == HookSet::Tracepoint) RMT_CHECK(calibrate(object, ctl));
    return fill_maps(object, request, ctl);
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

// Loads, fills, attaches and pins in `dir`.
Result<LoadReport> load_into(const LoadRequest& request, HookSet hooks, const std::string& dir, const std::string& old_dir) {
    LoadReport report;
    report.hooks = hooks;
    RMT_TRY(ObjectPtr object, open_mm(request, hooks));
    if (const int err = bpf_object__load(object.get()))
        return kernel_error("the kernel refused the programs of '" + request.manifest.policy + "'", -err);
    RMT_CHECK(fill(object.get(), request, hooks));
    if (!old_dir.empty()) RMT_CHECK(carry_scope(old_dir, object.get()));
    if (mkdir(dir.c_str(), 0755) != 0) return kernel_error("cannot make " + dir, errno);
    RMT_CHECK(pin_maps(object.get(), request, dir));
    RMT_TRY(report.programs, attach_and_pin(object.get(), request, dir));
    return report;
}

// Replaces what is in `dir` by what was made in its neighbour, in one step where the file system can.
Result<void> put_in_place(const std::string& dir, bool replace) {
    const std::string next = dir + kNextSuffix, old = dir + kOldSuffix;
    if (replace && renameat2(AT_FDCWD, next.c_str(), AT_FDCWD, dir.c_str(), RENAME_EXCHANGE) == 0) return {};
    if (replace && rename(dir.c_str(), old.c_str()) != 0) return kernel_error("cannot move the old policy aside", errno);
    if (rename(next.c_str(), dir.c_str()) == 0) return {};
    const int err = errno;
    if (replace) rename(old.c_str(), dir.c_str());
    return kernel_error("cannot put the new policy in place", err);
}

// A run that could not exchange was killed between its two renames: the new policy is whole, and the old one makes room.
void finish_exchange(const std::string& dir) {
    const std::string next = dir + kNextSuffix, old = dir + kOldSuffix;
    if (access(dir.c_str(), F_OK) != 0 && access(next.c_str(), F_OK) == 0 && access(old.c_str(), F_OK) == 0) rename(next.c_str(), dir.c_str());
}

Result<std::string> domain_of(const std::string& dir) {
    Fd fd(bpf_obj_get((dir + "/rmt_manifest").c_str()));
    if (!fd) return fail(ErrorKind::NotFound, "there is no manifest in " + dir);
    RMT_TRY(const std::string text, read_text_map(fd.get()));
    RMT_TRY(const Manifest manifest, parse_manifest(text));
    return manifest.domain;
}

}  // namespace

Result<LoadReport> load_policy(const LoadRequest& request) {
    const bool tcp = request.manifest.domain == "tcp";
    if (!tcp && request.manifest.domain != "mm")
        return fail(ErrorKind::Unsupported, "domain '" + request.manifest.domain + "' cannot be loaded yet; only 'mm' and 'tcp' can");
    for (const ModelValue& model : request.models)
        if (const ManifestModel* declared = request.manifest.find_model(model.model))
            RMT_CHECK(check_digest(request.manifest.source, model.model, declared->digest, "artefact", model.artefact));
    HookSet hooks = HookSet::StructOps;
    if (!tcp) {
        RMT_TRY(hooks, choose_mm_hooks());
    }
    RMT_TRY(Fd lock, lock_policies());
    const std::string dir = pin_dir(request.manifest.policy), next = dir + kNextSuffix, old = dir + kOldSuffix;
    finish_exchange(dir);
    remove_pins(next);  // left by a run that was killed half-way
    remove_pins(old);
    const bool replace = access(dir.c_str(), F_OK) == 0;
    if (replace && !request.replace)
        return fail(ErrorKind::Conflict, "a policy named '" + request.manifest.policy + "' is loaded already",
                    "rmt-load detach " + request.manifest.policy);
    if (replace) {
        const auto domain = domain_of(dir);
        if (domain && *domain != request.manifest.domain)
            return fail(ErrorKind::Conflict, "a policy named '" + request.manifest.policy + "' is loaded already, of domain " + *domain,
                        "rmt-load detach " + request.manifest.policy);
    }
    LibbpfLog log;
    auto result = tcp ? load_tcp_into(request, next, replace ? dir : "") : load_into(request, hooks, next, replace ? dir : "");
    if (result)
        if (auto placed = put_in_place(dir, replace); !placed) result = fail(placed.error());
    if (result && tcp && replace) renew_sockets(dir, *result);
    remove_pins(next);
    remove_pins(old);
    return result;
}

Result<UnloadReport> unload_policy(const std::string& policy) {
    RMT_TRY(Fd lock, lock_policies());
    UnloadReport report;
    const std::string dir = pin_dir(policy);
    finish_exchange(dir);
    const bool there = access(dir.c_str(), F_OK) == 0;
    const bool half = access((dir + kNextSuffix).c_str(), F_OK) == 0 || access((dir + kOldSuffix).c_str(), F_OK) == 0;
    if (!there && !half) return fail(ErrorKind::NotFound, "no policy named '" + policy + "' is loaded", "rmt-load list shows what is");
    remove_pins(dir + kNextSuffix);
    remove_pins(dir + kOldSuffix);
    const auto domain = domain_of(dir);
    report.tcp = domain && *domain == "tcp";
    if (report.tcp) {
        RMT_TRY(report.sockets, restore_all(dir));
    }
    // Set aside in one step: pins that are half gone are no policy.
    if (there && rename(dir.c_str(), (dir + kOldSuffix).c_str()) != 0) return system_error("cannot remove " + dir);
    remove_pins(dir + kOldSuffix);
    return report;
}

}  // namespace rmt::load
