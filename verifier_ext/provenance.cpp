// SPDX-License-Identifier: MIT
// Soundness. A register points into the kernel only when it was filled from such a source:
//   - the context of a program, and what is loaded from it in any width;
//   - 8 bytes loaded through a pointer into the kernel (narrower loads give numbers: linux: kernel/bpf/btf.c, btf_struct_walk,
//     refuses to load a pointer in part), or through a stack where such a value may lie;
//   - the answer of a helper or kernel function that the profile says gives one; every kernel function but the loops' is said to;
//   - the address of a kernel symbol;
//   - a sum, difference or bitwise combination of 64 bits with such a value (32-bit arithmetic and loads give numbers: the kernel
//     refuses them on pointers, or takes the result for a number).
// What lies in a map is a number: the kernel forgets that a stored value was a pointer, except for members tagged kptr, which
// btf.cpp refuses, and refuses to store through numbers. So loads from maps are clean.
// Each function is analysed with the join of its arguments over all call sites (only registers that it may read), its stack in
// words of 8 bytes; stacks that are handed to others are summarised by one value each, for what lies there and for what others
// wrote. All of these only grow, and everything is run again until nothing does: what remains covers every path.
#include "verifier_ext/provenance.h"

#include <algorithm>

#include "verifier_ext/shape.h"

namespace rmt::verify {
namespace {

Origin join(const Origin& a, const Origin& b) {
    Origin out = Origin::of(a.bits | b.bits);
    out.answer = a.answer && b.answer;
    if (a.exact && b.exact && a.bits == b.bits && a.number == b.number) out.exact = true, out.number = a.number;
    return out;
}

bool join(Origins& into, const Origins& by) {
    const Origins before = into;
    for (size_t i = 0; i < into.r.size(); i++) into.r[i] = join(into.r[i], by.r[i]);
    for (size_t i = 0; i < into.words.size(); i++) into.words[i] = join(into.words[i], by.words[i]);
    return !(into == before);
}

// Of a value as another function sees it: its stack is not theirs.
uint8_t seen_from_elsewhere(uint8_t bits) {
    const bool stack = bits & (Origin::kOwn | Origin::kForeign);
    return static_cast<uint8_t>((bits & (Origin::kKernel | Origin::kContext)) | (stack ? Origin::kForeign : 0));
}

// Words that `size` bytes at r10 + offset touch; all of them when that is not known.
std::pair<size_t, size_t> words_at(const Origin& base, int64_t off, int size) {
    const int64_t from = base.number + off, to = from + size;
    if (!base.exact || from < -512 || to > 0) return {0, Origins::kWords - 1};
    return {static_cast<size_t>((-to) / 8), static_cast<size_t>((-from - 1) / 8)};
}

constexpr int64_t kFar = int64_t{1} << 32;  // constants that are followed through sums

}  // namespace

template <class T>
void Provenance::grow(T& into, const T& by) {
    if ((into | by) == into) return;
    into = static_cast<T>(into | by);
    changed_ = true;
}

Provenance::Provenance(const Object& object, const Profile& profile)
    : object_(object), profile_(profile), reads_(object.functions.size(), 0), entry_(object.functions.size()), result_(object.functions.size(), 0),
      contents_(object.functions.size(), 0), written_(object.functions.size(), 0), owners_(object.functions.size()) {
    for (const Function& function : object.functions) cfgs_.push_back(make_cfg(object, function));
    find_reads();
    for (uint32_t i = 0; i < object.functions.size(); i++) {
        const Function& function = object.functions[i];
        if (!function.program) continue;
        const ProgramRule* rule = profile.find_program(function.section);
        std::array<Origin, 11> entry{};
        // Of a tool it is memory of who runs it.
        if (!rule || !rule->tool) entry[1] = {Origin::kContext, true, 0, false};
        entry_[i] = entry;
    }
    for (changed_ = true; changed_;) {
        changed_ = false;
        for (uint32_t i = 0; i < object.functions.size(); i++)
            if (entry_[i]) run(i, nullptr);
    }
}

void Provenance::visit(const Visitor& visit) {
    for (uint32_t i = 0; i < object_.functions.size(); i++)
        if (entry_[i]) run(i, &visit);
}

uint16_t Provenance::read_by_call(const Insn& insn) const {
    if (insn.ref == Ref::Function) return reads_[insn.target];
    const CallRule* rule = insn.ref == Ref::Helper ? profile_.find_helper(insn.target) : profile_.find_kfunc(object_.externs[insn.target]);
    return static_cast<uint16_t>((2u << (rule ? rule->args : 5)) - 2);
}

// Liveness of registers 1..5 where a call reads what its callee reads.
void Provenance::find_reads() {
    for (bool again = true; again;) {
        again = false;
        for (uint32_t f = 0; f < object_.functions.size(); f++) {
            const Function& function = object_.functions[f];
            const Cfg& cfg = cfgs_[f];
            std::vector<uint16_t> live(cfg.blocks.size(), 0);
            for (bool grows = true; grows;) {
                grows = false;
                for (size_t b = cfg.blocks.size(); b-- > 0;) {
                    uint16_t now = 0;
                    for (uint32_t next : cfg.blocks[b].next) now |= live[next];
                    for (uint32_t pc = cfg.blocks[b].end; pc-- > cfg.blocks[b].begin;) {
                        const Insn& insn = function.insns[pc];
                        if (insn.second) continue;
                        RegisterUse use = registers_of(insn);
                        if (insn.is_call()) use.reads = read_by_call(insn);
                        now = static_cast<uint16_t>((now & ~use.writes) | use.reads);
                    }
                    if (now == live[b]) continue;
                    live[b] = now, grows = true;
                }
            }
            if (reads_[f] == (live[0] & 0x3e)) continue;
            reads_[f] = live[0] & 0x3e, again = true;
        }
    }
}

void Provenance::run(uint32_t index, const Visitor* visit) {
    const Function& function = object_.functions[index];
    const Cfg& cfg = cfgs_[index];
    std::vector<std::optional<Origins>> at(cfg.blocks.size());
    at[0].emplace();
    at[0]->r = *entry_[index];
    at[0]->r[10] = {Origin::kOwn, true, 0, false};
    std::vector<uint32_t> work = {0};
    auto pass = [&](uint32_t block, bool report) {
        Origins state = *at[block];
        for (uint32_t pc = cfg.blocks[block].begin; pc < cfg.blocks[block].end; pc++) {
            const Insn& insn = function.insns[pc];
            if (insn.second) continue;
            if (report) (*visit)(index, pc, state);
            step(index, insn, state);
        }
        return state;
    };
    while (!work.empty()) {
        const uint32_t block = work.back();
        work.pop_back();
        const Origins state = pass(block, false);
        for (uint32_t next : cfg.blocks[block].next) {
            const bool grew = at[next] ? join(*at[next], state) : (at[next] = state, true);
            if (grew) work.push_back(next);
        }
    }
    if (!visit) return;
    for (uint32_t block = 0; block < cfg.blocks.size(); block++)
        if (at[block]) pass(block, true);
}

Origin Provenance::load(uint32_t function, const Insn& insn, const Origins& state) {
    const Origin base = state.r[insn.src];
    uint8_t bits = base.bits & Origin::kContext ? Origin::kKernel : 0;
    if (insn.size() < 8) return Origin::of(bits);
    if (base.bits & Origin::kKernel) bits |= Origin::kKernel;
    Origin out = Origin::of(bits);
    if (base.bits & Origin::kOwn) {
        Origin at = base;
        at.exact = base.exact && base.bits == Origin::kOwn && !insn.core;
        auto [first, last] = words_at(at, insn.off, 8);
        Origin value = state.words[first];
        for (size_t i = first; i <= last; i++) value = join(value, state.words[i]);
        if (first != last || written_[function]) value.exact = value.answer = false;
        value.bits |= written_[function];
        out = bits ? join(out, value) : value;
    }
    if (base.bits & Origin::kForeign) {
        const std::set<uint32_t> owners = owners_[function];
        for (uint32_t owner : owners) {
            out = Origin::of(out.bits | seen_from_elsewhere(contents_[owner]));
            if (!(contents_[owner] & Origin::kForeign)) continue;
            for (uint32_t further : owners_[owner]) changed_ |= owners_[function].insert(further).second;
        }
    }
    return out;
}

void Provenance::store(uint32_t function, const Insn& insn, Origins& state, const Origin& value) {
    const Origin base = state.r[insn.dst];
    if (base.bits & Origin::kOwn) {
        Origin at = base;
        at.exact = base.exact && base.bits == Origin::kOwn && !insn.core;
        auto [first, last] = words_at(at, insn.off, insn.size());
        const bool whole = at.exact && first == last && insn.size() == 8 && insn.is_store();
        for (size_t i = first; i <= last; i++) state.words[i] = whole ? value : Origin::of(state.words[i].bits | value.bits);
        grow(contents_[function], value.bits);
    }
    if (base.bits & Origin::kForeign)
        for (uint32_t owner : owners_[function]) {
            grow(contents_[owner], seen_from_elsewhere(value.bits));
            grow(written_[owner], seen_from_elsewhere(value.bits));
            if (!(seen_from_elsewhere(value.bits) & Origin::kForeign)) continue;
            changed_ |= owners_[owner].insert(function).second;
            for (uint32_t further : std::set<uint32_t>(owners_[function])) changed_ |= owners_[owner].insert(further).second;
        }
}

void Provenance::enter(uint32_t caller, uint32_t callee, const Origins& state) {
    std::array<Origin, 11> args{};
    for (unsigned i = 1; i <= 5; i++) {
        if (!reads(callee, i)) continue;
        const Origin& given = state.r[i];
        args[i] = given;
        args[i].bits = seen_from_elsewhere(given.bits);
        if (args[i].bits & Origin::kForeign) args[i].exact = false;
        if (given.bits & Origin::kOwn) changed_ |= owners_[callee].insert(caller).second;
        if (given.bits & Origin::kForeign)
            for (uint32_t owner : std::set<uint32_t>(owners_[caller])) changed_ |= owners_[callee].insert(owner).second;
    }
    if (!entry_[callee]) {
        entry_[callee] = args, changed_ = true;
        return;
    }
    for (unsigned i = 1; i <= 5; i++) {
        const Origin joined = join((*entry_[callee])[i], args[i]);
        if (joined == (*entry_[callee])[i]) continue;
        (*entry_[callee])[i] = joined, changed_ = true;
    }
}

void Provenance::call(uint32_t function, const Insn& insn, Origins& state) {
    Origin answer;
    if (insn.ref == Ref::Function) {
        enter(function, insn.target, state);
        answer = Origin::of(seen_from_elsewhere(result_[insn.target]));
        if (answer.bits & Origin::kForeign) answer.bits |= Origin::kOwn;  // one of the stacks that it was handed
    } else if (insn.ref == Ref::Helper) {
        const CallRule* rule = profile_.find_helper(insn.target);
        answer = Origin::of(!rule || rule->gives_kernel ? Origin::kKernel : 0);
    } else {
        const std::string& name = object_.externs[insn.target];
        const bool loop = name == "bpf_iter_num_new" || name == "bpf_iter_num_destroy";
        answer = Origin::of(loop ? 0 : Origin::kKernel);
        const CallRule* rule = profile_.find_kfunc(name);
        answer.answer = rule && !rule->programs.empty();
    }
    for (unsigned i = 0; i <= 5; i++) state.r[i] = {};
    state.r[0] = answer;
    for (Origin& word : state.words) word.exact = false;  // it may have been written through an address of the stack: a number
}

void Provenance::step(uint32_t function, const Insn& insn, Origins& state) {
    if (insn.is_exit()) {
        grow(result_[function], state.r[0].bits);
    } else if (insn.is_call()) {
        call(function, insn, state);
    } else if (insn.loop_step) {
        state.r[insn.dst] = {};
    } else if (insn.is_wide()) {
        state.r[insn.dst] = Origin::of(insn.ref == Ref::Extern ? Origin::kKernel : 0);
        if (insn.ref == Ref::None && !insn.core) state.r[insn.dst] = Origin::constant(insn.imm64);
    } else if (insn.is_alu()) {
        const bool wide = insn.cls() == BPF_ALU64;
        const Origin a = state.r[insn.dst], b = insn.from_register() ? state.r[insn.src] : insn.core ? Origin{} : Origin::constant(insn.imm);
        Origin out;
        if (insn.op() == BPF_MOV) {
            if (!wide) out = !insn.from_register() && !insn.core ? Origin::constant(static_cast<uint32_t>(insn.imm)) : Origin{};
            else if (!insn.off) out = b;
            if (!wide && !insn.off && insn.from_register()) out.answer = b.answer;  // of 32 bits
        } else if (wide) {
            out = Origin::of(a.bits | (insn.op() == BPF_NEG || insn.op() == BPF_END ? 0 : b.bits));
            const bool small = a.exact && b.exact && std::abs(a.number) < kFar && std::abs(b.number) < kFar;
            const bool sum = (insn.op() == BPF_ADD && (!a.bits || !b.bits)) || (insn.op() == BPF_SUB && !b.bits);
            if (small && sum) out.exact = true, out.number = insn.op() == BPF_ADD ? a.number + b.number : a.number - b.number;
        }
        state.r[insn.dst] = out;
    } else if (insn.is_load()) {
        state.r[insn.dst] = load(function, insn, state);
    } else if (insn.is_atomic()) {
        Insn read = insn;
        read.src = insn.dst;
        const Origin old = load(function, read, state);
        store(function, insn, state, state.r[insn.src]);
        if (insn.imm == BPF_CMPXCHG) state.r[0] = Origin::of(old.bits);
        else if (insn.imm & BPF_FETCH) state.r[insn.src] = Origin::of(old.bits);
    } else if (insn.is_store()) {
        store(function, insn, state, insn.cls() == BPF_STX ? state.r[insn.src] : Origin::constant(insn.imm));
    }
}

}  // namespace rmt::verify
