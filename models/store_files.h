// SPDX-License-Identifier: MIT
// What the store asks of the file system: whole files, a lock, times.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "rmt_lang/support/result.h"

namespace rmt::models {

// Held until it goes, also when its process dies. Makes the folder.
class StoreLock {
public:
    static Result<StoreLock> take(const std::filesystem::path& folder);
    StoreLock(StoreLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    ~StoreLock();

private:
    explicit StoreLock(int fd) : fd_(fd) {}
    int fd_;
};

// Written beside its place, flushed to the disk, renamed: whoever reads sees the old file or the whole new one.
Result<void> write_whole(const std::filesystem::path& path, std::string_view text);
// One write at the end of the file, flushed. What a crash cut short before stays a line of its own.
Result<void> append_line(const std::filesystem::path& path, std::string_view line);
Result<std::string> read_whole(const std::filesystem::path& path);
// Removes what a killed write_whole() left in the folder. Only with the lock: every writer holds it.
void remove_leftovers(const std::filesystem::path& folder);

std::string utc_time(int64_t seconds);  // "2026-11-24T15:58:04Z"
std::string modified_at(const std::filesystem::path& path);

}  // namespace rmt::models
