// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4) of bytes in memory, as 64 lower-case hexadecimal digits: names models, objects and certificates.
// Not for secrets and not for large streams.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rmt {

std::string sha256_hex(std::span<const uint8_t> bytes);
std::string sha256_hex(const std::string& text);

}  // namespace rmt
