// SPDX-License-Identifier: MIT
#include "verifier_ext/kernel_writes.h"

#include <fmt/format.h>

#include <algorithm>

#include "verifier_ext/provenance.h"
#include "verifier_ext/shape.h"

namespace rmt::verify {
namespace {

struct Bounds {
    uint64_t lo = 0, hi = 0;
    uint32_t line = 0;  // of the policy, where they stand
    const char* unit = "";
};

Bounds bounds_of(const Writer& writer, const Manifest& manifest) {
    switch (writer.range) {
        case Writer::Range::Window: return {manifest.tcp->cwnd_min, manifest.tcp->cwnd_max, manifest.tcp->line_cwnd, " segments"};
        case Writer::Range::Pacing: return {manifest.tcp->pacing_min, manifest.tcp->pacing_max, manifest.tcp->line_pacing, " bytes/s"};
        case Writer::Range::Fixed: break;
    }
    return {writer.lo, writer.hi, 0, ""};
}

bool matches_any(const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](auto& pattern) { return name_matches(pattern, name); });
}

// One walk over everything that a program may reach.
class WritePass {
public:
    WritePass(const Object& object, const Profile& profile, const Manifest& manifest)
        : object_(object), profile_(profile), manifest_(manifest), policy_(object.functions.size(), false), programs_(object.functions.size()),
          stores_(object.functions.size()) {}

    std::optional<Rejected> run();
    // Slots of a writer's stores into the kernel.
    const std::vector<uint32_t>& stores(const Function& function) const { return stores_[static_cast<size_t>(&function - object_.functions.data())]; }

private:
    std::optional<Rejected> check_programs();
    void look(uint32_t function, uint32_t slot, const Origins& before, const Provenance& provenance);
    void look_at_store(uint32_t function, uint32_t slot, const Origins& before);
    void look_at_call(uint32_t function, uint32_t slot, const Origins& before, const Provenance& provenance);
    void look_at_exit(uint32_t function, uint32_t slot, const Origins& before);
    void look_at_rule(uint32_t function, uint32_t slot, const Origins& before, const CallRule& rule);
    void reject(uint32_t function, uint32_t slot, std::string id, std::string message, std::string hint, std::vector<std::string> because = {});
    const std::string& name(uint32_t function) const { return object_.functions[function].name; }

    const Object& object_;
    const Profile& profile_;
    const Manifest& manifest_;
    std::vector<bool> policy_;                      // by function: a handler reaches it
    std::vector<std::vector<uint32_t>> programs_;   // by function: programs that reach it
    std::vector<std::vector<uint32_t>> stores_;
    std::optional<Rejected> first_;
};

void WritePass::reject(uint32_t function, uint32_t slot, std::string id, std::string message, std::string hint, std::vector<std::string> because) {
    if (first_) return;
    first_ = Rejected{"kernel writes", std::move(id), std::move(message), object_.place(object_.functions[function], slot, manifest_.source), std::move(because), std::move(hint)};
}

// Who may reach what, without looking at values.
std::optional<Rejected> WritePass::check_programs() {
    auto acts = [&](uint32_t callee) { return profile_.find_writer(name(callee)) || name(callee) == profile_.act_function; };
    auto handles = [&](uint32_t callee) { return std::count(profile_.handlers.begin(), profile_.handlers.end(), name(callee)) > 0; };
    for (uint32_t i = 0; i < object_.functions.size(); i++) {
        if (!handles(i)) continue;
        for (uint32_t callee : reachable(object_, i)) {
            policy_[callee] = true;
            if (acts(callee)) reject(i, 0, "V0903", fmt::format("the policy's code in '{}' reaches '{}'", name(i), name(callee)), "assign cwnd, ssthresh or pacing; the library carries it out");
        }
    }
    for (uint32_t i = 0; i < object_.functions.size(); i++) {
        const Function& function = object_.functions[i];
        if (!function.program) continue;
        const ProgramRule* rule = profile_.find_program(function.section);
        for (uint32_t callee : reachable(object_, i)) {
            programs_[callee].push_back(i);
            if (rule && ((rule->apart && (handles(callee) || acts(callee))) || (rule->tool && acts(callee))))
                reject(i, 0, "V0904", fmt::format("'{}' ({}) reaches '{}'", function.name, function.section, name(callee)),
                       rule->tool ? "a tool runs the policy's code and writes nothing" : "who is governed is decided apart from the policy");
        }
    }
    return first_;
}

void WritePass::look_at_store(uint32_t function, uint32_t slot, const Origins& before) {
    const Function& f = object_.functions[function];
    const Insn& insn = f.insns[slot];
    const Origin base = before.r[insn.dst];
    if (!base.kernel()) return;
    const Writer* writer = profile_.find_writer(f.name);
    const std::string& field = insn.field ? object_.fields[insn.field - 1] : "";
    if (writer) {
        stores_[function].push_back(slot);
        if (field == writer->field && insn.is_store() && static_cast<uint32_t>(insn.size()) == writer->bytes && !(base.bits & ~Origin::kKernel)) return;
        return reject(function, slot, "V0902", fmt::format("'{}' stores {} bytes to {}, expected {} bytes to {}", f.name, insn.size(), field.empty() ? "a place without a name" : field, writer->bytes, writer->field),
                      "each function that writes to the kernel writes one member, by its name (CO-RE)");
    }
    const ProgramRule* rule = f.program ? profile_.find_program(f.section) : nullptr;
    const Origin value = insn.cls() == BPF_STX ? before.r[insn.src] : Origin::constant(insn.imm);
    const bool zero = insn.is_store() && insn.size() == 4 && !value.bits && value.exact && value.number == 0;
    const bool context = base.bits == Origin::kContext && base.exact && base.number == 0;
    if (rule && !rule->context_zero.empty() && zero && context && field == rule->context_zero) return;
    std::string writers;
    for (const Writer& w : profile_.writers) writers += (writers.empty() ? "" : ", ") + w.function;
    reject(function, slot, "V0901", fmt::format("'{}' stores through a pointer that may be the kernel's{}", f.name, field.empty() ? "" : " (" + field + ")"),
           "write what a policy sets in its event; the library carries it out", {"only these do: " + writers});
}

void WritePass::look_at_rule(uint32_t function, uint32_t slot, const Origins& before, const CallRule& rule) {
    const std::string& f = name(function);
    if (rule.library && policy_[function])
        return reject(function, slot, "V0903", fmt::format("the policy's code calls {} in '{}'", rule.name, f), "only the library has to do with the kernel's objects");
    for (uint32_t program : programs_[function]) {
        const Function& p = object_.functions[program];
        const std::string section = p.section.starts_with('?') ? p.section.substr(1) : p.section;
        if (rule.programs.empty() || matches_any(rule.programs, section)) continue;
        return reject(function, slot, "V0905", fmt::format("{} is reached from '{}' ({})", rule.name, p.name, p.section), fmt::format("it belongs to programs of section {}", fmt::join(rule.programs, ", ")));
    }
    for (auto& [arg, number] : rule.fixed) {
        const Origin& given = before.r[static_cast<size_t>(arg)];
        if (!given.bits && given.exact && static_cast<uint32_t>(given.number) == number) continue;
        return reject(function, slot, "V0905", fmt::format("{} has {} as argument {}, expected {}", rule.name, !given.bits && given.exact ? std::to_string(given.number) : "something unknown", arg, number),
                      "only the name of a control is read or set");
    }
    if (rule.writes.pointer && before.r[static_cast<size_t>(rule.writes.pointer)].kernel())
        reject(function, slot, "V0901", fmt::format("{} may write into the kernel in '{}'", rule.name, f), "hand it the address of a variable");
}

void WritePass::look_at_call(uint32_t function, uint32_t slot, const Origins& before, const Provenance& provenance) {
    const Insn& insn = object_.functions[function].insns[slot];
    if (insn.ref != Ref::Function) {
        const CallRule* rule = insn.ref == Ref::Helper ? profile_.find_helper(insn.target) : profile_.find_kfunc(object_.externs[insn.target]);
        if (rule) look_at_rule(function, slot, before, *rule);
        return;
    }
    const std::string& callee = name(insn.target);
    const Writer* writer = profile_.find_writer(callee);
    auto only = [&](const std::string& caller) {
        if (name(function) != caller) reject(function, slot, "V0904", fmt::format("'{}' is called by '{}', expected only by '{}'", callee, name(function), caller), "what a policy sets is carried out in one place, behind the mode");
    };
    if (writer && writer->acts()) only(profile_.act_function);
    if (callee == profile_.act_function) only(profile_.event_function);
    if (!policy_[insn.target]) return;
    for (unsigned i = 1; i <= 5; i++) {
        const Origin& given = before.r[i];
        // Between functions of the policy its own stack may go around: nothing of the kernel's can lie there.
        const bool bad = policy_[function] ? given.kernel() : given.bits != 0;
        if (!bad || !provenance.reads(insn.target, i)) continue;
        return reject(function, slot, "V0903", fmt::format("the policy's code in '{}' is handed a pointer {} as argument {}", callee, given.kernel() ? "that may be the kernel's" : "to a stack of the library's", i),
                      "hand it the event, which holds numbers");
    }
}

// What the kernel stores of a program's answer (a window, a threshold) is what its own algorithm answered, unchanged.
void WritePass::look_at_exit(uint32_t function, uint32_t slot, const Origins& before) {
    for (const Control& control : object_.controls)
        for (const auto& [member, program] : control.functions) {
            auto known = profile_.control_members.find(member);
            if (program != function || known == profile_.control_members.end() || !known->second || before.r[0].answer) continue;
            return reject(function, slot, "V0906", fmt::format("'{}' may answer for '{}' something else than the kernel's own algorithm did", name(function), member),
                          "return what the base's function returned", {"the kernel stores this answer, and no limit lies behind it"});
        }
}

void WritePass::look(uint32_t function, uint32_t slot, const Origins& before, const Provenance& provenance) {
    const Insn& insn = object_.functions[function].insns[slot];
    if (insn.is_store() || insn.is_atomic()) look_at_store(function, slot, before);
    if (insn.is_exit() && object_.functions[function].program) look_at_exit(function, slot, before);
    if (insn.is_call()) look_at_call(function, slot, before, provenance);
}

std::optional<Rejected> WritePass::run() {
    if (auto rejected = check_programs()) return rejected;
    Provenance provenance(object_, profile_);
    provenance.visit([&](uint32_t function, uint32_t slot, const Origins& before) { look(function, slot, before, provenance); });
    return first_;
}

// Soundness. Every store of a writer into the kernel was found by the provenance pass, whatever its paths. walk() visits every state
// that reaches it, with ranges that hold every value the register can have there; of a store of 4 bytes the low half counts.
FlowEnd check_writer(const Object& object, const Profile& profile, const Manifest& manifest, const Writer& writer, const WritePass& pass, std::vector<WriteFact>& proved) {
    const Function* function = object.find_function(writer.function);
    if (!function) return {};
    const std::vector<uint32_t>& stores = pass.stores(*function);
    const Bounds limit = bounds_of(writer, manifest);
    std::optional<Rejected> rejected;
    WriteFact fact{writer.function, writer.field, UINT64_MAX, 0};
    FlowEnd end = walk(object, profile, *function, Machine::entry(), manifest.source, [&](const State& state, const Insn& insn) {
        if (rejected || std::count(stores.begin(), stores.end(), state.pc) == 0) return;
        Value value = insn.cls() == BPF_STX ? state.reg(insn.src) : Value::constant(static_cast<uint64_t>(int64_t{insn.imm}));
        if (value.kind != Value::Kind::Scalar) value = Value{};
        const uint64_t lo = writer.bytes == 4 ? value.h.umin : value.w.umin, hi = writer.bytes == 4 ? value.h.umax : value.w.umax;
        fact.lo = std::min(fact.lo, lo), fact.hi = std::max(fact.hi, hi);
        if (lo >= limit.lo && hi <= limit.hi) return;
        Place place = object.place(*function, state.pc, manifest.source);
        std::vector<std::string> because = {fmt::format("'{}' stores {}..{} ({}:{})", writer.function, lo, hi, place.file, place.line)};
        if (limit.line) place.file = manifest.source, place.line = limit.line, place.column = 1;
        if (limit.line) because.push_back(fmt::format("the policy's limit is {}..{}{} ({}:{})", limit.lo, limit.hi, limit.unit, manifest.source, limit.line));
        rejected = Rejected{"sink range", "V0405", fmt::format("{} may become {}, the limit is {}..{}", writer.field, lo < limit.lo ? lo : hi, limit.lo, limit.hi),
                            place, because, "compare with both limits as unsigned, right before the store"};
    });
    if (!end.finished()) return end;
    if (rejected) return {rejected, std::nullopt};
    if (!stores.empty() && fact.lo <= fact.hi) proved.push_back(fact);
    return {};
}

}  // namespace

std::optional<Rejected> check_write_limits(const Profile& profile, const Manifest& manifest) {
    auto reject = [&](std::string id, uint32_t line, std::string message, std::string hint) {
        Place place;
        if (line) place.file = manifest.source, place.line = line;
        return Rejected{"sink range", std::move(id), std::move(message), place, {}, std::move(hint)};
    };
    if (!manifest.tcp) return reject("V0008", 0, fmt::format("the manifest has no limits of domain {}", profile.domain), "compile the policy again");
    for (const Writer& writer : profile.writers) {
        if (!writer.acts()) continue;
        const Bounds limit = bounds_of(writer, manifest);
        if (limit.lo >= writer.lo && limit.hi <= writer.hi && limit.lo <= limit.hi) continue;
        return reject("V0406", limit.line, fmt::format("the limit of {} is {}..{}{}, expected within {}..{}", writer.field, limit.lo, limit.hi, limit.unit, writer.lo, writer.hi),
                      writer.range == Writer::Range::Window ? "write `cwnd in 4..65536`" : "write `pacing in 100KB/s..1GB/s`");
    }
    return std::nullopt;
}

FlowEnd check_kernel_writes(const Object& object, const Profile& profile, const Manifest& manifest, std::vector<WriteFact>& proved) {
    WritePass pass(object, profile, manifest);
    if (auto rejected = pass.run()) return {rejected, std::nullopt};
    for (const Writer& writer : profile.writers) {
        FlowEnd end = check_writer(object, profile, manifest, writer, pass, proved);
        if (!end.finished()) return end;
    }
    return {};
}

// As guard.cpp: State::enforce is set on the one edge on which the last answer of rmt_mode_now equals RMT_MODE_ENFORCE.
FlowEnd check_act_guard(const Object& object, const Profile& profile, const Manifest& manifest) {
    const Function& function = *object.find_function(profile.act_function);
    std::optional<Rejected> rejected;
    FlowEnd end = walk(object, profile, function, Machine::entry(), manifest.source, [&](const State& state, const Insn& insn) {
        if (rejected || state.enforce || !insn.is_call() || insn.ref != Ref::Function) return;
        const Writer* writer = profile.find_writer(object.functions[insn.target].name);
        if (!writer) return;
        rejected = Rejected{"guard", "V0601", fmt::format("'{}' may be called although the mode is not enforce", writer->function), object.place(function, state.pc, manifest.source),
                            {fmt::format("a path reaches it on which the answer of '{}' was not compared with RMT_MODE_ENFORCE, or differed", profile.mode_function)},
                            fmt::format("return unless {}(cg) == RMT_MODE_ENFORCE", profile.mode_function)};
    });
    if (end.finished()) end.rejected = rejected;
    return end;
}

}  // namespace rmt::verify
