// SPDX-License-Identifier: MIT
// The key patterns of entries against a table's keys: the one set of rules for the entries of a policy's text and for
// live ones. What a constant is differs (defines, arithmetic) and comes from the caller.
#pragma once

#include <functional>
#include <optional>

#include "rmt_lang/constant.h"
#include "rmt_lang/support/diagnostics.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::lang {

struct KeyReader {
    std::function<const AstExpr*(const AstExpr&)> resolve;  // through defines; null: it was reported
    std::function<std::optional<Constant>(const AstExpr&, const Names*)> constant;
};

// Reports E0304, E0403, E0404, E0405, E0408, E0409.
std::optional<KeyMatch> check_key(const AstPattern& pattern, const ManifestKey& key, const KeyReader& reader,
                                  const Source& source, Diagnostics& diagnostics);

}  // namespace rmt::lang
