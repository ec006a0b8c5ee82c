// SPDX-License-Identifier: MIT
// Background training: keeps a window of the training samples that the programs emit, trains a tree on the older part,
// compares it with the running model on the newer part (which it was not trained on), and swaps it in when it is better.
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
    static Result<std::unique_ptr<Learner>> start(const std::string& policy, std::function<void(const std::string&)> say);

    ~Learner();  // stops and joins

private:
    Learner();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace rmt::load
