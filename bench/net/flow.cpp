// SPDX-License-Identifier: MIT
// flow server | flow client ADDRESS ...: bulk and short TCP transfers, each group of them with a congestion control and a cgroup of its
// own, and one line of JSON with what became of them. It knows nothing of networks or policies: run each side where you like.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/net/figures.h"
#include "bench/net/flow_group.h"

namespace rmt::net {
namespace {

int report(const Error& e) {
    std::fprintf(stderr, "flow: %s\n", e.message.c_str());
    static constexpr int kStatus[] = {3, 5, 4, 1, 6, 7, 8};  // ErrorKind, as everywhere in this project
    return kStatus[int(e.kind)];
}

// --- server ---

Result<Fd> listen_at(const std::string& address, uint16_t port) {
    RMT_TRY(const Address at, parse_address(address, port));
    RMT_TRY(Fd s, make_socket(at.family(), ""));
    const int on = 1, off = 0;
    ::setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at.family() == AF_INET6) ::setsockopt(s.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (::bind(s.get(), reinterpret_cast<const sockaddr*>(&at.storage), at.length) != 0 || ::listen(s.get(), 256) != 0)
        return fail(ErrorKind::Environment, "cannot listen at " + address + " port " + std::to_string(port) + ": " + std::strerror(errno),
                    {}, errno);
    return s;
}

uint16_t port_of(int socket) {
    sockaddr_storage a{};
    socklen_t size = sizeof(a);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&a), &size);
    return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&a)->sin6_port : reinterpret_cast<sockaddr_in*>(&a)->sin_port);
}

// True while the connection may bring more. MSG_TRUNC: the kernel drops the bytes without copying them.
bool discard(int socket) {
    for (;;) {
        const ssize_t n = ::recv(socket, nullptr, 1 << 20, MSG_TRUNC);
        if (n > 0) continue;
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
}

int serve(const std::string& address, uint16_t port) {
    auto listener = listen_at(address, port);
    // A kernel without IPv6 has no address that stands for both.
    if (!listener && listener.error().sys_errno == EAFNOSUPPORT && address == "::") listener = listen_at("0.0.0.0", port);
    if (!listener) return report(listener.error());
    std::printf("ready %u\n", port_of(listener->get()));
    std::fflush(stdout);
    Fd poller(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.fd = listener->get();
    ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, listener->get(), &e);
    for (;;) {  // until a signal ends it
        epoll_event ready[64];
        const int n = ::epoll_wait(poller.get(), ready, 64, -1);
        for (int i = 0; i < n; i++) {
            const int fd = ready[i].data.fd;
            if (fd != listener->get()) {
                if (!discard(fd)) ::close(fd);  // which is also what tells the other side that all was read
                continue;
            }
            const int s = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (s < 0) continue;
            e.data.fd = s;
            ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, s, &e);
        }
    }
}

// --- client: one process for each group, which says that it is ready, gets the start, and hands back a JSON object ---

struct Worker {
    pid_t pid = 0;
    Fd channel;
};

void write_all(int fd, const std::string& text) {
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
        if (n <= 0) return;
        at += size_t(n);
    }
}

nlohmann::json error_json(const Error& e) { return {{"error", e.message}, {"kind", int(e.kind)}}; }

Result<void> prepare(const Group& group, int family) {
    if (!group.cgroup.empty()) RMT_CHECK(enter_cgroup(group.cgroup));
    RMT_TRY(const Fd tried, make_socket(family, group.control));
    return {};
}

[[noreturn]] void work(Schedule schedule, const Group& group, int channel) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (auto r = prepare(group, schedule.to.family()); !r) {
        write_all(channel, error_json(r.error()).dump());
        ::_exit(1);
    }
    write_all(channel, "+");
    if (::read(channel, &schedule.start_ns, sizeof(schedule.start_ns)) != ssize_t(sizeof(schedule.start_ns))) ::_exit(1);
    auto figures = group.flows ? run_bulk(schedule, group) : run_short(schedule, group);
    write_all(channel, figures ? figures->dump() : error_json(figures.error()).dump());
    ::_exit(figures ? 0 : 1);
}

Result<Worker> start_worker(const Schedule& schedule, const Group& group) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fail(ErrorKind::Environment, std::string("cannot make a channel: ") + std::strerror(errno), {}, errno);
    Fd ours(pair[0]), theirs(pair[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail(ErrorKind::Environment, std::string("cannot start a process: ") + std::strerror(errno), {}, errno);
    if (pid == 0) {
        ours.reset();
        work(schedule, group, theirs.get());
    }
    return Worker{pid, std::move(ours)};
}

std::string read_rest(int fd) {
    std::string text;
    char buffer[65536];
    for (ssize_t n; (n = ::read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, size_t(n));
    return text;
}

Result<nlohmann::json> parse_answer(const std::string& text) {
    auto j = nlohmann::json::parse(text, nullptr, false);
    if (j.is_discarded() || !j.is_object()) return fail(ErrorKind::Environment, "a process of this run ended without an answer");
    if (j.contains("error")) return fail(ErrorKind(j["kind"].get<int>()), j["error"].get<std::string>());
    return j;
}

Result<std::vector<nlohmann::json>> run_groups(const Schedule& schedule, const std::vector<Group>& groups) {
    std::vector<Worker> workers;
    for (const auto& g : groups) {
        RMT_TRY(Worker w, start_worker(schedule, g));
        workers.push_back(std::move(w));
    }
    for (auto& w : workers) {
        char c = 0;
        if (::read(w.channel.get(), &c, 1) == 1 && c == '+') continue;
        return fail(parse_answer(std::string(c ? 1 : 0, c) + read_rest(w.channel.get())).error());
    }
    const int64_t start = now_ns() + 20'000'000;
    for (auto& w : workers) write_all(w.channel.get(), std::string(reinterpret_cast<const char*>(&start), sizeof(start)));
    std::vector<nlohmann::json> answers;
    for (auto& w : workers) {
        RMT_TRY(auto j, parse_answer(read_rest(w.channel.get())));
        answers.push_back(std::move(j));
        ::waitpid(w.pid, nullptr, 0);
    }
    return answers;
}

nlohmann::json summary(const Schedule& schedule, const std::vector<nlohmann::json>& answers) {
    nlohmann::json flows = nlohmann::json::array(), shorts = nlohmann::json::array();
    std::vector<double> rtt, rates;
    double total = 0;
    uint64_t retransmits = 0;
    int number = 0;
    for (const auto& answer : answers) {
        for (auto flow : answer.value("flows", nlohmann::json::array())) {
            const auto samples = flow["rtt"].get<std::vector<double>>();
            flow.erase("rtt");
            if (!schedule.series) flow.erase("series");
            flow["group"] = number;
            flow["rtt_ms"] = mean(samples);
            flow["rtt_p95_ms"] = percentile(samples, 0.95);
            rtt.insert(rtt.end(), samples.begin(), samples.end());
            rates.push_back(flow["mbit"]);
            total += rates.back();
            retransmits += flow["retransmits"].get<uint64_t>();
            flows.push_back(flow);
        }
        if (answer.contains("short")) {
            auto s = answer["short"];
            auto ms = s["ms"].get<std::vector<double>>();
            s["done"] = ms.size();
            // What was not done took at least its age: leaving it out would make a slow control look fast.
            for (double age : s["unfinished"]) ms.push_back(age);
            s["unfinished"] = s["unfinished"].size();
            s["mean_ms"] = mean(ms);
            s["p95_ms"] = percentile(ms, 0.95);
            shorts.push_back(s);
        }
        number++;
    }
    return {{"seconds", double(schedule.window_ns) * 1e-9},
            {"mbit", total},
            {"rtt_ms", mean(rtt)},
            {"rtt_p95_ms", percentile(rtt, 0.95)},
            {"retransmits", retransmits},
            {"jain", jain_index(rates)},
            {"flows", flows},
            {"short", shorts}};
}

struct ClientOptions {
    std::string address;
    uint16_t port = 5001;
    std::vector<std::string> bulk, shorts;
    double seconds = 10, warm_up = 2, stagger_ms = 0, short_seconds = 0;
    bool series = false;
    uint64_t seed = 1;
};

int client(const ClientOptions& o) {
    std::vector<Group> groups;
    int first = 0;
    for (const auto& text : o.bulk) {
        auto g = parse_bulk(text);
        if (!g) return report(g.error());
        g->first = first;
        first += g->flows;
        groups.push_back(*g);
    }
    for (const auto& text : o.shorts) {
        auto g = parse_short(text);
        if (!g) return report(g.error());
        groups.push_back(*g);
    }
    auto to = parse_address(o.address, o.port);
    if (!to) return report(to.error());
    const Schedule schedule{
        *to,      0,     int64_t(o.warm_up * 1e9), int64_t(o.seconds * 1e9), int64_t(o.stagger_ms * 1e6), int64_t(o.short_seconds * 1e9),
        o.series, o.seed};
    const int64_t jitter = 10'000'000;  // of a start without a stagger: that much of a window may be missing
    if (first && schedule.start_of(first - 1) > schedule.warm_up_ns + jitter)
        return report({ErrorKind::Input, "the last flow would start after the warm-up; make --warm-up longer or --stagger smaller"});
    auto answers = run_groups(schedule, groups);
    if (!answers) return report(answers.error());
    std::printf("%s\n", summary(schedule, *answers).dump().c_str());
    return 0;
}

}  // namespace
}  // namespace rmt::net

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"TCP flows to measure congestion controls with"};
    app.require_subcommand(1);
    std::string at = "::";
    uint16_t port = 5001;
    auto* server = app.add_subcommand("server", "accepts connections and reads what comes; prints 'ready PORT' first, ends by a signal");
    server->add_option("--address", at, "where to listen; :: is every address, IPv4 included");
    server->add_option("--port", port, "0: any free one");
    rmt::net::ClientOptions o;
    auto* client = app.add_subcommand("client", "sends, and prints one line of JSON");
    client->add_option("address", o.address, "of the server, IPv4 or IPv6")->required();
    client->add_option("--port", o.port);
    client->add_option("--flows", o.bulk,
                       "NUMBER,CONTROL[,CGROUP]: bulk flows; may be given more than once; an empty CONTROL is left alone");
    client->add_option("--short", o.shorts, "BYTES,EVERY_MS,CONTROL[,CGROUP]: short transfers, one started every so many ms of the window");
    client
        ->add_option("--short-seconds", o.short_seconds,
                     "after the window, for the short transfers, so that they do not disturb it; 0: they run in the window")
        ->check(CLI::Range(0.0, 86400.0));
    client->add_flag("--series", o.series, "for each flow, [Mbit/s, RTT in ms] of each second of the window");
    client->add_option("--seconds", o.seconds, "of the window that counts")->check(CLI::Range(0.1, 86400.0));
    client->add_option("--warm-up", o.warm_up, "seconds before the window")->check(CLI::Range(0.0, 86400.0));
    client->add_option("--stagger", o.stagger_ms, "ms between the starts of bulk flows")->check(CLI::Range(0.0, 60000.0));
    client->add_option("--seed", o.seed, "moves the starts a little");
    CLI11_PARSE(app, argc, argv);
    if (*server) return rmt::net::serve(at, port);
    if (o.bulk.empty() && o.shorts.empty()) {
        std::fprintf(stderr, "flow: no flows; give --flows NUMBER,CONTROL or --short BYTES,EVERY_MS,CONTROL\n");
        return 3;
    }
    return rmt::net::client(o);
}
