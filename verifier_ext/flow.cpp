// SPDX-License-Identifier: MIT
#include "verifier_ext/flow.h"

#include <fmt/format.h>

#include <unordered_set>

#include "verifier_ext/abstract.h"
#include "verifier_ext/cfg.h"

namespace rmt::verify {
namespace {
constexpr size_t kMaxStates = 50'000;
}

FlowEnd walk(const Object& object, const Profile& profile, const Function& function, const State& entry, const std::string& policy,
             const std::function<void(const State&, const Insn&)>& visit) {
    Cfg cfg = make_cfg(object, function);
    Machine machine(object, profile, function);
    std::unordered_set<std::string> seen;
    std::vector<State> work = {entry};
    std::vector<State> next;
    while (!work.empty()) {
        State state = std::move(work.back());
        work.pop_back();
        while (true) {
            visit(state, function.insns[state.pc]);
            next.clear();
            uint32_t pc = state.pc;
            if (auto rejected = machine.step(state, next, {})) {
                rejected->place = object.place(function, pc, policy);
                return {rejected, std::nullopt};
            }
            if (next.size() != 1 || cfg.block_at[next[0].pc] >= 0) break;
            state = std::move(next[0]);
        }
        for (State& s : next) {
            reduce(s, cfg, static_cast<uint32_t>(cfg.block_at[s.pc]), {false, false});
            if (seen.insert(key_of(s)).second) work.push_back(std::move(s));
        }
        if (seen.size() > kMaxStates)
            return {std::nullopt, Undecided{"sink", "V0208", fmt::format("'{}' has too many different paths to follow each", function.name),
                                            object.place(function, 0, policy), "keep the function that acts small; it comes with the library"}};
    }
    return {};
}

SinkSites find_sinks(const Object& object, const Profile& profile, const Function& function, const std::string& map_name, const std::string& policy) {
    SinkSites sites;
    int sink = object.find_map(map_name);
    sites.end = walk(object, profile, function, Machine::entry(), policy, [&](const State& state, const Insn& insn) {
        if (insn.is_call() && insn.ref == Ref::Function && object.functions[insn.target].name == profile.take_function) sites.takes.push_back(state);
        if (!insn.is_call() || insn.ref != Ref::Helper || insn.target != BPF_FUNC_ringbuf_output) return;
        Value map = state.reg(1);
        if (map.kind == Value::Kind::Map && map.ref != sink) return;  // an observation
        sites.sinks.push_back(state);
    });
    return sites;
}

}  // namespace rmt::verify
