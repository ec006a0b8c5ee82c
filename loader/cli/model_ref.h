// SPDX-License-Identifier: MIT
// What the verbs of `model` share: which model is meant, what it is in a line, where it runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/cli/output.h"
#include "loader/live.h"
#include "models/dataset.h"
#include "models/model.h"
#include "models/store.h"

namespace rmt::cli {

struct Artefact {
    models::Model model;
    std::string text;   // as it was read: what the digest covers
    std::string where;  // for people: the file, "NAME@v2", or "POLICY/MODEL"
    std::optional<models::StoredModel> stored;
};

// In this order: a file; "POLICY/MODEL", what runs there; "NAME", "NAME@v2", "NAME@ALIAS" of the store. The artefact is checked
// as parse_model() does, samples included.
Result<Artefact> read_artefact(const std::string& reference);

struct Where {
    load::LivePolicy live;
    const ManifestModel* model;
    std::string name() const { return live.name() + "/" + model->name; }
};

// "POLICY/MODEL", or "POLICY" when it has one model.
Result<Where> find_model(const std::string& where);

// "learned_prefetch/next_delta" of each running policy whose model, or challenger, has this digest. Policies that cannot be
// read are left out; `unknown` says whether there may be some.
std::vector<std::string> uses_of(const std::string& digest, bool& unknown);

// Its map value for this policy's model, after every check that needs no kernel. Errors: Input, one first cause.
Result<std::vector<uint8_t>> checked_value(const models::Model& model, const ManifestModel& policy);

std::string kind_text(const models::Model& model);   // "forest, 100 trees, 6300 nodes, depth 6"
std::string summary(const models::Model& model);     // "next_delta: tree, 31 nodes, depth 4, 4 inputs, sha256:0123..."
Json summary_json(const models::Model& model);

// The columns of the model's inputs, in its order, as rows. Errors: Input M0302 with the nearest name.
Result<std::vector<std::vector<int64_t>>> rows_for(const models::Model& model, const models::Dataset& data);

// Rows within each input's trained range, now and then a missing value; the same for the same seed.
std::vector<std::vector<int64_t>> random_rows(const std::vector<models::ModelInput>& inputs, size_t count, uint64_t seed);

// "kind forest, trees 100, depth 8, nodes 16384": what a policy has to reserve. Errors: Input M0208, larger than any class.
Result<std::string> class_of(const models::Model& model);

std::string who();  // the person behind this process, for the history

// A bar on stderr when that is a terminal and nobody asked for JSON; else nothing.
class ProgressBar {
public:
    ProgressBar(const Output& out, std::string what);
    ~ProgressBar() { clear(); }
    void clear();  // leaves the line empty
    void show(size_t done, size_t total, const std::string& more = {});

private:
    std::string what_;
    bool on_;
    int last_percent_ = -1;
};

}  // namespace rmt::cli
