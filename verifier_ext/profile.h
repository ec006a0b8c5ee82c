// SPDX-License-Identifier: MIT
// What the domain `mm` may use, as positive lists, and what each call costs. This is part of the trusted base: a line
// here is a permission. Times are nanoseconds of the calibration named in `Calibration::source`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rmt::verify {

// What a call writes through an argument.
struct Writes {
    int pointer = 0;    // argument 1..5 that points there; 0: writes nothing
    int size_arg = 0;   // argument that holds the number of bytes; 0: not known
};

struct CallRule {
    std::string name;
    Writes writes;
    double ns = 5;
    int map_arg = 0;    // argument that must be a map known at this place
    // Maps on which it may be used; empty: any allowed map. Names, or "rmt_table_*".
    std::vector<std::string> maps;
};

struct MapRule {
    std::string name;   // or a prefix with '*'
    uint32_t type = 0;
    uint32_t inner_type = 0;  // of a map of maps
    uint32_t value_size = 0;  // 0: not fixed by the contract
};

struct ProgramRule {
    std::string section;  // exact, or a prefix with '*'
    bool tool = false;    // SEC("syscall"): run by the loader, never by an event; its cost is capped, not limited
};

struct Calibration {
    std::string source;
    double insn = 0.2, memory = 0.35, divide = 3.1, atomic = 7.1, call = 1.0;
    std::map<std::string, double> calls;  // overrides CallRule::ns
};

struct Profile {
    std::string domain;
    std::vector<ProgramRule> programs;
    std::map<uint32_t, CallRule> helpers;
    std::map<std::string, CallRule> kfuncs;
    std::vector<MapRule> maps;
    std::vector<std::string> data;         // data sections; others would become writable maps
    std::string sink_map, sink_function, mode_function, take_function, control_map;
    // Other ring buffers that somebody acts upon, and the one function that may write to each: behind the mode as well.
    // What limits them is in who acts (docs/verifier.md).
    std::map<std::string, std::string> guarded;
    std::vector<std::string> handlers;     // functions that hold the policy's code
    uint32_t sink_header = 0, sink_unit = 0, max_units = 0;
    uint32_t mode_enforce = 0;
    uint64_t max_insns = 0;                // of one event's program, whatever the policy says
    uint64_t max_tool_insns = 0;
    double cost_ns = 0;                    // budget when the policy names none

    const CallRule* find_helper(uint32_t id) const;
    const CallRule* find_kfunc(const std::string& name) const;
    const MapRule* find_map(const std::string& name) const;
    const ProgramRule* find_program(const std::string& section) const;
};

const Profile& mm_profile();
Calibration default_calibration();
std::string helper_name(uint32_t id);  // as in linux/bpf.h, "helper 999" when not known

bool name_matches(const std::string& pattern, const std::string& name);

}  // namespace rmt::verify
