// SPDX-License-Identifier: MIT
// What a domain may use, as positive lists, and what each call costs. This is part of the trusted base: a line
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
    // Domains that write to the kernel (kernel_writes.h):
    std::vector<std::string> programs = {};     // sections of the programs that may reach such a call; empty: any
    std::map<int, uint64_t> fixed = {};         // arguments that must be these constants
    bool library = false;                       // not from the policy's code
    bool gives_kernel = false;                  // its answer may be a pointer into the kernel
    unsigned args = 5;                          // registers 1..args are read
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
    bool apart = false;   // decides who is governed: reaches neither the policy's code nor what acts
    std::string context_zero = {};  // "bpf_sockopt.optlen": the one member of its context that it may set, 4 bytes, to 0
};

// The one function that stores a certain member of a kernel type, whose values are cut to a range there.
struct Writer {
    enum class Range : uint8_t { Fixed, Window, Pacing };  // the others are the policy's limits
    std::string function, field;  // "rmt_write_cwnd", "tcp_sock.snd_cwnd"
    uint32_t bytes = 4;
    Range range = Range::Fixed;
    uint64_t lo = 0, hi = 0;      // of Fixed; else what the policy's limits must lie in
    bool acts() const { return range != Range::Fixed; }
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
    // Domains that write to the kernel. The event function shows the policy an event and then calls the one that acts, which alone
    // calls the writers that act.
    std::string event_function, act_function;
    std::vector<Writer> writers;
    uint64_t max_acts = 1;                 // in one run of a program, which may see several events
    std::string hot_handler;               // of the event that comes most often: then the budget is the tighter one
    double hot_cost_ns = 0;
    std::vector<std::string> controls;     // objects of a kernel struct that the kernel registers, and their type
    std::string control_type;
    std::map<std::string, bool> control_members;  // that a program may be; true: the kernel stores what it answers

    const CallRule* find_helper(uint32_t id) const;
    const CallRule* find_kfunc(const std::string& name) const;
    const MapRule* find_map(const std::string& name) const;
    const ProgramRule* find_program(const std::string& section) const;
    const Writer* find_writer(const std::string& function) const;
};

const Profile& mm_profile();
const Profile& tcp_profile();
// The one of this domain; of an unknown one mm's, which binding.cpp then refuses.
const Profile& profile_of(const std::string& domain);
Calibration default_calibration();
std::string helper_name(uint32_t id);  // as in linux/bpf.h, "helper 999" when not known

bool name_matches(const std::string& pattern, const std::string& name);

}  // namespace rmt::verify
