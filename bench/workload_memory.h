// SPDX-License-Identifier: MIT
// The memory that a workload walks, and the meter that times its first touch of each page. Nothing here knows a pattern.
// The region is ordinary memory as an application has it: anonymous, or a shared mapping of a file; 4 KiB pages only, so
// that a page is what moves between memory and swap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

namespace rmt::bench {

inline constexpr std::size_t kPage = 4096;
inline constexpr std::uint64_t kSlowNs = 1'000'000;  // a touch that took longer waited for more than one read

inline std::uint64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000ull + static_cast<std::uint64_t>(t.tv_nsec);
}

// xorshift64: the same numbers on every machine and in the Python reference of the tests.
class Random {
public:
    explicit Random(std::uint64_t seed) : s_(seed ? seed : 88172645463325252ull) {}
    std::uint64_t next() {
        s_ ^= s_ << 13;
        s_ ^= s_ >> 7;
        s_ ^= s_ << 17;
        return s_;
    }

private:
    std::uint64_t s_;
};

class Region {
public:
    Region() = default;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region();

    // Maps `pages` pages. An empty path: anonymous memory; otherwise that file, made or grown as needed and shared.
    // Returns an empty text, or what went wrong.
    std::string map(std::size_t pages, const std::string& path, bool random_advice);

    // Drops a file's pages from the page cache after it was filled, so that the first pass reads them. Anonymous
    // memory: nothing to do, the memory limit has already pushed it out.
    void forget() const;

    std::size_t pages() const { return pages_; }
    char* page(std::size_t n) const { return base_ + n * kPage; }
    std::uint64_t* words(std::size_t n) const { return reinterpret_cast<std::uint64_t*>(page(n)); }

private:
    char* map_ = nullptr;
    std::size_t map_bytes_ = 0;
    char* base_ = nullptr;
    std::size_t pages_ = 0;
    int fd_ = -1;
};

class Meter {
public:
    // Reads one word of a page: here the workload waits when the page is not in memory.
    std::uint64_t read(const void* p) {
        const std::uint64_t begin = now_ns();
        const std::uint64_t v = *static_cast<const volatile std::uint64_t*>(p);
        note(begin);
        return v;
    }
    void write(void* p, std::uint64_t v) {
        const std::uint64_t begin = now_ns();
        *static_cast<volatile std::uint64_t*>(p) = v;
        note(begin);
    }

    std::uint64_t accesses = 0;
    std::uint64_t stall_ns = 0;
    std::uint64_t slow = 0;  // touches of more than kSlowNs

private:
    void note(std::uint64_t begin) {
        const std::uint64_t took = now_ns() - begin;
        ++accesses;
        stall_ns += took;
        if (took > kSlowNs) ++slow;
    }
};

}  // namespace rmt::bench
