// SPDX-License-Identifier: MIT
// Sockets as the traffic tool needs them: non-blocking, with a congestion control of their own, and what the kernel says of them.
#pragma once

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>

#include "rmt_lang/support/result.h"

namespace rmt::net {

class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset();

private:
    int fd_;
};

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    int family() const { return storage.ss_family; }
};

// A literal IPv4 or IPv6 address; names are not looked up.
Result<Address> parse_address(const std::string& text, uint16_t port);

// A non-blocking TCP socket that uses `control`, or whatever it is given by others when that is empty.
Result<Fd> make_socket(int family, const std::string& control);

// Begins to connect; the socket becomes writable when that is done, and socket_error() says how.
Result<void> begin_connect(const Fd& socket, const Address& to);
int socket_error(int socket);

std::string control_of(int socket);
tcp_info info_of(int socket);

// Closes with a reset: what still waits to be sent is not sent.
void abort_socket(Fd& socket);

// Moves this process into a cgroup v2 folder, so that sockets opened from now on belong to it.
Result<void> enter_cgroup(const std::string& folder);

int64_t now_ns();  // CLOCK_MONOTONIC

}  // namespace rmt::net
