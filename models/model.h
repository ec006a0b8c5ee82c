// SPDX-License-Identifier: MIT
// The model artefact `rmt_model`: decision trees and forests over integer inputs. One value from trainer to kernel; its
// answers are defined here, in integers, and are the same bit for bit in the reference and in the engine:
//
//   input i is its `missing` number          missing: not compared with the trained range; each node says where it goes
//   input i outside its trained range        no answer: the policy's on_error
//   step at an inner node                    left iff input[feature] <= threshold; missing: left iff default_left
//   feature n + s (n inputs)                 set s: 1 if its input is one of the members, else 0; the threshold is 0
//   kind tree                                the leaf's value
//   kind forest, oblivious, link round       (base + sum of leaves) / 2^shift, rounded half up, clamped to the output's range
//   kind forest, oblivious, link positive    1 if base + sum of leaves > 0, else 0
//   kind forest, oblivious, link argmax      the answer of the output whose base + sum of its own trees is the largest;
//                                            of equal ones the first
//
// Kind oblivious is a forest of complete trees in which all nodes of one level ask the same: it is several times quicker.
//
// Kinds linear, mlp and conv have a net (models/net.h) instead of trees: its first output takes the place of base + sum of leaves,
// its outputs those of the sums that argmax chooses from, and shift is 0.
//
// A Model that came from parse_model() or passed check_model() keeps every invariant listed at check_model().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/net.h"
#include "rmt_lang/support/result.h"

namespace rmt::models {

enum class ModelKind { Tree, Forest, Oblivious, Linear, Mlp, Conv };
enum class OutputKind { Value, Class, Score };
enum class Link { Round, Positive, Argmax };

inline bool has_trees(ModelKind kind) { return kind <= ModelKind::Oblivious; }

struct ModelInput {
    std::string name;          // "deltas[0]", as the policy writes it
    std::string type = "i32";  // as in the language; for people and for the check of units
    int64_t min = 0, max = 0;  // trained range, inclusive
    std::optional<int64_t> missing;  // the number, outside min..max, that stands for "missing"
    uint32_t fraction_bits = 0;      // the input is the real value times 2^fraction_bits; for people and importers
    bool operator==(const ModelInput&) const = default;
};

struct CategorySet {
    int32_t input = 0;
    std::vector<int32_t> members;  // ascending
    bool contains(int64_t value) const;
    bool operator==(const CategorySet&) const = default;
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
    std::vector<uint8_t> default_left;  // where a missing input goes; empty: the tree asks for no input that may be missing
    int32_t output = 0;                 // which sum its leaves belong to
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
    int64_t base = 0;    // of the first output
    std::vector<int64_t> more_bases;  // of the others, of link argmax only: 1 + size() is the number of outputs
    std::vector<int64_t> answers;     // of link argmax: what each output answers; empty: 0, 1, 2, ...
    std::vector<CategorySet> sets;
    std::vector<Tree> trees;
    std::optional<Net> net;  // of kinds linear, mlp, conv
    std::string origin;  // canonical JSON of the form with fractions that this was made from, may be empty
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

// 1..RMT_MODEL_MAX_INPUTS inputs with distinct names; trained ranges, thresholds, leaves within the engine's; indices in range
// and each node reached exactly once from the root; depth <= RMT_MODEL_MAX_DEPTH; one tree with shift 0 and base 0 for kind
// tree; leaves of a tree within the output's range; default sides at exactly the nodes that need them; levels of an
// oblivious tree alike. Errors: Input with the path of what is wrong.
Result<void> check_model(const Model& model);

uint32_t tree_depth(const Tree& tree);  // steps to the deepest leaf; 0: a single leaf
uint32_t model_depth(const Model& model);
uint32_t model_nodes(const Model& model);  // all trees together
size_t model_outputs(const Model& model);  // 1, or as many as argmax chooses from
int64_t base_of(const Model& model, size_t output);
int64_t answer_of(const Model& model, size_t output);
// The input that a feature reads, be it directly or through a set.
size_t input_of(const Model& model, int32_t feature);

const char* output_kind_name(OutputKind kind);
const char* model_kind_name(ModelKind kind);
const char* link_name(Link link);

}  // namespace rmt::models
