// SPDX-License-Identifier: MIT
// Background training: keeps a window of the training samples that the programs emit, trains a tree on the older part,
// compares it with the running model on the newer part (which it was not trained on), and swaps it in when it is better.
// All trainings together take no more than a share of one processor.
// Where a challenger is pinned beside the running model, both are scored on each event before anything is trained on it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rmt_lang/support/manifest.h"

namespace rmt::load {

class Learner {
public:
    static bool wanted(const Manifest& manifest);

    // A thread of ordinary priority. NotFound, Environment when the samples cannot be read.
    // cpu_percent: of one processor, 1..100.
    static Result<std::unique_ptr<Learner>> start(const std::string& policy, uint32_t cpu_percent, std::function<void(const std::string&)> say);

    ~Learner();  // stops and joins, and says what was trained

private:
    Learner();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace rmt::load
