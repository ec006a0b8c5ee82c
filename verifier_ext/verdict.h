// SPDX-License-Identifier: MIT
// The answer of the RMT verifier. Three outcomes: accepted with the facts that were proved, rejected with the first cause,
// undecided. Undecided is not accepted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace rmt::verify {

struct Place {
    std::string file;          // as in the object's line info; the policy's name where the compiler said so
    uint32_t line = 0;         // 0: not known
    uint32_t column = 0;
    std::string function;      // empty: not in code
    uint32_t insn = 0;         // in the function
};

// Figures of one program. Counts are proved for every input, map content and answer of a helper; `est_ns` is an
// estimate: sums of calibrated times on the path where they are largest, without interrupts, cold caches or contention.
struct ProgramFacts {
    std::string name, section;
    bool runs_policy = false;                   // reaches the policy's handler: the policy's cost limit applies
    uint64_t max_insns = 0;
    std::map<std::string, uint64_t> max_calls;  // by helper or kfunc
    uint64_t max_sinks = 0;                     // calls that act, per event
    double est_ns = 0;
    uint64_t states = 0;                        // that the proof looked at
};

struct LoopFact {
    std::string function;
    Place place;
    uint64_t bound = 0;                         // iterations each time that the loop is entered
};

// Of domains that write to the kernel: one function, the one member that it stores, and the values.
struct WriteFact {
    std::string function, field;                // "rmt_write_cwnd", "tcp_sock.snd_cwnd"
    uint64_t lo = 0, hi = 0;
};

struct Facts {
    std::vector<ProgramFacts> programs;
    std::vector<LoopFact> loops;
    // Domain mm:
    uint32_t max_pages = 0;                     // per event, proved at the sink
    uint64_t rate = 0, window_ns = 0;           // pages per window and cgroup, the constants that the code passes
    // Domain tcp: the dearest event, which is a part of a program.
    std::vector<WriteFact> writes;
    uint64_t event_insns = 0;
    double event_ns = 0;
    std::string calibration;                    // where est_ns comes from
};

struct Accepted {
    Facts facts;
    std::string digest;                         // SHA-256 over object, manifest and facts
    std::vector<std::string> notes;             // what a person should know, not a reason to refuse
};

struct Rejected {
    std::string property;                       // "sink range"
    std::string id;                             // "V0401", docs/errors-verifier.md
    std::string message;                        // what was given, what was expected
    Place place;
    std::vector<std::string> because;           // causal chain, at most five lines
    std::string hint;                           // what to do next
};

struct Undecided {
    std::string property, id, message;
    Place place;
    std::string hint;
};

using Outcome = std::variant<Accepted, Rejected, Undecided>;

struct Verdict {
    Outcome outcome;
    std::string object_sha256, manifest_sha256;

    bool accepted() const { return std::holds_alternative<Accepted>(outcome); }
    const Accepted* facts() const { return std::get_if<Accepted>(&outcome); }
    // Id of the rejection or of what could not be decided; empty when accepted.
    std::string id() const;
};

// The certificate, or the refusal, as one JSON document ("rmt_verdict": 1), keys sorted, numbers exact.
std::string to_json(const Verdict& verdict);
// For people. `policy` is the name to print where the object's line info names no file.
std::string to_text(const Verdict& verdict, const std::string& policy);

}  // namespace rmt::verify
