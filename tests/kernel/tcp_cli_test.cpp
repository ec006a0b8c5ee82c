// SPDX-License-Identifier: MIT
// A policy written in the language governs sockets, and the verbs of rmt-load show what it does.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstdio>

#include "loader/bpffs.h"
#include "loader/tcp/scope.h"
#include "tests/compile.h"
#include "tests/kernel/cli_run.h"
#include "tests/kernel/tcp_host.h"

using namespace rmt;
using namespace rmt::test;

namespace {

// As policies/aimd.rmt, with a limit that its windows reach.
const std::string kPolicy = R"(rmt 1;
policy rmt_scope_test {
    description "test"; domain tcp; mode enforce;
    limit { cwnd in 2..24; cost <= 1ms per event; }
    action none() { }
    action grow(by: u16) { cwnd = cwnd + by; }
    table growth {
        key { tcp.state : exact; tcp.dport : range; }
        actions { none; grow; }
        default none();
        entries {
            open, 1..65535 => grow(3);
            loss, *        => none();
        }
    }
    on tcp.round { apply growth; }
}
)";

load::LivePolicy load_policy_text(const std::string& text) {
    auto compiled = compile_text(text);
    if (!compiled) FAIL(compiled.error().message + compiled.error().detail);
    load::LoadRequest request;
    request.object = compiled->object;
    request.object_digest = "test";
    request.manifest = compiled->manifest;
    request.mode = RMT_MODE_ENFORCE;
    request.replace = true;
    auto loaded = load::load_policy(request);
    if (!loaded) FAIL(loaded.error().message + "\n" + loaded.error().hint + "\n" + loaded.error().detail);
    auto live = load::LivePolicy::open(kScopeTest);
    REQUIRE(live);
    return std::move(*live);
}

std::string socket_name(const load::Fd& socket, int family) {
    std::string name;
    for (const bool peer : {false, true}) {
        sockaddr_storage a = {};
        socklen_t size = sizeof(a);
        (peer ? getpeername : getsockname)(socket.get(), reinterpret_cast<sockaddr*>(&a), &size);
        char text[INET6_ADDRSTRLEN];
        if (family == AF_INET6) {
            const auto& in = reinterpret_cast<sockaddr_in6&>(a);
            name += std::string("[") + inet_ntop(family, &in.sin6_addr, text, sizeof(text)) + "]:" + std::to_string(ntohs(in.sin6_port));
        } else {
            const auto& in = reinterpret_cast<sockaddr_in&>(a);
            name += std::string(inet_ntop(family, &in.sin_addr, text, sizeof(text))) + ":" + std::to_string(ntohs(in.sin_port));
        }
        if (!peer) name += "-";
    }
    return name;
}

std::string output_of(const std::string& command) {
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe);
    std::string text;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, n);
    pclose(pipe);
    return text;
}

Ran ok(const std::function<int(const Output&)>& verb) {
    Ran ran = run(verb);
    INFO(ran.json.dump(1));
    REQUIRE(ran.exit == cli::kOk);
    return ran;
}

}  // namespace

TEST_CASE("tcp verbs: attach, list, show, stats, why, top, detach, and ss shows the control") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const load::LivePolicy live = load_policy_text(kPolicy);
    const std::string path = host.app().path();
    Json attached = ok([&](const Output& out) { return cli::cmd_attach(out, kScopeTest, {path}, true); }).json;
    CHECK(attached["cgroups"][0]["path"] == path);
    CHECK(attached["cgroups"][0]["sockets"]["refused"] == 0);
    CHECK(run([&](const Output& out) { return cli::cmd_attach(out, kScopeTest, {path}, false); }).exit == cli::kConflict);
    for (const int family : {AF_INET, AF_INET6}) {
        Inside child(host.child());
        uint16_t port = 0;
        const load::Fd listener = make_listener(family, port);
        const Pair pair = make_pair(family, listener, port);
        REQUIRE(exchange(pair, 8 << 20));
        const std::string name = socket_name(pair.client, family);
        INFO(name);
        CHECK_THAT(output_of("ss -tin 'dport = " + std::to_string(port) + "'"), ContainsSubstring(kScopeTest));
        CHECK_THAT(output_of("ss -tin 'sport = 1'"), !ContainsSubstring(kScopeTest));

        const Json why = ok([&](const Output& out) { return cli::cmd_why(out, kScopeTest, name); }).json;
        REQUIRE(why["sockets"].size() == 1);
        const Json& s = why["sockets"][0];
        INFO(s.dump(1));
        CHECK(s["socket"] == name);
        CHECK(s["state"] == "established");
        CHECK(s["scope_path"] == path);
        CHECK(s["cgroup"] == host.child().id());
        CHECK(s["event"] == "tcp.round");
        CHECK(s["mode"] == "enforce");
        CHECK(s["choice"]["table"] == "growth");
        CHECK(s["choice"]["action"] == "grow");
        CHECK(s["choice"]["row"] == 0);
        CHECK(s["choice"]["entry"] == "open, 1.. => grow(3)");
        CHECK(s["wanted"]["cwnd"] > 24);  // asks for more than the limit once it is there
        CHECK(s["now"]["cwnd"] <= 24);
        CHECK(s["decisions"] > 0);
        CHECK(s["rounds"] > 0);
        CHECK(s["rtt_us"] > 0);
    }
    const Json stats = ok([&](const Output& out) { return cli::cmd_stats(out, kScopeTest, 0); }).json;
    INFO(stats.dump(1));
    REQUIRE(stats["cgroups"].size() == 1);
    const Json& c = stats["cgroups"][0];
    CHECK(c["path"] == path);
    CHECK(c["guarded"] == true);
    CHECK(c["stat"]["sockets"] == 4);
    CHECK(c["stat"]["closed"] == 4);
    CHECK(c["stat"]["delivered"] > 100);
    CHECK(c["stat"]["clamped"] > 0);
    CHECK(c["stat"]["set_cwnd"] > 0);
    CHECK(c["stat"].contains("faults") == false);
    CHECK(stats["tables"][0]["entries"][0]["hits"] > 0);

    const Json all = ok([&](const Output& out) { return cli::cmd_why(out, kScopeTest, ""); }).json;
    CHECK(all["sockets"].is_array());
    const Json list = ok([&](const Output& out) { return cli::cmd_list(out); }).json;
    bool listed = false;
    for (const Json& p : list["policies"]) listed |= p["policy"] == kScopeTest && p["domain"] == "tcp" && p["cgroups"] == 1;
    CHECK(listed);
    CHECK(ok([&](const Output& out) { return cli::cmd_show(out, kScopeTest); }).json["manifest"]["tcp"]["cwnd_max"] == 24);
    const Json top = ok([&](const Output& out) { return cli::cmd_top(out, {kScopeTest, 0.05, 1}); }).json;
    CHECK(top["policies"][0]["cgroups"][0]["path"] == path);
    CHECK(top["policies"][0]["rows"].size() == 3);  // two entries and the default

    CHECK(run([&](const Output& out) { return cli::cmd_detach(out, kScopeTest, {host.beside().path()}); }).exit == cli::kNotFound);
    const Json detached = ok([&](const Output& out) { return cli::cmd_detach(out, kScopeTest, {path}); }).json;
    CHECK(detached["sockets"]["refused"] == 0);
    const Json gone = ok([&](const Output& out) { return cli::cmd_detach(out, kScopeTest, {}); }).json;
    CHECK(gone["unloaded"] == true);
}

TEST_CASE("tcp verbs: wrong sockets, wrong policies, wrong cgroups are told apart") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const load::LivePolicy live = load_policy_text(kPolicy);
    for (const char* socket : {"1.2.3.4:5", "1.2.3.4:5-6.7.8.9", "1.2.3.4:5-6.7.8.9:70000", "::1:5-::1:6", "a:1-b:2", "-"}) {
        INFO(socket);
        CHECK(run([&](const Output& out) { return cli::cmd_why(out, kScopeTest, socket); }).exit == cli::kInvalid);
    }
    const Ran none = run([&](const Output& out) { return cli::cmd_why(out, kScopeTest, "127.0.0.1:1-127.0.0.1:2"); });
    CHECK(none.exit == cli::kNotFound);
    CHECK_THAT(none.json["error"]["message"].get<std::string>(), ContainsSubstring("no socket 127.0.0.1:1-127.0.0.1:2 is under policy"));
    CHECK(run([&](const Output& out) { return cli::cmd_why(out, "no_such_policy", ""); }).exit == cli::kNotFound);
    CHECK(run([&](const Output& out) { return cli::cmd_top(out, {"no_such_policy", 0.01, 1}); }).exit == cli::kNotFound);
    CHECK(run([&](const Output& out) { return cli::cmd_attach(out, kScopeTest, {"/proc"}, false); }).exit == cli::kInvalid);
    const Json doctor = run([&](const Output& out) { return cli::cmd_doctor(out, kScopeTest); }).json;
    CHECK(doctor["domains"]["tcp"]["usable"] == true);
    CHECK(doctor["usable"] == true);
    CHECK(doctor["policy"][0]["name"] == "cgroups");
}

TEST_CASE("tcp verbs: a mode at once, shadow scores, off leaves sockets to the base") {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const load::LivePolicy live = load_policy_text(kPolicy);
    ok([&](const Output& out) { return cli::cmd_attach(out, kScopeTest, {host.app().path()}, false); });
    ok([&](const Output& out) { return cli::cmd_mode(out, kScopeTest, "shadow"); });
    Inside app(host.app());
    uint16_t port = 0;
    const load::Fd listener = make_listener(AF_INET, port);
    const Pair pair = make_pair(AF_INET, listener, port);
    REQUIRE(exchange(pair, 4 << 20));
    const auto stat = [&] { return ok([&](const Output& out) { return cli::cmd_stats(out, kScopeTest, 0); }).json["cgroups"][0]["stat"]; };
    const Json shadow = stat();
    CHECK(shadow["set_cwnd"] == 0);
    CHECK(shadow["shadowed"] > 0);
    CHECK(shadow["shadow_agree"].get<int>() + shadow["shadow_above"].get<int>() + shadow["shadow_below"].get<int>() > 0);
    ok([&](const Output& out) { return cli::cmd_mode(out, kScopeTest, "off"); });
    REQUIRE(exchange(pair, 1 << 20));
    const Json off = stat();
    CHECK(off["decisions"] == shadow["decisions"]);
    ok([&](const Output& out) { return cli::cmd_mode(out, kScopeTest, "enforce"); });
    REQUIRE(exchange(pair, 4 << 20));
    CHECK(stat()["set_cwnd"] > 0);
}
