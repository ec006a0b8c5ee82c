// SPDX-License-Identifier: MIT
// The loader is killed before each of its system calls that change something, one after the other: connections go on, and what is
// left is nothing, or something that the next load uses or detach removes.
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "loader/bpffs.h"
#include "loader/tcp/control.h"
#include "loader/tcp/scope.h"
#include "tests/kernel/tcp_host.h"
#include "tests/rmt_test.h"

#ifndef __x86_64__
#error "reads system calls from the registers of x86-64"
#endif

using namespace rmt;
using namespace rmt::test;

namespace {

bool changes_something(const user_regs_struct& regs) {
    switch (regs.orig_rax) {
        case SYS_rename:
        case SYS_renameat2:
        case SYS_unlink:
        case SYS_mkdir:
        case SYS_rmdir: return true;
        case SYS_bpf:
            return regs.rdi == BPF_OBJ_PIN || regs.rdi == BPF_LINK_CREATE || regs.rdi == BPF_LINK_UPDATE || regs.rdi == BPF_MAP_UPDATE_ELEM ||
                   regs.rdi == BPF_MAP_DELETE_ELEM || regs.rdi == BPF_ITER_CREATE;
    }
    return false;
}

enum class End { Killed, Done, Failed };

// Runs `work` in a child and kills it with SIGKILL before its `n`th such call. Done: there were fewer.
End run_and_kill(const std::function<bool()>& work, int n) {
    const int child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        _exit(work() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    std::set<int> inside;  // threads in a system call
    int seen = 0;
    bool killed = false;
    for (;;) {
        const int thread = waitpid(-1, &status, __WALL);
        if (thread < 0) return End::Failed;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != child) continue;
            return killed ? End::Killed : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? End::Done : End::Failed;
        }
        int signal = 0;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            user_regs_struct regs = {};
            ptrace(PTRACE_GETREGS, thread, nullptr, &regs);
            if (inside.erase(thread) == 0) {
                inside.insert(thread);
                if (!killed && changes_something(regs) && ++seen == n) {
                    kill(child, SIGKILL);
                    killed = true;
                }
            }
        } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
            signal = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, thread, nullptr, static_cast<long>(signal));
    }
}

struct Connection {
    load::Fd listener;
    Pair pair;
    std::string usual;

    explicit Connection(const load::UnifiedCgroup& cgroup) {
        Inside inside(cgroup);
        uint16_t port = 0;
        listener = make_listener(AF_INET, port);
        pair = make_pair(AF_INET, listener, port);
        usual = control_of(listener);
    }
    bool is_back() const { return control_of(listener) == usual && control_of(pair.client) == usual && control_of(pair.server) == usual; }
};

// Why it failed, empty: it did not.
std::string apply(const load::UnifiedCgroup& cgroup, const char* version) {
    auto loaded = load::load_policy(scope_request(version));
    if (!loaded) return loaded.error().message + "\n" + loaded.error().detail;
    auto live = load::LivePolicy::open(kScopeTest);
    if (!live) return live.error().message;
    auto attached = load::attach_scope(*live, cgroup, true);
    return attached ? "" : attached.error().message;
}

// What is left, empty: nothing.
std::string left_behind() {
    const std::string dir = load::pin_dir(kScopeTest);
    for (const std::string& d : {dir, dir + load::kNextSuffix, dir + load::kOldSuffix})
        if (access(d.c_str(), F_OK) == 0) return d;
    const auto taken = load::check_name_free(kScopeTest);
    return taken ? taken->message : "";
}

// Whatever the killed run left: the connection works, and one detach, or a load and a detach, leaves nothing.
void check_recovery(const Connection& connection, const load::UnifiedCgroup& cgroup, bool load_again) {
    CHECK(exchange(connection.pair, 1 << 16));
    if (load_again) {
        const std::string why = apply(cgroup, "2");
        REQUIRE(why == "");
        CHECK(control_of(connection.pair.client) == kScopeTest);
        CHECK(control_of(connection.listener) == kScopeTest);
    }
    auto gone = load::unload_policy(kScopeTest);
    if (!gone) CHECK(gone.error().kind == ErrorKind::NotFound);
    CHECK(connection.is_back());
    CHECK(left_behind() == "");
    CHECK(exchange(connection.pair, 1 << 16));
}

void kill_everywhere(const std::function<std::string(const load::UnifiedCgroup&)>& before, const std::function<bool(const load::UnifiedCgroup&)>& work) {
    TcpHost host;
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const load::UnifiedCgroup cgroup = host.app();
    int n = 1, ended = 0;
    for (End end = End::Killed; end == End::Killed; n++) {
        INFO("killed before change " << n);
        const Connection connection(cgroup);
        const std::string why = before(cgroup);
        REQUIRE(why == "");
        end = run_and_kill([&] { return work(cgroup); }, n);
        REQUIRE(end != End::Failed);
        ended = n;
        check_recovery(connection, cgroup, n % 2 == 0);
    }
    CHECK(ended > 5);
}

}  // namespace

TEST_CASE("killed while it loads and attaches") {
    kill_everywhere([](const load::UnifiedCgroup&) { return std::string(); }, [](const load::UnifiedCgroup& cgroup) { return apply(cgroup, "1").empty(); });
}

TEST_CASE("killed while it replaces") {
    kill_everywhere([](const load::UnifiedCgroup& cgroup) { return apply(cgroup, "1"); },
                    [](const load::UnifiedCgroup&) { return load::load_policy(scope_request("2")).has_value(); });
}

TEST_CASE("killed while it detaches") {
    kill_everywhere([](const load::UnifiedCgroup& cgroup) { return apply(cgroup, "1"); },
                    [](const load::UnifiedCgroup&) { return load::unload_policy(kScopeTest).has_value(); });
}

TEST_CASE("killed while it detaches from one cgroup") {
    kill_everywhere([](const load::UnifiedCgroup& cgroup) { return apply(cgroup, "1"); },
                    [](const load::UnifiedCgroup& cgroup) {
                        auto live = load::LivePolicy::open(kScopeTest);
                        return live && load::detach_scope(*live, cgroup);
                    });
}
