// SPDX-License-Identifier: MIT
// What a compiled policy is, for everybody who never sees its text: the loader, the agent, the RMT verifier. Travels as
// JSON ("rmt_manifest": 1) beside the object, and pinned beside its maps. Plain data; numbers are exact integers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt {

struct ManifestLimits {
    uint32_t prefetch_per_event = 0;   // pages; 1..RMT_MAX_PAGES
    uint64_t prefetch_rate = 0;        // pages per window, for each cgroup
    uint64_t prefetch_window_ns = 0;
    uint64_t cost_ns = 0;              // per event; 0: the profile's budget
    struct Breach {
        std::string measure;           // "accuracy" falls below, "retrans" rises above
        uint32_t percent = 0;
        uint64_t window_ns = 0;
        uint64_t hold_ns = 0;          // 0: until a person changes the mode
        bool operator==(const Breach&) const = default;
    };
    std::optional<Breach> breach;
    uint32_t line_per_event = 0, line_rate = 0, line_cost = 0;  // places in the policy, 0: none
    bool operator==(const ManifestLimits&) const = default;
};

// Domain tcp: which of the kernel's algorithms runs below the policy, and what its writes are cut to.
struct ManifestTcp {
    std::string base;                  // "reno", "cubic", "bbr"; "": the policy owns the control
    uint32_t cwnd_min = 0, cwnd_max = 0;      // segments, of ssthresh as well
    uint64_t pacing_min = 0, pacing_max = 0;  // bytes per second
    uint32_t change = 0;               // times, of the window in one round; 0: no limit
    uint32_t line_cwnd = 0, line_pacing = 0, line_change = 0;
    bool operator==(const ManifestTcp&) const = default;
};

struct ManifestParam {
    std::string name;
    std::string type;                  // "u8"
    int64_t min = 0, max = 0;
    bool operator==(const ManifestParam&) const = default;
};

struct ManifestAction {
    std::string name;
    std::vector<ManifestParam> params;
    bool operator==(const ManifestAction&) const = default;
};

enum class MatchKind { Exact, Range, Prefix, Lpm };

struct ManifestKey {
    std::string name;                  // field or state, as written
    MatchKind match = MatchKind::Exact;
    std::string type;                  // "u8", "i32", "page", "ns", "rate", "enum", "bool", "str", "address"
    int64_t min = 0, max = 0;          // of a numeric key
    std::vector<std::pair<std::string, int64_t>> values;  // names of an enum or bool
    bool operator==(const ManifestKey&) const = default;
};

struct KeyAny { bool operator==(const KeyAny&) const = default; };
struct KeyRange { int64_t lo = 0, hi = 0; bool operator==(const KeyRange&) const = default; };  // inclusive
struct KeyText { std::string text; bool prefix = false; bool operator==(const KeyText&) const = default; };
struct KeyPrefix {                     // of an address: the first `bits` of 128; IPv4 as ::ffff:a.b.c.d, so 96 + its own length
    std::array<uint8_t, 16> address{};
    uint32_t bits = 0;
    bool operator==(const KeyPrefix&) const = default;
};
using KeyMatch = std::variant<KeyAny, KeyRange, KeyText, KeyPrefix>;

// "10.0.0.0/8", "2001:db8::/32", "::1": without a length, the whole address. Errors: Input, also when bits are set behind the length.
Result<KeyPrefix> parse_prefix(const std::string& text);
std::string format_prefix(const KeyPrefix& prefix);

struct ManifestEntry {
    std::vector<KeyMatch> keys;        // one for each key of the table
    uint32_t action = 0;               // index into Manifest::actions
    std::vector<int64_t> args;
    std::string comment;
    uint32_t line = 0;                 // 0: added while running
    bool operator==(const ManifestEntry&) const = default;
};

// Bytes of an entry in the map (bpf/include/rmt/intf.h): one rmt_range (16) per numeric key or one rmt_text (32) per
// string or address key, rmt_entry_tail (8), then 8 bytes for each of `args`, the largest number of parameters of its actions.
struct ManifestTable {
    std::string name;
    std::vector<ManifestKey> keys;
    std::vector<uint32_t> actions;     // allowed, indices
    ManifestEntry default_entry;       // no keys
    uint32_t size = 0;                 // most entries
    uint32_t args = 0;
    std::vector<ManifestEntry> entries;
    uint32_t line = 0;
    bool operator==(const ManifestTable&) const = default;

    uint32_t entry_size() const;
    uint32_t value_size() const;       // header and `size` entries
};

// What a program reserves for a net (bpf/include/rmt/net_layout.h). No tiles: for one linear model.
struct NetClass {
    uint32_t inputs = 16;              // multiple of 8
    uint32_t tiles = 0, rows = 0, blocks = 0, width = 0;  // 0, or powers of two
    uint32_t outputs = 1;              // power of two
    bool operator==(const NetClass&) const = default;
};

enum class EngineKind { Tree, Forest, Oblivious, Net };  // which engine of bpf/include/rmt the program has

// Shape that the generated program reserves for a model: a model that fits can be swapped in while it runs.
struct ModelClass {
    uint32_t trees = 1;                // 1 of a tree, else a multiple of 4
    uint32_t depth = 8;                // most steps of the traversal
    uint32_t nodes = 1024;             // power of two, all trees together; of oblivious trees the leaves
    EngineKind kind = EngineKind::Tree;
    uint32_t slots = 16;               // of the feature vector: 16 or 64, the last one is the engine's
    uint32_t derived = 0;              // columns that the engine makes: missing values, category sets
    uint32_t outputs = 1;              // sums to choose from, a power of two
    NetClass net;                      // of kind Net, which has none of the others
    bool operator==(const ModelClass&) const = default;

    uint32_t vector_size() const { return kind == EngineKind::Net ? net.inputs : slots; }  // of what the engine is handed
};

enum class OnlineKind { Linear, Mlp };  // which learner of bpf/include/rmt/learn.bpf.h

struct ManifestModel {
    std::string name;
    std::vector<std::string> inputs;   // "deltas[0]"
    std::vector<std::string> input_types;
    std::string output_kind;           // "value" | "class" | "score"
    std::string output_type;           // "i32"
    int64_t output_min = 0, output_max = 0;
    std::vector<std::pair<std::string, int64_t>> classes;
    int64_t on_error = 0;
    std::string source;                // path as written, empty: starts from nothing
    struct Digest {
        std::string sha256;            // of the bytes that the policy starts with, 64 digits
        uint32_t line = 0;             // where the policy says so
        bool operator==(const Digest&) const = default;
    };
    std::optional<Digest> digest;
    ModelClass shape;                  // says nothing of one that learns in the kernel
    struct Online {                    // learns in the kernel: map rmt_online_<name>, and no other
        OnlineKind kind = OnlineKind::Linear;
        std::string label;             // "fault.delta"
        uint32_t rate_bits = 0;        // 4..12: a rate of 1/2^rate_bits
        std::vector<int32_t> scale_bits;  // of each input: divided by 2^scale_bits, -7..22
        uint32_t after = 0;            // steps before there is an answer
        bool operator==(const Online&) const = default;
    };
    std::optional<Online> online;      // then there is no `train`
    struct Train {
        std::string label;             // "fault.delta"
        uint64_t every_ns = 0;
        uint32_t window = 0;           // samples
        bool operator==(const Train&) const = default;
    };
    std::optional<Train> train;
    uint32_t line = 0;
    bool operator==(const ManifestModel&) const = default;
};

const char* engine_kind_name(EngineKind kind);  // "tree", as in the manifest
const char* online_kind_name(OnlineKind kind);  // "linear"

struct ManifestField {
    std::string name;
    std::string type;                  // scalar type of one element
    uint32_t offset = 0, size = 0;     // bytes, of one element
    uint32_t count = 1;                // elements
    bool operator==(const ManifestField&) const = default;
};

struct ManifestCollect {
    std::vector<ManifestField> fields;
    uint32_t record_size = 0;
    uint32_t sample = 1;               // one in `sample`
    bool operator==(const ManifestCollect&) const = default;
};

struct Manifest {
    std::string policy, description, domain, mode;  // mode: "off" | "shadow" | "enforce"
    std::string source;                // file name of the policy
    std::vector<std::string> attach;   // cgroup patterns
    ManifestLimits limits;             // those of prefetch.* are of domain mm, and 0 elsewhere
    std::optional<ManifestTcp> tcp;    // of domain tcp
    std::vector<ManifestAction> actions;
    std::vector<ManifestTable> tables;
    std::vector<ManifestModel> models;
    std::optional<ManifestCollect> collect;
    std::vector<ManifestField> state;  // per task, for people
    bool operator==(const Manifest&) const = default;

    const ManifestTable* find_table(const std::string& name) const;
    const ManifestModel* find_model(const std::string& name) const;
};

// Canonical JSON text, and back. Errors: Input with the JSON path of what is wrong; unknown keys are refused.
std::string to_json(const Manifest& manifest);
Result<Manifest> parse_manifest(const std::string& json);

// Whether `artefact` is the file that the policy says its model starts with; `file` is where it lay, for people. `policy` is the
// file name of the policy. Errors: Input, with the line of the policy and both digests. No digest in the policy: any will do.
Result<void> check_digest(const std::string& policy, const std::string& model, const std::optional<ManifestModel::Digest>& digest,
                          const std::string& file, const std::string& artefact);

// The value of a table's map for these entries, in their order. Errors: Input when there are more than `size`, when an
// action is not allowed, when the number or range of keys or args does not fit (named by the entry's index and text).
Result<std::vector<uint8_t>> encode_table(const Manifest& manifest, const ManifestTable& table,
                                          const std::vector<ManifestEntry>& entries, uint32_t version);

// The entries in a table's value, in their order. Errors: Input when the value is not one of this table.
Result<std::vector<ManifestEntry>> decode_table(const Manifest& manifest, const ManifestTable& table,
                                                const std::vector<uint8_t>& value);

// An entry as the language writes it: `anon, 0..95 => follow(32)`.
std::string format_entry(const Manifest& manifest, const ManifestTable& table, const ManifestEntry& entry);

}  // namespace rmt
