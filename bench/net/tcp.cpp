// SPDX-License-Identifier: MIT
#include "bench/net/tcp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

namespace rmt::net {
namespace {

std::string reason(int number) { return std::strerror(number); }

// What this kernel has now, for the message; empty where it cannot be read.
std::string known_controls() {
    std::ifstream in("/proc/sys/net/ipv4/tcp_available_congestion_control");
    std::string line;
    std::getline(in, line);
    return line;
}

}  // namespace

void Fd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

Result<Address> parse_address(const std::string& text, uint16_t port) {
    Address a;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&a.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&a.storage);
    if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        a.length = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        a.length = sizeof(*v6);
    } else {
        return fail(ErrorKind::Input, "'" + text + "' is not an IPv4 or IPv6 address; expected for example 10.99.0.2");
    }
    return a;
}

Result<Fd> make_socket(int family, const std::string& control) {
    Fd s(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!s) return fail(ErrorKind::Environment, "cannot open a TCP socket: " + reason(errno), {}, errno);
    if (control.empty() || ::setsockopt(s.get(), IPPROTO_TCP, TCP_CONGESTION, control.data(), socklen_t(control.size())) == 0) return s;
    const int number = errno;
    if (number == ENOENT)
        return fail(ErrorKind::Unsupported,
                    "this kernel has no congestion control '" + control + "'; it has " + known_controls() +
                        "; load its module (modprobe tcp_" + control + ") or register it first",
                    {}, number);
    if (number == EPERM)
        return fail(ErrorKind::Permission,
                    "congestion control '" + control +
                        "' was refused: it needs CAP_NET_ADMIN or a place in net.ipv4.tcp_allowed_congestion_control"
                        ", and no policy that forbids it",
                    {}, number);
    return fail(ErrorKind::Kernel, "congestion control '" + control + "' was refused: " + reason(number), {}, number);
}

Result<void> begin_connect(const Fd& socket, const Address& to) {
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) == 0 || errno == EINPROGRESS) return {};
    return fail(ErrorKind::Environment, "cannot connect: " + reason(errno), {}, errno);
}

int socket_error(int socket) {
    int value = 0;
    socklen_t size = sizeof(value);
    return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &value, &size) == 0 ? value : errno;
}

std::string control_of(int socket) {
    char name[17] = {};
    socklen_t size = sizeof(name) - 1;
    return ::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0 ? name : "";
}

tcp_info info_of(int socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size);
    return info;
}

void abort_socket(Fd& socket) {
    const linger now{1, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    socket.reset();
}

Result<void> enter_cgroup(const std::string& folder) {
    const std::string path = folder + "/cgroup.procs";
    Fd f(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!f)
        return fail(errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Environment,
                    "'" + folder + "' cannot be entered as a cgroup: " + reason(errno) + "; expected a folder of a cgroup v2 hierarchy", {},
                    errno);
    if (::write(f.get(), "0", 1) != 1)
        return fail(ErrorKind::Kernel, "cannot move into cgroup '" + folder + "': " + reason(errno), {}, errno);
    return {};
}

int64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace rmt::net
