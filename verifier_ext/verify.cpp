// SPDX-License-Identifier: MIT
#include "verifier_ext/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "rmt_lang/support/sha256.h"
#include "verifier_ext/allow.h"
#include "verifier_ext/binding.h"
#include "verifier_ext/cost.h"
#include "verifier_ext/guard.h"
#include "verifier_ext/kernel_writes.h"
#include "verifier_ext/learner.h"
#include "verifier_ext/rate.h"
#include "verifier_ext/shape.h"
#include "verifier_ext/sign_mask.h"
#include "verifier_ext/sink.h"

namespace rmt::verify {
namespace {

Rejected at_limit(const Manifest& manifest, uint32_t line, std::string property, std::string id, std::string message,
                  std::vector<std::string> because, std::string hint) {
    Place place;
    if (line) place.file = manifest.source, place.line = line;
    return {std::move(property), std::move(id), std::move(message), place, std::move(because), std::move(hint)};
}

// V0406: the policy's own limits, before anything is compared with them.
std::optional<Rejected> check_limits(const Profile& profile, const Manifest& manifest) {
    const ManifestLimits& limits = manifest.limits;
    if (limits.prefetch_per_event == 0 || limits.prefetch_per_event > profile.max_units)
        return at_limit(manifest, limits.line_per_event, "sink range", "V0406",
                        fmt::format("the limit is {} pages per event, expected 1..{}", limits.prefetch_per_event, profile.max_units), {},
                        "write `prefetch.pages <= 32 per event`");
    if (limits.prefetch_rate == 0 || limits.prefetch_window_ns == 0)
        return at_limit(manifest, limits.line_rate, "rate", "V0406", "the policy has no limit of pages over time", {},
                        "write `prefetch.pages <= 20000 per 1s`");
    return std::nullopt;
}

// V0206: caps of the profile. V0207: the limit of the policy, which is for the programs that run its handlers; the others are the
// library's. Where the policy runs in the middle of a program that the kernel would run anyway (tcp), it is for that part.
std::optional<Rejected> check_cost(const Object& object, const Profile& profile, const Manifest& manifest, const VerifyOptions& options,
                                   const CostResult& cost) {
    const bool hot = !profile.hot_handler.empty() && object.find_function(profile.hot_handler);
    double limit = manifest.limits.cost_ns ? static_cast<double>(manifest.limits.cost_ns) : hot ? profile.hot_cost_ns : profile.cost_ns;
    bool site = options.max_cost_ns > 0 && options.max_cost_ns < limit;
    if (site) limit = options.max_cost_ns;
    auto dear = [&](double ns, std::vector<std::string> because) {
        because.push_back("the time is an estimate: " + options.calibration.source);
        return at_limit(manifest, manifest.limits.line_cost, "cost", "V0207",
                        fmt::format("an event may cost {:.0f} ns by estimate, the {} is {:.0f} ns", ns,
                                    site ? "site's limit" : manifest.limits.cost_ns ? "limit" : "domain's budget", limit),
                        because, site ? "make `repeat`, the tables or the model smaller" : "make `repeat`, the tables or the model smaller, or raise `cost`");
    };
    for (const ProgramFacts& program : cost.programs) {
        const ProgramRule* rule = profile.find_program(program.section);
        uint64_t cap = rule->tool ? profile.max_tool_insns : profile.max_insns;
        if (program.max_insns > cap) {
            Place place = object.place(*object.find_function(program.name), 0, manifest.source);
            return Rejected{"cost", "V0206", fmt::format("'{}' may run {} instructions, the cap is {}", program.name, program.max_insns, cap), place, {},
                            "make `repeat` or the tables smaller"};
        }
        if (!profile.event_function.empty() || rule->tool || !program.runs_policy || program.est_ns <= limit) continue;
        std::vector<std::string> because = {fmt::format("'{}' runs at most {} instructions (proved)", program.name, program.max_insns)};
        std::vector<std::pair<uint64_t, std::string>> calls;
        for (auto& [name, count] : program.max_calls) calls.push_back({count, name});
        std::sort(calls.rbegin(), calls.rend());
        for (size_t i = 0; i < calls.size() && i < 3; i++) because.push_back(fmt::format("and {} calls of {} (proved)", calls[i].first, calls[i].second));
        return dear(program.est_ns, because);
    }
    if (!profile.event_function.empty() && cost.event_ns > limit)
        return dear(cost.event_ns, {fmt::format("'{}' shows the policy an event, and runs at most {} instructions (proved)", profile.event_function, cost.event_insns)});
    return std::nullopt;
}

std::optional<Outcome> outcome_of(const FlowEnd& end) {
    if (end.rejected) return *end.rejected;
    if (end.undecided) return *end.undecided;
    return std::nullopt;
}

// Domains whose acts are records that an agent reads: mm.
std::optional<Outcome> check_records(const Object& object, const Profile& profile, const Manifest& manifest, const VerifyOptions& options, Accepted& accepted) {
    Facts& facts = accepted.facts;
    const Function& sink = *object.find_function(profile.sink_function);
    uint32_t limit = std::min(manifest.limits.prefetch_per_event, profile.max_units);
    if (options.max_pages) limit = std::min(limit, options.max_pages);
    SinkSites sites = find_sinks(object, profile, sink, profile.sink_map, manifest.source);
    if (auto end = outcome_of(sites.end)) return end;
    RateFact rate;
    if (auto r = check_sink_range(object, profile, manifest, limit, sink, sites, facts.max_pages)) return *r;
    if (auto r = check_rate(object, profile, manifest, sink, sites, rate)) return *r;
    if (auto r = check_guard(object, profile, manifest, sink, sites)) return *r;
    for (auto check : {check_guarded, check_bucket})
        if (auto end = outcome_of(check(object, profile, manifest))) return end;
    facts.rate = rate.rate, facts.window_ns = rate.window_ns;
    if (sites.sinks.empty()) accepted.notes.push_back("the policy never acts: no call of the sink can be reached");
    return std::nullopt;
}

// Domains that write to the kernel themselves: tcp.
std::optional<Outcome> check_writes(const Object& object, const Profile& profile, const Manifest& manifest, const CostResult& cost, Accepted& accepted) {
    if (cost.event_acts > 1) {
        const Function& event = *object.find_function(profile.event_function);
        return Rejected{"sink", "V0404", fmt::format("'{}' may act {} times in one event, expected at most once", event.name, cost.event_acts), object.place(event, 0, manifest.source),
                        {}, fmt::format("call '{}' once, after the handler", profile.act_function)};
    }
    if (auto end = outcome_of(check_kernel_writes(object, profile, manifest, accepted.facts.writes))) return end;
    if (auto end = outcome_of(check_act_guard(object, profile, manifest))) return end;
    accepted.facts.event_insns = cost.event_insns, accepted.facts.event_ns = cost.event_ns;
    return std::nullopt;
}

Outcome decide(std::span<const uint8_t> bytes, const Manifest& manifest, const VerifyOptions& options) {
    const Profile& profile = profile_of(manifest.domain);
    const bool writes = !profile.writers.empty();
    Decoded decoded = decode(bytes);
    if (decoded.rejected) return *decoded.rejected;
    const Object& object = decoded.object;
    if (auto r = check_instructions(object)) return *r;
    if (auto r = check_allowed(object, profile, manifest.source)) return *r;
    if (auto r = check_sign_masks(object, manifest.source)) return *r;
    if (auto r = check_binding(object, profile, manifest)) return *r;
    if (auto r = writes ? check_write_limits(profile, manifest) : check_limits(profile, manifest)) return *r;
    if (auto r = check_shape(object, manifest.source)) return *r;

    CostResult cost = find_costs(object, profile, options.calibration, {}, manifest.source);
    if (cost.rejected) return *cost.rejected;
    if (cost.undecided) return *cost.undecided;
    if (auto r = check_sink_count(object, profile, manifest, cost.programs)) return *r;

    Accepted accepted;
    if (auto end = writes ? check_writes(object, profile, manifest, cost, accepted) : check_records(object, profile, manifest, options, accepted)) return *end;
    for (auto check : {check_mode, check_learners})
        if (auto end = outcome_of(check(object, profile, manifest))) return *end;
    if (auto r = check_cost(object, profile, manifest, options, cost)) return *r;

    accepted.facts.programs = std::move(cost.programs);
    accepted.facts.loops = std::move(cost.loops);
    accepted.facts.calibration = options.calibration.source;
    return accepted;
}

}  // namespace

Verdict verify(std::span<const uint8_t> object, const Manifest& manifest, const VerifyOptions& options) {
    Verdict verdict;
    verdict.object_sha256 = sha256_hex(object);
    verdict.manifest_sha256 = sha256_hex(to_json(manifest));
    verdict.outcome = decide(object, manifest, options);
    if (auto* accepted = std::get_if<Accepted>(&verdict.outcome)) accepted->digest = sha256_hex(to_json(verdict));
    return verdict;
}

}  // namespace rmt::verify
