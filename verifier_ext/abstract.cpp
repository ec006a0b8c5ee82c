// SPDX-License-Identifier: MIT
#include "verifier_ext/abstract.h"

namespace rmt::verify {
namespace {

Value forgotten(const Value& v) {
    Value r;
    if (v.on_stack()) r.kind = Value::Kind::FrameAny;
    return r;
}

// What cost.cpp keeps: constants, addresses, whether r0 may be null.
Value constants_of(const Value& v, bool keep_not_null, bool give_up) {
    Value r;
    r.kind = v.kind;
    switch (v.kind) {
        case Value::Kind::Frame: return Value::frame(v.offset);
        case Value::Kind::FrameAny: return r;
        case Value::Kind::Map: r.ref = v.ref; r.w = Range64::of_unsigned(1, Range64::kMax); return r;
        case Value::Kind::MapValue: r.ref = v.ref; break;
        case Value::Kind::Scalar:
            if (v.is_constant() && !give_up) return Value::constant(v.w.umin);
            break;
    }
    if (keep_not_null && v.not_null()) r.w = Range64::of_unsigned(1, Range64::kMax);
    return r;
}

void put(std::string& key, const void* bytes, size_t size) { key.append(static_cast<const char*>(bytes), size); }
template <class T>
void put(std::string& key, T value) { put(key, &value, sizeof(value)); }

template <int N>
void put_range(std::string& key, const Range<N>& range) {
    put(key, range.umin), put(key, range.umax), put(key, range.smin), put(key, range.smax);
}

// One byte for the common values, all fields for the others.
void put_value(std::string& key, const Value& v) {
    bool plain = !v.mode && !v.ctl_mode && v.grant == Value::Grant::None && !v.id && !v.id_low;
    if (plain && v.kind == Value::Kind::Scalar && v.w.is_top() && v.h.is_top()) { key += '\0'; return; }
    if (plain && v.is_constant()) { key += '\1'; put(key, v.w.umin); return; }
    key += '\2';
    put(key, v.kind), put(key, v.mode), put(key, v.ctl_mode), put(key, v.grant);
    put(key, v.ref), put(key, v.offset), put(key, v.scale), put(key, v.add), put(key, v.id), put(key, v.id_low), put(key, v.delta);
    put_range(key, v.w), put_range(key, v.h);
}

}  // namespace

void reduce(State& state, const Cfg& cfg, uint32_t index, const Reduction& reduction) {
    const Block& block = cfg.blocks[index];
    const Loop* loop = cfg.loop_at[index] >= 0 ? &cfg.loops[static_cast<size_t>(cfg.loop_at[index])] : nullptr;
    if (loop && !loop->iterates) loop = nullptr;
    for (unsigned i = 0; i < 10; i++) {
        Value& v = state.r[i];
        if (!(block.live.regs >> i & 1)) v = Value{};
        else if (loop && (loop->changed.regs >> i & 1)) v = forgotten(v);
        else if (reduction.constants_only) v = constants_of(v, i == 0, reduction.give_up_constants);
    }
    std::erase_if(state.slots, [&](const Slot& slot) { return !(stack_word(slot.offset) & block.live.words); });
    for (Slot& slot : state.slots) {
        if (loop && (stack_word(slot.offset) & loop->changed.words)) slot.value = forgotten(slot.value);
        else if (reduction.constants_only) slot.value = constants_of(slot.value, false, reduction.give_up_constants);
    }
    if (reduction.constants_only) state.granted = state.enforce = state.ctl_enforce = false, state.take_min = 0;
}

std::string key_of(const State& state) {
    std::string key;
    put(key, state.pc);
    for (const Value& v : state.r) put_value(key, v);
    for (const Slot& slot : state.slots) put(key, slot.offset), put(key, slot.size), put_value(key, slot.value);
    key += '|';
    for (const Iterator& it : state.iterators) put(key, it.offset), put(key, it.total), put(key, it.counted);
    put(key, state.granted), put(key, state.take_min), put(key, state.enforce), put(key, state.ctl_enforce);
    return key;
}

}  // namespace rmt::verify
