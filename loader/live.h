// SPDX-License-Identifier: MIT
// A loaded policy, opened from its pins: figures, mode, scope, tables, models. Holds no state of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/include/rmt/intf.h"
#include "bpf/include/rmt/learn_layout.h"
#include "loader/fd.h"
#include "rmt_lang/support/manifest.h"

namespace rmt::load {

struct CgroupFigures {
    uint64_t id = 0;
    std::string path;  // empty: the cgroup has gone
    rmt_cgroup figures = {};
};

struct TableState {
    std::vector<ManifestEntry> entries;
    std::vector<uint64_t> hits;  // of each entry, in the same order
    uint64_t default_hits = 0;
    uint32_t version = 0;
};

// Of one model on training events that came after it was put in place, so that it cannot have been trained on them.
struct ModelTally {
    uint64_t correct = 0;           // answer == label; no answer counts as on_error
    uint64_t answered = 0;          // answer other than on_error
    uint64_t correct_answered = 0;
};

// Champion and challenger on the same events. Value of the pinned map score_<model>: written by the agent, read by tools.
struct ModelScore {
    char challenger[80] = {};       // digest of the artefact that this is about
    uint64_t rows = 0;
    uint64_t changes = 0;           // times that another champion came meanwhile; its tally goes on
    ModelTally champion_tally, challenger_tally;
};

struct Challenger {
    std::string artefact;
    ModelScore score;
};

// Of a model that learns in the kernel, over all CPUs.
struct OnlineFigures {
    uint64_t steps = 0;
    uint32_t cpus = 0;              // that have taken a step
    uint32_t answering = 0;         // of those, past the first `after` steps
    double error = 0;               // mean squared, over about the last 256 steps of each CPU
    double error_of_mean = 0;       // what always answering the labels' moving mean would have cost
};

const char* stat_name(rmt_stat stat);  // "shadow_hit"; empty for an unused number

const char* mode_name(uint32_t mode);    // "enforce"

class LivePolicy {
public:
    // NotFound when no such policy is loaded; Permission; Input when its pins are of another version.
    static Result<LivePolicy> open(const std::string& name);

    LivePolicy(LivePolicy&&) noexcept;
    LivePolicy& operator=(LivePolicy&&) noexcept;
    ~LivePolicy();

    const std::string& name() const { return name_; }
    const Manifest& manifest() const { return manifest_; }
    volatile rmt_ctl& ctl() const { return *ctl_; }  // shared memory with the programs

    bool has_agent() const;  // one that gave a sign of life within RMT_AGENT_DEAD_NS

    Result<std::string> object_digest() const;

    Result<int> map(const std::string& name) const;  // descriptor, owned by this object

    // Setting a mode also closes every breaker that waits for a person.
    Result<void> set_mode(rmt_mode mode) const;

    Result<void> add_cgroup(uint64_t id) const;     // Conflict when it is in scope already
    Result<void> remove_cgroup(uint64_t id) const;  // NotFound
    Result<std::vector<CgroupFigures>> cgroups() const;

    Result<TableState> table(const ManifestTable& table) const;
    // Replaces all entries at once; hit counters of entries that stay keep their values.
    Result<void> set_table(const ManifestTable& table, const std::vector<ManifestEntry>& entries) const;

    Result<void> set_model(const ManifestModel& model, const std::vector<uint8_t>& value, const std::string& artefact) const;
    Result<std::string> model_artefact(const ManifestModel& model) const;  // empty: none is in place

    // A second artefact beside the running one: it answers nothing, the agent scores it. Replaces the one before.
    Result<void> set_challenger(const ManifestModel& model, const std::string& artefact) const;
    Result<void> remove_challenger(const ManifestModel& model) const;  // NotFound
    Result<std::optional<Challenger>> challenger(const ManifestModel& model) const;
    Result<void> set_score(const ManifestModel& model, const ModelScore& score) const;  // NotFound: it has gone
    // Of models that learn in the kernel: each CPU's struct (bpf/include/rmt/learn_layout.h), the figures, and beginning anew.
    Result<std::vector<std::vector<uint8_t>>> learners(const ManifestModel& model) const;
    Result<OnlineFigures> online_figures(const ManifestModel& model) const;
    Result<void> forget(const ManifestModel& model) const;

    // Changes when another artefact is put in place; 0: there is none.
    uint32_t artefact_id(const ManifestModel& model) const;
    uint32_t challenger_id(const ManifestModel& model) const;

private:
    LivePolicy() = default;
    std::string name_;
    Manifest manifest_;
    rmt_ctl* ctl_ = nullptr;
    mutable std::vector<std::pair<std::string, Fd>> maps_;
};

}  // namespace rmt::load
