// SPDX-License-Identifier: MIT
// How much of one processor background training may take: after a training there is a rest, as much longer than the training as
// the share is smaller than the whole.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rmt::load {

class TrainingShare {
public:
    explicit TrainingShare(uint32_t percent) : percent_(std::clamp(percent, 1u, 100u)) {}

    bool allows(uint64_t now_ns) const { return now_ns >= rest_until_ns_; }

    // A training that began at began_ns took cpu_ns of processor time.
    void took(uint64_t began_ns, uint64_t cpu_ns) {
        trainings_++;
        cpu_ns_ += cpu_ns;
        rest_until_ns_ = began_ns + cpu_ns * 100 / percent_;
    }

    uint64_t trainings() const { return trainings_; }
    uint64_t cpu_ns() const { return cpu_ns_; }

private:
    uint32_t percent_;
    uint64_t rest_until_ns_ = 0, trainings_ = 0, cpu_ns_ = 0;
};

}  // namespace rmt::load
