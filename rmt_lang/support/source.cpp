// SPDX-License-Identifier: MIT
#include "rmt_lang/support/source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace rmt {

namespace {
constexpr size_t kMaxBytes = 16u << 20;
}

Source::Source(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
    line_starts_.push_back(0);
    for (size_t i = 0; i < text_.size(); i++)
        if (text_[i] == '\n') line_starts_.push_back(static_cast<uint32_t>(i + 1));
}

Result<Source> Source::read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        const int err = errno;
        const auto kind = err == ENOENT ? ErrorKind::NotFound : err == EACCES ? ErrorKind::Permission : ErrorKind::Environment;
        return fail(kind, "cannot read '" + path + "': " + std::strerror(err), {}, err);
    }
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) return fail(ErrorKind::Environment, "cannot read '" + path + "': it is not a readable file");
    std::string s = std::move(text).str();
    if (s.size() > kMaxBytes) return fail(ErrorKind::Input, "'" + path + "' is larger than 16 MiB; a policy is a small text");
    return Source(path, std::move(s));
}

Position Source::position(uint32_t offset) const {
    const auto it = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
    const auto line = static_cast<uint32_t>(it - line_starts_.begin());
    return {line, offset - line_starts_[line - 1] + 1};
}

std::string_view Source::line(uint32_t number) const {
    if (number == 0 || number > line_count()) return {};
    const uint32_t begin = line_starts_[number - 1];
    const size_t end = number < line_count() ? line_starts_[number] - 1 : text_.size();
    std::string_view s = text().substr(begin, end - begin);
    if (!s.empty() && s.back() == '\r') s.remove_suffix(1);
    return s;
}

}  // namespace rmt
