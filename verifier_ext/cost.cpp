// SPDX-License-Identifier: MIT
#include "verifier_ext/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "verifier_ext/abstract.h"
#include "verifier_ext/cfg.h"
#include "verifier_ext/longest.h"
#include "verifier_ext/machine.h"
#include "verifier_ext/shape.h"

namespace rmt::verify {
namespace {

// Components of a cost: instructions, picoseconds, acts, then one for each helper and kernel function of the object.
enum : size_t { kInsns, kPicoseconds, kSinks, kFirstCall };

struct Summary {
    Cost cost;
    Value result;
};

class CostPass {
public:
    CostPass(const Object& object, const Profile& profile, const Calibration& calibration, const CostLimits& limits, const std::string& policy)
        : object_(object), profile_(profile), calibration_(calibration), limits_(limits), policy_(policy), cfgs_(object.functions.size()) {}

    CostResult run();

private:
    struct Exploration;
    const Summary* summarize(uint32_t function, const std::array<Value, 5>& args);
    bool expand(Exploration& x, uint32_t node);
    void charge(const Function& function, const Insn& insn, Cost& cost);
    bool check_map(const Function& function, const State& state, Cost& cost);
    const Summary* call(const State& state, const Insn& insn);
    void note_begin(Exploration& x, uint32_t node, uint32_t slot, int32_t iterator, const State& after);
    size_t dimension(const std::string& name);
    const Cfg& cfg(uint32_t function);
    bool reject(std::string property, std::string id, std::string message, Place place, std::string hint, std::vector<std::string> because = {});

    const Object& object_;
    const Profile& profile_;
    const Calibration& calibration_;
    CostLimits limits_;
    std::string policy_;
    std::vector<std::optional<Cfg>> cfgs_;
    std::map<std::string, size_t> dimension_;
    std::map<std::string, Summary> memo_;
    std::map<std::pair<std::string, uint32_t>, LoopFact> loops_;
    uint64_t states_ = 0;
    CostResult out_;
};

// The graph of one function called with certain arguments.
struct CostPass::Exploration {
    const Function& function;
    const Cfg& cfg;
    Machine machine;
    std::vector<CostNode> nodes;
    std::vector<State> states;  // of nodes that are not expanded yet; emptied afterwards
    std::vector<uint32_t> blocks;
    std::unordered_map<std::string, uint32_t> index;
    std::vector<size_t> seen;   // states by block
    std::optional<Value> result;

    Exploration(const Object& object, const Profile& profile, const Function& f, const Cfg& c)
        : function(f), cfg(c), machine(object, profile, f), seen(c.blocks.size(), 0) {}
};

bool CostPass::reject(std::string property, std::string id, std::string message, Place place, std::string hint, std::vector<std::string> because) {
    if (!out_.rejected) out_.rejected = Rejected{std::move(property), std::move(id), std::move(message), std::move(place), std::move(because), std::move(hint)};
    return false;
}

size_t CostPass::dimension(const std::string& name) { return dimension_.at(name); }

const Cfg& CostPass::cfg(uint32_t function) {
    if (!cfgs_[function]) cfgs_[function] = make_cfg(object_, object_.functions[function]);
    return *cfgs_[function];
}

void CostPass::charge(const Function&, const Insn& insn, Cost& cost) {
    double ns = calibration_.insn;
    if (insn.is_alu() && (insn.op() == BPF_DIV || insn.op() == BPF_MOD)) ns = calibration_.divide;
    else if (insn.is_atomic()) ns = calibration_.atomic;
    else if (insn.is_load() || insn.is_store()) ns = calibration_.memory;
    if (insn.is_call() && insn.ref == Ref::Function) ns = calibration_.call;
    if (insn.loop_step) ns = 2 * calibration_.memory + 3 * calibration_.insn;
    if (insn.is_call() && insn.ref != Ref::Function) {
        const CallRule* rule = insn.ref == Ref::Helper ? profile_.find_helper(insn.target) : profile_.find_kfunc(object_.externs[insn.target]);
        cost[dimension(rule->name)]++;
        auto measured = calibration_.calls.find(rule->name);
        ns = measured == calibration_.calls.end() ? rule->ns : measured->second;
    }
    cost[kInsns] += insn.loop_step ? Insn::kLoopStep : 1;
    cost[kPicoseconds] += static_cast<uint64_t>(ns * 1000);
}

// Which map a helper is handed must be known here: only then do the permissions by map mean anything.
bool CostPass::check_map(const Function& function, const State& state, Cost& cost) {
    const Insn& insn = function.insns[state.pc];
    const CallRule* rule = profile_.find_helper(insn.target);
    if (!rule->map_arg) return true;
    Value v = state.reg(static_cast<unsigned>(rule->map_arg));
    Place place = object_.place(function, state.pc, policy_);
    bool inner = v.kind == Value::Kind::MapValue && object_.maps[static_cast<size_t>(v.ref)].type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
    if (v.kind != Value::Kind::Map && !inner)
        return reject("allow-list", "V0108", fmt::format("{} is handed a map that is not known when the policy is compiled", rule->name), place,
                      "name the map where it is used");
    const std::string& name = object_.maps[static_cast<size_t>(v.ref)].name;
    if (!rule->maps.empty() && std::none_of(rule->maps.begin(), rule->maps.end(), [&](auto& pattern) { return name_matches(pattern, name); }))
        return reject("allow-list", "V0108", fmt::format("{} may not be used on map '{}'", rule->name, name), place,
                      "maps are read by policies and written by rmt-load");
    bool sink = name == profile_.sink_map;
    auto guarded = profile_.guarded.find(name);
    if (sink) cost[kSinks]++;
    if (!sink && guarded == profile_.guarded.end()) return true;
    const std::string& writer = sink ? profile_.sink_function : guarded->second;
    if (function.name == writer) return true;
    return reject("sink", "V0403", fmt::format("'{}' acts by itself: only '{}' may write to '{}'", function.name, writer, name), place,
                  fmt::format("let the policy call prefetch(); acts end in '{}', behind mode, limit and rate", profile_.sink_function));
}

// If the instruction was the beginning of an iterator or a counter, it is in the state after it.
void CostPass::note_begin(Exploration& x, uint32_t node, uint32_t slot, int32_t iterator, const State& after) {
    for (const Iterator& begun : after.iterators) {
        if (begun.offset != iterator) continue;
        x.nodes[node].begins.push_back(iterator);
        LoopFact& fact = loops_[{x.function.name, slot}];
        fact.function = x.function.name;
        fact.place = object_.place(x.function, slot, policy_);
        fact.bound = std::max<uint64_t>(fact.bound, begun.total);
    }
}

const Summary* CostPass::call(const State& state, const Insn& insn) {
    std::array<Value, 5> args;
    const LiveSet& read = cfg(insn.target).blocks[0].live;
    for (unsigned i = 0; i < 5; i++) {
        Value v = state.reg(i + 1);
        bool known = v.is_constant() || v.kind == Value::Kind::Map || v.kind == Value::Kind::MapValue;
        if (!known || !(read.regs >> (i + 1) & 1)) continue;  // also: our stack is not the callee's
        args[i] = v.kind == Value::Kind::Scalar ? Value::constant(v.w.umin) : Value{};
        args[i].kind = v.kind, args[i].ref = v.ref;
    }
    return summarize(insn.target, args);
}

// Runs the block of a node from its state and links it to the states of the next blocks.
bool CostPass::expand(Exploration& x, uint32_t node) {
    State state = std::move(x.states[node]);
    x.states[node] = {};
    Cost own(kFirstCall + dimension_.size(), 0);
    std::vector<State> next;
    const Insn* step = nullptr;
    uint32_t end = x.cfg.blocks[x.blocks[node]].end;
    uint32_t behind = 0;   // the step
    int32_t iterator = 0;  // that it steps
    while (true) {
        const uint32_t pc = state.pc;
        const Insn& insn = x.function.insns[pc];
        charge(x.function, insn, own);
        if (insn.is_exit()) {
            x.nodes[node].exits = true;
            Value value = state.r[0].is_constant() ? Value::constant(state.r[0].w.umin) : Value{};
            x.result = !x.result || *x.result == value ? value : Value{};
            break;
        }
        if (insn.is_call() && insn.ref == Ref::Helper && !check_map(x.function, state, own)) return false;
        const Summary* callee = nullptr;
        if (insn.is_call() && insn.ref == Ref::Function) {
            callee = call(state, insn);
            if (!callee) return false;
            add_cost(own, callee->cost);
            if (object_.functions[insn.target].name == profile_.act_function) own[kSinks]++;
        }
        const std::string kfunc = insn.is_call() && insn.ref == Ref::Kfunc ? object_.externs[insn.target] : "";
        step = insn.loop_step || kfunc == "bpf_iter_num_next" ? &insn : nullptr;
        iterator = insn.loop_step ? static_cast<int32_t>(insn.imm64) : state.reg(1).offset;
        behind = pc + insn.width();
        next.clear();
        auto rejected = x.machine.step(state, next, [&](const State&, const Insn&) { return callee->result; });
        if (rejected) {
            if (!out_.rejected) out_.rejected = std::move(rejected);
            out_.rejected->place = object_.place(x.function, pc, policy_);
            return false;
        }
        if (kfunc == "bpf_iter_num_new") note_begin(x, node, pc, iterator, next[0]);
        if (insn.is_store() && state.reg(insn.dst).kind == Value::Kind::Frame) note_begin(x, node, pc, state.reg(insn.dst).offset + insn.off, next[0]);
        if (next.size() != 1 || next[0].pc >= end || x.cfg.block_at[next[0].pc] >= 0) break;
        state = std::move(next[0]);
    }
    x.nodes[node].own = std::move(own);
    if (x.nodes[node].exits) return true;
    for (State& s : next) {
        uint32_t block = static_cast<uint32_t>(x.cfg.block_at[s.pc]);
        CostEdge edge;
        if (step && (step->loop_step ? s.pc == behind : s.r[0].not_null())) {
            edge.iterator = iterator;
            // Outside of any loop (clang moves a loop's first step before it) the element is simply gone.
            bool once = !x.cfg.blocks[x.blocks[node]].in_loop;
            for (Iterator& i : s.iterators)
                if (i.offset == iterator) edge.total = once ? i.total-- : i.total;
        }
        reduce(s, x.cfg, block, {true, x.seen[block] >= limits_.unroll});
        auto [found, added] = x.index.emplace(key_of(s), static_cast<uint32_t>(x.nodes.size()));
        if (added) {
            x.nodes.emplace_back();
            x.states.push_back(std::move(s));
            x.blocks.push_back(block);
            x.seen[block]++;
            states_++;
        }
        edge.to = found->second;
        x.nodes[node].edges.push_back(edge);
    }
    return true;
}

const Summary* CostPass::summarize(uint32_t index, const std::array<Value, 5>& args) {
    const Function& function = object_.functions[index];
    State entry = Machine::entry();
    for (unsigned i = 0; i < 5; i++) entry.r[i + 1] = args[i];
    reduce(entry, cfg(index), 0, {});
    std::string key = function.name + '\n' + key_of(entry);
    if (auto found = memo_.find(key); found != memo_.end()) return &found->second;

    Exploration x(object_, profile_, function, cfg(index));
    x.index.emplace(key_of(entry), 0);
    x.nodes.emplace_back();
    x.states.push_back(entry);
    x.blocks.push_back(0);
    for (uint32_t node = 0; node < x.nodes.size(); node++) {
        if (!expand(x, node)) return nullptr;
        if (states_ > limits_.max_states) {
            out_.undecided = Undecided{"cost", "V0205", fmt::format("'{}' has too many different states to bound its cost", function.name),
                                       object_.place(function, 0, policy_), "make its loops smaller, or fewer of them nested"};
            return nullptr;
        }
    }
    Longest longest = find_longest(x.nodes);
    if (!longest.cost) {
        uint32_t at = longest.unbounded ? x.cfg.blocks[x.blocks[*longest.unbounded]].begin : 0;
        reject("cost", "V0201", fmt::format("a loop in '{}' has no bound that can be shown", function.name), object_.place(function, at, policy_),
               "write `repeat N` with a constant N, and `break` to leave it early",
               {fmt::format("instruction {} is reached again with nothing counted", at)});
        return nullptr;
    }
    if (function.name == profile_.event_function) {
        const Cost& cost = *longest.cost;
        out_.event_insns = std::max(out_.event_insns, cost[kInsns]);
        out_.event_acts = std::max(out_.event_acts, cost[kSinks]);
        out_.event_ns = std::max(out_.event_ns, static_cast<double>(cost[kPicoseconds]) / 1000);
    }
    return &memo_.emplace(std::move(key), Summary{*longest.cost, x.result.value_or(Value{})}).first->second;
}

CostResult CostPass::run() {
    std::vector<std::string> names;
    for (const Function& function : object_.functions)
        for (const Insn& insn : function.insns) {
            if (!insn.is_call() || insn.ref == Ref::Function) continue;
            const std::string name = insn.ref == Ref::Helper ? profile_.find_helper(insn.target)->name : object_.externs[insn.target];
            if (dimension_.emplace(name, kFirstCall + names.size()).second) names.push_back(name);
        }
    for (uint32_t i = 0; i < object_.functions.size(); i++) {
        const Function& function = object_.functions[i];
        if (!function.program) continue;
        uint64_t before = states_;
        const Summary* summary = summarize(i, {});
        if (!summary) return std::move(out_);
        ProgramFacts facts;
        facts.name = function.name, facts.section = function.section;
        for (uint32_t callee : reachable(object_, i))
            facts.runs_policy |= std::count(profile_.handlers.begin(), profile_.handlers.end(), object_.functions[callee].name) > 0;
        facts.max_insns = summary->cost[kInsns];
        facts.est_ns = static_cast<double>(summary->cost[kPicoseconds]) / 1000;
        facts.max_sinks = summary->cost[kSinks];
        for (size_t n = 0; n < names.size(); n++)
            if (summary->cost[kFirstCall + n]) facts.max_calls[names[n]] = summary->cost[kFirstCall + n];
        facts.states = states_ - before;
        out_.programs.push_back(std::move(facts));
    }
    for (auto& [where, fact] : loops_) out_.loops.push_back(fact);
    return std::move(out_);
}

}  // namespace

CostResult find_costs(const Object& object, const Profile& profile, const Calibration& calibration, const CostLimits& limits,
                      const std::string& policy) {
    return CostPass(object, profile, calibration, limits, policy).run();
}

}  // namespace rmt::verify
