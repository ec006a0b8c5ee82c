// SPDX-License-Identifier: MIT
// Reads plain structs out of bytes that are not trusted: every read is checked against the end, none needs alignment.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace rmt::verify {

using Bytes = std::span<const uint8_t>;

template <class T>
std::optional<T> read_at(Bytes bytes, uint64_t at) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

inline std::optional<Bytes> slice(Bytes bytes, uint64_t at, uint64_t size) {
    if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
    return bytes.subspan(at, size);
}

// The text at `at`, when it ends with a zero byte inside the bytes.
inline std::optional<std::string_view> text_at(Bytes bytes, uint64_t at) {
    if (at >= bytes.size()) return std::nullopt;
    const void* end = std::memchr(bytes.data() + at, 0, bytes.size() - at);
    if (!end) return std::nullopt;
    const char* begin = reinterpret_cast<const char*>(bytes.data() + at);
    return std::string_view(begin, static_cast<size_t>(static_cast<const char*>(end) - begin));
}

}  // namespace rmt::verify
