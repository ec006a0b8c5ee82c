// SPDX-License-Identifier: MIT
#include "loader/agent/target.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <string>

namespace rmt::load {

namespace {
constexpr uint64_t kPage = 4096;
constexpr uint64_t kRereadNs = 50'000'000;
constexpr size_t kMaxVectors = 1024;  // UIO_MAXIOV
}  // namespace

std::optional<Target> Target::open(uint32_t tgid) {
    Target target;
    target.tgid_ = tgid;
    target.pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, tgid, 0)));
    if (!target.pidfd_) return std::nullopt;
    return target;
}

void Target::read_mappings() {
    mappings_.clear();
    FILE* maps = std::fopen(("/proc/" + std::to_string(tgid_) + "/maps").c_str(), "re");
    if (!maps) return;
    char line[512];
    uint64_t begin, end;
    bool start_of_line = true;
    while (std::fgets(line, sizeof(line), maps)) {
        const bool whole = std::char_traits<char>::find(line, std::char_traits<char>::length(line), '\n') != nullptr;
        if (start_of_line && std::sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) == 2)
            mappings_.push_back({begin / kPage, end / kPage});
        start_of_line = whole;  // a long file name goes on in the next piece
    }
    std::fclose(maps);
}

std::optional<PageRange> Target::mapping(uint64_t page, uint64_t now_ns) {
    for (int attempt = 0; attempt < 2; attempt++) {
        const auto it = std::upper_bound(mappings_.begin(), mappings_.end(), page,
                                         [](uint64_t p, const PageRange& r) { return p < r.end; });
        if (it != mappings_.end() && page >= it->begin) return *it;
        if (attempt || (read_at_ns_ && now_ns - read_at_ns_ < kRereadNs)) break;
        read_at_ns_ = now_ns;
        read_mappings();
    }
    return std::nullopt;
}

int Target::advise(std::vector<uint64_t>& pages, int advice) const {
    std::sort(pages.begin(), pages.end());
    pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
    std::vector<iovec> vectors;
    for (const uint64_t page : pages) {
        const uint64_t address = page * kPage;
        if (!vectors.empty() && reinterpret_cast<uint64_t>(vectors.back().iov_base) + vectors.back().iov_len == address)
            vectors.back().iov_len += kPage;
        else
            vectors.push_back({reinterpret_cast<void*>(address), kPage});
    }
    int calls = 0;
    size_t at = 0;
    while (at < vectors.size()) {
        const size_t count = std::min(vectors.size() - at, kMaxVectors);
        const long done = syscall(SYS_process_madvise, pidfd_.get(), vectors.data() + at, count, advice, 0);
        calls++;
        if (done < 0) {
            if (errno == ESRCH) return -ESRCH;
            at++;  // this vector is not mapped: go on behind it
            continue;
        }
        uint64_t left = static_cast<uint64_t>(done);
        while (at < vectors.size() && left >= vectors[at].iov_len) left -= vectors[at++].iov_len;
        if (done == 0 || left) at++;  // stopped inside a vector
    }
    return calls;
}

}  // namespace rmt::load
