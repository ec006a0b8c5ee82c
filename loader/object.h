// SPDX-License-Identifier: MIT
// What the domains' loaders share: a policy's object opened, its maps filled and pinned. Only for session.cpp and loader/tcp.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "bpf/include/rmt/intf.h"
#include "loader/session.h"

namespace rmt::load {

using ObjectPtr = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

// libbpf tells its reasons only through a callback: collected while this lives, one load at a time.
class LibbpfLog {
public:
    LibbpfLog();
    ~LibbpfLog();
    LibbpfLog(const LibbpfLog&) = delete;

    static const std::string& text();

private:
    libbpf_print_fn_t before_;
};

// `err` is positive; what libbpf and the kernel's verifier said is the detail.
Unexpected<Error> kernel_error(const std::string& what, int err);

Result<ObjectPtr> open_object(const LoadRequest& request);

int map_fd(const bpf_object* object, const std::string& name);  // -1: there is none

// First values of control, tables and models, before any program can see an event.
Result<void> fill_maps(const bpf_object* object, const LoadRequest& request, const rmt_ctl& ctl);

Result<void> pin(int fd, const std::string& dir, const std::string& name);

// Maps, manifest, digest and artefacts.
Result<void> pin_maps(const bpf_object* object, const LoadRequest& request, const std::string& dir);

// The cgroups of the policy pinned in `from`, which is about to go, for the one that comes. Figures begin anew.
Result<void> carry_scope(const std::string& from, const bpf_object* to);

}  // namespace rmt::load
