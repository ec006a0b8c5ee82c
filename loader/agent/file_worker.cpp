// SPDX-License-Identifier: MIT
#include "loader/agent/file_worker.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "bpf/include/rmt/intf.h"
#include "loader/agent/target.h"

namespace rmt::load {

namespace {

struct Request {
    uint32_t tgid;
    uint32_t n;
    uint64_t page[RMT_MAX_PAGES];
};

[[noreturn]] void serve(int socket, int parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    signal(SIGINT, SIG_IGN);  // the agent ends us
    sched_param plain = {};
    sched_setscheduler(0, SCHED_OTHER, &plain);
    std::map<uint32_t, Target> targets;
    Request request;
    while (recv(socket, &request, sizeof(request), 0) > 0) {
        auto it = targets.find(request.tgid);
        if (it == targets.end()) {
            auto target = Target::open(request.tgid);
            if (!target) continue;
            it = targets.emplace(request.tgid, std::move(*target)).first;
        }
        std::vector<uint64_t> pages(request.page, request.page + std::min<uint32_t>(request.n, RMT_MAX_PAGES));
        if (it->second.advise(pages, MADV_WILLNEED) < 0) targets.erase(it);
    }
    _exit(0);
}

}  // namespace

Result<FileWorker> FileWorker::start(const MemoryCgroup& cgroup) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(ErrorKind::Environment, std::string("cannot make a socket pair: ") + std::strerror(errno), {}, errno);
    Fd ours(ends[0]), theirs(ends[1]);
    const int parent = getpid();
    const int child = fork();
    if (child < 0) return fail(ErrorKind::Environment, std::string("cannot start a worker: ") + std::strerror(errno), {}, errno);
    if (child == 0) {
        close(ours.get());
        serve(theirs.get(), parent);
    }
    FileWorker worker;
    worker.child_ = child;
    worker.requests_ = std::move(ours);
    RMT_CHECK(cgroup.add_process(child));
    return worker;
}

FileWorker::FileWorker(FileWorker&& other) noexcept : child_(std::exchange(other.child_, -1)), requests_(std::move(other.requests_)) {}

FileWorker& FileWorker::operator=(FileWorker&& other) noexcept {
    std::swap(child_, other.child_);
    std::swap(requests_, other.requests_);
    return *this;
}

FileWorker::~FileWorker() {
    if (child_ < 0) return;
    kill(child_, SIGKILL);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

bool FileWorker::prefetch(uint32_t tgid, const std::vector<uint64_t>& pages) {
    Request request = {};
    request.tgid = tgid;
    request.n = static_cast<uint32_t>(std::min<size_t>(pages.size(), RMT_MAX_PAGES));
    std::copy_n(pages.begin(), request.n, request.page);
    return send(requests_.get(), &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(request);
}

}  // namespace rmt::load
