// SPDX-License-Identifier: MIT
#include "verifier_ext/machine.h"

#include <fmt/format.h>

#include <algorithm>

namespace rmt::verify {

Value Value::constant(uint64_t value) {
    Value v;
    v.w = Range64::constant(value);
    v.h = Range32::constant(value);
    return v;
}

Value Value::frame(int32_t offset) {
    Value v;
    v.kind = Kind::Frame;
    v.offset = offset;
    v.w = Range64::of_unsigned(1, Range64::kMax);
    return v;
}

Value Value::below(uint64_t max) {
    Value v;
    v.w = Range64::of_unsigned(0, max);
    v.sync();
    return v;
}

void Value::sync() {
    for (int i = 0; i < 2; i++) {
        w.tighten();
        h.tighten();
        if (w.is_empty() || h.is_empty()) return;
        if (w.umin >> 32 == w.umax >> 32) {  // the upper half is known: the low half is the range's low half
            uint64_t upper = w.umin >> 32 << 32;
            h.umin = std::max(h.umin, w.umin & Range32::kMax);
            h.umax = std::min(h.umax, w.umax & Range32::kMax);
            w.umin = std::max(w.umin, upper | h.umin);
            w.umax = std::min(w.umax, upper | h.umax);
        }
    }
}

namespace {

// value <= scale * T + add, kept through operations that cannot wrap. Bounds on scale and add keep the sum far from 2^64.
constexpr uint32_t kMaxFactor = 1u << 16;

void drop_tags(Value& v) {
    v.mode = v.ctl_mode = false;
    v.grant = Value::Grant::None;
    v.scale = v.add = 0;
    v.id = v.id_low = v.delta = 0;
}

Value unknown() { return {}; }

AluOp alu_op(const Insn& insn) {
    switch (insn.op()) {
        case BPF_ADD: return AluOp::Add;
        case BPF_SUB: return AluOp::Sub;
        case BPF_MUL: return AluOp::Mul;
        case BPF_DIV: return insn.off ? AluOp::SDiv : AluOp::Div;
        case BPF_MOD: return insn.off ? AluOp::SMod : AluOp::Mod;
        case BPF_AND: return AluOp::And;
        case BPF_OR: return AluOp::Or;
        case BPF_XOR: return AluOp::Xor;
        case BPF_LSH: return AluOp::Shl;
        case BPF_RSH: return AluOp::Shr;
        default: return AluOp::Ashr;
    }
}

// What is known against the grant of `a op c`, c a constant. `max` is a's largest value in the operation's width, `limit`
// the width's: an operation that could wrap around loses it. Soundness: a <= s T + d and no wrap give a + c <= s T + (d + c),
// a * c <= (s c) T + d c; subtracting, dividing, masking and shifting right never make an unsigned value larger.
void carry_grant(const Value& a, AluOp op, const Value& c, uint64_t min, uint64_t max, uint64_t limit, Value& out) {
    uint64_t factor = 0;
    out.grant = Value::Grant::None;
    switch (op) {
        case AluOp::Add:
            if (!c.is_constant() || c.w.umin > kMaxFactor || max > limit - c.w.umin || a.add + c.w.umin > kMaxFactor) return;
            out.scale = a.scale, out.add = a.add + static_cast<uint32_t>(c.w.umin);
            break;
        case AluOp::Shl: case AluOp::Mul:
            if (!c.is_constant() || (op == AluOp::Shl && c.w.umin > 16)) return;
            factor = op == AluOp::Shl ? uint64_t{1} << c.w.umin : c.w.umin;
            if (factor == 0 || factor > kMaxFactor || max > limit / factor) return;
            if (a.scale * factor > kMaxFactor || a.add * factor > kMaxFactor) return;
            out.scale = static_cast<uint32_t>(a.scale * factor), out.add = static_cast<uint32_t>(a.add * factor);
            break;
        case AluOp::Sub:
            if (!c.is_constant() || c.w.umin > min) return;
            out.scale = a.scale, out.add = a.add;
            break;
        case AluOp::And: case AluOp::Shr: case AluOp::Div: case AluOp::Mod:
            out.scale = a.scale, out.add = a.add;
            break;
        default: return;
    }
    out.grant = Value::Grant::Full;
}

Value::Grant grant_of(const Value& v) {
    return v.grant == Value::Grant::Signed && v.w.smin >= 0 ? Value::Grant::Full : v.grant;
}

Value alu64(const Value& a, AluOp op, const Value& b) {
    Value r;
    r.w = apply<64>(op, a.w, b.w);
    bool low = op == AluOp::Add || op == AluOp::Sub || op == AluOp::Mul || op == AluOp::And || op == AluOp::Or || op == AluOp::Xor;
    if (low) r.h = apply<32>(op, a.h, b.h);
    if (op == AluOp::Shl && b.is_constant()) r.h = b.w.umin % 64 < 32 ? apply<32>(op, a.h, b.h) : Range32::constant(0);
    r.sync();
    if (grant_of(a) == Value::Grant::Full) carry_grant(a, op, b, a.w.umin, a.w.umax, Range64::kMax, r);
    else if (op == AluOp::Add && grant_of(b) == Value::Grant::Full) carry_grant(b, op, a, b.w.umin, b.w.umax, Range64::kMax, r);
    return r;
}

Value alu32(const Value& a, AluOp op, const Value& b) {
    Value r;
    r.h = apply<32>(op, a.h, b.h);
    r.w = Range64::of_unsigned(r.h.umin, r.h.umax);
    r.sync();
    Value by = b;  // the operation sees the low half
    by.kind = Value::Kind::Scalar;
    by.w = Range64::of_unsigned(b.h.umin, b.h.umax);
    if (a.id_low && op == AluOp::Add && b.h.is_constant()) r.id_low = a.id_low, r.delta = a.delta + static_cast<uint32_t>(b.h.umin);
    auto grant = grant_of(a);
    if (grant == Value::Grant::Full || grant == Value::Grant::Low) carry_grant(a, op, by, a.h.umin, a.h.umax, Range32::kMax, r);
    return r;
}

Value move32(const Value& a) {
    Value r = a;
    r.kind = Value::Kind::Scalar;
    r.ref = r.offset = 0;
    r.id = 0;
    r.w = Range64::of_unsigned(a.h.umin, a.h.umax);
    r.sync();
    auto grant = grant_of(a);
    bool keep = grant == Value::Grant::Low || grant == Value::Grant::Full;
    r.grant = keep ? Value::Grant::Full : Value::Grant::None;
    if (!keep) r.scale = r.add = 0;
    return r;
}

template <class F>
void each_value(State& state, F&& f) {
    for (Value& v : state.r) f(v);
    for (Slot& slot : state.slots) f(slot.value);
}

void forget_stack(State& state, int64_t from, int64_t to, bool iterators = true) {
    std::erase_if(state.slots, [&](const Slot& s) { return s.offset < to && s.offset + static_cast<int64_t>(s.size) > from; });
    std::erase_if(state.iterators, [&](const Iterator& it) { return (iterators || it.counted) && it.offset < to && it.offset + 8 > from; });
}

void begin(State& state, Iterator it) {
    state.iterators.push_back(it);
    std::sort(state.iterators.begin(), state.iterators.end(), [](auto& a, auto& b) { return a.offset < b.offset; });
}

constexpr int64_t kFrameLow = -(1 << 20), kFrameHigh = 1 << 20;

Compare compare_of(const Insn& insn) {
    switch (insn.op()) {
        case BPF_JEQ: return Compare::Eq;
        case BPF_JNE: return Compare::Ne;
        case BPF_JGT: return Compare::Ugt;
        case BPF_JGE: return Compare::Uge;
        case BPF_JLT: return Compare::Ult;
        case BPF_JLE: return Compare::Ule;
        case BPF_JSGT: return Compare::Sgt;
        case BPF_JSGE: return Compare::Sge;
        case BPF_JSLT: return Compare::Slt;
        case BPF_JSLE: return Compare::Sle;
        default: return Compare::Set;
    }
}

// After v became narrower on this path: the same value elsewhere is narrower too, and what is at least m and at most
// s T + d says that T is at least (m - d) / s.
void spread(State& state, const Value& v, bool narrow32) {
    each_value(state, [&](Value& other) {
        if (v.id && other.id == v.id) {
            other.w = v.w, other.h = v.h;
            if (v.grant != Value::Grant::None) other.grant = v.grant, other.scale = v.scale, other.add = v.add;
        } else if (v.id_low && other.id_low == v.id_low) {
            Range32 same = apply<32>(AluOp::Add, v.h, Range32::constant(other.delta - v.delta));
            other.h.umin = std::max(other.h.umin, same.umin), other.h.umax = std::min(other.h.umax, same.umax);
            other.h.smin = std::max(other.h.smin, same.smin), other.h.smax = std::min(other.h.smax, same.smax);
            other.sync();
        }
    });
    auto grant = grant_of(v);
    uint64_t low = narrow32 || grant == Value::Grant::Low ? v.h.umin : v.w.umin;
    bool known = grant == Value::Grant::Full || grant == Value::Grant::Low;
    if (state.granted && known && v.scale && low > v.add)
        state.take_min = std::max(state.take_min, (low - v.add + v.scale - 1) / v.scale);
}

// x <= y (or <) was found true: what bounds y against the grant bounds x. Signed comparisons bound x as a signed number.
void carry_order(State& state, Compare compare, Value& a, Value& b) {
    auto give = [&](Value& x, const Value& y, bool is_signed) {
        if (!state.granted || x.grant != Value::Grant::None || grant_of(y) != Value::Grant::Full) return;
        if (is_signed && y.w.smin < 0) return;  // y's unsigned bound says nothing of it as a signed number
        x.grant = is_signed ? Value::Grant::Signed : Value::Grant::Full;
        x.scale = y.scale, x.add = y.add;
    };
    switch (compare) {
        case Compare::Ult: case Compare::Ule: give(a, b, false); break;
        case Compare::Ugt: case Compare::Uge: give(b, a, false); break;
        case Compare::Slt: case Compare::Sle: give(a, b, true); break;
        case Compare::Sgt: case Compare::Sge: give(b, a, true); break;
        default: break;
    }
}

}  // namespace

bool refine(State& state, const Insn& insn, bool taken) {
    Compare compare = taken ? compare_of(insn) : negate(compare_of(insn));
    bool is32 = insn.cls() == BPF_JMP32;
    Value a = state.reg(insn.dst);
    Value b = insn.from_register() ? state.reg(insn.src) : Value::constant(static_cast<uint64_t>(int64_t{insn.imm}));
    auto possible = is32 ? decide<32>(compare, a.h, b.h) : decide<64>(compare, a.w, b.w);
    if (possible && !*possible) return false;
    if (is32) assume<32>(compare, a.h, b.h); else assume<64>(compare, a.w, b.w);
    a.sync();
    b.sync();
    if (a.w.is_empty() || a.h.is_empty() || b.w.is_empty() || b.h.is_empty()) return false;
    if (!is32) carry_order(state, compare, a, b);
    if (insn.dst < 10) state.r[insn.dst] = a;
    if (insn.from_register() && insn.src < 10) state.r[insn.src] = b;
    spread(state, a, is32);
    if (insn.from_register()) spread(state, b, is32);
    return true;
}

Machine::Machine(const Object& object, const Profile& profile, const Function& function)
    : object_(object), profile_(profile), function_(function), ctl_(object.find_map(profile.control_map)) {
    for (size_t i = 0; i < object.functions.size(); i++) {
        if (object.functions[i].name == profile.take_function) take_ = static_cast<int>(i);
        if (object.functions[i].name == profile.mode_function) mode_now_ = static_cast<int>(i);
    }
    for (const Insn& insn : function.insns) {
        if (!insn.loop_step) continue;
        uint32_t& most = counters_[static_cast<int32_t>(insn.imm64)];
        most = std::max(most, static_cast<uint32_t>(insn.imm));
    }
}

State Machine::entry() { return {}; }

Rejected Machine::reject(uint32_t pc, std::string message, std::string hint) const {
    return {"cost", "V0202", std::move(message), object_.place(function_, pc), {}, std::move(hint)};
}

void Machine::alu(State& state, const Insn& insn) const {
    if (insn.dst >= 10) return;  // the allow-list refused it
    Value& dst = state.r[insn.dst];
    bool wide = insn.cls() == BPF_ALU64;
    Value a = dst;
    Value b = insn.from_register() ? state.reg(insn.src) : Value::constant(static_cast<uint64_t>(int64_t{insn.imm}));
    if (insn.core) b = unknown();  // the loader writes another immediate
    if (insn.op() == BPF_MOV) {
        if (insn.off || insn.core) { dst = unknown(); return; }
        if (!insn.from_register()) { dst = wide ? b : move32(b); return; }
        if (insn.src < 10 && b.kind == Value::Kind::Scalar && !b.is_constant()) {
            // Name the value after this place, so that a later comparison of one copy counts for the other. A copy of the
            // same name from an earlier round of a loop is another value: it loses the name first.
            uint32_t name = state.pc + 1;
            auto assign = [&](uint32_t Value::*id) {
                if (state.r[insn.src].*id) return;
                each_value(state, [&](Value& v) { if (v.*id == name) v.*id = 0; });
                state.r[insn.src].*id = name;
            };
            if (!state.r[insn.src].id_low) state.r[insn.src].delta = 0;
            if (wide) assign(&Value::id);
            assign(&Value::id_low);
            b = state.r[insn.src];
        }
        dst = wide ? b : move32(b);
        return;
    }
    if (insn.op() == BPF_END) { dst = unknown(); return; }
    if (insn.op() == BPF_NEG) { b = a; a = Value::constant(0); drop_tags(b); b.kind = Value::Kind::Scalar; }
    AluOp op = insn.op() == BPF_NEG ? AluOp::Sub : alu_op(insn);
    if (a.on_stack() || b.on_stack()) {
        const Value& base = a.on_stack() ? a : b;
        const Value& by = a.on_stack() ? b : a;
        bool exact = wide && base.kind == Value::Kind::Frame && by.is_constant() && by.w.smin > kFrameLow && by.w.smin < kFrameHigh &&
                     (op == AluOp::Add || (op == AluOp::Sub && a.on_stack()));
        int64_t offset = !exact ? 0 : op == AluOp::Add ? base.offset + by.w.smin : base.offset - by.w.smin;
        exact = exact && offset > kFrameLow && offset < kFrameHigh;
        Value address = Value::frame(static_cast<int32_t>(exact ? offset : 0));
        if (!exact) address.kind = Value::Kind::FrameAny, address.w = Range64::top();
        dst = address;
        return;
    }
    if (a.kind == Value::Kind::MapValue && wide && op == AluOp::Add && b.is_constant() &&
        b.w.umin < (1u << 28) && a.offset < (1 << 28)) {
        dst.offset += static_cast<int32_t>(b.w.umin);  // stays null or not: the kernel refuses arithmetic on a null one
        return;
    }
    dst = wide ? alu64(a, op, b) : alu32(a, op, b);
}

void Machine::load(State& state, const Insn& insn) const {
    if (insn.dst >= 10) return;
    Value base = state.reg(insn.src);
    Value v = unknown();
    if (insn.mode() == BPF_MEM && insn.size() < 8 && !insn.core) v = Value::below((uint64_t{1} << (8 * insn.size())) - 1);
    if (base.kind == Value::Kind::Frame && insn.mode() == BPF_MEM && !insn.core) {
        for (const Slot& slot : state.slots)
            if (slot.offset == base.offset + insn.off && slot.size == static_cast<uint32_t>(insn.size()))
                v = insn.size() == 8 ? slot.value : move32(slot.value);
    } else if (base.on_stack()) {
        v = unknown();
        v.kind = Value::Kind::FrameAny;  // it may be a spilled address
    } else if (base.kind == Value::Kind::MapValue && base.not_null() && base.ref == ctl_ && base.offset + insn.off == 0 && insn.size() == 4 &&
               insn.mode() == BPF_MEM && !insn.core) {
        v.ctl_mode = true;
    }
    if (base.kind == Value::Kind::Frame && v.kind == Value::Kind::Scalar && !v.is_constant() && insn.size() == 8 &&
        std::none_of(state.slots.begin(), state.slots.end(), [&](const Slot& s) { return s.offset == base.offset + insn.off; }))
        v.kind = Value::Kind::FrameAny;  // a slot that we lost sight of may hold an address of the stack
    state.r[insn.dst] = v;
}

void Machine::store(State& state, const Insn& insn) const {
    Value base = state.reg(insn.dst);
    if (base.kind == Value::Kind::FrameAny) return forget_stack(state, kFrameLow, kFrameHigh);
    if (base.kind != Value::Kind::Frame) return;
    if (insn.core) return forget_stack(state, kFrameLow, kFrameHigh);
    int32_t offset = base.offset + insn.off;
    uint32_t size = static_cast<uint32_t>(insn.size());
    forget_stack(state, offset, offset + static_cast<int64_t>(size));
    if (size < 4) return;
    Value v = insn.cls() == BPF_STX ? state.reg(insn.src) : Value::constant(static_cast<uint64_t>(int64_t{insn.imm}));
    auto at = std::find_if(state.slots.begin(), state.slots.end(), [&](const Slot& s) { return s.offset > offset; });
    state.slots.insert(at, Slot{offset, size, v});
    if (auto counter = counters_.find(offset); counter != counters_.end() && size == 8) begin(state, {offset, counter->second, true});
}

std::optional<Rejected> Machine::loop_step(const State& state, const Insn& insn, std::vector<State>& next) const {
    const auto offset = static_cast<int32_t>(insn.imm64);
    auto known = std::find_if(state.iterators.begin(), state.iterators.end(), [&](auto& it) { return it.offset == offset && it.counted; });
    if (known == state.iterators.end())
        return reject(state.pc, "the step of a loop whose beginning is not known here", "set the counter right before the loop, and write nothing near it");
    State another = state, ended = state;
    for (State* s : {&another, &ended}) {
        std::erase_if(s->slots, [&](const Slot& slot) { return slot.offset < offset + 8 && slot.offset + static_cast<int32_t>(slot.size) > offset; });
        s->r[insn.dst] = unknown();
    }
    another.r[insn.dst].w = Range64::of_unsigned(1, static_cast<uint64_t>(insn.imm));
    another.r[insn.dst].sync();
    another.pc = state.pc + insn.width();
    ended.pc = state.pc + 1 + static_cast<uint32_t>(insn.jump());
    if (known->total > 0) next.push_back(std::move(another));
    next.push_back(std::move(ended));
    return std::nullopt;
}

void Machine::atomic(State& state, const Insn& insn) const {
    Value base = state.reg(insn.dst);
    if (base.kind == Value::Kind::FrameAny) forget_stack(state, kFrameLow, kFrameHigh);
    if (base.kind == Value::Kind::Frame) {
        int32_t offset = base.offset + insn.off;
        forget_stack(state, offset, offset + static_cast<int64_t>(insn.size()));
    }
    if (insn.imm == BPF_CMPXCHG) state.r[0] = unknown();
    else if ((insn.imm & BPF_FETCH) && insn.src < 10) state.r[insn.src] = unknown();
}

void Machine::branch(const State& state, const Insn& insn, std::vector<State>& next) const {
    for (bool taken : {false, true}) {
        State s = state;
        if (!refine(s, insn, taken)) continue;
        // The edge on which a tagged value equals RMT_MODE_ENFORCE. The low 32 bits decide; a comparison of all 64 bits
        // that holds says the same of the low half.
        const Value& a = state.reg(insn.dst);
        const Value& b = insn.from_register() ? state.reg(insn.src) : Value::constant(static_cast<uint64_t>(int64_t{insn.imm}));
        bool equal = insn.op() == BPF_JEQ ? taken : insn.op() == BPF_JNE ? !taken : false;
        auto is_enforce = [&](const Value& v) { return v.kind == Value::Kind::Scalar && v.h.is_constant() && v.h.umin == profile_.mode_enforce; };
        if (equal && (is_enforce(a) || is_enforce(b))) {
            const Value& other = is_enforce(b) ? a : b;
            if (other.mode) s.enforce = true;
            if (other.ctl_mode) s.ctl_enforce = true;
        }
        s.pc = state.pc + 1 + (taken ? static_cast<uint32_t>(insn.jump()) : 0);
        next.push_back(std::move(s));
    }
}

std::optional<Rejected> Machine::kfunc(State& state, const Insn& insn, std::vector<State>& next) const {
    const std::string& name = object_.externs[insn.target];
    const CallRule* rule = profile_.find_kfunc(name);
    Value it = state.reg(1), start = state.reg(2), end = state.reg(3);
    auto clobber = [&](State& s) { for (int i = 0; i <= 5; i++) s.r[i] = unknown(); };
    auto found = [&](State& s) { return std::find_if(s.iterators.begin(), s.iterators.end(), [&](auto& x) { return x.offset == it.offset; }); };
    const std::string hint = "write `repeat N` with a constant N; the bound must stand in the code";
    if (name == "bpf_iter_num_new") {
        if (it.kind != Value::Kind::Frame) return reject(state.pc, "a loop's iterator is not on the function's own stack", hint);
        // signed 32-bit arguments; a start behind the end gives no element (kernel/bpf/bpf_iter.c, bpf_iter_num_new)
        if (!start.h.is_constant() || !end.h.is_constant())
            return reject(state.pc, "a loop's bound is not a constant: it was read while running", hint);
        int64_t count = std::max<int64_t>(0, end.h.smin - start.h.smin);
        forget_stack(state, it.offset, it.offset + 8);
        begin(state, {it.offset, static_cast<uint32_t>(count)});
        clobber(state);
    } else if (name == "bpf_iter_num_next") {
        if (it.kind != Value::Kind::Frame || found(state) == state.iterators.end())
            return reject(state.pc, "the step of a loop whose beginning is not known here", hint);
        // Another element, or the end; after the end there is nothing more. Elements are not counted here: cost.cpp bounds
        // how often the first edge can be taken.
        State ended = state;
        found(ended)->total = 0;
        clobber(ended);
        ended.r[0] = Value::constant(0);
        ended.pc = state.pc + 1;
        if (found(state)->total > 0) {
            clobber(state);
            state.r[0].w = Range64::of_unsigned(1, Range64::kMax);
            state.pc++;
            next.push_back(state);
        }
        next.push_back(std::move(ended));
        return std::nullopt;
    } else if (name == "bpf_iter_num_destroy") {
        if (it.kind == Value::Kind::Frame) std::erase_if(state.iterators, [&](auto& x) { return x.offset == it.offset; });
        clobber(state);
    } else {
        for (unsigned i = 1; i <= 5; i++)
            if (state.reg(i).on_stack() && (!rule || rule->writes.pointer == static_cast<int>(i))) forget_stack(state, kFrameLow, kFrameHigh, false);
        clobber(state);
    }
    state.pc++;
    next.push_back(state);
    return std::nullopt;
}

void Machine::helper(State& state, const Insn& insn) const {
    const CallRule* rule = profile_.find_helper(insn.target);
    Writes writes = rule ? rule->writes : Writes{};
    if (!rule) {
        forget_stack(state, kFrameLow, kFrameHigh);
    } else if (writes.pointer) {
        Value to = state.reg(writes.pointer);
        Value size = writes.size_arg ? state.reg(writes.size_arg) : unknown();
        if (to.kind == Value::Kind::FrameAny) forget_stack(state, kFrameLow, kFrameHigh);
        if (to.kind == Value::Kind::Frame)
            forget_stack(state, to.offset, size.is_constant() && size.w.umin < 512 ? to.offset + static_cast<int64_t>(size.w.umin) : kFrameHigh);
    }
    Value map = state.reg(1);
    for (int i = 0; i <= 5; i++) state.r[i] = unknown();
    if (insn.target == BPF_FUNC_map_lookup_elem && map.kind == Value::Kind::Map) {
        state.r[0].kind = Value::Kind::MapValue;
        state.r[0].ref = map.ref;
    }
}

void Machine::function(State& state, const Insn& insn, const CallModel& call) const {
    Value result = call ? call(state, insn) : unknown();
    bool hands_out_stack = false;
    for (unsigned i = 1; i <= 5; i++) hands_out_stack |= state.reg(i).on_stack();
    // The callee may write all of our stack through it, also what it reaches from there; not a live iterator.
    if (hands_out_stack) forget_stack(state, kFrameLow, kFrameHigh, false);
    for (int i = 0; i <= 5; i++) state.r[i] = unknown();
    state.r[0] = result;
    if (static_cast<int>(insn.target) == mode_now_) {
        each_value(state, [](Value& v) { v.mode = false; });
        state.enforce = false;
        state.r[0].mode = true;
    }
    if (static_cast<int>(insn.target) == take_) {
        each_value(state, [](Value& v) { v.grant = Value::Grant::None; v.scale = v.add = 0; });
        state.granted = true;
        state.take_min = 0;
        state.r[0].grant = Value::Grant::Low;
        state.r[0].scale = 1, state.r[0].add = 0;
    }
}

std::optional<Rejected> Machine::step(const State& state, std::vector<State>& next, const CallModel& call) const {
    const Insn& insn = function_.insns[state.pc];
    if (insn.is_exit()) return std::nullopt;
    if (insn.loop_step) return loop_step(state, insn, next);
    if (insn.is_jump() && !insn.is_goto()) {
        branch(state, insn, next);
        return std::nullopt;
    }
    State s = state;
    if (insn.is_goto()) {
        s.pc = state.pc + 1 + static_cast<uint32_t>(insn.jump());
        next.push_back(std::move(s));
        return std::nullopt;
    }
    if (insn.is_call() && insn.ref == Ref::Kfunc) return kfunc(s, insn, next);
    if (insn.is_call() && insn.ref == Ref::Function) function(s, insn, call);
    else if (insn.is_call()) helper(s, insn);
    else if (insn.is_wide() && insn.dst < 10) {
        s.r[insn.dst] = insn.ref == Ref::None && !insn.core ? Value::constant(static_cast<uint64_t>(insn.imm64)) : unknown();
        if (insn.ref == Ref::Map) {
            s.r[insn.dst].kind = Value::Kind::Map;
            s.r[insn.dst].ref = static_cast<int32_t>(insn.target);
            s.r[insn.dst].w = Range64::of_unsigned(1, Range64::kMax);
        }
    } else if (insn.is_alu()) alu(s, insn);
    else if (insn.is_load()) load(s, insn);
    else if (insn.is_atomic()) atomic(s, insn);
    else if (insn.is_store()) store(s, insn);
    s.pc = state.pc + insn.width();
    next.push_back(std::move(s));
    return std::nullopt;
}

}  // namespace rmt::verify
