// SPDX-License-Identifier: MIT
#include "loader/tcp/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <thread>

#include "loader/fd.h"

namespace rmt::load {

namespace {

struct Namespace {
    Fd fd;
    std::string who, why;  // why: it could not be opened
};

std::vector<std::string> list(const std::string& dir) {
    std::vector<std::string> names;
    DIR* d = opendir(dir.c_str());
    if (!d) return names;
    while (const dirent* e = readdir(d))
        if (e->d_name[0] != '.') names.emplace_back(e->d_name);
    closedir(d);
    return names;
}

// By inode: many threads share one. One that ends meanwhile is no loss.
void add(std::map<uint64_t, Namespace>& all, const std::string& path, const std::string& who) {
    struct stat st = {};
    if (stat(path.c_str(), &st) != 0) {
        if (errno != ENOENT && errno != ESRCH && all[0].why.empty()) all[0] = {Fd(), "whatever namespace " + who + " is in", std::strerror(errno)};
        return;
    }
    Namespace& space = all[st.st_ino];
    if (space.fd) return;
    space.fd = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    space.who = "net:[" + std::to_string(st.st_ino) + "] of " + who;
    space.why = space.fd ? "" : std::strerror(errno);
}

std::map<uint64_t, Namespace> find_namespaces() {
    std::map<uint64_t, Namespace> all;
    add(all, "/proc/self/ns/net", "this process");
    for (const std::string& process : list("/proc")) {
        if (process.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string threads = "/proc/" + process + "/task";
        for (const std::string& thread : list(threads)) add(all, threads + "/" + thread + "/ns/net", "process " + process);
    }
    for (const char* dir : {"/run/netns", "/var/run/netns"})
        for (const std::string& name : list(dir)) {
            struct statfs fs = {};
            const std::string path = std::string(dir) + "/" + name;
            if (statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC) add(all, path, name);
        }
    return all;
}

}  // namespace

NamespaceVisits visit_namespaces(const std::function<Result<void>()>& visit) {
    NamespaceVisits visits;
    for (const auto& [inode, space] : find_namespaces()) {
        std::string why = space.why;
        if (why.empty())
            std::thread([&, fd = space.fd.get()] {
                if (setns(fd, CLONE_NEWNET) != 0)
                    why = std::strerror(errno);
                else if (const auto done = visit(); !done)
                    why = done.error().message;
            }).join();
        if (why.empty())
            visits.entered++;
        else
            visits.unreachable.push_back(space.who + ": " + why);
    }
    return visits;
}

}  // namespace rmt::load
