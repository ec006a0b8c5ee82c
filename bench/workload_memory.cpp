// SPDX-License-Identifier: MIT
#include "bench/workload_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rmt::bench {

namespace {

constexpr std::size_t kHuge = 2u << 20;

std::string failed(const char* what, const std::string& path) {
    return std::string(what) + (path.empty() ? "" : " '" + path + "'") + " failed: " + std::strerror(errno);
}

}  // namespace

Region::~Region() {
    if (map_) munmap(map_, map_bytes_);
    if (fd_ >= 0) close(fd_);
}

std::string Region::map(std::size_t pages, const std::string& path, bool random_advice) {
    pages_ = pages;
    // Aligned to 2 MiB, so that page tables and huge-page settings are the same in every run.
    map_bytes_ = pages * kPage + (path.empty() ? kHuge : 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (!path.empty()) {
        fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd_ < 0) return failed("opening", path);
        if (ftruncate(fd_, static_cast<off_t>(pages * kPage)) != 0) return failed("sizing", path);
        flags = MAP_SHARED;
    }
    void* p = mmap(nullptr, map_bytes_, PROT_READ | PROT_WRITE, flags, fd_, 0);
    if (p == MAP_FAILED) return failed("mapping memory", path);
    map_ = static_cast<char*>(p);
    base_ = map_;
    if (path.empty()) base_ = reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(map_) + kHuge - 1) & ~(kHuge - 1));
    // A kernel without huge pages refuses this advice, and needs none.
    madvise(base_, pages * kPage, MADV_NOHUGEPAGE);
    if (random_advice && madvise(base_, pages * kPage, MADV_RANDOM) != 0) return failed("madvise(MADV_RANDOM)", path);
    return {};
}

void Region::forget() const {
    if (fd_ < 0) return;
    msync(base_, pages_ * kPage, MS_SYNC);
    // Pages that are mapped stay in the cache: drop the mapping's own references first.
    madvise(base_, pages_ * kPage, MADV_DONTNEED);
    posix_fadvise(fd_, 0, static_cast<off_t>(pages_ * kPage), POSIX_FADV_DONTNEED);
}

}  // namespace rmt::bench
