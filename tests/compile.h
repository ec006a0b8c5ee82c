// SPDX-License-Identifier: MIT
// A policy's text or file, compiled: what the command does before it loads.
#pragma once

#include "rmt_lang/check.h"
#include "rmt_lang/compile.h"
#include "rmt_lang/parser.h"

namespace rmt::test {

inline Result<lang::Compiled> compile(const Source& source) {
    Diagnostics diagnostics;
    const auto ast = lang::parse(source, diagnostics);
    const auto checked = ast ? lang::check(*ast, source, diagnostics) : std::nullopt;
    if (!checked) return fail(ErrorKind::Input, format(diagnostics, source));
    return lang::compile_policy(*checked, source);
}

inline Result<lang::Compiled> compile_text(const std::string& text, const std::string& name = "test.rmt") { return compile(Source(name, text)); }

inline Result<lang::Compiled> compile_file(const std::string& path) {
    RMT_TRY(const Source source, Source::read(path));
    return compile(source);
}

}  // namespace rmt::test
