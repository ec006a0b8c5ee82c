// SPDX-License-Identifier: MIT
#include "verifier_ext/sign_mask.h"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace rmt::verify {
namespace {

// What a place may hold; none of them: something else. Sets only grow, so the walk ends.
constexpr uint8_t kConstant = 1, kMask = 2, kBit = 4, kData = 8;  // kData: an address of read-only data

constexpr size_t kWords = 512 / 4;  // of the stack

struct Places {
    std::array<uint8_t, 11> r{};
    std::array<uint8_t, kWords> stack{};  // by 4 bytes below r10

    bool join(const Places& other) {
        bool grown = false;
        const auto add = [&](uint8_t& to, uint8_t from) {
            grown |= (to | from) != to;
            to |= from;
        };
        for (size_t i = 0; i < r.size(); i++) add(r[i], other.r[i]);
        for (size_t i = 0; i < stack.size(); i++) add(stack[i], other.stack[i]);
        return grown;
    }
};

uint8_t* stack_place(Places& places, int16_t offset) {
    const int word = (-offset - 1) / 4;
    return offset < 0 && word < static_cast<int>(kWords) ? &places.stack[static_cast<size_t>(word)] : nullptr;
}

uint8_t operand(const Places& places, const Insn& insn) { return insn.from_register() ? places.r[insn.src] : kConstant; }

uint8_t after_alu(const Places& places, const Insn& insn) {
    const uint8_t a = places.r[insn.dst], b = operand(places, insn), both = a & b & kConstant;
    const int32_t top = insn.cls() == BPF_ALU64 ? 63 : 31;
    const bool by_top = !insn.from_register() && (insn.core || insn.imm == top);
    switch (insn.op()) {
        case BPF_MOV: return b & static_cast<uint8_t>(~kData);
        case BPF_NEG: return (a & (kConstant | kMask)) | (a & kBit ? kMask : 0);
        case BPF_ARSH: return both | (a & kMask) | (by_top ? kMask : 0) | (insn.from_register() && (b & kConstant) ? kMask : 0);
        case BPF_RSH: return both | (by_top ? kBit : 0);
        case BPF_AND: return both | ((!insn.from_register() && (insn.core || insn.imm == 1)) ? kBit : 0);
        case BPF_END: return 0;
        case BPF_ADD: return both | (a & kData);
        default: return both;
    }
}

class Walk {
public:
    Walk(const Object& object, const std::string& policy) : object_(object), policy_(policy), entries_(object.functions.size()), answers_(object.functions.size()) {}

    // Functions are walked again until what their callers hand in, and what they answer, grows no more.
    std::optional<Rejected> run() {
        do {
            grown_ = false;
            for (uint32_t i = 0; i < object_.functions.size(); i++)
                if (auto rejected = function(i)) return rejected;
        } while (grown_);
        return std::nullopt;
    }

private:
    std::optional<Rejected> function(uint32_t index) {
        const Function& f = object_.functions[index];
        std::vector<Places> before(f.insns.size());
        std::vector<bool> seen(f.insns.size());
        std::vector<uint32_t> todo;
        const auto reach = [&](int64_t slot, const Places& places) {
            const auto at = static_cast<size_t>(slot);
            if (!before[at].join(places) && seen[at]) return;
            seen[at] = true;
            todo.push_back(static_cast<uint32_t>(at));
        };
        if (!f.insns.empty()) reach(0, entries_[index]);
        while (!todo.empty()) {
            const uint32_t slot = todo.back();
            todo.pop_back();
            const Insn& insn = f.insns[slot];
            Places places = before[slot];
            if (masks_constant(places, insn)) return refuse(f, slot);
            if (insn.is_exit()) {
                note(answers_[index], places.r[0]);
            } else if (insn.loop_step) {
                places.r[insn.dst] = 0;
                if (uint8_t* counter = stack_place(places, static_cast<int16_t>(insn.imm64))) *counter = 0;
                reach(int64_t{slot} + 1 + insn.jump(), places);
                reach(slot + insn.width(), places);
            } else if (insn.is_jump()) {
                jump(insn, slot, places, reach);
            } else {
                step(insn, places);
                reach(slot + insn.width(), places);
            }
        }
        return std::nullopt;
    }

    template <class Reach>
    static void jump(const Insn& insn, uint32_t slot, const Places& places, const Reach& reach) {
        const int64_t target = int64_t{slot} + 1 + insn.jump();
        if (insn.is_goto()) return reach(target, places);
        // On the edge where both are equal, the other one is that constant too.
        Places equal = places;
        if (operand(places, insn) & kConstant) equal.r[insn.dst] |= kConstant;
        if (insn.from_register() && (places.r[insn.dst] & kConstant)) equal.r[insn.src] |= kConstant;
        reach(target, insn.op() == BPF_JEQ ? equal : places);
        reach(slot + 1, insn.op() == BPF_JNE ? equal : places);
    }

    void step(const Insn& insn, Places& places) {
        if (insn.is_alu()) {
            places.r[insn.dst] = after_alu(places, insn);
        } else if (insn.is_wide()) {
            places.r[insn.dst] = insn.ref == Ref::None ? kConstant : is_read_only(insn) ? kData : 0;
        } else if (insn.is_load()) {
            const uint8_t* place = insn.src == 10 ? stack_place(places, insn.off) : nullptr;
            places.r[insn.dst] = place ? *place : places.r[insn.src] & kData ? kConstant : 0;
        } else if (insn.is_store() && insn.dst == 10) {
            if (uint8_t* place = stack_place(places, insn.off)) *place = insn.cls() == BPF_ST ? kConstant : places.r[insn.src];
        } else if (insn.is_atomic()) {
            places.r[insn.src] = places.r[0] = 0;
        } else if (insn.is_call()) {
            call(insn, places);
        }
    }

    bool is_read_only(const Insn& insn) const {
        return insn.ref == Ref::Extern || (insn.ref == Ref::Data && object_.data.at(insn.target).starts_with(".rodata"));
    }

    void call(const Insn& insn, Places& places) {
        places.r[0] = 0;
        if (insn.ref == Ref::Function) {
            for (int r = 1; r <= 5; r++) note(entries_[insn.target].r[static_cast<size_t>(r)], places.r[static_cast<size_t>(r)]);
            places.r[0] = answers_[insn.target];
        }
        for (int r = 1; r <= 5; r++) places.r[static_cast<size_t>(r)] = 0;
    }

    void note(uint8_t& to, uint8_t from) {
        grown_ |= (to | from) != to;
        to |= from;
    }

    static bool masks_constant(const Places& places, const Insn& insn) {
        if (!insn.is_alu() || insn.op() != BPF_AND) return false;
        const uint8_t a = places.r[insn.dst], b = operand(places, insn);
        return ((a & kMask) && (b & kConstant)) || ((b & kMask) && (a & kConstant));
    }

    Rejected refuse(const Function& f, uint32_t slot) const {
        return {"allow-list", "V0109", "a sign, all ones or 0, is masked with a constant: Linux 6.18 may crash while it verifies that",
                object_.place(f, slot, policy_), {fmt::format("in function '{}', instruction {}", f.name, slot)},
                "write `if (x < 0) { ... }` instead of `x >> 63 & K`; in C, ((__u64)x >> 63) * K"};
    }

    const Object& object_;
    const std::string& policy_;
    std::vector<Places> entries_;
    std::vector<uint8_t> answers_;
    bool grown_ = false;
};

}  // namespace

std::optional<Rejected> check_sign_masks(const Object& object, const std::string& policy) { return Walk(object, policy).run(); }

}  // namespace rmt::verify
