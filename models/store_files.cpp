// SPDX-License-Identifier: MIT
#include "models/store_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <vector>

namespace rmt::models {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLeftover = ".tmp-";

Unexpected<Error> file_error(const std::string& what, const fs::path& path) {
    const int err = errno;
    const bool denied = err == EACCES || err == EPERM || err == EROFS;
    return fail(denied ? ErrorKind::Permission : err == ENOENT ? ErrorKind::NotFound : ErrorKind::Environment,
                "cannot " + what + " '" + path.string() + "': " + std::strerror(err),
                denied ? "run as root, or set RMT_STATE_DIR to a folder that you may write to" : "", err);
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<size_t>(n));
    }
    return fsync(fd) == 0;
}

// So that the new name is on the disk too.
void sync_folder(const fs::path& folder) {
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

Result<void> make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (!error) return {};
    errno = error.value();
    return file_error("make", folder);
}

}  // namespace

Result<StoreLock> StoreLock::take(const fs::path& folder) {
    RMT_CHECK(make_folder(folder));
    const int fd = open((folder / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0) return file_error("open", folder / ".lock");
    for (int i = 0; i < 100; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return StoreLock(fd);
        usleep(100'000);
    }
    close(fd);
    return fail(ErrorKind::Conflict, "another rmt-load has held the store " + folder.string() + " for 10 s", "wait for it to end");
}

StoreLock::~StoreLock() {
    if (fd_ >= 0) close(fd_);
}

Result<void> write_whole(const fs::path& path, std::string_view text) {
    RMT_CHECK(make_folder(path.parent_path()));
    const fs::path beside = path.parent_path() / (kLeftover + std::to_string(getpid()) + "-" + path.filename().string());
    const int fd = open(beside.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) return file_error("write", beside);
    const bool written = write_all(fd, text);
    if (!written) {
        auto error = file_error("write", path);
        close(fd);
        unlink(beside.c_str());
        return error;
    }
    close(fd);
    if (rename(beside.c_str(), path.c_str()) != 0) {
        auto error = file_error("write", path);
        unlink(beside.c_str());
        return error;
    }
    sync_folder(path.parent_path());
    return {};
}

Result<void> append_line(const fs::path& path, std::string_view line) {
    RMT_CHECK(make_folder(path.parent_path()));
    const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return file_error("write", path);
    char last = '\n';
    const off_t size = lseek(fd, 0, SEEK_END);
    if (size > 0 && pread(fd, &last, 1, size - 1) != 1) last = '\n';
    const bool written = write_all(fd, (last == '\n' ? "" : "\n") + std::string(line) + "\n");
    auto error = file_error("write", path);
    close(fd);
    if (!written) return error;
    if (size == 0) sync_folder(path.parent_path());
    return {};
}

Result<std::string> read_whole(const fs::path& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) return file_error("read", path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) return file_error("read", path);
    return text;
}

void remove_leftovers(const fs::path& folder) {
    std::error_code ignored;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().filename().string().rfind(kLeftover, 0) == 0) found.push_back(entry.path());
    for (const fs::path& path : found) fs::remove(path, ignored);
}

std::string utc_time(int64_t seconds) {
    const time_t t = static_cast<time_t>(seconds);
    tm parts = {};
    gmtime_r(&t, &parts);
    char text[32];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::string modified_at(const fs::path& path) {
    struct stat st = {};
    return stat(path.c_str(), &st) == 0 ? utc_time(st.st_mtime) : "";
}

}  // namespace rmt::models
