// SPDX-License-Identifier: MIT
#include "verifier_ext/cfg.h"

#include <algorithm>

namespace rmt::verify {
namespace {

bool steps_iterator(const Object& object, const Insn& insn) {
    return insn.loop_step || (insn.is_call() && insn.ref == Ref::Kfunc && object.externs[insn.target] == "bpf_iter_num_next");
}

uint64_t words_of(int32_t offset, int size) { return stack_word(offset) | stack_word(offset + size - 1); }

struct Effect {
    LiveSet uses, writes;
};

// `writes` holds a stack word only when all of it is written, for liveness; a partial write reads it, in effect.
Effect effect_of(const Insn& insn) {
    Effect e;
    auto use = [&](unsigned r) { if (r < 10) e.uses.regs |= static_cast<uint16_t>(1u << r); };
    auto write = [&](unsigned r) { if (r < 10) e.writes.regs |= static_cast<uint16_t>(1u << r); };
    if (insn.is_exit()) {
        use(0);
    } else if (insn.is_call()) {
        for (unsigned r = 1; r <= 5; r++) use(r);
        for (unsigned r = 0; r <= 5; r++) write(r);
    } else if (insn.loop_step) {
        write(insn.dst);
        e.uses.words |= stack_word(static_cast<int32_t>(insn.imm64));
    } else if (insn.is_jump()) {
        if (!insn.is_goto()) use(insn.dst);
        if (!insn.is_goto() && insn.from_register()) use(insn.src);
    } else if (insn.is_alu()) {
        if (insn.op() != BPF_MOV) use(insn.dst);
        if (insn.from_register() && insn.op() != BPF_END) use(insn.src);
        write(insn.dst);
    } else if (insn.is_wide()) {
        write(insn.dst);
    } else if (insn.is_load()) {
        use(insn.src);
        write(insn.dst);
        if (insn.src == 10) e.uses.words |= words_of(insn.off, insn.size());
    } else if (insn.cls() == BPF_ST || insn.cls() == BPF_STX) {
        use(insn.dst);
        if (insn.cls() == BPF_STX) use(insn.src);
        if (insn.is_atomic()) {
            use(0);
            if (insn.imm == BPF_CMPXCHG) write(0);
            else if (insn.imm & BPF_FETCH) write(insn.src);
        }
        if (insn.dst == 10 && !insn.is_atomic() && insn.size() == 8 && insn.off % 8 == 0) e.writes.words |= stack_word(insn.off);
    }
    return e;
}

void find_blocks(const Object& object, const Function& function, Cfg& cfg) {
    const auto& insns = function.insns;
    std::vector<bool> leader(insns.size() + 1, false);
    leader[0] = true;
    for (uint32_t pc = 0; pc < insns.size(); pc++) {
        const Insn& insn = insns[pc];
        if (insn.second) continue;
        if (insn.is_jump()) leader[static_cast<size_t>(pc + 1 + insn.jump())] = true;
        if (insn.is_jump() || insn.is_exit()) leader[pc + insn.width()] = true;
        // The step of an iterator is a branch: it ends a block. It also begins one, so that a loop's first step and all
        // others are the same piece of code.
        if (steps_iterator(object, insn)) leader[pc] = leader[pc + insn.width()] = true;
    }
    cfg.block_at.assign(insns.size() + 1, -1);
    for (uint32_t pc = 0; pc < insns.size(); pc++) {
        if (!leader[pc] || insns[pc].second) continue;
        if (!cfg.blocks.empty()) cfg.blocks.back().end = pc;
        cfg.block_at[pc] = static_cast<int>(cfg.blocks.size());
        cfg.blocks.push_back({pc, static_cast<uint32_t>(insns.size()), {}, {}, steps_iterator(object, insns[pc]), false});
    }
    for (Block& block : cfg.blocks) {
        uint32_t last = block.begin;
        for (uint32_t pc = block.begin; pc < block.end; pc++)
            if (!insns[pc].second) last = pc;
        const Insn& insn = insns[last];
        auto add = [&](int64_t slot) {
            if (slot >= 0 && slot < static_cast<int64_t>(insns.size()) && cfg.block_at[static_cast<size_t>(slot)] >= 0)
                block.next.push_back(static_cast<uint32_t>(cfg.block_at[static_cast<size_t>(slot)]));
        };
        if (insn.is_exit()) continue;
        if (insn.is_jump()) add(last + 1 + insn.jump());
        if (!insn.is_goto()) add(block.end);
    }
}

void find_live(const Function& function, Cfg& cfg) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = cfg.blocks.size(); i-- > 0;) {
            Block& block = cfg.blocks[i];
            LiveSet live;
            for (uint32_t next : block.next) live.regs |= cfg.blocks[next].live.regs, live.words |= cfg.blocks[next].live.words;
            for (uint32_t pc = block.end; pc-- > block.begin;) {
                if (function.insns[pc].second) continue;
                Effect e = effect_of(function.insns[pc]);
                live.regs = static_cast<uint16_t>((live.regs & ~e.writes.regs) | e.uses.regs);
                live.words = (live.words & ~e.writes.words) | e.uses.words;
            }
            if (live == block.live) continue;
            block.live = live;
            changed = true;
        }
    }
}

// Dominators as bit sets: functions have some hundred blocks at most.
std::vector<std::vector<bool>> find_dominators(const Cfg& cfg) {
    size_t n = cfg.blocks.size();
    std::vector<std::vector<uint32_t>> before(n);
    for (uint32_t b = 0; b < n; b++)
        for (uint32_t next : cfg.blocks[b].next) before[next].push_back(b);
    std::vector<std::vector<bool>> dominators(n, std::vector<bool>(n, true));
    dominators[0].assign(n, false);
    dominators[0][0] = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = 1; b < n; b++) {
            std::vector<bool> set(n, true);
            for (uint32_t p : before[b])
                for (size_t i = 0; i < n; i++) set[i] = set[i] && dominators[p][i];
            set[b] = true;
            if (set == dominators[b]) continue;
            dominators[b] = std::move(set);
            changed = true;
        }
    }
    return dominators;
}

void find_loops(const Object& object, const Function& function, Cfg& cfg) {
    size_t n = cfg.blocks.size();
    auto dominators = find_dominators(cfg);
    cfg.loop_at.assign(n, -1);
    std::vector<std::vector<uint32_t>> before(n);
    for (uint32_t b = 0; b < n; b++)
        for (uint32_t next : cfg.blocks[b].next) before[next].push_back(b);
    for (uint32_t header = 0; header < n; header++) {
        std::vector<bool> inside(n, false);
        std::vector<uint32_t> work;
        for (uint32_t tail : before[header])
            if (dominators[tail][header]) work.push_back(tail);
        if (work.empty()) continue;
        inside[header] = true;
        while (!work.empty()) {
            uint32_t b = work.back();
            work.pop_back();
            if (inside[b]) continue;
            inside[b] = true;
            for (uint32_t p : before[b]) work.push_back(p);
        }
        Loop loop;
        loop.header = header;
        for (uint32_t b = 0; b < n; b++)
            if (inside[b]) loop.blocks.push_back(b);
        cfg.loop_at[header] = static_cast<int>(cfg.loops.size());
        cfg.loops.push_back(std::move(loop));
    }
    for (Loop& loop : cfg.loops) {
        for (uint32_t b : loop.blocks) {
            Block& block = cfg.blocks[b];
            block.in_loop = true;
            for (uint32_t pc = block.begin; pc < block.end; pc++) {
                const Insn& insn = function.insns[pc];
                Effect e = effect_of(insn);
                loop.changed.regs |= e.writes.regs;
                if (insn.loop_step) loop.changed.words |= stack_word(static_cast<int32_t>(insn.imm64));
                if ((insn.cls() == BPF_ST || insn.cls() == BPF_STX) && insn.dst == 10) loop.changed.words |= words_of(insn.off, insn.size());
            }
            // Of the loops around this block, the smallest is the one that its iterator drives.
            if (!steps_iterator(object, function.insns[block.begin])) continue;
            bool innermost = std::none_of(cfg.loops.begin(), cfg.loops.end(), [&](const Loop& other) {
                return other.blocks.size() < loop.blocks.size() && std::binary_search(other.blocks.begin(), other.blocks.end(), b);
            });
            loop.iterates |= innermost;
        }
    }
}

}  // namespace

RegisterUse registers_of(const Insn& insn) {
    const Effect e = effect_of(insn);
    return {e.uses.regs, e.writes.regs};
}

Cfg make_cfg(const Object& object, const Function& function) {
    Cfg cfg;
    find_blocks(object, function, cfg);
    find_live(function, cfg);
    find_loops(object, function, cfg);
    return cfg;
}

}  // namespace rmt::verify
