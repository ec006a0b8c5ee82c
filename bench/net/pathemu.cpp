// SPDX-License-Identifier: MIT
// pathemu: an emulated path between two network namespaces, for kernels without netem. A TUN device in each; from A to B packets meet
// loss, a drop-tail buffer, a rate and a delay, back from B to A only the delay. scripts/net makes the namespaces and starts it.
//
// Time is real time, so another load on the machine makes packets late; it asks for SCHED_FIFO, and says how late they were. One line of
// JSON on stdout for each SIGUSR1, and at the end (SIGTERM, SIGINT). 'ready' is the first line.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/net/path.h"
#include "bench/net/tcp.h"

namespace rmt::net {
namespace {

volatile sig_atomic_t stop_asked = 0, report_asked = 0;

// A TUN device named pe0 in the namespace; this process stays in its own.
Result<Fd> make_tun(const std::string& space) {
    const std::string path = "/run/netns/" + space;
    Fd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)), other(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!other) return fail(ErrorKind::NotFound, "no network namespace '" + space + "': " + std::strerror(errno), {}, errno);
    if (::setns(other.get(), CLONE_NEWNET) != 0)
        return fail(ErrorKind::Permission, "cannot enter namespace '" + space + "': " + std::strerror(errno), {}, errno);
    // A device is made in the namespace in which its file was opened.
    Fd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strcpy(request.ifr_name, "pe0");
    const bool made = tun && ::ioctl(tun.get(), TUNSETIFF, &request) == 0;
    const int number = errno;
    if (::setns(own.get(), CLONE_NEWNET) != 0) return fail(ErrorKind::Kernel, "cannot go back to the own namespace", {}, errno);
    if (!made)
        return fail(ErrorKind::Kernel,
                    "cannot make a TUN device in '" + space + "': " + std::strerror(number) + "; the module tun is needed", {}, number);
    return tun;
}

struct Lateness {
    uint64_t packets = 0, over_1ms = 0, over_5ms = 0;
    double sum_ns = 0;
    int64_t max_ns = 0;
    void add(int64_t ns) {
        packets++;
        over_1ms += ns > 1'000'000;
        over_5ms += ns > 5'000'000;
        sum_ns += double(ns);
        max_ns = std::max(max_ns, ns);
    }
};

class Emulator {
public:
    Emulator(Fd a, Fd b, const PathOptions& forward, const PathOptions& back)
        : a_(std::move(a)), b_(std::move(b)), forward_(forward), back_(back) {}

    void run() {
        while (!stop_asked) {
            deliver(forward_, b_.get());
            deliver(back_, a_.get());
            take(a_.get(), forward_);
            take(b_.get(), back_);
            if (report_asked) {
                report_asked = 0;
                report();
            }
            wait();
        }
        report();
    }

private:
    void deliver(Path& path, int to) {
        for (int64_t now = now_ns(); path.next() && *path.next() <= now; now = now_ns()) {
            late_.add(now - *path.next());
            const auto packet = path.dequeue();
            if (::write(to, packet.data(), packet.size()) != ssize_t(packet.size())) refused_++;
        }
    }

    // A bounded number at a time, so that what is due does not wait for a burst.
    void take(int from, Path& path) {
        uint8_t buffer[65536];
        for (int i = 0; i < 64; i++) {
            const ssize_t n = ::read(from, buffer, sizeof(buffer));
            if (n <= 0) return;
            // Multicast (IPv6 tells of itself when it likes) is for nobody there, and would take part in the seeded losses.
            if (n > 24 && (buffer[0] >> 4) == 6 && buffer[24] == 0xff) continue;
            path.enqueue({buffer, buffer + n}, now_ns());
        }
    }

    void wait() {
        int64_t due = now_ns() + 50'000'000;
        for (const Path* p : {&forward_, &back_})
            if (p->next()) due = std::min(due, *p->next());
        const int64_t left = std::max<int64_t>(0, due - now_ns());
        const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
        pollfd files[2] = {{a_.get(), POLLIN, 0}, {b_.get(), POLLIN, 0}};
        ::ppoll(files, 2, &timeout, nullptr);
    }

    void report() {
        const auto& f = forward_.counts();
        const uint64_t taken = f.seen - f.lost - f.dropped;
        const nlohmann::json j = {{"sent", f.sent},
                                  {"lost", f.lost},
                                  {"dropped", f.dropped},
                                  {"seen", f.seen},
                                  {"back", back_.counts().sent},
                                  {"queue_ms", taken ? f.queue_ns / double(taken) * 1e-6 : 0},
                                  {"late_mean_us", late_.packets ? late_.sum_ns / double(late_.packets) * 1e-3 : 0},
                                  {"late_max_us", double(late_.max_ns) * 1e-3},
                                  {"late_over_1ms", late_.over_1ms},
                                  {"late_over_5ms", late_.over_5ms},
                                  {"refused", refused_}};
        std::printf("%s\n", j.dump().c_str());
        std::fflush(stdout);
    }

    Fd a_, b_;
    Path forward_, back_;
    Lateness late_;
    uint64_t refused_ = 0;  // by a device that was down or full
};

// The signals interrupt ppoll(), which has a timeout anyway.
void handle_signals() {
    struct sigaction s {};
    s.sa_handler = [](int) { stop_asked = 1; };
    ::sigaction(SIGTERM, &s, nullptr);
    ::sigaction(SIGINT, &s, nullptr);
    s.sa_handler = [](int) { report_asked = 1; };
    ::sigaction(SIGUSR1, &s, nullptr);
}

int report_error(const Error& e) {
    std::fprintf(stderr, "pathemu: %s\n", e.message.c_str());
    return 1;
}

}  // namespace
}  // namespace rmt::net

int main(int argc, char** argv) {
    using namespace rmt::net;
    CLI::App app{"an emulated path between two network namespaces"};
    std::string a, b;
    PathOptions forward;
    double delay_ms = 0, loss_pct = 0;
    app.add_option("a", a, "namespace of the sender")->required();
    app.add_option("b", b, "namespace of the receiver")->required();
    app.add_option("--rate", forward.mbit, "Mbit/s")->required()->check(CLI::Range(0.001, 100000.0));
    app.add_option("--delay-ms", delay_ms, "one way")->required()->check(CLI::Range(0.0, 60000.0));
    app.add_option("--buffer-bytes", forward.buffer_bytes)->required()->check(CLI::Range(int64_t(1), int64_t(1) << 40));
    app.add_option("--loss", loss_pct, "per cent")->check(CLI::Range(0.0, 100.0));
    app.add_option("--seed", forward.seed);
    CLI11_PARSE(app, argc, argv);
    forward.delay_ns = int64_t(delay_ms * 1e6);
    forward.loss = loss_pct / 100;
    forward.overhead = 14;  // what TBF counts on a veth
    PathOptions back;
    back.delay_ns = forward.delay_ns;
    handle_signals();
    auto at_a = make_tun(a);
    if (!at_a) return report_error(at_a.error());
    auto at_b = make_tun(b);
    if (!at_b) return report_error(at_b.error());
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const sched_param fifo{10};
    if (::sched_setscheduler(0, SCHED_FIFO, &fifo) != 0)
        std::fprintf(stderr, "pathemu: no SCHED_FIFO (%s): packets will be later when the machine is busy\n", std::strerror(errno));
    std::printf("ready\n");
    std::fflush(stdout);
    Emulator(std::move(*at_a), std::move(*at_b), forward, back).run();
    return 0;
}
