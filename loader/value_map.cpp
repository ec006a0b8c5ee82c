// SPDX-License-Identifier: MIT
#include "loader/value_map.h"

#include <bpf/bpf.h>

#include <cstring>

#include "loader/system_error.h"

namespace rmt::load {

namespace {

Result<bpf_map_info> map_info(int fd) {
    bpf_map_info info = {};
    __u32 size = sizeof(info);
    if (bpf_map_get_info_by_fd(fd, &info, &size) != 0) return system_error("cannot read a map's description");
    return info;
}

}  // namespace

uint32_t map_id(int fd) {
    bpf_map_info info = {};
    __u32 size = sizeof(info);
    return fd >= 0 && bpf_map_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

Result<void> replace_value(int outer_fd, const char* name, const std::vector<uint8_t>& value) {
    Fd fresh(bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), static_cast<__u32>(value.size()), 1, nullptr));
    if (!fresh) return system_error("cannot make a map of " + std::to_string(value.size()) + " bytes");
    const __u32 key = 0;
    if (bpf_map_update_elem(fresh.get(), &key, value.data(), BPF_ANY) != 0) return system_error("cannot fill the new map");
    const __u32 fd = static_cast<__u32>(fresh.get());
    if (bpf_map_update_elem(outer_fd, &key, &fd, BPF_ANY) != 0)
        return system_error("the kernel refused a value of " + std::to_string(value.size()) + " bytes in place of the running one");
    return {};
}

Result<std::vector<uint8_t>> read_value(int outer_fd) {
    __u32 key = 0, id = 0;
    if (bpf_map_lookup_elem(outer_fd, &key, &id) != 0) {
        if (errno == ENOENT) return std::vector<uint8_t>{};
        return system_error("cannot read a table's or model's map");
    }
    Fd inner(bpf_map_get_fd_by_id(id));
    if (!inner) return system_error("cannot open the map behind a table or model");
    RMT_TRY(const bpf_map_info info, map_info(inner.get()));
    std::vector<uint8_t> value(info.value_size);
    if (bpf_map_lookup_elem(inner.get(), &key, value.data()) != 0) return system_error("cannot read a map's value");
    return value;
}

Result<Fd> make_text_map(const char* name, const std::string& text) {
    // The value ends with a NUL, so that an empty text has a map as well.
    Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), static_cast<__u32>(text.size() + 1), 1, nullptr));
    if (!fd) return system_error("cannot make a map for a text");
    __u32 key = 0;
    if (bpf_map_update_elem(fd.get(), &key, text.c_str(), BPF_ANY) != 0) return system_error("cannot fill a map");
    return fd;
}

Result<std::string> read_text_map(int fd) {
    RMT_TRY(const bpf_map_info info, map_info(fd));
    std::string text(info.value_size, '\0');
    __u32 key = 0;
    if (bpf_map_lookup_elem(fd, &key, text.data()) != 0) return system_error("cannot read a map");
    text.resize(std::strlen(text.c_str()));
    return text;
}

}  // namespace rmt::load
