// SPDX-License-Identifier: MIT
// Runs BPF functions of an object with adversarial surroundings: memory that is not the program's stack, and what helpers
// answer, come from a pool of values at the edges. Counts what is executed and watches what the verifier promises. For
// tests: it shares the decoder with the verifier, and nothing else.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify::test {

struct Observed {
    uint64_t insns = 0;
    std::map<std::string, uint64_t> calls;
    uint64_t sinks = 0;
    uint64_t kernel_stores = 0;
    std::vector<std::string> violations;  // of sink range, rate, guard
    bool finished = false;                // false: cut off by `most`, or left what can be run
};

struct Promises {
    uint64_t max_units = 0;
    uint64_t rate = 0, window_ns = 0;
    uint64_t window_lo = 0, window_hi = 0, pacing_lo = 0, pacing_hi = 0;  // of domains that write to the kernel
};

inline Promises promises_of(const Manifest& m) {
    Promises p{m.limits.prefetch_per_event, m.limits.prefetch_rate, m.limits.prefetch_window_ns};
    if (m.tcp) p.window_lo = m.tcp->cwnd_min, p.window_hi = m.tcp->cwnd_max, p.pacing_lo = m.tcp->pacing_min, p.pacing_hi = m.tcp->pacing_max;
    return p;
}

class Interpreter {
public:
    Interpreter(const Object& object, const Profile& profile, const Promises& promises, uint64_t seed)
        : object_(object), profile_(profile), promises_(promises), random_(seed) {}

    Observed run(const std::string& function, uint64_t most = 10'000'000);

private:
    struct Frame {
        uint32_t function, pc;
        uint64_t saved[5];      // r6..r9 and r10
        uint64_t asked;         // second argument
        bool saw_enforce;       // rmt_ctl.mode was read as enforce since this call began
    };
    uint64_t any();
    uint64_t read(uint64_t address, int size);
    void write(uint64_t address, int size, uint64_t value);
    void alu(const Insn& insn);
    bool jumps(const Insn& insn) const;
    bool helper(const Insn& insn);
    bool kfunc(const Insn& insn);
    void loop_step(const Insn& insn, Frame& frame);
    bool enter(uint32_t function);
    bool leave();
    void at_sink(uint64_t map);
    void at_entry(const Function& callee);
    void at_kernel_store(const Insn& insn, uint64_t address, uint64_t value);
    void at_answer(const Function& program);
    uint64_t kernel_pointer();
    bool in_kernel(uint64_t address) const;
    void violate(std::string what) { seen_.violations.push_back(std::move(what)); }

    const Object& object_;
    const Profile& profile_;
    Promises promises_;
    std::mt19937_64 random_;
    uint64_t r_[11] = {};
    std::vector<uint8_t> stack_;
    std::vector<Frame> frames_;
    std::map<uint64_t, std::pair<int64_t, int64_t>> iterators_;  // by address: next, end
    uint64_t element_ = 0;
    Observed seen_;
    bool has_mode_ = false, has_grant_ = false;
    uint32_t mode_ = 0, granted_ = 0;
    int acts_in_event_ = 0;
    std::vector<uint64_t> answers_;  // of the kernel's own algorithms, in this run
};

}  // namespace rmt::verify::test
