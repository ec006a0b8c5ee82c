// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4): a model is named by the digest of its canonical bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace rmt::models {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::string_view bytes);
std::string to_hex(const Digest& digest);

}  // namespace rmt::models
