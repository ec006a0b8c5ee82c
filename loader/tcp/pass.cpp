// SPDX-License-Identifier: MIT
#include "loader/tcp/pass.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "loader/fd.h"
#include "loader/system_error.h"
#include "loader/tcp/netns.h"

namespace rmt::load {

namespace {

Result<Fd> open_pin(const std::string& dir, const char* name) {
    Fd fd(bpf_obj_get((dir + "/" + name).c_str()));
    if (!fd) return system_error("cannot open " + dir + "/" + name);
    return fd;
}

// All that the iterator writes in the namespace of the calling thread.
Result<void> read_iterator(int link, const std::function<void(const char*, size_t)>& take) {
    Fd iterator(bpf_iter_create(link));
    if (!iterator) return system_error("cannot read the iterator");
    std::vector<char> buffer(64 * 1024);
    for (;;) {
        const ssize_t n = read(iterator.get(), buffer.data(), buffer.size());
        if (n == 0) return {};
        if (n > 0)
            take(buffer.data(), static_cast<size_t>(n));
        else if (errno != EAGAIN && errno != EINTR)
            return system_error("cannot read the iterator");
    }
}

}  // namespace

Result<SocketFigures> pass_sockets(const std::string& dir, rmt_tcp_task task, uint64_t scope) {
    RMT_TRY(const Fd link, open_pin(dir, "prog_rmt_pass_tcp"));
    RMT_TRY(const Fd map, open_pin(dir, "rmt_pass"));
    rmt_tcp_pass pass = {};
    pass.task = task;
    pass.scope = scope;
    const __u32 zero = 0;
    if (bpf_map_update_elem(map.get(), &zero, &pass, BPF_ANY) != 0) return system_error("cannot tell the iterator its task");
    const NamespaceVisits visits = visit_namespaces([&] { return read_iterator(link.get(), [](const char*, size_t) {}); });
    if (bpf_map_lookup_elem(map.get(), &zero, &pass) != 0) return system_error("cannot read what the iterator did");
    return SocketFigures{pass.seen, pass.changed, pass.refused, visits.entered, visits.unreachable};
}

Result<SocketList> list_sockets(const std::string& dir) {
    RMT_TRY(const Fd link, open_pin(dir, "prog_rmt_dump"));
    SocketList list;
    std::string bytes;
    list.unreachable = visit_namespaces([&] {
                           return read_iterator(link.get(), [&](const char* data, size_t n) { bytes.append(data, n); });
                       }).unreachable;
    list.sockets.resize(bytes.size() / sizeof(rmt_tcp_record));
    if (!list.sockets.empty()) std::memcpy(list.sockets.data(), bytes.data(), list.sockets.size() * sizeof(rmt_tcp_record));
    return list;
}

}  // namespace rmt::load
