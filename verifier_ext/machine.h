// SPDX-License-Identifier: MIT
// The abstract machine under all passes on bytecode: what is known of registers and of the function's own stack at one
// point, and what one instruction makes of it. Used by cost.cpp (which forgets all but constants at joins) and by flow.cpp.
//
// What it takes from the kernel's own verifier, which runs on the same bytes afterwards and refuses the rest: a pointer to
// the stack comes from r10, from arithmetic on it, or from a place on the stack; memory of maps and of the kernel never
// aliases the stack; a live iterator on the stack is written by its kfuncs only. The counter of a counted loop is not protected
// so: whatever may write to it ends it here.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "verifier_ext/interval.h"
#include "verifier_ext/object.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {

struct Value {
    enum class Kind : uint8_t {
        Scalar,    // anything that is not below
        Frame,     // address on this function's stack, r10 + offset
        FrameAny,  // address on this function's stack, somewhere
        Map,       // address of map `ref`
        MapValue,  // address in a value of map `ref`, at `offset`; may be null
    };
    // What is known against the number T that the last call of rmt_take granted: value <= scale * T + add.
    enum class Grant : uint8_t {
        None,
        Low,     // holds for the low 32 bits
        Full,    // holds for all 64 bits, unsigned; then also for the low 32
        Signed,  // holds for all 64 bits, signed: as Full once the value is known not to be negative
    };

    Kind kind = Kind::Scalar;
    bool mode = false;      // low 32 bits: the last answer of rmt_mode_now
    bool ctl_mode = false;  // low 32 bits: read from rmt_ctl.mode
    Grant grant = Grant::None;
    int32_t ref = 0, offset = 0;
    uint32_t scale = 0, add = 0;
    uint32_t id = 0;        // equal and not 0: equal values
    uint32_t id_low = 0;    // equal and not 0: the low 32 bits are those of one value, each plus its `delta`
    uint32_t delta = 0;
    Range64 w;              // all 64 bits
    Range32 h;              // the low 32 bits

    static Value constant(uint64_t value);
    static Value frame(int32_t offset);
    static Value below(uint64_t max);  // scalar 0..max
    bool is_constant() const { return kind == Kind::Scalar && w.is_constant(); }
    bool on_stack() const { return kind == Kind::Frame || kind == Kind::FrameAny; }
    bool not_null() const { return w.umin > 0; }
    void sync();                       // carries knowledge between w and h
    bool operator==(const Value&) const = default;
};

struct Slot {
    int32_t offset = 0;  // from r10
    uint32_t size = 0;   // 4 or 8
    Value value;
    bool operator==(const Slot&) const = default;
};

struct Iterator {
    int32_t offset = 0;    // from r10
    uint32_t total = 0;    // elements that it gives at most, from its beginning; 0 after its end
    bool counted = false;  // the counter of a counted loop: any write to its place ends it
    bool operator==(const Iterator&) const = default;
};

struct State {
    uint32_t pc = 0;
    std::array<Value, 10> r;  // r10 is frame(0)
    std::vector<Slot> slots;  // ascending
    std::vector<Iterator> iterators;
    // Facts about the path so far
    bool granted = false;     // rmt_take was called and its grant not used up
    uint64_t take_min = 0;    // T is at least this
    bool enforce = false;     // the last answer of rmt_mode_now was compared: it is RMT_MODE_ENFORCE
    bool ctl_enforce = false; // a value read from rmt_ctl.mode was compared: it is RMT_MODE_ENFORCE
    bool operator==(const State&) const = default;

    Value reg(unsigned number) const { return number < 10 ? r[number] : Value::frame(0); }
};

// Answers a call of a function of the object: what is known of r0. Null: nothing.
using CallModel = std::function<Value(const State& before, const Insn& insn)>;

class Machine {
public:
    Machine(const Object& object, const Profile& profile, const Function& function);

    // The states after the instruction at state.pc; none after an exit, two after a branch or the step of an iterator that
    // may go either way. Rejection: a loop whose bound is not a constant (V0202).
    std::optional<Rejected> step(const State& state, std::vector<State>& next, const CallModel& call) const;

    static State entry();

private:
    void alu(State& state, const Insn& insn) const;
    void load(State& state, const Insn& insn) const;
    void store(State& state, const Insn& insn) const;
    void atomic(State& state, const Insn& insn) const;
    void branch(const State& state, const Insn& insn, std::vector<State>& next) const;
    std::optional<Rejected> loop_step(const State& state, const Insn& insn, std::vector<State>& next) const;
    std::optional<Rejected> kfunc(State& state, const Insn& insn, std::vector<State>& next) const;
    void helper(State& state, const Insn& insn) const;
    void function(State& state, const Insn& insn, const CallModel& call) const;
    Rejected reject(uint32_t pc, std::string message, std::string hint) const;

    const Object& object_;
    const Profile& profile_;
    const Function& function_;
    std::map<int32_t, uint32_t> counters_;  // places that this function's loops count in, and their most steps
    int take_ = -1, mode_now_ = -1, ctl_ = -1;
};

// True when `a compare b` may be true (or false) is asked by both edges; exposed for the tests.
bool refine(State& state, const Insn& insn, bool taken);

}  // namespace rmt::verify
