// SPDX-License-Identifier: MIT
#include "verifier_ext/learner.h"

#include <fmt/format.h>

#include <algorithm>

namespace rmt::verify {
namespace {

Rejected reject(const Object& object, const Function& function, uint32_t slot, const Manifest& manifest, std::string id, std::string message, std::string hint) {
    return {"learner", std::move(id), std::move(message), object.place(function, slot, manifest.source), {}, std::move(hint)};
}

// Soundness. A pointer into the map comes from a lookup, which needs the map's address, which only an instruction that names
// the map gives: functions that do not name it get none, unless it is handed to them. The step gets what it wants. A function
// that only reads stores nowhere but through r10, so on its own stack, and calls nothing that writes but the loop's iterator
// there. That its result is a number, and not the pointer, is left to the compiler.
std::optional<Rejected> check_reader(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function) {
    for (uint32_t slot = 0; slot < function.insns.size(); slot++) {
        const Insn& insn = function.insns[slot];
        if (insn.second) continue;
        const bool writes = (insn.is_store() || insn.is_atomic()) && insn.dst != 10;
        const bool calls = insn.is_call() && insn.ref == Ref::Function;
        const CallRule* rule = insn.is_call() && insn.ref == Ref::Helper ? profile.find_helper(insn.target) : nullptr;
        if (writes || calls || (rule && rule->writes.pointer))
            return reject(object, function, slot, manifest, "V0801", fmt::format("'{}' reads what a model learned, and may write it", function.name),
                          "compile the policy again: only the step of a learner writes");
    }
    return std::nullopt;
}

bool names_map(const Function& function, int map) {
    return std::any_of(function.insns.begin(), function.insns.end(),
                       [&](const Insn& insn) { return !insn.second && insn.is_wide() && insn.ref == Ref::Map && static_cast<int>(insn.target) == map; });
}

// At each exit the answer is a number within the range, or on_error, which lies in it too.
FlowEnd check_answer(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function, const ManifestModel& model) {
    std::optional<Rejected> rejected;
    const int64_t lo = std::min(model.output_min, model.on_error), hi = std::max(model.output_max, model.on_error);
    FlowEnd end = walk(object, profile, function, Machine::entry(), manifest.source, [&](const State& state, const Insn& insn) {
        if (!insn.is_exit() || rejected) return;
        const Value& answer = state.r[0];
        if (answer.kind == Value::Kind::Scalar && answer.w.smin >= lo && answer.w.smax <= hi) return;
        rejected = reject(object, function, state.pc, manifest, "V0802", fmt::format("'{}' may answer outside of {}..{}", function.name, lo, hi),
                          "clamp the answer to the range that the policy declares");
    });
    if (end.finished()) end.rejected = rejected;
    return end;
}

FlowEnd check_learner(const Object& object, const Profile& profile, const Manifest& manifest, const ManifestModel& model) {
    const std::string step = "rmt_step_" + model.name, predict = "rmt_predict_" + model.name, answer = "rmt_answer_" + model.name;
    const int map = object.find_map("rmt_online_" + model.name);
    if (!object.find_function(step))
        return {Rejected{"learner", "V0803", fmt::format("the object has no function '{}', so model '{}' learns nothing", step, model.name), {}, {},
                         "compile the policy again: object and manifest are not of the same policy"}, std::nullopt};
    for (const Function& function : object.functions) {
        if (function.name == step || !names_map(function, map)) continue;
        if (function.name != predict)
            return {reject(object, function, 0, manifest, "V0801", fmt::format("'{}' has to do with what model '{}' learned", function.name, model.name),
                           fmt::format("only {} and {} do", step, predict)), std::nullopt};
        if (auto rejected = check_reader(object, profile, manifest, function)) return {rejected, std::nullopt};
    }
    // A model that nobody asks has none of the two.
    const Function* asked = object.find_function(answer);
    return asked ? check_answer(object, profile, manifest, *asked, model) : FlowEnd{};
}

}  // namespace

FlowEnd check_learners(const Object& object, const Profile& profile, const Manifest& manifest) {
    for (const ManifestModel& model : manifest.models) {
        if (!model.online) continue;
        FlowEnd end = check_learner(object, profile, manifest, model);
        if (!end.finished()) return end;
    }
    return {};
}

}  // namespace rmt::verify
