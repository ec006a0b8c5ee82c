// SPDX-License-Identifier: MIT
// Who is governed by a policy of domain tcp, seen from the sockets: born, listening, accepted, open already; IPv4 and IPv6; children,
// neighbours, other network namespaces; the guard; detach; replacement under traffic; what is refused, and why.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "loader/bpffs.h"
#include "loader/tcp/control.h"
#include "loader/tcp/pass.h"
#include "loader/tcp/scope.h"
#include "tests/kernel/tcp_host.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;
using load::LivePolicy;

namespace {

std::string text(const Error& error) { return error.message + "\n" + error.hint + "\n" + error.detail; }

LivePolicy load_it() {
    auto loaded = load::load_policy(scope_request());
    if (!loaded) FAIL(text(loaded.error()));
    auto live = LivePolicy::open(kScopeTest);
    REQUIRE(live);
    return std::move(*live);
}

uint64_t figure(const LivePolicy& live, uint64_t id, rmt_tcp_stat stat) {
    const auto all = live.cgroups();
    REQUIRE(all);
    for (const load::CgroupFigures& c : *all)
        if (c.id == id) return c.figures.stat[stat];
    return ~0ull;
}

// The record of a socket, by its port and its peer's.
std::optional<rmt_tcp_record> record_of(const load::Fd& socket) {
    sockaddr_in6 own = {}, peer = {};
    socklen_t size = sizeof(own), peer_size = sizeof(peer);
    getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size);
    getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size);
    const auto list = load::list_sockets(load::pin_dir(kScopeTest));
    if (!list) FAIL(text(list.error()));
    for (const rmt_tcp_record& r : list->sockets)
        if (r.sport == own.sin6_port && r.dport == peer.sin6_port && r.family == own.sin6_family) return r;
    return std::nullopt;
}

}  // namespace

TEST_CASE("sockets that are born in the scope are governed, of both families, and none outside") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const LivePolicy live = load_it();
    auto attached = load::attach_scope(live, host.app(), false);
    if (!attached) FAIL(text(attached.error()));
    CHECK(attached->namespaces >= 1);
    for (const int family : {AF_INET, AF_INET6}) {
        uint16_t in_port = 0, out_port = 0;
        load::Fd in_listener, out_listener;
        Pair from_app, from_child, from_beside, to_outside;
        out_listener = make_listener(family, out_port);
        {
            Inside app(host.app());
            in_listener = make_listener(family, in_port);
            to_outside = make_pair(family, out_listener, out_port);
        }
        {
            Inside child(host.child());
            from_child = make_pair(family, out_listener, out_port);
        }
        {
            Inside beside(host.beside());
            from_beside = make_pair(family, in_listener, in_port);
        }
        CHECK(control_of(in_listener) == kScopeTest);
        CHECK(control_of(to_outside.client) == kScopeTest);
        CHECK(control_of(to_outside.server) != kScopeTest);
        CHECK(control_of(from_child.client) == kScopeTest);
        CHECK(control_of(from_beside.client) != kScopeTest);
        CHECK(control_of(from_beside.server) == kScopeTest);
        CHECK(control_of(out_listener) != kScopeTest);
        CHECK(exchange(to_outside, 1 << 20));
        CHECK(exchange(from_child, 1 << 16));
        const auto record = record_of(from_child.client);
        REQUIRE(record);
        CHECK(record->view.scope == host.app().id());
        CHECK(record->view.cgroup == host.child().id());
        CHECK(record->view.decisions > 0);
        CHECK(record_of(in_listener).has_value());
        CHECK_FALSE(record_of(from_beside.client).has_value());
    }
    CHECK(figure(live, host.app().id(), RMT_TCP_SOCKETS) == 6);
    CHECK(figure(live, host.app().id(), RMT_TCP_REFUSED) == 0);
    CHECK(load::refusals(live)->empty());
}

TEST_CASE("sockets that are open already are converted, in every network namespace, and detach gives back what each had") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const LivePolicy live = load_it();
    for (const int family : {AF_INET, AF_INET6}) {
        Netns other;
        uint16_t port = 0, far_port = 0;
        load::Fd listener, far_listener;
        Pair pair, far, stranger;
        {
            Inside app(host.app());
            listener = make_listener(family, port);
            pair = make_pair(family, listener, port);
            other.run([&] {
                far_listener = make_listener(family, far_port);
                far = make_pair(family, far_listener, far_port);
            });
        }
        stranger = make_pair(family, listener, port);
        const std::string usual = control_of(listener);
        REQUIRE(set_control(pair.client, usual == "reno" ? "cubic" : "reno"));
        const std::string special = control_of(pair.client);

        auto attached = load::attach_scope(live, host.app(), false);
        if (!attached) FAIL(text(attached.error()));
        CHECK(attached->seen == 7);  // two listeners, two pairs, and what the stranger reached
        CHECK(attached->changed == 7);
        CHECK(attached->refused == 0);
        CHECK(attached->namespaces >= 2);
        for (const load::Fd* fd : std::initializer_list<const load::Fd*>{&listener, &pair.client, &pair.server, &far_listener, &far.client, &far.server, &stranger.server})
            CHECK(control_of(*fd) == kScopeTest);
        CHECK(control_of(stranger.client) == usual);
        CHECK(exchange(pair, 1 << 20));
        other.run([&] { CHECK(exchange(far, 1 << 16)); });
        CHECK(figure(live, host.app().id(), RMT_TCP_CONVERTED) == 7);
        const Pair late = make_pair(family, listener, port);  // its server has the listener's memory
        CHECK(control_of(late.server) == kScopeTest);

        auto again = load::attach_scope(live, host.app(), false);
        REQUIRE(again);
        CHECK(again->changed == 0);

        auto detached = load::detach_scope(live, host.app());
        if (!detached) FAIL(text(detached.error()));
        CHECK(detached->seen == 8);
        CHECK(detached->changed == 8);
        CHECK(detached->refused == 0);
        CHECK(control_of(pair.client) == special);
        for (const load::Fd* fd : std::initializer_list<const load::Fd*>{&listener, &pair.server, &far_listener, &far.client, &far.server, &stranger.server, &late.server})
            CHECK(control_of(*fd) == usual);
        CHECK(exchange(pair, 1 << 20));
        {
            Inside app(host.app());
            const Pair after = make_pair(family, listener, port);
            CHECK(control_of(after.client) == usual);
        }
        CHECK(load::detach_scope(live, host.app()).error().kind == ErrorKind::NotFound);
    }
}

TEST_CASE("unloading gives all sockets back, and the control's name is free again") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    uint16_t port = 0;
    Inside app(host.app());
    load::Fd listener = make_listener(AF_INET, port);
    const std::string usual = control_of(listener);
    {
        const LivePolicy live = load_it();
        REQUIRE(load::attach_scope(live, host.app(), true));
    }
    const Pair pair = make_pair(AF_INET, listener, port);
    CHECK(control_of(pair.client) == kScopeTest);
    auto gone = load::unload_policy(kScopeTest);
    if (!gone) FAIL(text(gone.error()));
    CHECK(gone->tcp);
    CHECK(gone->sockets.changed == 3);
    for (const load::Fd* fd : std::initializer_list<const load::Fd*>{&listener, &pair.client, &pair.server}) CHECK(control_of(*fd) == usual);
    CHECK(exchange(pair, 1 << 20));
    CHECK_FALSE(load::check_name_free(kScopeTest).has_value());
    CHECK_FALSE(set_control(pair.client, kScopeTest));
    CHECK(set_control(pair.client, "reno"));  // the guard has gone as well
}

TEST_CASE("the guard refuses another control and lets every other option pass") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const LivePolicy live = load_it();
    REQUIRE(load::attach_scope(live, host.app(), true));
    CHECK(load::is_guarded(live, host.app().id()));
    uint16_t port = 0;
    Inside child(host.child());
    const load::Fd listener = make_listener(AF_INET, port);
    const Pair pair = make_pair(AF_INET, listener, port);
    CHECK_FALSE(set_control(pair.client, "cubic"));
    CHECK(errno == EPERM);
    const load::Fd fresh(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_FALSE(set_control(fresh, "reno"));
    CHECK(errno == EPERM);
    CHECK(control_of(pair.client) == kScopeTest);
    CHECK(figure(live, host.app().id(), RMT_TCP_GUARDED) == 2);
    const int one = 1;
    CHECK(setsockopt(pair.client.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    // Longer than a page, which is all that the kernel shows a program.
    std::vector<char> long_option(8192, 0);
    std::memcpy(long_option.data(), &one, sizeof(one));
    CHECK(setsockopt(pair.client.get(), SOL_SOCKET, SO_KEEPALIVE, long_option.data(), static_cast<socklen_t>(long_option.size())) == 0);
    int keeps = 0;
    socklen_t size = sizeof(keeps);
    CHECK(getsockopt(pair.client.get(), SOL_SOCKET, SO_KEEPALIVE, &keeps, &size) == 0);
    CHECK(keeps == 1);
}

TEST_CASE("a socket belongs to the nearest attached cgroup, and moves up when that one is detached") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const LivePolicy live = load_it();
    REQUIRE(load::attach_scope(live, host.app(), false));
    uint16_t port = 0;
    Inside child(host.child());
    const load::Fd listener = make_listener(AF_INET, port);
    const Pair pair = make_pair(AF_INET, listener, port);
    CHECK(record_of(pair.client)->view.scope == host.app().id());
    auto attached = load::attach_scope(live, host.child(), false);
    REQUIRE(attached);
    CHECK(attached->changed == 2);  // the listener has no state
    CHECK(record_of(pair.client)->view.scope == host.child().id());
    CHECK(record_of(listener)->view.scope == host.child().id());
    CHECK(exchange(pair, 1 << 18));
    auto detached = load::detach_scope(live, host.child());
    REQUIRE(detached);
    CHECK(control_of(pair.client) == kScopeTest);
    CHECK(record_of(pair.client)->view.scope == host.app().id());
    CHECK(exchange(pair, 1 << 18));
    REQUIRE(load::detach_scope(live, host.app()));
    CHECK(control_of(pair.client) != kScopeTest);
    CHECK(control_of(listener) != kScopeTest);
}

TEST_CASE("a replacement moves a running transfer to the new code and breaks nothing") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    uint16_t port = 0;
    Inside app(host.app());
    const load::Fd listener = make_listener(AF_INET, port);
    const std::string usual = control_of(listener);
    {
        const LivePolicy live = load_it();
        REQUIRE(load::attach_scope(live, host.app(), true));
    }
    const Pair pair = make_pair(AF_INET, listener, port);
    std::atomic<bool> right{true}, stop{false};
    std::thread transfer([&] {
        while (!stop && right) right = exchange(pair, 1 << 20);
    });
    CHECK(record_of(pair.client)->view.want_cwnd == 1);
    for (const char* version : {"2", "1", "2"}) {
        auto replaced = load::load_policy(scope_request(version));
        if (!replaced) {
            stop = true;
            transfer.join();
            FAIL(text(replaced.error()));
        }
        CHECK(replaced->renewed.changed == 3);
        CHECK(replaced->renewed.refused == 0);
        const auto now = record_of(pair.client);
        REQUIRE(now);
        CHECK(now->view.want_cwnd == static_cast<uint32_t>(version[0] - '0'));
        CHECK(now->view.scope == host.app().id());
    }
    stop = true;
    transfer.join();
    CHECK(right);
    CHECK(exchange(pair, 1 << 20));
    CHECK(record_of(pair.client)->view.decisions > 0);
    CHECK_FALSE(set_control(pair.client, "cubic"));  // the guard came along
    const Pair young = make_pair(AF_INET, listener, port);
    CHECK(record_of(young.client)->view.want_cwnd == 2);
    auto gone = load::unload_policy(kScopeTest);
    REQUIRE(gone);
    CHECK(gone->sockets.changed == 5);
    for (const load::Fd* fd : std::initializer_list<const load::Fd*>{&listener, &pair.client, &pair.server, &young.server}) CHECK(control_of(*fd) == usual);
    CHECK(exchange(pair, 1 << 18));
}

TEST_CASE("a replacement that fails changes nothing") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    uint16_t port = 0;
    Inside app(host.app());
    const load::Fd listener = make_listener(AF_INET, port);
    {
        const LivePolicy live = load_it();
        REQUIRE(load::attach_scope(live, host.app(), false));
    }
    const Pair pair = make_pair(AF_INET, listener, port);
    auto refused = load::load_policy(scope_request("missing"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::Unsupported);
    CHECK_THAT(refused.error().message, ContainsSubstring("base \"bbr\""));
    CHECK_THAT(refused.error().hint, ContainsSubstring("modprobe tcp_bbr"));
    CHECK(load::load_policy(scope_request("other")).error().kind == ErrorKind::Input);  // registers another name
    CHECK(record_of(pair.client)->view.want_cwnd == 1);
    CHECK(exchange(pair, 1 << 18));
    const Pair young = make_pair(AF_INET, listener, port);
    CHECK(control_of(young.client) == kScopeTest);
    for (const std::string& name : load::pinned_policies()) CHECK(name.find("__") == std::string::npos);
    CHECK(access((load::pin_dir(kScopeTest) + load::kNextSuffix).c_str(), F_OK) != 0);
}

TEST_CASE("names that are taken, cgroups that are none, a cgroup of another policy: refused with who and what to do") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    auto kernels = load::load_policy(scope_request("1", "reno"));
    REQUIRE_FALSE(kernels);
    CHECK(kernels.error().kind == ErrorKind::Conflict);
    CHECK_THAT(kernels.error().message, ContainsSubstring("named 'reno' is registered already, by the kernel itself"));
    {
        // Somebody else's BPF.
        const load::LoadRequest request = scope_request();
        bpf_object_open_opts options = {};
        options.sz = sizeof(options);
        const libbpf_print_fn_t before = libbpf_set_print(nullptr);
        bpf_object* object = bpf_object__open_mem(request.object.data(), request.object.size(), &options);
        REQUIRE(object);
        const std::string mine = *load::choose_control();
        for (const char* name : {"rmt_control", "rmt_control_tx"})
            bpf_map__set_autocreate(bpf_object__find_map_by_name(object, name), mine == name);
        bpf_program__set_autoload(bpf_object__find_program_by_name(object, mine == "rmt_control" ? "rmt_tcp_event_tx" : "rmt_tcp_event"), false);
        REQUIRE(bpf_object__load(object) == 0);
        bpf_link* link = bpf_map__attach_struct_ops(bpf_object__find_map_by_name(object, mine.c_str()));
        libbpf_set_print(before);
        REQUIRE(link);
        auto taken = load::load_policy(request);
        bpf_link__destroy(link);
        bpf_object__close(object);
        REQUIRE_FALSE(taken);
        CHECK(taken.error().kind == ErrorKind::Conflict);
        CHECK_THAT(taken.error().message, ContainsSubstring("by somebody else's BPF: map "));
        CHECK_THAT(taken.error().hint, ContainsSubstring("bpftool struct_ops show id "));
    }
    CHECK(access(load::pin_dir(kScopeTest).c_str(), F_OK) != 0);
    if (auto memory = load::find_memory_controller(); memory && !memory->v2) {
        auto v1 = load::UnifiedCgroup::open(memory->mount);
        REQUIRE_FALSE(v1);
        CHECK(v1.error().kind == ErrorKind::Input);
        CHECK_THAT(v1.error().message, ContainsSubstring("version 1"));
        CHECK_THAT(v1.error().hint, ContainsSubstring(*load::find_unified_mount()));
    }
    CHECK(load::UnifiedCgroup::open("/proc").error().kind == ErrorKind::Input);
    CHECK(load::UnifiedCgroup::open("no/such/cgroup").error().kind == ErrorKind::NotFound);

    const LivePolicy live = load_it();
    REQUIRE(load::attach_scope(live, host.app(), false));
    REQUIRE(load::load_policy(scope_request("other", "rmt_scope_othr")));
    {
        auto other = LivePolicy::open("rmt_scope_othr");
        REQUIRE(other);
        for (const load::UnifiedCgroup& cgroup : {host.app(), host.child()}) {
            auto refused = load::attach_scope(*other, cgroup, false);
            REQUIRE_FALSE(refused);
            CHECK(refused.error().kind == ErrorKind::Conflict);
            CHECK_THAT(refused.error().message, ContainsSubstring("policy 'rmt_scope_test' is attached to "));
        }
        CHECK(load::attach_scope(*other, host.beside(), false));
    }
    REQUIRE(load::unload_policy("rmt_scope_othr"));
}

TEST_CASE("what a socket had and is no longer there: it gets reno, and the report says why") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    uint16_t port = 0;
    Inside app(host.app());
    load::Fd listener;
    REQUIRE(load::load_policy(scope_request("other", "rmt_scope_othr")));
    listener = make_listener(AF_INET, port);
    const Pair pair = make_pair(AF_INET, listener, port);
    REQUIRE(set_control(pair.client, "rmt_scope_othr"));
    const LivePolicy live = load_it();
    REQUIRE(load::attach_scope(live, host.app(), false));
    REQUIRE(load::unload_policy("rmt_scope_othr"));
    auto detached = load::unload_policy(kScopeTest);
    REQUIRE(detached);
    CHECK(detached->sockets.refused == 1);
    REQUIRE(detached->sockets.reasons.size() == 1);
    CHECK(detached->sockets.reasons[0].first == "when restored: no such congestion control");
    CHECK(detached->sockets.reasons[0].second == 1);
    CHECK(detached->sockets.changed == 2);
    CHECK(control_of(pair.client) == "reno");
    CHECK(exchange(pair, 1 << 18));
}
