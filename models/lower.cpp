// SPDX-License-Identifier: MIT
#include "models/lower.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"

namespace rmt::models {
namespace {

constexpr uint32_t kMinNodes = 256;

bool is_forest(const Model& model) { return model.kind == ModelKind::Forest; }

uint32_t group_count(const Model& model) {
    return is_forest(model) ? (static_cast<uint32_t>(model.trees.size()) + RMT_MODEL_GROUP - 1) / RMT_MODEL_GROUP : 0;
}

// Nodes in the value: the last group is filled up with one shared leaf of value 0.
uint32_t lowered_nodes(const Model& model) {
    bool filler = group_count(model) * RMT_MODEL_GROUP > model.trees.size() && is_forest(model);
    return model_nodes(model) + (filler ? 1 : 0);
}

uint32_t link_of(uint32_t slot, uint32_t child) { return slot | child << 8; }

// Appends a tree, breadth first, children side by side; returns the place of its root.
uint32_t append_tree(const Tree& tree, std::vector<rmt_model_node>& nodes) {
    auto root = static_cast<uint32_t>(nodes.size());
    std::vector<int32_t> order = {0};  // order[i] lies at root + i
    for (size_t i = 0; i < order.size(); i++) {
        int32_t node = order[i];
        auto place = root + static_cast<uint32_t>(i);
        if (tree.is_leaf(node)) {
            nodes.push_back({tree.value[node], link_of(RMT_MODEL_SENTINEL_SLOT, place)});
            continue;
        }
        nodes.push_back(
            {tree.threshold[node], link_of(static_cast<uint32_t>(tree.feature[node]), root + static_cast<uint32_t>(order.size()))});
        order.push_back(tree.left[node]);
        order.push_back(tree.right[node]);
    }
    return root;
}

uint64_t digest_prefix(const std::string& digest) {
    std::string hex = digest.starts_with("sha256:") ? digest.substr(7, 16) : "";
    return std::strtoull(hex.c_str(), nullptr, 16);
}

rmt_model_header make_header(const Model& model, uint32_t version) {
    rmt_model_header header = {};
    header.layout = RMT_MODEL_LAYOUT;
    header.kind = is_forest(model) ? RMT_MODEL_FOREST : RMT_MODEL_TREE;
    header.depth = model_depth(model);
    header.groups = group_count(model);
    header.trees = static_cast<uint32_t>(model.trees.size());
    header.inputs = static_cast<uint32_t>(model.inputs.size());
    header.version = version;
    header.digest = digest_prefix(model.digest);
    if (model.link == Link::Positive) {  // sum > 0 <=> (sum - 1) >> 63 is 0, not -1
        header.shift = 63;
        header.base = model.base - 1;
        header.bias = 1;
    } else {
        header.shift = model.shift;
        header.base = model.base + (model.shift > 0 ? int64_t{1} << (model.shift - 1) : 0);
    }
    header.out_min = model.output.min;
    header.out_max = model.output.max;
    for (size_t i = 0; i < RMT_MODEL_SLOTS; i++) header.span[i] = UINT32_MAX;
    for (size_t i = 0; i < model.inputs.size(); i++) {
        header.lo[i] = static_cast<int32_t>(model.inputs[i].min);
        header.span[i] = static_cast<uint32_t>(model.inputs[i].max - model.inputs[i].min);
    }
    return header;
}

Result<void> check_walk(const std::vector<rmt_model_node>& nodes, uint32_t root, uint32_t depth, uint32_t inputs) {
    std::vector<std::pair<uint32_t, uint32_t>> open = {{root, 0}};
    size_t visits = 0;
    while (!open.empty()) {
        auto [place, steps] = open.back();
        open.pop_back();
        std::string name = "node " + std::to_string(place);
        if (place >= nodes.size())
            return model_error("M0207", "", name + " lies outside the value's " + std::to_string(nodes.size()) + " nodes");
        if (++visits > nodes.size()) return model_error("M0207", "", name + " is reached twice: not a tree");
        uint32_t slot = nodes[place].link & 0xff, child = nodes[place].link >> 8;
        if (nodes[place].threshold < RMT_MODEL_MIN || nodes[place].threshold > RMT_MODEL_MAX)
            return model_error("M0207", "", name + " holds " + std::to_string(nodes[place].threshold) + ", outside -2^30..2^30-1");
        if (slot == RMT_MODEL_SENTINEL_SLOT) {
            if (child != place) return model_error("M0207", "", name + " is a leaf that does not step to itself");
            continue;
        }
        if (slot >= inputs)
            return model_error("M0207", "", name + " compares input " + std::to_string(slot) + " of " + std::to_string(inputs));
        if (steps >= depth) return model_error("M0207", "", name + " is not a leaf after " + std::to_string(depth) + " steps");
        open.push_back({child, steps + 1});
        open.push_back({child + 1, steps + 1});
    }
    return {};
}

}  // namespace

ModelClass smallest_class(const Model& model) {
    ModelClass shape;
    shape.trees = is_forest(model) ? group_count(model) * RMT_MODEL_GROUP : 1;
    shape.depth = std::max(4u, (model_depth(model) + 3) / 4 * 4);
    shape.nodes = std::max(kMinNodes, std::bit_ceil(lowered_nodes(model)));
    return shape;
}

Result<void> check_fits(const Model& model, const ModelClass& shape) {
    auto too_large = [&](const char* what, uint32_t has, uint32_t room) -> Unexpected<Error> {
        ModelClass need = smallest_class(model);
        return model_error(
            "M0206", "",
            "model '" + model.name + "' has " + std::to_string(has) + " " + what + ", the policy was compiled for " + std::to_string(room),
            "train a smaller one, or compile for trees " + std::to_string(need.trees) + ", depth " + std::to_string(need.depth) +
                ", nodes " + std::to_string(need.nodes));
    };
    if ((shape.trees == 1) == is_forest(model))
        return model_error("M0206", "",
                           "model '" + model.name + "' is a " + (is_forest(model) ? "forest" : "tree") +
                               ", the policy was compiled for a " + (shape.trees == 1 ? "tree" : "forest"),
                           "compile the policy with this model as its source");
    if (is_forest(model) && model.trees.size() > shape.trees)
        return too_large("trees", static_cast<uint32_t>(model.trees.size()), shape.trees);
    if (model_depth(model) > shape.depth) return too_large("steps of depth", model_depth(model), shape.depth);
    if (lowered_nodes(model) > shape.nodes) return too_large("nodes", lowered_nodes(model), shape.nodes);
    return {};
}

uint32_t value_size(const ModelClass& shape) { return static_cast<uint32_t>(RMT_MODEL_VALUE_SIZE(shape.trees, shape.nodes)); }

Result<std::vector<uint8_t>> lower_model(const Model& model, const ModelClass& shape, uint32_t version) {
    RMT_CHECK(check_model(model));
    for (const ModelInput& input : model.inputs)
        if (input.missing) return model_error("M0110", "", "missing values are not lowered yet");
    if (model.kind == ModelKind::Oblivious || !model.sets.empty() || model.link == Link::Argmax || model.inputs.size() > RMT_MAX_INPUTS)
        return model_error("M0110", "", "not lowered yet");
    if (model.net) return model_error("M0110", "", "not lowered yet");
    RMT_CHECK(check_fits(model, shape));
    std::vector<uint32_t> roots;
    std::vector<rmt_model_node> nodes;
    for (const Tree& tree : model.trees) roots.push_back(append_tree(tree, nodes));
    if (is_forest(model) && roots.size() % RMT_MODEL_GROUP != 0) {
        auto filler = static_cast<uint32_t>(nodes.size());
        nodes.push_back({0, link_of(RMT_MODEL_SENTINEL_SLOT, filler)});
        roots.resize(group_count(model) * RMT_MODEL_GROUP, filler);
    }
    std::vector<uint8_t> value(value_size(shape), 0);
    rmt_model_header header = make_header(model, version);
    std::memcpy(value.data(), &header, sizeof header);
    std::memcpy(value.data() + sizeof header, roots.data(), roots.size() * sizeof roots[0]);
    std::memcpy(value.data() + sizeof header + RMT_MODEL_ROOTS(shape.trees) * sizeof roots[0], nodes.data(),
                nodes.size() * sizeof nodes[0]);
    Result<void> checked = check_value(value, shape);
    RMT_BUG_IF(!checked, checked ? "" : checked.error().message.c_str());
    return value;
}

Result<void> check_value(const std::vector<uint8_t>& value, const ModelClass& shape) {
    if (value.size() != value_size(shape))
        return model_error("M0207", "",
                           "the value has " + std::to_string(value.size()) + " bytes, its class " + std::to_string(value_size(shape)));
    rmt_model_header header;
    std::memcpy(&header, value.data(), sizeof header);
    uint32_t kind = shape.trees == 1 ? RMT_MODEL_TREE : RMT_MODEL_FOREST;
    if (header.layout != RMT_MODEL_LAYOUT || header.kind != kind)
        return model_error("M0207", "",
                           "layout " + std::to_string(header.layout) + ", kind " + std::to_string(header.kind) + " given; " +
                               std::to_string(RMT_MODEL_LAYOUT) + " and " + std::to_string(kind) + " expected");
    if (header.depth > shape.depth || header.groups * uint64_t{RMT_MODEL_GROUP} > shape.trees || header.inputs == 0 ||
        header.inputs > RMT_MAX_INPUTS || header.shift > 63 || header.out_min > header.out_max)
        return model_error("M0207", "", "its header has depth, groups, inputs, shift or range outside of the class");
    std::vector<uint32_t> roots(RMT_MODEL_ROOTS(shape.trees));
    std::vector<rmt_model_node> nodes(shape.nodes);
    std::memcpy(roots.data(), value.data() + sizeof header, roots.size() * sizeof roots[0]);
    std::memcpy(nodes.data(), value.data() + sizeof header + roots.size() * sizeof roots[0], nodes.size() * sizeof nodes[0]);
    roots.resize(shape.trees == 1 ? 1 : header.groups * RMT_MODEL_GROUP);
    if (shape.trees == 1) roots[0] = 0;  // where the engine starts
    for (uint32_t root : roots) RMT_CHECK(check_walk(nodes, root, header.depth, header.inputs));
    return {};
}

}  // namespace rmt::models
