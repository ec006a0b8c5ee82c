// SPDX-License-Identifier: MIT
#include "bench/net/flow_group.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <vector>

#include "bench/net/figures.h"

namespace rmt::net {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSampleEvery = 10 * kMs;
constexpr size_t kSourceBytes = 1 << 20;
constexpr int64_t kAtOnce = 1 << 20;  // of one flow, before it is another's turn (a loopback never says that it is full)

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (char c : text) {
        if (c == ',')
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

bool parse_number(const std::string& text, int64_t low, int64_t high, int64_t& out) {
    const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
    return r.ec == std::errc() && r.ptr == text.data() + text.size() && out >= low && out <= high;
}

Result<void> check_control(const std::string& control) {
    if (control.size() <= 15) return {};
    return fail(ErrorKind::Input, "'" + control + "' is too long for a congestion control; the kernel's names have 15 characters at most");
}

// Zeros to send, from a file in memory: sendfile() hands over its pages, so that sending costs no copy (an emulated CPU copies slowly).
Result<Fd> make_source() {
    Fd f(::memfd_create("rmt-flow", MFD_CLOEXEC));
    if (!f || ::ftruncate(f.get(), kSourceBytes) != 0)
        return fail(ErrorKind::Environment, std::string("cannot make a file in memory: ") + std::strerror(errno), {}, errno);
    return f;
}

// Hands up to `most` bytes to the socket; false when the connection is broken.
bool send_some(int socket, int source, int64_t most, int64_t& sent) {
    sent = 0;
    while (sent < most) {
        off_t from = 0;
        const ssize_t n = ::sendfile(socket, source, &from, size_t(std::min<int64_t>(most - sent, kSourceBytes)));
        if (n > 0)
            sent += n;
        else
            return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    return true;
}

class Poller {
public:
    Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {}
    void add(int socket, uint32_t events, uint64_t id) { control(EPOLL_CTL_ADD, socket, events, id); }
    void change(int socket, uint32_t events, uint64_t id) { control(EPOLL_CTL_MOD, socket, events, id); }
    // The identities of what is ready, at most until `until`.
    std::vector<uint64_t> wait(int64_t until) {
        epoll_event ready[64];
        const int64_t left = std::max<int64_t>(0, until - now_ns());
        const int n = ::epoll_wait(fd_.get(), ready, 64, int((left + kMs - 1) / kMs));
        std::vector<uint64_t> ids;
        for (int i = 0; i < n; i++) ids.push_back(ready[i].data.u64);
        return ids;
    }

private:
    void control(int what, int socket, uint32_t events, uint64_t id) {
        epoll_event e{};
        e.events = events;
        e.data.u64 = id;
        ::epoll_ctl(fd_.get(), what, socket, &e);
    }
    Fd fd_;
};

// Bytes that have arrived: acknowledged, in order or not. Acknowledged in order alone would jump when a hole is filled, and a window of
// time could show more than the line carries.
uint64_t arrived(const tcp_info& info) { return info.tcpi_bytes_acked + uint64_t(info.tcpi_sacked) * info.tcpi_snd_mss; }

struct Bulk {
    Fd socket;
    std::string control;
    tcp_info at_warm_up{};
    tcp_info last{};
    std::vector<double> rtt_ms;
    double cwnd_sum = 0;
    std::vector<uint64_t> arrivals;  // at the begin of the window and after each second, for the series
    std::vector<double> series_rtt;
    void sample(bool first, bool second) {
        last = info_of(socket.get());
        if (first) at_warm_up = last;
        if (second) {
            arrivals.push_back(arrived(last));
            series_rtt.push_back(last.tcpi_rtt / 1e3);
        }
        if (last.tcpi_rtt == 0) return;  // not connected yet
        rtt_ms.push_back(last.tcpi_rtt / 1e3);
        cwnd_sum += last.tcpi_snd_cwnd;
    }
};

Unexpected<Error> broken(int index, int number) {
    if (number == ECONNREFUSED)
        return fail(ErrorKind::Environment, "cannot connect: nobody listens there; start 'flow server' first", {}, number);
    return fail(ErrorKind::Environment, "flow " + std::to_string(index) + " ended before its time: " + std::strerror(number), {}, number);
}

nlohmann::json bulk_figures(const Bulk& flow, const Group& group, double seconds) {
    const auto& a = flow.at_warm_up;
    const auto& b = flow.last;
    auto series = nlohmann::json::array();
    for (size_t i = 1; i < flow.arrivals.size(); i++)
        series.push_back({(double(flow.arrivals[i]) - double(flow.arrivals[i - 1])) * 8e-6, flow.series_rtt[i]});
    return {{"asked", group.control},
            {"series", series},
            {"control", flow.control},
            {"mbit", (double(arrived(b)) - double(arrived(a))) * 8e-6 / seconds},
            {"rtt", flow.rtt_ms},
            {"rtt_min_ms", b.tcpi_min_rtt / 1e3},
            {"retransmits", b.tcpi_total_retrans - a.tcpi_total_retrans},
            {"cwnd", flow.cwnd_sum / double(flow.rtt_ms.size())}};
}

}  // namespace

Result<Group> parse_bulk(const std::string& text) {
    const auto parts = split(text);
    int64_t n = 0;
    if (parts.size() < 2 || parts.size() > 3 || !parse_number(parts[0], 1, 1000, n))
        return fail(ErrorKind::Input, "'" + text + "' is not a group of flows; expected NUMBER,CONTROL[,CGROUP], for example 4,cubic");
    RMT_CHECK(check_control(parts[1]));
    return Group{int(n), parts[1], parts.size() > 2 ? parts[2] : ""};
}

Result<Group> parse_short(const std::string& text) {
    const auto parts = split(text);
    int64_t bytes = 0, every = 0;
    if (parts.size() < 3 || parts.size() > 4 || !parse_number(parts[0], 1, 1 << 30, bytes) || !parse_number(parts[1], 1, 1 << 20, every))
        return fail(
            ErrorKind::Input,
            "'" + text + "' does not describe short transfers; expected BYTES,EVERY_MS,CONTROL[,CGROUP], for example 30000,500,cubic");
    RMT_CHECK(check_control(parts[2]));
    return Group{0, parts[2], parts.size() > 3 ? parts[3] : "", bytes, every * kMs};
}

int64_t Schedule::start_of(int flow) const {
    // splitmix64: neighbouring seeds and flows give unrelated values.
    uint64_t z = seed * 0x9E3779B97F4A7C15ull + uint64_t(flow) * 0xD1B54A32D192ED03ull + 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return start_ns + flow * stagger_ns + int64_t(z % uint64_t(stagger_ns ? stagger_ns : 10 * kMs));
}

Result<nlohmann::json> run_bulk(const Schedule& schedule, const Group& group) {
    RMT_TRY(const Fd source, make_source());
    const int64_t end = schedule.end();
    std::vector<Bulk> flows;
    flows.reserve(size_t(group.flows));
    Poller poller;
    int64_t next_sample = schedule.window_start(), window_ns = 0, warm = 0;
    int seconds = 0;
    for (int64_t now = now_ns();; now = now_ns()) {
        while (int(flows.size()) < group.flows && now >= schedule.start_of(group.first + int(flows.size()))) {
            RMT_TRY(Fd s, make_socket(schedule.to.family(), group.control));
            RMT_CHECK(begin_connect(s, schedule.to));
            poller.add(s.get(), EPOLLOUT, flows.size());
            flows.push_back(Bulk{std::move(s)});
        }
        if (now >= next_sample && window_ns < schedule.window_ns) {
            if (warm == 0) warm = now;
            const bool second = schedule.series && now - warm >= int64_t(seconds) * 1'000'000'000;
            seconds += second;
            for (auto& f : flows) f.sample(warm == now, second);
            window_ns = now - warm;
            while (next_sample <= now) next_sample += kSampleEvery;
        }
        if (now >= end && window_ns >= schedule.window_ns) break;
        int64_t until = window_ns < schedule.window_ns ? next_sample : end;
        if (int(flows.size()) < group.flows) until = std::min(until, schedule.start_of(group.first + int(flows.size())));
        for (uint64_t id : poller.wait(until)) {
            int64_t sent = 0;
            if (const int e = socket_error(flows[id].socket.get())) return broken(group.first + int(id), e);
            if (!send_some(flows[id].socket.get(), source.get(), kAtOnce, sent)) return broken(group.first + int(id), errno);
        }
    }
    nlohmann::json list = nlohmann::json::array();
    for (auto& f : flows) {
        if (f.rtt_ms.empty())
            return fail(ErrorKind::Environment, "a flow could not connect in the whole time: nothing comes back from there");
        f.control = control_of(f.socket.get());
        list.push_back(bulk_figures(f, group, double(window_ns) * 1e-9));
        abort_socket(f.socket);
    }
    return nlohmann::json{{"flows", list}};
}

namespace {

struct Short {
    Fd socket;
    int64_t started = 0;
    int64_t left = 0;
};

// One step of a transfer that is ready: sends, says that it is done, waits for the other side to say so too. True when that came.
Result<bool> advance(Short& s, uint64_t id, int source, Poller& poller) {
    if (const int e = socket_error(s.socket.get())) return broken(int(id), e);
    if (s.left > 0) {
        int64_t sent = 0;
        if (!send_some(s.socket.get(), source, s.left, sent)) return broken(int(id), errno);
        s.left -= sent;
        if (s.left == 0) {
            ::shutdown(s.socket.get(), SHUT_WR);
            poller.change(s.socket.get(), EPOLLIN, id);
        }
        return false;
    }
    char byte = 0;
    const ssize_t n = ::recv(s.socket.get(), &byte, 1, 0);
    if (n == 0) return true;
    if (n < 0 && errno != EAGAIN && errno != EINTR) return broken(int(id), errno);
    return false;
}

}  // namespace

Result<nlohmann::json> run_short(const Schedule& schedule, const Group& group) {
    RMT_TRY(const Fd source, make_source());
    const int64_t end = schedule.end();
    int64_t next = schedule.short_ns ? schedule.window_end() : schedule.window_start();
    const int64_t last_start = end - (end - next) / 4;  // those that start later had little time to end
    std::deque<Short> transfers;
    std::vector<double> done_ms;
    Poller poller;
    std::string control;
    for (int64_t now = now_ns(); now < end; now = now_ns()) {
        for (; now >= next && next < last_start; next += group.every_ns) {
            RMT_TRY(Fd s, make_socket(schedule.to.family(), group.control));
            const int fd = s.get();
            transfers.push_back(Short{std::move(s), now_ns(), group.bytes});
            RMT_CHECK(begin_connect(transfers.back().socket, schedule.to));
            poller.add(fd, EPOLLOUT, transfers.size() - 1);
        }
        for (uint64_t id : poller.wait(next < last_start ? std::min(next, end) : end)) {
            auto& s = transfers[id];
            RMT_TRY(const bool done, advance(s, id, source.get(), poller));
            if (!done) continue;
            done_ms.push_back(double(now_ns() - s.started) * 1e-6);
            if (control.empty()) control = control_of(s.socket.get());
            s.socket.reset();
        }
    }
    std::vector<double> unfinished;
    for (auto& s : transfers) {
        if (!s.socket) continue;
        unfinished.push_back(double(end - s.started) * 1e-6);
        abort_socket(s.socket);
    }
    return nlohmann::json{
        {"short", {{"asked", group.control}, {"control", control}, {"bytes", group.bytes}, {"ms", done_ms}, {"unfinished", unfinished}}}};
}

}  // namespace rmt::net
