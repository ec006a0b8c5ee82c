// SPDX-License-Identifier: MIT
#include "verifier_ext/guard.h"

#include <fmt/format.h>

namespace rmt::verify {

// State::enforce is set on one edge only: a comparison for equality with RMT_MODE_ENFORCE that held, of a value whose low
// half is the answer of the last call (it followed moves and spills, nothing else). Another call takes it back. As walk()
// visits every path, the edge lies on every path to the sink.
std::optional<Rejected> check_guard(const Object& object, const Profile& profile, const Manifest& manifest, const Function& function,
                                    const SinkSites& sites) {
    for (const State& state : sites.sinks) {
        if (state.enforce) continue;
        return Rejected{"guard", "V0601", "pages may be asked for although the mode is not enforce", object.place(function, state.pc, manifest.source),
                        {fmt::format("a path reaches the sink on which the answer of '{}' was not compared with RMT_MODE_ENFORCE, or differed", profile.mode_function)},
                        fmt::format("return unless {}(cg) == RMT_MODE_ENFORCE", profile.mode_function)};
    }
    return std::nullopt;
}

FlowEnd check_guarded(const Object& object, const Profile& profile, const Manifest& manifest) {
    for (auto& [map, writer] : profile.guarded) {
        const Function* function = object.find_function(writer);
        if (object.find_map(map) < 0 || !function) continue;  // cost.cpp saw that nobody else writes there
        SinkSites sites = find_sinks(object, profile, *function, map, manifest.source);
        if (!sites.end.finished()) return sites.end;
        if (auto rejected = check_guard(object, profile, manifest, *function, sites)) return {rejected, std::nullopt};
    }
    return {};
}

// At each exit the answer is a number other than RMT_MODE_ENFORCE, or is itself what was read from rmt_ctl.mode, or the path
// took the edge on which what was read equals RMT_MODE_ENFORCE. What else lowers the mode (breaker, agent) can only add
// paths that answer less; it is tested in the library.
FlowEnd check_mode(const Object& object, const Profile& profile, const Manifest& manifest) {
    const Function& function = *object.find_function(profile.mode_function);
    std::optional<Rejected> rejected;
    FlowEnd end = walk(object, profile, function, Machine::entry(), manifest.source, [&](const State& state, const Insn& insn) {
        if (!insn.is_exit() || rejected) return;
        const Value& answer = state.r[0];
        bool other = answer.kind == Value::Kind::Scalar && !answer.h.holds(profile.mode_enforce);
        if (other || answer.ctl_mode || state.ctl_enforce) return;
        rejected = Rejected{"guard", "V0602", fmt::format("'{}' may answer enforce although the control map does not say so", function.name),
                            object.place(function, state.pc, manifest.source), {}, "return RMT_MODE_ENFORCE only where rmt_ctl.mode was compared with it"};
    });
    if (end.finished()) end.rejected = rejected;
    return end;
}

}  // namespace rmt::verify
