// SPDX-License-Identifier: MIT
#include "verifier_ext/verdict.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace rmt::verify {
namespace {

using Json = nlohmann::json;

Json place_json(const Place& place) {
    Json json = Json::object();
    if (place.line) json["file"] = place.file, json["line"] = place.line, json["column"] = place.column;
    if (!place.function.empty()) json["function"] = place.function, json["insn"] = place.insn;
    return json;
}

Json facts_json(const Facts& facts) {
    Json json;
    json["calibration"] = facts.calibration;
    if (facts.writes.empty()) {
        json["max_pages"] = facts.max_pages;
        json["rate"] = facts.rate;
        json["window_ns"] = facts.window_ns;
    } else {
        json["event_insns"] = facts.event_insns;
        json["event_ns"] = static_cast<uint64_t>(facts.event_ns + 0.5);
        json["writes"] = Json::array();
        for (const WriteFact& w : facts.writes) json["writes"].push_back({{"function", w.function}, {"field", w.field}, {"lo", w.lo}, {"hi", w.hi}});
    }
    json["loops"] = Json::array();
    for (const LoopFact& loop : facts.loops)
        json["loops"].push_back({{"function", loop.function}, {"place", place_json(loop.place)}, {"bound", loop.bound}});
    json["programs"] = Json::array();
    for (const ProgramFacts& p : facts.programs)
        json["programs"].push_back({{"name", p.name}, {"section", p.section}, {"runs_policy", p.runs_policy}, {"max_insns", p.max_insns},
                                    {"max_calls", p.max_calls}, {"max_sinks", p.max_sinks},
                                    {"est_ns", static_cast<uint64_t>(p.est_ns + 0.5)}});
    return json;
}

std::string where(const Place& place, const std::string& policy) {
    if (place.line) return fmt::format("{}:{}:{}", place.file.empty() ? policy : place.file, place.line, std::max(place.column, 1u));
    return place.function.empty() ? policy : fmt::format("{}, function '{}'", policy, place.function);
}

std::string refusal(const std::string& id, const std::string& message, const Place& place, const std::vector<std::string>& because,
                    const std::string& hint, const std::string& policy) {
    std::string text = fmt::format("error[{}]: {}\n  --> {}\n", id, message, where(place, policy));
    for (const std::string& line : because) text += fmt::format("   = because: {}\n", line);
    if (!hint.empty()) text += fmt::format("   = help: {}\n", hint);
    return text;
}

std::string accepted_text(const Accepted& accepted, const std::string& policy) {
    const Facts& facts = accepted.facts;
    std::string text = fmt::format("{}: accepted\n", policy);
    if (facts.writes.empty())
        text += fmt::format("  proved: at most {} pages per event, {} pages per {} ms and cgroup, only in mode enforce\n", facts.max_pages, facts.rate,
                            facts.window_ns / 1'000'000);
    for (const WriteFact& w : facts.writes)
        text += fmt::format("  proved: {} is set to {}..{} by {}{}\n", w.field, w.lo, w.hi == UINT64_MAX ? "any" : std::to_string(w.hi), w.function,
                            w.function.starts_with("rmt_write_") ? ", only in mode enforce" : "");
    if (facts.event_insns)
        text += fmt::format("  an event of the policy: at most {} instructions (proved), about {:.0f} ns (estimate)\n", facts.event_insns, facts.event_ns);
    for (const ProgramFacts& p : facts.programs)
        text += fmt::format("  {:<16} {:<28} at most {} instructions (proved), about {:.0f} ns (estimate){}\n", p.name, p.section, p.max_insns, p.est_ns,
                            p.runs_policy ? ", runs the policy" : "");
    for (const LoopFact& loop : facts.loops)
        text += fmt::format("  loop at {}: at most {} rounds (proved)\n", where(loop.place, policy), loop.bound);
    text += fmt::format("  estimates from: {}\n", facts.calibration);
    for (const std::string& note : accepted.notes) text += fmt::format("  note: {}\n", note);
    return text;
}

}  // namespace

std::string Verdict::id() const {
    if (auto* r = std::get_if<Rejected>(&outcome)) return r->id;
    if (auto* u = std::get_if<Undecided>(&outcome)) return u->id;
    return {};
}

std::string to_json(const Verdict& verdict) {
    Json json;
    json["rmt_verdict"] = 1;
    json["verifier"] = RMT_VERSION;
    json["object_sha256"] = verdict.object_sha256;
    json["manifest_sha256"] = verdict.manifest_sha256;
    if (auto* a = std::get_if<Accepted>(&verdict.outcome)) {
        json["verdict"] = "accepted";
        json["facts"] = facts_json(a->facts);
        json["notes"] = a->notes;
        if (!a->digest.empty()) json["digest"] = a->digest;
    } else if (auto* r = std::get_if<Rejected>(&verdict.outcome)) {
        json["verdict"] = "rejected";
        json["property"] = r->property, json["id"] = r->id, json["message"] = r->message;
        json["place"] = place_json(r->place);
        json["because"] = r->because, json["hint"] = r->hint;
    } else if (auto* u = std::get_if<Undecided>(&verdict.outcome)) {
        json["verdict"] = "undecided";
        json["property"] = u->property, json["id"] = u->id, json["message"] = u->message;
        json["place"] = place_json(u->place);
        json["hint"] = u->hint;
    }
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_text(const Verdict& verdict, const std::string& policy) {
    if (auto* a = std::get_if<Accepted>(&verdict.outcome)) return accepted_text(*a, policy);
    if (auto* r = std::get_if<Rejected>(&verdict.outcome)) return refusal(r->id, r->message, r->place, r->because, r->hint, policy);
    const Undecided& u = std::get<Undecided>(verdict.outcome);
    return refusal(u.id, "not decided: " + u.message, u.place, {}, u.hint, policy);
}

}  // namespace rmt::verify
