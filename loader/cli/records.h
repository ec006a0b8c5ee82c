// SPDX-License-Identifier: MIT
// Collected records as files that numpy, pandas and our own trainer open: .npy (structured), .csv, .jsonl. Column names are
// the policy's own, so that a model's inputs are found by name.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "rmt_lang/support/manifest.h"

namespace rmt::cli {

class RecordWriter {
public:
    virtual ~RecordWriter() = default;
    virtual Result<void> write(const uint8_t* record) = 0;
    virtual Result<void> finish() = 0;  // completes the file; without it a .npy has no row count
};

// The format follows the extension; "-" is JSON lines on stdout. Input when it is none of these; Environment when the file
// cannot be made.
Result<std::unique_ptr<RecordWriter>> open_records(const std::string& path, const ManifestCollect& layout);

}  // namespace rmt::cli
