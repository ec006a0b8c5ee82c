// SPDX-License-Identifier: MIT
// The host's models, by name and version, and what ran where: the folder $RMT_STATE_DIR (/var/lib/rmt-load).
//
//     models/NAME/v1.json, v2.json, ...       artefacts; a version is never written twice
//     models/NAME/aliases.json                {"aliases": {"stable": 2}, "last_version": 3}
//     models/NAME.json                        of before versions existed: version 1 of NAME
//     history/POLICY/MODEL/log.jsonl          one line for each model that was put in place, oldest first
//     history/POLICY/MODEL/<sha256>.json      those artefacts, of the newest entries and as far back as a rollback goes (kHistoryDepth):
//                                             it needs no version that may have been removed; others go when a model is put in place
//
// Invariant: a reader sees whole files only. A file is written beside its place, flushed and renamed; writers hold one lock,
// so that numbers are given once; what a killed writer left is removed by the next one and never read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"

namespace rmt::models {

struct StoredModel {
    std::string name;      // in the store, not the artefact's own
    uint32_t version = 0;  // 1, 2, ...
    std::string path;
    std::string added;                 // "2026-11-24T15:58:04Z", of the file
    std::vector<std::string> aliases;  // of this version
};

struct HistoryEntry {
    std::string time, digest, who;
    std::string name;          // in the store, or the file that was given; empty: neither is known
    uint32_t version = 0;      // 0: not from the store
    std::string how;           // "use", "promote", "rollback", "before": ran already when this was written
    std::optional<size_t> of;  // of a rollback: the number of the entry that it went back to
};

constexpr size_t kHistoryDepth = 32;  // steps back of a rollback, and entries before the newest, whose artefacts are kept

class Store {
public:
    explicit Store(std::filesystem::path root) : root_(std::move(root)) {}
    static Store standard();

    const std::filesystem::path& root() const { return root_; }

    // A new version of `name`; or, when one of its versions has this digest, that one. `added` says which.
    Result<StoredModel> add(const std::string& name, const Model& model, bool& added) const;

    // "NAME" (the newest), "NAME@v2", "NAME@2", "NAME@ALIAS". NotFound names what there is. Input when it is no reference.
    Result<StoredModel> find(const std::string& reference) const;
    Result<std::string> artefact(const StoredModel& model) const;
    // All versions of all models, by name and version.
    Result<std::vector<StoredModel>> list() const;

    // Points at the newest version when none is given. Whatever the alias meant before is forgotten.
    Result<void> set_alias(const std::string& name, const std::string& alias, std::optional<uint32_t> version) const;
    Result<void> remove_alias(const std::string& name, const std::string& alias) const;

    // One version with its aliases, or all of a name. Numbers of removed versions are not given again while the name lives.
    Result<void> remove(const std::string& name, std::optional<uint32_t> version) const;

    // Empty when nothing was put in place yet. A line that a crash cut short is left out.
    Result<std::vector<HistoryEntry>> history(const std::string& policy, const std::string& model) const;
    Result<void> append_history(const std::string& policy, const std::string& model, HistoryEntry entry, const std::string& artefact) const;
    // NotFound when it is older than the history keeps.
    Result<std::string> history_artefact(const std::string& policy, const std::string& model, const std::string& digest) const;
    // "POLICY/MODEL" of each history that keeps a copy of this artefact, ascending.
    std::vector<std::string> in_history(const std::string& digest) const;

private:
    std::filesystem::path root_;
};

// 1..64 of letters, digits, '_', '-', '.', not beginning with '.' or '-'. Errors: Input.
Result<void> check_store_name(const std::string& what, const std::string& name);

// The number of the entry whose model ran before that of the last one; rollbacks are steps back, not entries of their own.
// nullopt: there is none.
std::vector<size_t> rollback_chain(const std::vector<HistoryEntry>& history, size_t most);  // newest first: in place, one step back, ...
std::optional<size_t> before_in_history(const std::vector<HistoryEntry>& history, size_t entry);

}  // namespace rmt::models
