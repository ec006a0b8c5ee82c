// SPDX-License-Identifier: MIT
// The model artefact `rmt_model`: decision trees and forests over integer inputs. One value from trainer to kernel; its
// answers are defined here, in integers, and are the same bit for bit in the reference and in the engine:
//
//   input i outside its trained range        no answer: the policy's on_error
//   step at an inner node                    left iff input[feature] <= threshold
//   kind tree                                the leaf's value
//   kind forest, link round                  (base + sum of leaves) / 2^shift, rounded half up, clamped to the output's range
//   kind forest, link positive               1 if base + sum of leaves > 0, else 0
//
// A Model that came from parse_model() or passed check_model() keeps every invariant listed at check_model().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::models {

enum class ModelKind { Tree, Forest };
enum class OutputKind { Value, Class, Score };
enum class Link { Round, Positive };

struct ModelInput {
    std::string name;          // "deltas[0]", as the policy writes it
    std::string type = "i32";  // as in the language; for people and for the check of units
    int64_t min = 0, max = 0;  // trained range, inclusive
    bool operator==(const ModelInput&) const = default;
};

struct ModelOutput {
    OutputKind kind = OutputKind::Value;
    std::string type = "i32";
    int64_t min = 0, max = 0;
    std::vector<std::pair<std::string, int64_t>> classes;  // of Class; may be empty: bound by number
    bool operator==(const ModelOutput&) const = default;
};

struct Tree {  // node 0 is the root; a leaf has left == right == feature == -1 and threshold 0, an inner node value 0
    std::vector<int32_t> feature, threshold, left, right, value;
    size_t size() const { return feature.size(); }
    bool is_leaf(size_t node) const { return left[node] < 0; }
    int32_t add_leaf(int32_t value);
    bool operator==(const Tree&) const = default;
};

struct Samples {  // what whoever made the model saw it answer; nullopt: no answer
    std::vector<std::vector<int64_t>> inputs;
    std::vector<std::optional<int64_t>> outputs;
    bool operator==(const Samples&) const = default;
};

struct Model {
    std::string name;
    ModelKind kind = ModelKind::Tree;
    std::vector<ModelInput> inputs;
    ModelOutput output;
    Link link = Link::Round;
    uint32_t shift = 0;  // fraction bits of leaves and base
    int64_t base = 0;
    std::vector<Tree> trees;
    std::map<std::string, std::string> provenance;
    Samples samples;
    std::string digest;  // "sha256:<64 hex>", see seal()
    bool operator==(const Model&) const = default;
};

// Reads an artefact. Errors: Input, "M01xx: at <json path>: ...". Everything that could change the meaning and is not
// understood is refused, as is an artefact whose samples the reference does not reproduce or whose digest does not match.
Result<Model> parse_model(const std::string& json);

// The artefact as text, one line for each tree; and its canonical bytes (keys sorted, no white space, no digest).
std::string to_json(const Model& model);
std::string canonical_bytes(const Model& model);

// Sets the digest. Whoever changes a model seals it again.
void seal(Model& model);

// 1..15 inputs with distinct names; trained ranges, thresholds, leaves within the engine's; indices in range and each node
// reached exactly once from the root; depth <= 16; one tree with shift 0 and base 0 for kind tree; leaves of a tree within
// the output's range. Errors: Input with the path of what is wrong.
Result<void> check_model(const Model& model);

uint32_t tree_depth(const Tree& tree);  // steps to the deepest leaf; 0: a single leaf
uint32_t model_depth(const Model& model);
uint32_t model_nodes(const Model& model);  // all trees together

const char* output_kind_name(OutputKind kind);

}  // namespace rmt::models
