// SPDX-License-Identifier: MIT
#include "loader/tcp/pass.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

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

// How many more there are, by moment and error, whatever the scope.
std::vector<std::pair<std::string, uint64_t>> reasons_between(const std::vector<Refusals>& before, const std::vector<Refusals>& after) {
    std::map<std::string, uint64_t> more;
    for (const Refusals& one : after) more[refusal_text(one.what)] += one.count;
    for (const Refusals& one : before) more[refusal_text(one.what)] -= one.count;
    std::erase_if(more, [](const auto& reason) { return reason.second == 0; });
    return {more.begin(), more.end()};
}

}  // namespace

std::vector<Refusals> read_refusals(int map) {
    std::vector<Refusals> all;
    rmt_refusal key = {}, next = {};
    for (bool first = true; bpf_map_get_next_key(map, first ? nullptr : &key, &next) == 0; first = false) {
        key = next;
        Refusals refused{key, 0};
        if (bpf_map_lookup_elem(map, &key, &refused.count) == 0) all.push_back(refused);
    }
    return all;
}

std::string refusal_text(const rmt_refusal& what) {
    static const char* const kMoments[] = {"at a moment unknown", "at connect", "at listen", "at accept", "when converted", "when restored"};
    constexpr uint32_t kNotSupported = 524;  // linux: ENOTSUPP
    const std::string why = what.error == kNotSupported ? "Operation not supported"
                            : what.error == ENOENT     ? "no such congestion control"
                                                       : std::strerror(static_cast<int>(what.error));
    return std::string(kMoments[what.moment <= RMT_TCP_AT_RESTORE ? what.moment : 0]) + ": " + why;
}

void add(SocketFigures& sum, const SocketFigures& more) {
    sum.seen += more.seen;
    sum.changed += more.changed;
    sum.refused += more.refused;
    sum.reasons.insert(sum.reasons.end(), more.reasons.begin(), more.reasons.end());
}

Result<SocketFigures> pass_sockets(const std::string& dir, rmt_tcp_task task, uint64_t scope) {
    RMT_TRY(const Fd link, open_pin(dir, "prog_rmt_pass_tcp"));
    RMT_TRY(const Fd map, open_pin(dir, "rmt_pass"));
    RMT_TRY(const Fd refused, open_pin(dir, "rmt_refused"));
    const std::vector<Refusals> before = read_refusals(refused.get());
    rmt_tcp_pass pass = {};
    pass.task = task;
    pass.scope = scope;
    const __u32 zero = 0;
    if (bpf_map_update_elem(map.get(), &zero, &pass, BPF_ANY) != 0) return system_error("cannot tell the iterator its task");
    const NamespaceVisits visits = visit_namespaces([&] { return read_iterator(link.get(), [](const char*, size_t) {}); });
    if (bpf_map_lookup_elem(map.get(), &zero, &pass) != 0) return system_error("cannot read what the iterator did");
    return SocketFigures{pass.seen, pass.changed, pass.refused, reasons_between(before, read_refusals(refused.get())), visits.entered, visits.unreachable};
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
