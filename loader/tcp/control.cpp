// SPDX-License-Identifier: MIT
#include "loader/tcp/control.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <memory>

#include "loader/fd.h"

namespace rmt::load {

namespace {

using BtfPtr = std::unique_ptr<btf, decltype(&btf__free)>;

const btf_member* find_member(const btf* types, const btf_type* type, const char* name) {
    for (int i = 0; i < btf_vlen(type); i++)
        if (std::strcmp(btf__name_by_offset(types, btf_members(type)[i].name_off), name) == 0) return &btf_members(type)[i];
    return nullptr;
}

// Where the name stands in the value of a struct_ops map: the kernel wraps the struct that was registered (member `data`).
struct NamePlace {
    uint32_t value_type = 0, offset = 0;
};

std::optional<NamePlace> name_place(const btf* types) {
    const int outer = btf__find_by_name_kind(types, "bpf_struct_ops_tcp_congestion_ops", BTF_KIND_STRUCT);
    const int inner = btf__find_by_name_kind(types, "tcp_congestion_ops", BTF_KIND_STRUCT);
    if (outer < 0 || inner < 0) return std::nullopt;
    const btf_member* data = find_member(types, btf__type_by_id(types, static_cast<__u32>(outer)), "data");
    const btf_member* name = find_member(types, btf__type_by_id(types, static_cast<__u32>(inner)), "name");
    if (!data || !name) return std::nullopt;
    return NamePlace{static_cast<uint32_t>(outer), (data->offset + name->offset) / 8};
}

bool has_name(int map, const bpf_map_info& info, const NamePlace& place, const std::string& name) {
    std::vector<char> value(info.value_size + 1, 0);
    const __u32 zero = 0;
    if (bpf_map_lookup_elem(map, &zero, value.data()) != 0 || place.offset + 16 > info.value_size) return false;
    return name == std::string(value.data() + place.offset, strnlen(value.data() + place.offset, 16));
}

// struct_ops.map_id of struct bpf_link_info, which older kernel headers lack: the first word of the union.
uint32_t map_of_link(const bpf_link_info& info) {
    uint32_t id = 0;
    std::memcpy(&id, reinterpret_cast<const char*>(&info) + offsetof(bpf_link_info, raw_tracepoint), sizeof(id));
    return id;
}

uint32_t link_of_map(uint32_t map_id) {
    for (__u32 id = 0; bpf_link_get_next_id(id, &id) == 0;) {
        Fd fd(bpf_link_get_fd_by_id(id));
        bpf_link_info info = {};
        __u32 size = sizeof(info);
        if (fd && bpf_link_get_info_by_fd(fd.get(), &info, &size) == 0 && info.type == BPF_LINK_TYPE_STRUCT_OPS && map_of_link(info) == map_id)
            return id;
    }
    return 0;
}

}  // namespace

Result<std::string> choose_control() {
    BtfPtr types(btf__load_vmlinux_btf(), btf__free);
    const int id = types ? btf__find_by_name_kind(types.get(), "tcp_congestion_ops", BTF_KIND_STRUCT) : -1;
    if (id < 0 || btf__find_by_name_kind(types.get(), "bpf_struct_ops_tcp_congestion_ops", BTF_KIND_STRUCT) < 0)
        return fail(ErrorKind::Unsupported, "this kernel does not take congestion controls from BPF",
                    "a kernel with CONFIG_BPF_JIT, CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF is needed");
    const bool tx = find_member(types.get(), btf__type_by_id(types.get(), static_cast<__u32>(id)), "cwnd_event_tx_start") != nullptr;
    return std::string(tx ? "rmt_control_tx" : "rmt_control");
}

std::vector<std::string> registered_controls() {
    std::ifstream file("/proc/sys/net/ipv4/tcp_available_congestion_control");
    std::vector<std::string> names;
    std::string name;
    while (file >> name) names.push_back(name);
    return names;
}

std::optional<BpfControl> find_bpf_control(const std::string& name) {
    BtfPtr types(btf__load_vmlinux_btf(), btf__free);
    const auto place = types ? name_place(types.get()) : std::nullopt;
    if (!place) return std::nullopt;
    std::optional<BpfControl> found;
    for (__u32 id = 0; bpf_map_get_next_id(id, &id) == 0;) {
        Fd fd(bpf_map_get_fd_by_id(id));
        bpf_map_info info = {};
        __u32 size = sizeof(info);
        if (!fd || bpf_map_get_info_by_fd(fd.get(), &info, &size) != 0 || info.type != BPF_MAP_TYPE_STRUCT_OPS) continue;
        if (info.btf_vmlinux_value_type_id != place->value_type || !has_name(fd.get(), info, *place, name)) continue;
        const uint32_t link = link_of_map(id);
        // Without a link it may be registered the old way, or be code that only open sockets still use.
        if (link || !found) found = BpfControl{id, link};
        if (link) break;
    }
    return found;
}

std::optional<Error> check_name_free(const std::string& name) {
    const std::vector<std::string> all = registered_controls();
    if (std::find(all.begin(), all.end(), name) == all.end()) return std::nullopt;
    const std::string what = "a congestion control named '" + name + "' is registered already, ";
    if (const auto bpf = find_bpf_control(name)) {
        const std::string map = std::to_string(bpf->map_id);
        return Error{ErrorKind::Conflict,
                     what + "by somebody else's BPF: map " + map + (bpf->link_id ? ", link " + std::to_string(bpf->link_id) : ""),
                     "see bpftool struct_ops show id " + map + "; give the policy another name, or let its owner remove it", 0, {}};
    }
    return Error{ErrorKind::Conflict, what + "by the kernel itself", "give the policy another name", 0, {}};
}

std::string missing_base(const std::string& log) {
    // "libbpf: extern (func ksym) 'bbr_init': not found in kernel or module BTFs"
    const std::string mark = "extern (func ksym) '";
    for (size_t at = log.find(mark); at != std::string::npos; at = log.find(mark, at + 1)) {
        const size_t begin = at + mark.size(), end = log.find('\'', begin);
        if (end == std::string::npos || log.compare(end, 12, "': not found") != 0) continue;
        const std::string function = log.substr(begin, end - begin);
        if (function.rfind("bbr_", 0) == 0) return "bbr";
        if (function.rfind("cubictcp_", 0) == 0) return "cubic";
    }
    return {};
}

}  // namespace rmt::load
