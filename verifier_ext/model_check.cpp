// SPDX-License-Identifier: MIT
#include "verifier_ext/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bpf/include/rmt/model_layout.h"
#include "verifier_ext/bytes.h"

namespace rmt::verify {
namespace {

// Inputs that can stand at a node: lo..hi for each slot.
using Box = std::array<std::pair<int64_t, int64_t>, RMT_MODEL_SLOTS>;

class ModelCheck {
public:
    ModelCheck(Bytes value, const ManifestModel& model) : value_(value), model_(model) {}
    ModelVerdict run();

private:
    bool reject(std::string id, std::string message, std::string hint);
    bool check_header();
    bool check_inputs();
    bool check_tree(uint32_t tree, uint32_t root);
    bool check_leaf(uint32_t tree, uint32_t node, int64_t answer, bool reached);
    bool check_range();
    std::optional<uint32_t> root_of(uint32_t tree) const;
    std::optional<rmt_model_node> node_at(uint32_t index) const;

    Bytes value_;
    const ManifestModel& model_;
    rmt_model_header head_{};
    Box trained_{};
    std::vector<bool> used_;
    int64_t tree_min_ = 0, tree_max_ = 0;  // of the tree that is being walked
    bool tree_answers_ = false;
    int64_t sum_min_ = 0, sum_max_ = 0;
    ModelVerdict out_;
};

bool ModelCheck::reject(std::string id, std::string message, std::string hint) {
    Place place;
    place.line = model_.line;
    out_.rejected = Rejected{"model", std::move(id), fmt::format("model '{}': {}", model_.name, message), place, {}, std::move(hint)};
    return false;
}

std::optional<rmt_model_node> ModelCheck::node_at(uint32_t index) const {
    uint64_t roots = RMT_MODEL_ROOTS(uint64_t{model_.shape.trees});
    return read_at<rmt_model_node>(value_, sizeof(rmt_model_header) + roots * 4 + uint64_t{index} * sizeof(rmt_model_node));
}

std::optional<uint32_t> ModelCheck::root_of(uint32_t tree) const {
    if (head_.kind == RMT_MODEL_TREE) return 0;
    return read_at<uint32_t>(value_, sizeof(rmt_model_header) + uint64_t{tree} * 4);
}

bool ModelCheck::check_header() {
    const ModelClass& shape = model_.shape;
    const char* remake = "lower the model again: `rmt-load model use` does";
    uint64_t size = RMT_MODEL_VALUE_SIZE(uint64_t{shape.trees}, uint64_t{shape.nodes});
    if (value_.size() != size) return reject("V0701", fmt::format("{} bytes, expected {} for {} tree(s) and {} nodes", value_.size(), size, shape.trees, shape.nodes), remake);
    head_ = *read_at<rmt_model_header>(value_, 0);
    uint32_t kind = shape.trees == 1 ? RMT_MODEL_TREE : RMT_MODEL_FOREST;
    if (head_.layout != RMT_MODEL_LAYOUT) return reject("V0701", fmt::format("layout {}, expected {}", head_.layout, RMT_MODEL_LAYOUT), remake);
    if (head_.kind != kind) return reject("V0701", fmt::format("kind {}, the program expects {}", head_.kind, kind), remake);
    if (head_.depth > shape.depth) return reject("V0701", fmt::format("{} steps, the program has {}", head_.depth, shape.depth), "train with a smaller depth");
    if (kind == RMT_MODEL_FOREST && head_.groups > shape.trees / RMT_MODEL_GROUP)
        return reject("V0701", fmt::format("{} groups of trees, the program has {}", head_.groups, shape.trees / RMT_MODEL_GROUP), "train with fewer trees");
    if (head_.inputs != model_.inputs.size() || head_.inputs == 0 || head_.inputs > RMT_MAX_INPUTS)
        return reject("V0701", fmt::format("{} inputs, the policy has {}", head_.inputs, model_.inputs.size()), "train with the policy's inputs");
    if (head_.shift > 63) return reject("V0701", fmt::format("a shift of {} bits", head_.shift), remake);
    return true;
}

// The engine subtracts in 32 bits and takes the sign: right as long as inputs and thresholds lie within 2^30 of zero.
bool ModelCheck::check_inputs() {
    for (uint32_t slot = 0; slot < RMT_MODEL_SLOTS; slot++) {
        int64_t lo = head_.lo[slot], hi = lo + head_.span[slot];
        trained_[slot] = {lo, hi};
        if (slot >= head_.inputs) continue;
        if (lo < -RMT_MODEL_LIMIT || hi > RMT_MODEL_LIMIT)
            return reject("V0705", fmt::format("input {} was trained on {}..{}, the engine compares within {}..{}", slot, lo, hi, -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT),
                          "clamp the input in the policy and train again");
    }
    return true;
}

bool ModelCheck::check_leaf(uint32_t tree, uint32_t node, int64_t answer, bool reached) {
    if (!reached) {
        out_.facts.unreachable++;
        return true;
    }
    tree_min_ = tree_answers_ ? std::min(tree_min_, answer) : answer;
    tree_max_ = tree_answers_ ? std::max(tree_max_, answer) : answer;
    tree_answers_ = true;
    if (head_.kind != RMT_MODEL_TREE) return true;
    bool ok = answer >= model_.output_min && answer <= model_.output_max;
    if (model_.output_kind == "class")
        ok = std::any_of(model_.classes.begin(), model_.classes.end(), [&](auto& named) { return named.second == answer; });
    return ok || reject("V0704", fmt::format("tree {} answers {} at node {}, which is not in the policy's output", tree, answer, node),
                        "train with labels of the policy's range");
}

// Walks every path from the root with the inputs that take it. A node met twice would make the walk no tree, or endless.
bool ModelCheck::check_tree(uint32_t tree, uint32_t root) {
    struct Step { uint32_t node, steps; bool reached; Box box; };
    std::vector<Step> work = {{root, 0, true, trained_}};
    tree_answers_ = false;
    while (!work.empty()) {
        Step at = std::move(work.back());
        work.pop_back();
        if (at.node >= model_.shape.nodes) return reject("V0702", fmt::format("tree {} leads to node {} of {}", tree, at.node, model_.shape.nodes), "lower the model again");
        bool filler = at.steps == 0 && (node_at(at.node)->link & 0xff) == RMT_MODEL_SENTINEL_SLOT;  // trees that fill up a group share it
        if (used_[at.node] && !filler) return reject("V0703", fmt::format("node {} is reached twice", at.node), "lower the model again");
        out_.facts.nodes += !used_[at.node];
        used_[at.node] = true;
        rmt_model_node node = *node_at(at.node);
        uint32_t slot = node.link & 0xff, left = node.link >> 8;
        if (node.threshold < RMT_MODEL_MIN || node.threshold > RMT_MODEL_MAX)
            return reject("V0702", fmt::format("node {} compares with {}, outside of what the engine can", at.node, node.threshold), "lower the model again");
        if (slot == RMT_MODEL_SENTINEL_SLOT) {
            if (left != at.node) return reject("V0702", fmt::format("leaf {} does not lead to itself", at.node), "lower the model again");
            if (at.steps > head_.depth)
                return reject("V0703", fmt::format("leaf {} lies {} steps deep, the model says {}", at.node, at.steps, head_.depth), "lower the model again");
            out_.facts.longest = std::max(out_.facts.longest, at.steps);
            if (!check_leaf(tree, at.node, node.threshold, at.reached)) return false;
            continue;
        }
        if (slot >= head_.inputs) return reject("V0702", fmt::format("node {} asks for input {} of {}", at.node, slot, head_.inputs), "lower the model again");
        if (at.steps >= head_.depth) return reject("V0703", fmt::format("no leaf within {} steps at node {}", head_.depth, at.node), "lower the model again");
        Step low{left, at.steps + 1, at.reached, at.box}, high{left + 1, at.steps + 1, at.reached, at.box};
        low.box[slot].second = std::min<int64_t>(low.box[slot].second, node.threshold);
        high.box[slot].first = std::max<int64_t>(high.box[slot].first, int64_t{node.threshold} + 1);
        low.reached &= low.box[slot].first <= low.box[slot].second;
        high.reached &= high.box[slot].first <= high.box[slot].second;
        work.push_back(std::move(low));
        work.push_back(std::move(high));
    }
    return tree_answers_ || reject("V0705", fmt::format("tree {} has no answer for any input of its trained ranges", tree), "train again");
}

// A forest's answer: clamp(((base + sum) >> shift) + bias). The sum of the trees' ranges holds every sum, and all steps
// are monotone.
bool ModelCheck::check_range() {
    int64_t lo = sum_min_, hi = sum_max_;
    if (head_.kind == RMT_MODEL_FOREST) {
        bool fits = !__builtin_add_overflow(head_.base, sum_min_, &lo) && !__builtin_add_overflow(head_.base, sum_max_, &hi);
        fits = fits && !__builtin_add_overflow(lo >> head_.shift, head_.bias, &lo) && !__builtin_add_overflow(hi >> head_.shift, head_.bias, &hi);
        if (!fits) return reject("V0706", "the sum of its trees may leave 64 bits", "train again, with smaller labels");
        if (head_.out_min > head_.out_max) return reject("V0701", fmt::format("an output of {}..{}", head_.out_min, head_.out_max), "lower the model again");
        lo = std::clamp<int64_t>(lo, head_.out_min, head_.out_max);
        hi = std::clamp<int64_t>(hi, head_.out_min, head_.out_max);
        if (lo < model_.output_min || hi > model_.output_max)
            return reject("V0704", fmt::format("answers {}..{}, the policy's output is {}..{}", lo, hi, model_.output_min, model_.output_max),
                          "train with labels of the policy's range");
    }
    out_.facts.out_min = lo, out_.facts.out_max = hi;
    return true;
}

ModelVerdict ModelCheck::run() {
    if (!check_header() || !check_inputs()) return std::move(out_);
    used_.assign(model_.shape.nodes, false);
    uint32_t trees = head_.kind == RMT_MODEL_TREE ? 1 : head_.groups * RMT_MODEL_GROUP;
    for (uint32_t tree = 0; tree < trees; tree++) {
        if (!check_tree(tree, *root_of(tree))) return std::move(out_);
        sum_min_ += tree_min_, sum_max_ += tree_max_;
    }
    out_.facts.trees = trees;
    check_range();
    return std::move(out_);
}

}  // namespace

ModelVerdict verify_model(std::span<const uint8_t> value, const ManifestModel& model) { return ModelCheck(value, model).run(); }

Result<void> check_model_value(std::span<const uint8_t> value, const ManifestModel& model) {
    ModelVerdict verdict = verify_model(value, model);
    if (!verdict.rejected) return {};
    return fail(ErrorKind::Input, verdict.rejected->id + ": " + verdict.rejected->message, verdict.rejected->hint);
}

}  // namespace rmt::verify
