// SPDX-License-Identifier: MIT
// Ast -> canonical text, for `rmt-load fmt`. Comments stay, an empty line between items stays (one at most), defines
// stay as written. The text parses to the same tree, and formatting it again changes nothing.
#pragma once

#include <string>

#include "rmt_lang/ast.h"

namespace rmt::lang {

std::string format(const Ast& ast);

// On one line, as it would stand in the text: for messages and tools.
std::string format(const AstExpr& expr);

}  // namespace rmt::lang
