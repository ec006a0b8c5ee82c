// SPDX-License-Identifier: MIT
#include "verifier_ext/sink.h"

#include <fmt/format.h>

namespace rmt::verify {

// Soundness. The size argument is a 64-bit register (r3 of bpf_ringbuf_output); its unsigned range holds every value that
// it can have there, because walk() visits every state that reaches the call and the machine's operations only widen. The
// record is `header + unit * n` bytes, and who reads it takes n from the size.
std::optional<Rejected> check_sink_range(const Object& object, const Profile& profile, const Manifest& manifest, uint32_t limit,
                                         const Function& function, const SinkSites& sites, uint32_t& proved) {
    uint64_t most = profile.sink_header + uint64_t{profile.sink_unit} * limit;
    proved = 0;
    for (const State& state : sites.sinks) {
        Value size = state.reg(3);
        if (size.kind != Value::Kind::Scalar) size = Value{};
        Place place = object.place(function, state.pc, manifest.source);
        std::vector<std::string> because = {
            fmt::format("the size of the record is {}..{} bytes, a header of {} and {} for each page", size.w.umin, size.w.umax, profile.sink_header, profile.sink_unit),
            fmt::format("the policy's limit is {} pages per event ({}:{})", limit, manifest.source, manifest.limits.line_per_event)};
        if (size.w.umax > most) {
            std::string asked = size.w.umax > uint64_t{UINT32_MAX} ? "any number of" : fmt::format("up to {}", (size.w.umax - std::min<uint64_t>(size.w.umax, profile.sink_header)) / profile.sink_unit);
            return Rejected{"sink range", "V0401", fmt::format("an event may ask for {} pages, the limit is {}", asked, limit), place, because,
                            "compare with the limit as unsigned, after the bucket has answered and before the record is sent"};
        }
        if (size.w.umin < profile.sink_header)
            return Rejected{"sink range", "V0402", fmt::format("a record of {} bytes may be sent, its header has {}", size.w.umin, profile.sink_header), place, because,
                            "send the header and then whole pages"};
        proved = std::max(proved, static_cast<uint32_t>((size.w.umax - profile.sink_header) / profile.sink_unit));
    }
    return std::nullopt;
}

std::optional<Rejected> check_sink_count(const Object& object, const Profile& profile, const Manifest& manifest,
                                         const std::vector<ProgramFacts>& programs) {
    for (const ProgramFacts& program : programs) {
        if (program.max_sinks <= profile.max_acts) continue;
        const Function* function = object.find_function(program.name);
        if (profile.max_acts > 1)
            return Rejected{"sink", "V0404", fmt::format("'{}' may act {} times in one run, expected at most {}", program.name, program.max_sinks, profile.max_acts),
                            object.place(*function, 0, manifest.source), {fmt::format("each call of '{}' carries out what an event set", profile.act_function)},
                            fmt::format("call '{}' once for each event", profile.event_function)};
        return Rejected{"sink", "V0404", fmt::format("'{}' may act {} times in one event, expected at most once", program.name, program.max_sinks),
                        object.place(*function, 0, manifest.source),
                        {fmt::format("each call of '{}' may send a record of its own, and the limit holds for each", profile.sink_function)},
                        fmt::format("call '{}' once, after the handler", profile.sink_function)};
    }
    return std::nullopt;
}

}  // namespace rmt::verify
