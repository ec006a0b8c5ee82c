// SPDX-License-Identifier: MIT
#include "tests/kernel/host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "loader/agent/agent.h"
#include "loader/agent/page_cluster.h"
#include "loader/bpffs.h"
#include "loader/probe.h"

namespace rmt::test {

namespace {

constexpr uint64_t kSwapMib = 256;

std::string packages() {
    const char* given = std::getenv("RMT_PACKAGES");
    return given && *given ? given : RMT_PACKAGE_DIR;
}

// mkswap: one page, version 1, its last page, and the magic at its end (include/linux/swap.h, union swap_header).
bool write_swap_header(int fd, uint64_t bytes) {
    std::vector<char> page(4096, 0);
    const uint32_t version = 1, last = static_cast<uint32_t>(bytes / 4096 - 1);
    std::memcpy(&page[1024], &version, 4);
    std::memcpy(&page[1028], &last, 4);
    std::memcpy(&page[4086], "SWAPSPACE2", 10);
    return pwrite(fd, page.data(), page.size(), 0) == 4096;
}

std::string make_swapfile(const std::string& path) {
    const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return "cannot make a swapfile in /var/tmp: " + std::string(std::strerror(errno));
    std::vector<char> zeros(1 << 20, 0);
    bool ok = true;
    for (uint64_t i = 0; ok && i < kSwapMib; i++) ok = write(fd, zeros.data(), zeros.size()) == static_cast<ssize_t>(zeros.size());
    ok = ok && write_swap_header(fd, kSwapMib << 20) && fsync(fd) == 0;
    close(fd);
    if (ok && swapon(path.c_str(), SWAP_FLAG_PREFER | 10) == 0) return {};
    const std::string why = std::string("cannot use a swapfile in /var/tmp: ") + std::strerror(errno);
    unlink(path.c_str());
    return why;
}

bool swap_is_on() {
    std::ifstream swaps("/proc/swaps");
    std::string line;
    std::getline(swaps, line);
    return static_cast<bool>(std::getline(swaps, line));
}

void clean(const std::string& policy, const std::string& swapfile, const std::string& cgroup) {
    if (access(load::pin_dir(policy).c_str(), F_OK) == 0) {
        (void)load::unload_policy(policy);
        (void)load::release_page_cluster(policy);
    }
    for (int i = 0; i < 100 && rmdir(cgroup.c_str()) != 0 && errno == EBUSY; i++) usleep(50'000);
    if (!swapfile.empty()) {
        swapoff(swapfile.c_str());
        unlink(swapfile.c_str());
    }
}

}  // namespace

std::string cannot_load() {
    if (geteuid() != 0) return "not root";
    auto hooks = load::choose_mm_hooks();
    return hooks ? "" : hooks.error().message;
}

Host::Host(uint64_t limit_mib) {
    policy_ = "rmt_test_" + std::to_string(getpid());
    problem_ = cannot_load();
    if (!problem_.empty()) return;
    auto controller = load::find_memory_controller();
    if (!controller) {
        problem_ = controller.error().message;
        return;
    }
    cgroup_path_ = controller->mount + "/rmt-test-" + std::to_string(getpid());
    if (!swap_is_on()) swapfile_ = "/var/tmp/rmt-test-" + std::to_string(getpid()) + ".swap";
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    const int child = fork();
    if (child == 0) {
        close(ends[1]);
        setsid();
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        char byte;
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        clean(policy_, swapfile_, cgroup_path_);
        _exit(0);
    }
    close(ends[0]);
    janitor_ = ends[1];
    if (!swapfile_.empty()) problem_ = make_swapfile(swapfile_);
    if (!problem_.empty()) return;
    if (controller->v2) std::ofstream(controller->mount + "/cgroup.subtree_control") << "+memory" << std::flush;
    mkdir(cgroup_path_.c_str(), 0755);
    std::ofstream(cgroup_path_ + (controller->v2 ? "/memory.max" : "/memory.limit_in_bytes")) << (limit_mib << 20) << std::flush;
    auto cgroup = load::MemoryCgroup::open(cgroup_path_);
    if (!cgroup) {
        problem_ = cgroup.error().message;
        return;
    }
    cgroup_ = std::make_unique<load::MemoryCgroup>(*cgroup);
}

Host::~Host() {
    if (janitor_ < 0) return;
    clean(policy_, swapfile_, cgroup_path_);
    close(janitor_);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

load::LoadRequest Host::request(const std::string& policy) {
    load::LoadRequest request;
    const std::string folder = packages() + "/" + policy;
    const std::string object = read_file(folder + "/policy.bpf.o");
    request.object.assign(object.begin(), object.end());
    auto manifest = parse_manifest(read_file(folder + "/manifest.json"));
    if (manifest) request.manifest = std::move(*manifest);
    request.manifest.policy = policy_;
    request.mode = 2;
    return request;
}

Agent::Agent(const std::string& policy) : pid_(fork()) {
    if (pid_ != 0) return;
    static std::atomic<bool> stop{false};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, [](int) { stop = true; });
    load::AgentOptions options;
    options.realtime = false;
    options.say = [](const std::string&) {};
    _exit(load::run_agent(policy, options, stop) ? 0 : 1);
}

bool Agent::end(int signal) {
    if (pid_ <= 0) return false;
    kill(pid_, signal);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

namespace {

uint64_t word(uint64_t index) { return index * 0x9e3779b97f4a7c15u; }  // does not compress

uint64_t* map_memory(uint64_t pages) {
    auto* base = static_cast<uint64_t*>(mmap(nullptr, pages << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base == MAP_FAILED) return nullptr;
    madvise(base, pages << 12, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < pages * 512; i++) base[i] = word(i);
    return base;
}

// A file that has no name any more, and no page in memory.
uint64_t* map_file(uint64_t pages) {
    const int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    std::vector<uint64_t> page(512);
    for (uint64_t p = 0; fd >= 0 && p < pages; p++) {
        for (uint64_t i = 0; i < 512; i++) page[i] = word(p * 512 + i);
        if (write(fd, page.data(), 4096) != 4096) return nullptr;
    }
    if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) return nullptr;
    void* base = mmap(nullptr, pages << 12, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return nullptr;
    madvise(base, pages << 12, MADV_RANDOM);  // no read-around: what comes in early was asked for by the policy
    return static_cast<uint64_t*>(base);
}

// In the child.
Touches walk(const uint64_t* base, uint64_t pages, uint64_t stride, int passes) {
    Touches result;
    rusage before = {}, after = {};
    getrusage(RUSAGE_SELF, &before);
    result.ok = true;
    for (int pass = 0; pass < passes; pass++)
        for (uint64_t o = 0; o < stride; o++)
            for (uint64_t p = o; p < pages; p += stride, result.accesses++) {
                uint64_t sum = 0;
                for (uint64_t i = 0; i < 512; i++) sum += base[p * 512 + i] ^ i;  // a little work on each page
                result.ok &= sum != 1 && base[p * 512 + 7] == word(p * 512 + 7);
            }
    getrusage(RUSAGE_SELF, &after);
    result.major = static_cast<uint64_t>(after.ru_majflt - before.ru_majflt);
    return result;
}

Touches in_child(const load::MemoryCgroup& cgroup, uint64_t pages, uint64_t stride, int passes, uint64_t* (*map)(uint64_t)) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    const int child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!cgroup.add_process(getpid())) _exit(1);
        const uint64_t* base = map(pages);
        if (!base) _exit(1);
        const Touches result = walk(base, pages, stride, passes);
        _exit(write(ends[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
    }
    close(ends[1]);
    Touches result;
    const bool whole = read(ends[0], &result, sizeof(result)) == sizeof(result);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    result.ok = result.ok && whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return result;
}

}  // namespace

Touches touch_pages(const load::MemoryCgroup& cgroup, uint64_t mib, uint64_t stride, int passes) {
    return in_child(cgroup, mib << 8, stride, passes, map_memory);
}

Touches touch_file(const load::MemoryCgroup& cgroup, uint64_t mib, uint64_t stride, int passes) {
    return in_child(cgroup, mib << 8, stride, passes, map_file);
}

bool eventually(double seconds, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

}  // namespace rmt::test
