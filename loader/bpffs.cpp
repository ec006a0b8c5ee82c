// SPDX-License-Identifier: MIT
#include "loader/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rmt::load {

namespace {

constexpr const char* kBpffs = "/sys/fs/bpf";

bool is_bpffs(const char* path) {
    struct statfs fs = {};
    return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

std::vector<std::string> list(const std::string& dir) {
    std::vector<std::string> names;
    DIR* d = opendir(dir.c_str());
    if (!d) return names;
    while (const dirent* e = readdir(d)) {
        const std::string name = e->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    closedir(d);
    std::sort(names.begin(), names.end());
    return names;
}

ErrorKind kind_of(int err) { return err == EPERM || err == EACCES ? ErrorKind::Permission : ErrorKind::Environment; }

}  // namespace

std::string pin_dir(const std::string& policy) { return std::string(kPinRoot) + "/" + policy; }

Result<void> ensure_pin_root() {
    if (!is_bpffs(kBpffs) && mount("bpf", kBpffs, "bpf", 0, "mode=0700") != 0) {
        const int err = errno;
        return fail(kind_of(err), std::string("bpffs is not mounted at ") + kBpffs + " and could not be: " + std::strerror(err),
                    "run as root, or mount it: mount -t bpf bpf /sys/fs/bpf", err);
    }
    if (mkdir(kPinRoot, 0755) != 0 && errno != EEXIST) {
        const int err = errno;
        return fail(kind_of(err), std::string("cannot make ") + kPinRoot + ": " + std::strerror(err), "run as root", err);
    }
    return {};
}

std::vector<std::string> pinned_policies() {
    std::vector<std::string> names;
    for (const std::string& name : list(kPinRoot)) {
        struct stat st = {};
        if (name.ends_with(kNextSuffix) || name.ends_with(kOldSuffix)) continue;
        if (stat(pin_dir(name).c_str(), &st) == 0 && S_ISDIR(st.st_mode)) names.push_back(name);
    }
    return names;
}

Result<Fd> lock_policies() {
    RMT_CHECK(ensure_pin_root());
    Fd fd(open(kPinRoot, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail(kind_of(errno), std::string("cannot open ") + kPinRoot + ": " + std::strerror(errno), {}, errno);
    for (int i = 0; i < 100; i++) {
        if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
        usleep(100'000);
    }
    return fail(ErrorKind::Conflict, std::string("another rmt-load has held ") + kPinRoot + " for 10 s",
                "wait for it to end, or look for it with: fuser -v " + std::string(kPinRoot));
}

void remove_pin(const std::string& path) {
    Fd held(bpf_obj_get(path.c_str()));
    unlink(path.c_str());
}

void remove_pins(const std::string& dir) {
    std::vector<std::string> names = list(dir);
    std::stable_partition(names.begin(), names.end(), [](const std::string& n) { return n.rfind("link_", 0) == 0; });
    for (const std::string& name : names) remove_pin(dir + "/" + name);
    rmdir(dir.c_str());
}

}  // namespace rmt::load
