// SPDX-License-Identifier: MIT
#include "loader/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>
#include <sstream>

#include "loader/fd.h"

namespace rmt::load {

namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::optional<uint64_t> find_counter(const std::string& text, const std::string& name) {
    std::istringstream in(text);
    std::string key;
    uint64_t value;
    while (in >> key >> value)
        if (key == name) return value;
    return std::nullopt;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool contains_word(const std::string& text, const std::string& word, char separator) {
    std::istringstream in(text);
    std::string item;
    while (std::getline(in, item, separator))
        if (item == word) return true;
    return false;
}

// Directory of the cgroup with this id under a mount of its hierarchy; empty: it has gone.
std::string path_of_id(const std::string& root, uint64_t id) {
    Fd mount(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // A file handle of kernfs is the 64-bit id itself (FILEID_KERNFS, include/linux/exportfs.h).
    struct {
        file_handle head;
        uint64_t id;
    } handle = {};
    handle.head.handle_bytes = sizeof(handle.id);
    handle.head.handle_type = 0xfe;
    std::memcpy(handle.head.f_handle, &id, sizeof(id));
    Fd dir(open_by_handle_at(mount.get(), &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    char target[PATH_MAX];
    const ssize_t n = dir ? readlink(("/proc/self/fd/" + std::to_string(dir.get())).c_str(), target, sizeof(target)) : -1;
    const std::string gone = " (deleted)";
    std::string path(target, n > 0 ? static_cast<size_t>(n) : 0);
    return path.ends_with(gone) ? "" : path;
}

Result<void> move_process(const std::string& path, int pid) {
    std::ofstream out(path + "/cgroup.procs");
    out << pid << std::flush;
    if (!out) return fail(ErrorKind::Environment, "cannot move process " + std::to_string(pid) + " into " + path + ": " + std::strerror(errno));
    return {};
}

}  // namespace

Result<MemoryController> find_memory_controller() {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, mount, type, options, rest;
    std::optional<MemoryController> v2;
    while (mounts >> device >> mount >> type >> options && std::getline(mounts, rest)) {
        if (type == "cgroup" && contains_word(options, "memory", ',')) return MemoryController{mount, false};
        if (type == "cgroup2") {
            std::string controllers = read_file(mount + "/cgroup.controllers");
            while (!controllers.empty() && controllers.back() == '\n') controllers.pop_back();
            if (contains_word(controllers, "memory", ' ')) v2 = MemoryController{mount, true};
        }
    }
    if (v2) return *v2;
    return fail(ErrorKind::Unsupported, "no mounted cgroup hierarchy controls memory on this host",
                "mount one (mount -t cgroup2 none /sys/fs/cgroup), or boot without cgroup_disable=memory");
}

Result<MemoryCgroup> MemoryCgroup::open(const std::string& given) {
    RMT_TRY(const MemoryController controller, find_memory_controller());
    std::string path = given;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    struct stat st = {};
    if (path.empty()) return fail(ErrorKind::Input, "an empty cgroup path was given", "name a directory under " + controller.mount);
    if (path[0] != '/' || stat(path.c_str(), &st) != 0) {
        const std::string relative = controller.mount + (path[0] == '/' ? "" : "/") + path;
        if (stat(relative.c_str(), &st) != 0)
            return fail(ErrorKind::NotFound, "no memory cgroup '" + given + "': neither " + path + " nor " + relative + " exists",
                        "make it first (mkdir " + relative + "), or list what there is: find " + controller.mount + " -type d");
        path = relative;
    }
    if (!S_ISDIR(st.st_mode)) return fail(ErrorKind::Input, "'" + path + "' is not a directory; a cgroup is one");
    const bool v1 = exists(path + "/memory.limit_in_bytes");
    const bool v2 = exists(path + "/memory.max") || exists(path + "/memory.current");
    if (!v1 && !v2) {
        if (exists(path + "/cgroup.procs"))
            return fail(ErrorKind::Input, "'" + path + "' is a cgroup, but memory is not controlled there",
                        controller.v2 ? "echo +memory > " + path + "/../cgroup.subtree_control"
                                      : "on this host memory is controlled under " + controller.mount);
        return fail(ErrorKind::Input, "'" + path + "' is not a cgroup", "memory cgroups are under " + controller.mount);
    }
    MemoryCgroup cgroup;
    cgroup.path_ = path;
    cgroup.id_ = st.st_ino;
    cgroup.v2_ = !v1;
    return cgroup;
}

Result<MemoryCgroup> MemoryCgroup::from_id(uint64_t id) {
    RMT_TRY(const MemoryController controller, find_memory_controller());
    MemoryCgroup cgroup;
    cgroup.path_ = path_of_id(controller.mount, id);
    if (cgroup.path_.empty()) return fail(ErrorKind::NotFound, "the memory cgroup with id " + std::to_string(id) + " has gone");
    cgroup.id_ = id;
    cgroup.v2_ = controller.v2;
    return cgroup;
}

std::optional<uint64_t> MemoryCgroup::limit_bytes() const {
    const std::string text = read_file(path_ + (v2_ ? "/memory.max" : "/memory.limit_in_bytes"));
    if (text.empty() || text[0] == 'm') return std::nullopt;
    const uint64_t limit = std::strtoull(text.c_str(), nullptr, 10);
    if (limit >= static_cast<uint64_t>(LLONG_MAX) / 4096 * 4096) return std::nullopt;  // v1 writes "none" so
    return limit;
}

uint64_t MemoryCgroup::usage_bytes() const {
    return std::strtoull(read_file(path_ + (v2_ ? "/memory.current" : "/memory.usage_in_bytes")).c_str(), nullptr, 10);
}

uint64_t MemoryCgroup::oom_kills() const {
    const std::string text = read_file(path_ + (v2_ ? "/memory.events" : "/memory.oom_control"));
    return find_counter(text, "oom_kill").value_or(0);
}

Result<void> MemoryCgroup::add_process(int pid) const { return move_process(path_, pid); }

Result<std::string> find_unified_mount() {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, mount, type, rest, found;
    while (mounts >> device >> mount >> type && std::getline(mounts, rest)) {
        if (type != "cgroup2") continue;
        if (mount == "/sys/fs/cgroup" || mount == "/sys/fs/cgroup/unified") return mount;
        if (found.empty()) found = mount;
    }
    if (!found.empty()) return found;
    return fail(ErrorKind::Unsupported, "cgroup version 2 is not mounted on this host, and sockets are known by it alone",
                "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified");
}

Result<UnifiedCgroup> UnifiedCgroup::open(const std::string& given) {
    RMT_TRY(const std::string mount, find_unified_mount());
    std::string path = given;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    struct stat st = {};
    if (path.empty()) return fail(ErrorKind::Input, "an empty cgroup path was given", "name a directory under " + mount);
    if (path[0] != '/' || stat(path.c_str(), &st) != 0) {
        const std::string relative = mount + (path[0] == '/' ? "" : "/") + path;
        if (stat(relative.c_str(), &st) != 0)
            return fail(ErrorKind::NotFound, "no cgroup '" + given + "' of version 2: neither " + path + " nor " + relative + " exists",
                        "make it first (mkdir " + relative + "), or list what there is: find " + mount + " -type d");
        path = relative;
    }
    if (!S_ISDIR(st.st_mode)) return fail(ErrorKind::Input, "'" + path + "' is not a directory; a cgroup is one");
    struct statfs fs = {};
    if (statfs(path.c_str(), &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
        const bool v1 = fs.f_type == CGROUP_SUPER_MAGIC;
        return fail(ErrorKind::Input, "'" + path + "' is " + (v1 ? "a cgroup of version 1; sockets are known by version 2 alone" : "not a cgroup"),
                    "cgroup version 2 is mounted at " + mount + ": make a directory there, and put the processes into it as well");
    }
    char real[PATH_MAX];
    UnifiedCgroup cgroup;
    cgroup.path_ = realpath(path.c_str(), real) ? real : path;
    cgroup.mount_ = mount;
    cgroup.id_ = st.st_ino;
    return cgroup;
}

Result<UnifiedCgroup> UnifiedCgroup::from_id(uint64_t id) {
    RMT_TRY(const std::string mount, find_unified_mount());
    UnifiedCgroup cgroup;
    cgroup.path_ = path_of_id(mount, id);
    if (cgroup.path_.empty()) return fail(ErrorKind::NotFound, "the cgroup with id " + std::to_string(id) + " has gone");
    cgroup.mount_ = mount;
    cgroup.id_ = id;
    return cgroup;
}

std::vector<uint64_t> UnifiedCgroup::ancestors() const {
    std::vector<uint64_t> ids;
    for (std::string path = path_; path != mount_ && path.rfind('/') != std::string::npos && path.rfind('/') > 0;) {
        path.resize(path.rfind('/'));
        struct stat st = {};
        struct statfs fs = {};
        if (stat(path.c_str(), &st) != 0 || statfs(path.c_str(), &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) break;
        ids.push_back(st.st_ino);
    }
    return ids;
}

Result<void> UnifiedCgroup::add_process(int pid) const { return move_process(path_, pid); }

}  // namespace rmt::load
