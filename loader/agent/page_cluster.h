// SPDX-License-Identifier: MIT
// vm.page-cluster, the kernel's own swap readahead, is off while a policy prefetches: two prefetchers would read twice.
// The value that was there is kept in a pinned map, so that whoever comes last restores it, also after a kill -9.
#pragma once

#include "rmt_lang/support/result.h"

namespace rmt::load {

// Remembers the value in force and sets 0. Does nothing more when that was done already.
Result<void> hold_page_cluster();

// Restores the remembered value when no policy but `except` has a living agent that acts. Does nothing when none is kept.
Result<void> release_page_cluster(const std::string& except);

}  // namespace rmt::load
