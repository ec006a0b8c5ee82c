// SPDX-License-Identifier: MIT
// CheckedIr -> BPF C text and manifest. The text is thin: what is common to all policies lives in bpf/include and
// bpf/hooks (docs/decisions/0001). It has no date, no path and no version in it: the same policy gives the same bytes.
#pragma once

#include <string>

#include "rmt_lang/ir.h"
#include "rmt_lang/support/manifest.h"
#include "rmt_lang/support/result.h"
#include "rmt_lang/support/source.h"

namespace rmt::lang {

// What applies when the policy sets no limit of its own.
constexpr uint32_t kDefaultPrefetchPerEvent = 16;
constexpr uint64_t kDefaultPrefetchRate = 100000;
constexpr uint64_t kDefaultPrefetchWindowNs = 1000000000;

// Bounds of ours: a collected record and the state are part of a task storage value, which every task in scope has.
constexpr uint32_t kMaxCollectRecord = 1024;
constexpr uint32_t kMaxTaskState = 16384;

// Bytes of these, with natural alignment, as the generated program has them.
uint32_t collect_record_size(const Ir& ir, const ir::Collect& collect);
uint32_t task_state_size(const Ir& ir);

// Errors: Input when the policy exceeds one of the bounds above, or its rate times its window 64 bits.
Result<std::string> emit_bpf_c(const CheckedIr& checked, const Source& source);

Result<Manifest> make_manifest(const CheckedIr& checked, const Source& source);

}  // namespace rmt::lang
