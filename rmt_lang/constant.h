// SPDX-License-Identifier: MIT
// Constants of the text: a number after its unit, defines and arithmetic are gone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/ast.h"
#include "rmt_lang/ir.h"

namespace rmt::lang {

// Names that a value may be compared with: of an enum field, or the classes of a model.
struct Names {
    std::string of;  // "'vma.kind'", "model 'next_delta'"
    std::vector<std::pair<std::string, int64_t>> values;

    const int64_t* find(const std::string& name) const;
    std::string list() const;  // "anon, file"
};

struct Constant {
    int64_t value = 0;
    ir::Unit unit = ir::Unit::None;
    bool is_bool = false;
    bool named = false;  // a name of an enum
    Span span;

    const char* what() const;  // "a time", "bool"
};

// A literal in its base unit: 3ms is 3000000 of Ns. Nothing when it does not fit in 64 bits, or for the unit x.
std::optional<Constant> constant_of(const AstInt& literal, Span span);

const char* unit_words(ir::Unit unit);  // "a time", "a page number"

}  // namespace rmt::lang
