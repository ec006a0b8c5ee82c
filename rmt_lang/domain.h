// SPDX-License-Identifier: MIT
// The domain profiles: which events a kernel domain has, which fields can be read there, with type, unit and range, and
// which sinks an action may call. One table for the checker, the messages and `rmt-load explain fields`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/ir.h"

namespace rmt::lang {

using EventSet = uint32_t;  // bit of an ir::Event
constexpr EventSet event_bit(ir::Event event) { return 1u << static_cast<unsigned>(event); }

struct EventProfile {
    std::string name;    // "mm.fault"
    ir::Event event;
    std::string meaning;
};

struct FieldProfile {
    ir::Field field;
    EventSet events;     // where it can be read
    std::string type;    // as people write it: "page", "u8 0..100", "anon=1 | file=2"
    std::string meaning;
};

struct SinkProfile {
    std::string form;    // "prefetch(page)", "cwnd = SEGMENTS"
    EventSet events;     // where it has an effect
    std::string meaning;
    std::string name;    // "prefetch", "cwnd"
    std::optional<ir::Sink> assigned;  // of one that is assigned to; reading its name gives what stands there now
};

struct Domain {
    std::string name;
    bool supported = false;  // false: its names are known, for messages, but nothing can be compiled for it yet
    std::vector<EventProfile> events;
    std::vector<FieldProfile> fields;
    std::vector<SinkProfile> sinks;
    std::vector<std::string> coming;  // fields of a domain that is not supported yet
};

const std::vector<Domain>& domains();
const Domain* find_domain(const std::string& name);
const FieldProfile* find_field(const Domain& domain, const std::string& name);
const EventProfile* find_event(const Domain& domain, const std::string& name);
const SinkProfile* find_sink(const Domain& domain, const std::string& name);
const char* event_name(ir::Event event);      // "mm.fault"
std::string event_symbol(ir::Event event);     // "fault": in names of the generated program
std::string event_list(EventSet events);       // "tcp.ack, tcp.round"

// The other domains that have a field of this name.
std::vector<std::string> domains_with_field(const std::string& name);

// For `rmt-load explain fields DOMAIN`: events, fields and sinks as an aligned list. Empty when there is no such domain.
std::string explain_fields(const std::string& domain);

}  // namespace rmt::lang
