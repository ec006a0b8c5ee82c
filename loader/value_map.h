// SPDX-License-Identifier: MIT
// One value behind an ARRAY_OF_MAPS, replaced as a whole: a program that looks it up sees the old or the new value, never
// a mixture (updates in place tear). Tables and models both live in such a map. Each replacement makes a fresh
// inner map, so a sleepable reader of the old one is safe as well.
#pragma once

#include <cstdint>
#include <vector>

#include "loader/fd.h"
#include "rmt_lang/support/result.h"

namespace rmt::load {

// `value` has exactly the size that the program was compiled for. Kernel when the kernel refuses it.
Result<void> replace_value(int outer_fd, const char* name, const std::vector<uint8_t>& value);

// Empty when no value has been put in place yet.
Result<std::vector<uint8_t>> read_value(int outer_fd);

// A map that holds one immutable text, for pinning: the manifest, a model's artefact.
Result<Fd> make_text_map(const char* name, const std::string& text);
Result<std::string> read_text_map(int fd);

// The kernel's number of a map, which no other map gets while this one lives; 0: there is no such map.
uint32_t map_id(int fd);

}  // namespace rmt::load
