// SPDX-License-Identifier: MIT
#include "verifier_ext/allow.h"

#include <fmt/format.h>

#include <algorithm>

namespace rmt::verify {
namespace {

constexpr size_t kMaxInsns = 200'000;       // of an object
constexpr size_t kMaxBranches = 2'000;      // of a function: blocks are compared pairwise (cfg.cpp)

bool is_alu_known(const Insn& insn) {
    bool negate_or_swap = insn.op() == BPF_NEG || insn.op() == BPF_END;
    if (insn.op() > BPF_END) return false;
    if (insn.op() == BPF_END) return insn.off == 0 && (insn.imm == 16 || insn.imm == 32 || insn.imm == 64);
    if (insn.from_register() && insn.imm != 0) return false;
    if (!insn.from_register() && insn.src != 0) return false;
    if (negate_or_swap && insn.from_register()) return false;
    if (insn.off == 0) return true;
    bool signed_division = (insn.op() == BPF_DIV || insn.op() == BPF_MOD) && insn.off == 1;
    bool sign_extension = insn.op() == BPF_MOV && insn.from_register() && (insn.off == 8 || insn.off == 16 || insn.off == 32);
    return signed_division || sign_extension;
}

bool is_jump_known(const Insn& insn) {
    if (insn.loop_step) return true;
    if (insn.is_call()) return insn.dst == 0 && insn.off == 0;
    if (insn.is_exit()) return insn.dst == 0 && insn.src == 0 && insn.off == 0 && insn.imm == 0;
    if (insn.op() == BPF_CALL || insn.op() == BPF_EXIT) return false;  // with another class or with X: calls through registers
    if (insn.is_goto()) return !insn.from_register() && insn.dst == 0 && insn.src == 0;
    if (insn.op() > BPF_JSLE) return false;  // 0xe0: may_goto outside of a loop's step
    return insn.from_register() ? insn.imm == 0 : insn.src == 0;
}

bool is_atomic_known(const Insn& insn) {
    if (insn.size() != 4 && insn.size() != 8) return false;
    switch (insn.imm & ~BPF_FETCH) {
        case BPF_ADD: case BPF_AND: case BPF_OR: case BPF_XOR: return true;
        default: return insn.imm == BPF_XCHG || insn.imm == BPF_CMPXCHG;
    }
}

bool is_known(const Insn& insn) {
    if (insn.dst > 10 || insn.src > 10) return false;
    switch (insn.cls()) {
        case BPF_ALU: case BPF_ALU64: return is_alu_known(insn) && insn.dst != 10;
        case BPF_JMP: case BPF_JMP32: return is_jump_known(insn);
        case BPF_LDX: return (insn.mode() == BPF_MEM || (insn.mode() == BPF_MEMSX && insn.size() < 8)) && insn.imm == 0 && insn.dst != 10;
        case BPF_ST: return insn.mode() == BPF_MEM && insn.src == 0;
        case BPF_STX: return (insn.mode() == BPF_MEM && insn.imm == 0) || (insn.is_atomic() && is_atomic_known(insn));
        default: return insn.is_wide() && insn.dst != 10;
    }
}

Rejected malformed(const Object& object, const Function& function, uint32_t slot, std::string id, std::string message) {
    return {"allow-list", std::move(id), std::move(message), object.place(function, slot), {},
            "compile the policy again; rmt-load emits no such instruction"};
}

std::optional<Rejected> check_function(const Object& object, const Function& function) {
    size_t branches = 0;
    for (uint32_t slot = 0; slot < function.insns.size(); slot++) {
        const Insn& insn = function.insns[slot];
        if (insn.second) continue;
        if (!is_known(insn))
            return malformed(object, function, slot, "V0107",
                             fmt::format("instruction {} of '{}' (opcode 0x{:02x}) is not one that the verifier reasons about", slot, function.name, insn.code));
        bool falls_through = !insn.is_exit() && !insn.is_goto();
        uint32_t behind = slot + insn.width();
        if (falls_through && behind >= function.insns.size())
            return malformed(object, function, slot, "V0002", fmt::format("'{}' runs off its end", function.name));
        if (!insn.is_jump()) continue;
        int64_t target = int64_t{slot} + 1 + insn.jump();
        if (target < 0 || target >= static_cast<int64_t>(function.insns.size()) || function.insns[static_cast<size_t>(target)].second)
            return malformed(object, function, slot, "V0002", fmt::format("instruction {} of '{}' jumps out of the function", slot, function.name));
        if (++branches > kMaxBranches)
            return malformed(object, function, slot, "V0002", fmt::format("'{}' has more than {} branches", function.name, kMaxBranches));
    }
    return std::nullopt;
}

std::string known_names(const std::map<uint32_t, CallRule>& rules) {
    std::string text;
    for (auto& [id, rule] : rules) text += (text.empty() ? "" : ", ") + rule.name;
    return text;
}

std::optional<Rejected> check_call(const Object& object, const Profile& profile, const Function& function, uint32_t slot, const std::string& policy) {
    const Insn& insn = function.insns[slot];
    auto reject = [&](std::string id, std::string message, std::string hint) {
        return Rejected{"allow-list", std::move(id), std::move(message), object.place(function, slot, policy),
                        {fmt::format("in function '{}', instruction {}", function.name, slot)}, std::move(hint)};
    };
    if (insn.ref == Ref::Callback || (insn.is_wide() && insn.ref == Ref::Function))
        return reject("V0107", "the address of a function is taken; calls through callbacks are not bounded here", "use `repeat`, not a callback");
    if (insn.ref == Ref::Helper && insn.target == BPF_FUNC_tail_call)
        return reject("V0105", "a tail call leaves the program for another one that was not verified", "call a function instead");
    if (insn.ref == Ref::Helper && !profile.find_helper(insn.target))
        return reject("V0102", fmt::format("{} is not allowed in domain {}", helper_name(insn.target), profile.domain),
                      "allowed are " + known_names(profile.helpers));
    if (insn.is_call() && insn.ref == Ref::Kfunc && !profile.find_kfunc(object.externs[insn.target]))
        return reject("V0103", fmt::format("kernel function {} is not allowed in domain {}", object.externs[insn.target], profile.domain),
                      profile.writers.empty() ? "loops by bpf_for are the only use of kernel functions" : "loops by bpf_for and the kernel's own controls are the only use of kernel functions");
    return std::nullopt;
}

}  // namespace

std::optional<Rejected> check_instructions(const Object& object) {
    size_t total = 0;
    for (const Function& function : object.functions) {
        total += function.insns.size();
        if (total > kMaxInsns)
            return malformed(object, function, 0, "V0002", fmt::format("the object has more than {} instructions", kMaxInsns));
        if (auto rejected = check_function(object, function)) return rejected;
    }
    return std::nullopt;
}

std::optional<Rejected> check_allowed(const Object& object, const Profile& profile, const std::string& policy) {
    for (const Function& function : object.functions) {
        auto reject = [&](std::string id, std::string message, std::string hint) {
            return Rejected{"allow-list", std::move(id), std::move(message), object.place(function, 0, policy), {}, std::move(hint)};
        };
        if (function.program && !profile.find_program(function.section))
            return reject("V0101", fmt::format("program '{}' attaches at '{}', which domain {} does not use", function.name, function.section, profile.domain),
                          "the attach points of a domain are listed in docs/hooks.md");
        if (!function.program && function.global)
            return reject("V0106", fmt::format("'{}' is a global function: the kernel verifies it apart from its callers", function.name),
                          "declare it static");
        for (uint32_t slot = 0; slot < function.insns.size(); slot++)
            if (auto rejected = check_call(object, profile, function, slot, policy)) return rejected;
    }
    for (const std::string& section : object.data)
        if (std::none_of(profile.data.begin(), profile.data.end(), [&](auto& pattern) { return name_matches(pattern, section); }))
            return Rejected{"allow-list", "V0104", fmt::format("the object has data in section '{}', which would become a writable map", section),
                            {}, {}, "state belongs to `state per task` or to a table"};
    return std::nullopt;
}

}  // namespace rmt::verify
