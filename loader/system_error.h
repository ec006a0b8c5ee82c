// SPDX-License-Identifier: MIT
// What errno says, as an Error.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include "rmt_lang/support/result.h"

namespace rmt::load {

inline Unexpected<Error> system_error(const std::string& what, int err = errno) {
    const ErrorKind kind = err == EPERM || err == EACCES ? ErrorKind::Permission : err == ENOENT ? ErrorKind::NotFound : ErrorKind::Kernel;
    return fail(kind, what + ": " + std::strerror(err), {}, err);
}

}  // namespace rmt::load
