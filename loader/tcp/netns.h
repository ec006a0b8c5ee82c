// SPDX-License-Identifier: MIT
// Every network namespace that some thread is in or that `ip netns` named: an iterator over sockets sees only the one that it
// was opened in. A namespace that lives by an open file or a mount elsewhere alone is not found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::load {

struct NamespaceVisits {
    uint32_t entered = 0;
    std::vector<std::string> unreachable;  // "net:[4026532001] of process 17: Operation not permitted"
};

// Calls `visit` once inside each, in a thread of its own: the caller's namespace never changes. The first error that `visit`
// returns is kept as that namespace's reason; the others are visited all the same.
NamespaceVisits visit_namespaces(const std::function<Result<void>()>& visit);

}  // namespace rmt::load
