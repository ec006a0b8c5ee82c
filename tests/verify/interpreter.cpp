// SPDX-License-Identifier: MIT
#include "tests/verify/interpreter.h"

#include <fmt/format.h>

#include <cstring>

namespace rmt::verify::test {
namespace {

// Addresses: pointers are numbers far apart, so that arithmetic on one never meets another.
constexpr uint64_t kStack = 0x7000'0000'0000, kFrameBytes = 512, kFrames = 16;
constexpr uint64_t kElement = 0x6000'0000'0000;
constexpr uint64_t kMap = 0x5000'0000'0000, kMapValue = 0x4000'0000'0000, kMapSpan = 1ull << 32;
// Of domains that write to the kernel: any object of its, and what it hands to a program.
constexpr uint64_t kKernel = 0x1000'0000'0000, kContext = 0x2000'0000'0000, kObject = 8192, kObjects = 64;
constexpr uint64_t kEdges[] = {0, 1, 2, 3, 4, 15, 16, 31, 32, 33, 63, 64, 65, 255, 256, 1000, 50000, 0x7fffffff, 0x80000000, 0xffffffff,
                               0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~0ull - 1, 0xffffffff80000000};

uint64_t truncate(uint64_t value, int size) { return size == 8 ? value : value & ((uint64_t{1} << (8 * size)) - 1); }

}  // namespace

uint64_t Interpreter::any() {
    uint64_t pick = random_();
    if (pick % 16 < 5) return 2;  // RMT_MODE_ENFORCE, a small count, "not null": the way to the sink
    if (pick % 16 < 7) return random_() % 70;
    if (pick % 16 == 7) return random_();
    return kEdges[(pick >> 8) % std::size(kEdges)];
}

uint64_t Interpreter::read(uint64_t address, int size) {
    if (address >= kStack && address - kStack <= stack_.size() - static_cast<uint64_t>(size)) {
        uint64_t value = 0;
        std::memcpy(&value, stack_.data() + (address - kStack), static_cast<size_t>(size));
        return value;
    }
    if (address == kElement) return truncate(element_, size);
    if (in_kernel(address) && size == 8 && (address >= kContext || random_() % 2)) return kernel_pointer();
    uint64_t value = truncate(any(), size);
    int ctl = object_.find_map(profile_.control_map);
    if (ctl >= 0 && address == kMapValue + static_cast<uint64_t>(ctl) * kMapSpan && size == 4 && value == profile_.mode_enforce)
        for (Frame& frame : frames_) frame.saw_enforce = true;
    return value;
}

void Interpreter::write(uint64_t address, int size, uint64_t value) {
    if (address >= kStack && address - kStack <= stack_.size() - static_cast<uint64_t>(size))
        std::memcpy(stack_.data() + (address - kStack), &value, static_cast<size_t>(size));
}

void Interpreter::alu(const Insn& insn) {
    bool wide = insn.cls() == BPF_ALU64;
    uint64_t a = r_[insn.dst], b = insn.from_register() ? r_[insn.src] : static_cast<uint64_t>(int64_t{insn.imm});
    if (insn.core) b = any();
    if (!wide) a = static_cast<uint32_t>(a), b = static_cast<uint32_t>(b);
    int bits = wide ? 64 : 32;
    int64_t sa = wide ? static_cast<int64_t>(a) : static_cast<int32_t>(a), sb = wide ? static_cast<int64_t>(b) : static_cast<int32_t>(b);
    uint64_t r = 0;
    switch (insn.op()) {
        case BPF_ADD: r = a + b; break;
        case BPF_SUB: r = a - b; break;
        case BPF_MUL: r = a * b; break;
        case BPF_DIV: r = insn.off ? (sb == 0 ? 0 : sb == -1 ? 0 - a : static_cast<uint64_t>(sa / sb)) : b ? a / b : 0; break;
        case BPF_MOD: r = insn.off ? (sb == 0 ? a : sb == -1 ? 0 : static_cast<uint64_t>(sa % sb)) : b ? a % b : a; break;
        case BPF_AND: r = a & b; break;
        case BPF_OR: r = a | b; break;
        case BPF_XOR: r = a ^ b; break;
        case BPF_LSH: r = a << (b % static_cast<uint64_t>(bits)); break;
        case BPF_RSH: r = a >> (b % static_cast<uint64_t>(bits)); break;
        case BPF_ARSH: r = static_cast<uint64_t>(sa >> (b % static_cast<uint64_t>(bits))); break;
        case BPF_NEG: r = 0 - a; break;
        case BPF_MOV:
            r = insn.off == 8 ? static_cast<uint64_t>(int64_t{static_cast<int8_t>(b)}) : insn.off == 16 ? static_cast<uint64_t>(int64_t{static_cast<int16_t>(b)})
                : insn.off == 32 ? static_cast<uint64_t>(int64_t{static_cast<int32_t>(b)}) : b;
            break;
        default: r = any(); break;  // byte swaps
    }
    r_[insn.dst] = wide ? r : static_cast<uint32_t>(r);
}

bool Interpreter::jumps(const Insn& insn) const {
    bool wide = insn.cls() == BPF_JMP;
    uint64_t a = r_[insn.dst], b = insn.from_register() ? r_[insn.src] : static_cast<uint64_t>(int64_t{insn.imm});
    if (!wide) a = static_cast<uint32_t>(a), b = static_cast<uint32_t>(b);
    int64_t sa = wide ? static_cast<int64_t>(a) : static_cast<int32_t>(a), sb = wide ? static_cast<int64_t>(b) : static_cast<int32_t>(b);
    switch (insn.op()) {
        case BPF_JA: return true;
        case BPF_JEQ: return a == b;
        case BPF_JNE: return a != b;
        case BPF_JGT: return a > b;
        case BPF_JGE: return a >= b;
        case BPF_JLT: return a < b;
        case BPF_JLE: return a <= b;
        case BPF_JSGT: return sa > sb;
        case BPF_JSGE: return sa >= sb;
        case BPF_JSLT: return sa < sb;
        case BPF_JSLE: return sa <= sb;
        default: return (a & b) != 0;
    }
}

bool Interpreter::in_kernel(uint64_t address) const {
    const bool object = address >= kKernel && address < kKernel + kObjects * kObject;
    return !profile_.writers.empty() && (object || (address >= kContext && address < kContext + kObject));
}

uint64_t Interpreter::kernel_pointer() { return kKernel + kObject / 2 + random_() % (kObjects - 1) * kObject; }

void Interpreter::at_entry(const Function& callee) {
    const Function* caller = frames_.empty() ? nullptr : &object_.functions[frames_.back().function];
    const Writer* writer = profile_.find_writer(callee.name);
    const bool enforce = has_mode_ && mode_ == profile_.mode_enforce;
    if (callee.name == profile_.event_function) acts_in_event_ = 0;
    if (callee.name == profile_.act_function) {
        seen_.sinks++;
        if (++acts_in_event_ > 1) violate("acts twice in one event");
    }
    if (!caller || !writer || !writer->acts()) return;
    if (!enforce) violate(callee.name + " although the mode is " + std::to_string(has_mode_ ? static_cast<int>(mode_) : -1));
    if (caller->name != profile_.act_function) violate(callee.name + " called by " + caller->name);
}

void Interpreter::at_kernel_store(const Insn& insn, uint64_t address, uint64_t value) {
    const Function& function = object_.functions[frames_.back().function];
    const std::string field = insn.field ? object_.fields[insn.field - 1] : "";
    const int size = insn.size();
    value = truncate(value, size);
    seen_.kernel_stores++;
    if (address >= kContext) {
        const ProgramRule* rule = profile_.find_program(function.section);
        if (!rule || rule->context_zero.empty() || field != rule->context_zero || value || size != 4) violate(function.name + " sets " + field + " of its context");
        return;
    }
    const Writer* writer = profile_.find_writer(function.name);
    if (!writer) return violate(function.name + " stores into the kernel");
    uint64_t lo = writer->lo, hi = writer->hi;
    if (writer->range == Writer::Range::Window) lo = promises_.window_lo, hi = promises_.window_hi;
    if (writer->range == Writer::Range::Pacing) lo = promises_.pacing_lo, hi = promises_.pacing_hi;
    if (field != writer->field || size != static_cast<int>(writer->bytes)) violate(fmt::format("{} stores {} bytes of {}", function.name, size, field));
    if (value < lo || value > hi) violate(fmt::format("{} stores {}", function.name, value));
}

void Interpreter::at_answer(const Function& program) {
    for (const Control& control : object_.controls)
        for (const auto& [member, function] : control.functions) {
            if (&object_.functions[function] != &program || !profile_.control_members.at(member)) continue;
            bool known = false;
            for (uint64_t answer : answers_) known |= static_cast<uint32_t>(answer) == static_cast<uint32_t>(r_[0]);
            if (!known) violate(program.name + " answers something of its own");
        }
}

void Interpreter::at_sink(uint64_t map) {
    const std::string& name = object_.maps[(map - kMap) / kMapSpan].name;
    bool guarded = profile_.guarded.count(name) > 0;
    if (name != profile_.sink_map && !guarded) return;
    if (!has_mode_ || mode_ != profile_.mode_enforce) violate("acts although the mode is " + std::to_string(has_mode_ ? static_cast<int>(mode_) : -1));
    if (guarded) return;
    seen_.sinks++;
    uint64_t size = r_[3], least = profile_.sink_header;
    if (size < least || size > least + profile_.sink_unit * promises_.max_units) violate(fmt::format("size {}", size));
    if (!has_grant_ || size > least + profile_.sink_unit * uint64_t{granted_}) violate(fmt::format("size {} with a grant of {}", size, has_grant_ ? granted_ : 0));
}

bool Interpreter::helper(const Insn& insn) {
    const CallRule* rule = profile_.find_helper(insn.target);
    if (!rule) return false;
    seen_.calls[rule->name]++;
    uint64_t map = r_[1], answer = any();
    bool is_map = map >= kMap && map < kMap + object_.maps.size() * kMapSpan;
    if (insn.target == BPF_FUNC_ringbuf_output && is_map) at_sink(map);
    if (rule->writes.pointer) {
        uint64_t size = rule->writes.size_arg ? r_[rule->writes.size_arg] : 8;
        for (uint64_t i = 0; i < size && i < 512; i++) write(r_[rule->writes.pointer] + i, 1, any());
    }
    for (auto& [arg, number] : rule->fixed)
        if (static_cast<uint32_t>(r_[arg]) != number) violate(fmt::format("{} with {} as argument {}", rule->name, r_[arg], arg));
    if (rule->gives_kernel) answer = random_() % 8 == 0 ? 0 : kernel_pointer();
    if (insn.target == BPF_FUNC_sk_storage_get) answer = random_() % 8 == 0 ? 0 : kMapValue + (map - kMap);
    if (insn.target == BPF_FUNC_map_lookup_elem) answer = random_() % 8 == 0 ? 0 : is_map ? kMapValue + (map - kMap) : 0x3000'0000'0000;
    for (int i = 1; i <= 5; i++) r_[i] = any();
    r_[0] = answer;
    return true;
}

bool Interpreter::kfunc(const Insn& insn) {
    const std::string& name = object_.externs[insn.target];
    seen_.calls[name]++;
    uint64_t it = r_[1], answer = 0;
    if (name == "bpf_iter_num_new") {
        iterators_[it] = {static_cast<int32_t>(r_[2]), static_cast<int32_t>(r_[3])};
    } else if (name == "bpf_iter_num_next") {
        auto& [at, end] = iterators_[it];
        if (at < end) element_ = static_cast<uint64_t>(at++), answer = kElement;
        else at = end = 0;
    } else if (name == "bpf_iter_num_destroy") {
        iterators_.erase(it);
    } else {
        const CallRule* rule = profile_.find_kfunc(name);
        if (!rule || rule->programs.empty()) return false;
        answer = random_();
        answers_.push_back(answer);
    }
    for (int i = 1; i <= 5; i++) r_[i] = any();
    r_[0] = answer;
    return true;
}

// The kernel may end any loop at may_goto.
void Interpreter::loop_step(const Insn& insn, Frame& frame) {
    const uint64_t counter = r_[10] + static_cast<uint64_t>(insn.imm64), turn = read(counter, 8);
    if (random_() % 64 == 0 || turn >= static_cast<uint64_t>(insn.imm)) {
        frame.pc = static_cast<uint32_t>(frame.pc - insn.width() + 1 + insn.jump());
        r_[insn.dst] = any();
        return;
    }
    r_[insn.dst] = turn + 1;
    write(counter, 8, turn + 1);
}

bool Interpreter::enter(uint32_t function) {
    if (frames_.size() >= kFrames) return false;
    at_entry(object_.functions[function]);
    Frame frame{function, 0, {}, r_[2], false};
    std::memcpy(frame.saved, r_ + 6, sizeof(frame.saved));
    frames_.push_back(frame);
    for (int i = 6; i <= 9; i++) r_[i] = any();  // the kernel lets nobody read the caller's
    r_[10] = kStack + kFrameBytes * frames_.size();
    for (uint64_t i = 0; i < kFrameBytes; i += 8) write(r_[10] - kFrameBytes + i, 8, any());
    return true;
}

bool Interpreter::leave() {
    Frame frame = frames_.back();
    frames_.pop_back();
    const std::string& name = object_.functions[frame.function].name;
    if (name == profile_.mode_function) {
        has_mode_ = true, mode_ = static_cast<uint32_t>(r_[0]);
        if (mode_ == profile_.mode_enforce && !frame.saw_enforce) seen_.violations.push_back("the mode is enforce although the control map does not say so");
    }
    if (name == profile_.take_function) {
        has_grant_ = true, granted_ = static_cast<uint32_t>(r_[0]);
        if (granted_ > static_cast<uint32_t>(frame.asked)) seen_.violations.push_back(fmt::format("granted {} of {}", granted_, static_cast<uint32_t>(frame.asked)));
    }
    std::memcpy(r_ + 6, frame.saved, sizeof(frame.saved));
    for (int i = 1; i <= 5; i++) r_[i] = any();
    return !frames_.empty();
}

Observed Interpreter::run(const std::string& name, uint64_t most) {
    const Function* start = object_.find_function(name);
    seen_ = {}, frames_.clear(), iterators_.clear();
    has_mode_ = has_grant_ = false;
    acts_in_event_ = 0;
    answers_.clear();
    stack_.assign(kFrameBytes * (kFrames + 1), 0);
    for (uint64_t& r : r_) r = any();
    if (start && !profile_.writers.empty()) {
        const ProgramRule* rule = start->program ? profile_.find_program(start->section) : nullptr;
        const bool takes_socket = profile_.find_writer(name) || name == profile_.act_function || name == profile_.event_function;
        if (takes_socket) r_[1] = kernel_pointer();
        else if (rule && !rule->tool) r_[1] = kContext;
    }
    if (!start || !enter(static_cast<uint32_t>(start - object_.functions.data()))) return seen_;
    while (seen_.insns < most) {
        Frame& frame = frames_.back();
        const Function& function = object_.functions[frame.function];
        if (frame.pc >= function.insns.size()) return seen_;
        const Insn& insn = function.insns[frame.pc];
        seen_.insns++;
        frame.pc += insn.width();
        if (insn.loop_step) {
            seen_.insns += Insn::kLoopStep - 1;
            loop_step(insn, frame);
        } else if (insn.is_exit()) {
            if (function.program) at_answer(function);
            if (!leave()) { seen_.finished = true; return seen_; }
        } else if (insn.is_call() && insn.ref == Ref::Function) {
            const Function& callee = object_.functions[insn.target];
            if (callee.name == profile_.take_function && (r_[3] > promises_.rate || r_[4] < promises_.window_ns))
                seen_.violations.push_back(fmt::format("bucket asked with {} per {}", r_[3], r_[4]));
            if (!enter(insn.target)) return seen_;
        } else if (insn.is_call()) {
            if (!(insn.ref == Ref::Helper ? helper(insn) : kfunc(insn))) return seen_;
        } else if (insn.is_jump()) {
            if (jumps(insn)) frame.pc = static_cast<uint32_t>(frame.pc + insn.jump());
        } else if (insn.is_wide()) {
            r_[insn.dst] = insn.ref == Ref::Map ? kMap + insn.target * kMapSpan : insn.ref == Ref::None && !insn.core ? static_cast<uint64_t>(insn.imm64) : any();
        } else if (insn.is_alu()) {
            alu(insn);
        } else if (insn.is_load()) {
            uint64_t value = insn.core && !in_kernel(r_[insn.src]) ? any() : read(r_[insn.src] + static_cast<uint64_t>(int64_t{insn.off}), insn.size());
            if (insn.mode() == BPF_MEMSX) value = static_cast<uint64_t>(static_cast<int64_t>(value << (64 - 8 * insn.size())) >> (64 - 8 * insn.size()));
            r_[insn.dst] = value;
        } else if (insn.is_atomic()) {
            uint64_t address = r_[insn.dst] + static_cast<uint64_t>(int64_t{insn.off}), old = read(address, insn.size());
            write(address, insn.size(), any());
            if (insn.imm == BPF_CMPXCHG) r_[0] = old;
            else if (insn.imm & BPF_FETCH) r_[insn.src] = old;
        } else {
            const uint64_t address = r_[insn.dst] + static_cast<uint64_t>(int64_t{insn.off}), value = insn.cls() == BPF_STX ? r_[insn.src] : static_cast<uint64_t>(int64_t{insn.imm});
            if (in_kernel(address)) at_kernel_store(insn, address, value);
            else write(address, insn.size(), value);
        }
    }
    return seen_;
}

}  // namespace rmt::verify::test
