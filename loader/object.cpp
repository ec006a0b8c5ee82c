// SPDX-License-Identifier: MIT
#include "loader/object.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "loader/fd.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

std::string g_log;

int collect_log(libbpf_print_level level, const char* format, va_list args) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[8192];
    const int n = vsnprintf(line, sizeof(line), format, args);
    if (n > 0) g_log.append(line, std::min<size_t>(static_cast<size_t>(n), sizeof(line) - 1));
    return n;
}

}  // namespace

LibbpfLog::LibbpfLog() {
    g_log.clear();
    before_ = libbpf_set_print(collect_log);
}

LibbpfLog::~LibbpfLog() { libbpf_set_print(before_); }

const std::string& LibbpfLog::text() { return g_log; }

Unexpected<Error> kernel_error(const std::string& what, int err) {
    const bool permission = err == EPERM || err == EACCES;
    Error error{permission ? ErrorKind::Permission : ErrorKind::Kernel, what + ": " + std::strerror(err), {}, err, g_log};
    if (g_log.find("too many states") != std::string::npos || g_log.find("too large") != std::string::npos)
        error.hint = "the program is too large for this kernel's verifier; make tables or repeat bounds smaller";
    return fail(error);
}

Result<ObjectPtr> open_object(const LoadRequest& request) {
    bpf_object_open_opts options = {};
    options.sz = sizeof(options);
    options.object_name = "rmt";
    ObjectPtr object(bpf_object__open_mem(request.object.data(), request.object.size(), &options), bpf_object__close);
    if (!object) return kernel_error("the compiled policy cannot be opened", errno);
    return object;
}

int map_fd(const bpf_object* object, const std::string& name) {
    const bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
    return map ? bpf_map__fd(map) : -1;
}

Result<void> fill_maps(const bpf_object* object, const LoadRequest& request, const rmt_ctl& ctl) {
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
        if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS || !bpf_map__autocreate(map)) continue;  // its link is what holds it
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

}  // namespace rmt::load
