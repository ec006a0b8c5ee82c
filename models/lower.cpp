// SPDX-License-Identifier: MIT
#include "models/lower.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/net_lower.h"
#include "models/lower_columns.h"

namespace rmt::models {
namespace {

constexpr uint32_t kMinNodes = 256;
constexpr uint32_t kMinDerived = 4;

// What a model takes of a class, as that kind of engine.
struct Need {
    EngineKind kind = EngineKind::Tree;
    uint32_t columns = 0, derived = 0, outputs = 1;
    uint32_t trees = 1;  // with what fills up groups and outputs
    uint64_t nodes = 0;  // of a tree as the artefact counts, else as lowered; of oblivious trees leaves
    uint32_t depth = 0;
};

std::vector<uint32_t> trees_of_outputs(const Model& model) {
    std::vector<uint32_t> trees(model_outputs(model), 0);
    for (const Tree& tree : model.trees) trees[static_cast<size_t>(tree.output)]++;
    return trees;
}

Need need_of(const Model& model, const Columns& columns, EngineKind kind) {
    Need need{kind, columns.used, static_cast<uint32_t>(columns.derive.size()), static_cast<uint32_t>(model_outputs(model))};
    need.depth = model_depth(model);
    need.nodes = model_nodes(model);
    if (kind == EngineKind::Tree) return need;
    need.trees = 0;
    for (uint32_t trees : trees_of_outputs(model)) {
        const uint32_t filled = (std::max(1u, trees) + RMT_MODEL_GROUP - 1) / RMT_MODEL_GROUP * RMT_MODEL_GROUP;
        need.nodes += filled - trees;
        need.trees += filled;
    }
    if (kind == EngineKind::Oblivious) need.nodes = uint64_t{need.trees} << need.depth;
    return need;
}

EngineKind best_kind(const Model& model, const Columns& columns) {
    if (model.kind == ModelKind::Oblivious) return EngineKind::Oblivious;
    return model.kind == ModelKind::Tree && columns.used < RMT_MODEL_SLOTS ? EngineKind::Tree : EngineKind::Forest;
}

ModelClass class_of(const Need& need) {
    ModelClass shape;
    shape.kind = need.kind;
    shape.trees = need.trees;
    // Of an oblivious tree every level of the class takes time, of others only those of the model.
    shape.depth = need.kind == EngineKind::Oblivious ? std::max(2u, (need.depth + 1) / 2 * 2) : std::max(4u, (need.depth + 3) / 4 * 4);
    shape.nodes = static_cast<uint32_t>(std::max<uint64_t>(kMinNodes, std::bit_ceil(std::min<uint64_t>(need.nodes, 1u << 31))));
    shape.slots = need.columns < RMT_MODEL_SLOTS ? RMT_MODEL_SLOTS : RMT_MODEL_MAX_SLOTS;
    shape.derived = need.derived == 0 ? 0 : std::max(kMinDerived, std::bit_ceil(need.derived));
    shape.outputs = std::bit_ceil(need.outputs);
    return shape;
}

bool too_many_blocks(const ModelClass& shape) {
    return shape.kind == EngineKind::Tree && RMT_MODEL_BLOCKS(shape.depth, uint64_t{shape.nodes}) > RMT_MODEL_MAX_BLOCKS;
}

// The largest class of each kind, and how much of it the model takes.
Result<void> check_supported(const Model& model, const Need& need) {
    auto refuse = [&](const std::string& what, uint64_t has, uint64_t most, const char* hint) {
        return model_error("M0208", "",
                           "model '" + model.name + "' has " + std::to_string(has) + " " + what + ", the largest class has room for " +
                               std::to_string(most),
                           hint);
    };
    if (need.columns >= RMT_MODEL_MAX_SLOTS)
        return refuse("columns (inputs, sides of missing values, sets)", need.columns, RMT_MODEL_MAX_SLOTS - 1,
                      "train on fewer inputs, or with fewer categories");
    if (need.derived > RMT_MODEL_MAX_DERIVED)
        return refuse("columns to make (64 categories of a set each)", need.derived, RMT_MODEL_MAX_DERIVED,
                      "number the categories from 0 up, or train with fewer");
    const uint32_t deepest = need.kind == EngineKind::Oblivious ? RMT_MODEL_MAX_LEVELS : RMT_MODEL_MAX_DEPTH;
    if (need.depth > deepest) return refuse("steps of depth", need.depth, deepest, "train with a smaller max depth");
    if (need.trees > RMT_MODEL_MAX_TREES)
        return refuse("trees (those of each output in groups of four)", need.trees, RMT_MODEL_MAX_TREES, "train fewer trees");
    if (need.nodes > RMT_MODEL_MAX_NODES)
        return refuse(need.kind == EngineKind::Oblivious ? "leaves" : "nodes", need.nodes, RMT_MODEL_MAX_NODES, "train a smaller model");
    return {};
}

uint64_t digest_prefix(const std::string& digest) {
    std::string hex = digest.starts_with("sha256:") ? digest.substr(7, 16) : "";
    return std::strtoull(hex.c_str(), nullptr, 16);
}

rmt_model_kind layout_kind(EngineKind kind) {
    return kind == EngineKind::Tree ? RMT_MODEL_TREE : kind == EngineKind::Forest ? RMT_MODEL_FOREST : RMT_MODEL_OBLIVIOUS;
}

// Writes one value: every part at the place that its class gives it.
class Writer {
public:
    Writer(const Model& model, const ModelClass& shape, uint32_t version)
        : model_(model), shape_(shape), columns_(plan_columns(model)), need_(need_of(model, columns_, shape.kind)), value_(value_size(shape), 0) {
        header_.version = version;
    }

    std::vector<uint8_t> write() {
        write_header();
        write_columns();
        if (shape_.kind != EngineKind::Tree) write_outputs();
        if (shape_.kind == EngineKind::Tree) write_blocks();
        if (shape_.kind == EngineKind::Forest) write_forest();
        if (shape_.kind == EngineKind::Oblivious) write_oblivious();
        put(0, &header_, 1);
        return std::move(value_);
    }

private:
    template <class T>
    void put(size_t offset, const T* from, size_t count) {
        RMT_BUG_IF(offset + count * sizeof(T) > value_.size(), "a model's part is larger than its class");
        if (count > 0) std::memcpy(value_.data() + offset, from, count * sizeof(T));
    }
    size_t at_group() const { return RMT_MODEL_AT_GROUP(layout_kind(shape_.kind), shape_.slots, shape_.derived, shape_.outputs); }
    size_t at_body() const {
        return RMT_MODEL_AT_BODY(layout_kind(shape_.kind), size_t{shape_.trees}, shape_.slots, shape_.derived, shape_.outputs);
    }

    void write_header();
    void write_columns();
    void write_outputs();
    void write_blocks();
    void write_forest();
    void write_oblivious();
    void write_oblivious_tree(const Tree& tree, size_t place, std::vector<rmt_model_level>& levels, std::vector<int32_t>& leaves) const;
    void append_tree(const Tree& tree, uint32_t root, std::vector<rmt_model_node>& nodes) const;
    std::vector<const Tree*> in_groups(std::vector<uint32_t>& groups) const;

    const Model& model_;
    const ModelClass& shape_;
    Columns columns_;
    Need need_;
    rmt_model_header header_ = {};
    std::vector<uint8_t> value_;
};

void Writer::write_header() {
    header_.layout = RMT_MODEL_LAYOUT;
    header_.kind = layout_kind(shape_.kind);
    header_.depth = need_.depth;
    header_.groups = need_.trees / RMT_MODEL_GROUP;  // 0 of a single tree
    header_.trees = static_cast<uint32_t>(model_.trees.size());
    header_.inputs = static_cast<uint32_t>(model_.inputs.size());
    header_.slots = shape_.slots;
    header_.derived = need_.derived;
    header_.outputs = need_.outputs;
    header_.lowest = -RMT_MODEL_SUM;
    header_.digest = digest_prefix(model_.digest);
    header_.out_min = model_.output.min;
    header_.out_max = model_.output.max;
    header_.shift = model_.link == Link::Positive ? 63 : model_.link == Link::Round ? model_.shift : 0;
    header_.bias = model_.link == Link::Positive ? 1 : 0;  // sum > 0 <=> (sum - 1) >> 63 is 0, not -1
}

void Writer::write_columns() {
    std::vector<rmt_model_bound> bounds(shape_.slots, {0, UINT32_MAX});
    for (size_t i = 0; i < model_.inputs.size(); i++) {
        const ModelInput& input = model_.inputs[i];
        if (!input.missing) bounds[i] = {static_cast<int32_t>(input.min), static_cast<uint32_t>(input.max - input.min)};
    }
    put(RMT_MODEL_AT_BOUND, bounds.data(), bounds.size());
    put(RMT_MODEL_AT_DERIVE(shape_.slots), columns_.derive.data(), columns_.derive.size());
}

void Writer::write_outputs() {
    std::vector<rmt_model_output> outputs;
    for (size_t k = 0; k < need_.outputs; k++) outputs.push_back({base_of(model_, k), answer_of(model_, k)});
    if (model_.link == Link::Positive) outputs[0].base -= 1;
    if (model_.link == Link::Round && model_.shift > 0) outputs[0].base += int64_t{1} << (model_.shift - 1);
    put(RMT_MODEL_AT_OUTPUT(shape_.slots, shape_.derived), outputs.data(), outputs.size());
}

// Breadth first. A leaf one level too high for a block takes the place of both its children: the left one is entered.
void Writer::write_blocks() {
    const Tree& tree = model_.trees[0];
    const uint32_t sentinel = shape_.slots - 1;
    std::vector<int32_t> order = {0};  // order[i] is the upper node, or the leaf, of block i
    std::vector<rmt_model_block> blocks;
    for (size_t i = 0; i < order.size(); i++) {
        const auto node = static_cast<size_t>(order[i]);
        if (tree.is_leaf(node)) {
            blocks.push_back({{tree.value[node], 0, 0}, sentinel * 0x111 | static_cast<uint32_t>(i) << 12});
            continue;
        }
        rmt_model_block block = {{tree.threshold[node], 0, 0}, columns_.slot_of(tree, node) | static_cast<uint32_t>(order.size()) << 12};
        for (int side = 0; side < 2; side++) {
            const int32_t child = side == 0 ? tree.left[node] : tree.right[node];
            const auto at = static_cast<size_t>(child);
            const bool leaf = tree.is_leaf(at);
            block.threshold[1 + side] = tree.threshold[at];  // 0 of a leaf
            block.link |= (leaf ? sentinel : columns_.slot_of(tree, at)) << (4 + 4 * side);
            order.push_back(leaf ? child : tree.left[at]);
            order.push_back(leaf ? child : tree.right[at]);
        }
        blocks.push_back(block);
    }
    put(at_body(), blocks.data(), blocks.size());
}

// The trees in the order of their outputs, each output's in whole groups (nullptr fills up), and what each group says.
std::vector<const Tree*> Writer::in_groups(std::vector<uint32_t>& groups) const {
    std::vector<const Tree*> order;
    for (size_t k = 0; k < need_.outputs; k++) {
        const size_t begin = order.size();
        for (const Tree& tree : model_.trees)
            if (static_cast<size_t>(tree.output) == k) order.push_back(&tree);
        while (order.size() == begin || order.size() % RMT_MODEL_GROUP != 0) order.push_back(nullptr);
        groups.resize(order.size() / RMT_MODEL_GROUP, static_cast<uint32_t>(k));
        groups.back() |= RMT_MODEL_GROUP_LAST;
    }
    return order;
}

// Writes a tree's root at `root` and appends the rest, children side by side. The children of a node and their children follow one
// another, and so on down: a walk meets two levels in a line of the cache, and each line is met by few walks.
void Writer::append_tree(const Tree& tree, uint32_t root, std::vector<rmt_model_node>& nodes) const {
    using Placed = std::pair<size_t, uint32_t>;  // node, its place
    auto write = [&](const Placed& at, std::vector<Placed>& children) {
        const auto [node, place] = at;
        if (tree.is_leaf(node)) {
            nodes[place] = {tree.value[node], RMT_MODEL_LINK(shape_.slots - 1, place)};
            return;
        }
        const auto child = static_cast<uint32_t>(nodes.size());
        nodes[place] = {tree.threshold[node], RMT_MODEL_LINK(columns_.slot_of(tree, node), child)};
        nodes.resize(nodes.size() + 2);
        children.push_back({static_cast<size_t>(tree.left[node]), child});
        children.push_back({static_cast<size_t>(tree.right[node]), child + 1});
    };
    std::vector<Placed> open = {{0, root}};
    while (!open.empty()) {
        const Placed at = open.back();
        open.pop_back();
        std::vector<Placed> children;
        write(at, children);
        for (const Placed& child : children) write(child, open);
    }
}

void Writer::write_forest() {
    std::vector<uint32_t> groups;
    const std::vector<const Tree*> order = in_groups(groups);
    std::vector<rmt_model_node> nodes(order.size());  // an even number, and so is each left child's
    for (uint32_t root = 0; root < order.size(); root++) {
        if (order[root])
            append_tree(*order[root], root, nodes);
        else
            nodes[root] = {0, RMT_MODEL_LINK(shape_.slots - 1, root)};
    }
    put(at_group(), groups.data(), groups.size());
    put(at_body(), nodes.data(), nodes.size());
}

void Writer::write_oblivious_tree(const Tree& tree, size_t place, std::vector<rmt_model_level>& levels, std::vector<int32_t>& leaves) const {
    const uint32_t depth = tree_depth(tree);
    size_t node = 0;
    for (uint32_t i = 0; i < depth; i++) {
        levels[place * need_.depth + i] = {tree.threshold[node], 4 * columns_.slot_of(tree, node)};
        node = static_cast<size_t>(tree.left[node]);
    }
    for (uint32_t bits = 0; bits < 1u << depth; bits++) {
        node = 0;
        for (uint32_t i = 0; i < depth; i++) node = static_cast<size_t>(bits >> i & 1 ? tree.right[node] : tree.left[node]);
        leaves[(place << need_.depth) + bits] = tree.value[node];
    }
}

// Levels that a shallower tree lacks ask for the sentinel: their bits are 0. So do trees that fill up a group.
void Writer::write_oblivious() {
    std::vector<uint32_t> groups;
    const std::vector<const Tree*> order = in_groups(groups);
    std::vector<rmt_model_level> levels(order.size() * need_.depth, {0, 4 * (shape_.slots - 1)});
    std::vector<int32_t> leaves(order.size() << need_.depth, 0);
    for (size_t i = 0; i < order.size(); i++)
        if (order[i]) write_oblivious_tree(*order[i], i, levels, leaves);
    put(at_group(), groups.data(), groups.size());
    put(at_body(), levels.data(), levels.size());
    put(RMT_MODEL_AT_LEAF(size_t{shape_.trees}, shape_.depth, shape_.slots, shape_.derived, shape_.outputs), leaves.data(), leaves.size());
}

}  // namespace

Result<ModelClass> smallest_class(const Model& model) {
    if (model.net) {
        ModelClass shape;
        shape.kind = EngineKind::Net;
        shape.net = smallest_net_class(model);
        RMT_CHECK(check_net_fits(model, shape.net));
        return shape;
    }
    if (!has_trees(model.kind)) return model_error("M0110", "/kind", std::string("no class of trees holds a model of kind '") + model_kind_name(model.kind) + "'");
    const Columns columns = plan_columns(model);
    Need need = need_of(model, columns, best_kind(model, columns));
    if (too_many_blocks(class_of(need))) need = need_of(model, columns, EngineKind::Forest);
    RMT_CHECK(check_supported(model, need));
    return class_of(need);
}

std::string class_text(const ModelClass& shape) {
    if (shape.kind == EngineKind::Net) {
        const NetClass& n = shape.net;
        return "kind net, inputs " + std::to_string(n.inputs) + ", tiles " + std::to_string(n.tiles) + ", rows " + std::to_string(n.rows) + ", blocks " +
               std::to_string(n.blocks) + ", width " + std::to_string(n.width) + ", outputs " + std::to_string(n.outputs);
    }
    std::string text = std::string("kind ") + engine_kind_name(shape.kind) + ", trees " + std::to_string(shape.trees) + ", depth " +
                       std::to_string(shape.depth) + ", nodes " + std::to_string(shape.nodes);
    const ModelClass plain;
    if (shape.slots != plain.slots) text += ", slots " + std::to_string(shape.slots);
    if (shape.derived != plain.derived) text += ", derived " + std::to_string(shape.derived);
    if (shape.outputs != plain.outputs) text += ", outputs " + std::to_string(shape.outputs);
    return text;
}

Result<void> check_fits(const Model& model, const ModelClass& shape) {
    RMT_TRY(const ModelClass smallest, smallest_class(model));
    auto refuse = [&](const std::string& what) {
        return model_error("M0206", "", "model '" + model.name + "' " + what, "train a smaller one, or compile for " + class_text(smallest));
    };
    const bool nets = smallest.kind == EngineKind::Net && shape.kind == EngineKind::Net;
    if (nets) return check_net_fits(model, shape.net);
    if (shape.kind != smallest.kind && (shape.kind != EngineKind::Forest || model.net))
        return model_error("M0206", "",
                           "model '" + model.name + "' runs as kind " + engine_kind_name(smallest.kind) + ", the policy was compiled for kind " +
                               engine_kind_name(shape.kind),
                           "compile the policy with this model as its source");
    const Columns columns = plan_columns(model);
    const Need need = need_of(model, columns, shape.kind);
    auto too_large = [&](const char* what, uint64_t has, uint64_t room) {
        return refuse("has " + std::to_string(has) + " " + what + ", the policy was compiled for " + std::to_string(room));
    };
    if (need.outputs > shape.outputs) return too_large("outputs", need.outputs, shape.outputs);
    if (need.trees > shape.trees) return too_large("trees (those of each output in groups of four)", need.trees, shape.trees);
    if (need.depth > shape.depth) return too_large("steps of depth", need.depth, shape.depth);
    if (need.nodes > shape.nodes) return too_large(shape.kind == EngineKind::Oblivious ? "leaves" : "nodes", need.nodes, shape.nodes);
    if (need.columns >= shape.slots) return too_large("columns", need.columns, shape.slots - 1);
    if (need.derived > shape.derived) return too_large("columns to make of missing values and sets", need.derived, shape.derived);
    return {};
}

uint32_t value_size(const ModelClass& shape) {
    if (shape.kind == EngineKind::Net) return net_value_size(shape.net);
    return static_cast<uint32_t>(RMT_MODEL_VALUE_SIZE(layout_kind(shape.kind), size_t{shape.trees}, size_t{shape.depth}, size_t{shape.nodes},
                                                      shape.slots, shape.derived, shape.outputs));
}

Result<std::vector<uint8_t>> lower_model(const Model& model, const ModelClass& shape, uint32_t version) {
    RMT_CHECK(check_model(model));
    RMT_CHECK(check_fits(model, shape));
    if (model.net) return lower_net(model, shape.net, version);
    std::vector<uint8_t> value = Writer(model, shape, version).write();
    Result<void> checked = check_value(value, shape);
    RMT_BUG_IF(!checked, checked ? "" : checked.error().message.c_str());
    return value;
}

}  // namespace rmt::models
