// SPDX-License-Identifier: MIT
// Errors of models carry their id in front of the message ("M0107: at /trees/0/left/3: ..."); docs/errors-models.md lists them.
#pragma once

#include <string>

#include "rmt_lang/support/result.h"

namespace rmt::models {

inline Unexpected<Error> model_error(const char* id, const std::string& path, const std::string& message, std::string hint = {}) {
    std::string text = std::string(id) + ": ";
    if (!path.empty()) text += "at " + path + ": ";
    return fail(ErrorKind::Input, text + message, std::move(hint));
}

}  // namespace rmt::models
