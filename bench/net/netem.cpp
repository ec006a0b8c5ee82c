// SPDX-License-Identifier: MIT
// netem DEVICE --delay-ms D --loss PCT --seed N: puts the kernel's netem on a device of this network namespace, with a seed for its
// losses. tc of iproute2 before 6.6 cannot give one (TCA_NETEM_PRNG_SEED), so this speaks rtnetlink itself.
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

constexpr uint16_t kPrngSeed = 14;  // TCA_NETEM_PRNG_SEED: since Linux 6.6, not in older headers

struct Request {
    nlmsghdr header;
    tcmsg tc;
    char attributes[512];
};

char* end_of(Request& r) { return reinterpret_cast<char*>(&r) + NLMSG_ALIGN(r.header.nlmsg_len); }

void put(Request& r, uint16_t type, const void* data, size_t size) {
    auto* a = reinterpret_cast<rtattr*>(end_of(r));
    a->rta_type = type;
    a->rta_len = uint16_t(RTA_LENGTH(size));
    std::memcpy(RTA_DATA(a), data, size);
    r.header.nlmsg_len = uint32_t(NLMSG_ALIGN(r.header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

Request make_request(int device, double delay_ms, double loss_pct, uint64_t seed) {
    Request r{};
    r.header.nlmsg_len = NLMSG_LENGTH(sizeof(tcmsg));
    r.header.nlmsg_type = RTM_NEWQDISC;
    r.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    r.tc.tcm_ifindex = device;
    r.tc.tcm_parent = TC_H_ROOT;
    put(r, TCA_KIND, "netem", 6);
    auto* options = reinterpret_cast<rtattr*>(end_of(r));
    tc_netem_qopt q{};
    q.limit = 100'000;  // packets: the path's buffer is elsewhere, here nothing is to be dropped for want of space
    q.loss = loss_pct >= 100 ? UINT32_MAX : uint32_t(loss_pct / 100 * 4294967296.0);
    put(r, TCA_OPTIONS, &q, sizeof(q));
    const int64_t delay_ns = int64_t(delay_ms * 1e6);
    put(r, TCA_NETEM_LATENCY64, &delay_ns, sizeof(delay_ns));
    put(r, kPrngSeed, &seed, sizeof(seed));
    options->rta_len = uint16_t(end_of(r) - reinterpret_cast<char*>(options));
    return r;
}

int talk(Request& request) {  // errno, 0 when the kernel did it
    const int s = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (s < 0) return errno;
    struct {
        nlmsghdr header;
        nlmsgerr error;
        char more[1024];
    } answer{};
    int number = EIO;
    if (::send(s, &request, request.header.nlmsg_len, 0) < 0 || ::recv(s, &answer, sizeof(answer), 0) < 0)
        number = errno;
    else if (answer.header.nlmsg_type == NLMSG_ERROR)
        number = -answer.error.error;
    ::close(s);
    return number;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"netem with a seed on a device of this network namespace"};
    std::string device;
    double delay_ms = 0, loss_pct = 0;
    uint64_t seed = 1;
    app.add_option("device", device)->required();
    app.add_option("--delay-ms", delay_ms)->check(CLI::Range(0.0, 60000.0));
    app.add_option("--loss", loss_pct, "per cent")->check(CLI::Range(0.0, 100.0));
    app.add_option("--seed", seed);
    CLI11_PARSE(app, argc, argv);
    const unsigned index = ::if_nametoindex(device.c_str());
    if (index == 0) {
        std::fprintf(stderr, "netem: no device '%s' in this network namespace\n", device.c_str());
        return 7;
    }
    Request request = make_request(int(index), delay_ms, loss_pct, seed);
    const int number = talk(request);
    if (number == 0) return 0;
    std::fprintf(stderr, "netem: the kernel refused netem on %s: %s%s\n", device.c_str(), std::strerror(number),
                 number == ENOENT ? " (it has no netem: load sch_netem)" : "");
    return 4;
}
