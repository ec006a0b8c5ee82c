// SPDX-License-Identifier: MIT
// Source -> Ast, by recursive descent. Accepts the whole language; what has no semantics yet is refused by check().
// Several independent errors are reported: after one, parsing goes on at the next statement or brace.
#pragma once

#include <optional>

#include "rmt_lang/ast.h"
#include "rmt_lang/support/diagnostics.h"

namespace rmt::lang {

// Nothing when there was an error (E00xx, E01xx); the diagnostics then say which.
std::optional<Ast> parse(const Source& source, Diagnostics& diagnostics);

// One table entry without a policy around it: `anon, 0..95 => follow(32) comment "x"`, a closing ';' is optional.
std::optional<AstEntry> parse_entry_text(const Source& source, Diagnostics& diagnostics);

}  // namespace rmt::lang
