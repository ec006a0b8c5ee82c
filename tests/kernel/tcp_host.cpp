// SPDX-License-Identifier: MIT
#include "tests/kernel/tcp_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "loader/bpffs.h"
#include "loader/tcp/control.h"

namespace rmt::test {

namespace {

std::string read_all(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

void clean(const std::string& root) {
    (void)load::unload_policy(kScopeTest);
    for (const char* dir : {"/app/child", "/app", "/beside", ""})
        for (int i = 0; i < 100 && rmdir((root + dir).c_str()) != 0 && errno == EBUSY; i++) usleep(20'000);
}

sockaddr_storage address(int family, uint16_t port, socklen_t& size) {
    sockaddr_storage storage = {};
    if (family == AF_INET6) {
        auto& a = reinterpret_cast<sockaddr_in6&>(storage);
        a.sin6_family = AF_INET6;
        a.sin6_port = htons(port);
        a.sin6_addr = in6addr_loopback;
        size = sizeof(a);
    } else {
        auto& a = reinterpret_cast<sockaddr_in&>(storage);
        a.sin_family = AF_INET;
        a.sin_port = htons(port);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        size = sizeof(a);
    }
    return storage;
}

}  // namespace

TcpHost::TcpHost() {
    auto mount = load::find_unified_mount();
    auto control = load::choose_control();
    problem_ = geteuid() != 0 ? "not root" : !mount ? mount.error().message : !control ? control.error().message : "";
    if (!problem_.empty()) return;
    root_ = *mount + "/rmt-test-" + std::to_string(getpid());
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    janitor_pid_ = fork();
    if (janitor_pid_ == 0) {
        close(ends[1]);
        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        char byte;
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        clean(root_);
        _exit(0);
    }
    close(ends[0]);
    janitor_ = ends[1];
    (void)load::unload_policy(kScopeTest);  // of a run before that was killed together with its janitor
    for (const char* dir : {"", "/app", "/app/child", "/beside"}) mkdir((root_ + dir).c_str(), 0755);
}

TcpHost::~TcpHost() {
    if (janitor_ < 0) return;
    clean(root_);
    close(janitor_);
    waitpid(janitor_pid_, nullptr, 0);  // or it would clean up after the next test, too early
}

load::LoadRequest scope_request(const std::string& object, const std::string& policy) {
    load::LoadRequest request;
    const char* given = std::getenv("RMT_SCOPE_OBJECTS");  // in a VM
    const std::string bytes = read_all((given ? std::string(given) : RMT_SCOPE_OBJECTS) + object + ".o");
    request.object.assign(bytes.begin(), bytes.end());
    request.object_digest = object;
    request.manifest.policy = policy;
    request.manifest.domain = "tcp";
    request.manifest.mode = "enforce";
    request.manifest.source = policy + ".rmt";
    request.manifest.tcp = ManifestTcp{};
    request.manifest.tcp->base = "reno";
    request.manifest.tcp->cwnd_min = 2;
    request.manifest.tcp->cwnd_max = 65536;
    request.manifest.tcp->pacing_min = 1000;
    request.manifest.tcp->pacing_max = 1'000'000'000;
    request.mode = RMT_MODE_ENFORCE;
    request.replace = true;
    return request;
}

Inside::Inside(const load::UnifiedCgroup& cgroup) {
    std::istringstream own(read_all("/proc/self/cgroup"));
    std::string line;
    while (std::getline(own, line))
        if (line.rfind("0::", 0) == 0) before_ = *load::find_unified_mount() + line.substr(3);
    (void)cgroup.add_process(getpid());
}

Inside::~Inside() { std::ofstream(before_ + "/cgroup.procs") << getpid() << std::flush; }

Netns::Netns() {
    int ready[2], end[2];
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(end, O_CLOEXEC) != 0) return;
    end_ = load::Fd(end[1]);
    keeper_ = std::thread([this, out = ready[1], in = end[0]] {
        load::Fd ready_end(out), end_end(in);
        if (unshare(CLONE_NEWNET) == 0) fd_ = load::Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        load::Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ifreq request = {};
        std::strcpy(request.ifr_name, "lo");
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        ioctl(any.get(), SIOCSIFFLAGS, &request);
        char byte = 0;
        if (write(out, &byte, 1) == 1) (void)!read(in, &byte, 1);
    });
    load::Fd wait(ready[0]);
    char byte;
    (void)!read(wait.get(), &byte, 1);
}

Netns::~Netns() {
    end_ = load::Fd();
    if (keeper_.joinable()) keeper_.join();
}

void Netns::run(const std::function<void()>& what) {
    std::thread([&] {
        if (setns(fd_.get(), CLONE_NEWNET) == 0) what();
    }).join();
}

load::Fd make_listener(int family, uint16_t& port) {
    load::Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t size = 0;
    sockaddr_storage a = address(family, 0, size);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&a), size) != 0 || listen(fd.get(), 16) != 0) return {};
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size) != 0) return {};
    port = ntohs(family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(a).sin6_port : reinterpret_cast<sockaddr_in&>(a).sin_port);
    return fd;
}

load::Fd make_client(int family, uint16_t port) {
    load::Fd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t size = 0;
    const sockaddr_storage a = address(family, port, size);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), size) != 0) return {};
    return fd;
}

load::Fd accept_from(const load::Fd& listener) { return load::Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

Pair make_pair(int family, const load::Fd& listener, uint16_t port) {
    Pair pair;
    pair.client = make_client(family, port);
    pair.server = accept_from(listener);
    return pair;
}

std::string control_of(const load::Fd& socket) {
    char name[16] = {};
    socklen_t size = sizeof(name);
    if (getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name, &size) != 0) return std::string("error: ") + std::strerror(errno);
    return std::string(name, strnlen(name, sizeof(name)));
}

bool set_control(const load::Fd& socket, const char* name) {
    return setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name, static_cast<socklen_t>(std::strlen(name))) == 0;
}

bool exchange(const Pair& pair, size_t bytes) {
    bool sent = true, right = true;
    std::thread sender([&] {
        std::vector<uint8_t> block(4096);
        for (size_t at = 0; at < bytes && sent;) {
            const size_t n = std::min(block.size(), bytes - at);
            for (size_t i = 0; i < n; i++) block[i] = static_cast<uint8_t>((at + i) * 131 >> 3);
            const ssize_t w = send(pair.client.get(), block.data(), n, MSG_NOSIGNAL);
            if (w <= 0) sent = false;
            else at += static_cast<size_t>(w);
        }
    });
    std::vector<uint8_t> block(65536);
    for (size_t at = 0; at < bytes && right;) {
        const ssize_t r = recv(pair.server.get(), block.data(), std::min(block.size(), bytes - at), 0);
        if (r <= 0) right = false;
        for (ssize_t i = 0; i < r; i++) right = right && block[static_cast<size_t>(i)] == static_cast<uint8_t>((at + static_cast<size_t>(i)) * 131 >> 3);
        if (r > 0) at += static_cast<size_t>(r);
    }
    if (!right) shutdown(pair.client.get(), SHUT_RDWR);
    sender.join();
    return sent && right;
}

}  // namespace rmt::test
