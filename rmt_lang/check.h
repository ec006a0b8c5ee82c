// SPDX-License-Identifier: MIT
// Ast -> typed, checked IR: names are resolved, types, units and ranges compared, tables, entries, models and limits
// checked against the domain's profile, and what has no semantics yet is refused with E0900. Every error of the text
// is reported at its place; several independent ones in one run.
#pragma once

#include <optional>

#include "rmt_lang/ast.h"
#include "rmt_lang/ir.h"
#include "rmt_lang/support/diagnostics.h"

namespace rmt::lang {

// Nothing when there was an error (E02xx to E06xx, E0900); the diagnostics then say which.
std::optional<CheckedIr> check(const Ast& ast, const Source& source, Diagnostics& diagnostics);

}  // namespace rmt::lang
