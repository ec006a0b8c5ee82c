// SPDX-License-Identifier: MIT
#include "verifier_ext/rate.h"

#include <fmt/format.h>

#include <algorithm>

namespace rmt::verify {
namespace {

// size <= header + unit * T for the T of the last grant. Either the register carries the bound (Value::grant), or its
// largest value is small enough for every T that is possible on this path (State::take_min), as when a clamp replaced T by
// a constant that T was found to exceed. Grants do not survive another call of the bucket, and `granted` says that there
// was one on this path.
bool is_granted(const State& state, const Value& size, const Profile& profile) {
    if (!state.granted || size.kind != Value::Kind::Scalar) return false;
    if (size.grant == Value::Grant::Full && size.scale <= profile.sink_unit && size.add <= profile.sink_header) return true;
    return size.w.umax <= profile.sink_header + profile.sink_unit * std::min<uint64_t>(state.take_min, UINT32_MAX);
}

}  // namespace

std::optional<Rejected> check_rate(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function,
                                   const SinkSites& sites, RateFact& proved) {
    const ManifestLimits& limits = manifest.limits;
    auto reject = [&](const State& state, std::string id, std::string message, std::vector<std::string> because, std::string hint) {
        return Rejected{"rate", std::move(id), std::move(message), object.place(function, state.pc, manifest.source), std::move(because), std::move(hint)};
    };
    for (const State& state : sites.takes) {
        Value rate = state.reg(3), window = state.reg(4);
        if (!rate.is_constant() || !window.is_constant())
            return reject(state, "V0502", "the token bucket is asked with a rate or window that is not a constant", {},
                          fmt::format("hand RMT_PREFETCH_RATE and RMT_PREFETCH_WINDOW_NS to {}", profile.take_function));
        if (rate.w.umin > limits.prefetch_rate || window.w.umin < limits.prefetch_window_ns)
            return reject(state, "V0503", fmt::format("the token bucket gives {} pages per {} ns, the policy's limit is {} per {} ns", rate.w.umin,
                                                      window.w.umin, limits.prefetch_rate, limits.prefetch_window_ns),
                          {fmt::format("the limit is at {}:{}", manifest.source, limits.line_rate)}, "compile the policy again");
        if (proved.window_ns && (proved.rate != rate.w.umin || proved.window_ns != window.w.umin))
            return reject(state, "V0503", "the token bucket is asked with two different rates", {}, "compile the policy again");
        proved = {rate.w.umin, window.w.umin};
    }
    for (const State& state : sites.sinks) {
        if (is_granted(state, state.reg(3), profile)) continue;
        std::string why = state.granted ? "its size is not computed from what the bucket granted" : "no call of the token bucket lies on this path";
        return reject(state, "V0501", "pages may be asked for that the token bucket did not grant", {why},
                      fmt::format("send at most as many pages as {} returned, on every path", profile.take_function));
    }
    return std::nullopt;
}

// Inside the bucket's function T is its second argument, the number asked for; the answer must be at most T on every path.
FlowEnd check_bucket(const Object& object, const Profile& profile, const Manifest& manifest) {
    const Function& function = *object.find_function(profile.take_function);
    State entry = Machine::entry();
    entry.granted = true;
    entry.r[2].grant = Value::Grant::Low;
    entry.r[2].scale = 1;
    std::optional<Rejected> rejected;
    FlowEnd end = walk(object, profile, function, entry, manifest.source, [&](const State& state, const Insn& insn) {
        if (!insn.is_exit() || rejected) return;
        const Value& answer = state.r[0];
        bool carried = (answer.grant == Value::Grant::Full || answer.grant == Value::Grant::Low) && answer.scale <= 1 && answer.add == 0;
        bool small = answer.kind == Value::Kind::Scalar && answer.h.umax <= state.take_min;
        if (carried || small) return;
        rejected = Rejected{"rate", "V0504", fmt::format("'{}' may grant more than it was asked for", function.name),
                            object.place(function, state.pc, manifest.source), {}, "return 0, n, or what was left and found to be below n"};
    });
    if (end.finished()) end.rejected = rejected;
    return end;
}

}  // namespace rmt::verify
