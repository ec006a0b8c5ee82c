// SPDX-License-Identifier: MIT
// One live table entry, understood from the manifest alone: what `rmt-load table add` is given. The same rules as for
// the entries of a policy's text: order of keys, types, units, ranges, allowed actions, arguments.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/support/manifest.h"

namespace rmt::lang {

// `anon, 0..95 => follow(32) comment "x"`. Errors: Input; the message is one line, the detail has the caret lines.
Result<ManifestEntry> parse_entry(const std::string& text, const Manifest& manifest, const ManifestTable& table);

// Whether everything that `later` matches is matched by `earlier`. `bounds` is what each numeric key can be.
bool covers(const std::vector<KeyMatch>& earlier, const std::vector<KeyMatch>& later,
            const std::vector<std::pair<int64_t, int64_t>>& bounds);

// Why a string cannot be matched; empty when it can.
std::string text_key_problem(const std::string& text, bool prefix);

}  // namespace rmt::lang
