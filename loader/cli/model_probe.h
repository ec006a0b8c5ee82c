// SPDX-License-Identifier: MIT
// The kernel's engines by themselves, without a policy: a model's value is put behind the same code that policies are
// compiled with, and its program is run by test_run. For verify, bench, predict --kernel, and before every swap. The object is
// part of rmt-load (bpf/probe/model_probe.bpf.c); it is loaded for the question and gone after it: no pin, no attachment.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "rmt_lang/support/result.h"

namespace rmt::cli {

class ModelProbe {
public:
    // Errors: Permission; Kernel with the verifier's log; Input when the model fits no engine.
    static Result<ModelProbe> open(const models::Model& model);
    ModelProbe(ModelProbe&&) noexcept;
    ModelProbe& operator=(ModelProbe&&) noexcept;
    ~ModelProbe();

    // The engine's answers, in the order of the rows; nullopt where on_error would answer.
    Result<std::vector<std::optional<int64_t>>> answers(const std::vector<std::vector<int64_t>>& rows);

    // Nanoseconds of one inference, the mean over `repeat` runs on the rows in turn, less those of a program that does
    // everything but the inference. At most kMaxRows rows are used.
    Result<double> nanoseconds(const std::vector<std::vector<int64_t>>& rows, uint32_t repeat);

    static constexpr size_t kMaxRows = 4096;  // at a time

private:
    struct Data;
    explicit ModelProbe(std::unique_ptr<Data> data);
    std::unique_ptr<Data> data_;
};

struct KernelCheck {
    size_t rows = 0;      // the artefact's samples, and rows on and next to its thresholds
    size_t samples = 0;
};

// Reference and engine on the same rows. Errors: those of ModelProbe::open(); Input when an answer differs, with the row.
Result<KernelCheck> check_in_kernel(const models::Model& model);

}  // namespace rmt::cli
