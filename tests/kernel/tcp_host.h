// SPDX-License-Identifier: MIT
// What tests of domain tcp need of the host: cgroups of version 2, sockets on loopback that are born in one of them, other network
// namespaces, a policy written by hand. All of it goes with the test; a janitor process sees to that when the test is killed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "loader/cgroup.h"
#include "loader/fd.h"
#include "loader/live.h"
#include "loader/session.h"

namespace rmt::test {

constexpr const char* kScopeTest = "rmt_scope_test";  // name of the policy and its control

class TcpHost {
public:
    TcpHost();
    ~TcpHost();
    TcpHost(const TcpHost&) = delete;

    const std::string& problem() const { return problem_; }  // why tests cannot run here; empty: they can
    load::UnifiedCgroup app() const { return *load::UnifiedCgroup::open(root_ + "/app"); }
    load::UnifiedCgroup child() const { return *load::UnifiedCgroup::open(root_ + "/app/child"); }
    load::UnifiedCgroup beside() const { return *load::UnifiedCgroup::open(root_ + "/beside"); }

private:
    std::string problem_, root_;
    int janitor_ = -1, janitor_pid_ = -1;  // the end of its pipe
};

load::LoadRequest scope_request(const std::string& object = "1", const std::string& policy = kScopeTest);

// This process is in the cgroup for as long as the object lives: sockets that it makes belong there.
class Inside {
public:
    explicit Inside(const load::UnifiedCgroup& cgroup);
    ~Inside();

private:
    std::string before_;
};

// A network namespace of its own, with loopback, kept by a thread.
class Netns {
public:
    Netns();
    ~Netns();
    void run(const std::function<void()>& what);  // in it

private:
    std::thread keeper_;
    load::Fd fd_, end_;
};

struct Pair {
    load::Fd client, server;
};

load::Fd make_listener(int family, uint16_t& port);  // port: chosen by the kernel
load::Fd make_client(int family, uint16_t port);
load::Fd accept_from(const load::Fd& listener);
Pair make_pair(int family, const load::Fd& listener, uint16_t port);

std::string control_of(const load::Fd& socket);
bool set_control(const load::Fd& socket, const char* name);  // false: refused, see errno

// Bytes through a connection, checked at the other end.
bool exchange(const Pair& pair, size_t bytes);

}  // namespace rmt::test
