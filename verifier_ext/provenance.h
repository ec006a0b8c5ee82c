// SPDX-License-Identifier: MIT
// Where each value of an object comes from: may it be a pointer into the kernel, or to a stack? Flow-sensitive inside a function
// (with joins), and over calls: a static function is analysed once, with the join over its call sites.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "verifier_ext/cfg.h"
#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {

// No bit: a number, or an address in a map or in read-only data.
struct Origin {
    enum : uint8_t {
        kKernel = 1,   // may point into the kernel
        kContext = 2,  // may point to what the kernel hands a program
        kOwn = 4,      // may point to this function's stack
        kForeign = 8,  // may point to the stack of a function that called it
    };
    uint8_t bits = 0;
    bool exact = false;  // `number` is the value (no bit), or the distance from r10 (kOwn) or from the context (kContext)
    int64_t number = 0;
    bool answer = false; // the answer of one of the kernel's own algorithms, and nothing else

    bool kernel() const { return bits & (kKernel | kContext); }
    bool operator==(const Origin&) const = default;
    static Origin of(uint8_t bits) { return {bits, false, 0, false}; }
    static Origin constant(int64_t number) { return {0, true, number, false}; }
};

struct Origins {
    static constexpr size_t kWords = 64;
    std::array<Origin, 11> r;
    std::array<Origin, kWords> words;  // of the stack: word i is -8 (i + 1) .. -8 i of r10
    bool operator==(const Origins&) const = default;
};

class Provenance {
public:
    // The object must have passed check_instructions, check_allowed and check_shape.
    Provenance(const Object& object, const Profile& profile);

    // What is known before each instruction that a program may reach.
    void visit(const std::function<void(uint32_t function, uint32_t slot, const Origins& before)>& visit);

    // Registers 1..5 that a function may read before it writes them, through what it calls as well.
    bool reads(uint32_t function, unsigned reg) const { return reads_[function] >> reg & 1; }

private:
    using Visitor = std::function<void(uint32_t, uint32_t, const Origins&)>;
    void find_reads();
    uint16_t read_by_call(const Insn& insn) const;
    void run(uint32_t function, const Visitor* visit);
    void step(uint32_t function, const Insn& insn, Origins& state);
    void call(uint32_t function, const Insn& insn, Origins& state);
    void enter(uint32_t caller, uint32_t callee, const Origins& state);
    Origin load(uint32_t function, const Insn& insn, const Origins& state);
    void store(uint32_t function, const Insn& insn, Origins& state, const Origin& value);
    template <class T>
    void grow(T& into, const T& by);

    const Object& object_;
    const Profile& profile_;
    std::vector<Cfg> cfgs_;
    std::vector<uint16_t> reads_;
    std::vector<std::optional<std::array<Origin, 11>>> entry_;  // none: not reached
    std::vector<uint8_t> result_;                // bits of r0 at the exits
    std::vector<uint8_t> contents_, written_;    // bits of what lies in a function's frame; of what others wrote there
    std::vector<std::set<uint32_t>> owners_;     // whose frames a function's foreign pointers may point to
    bool changed_ = false;
};

}  // namespace rmt::verify
