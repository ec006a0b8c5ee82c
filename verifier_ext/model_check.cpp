// SPDX-License-Identifier: MIT
#include "verifier_ext/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bpf/include/rmt/model_layout.h"
#include "verifier_ext/bytes.h"
#include "verifier_ext/net_check.h"

namespace rmt::verify {
namespace {

// Inputs and columns that can stand at a node: lo..hi for each slot.
using Box = std::array<std::pair<int64_t, int64_t>, RMT_MODEL_MAX_SLOTS>;

// One question or one leaf of a walk, whatever the layout.
struct View {
    bool leaf = false;
    int32_t number = 0;            // threshold, or the leaf's value
    uint32_t slot = 0;
    uint64_t left = 0, right = 0;  // of the same numbering
};

class ModelCheck {
public:
    ModelCheck(Bytes value, const ManifestModel& model) : value_(value), model_(model), shape_(model.shape) {}
    ModelVerdict run();

private:
    bool reject(std::string id, std::string message, std::string hint);
    bool check_header();
    bool check_counts();
    bool check_inputs();
    bool check_column(const rmt_model_derive& d, uint32_t at);
    bool check_columns();
    bool check_tree(uint32_t tree, uint64_t root);
    bool check_question(const View& view, uint64_t at, uint32_t steps);
    bool check_leaf(uint32_t tree, uint64_t node, int64_t answer, bool reached);
    bool check_sum(uint32_t tree);
    bool check_answers();
    bool check_range();
    bool enter(uint64_t at);
    std::optional<View> view(uint64_t at) const;
    std::optional<View> block_view(uint64_t at) const;
    View level_view(uint64_t at) const;
    uint32_t group_word(uint32_t group) const;
    uint64_t body(uint64_t offset) const {
        return RMT_MODEL_AT_BODY(kind_, uint64_t{shape_.trees}, shape_.slots, shape_.derived, shape_.outputs) + offset;
    }

    Bytes value_;
    const ManifestModel& model_;
    const ModelClass& shape_;
    uint32_t kind_ = 0, sentinel_ = 0, steps_ = 0;
    rmt_model_header head_{};
    Box trained_{};
    std::array<bool, RMT_MODEL_MAX_SLOTS> defined_{}, replaced_{}, set_{};
    std::vector<bool> used_;
    int64_t tree_min_ = 0, tree_max_ = 0;  // of the tree that is being walked
    bool tree_answers_ = false;
    int64_t sum_min_ = 0, sum_max_ = 0;    // of the output that is being summed up
    uint32_t sums_ = 0;                    // complete
    ModelVerdict out_;
};

bool ModelCheck::reject(std::string id, std::string message, std::string hint) {
    Place place;
    place.line = model_.line;
    out_.rejected = Rejected{"model", std::move(id), fmt::format("model '{}': {}", model_.name, message), place, {}, std::move(hint)};
    return false;
}

constexpr const char* kRemake = "lower the model again: `rmt-load model use` does";

uint32_t ModelCheck::group_word(uint32_t group) const {
    return *read_at<uint32_t>(value_, RMT_MODEL_AT_GROUP(kind_, shape_.slots, shape_.derived, shape_.outputs) + uint64_t{group} * 4);
}

bool ModelCheck::check_header() {
    static constexpr uint32_t kKinds[] = {RMT_MODEL_TREE, RMT_MODEL_FOREST, RMT_MODEL_OBLIVIOUS};
    if (shape_.kind > EngineKind::Oblivious) return reject("V0701", "its class has no trees", kRemake);
    kind_ = kKinds[static_cast<size_t>(shape_.kind)];
    sentinel_ = shape_.slots - 1;
    uint64_t size = RMT_MODEL_VALUE_SIZE(kind_, uint64_t{shape_.trees}, uint64_t{shape_.depth}, uint64_t{shape_.nodes}, shape_.slots, shape_.derived, shape_.outputs);
    if (value_.size() != size) return reject("V0701", fmt::format("{} bytes, expected {} for {} tree(s) and {} nodes", value_.size(), size, shape_.trees, shape_.nodes), kRemake);
    head_ = *read_at<rmt_model_header>(value_, 0);
    if (head_.layout != RMT_MODEL_LAYOUT) return reject("V0701", fmt::format("layout {}, expected {}", head_.layout, RMT_MODEL_LAYOUT), kRemake);
    if (head_.kind != kind_) return reject("V0701", fmt::format("kind {}, the program expects {}", head_.kind, kind_), kRemake);
    if (head_.depth > shape_.depth) return reject("V0701", fmt::format("{} steps, the program has {}", head_.depth, shape_.depth), "train with a smaller depth");
    steps_ = kind_ == RMT_MODEL_TREE ? (head_.depth + 1) / 2 * 2 : head_.depth;
    return check_counts();
}

bool ModelCheck::check_counts() {
    const uint64_t trees = head_.groups * uint64_t{RMT_MODEL_GROUP};
    if (kind_ != RMT_MODEL_TREE && trees > shape_.trees)
        return reject("V0701", fmt::format("{} groups of trees, the program has {}", head_.groups, shape_.trees / RMT_MODEL_GROUP), "train with fewer trees");
    if (kind_ == RMT_MODEL_OBLIVIOUS && trees << head_.depth > shape_.nodes)
        return reject("V0701", fmt::format("{} trees of {} levels, the program has {} leaves", trees, head_.depth, shape_.nodes), "train with fewer trees");
    if (head_.inputs != model_.inputs.size() || head_.inputs == 0 || head_.inputs >= shape_.slots)
        return reject("V0701", fmt::format("{} inputs, the policy has {}", head_.inputs, model_.inputs.size()), "train with the policy's inputs");
    if (head_.shift > 63) return reject("V0701", fmt::format("a shift of {} bits", head_.shift), kRemake);
    if (head_.zero != 0 || head_.lowest != -RMT_MODEL_SUM)
        return reject("V0701", fmt::format("sums that begin with {} and {}, expected 0 and -2^62", head_.zero, head_.lowest), kRemake);
    if (head_.slots != shape_.slots || head_.derived > shape_.derived || head_.outputs == 0 || head_.outputs > shape_.outputs)
        return reject("V0701", fmt::format("{} slots, {} made columns, {} outputs; the program has {}, {}, {}", head_.slots, head_.derived, head_.outputs, shape_.slots, shape_.derived, shape_.outputs), kRemake);
    return true;
}

// The engine subtracts in 32 bits and takes the sign: right as long as inputs and thresholds lie within 2^30 of zero.
bool ModelCheck::check_inputs() {
    trained_.fill({RMT_MODEL_SENTINEL, RMT_MODEL_SENTINEL});
    for (uint32_t slot = 0; slot < shape_.slots; slot++) {
        auto bound = *read_at<rmt_model_bound>(value_, RMT_MODEL_AT_BOUND + uint64_t{slot} * sizeof(rmt_model_bound));
        if (slot < head_.inputs) trained_[slot] = {bound.lo, int64_t{bound.lo} + bound.span}, defined_[slot] = true;
    }
    if (!check_columns()) return false;
    for (uint32_t slot = 0; slot < head_.inputs; slot++) {
        auto [lo, hi] = trained_[slot];
        if (lo < -RMT_MODEL_LIMIT || hi > RMT_MODEL_LIMIT)
            return reject("V0705", fmt::format("input {} was trained on {}..{}, the engine compares within {}..{}", slot, lo, hi, -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT),
                          "clamp the input in the policy and train again");
    }
    return true;
}

// A column holds what it is made of, or what stands for a missing value: as one range, which is at most too wide.
bool ModelCheck::check_column(const rmt_model_derive& d, uint32_t at) {
    auto wrong = [&](const char* what) { return reject("V0705", fmt::format("column {} (slot {} from {}) {}", at, d.to, d.from, what), kRemake); };
    if (d.from >= head_.inputs || replaced_[d.from]) return wrong("is made of no input");
    bool in_place = d.to == d.from && d.mask == 0;
    if (d.to >= sentinel_ || (d.to < head_.inputs && !in_place)) return wrong("overwrites another");
    if (d.more > 1 || (d.more == 1 && !set_[d.to])) return wrong("adds to a set that is not there");
    if (d.more == 0 && d.to >= head_.inputs && defined_[d.to]) return wrong("is made twice");
    if (d.fill != RMT_MODEL_BELOW && d.fill != RMT_MODEL_ABOVE) return wrong("fills in a number between");
    int64_t lo = 0, hi = 1;
    if (d.mask == 0) {
        lo = d.lo, hi = lo + d.span;
        if (lo < -RMT_MODEL_LIMIT || hi > RMT_MODEL_LIMIT || (d.missing >= lo && d.missing <= hi)) return wrong("has a range that the engine cannot compare");
    }
    trained_[d.to] = {std::min<int64_t>(lo, d.fill), std::max<int64_t>(hi, d.fill)};
    defined_[d.to] = true, set_[d.to] = d.mask != 0;
    if (in_place) replaced_[d.to] = true;
    return true;
}

bool ModelCheck::check_columns() {
    for (uint32_t i = 0; i < head_.derived; i++) {
        auto d = *read_at<rmt_model_derive>(value_, RMT_MODEL_AT_DERIVE(shape_.slots) + uint64_t{i} * sizeof(rmt_model_derive));
        if (!check_column(d, i)) return false;
    }
    return true;
}

// Block b is the questions 4b (upper), 4b + 1 and 4b + 2 (left and right below it).
std::optional<View> ModelCheck::block_view(uint64_t at) const {
    auto block = read_at<rmt_model_block>(value_, body(at / 4 * sizeof(rmt_model_block)));
    if (at / 4 >= RMT_MODEL_BLOCKS(shape_.depth, uint64_t{shape_.nodes}) || !block) return std::nullopt;
    const uint64_t child = block->link >> 12, part = at % 4;
    View v{false, block->threshold[part], block->link >> (4 * part) & 15};
    if (part == 0 && v.slot == sentinel_) return View{true, v.number, v.slot, 4 * child, 4 * child};
    v.left = part == 0 ? at + 1 : 4 * (child + 2 * (part - 1));
    v.right = part == 0 ? at + 2 : v.left + 4;
    return v;
}

// Level i of an oblivious tree after the answers `bits`: tree << 32 | i << 24 | bits.
View ModelCheck::level_view(uint64_t at) const {
    const uint64_t tree = at >> 32, i = at >> 24 & 0xff, bits = at & 0xffffff;
    const uint64_t leaves = RMT_MODEL_AT_LEAF(uint64_t{shape_.trees}, uint64_t{shape_.depth}, shape_.slots, shape_.derived, shape_.outputs);
    if (i == head_.depth) return {true, *read_at<int32_t>(value_, leaves + ((tree << head_.depth) + bits) * 4), sentinel_, at, at};
    auto level = *read_at<rmt_model_level>(value_, body((tree * head_.depth + i) * sizeof(rmt_model_level)));
    const uint64_t next = tree << 32 | (i + 1) << 24 | bits;
    return {false, level.threshold, level.slot4 / 4, next, next | uint64_t{1} << i};
}

std::optional<View> ModelCheck::view(uint64_t at) const {
    if (kind_ == RMT_MODEL_TREE) return block_view(at);
    if (kind_ == RMT_MODEL_OBLIVIOUS) return level_view(at);
    if (at >= shape_.nodes) return std::nullopt;
    auto node = *read_at<rmt_model_node>(value_, body(at * sizeof(rmt_model_node)));
    const uint32_t slot = RMT_MODEL_LINK_SLOT(node.link);
    const uint64_t left = RMT_MODEL_LINK_CHILD(node.link);
    return View{slot == sentinel_, node.threshold, slot, left, left | 1};  // as the engine: by OR
}

bool ModelCheck::check_leaf(uint32_t tree, uint64_t node, int64_t answer, bool reached) {
    if (!reached) {
        out_.facts.unreachable++;
        return true;
    }
    tree_min_ = tree_answers_ ? std::min(tree_min_, answer) : answer;
    tree_max_ = tree_answers_ ? std::max(tree_max_, answer) : answer;
    tree_answers_ = true;
    if (kind_ != RMT_MODEL_TREE) return true;
    bool ok = answer >= model_.output_min && answer <= model_.output_max;
    if (model_.output_kind == "class")
        ok = std::any_of(model_.classes.begin(), model_.classes.end(), [&](auto& named) { return named.second == answer; });
    return ok || reject("V0704", fmt::format("tree {} answers {} at node {}, which is not in the policy's output", tree, answer, node),
                        "train with labels of the policy's range");
}

// Each node once; an oblivious tree's numbering ends by itself.
bool ModelCheck::enter(uint64_t at) {
    if (kind_ == RMT_MODEL_OBLIVIOUS) return true;
    if (kind_ == RMT_MODEL_TREE && at % 4 != 0) return true;
    const uint64_t node = kind_ == RMT_MODEL_TREE ? at / 4 : at;
    if (used_[node]) return reject("V0703", fmt::format("node {} is reached twice", node), "lower the model again");
    out_.facts.nodes++;
    used_[node] = true;
    return true;
}

bool ModelCheck::check_question(const View& view, uint64_t at, uint32_t steps) {
    const uint64_t node = kind_ == RMT_MODEL_TREE ? at / 4 : at;
    if (view.number < RMT_MODEL_MIN || view.number > RMT_MODEL_MAX)
        return reject("V0702", fmt::format("node {} compares with {}, outside of what the engine can", node, view.number), "lower the model again");
    if (view.leaf) {
        if (view.left != at) return reject("V0702", fmt::format("leaf {} does not lead to itself", node), "lower the model again");
        if (steps > steps_) return reject("V0703", fmt::format("leaf {} lies {} steps deep, the model says {}", node, steps, head_.depth), "lower the model again");
        return true;
    }
    if (view.slot != sentinel_ && (view.slot >= shape_.slots || !defined_[view.slot]))
        return reject("V0702", fmt::format("node {} asks for input {} of {}", node, view.slot, head_.inputs), "lower the model again");
    return steps < steps_ || reject("V0703", fmt::format("no leaf within {} steps at node {}", head_.depth, node), "lower the model again");
}

// Walks every path from the root with the inputs that take it. A node met twice would make the walk no tree, or endless.
bool ModelCheck::check_tree(uint32_t tree, uint64_t root) {
    struct Step { uint64_t node; uint32_t steps; bool reached; Box box; };
    std::vector<Step> work = {{root, 0, true, trained_}};
    tree_answers_ = false;
    while (!work.empty()) {
        Step at = std::move(work.back());
        work.pop_back();
        auto seen = view(at.node);
        if (!seen) return reject("V0702", fmt::format("tree {} leads to node {} of {}", tree, kind_ == RMT_MODEL_TREE ? at.node / 4 : at.node, shape_.nodes), "lower the model again");
        if (!enter(at.node) || !check_question(*seen, at.node, at.steps)) return false;
        if (seen->leaf) {
            out_.facts.longest = std::max(out_.facts.longest, at.steps);
            if (!check_leaf(tree, kind_ == RMT_MODEL_TREE ? at.node / 4 : at.node, seen->number, at.reached)) return false;
            continue;
        }
        Step low{seen->left, at.steps + 1, at.reached, at.box};
        if (seen->slot != sentinel_) {  // the sentinel goes left, always
            Step high{seen->right, at.steps + 1, at.reached, at.box};
            low.box[seen->slot].second = std::min<int64_t>(low.box[seen->slot].second, seen->number);
            high.box[seen->slot].first = std::max<int64_t>(high.box[seen->slot].first, int64_t{seen->number} + 1);
            low.reached &= low.box[seen->slot].first <= low.box[seen->slot].second;
            high.reached &= high.box[seen->slot].first <= high.box[seen->slot].second;
            work.push_back(std::move(high));
        }
        work.push_back(std::move(low));
    }
    return tree_answers_ || reject("V0705", fmt::format("tree {} has no answer for any input of its trained ranges", tree), "train again");
}

// Adds a tree's range to its output's; of several outputs, their sums come one after the other and must not leave 64 bits.
bool ModelCheck::check_sum(uint32_t tree) {
    sum_min_ += tree_min_, sum_max_ += tree_max_;
    if (kind_ == RMT_MODEL_TREE || tree % RMT_MODEL_GROUP != RMT_MODEL_GROUP - 1) return true;
    const uint32_t group = group_word(tree / RMT_MODEL_GROUP), output = group & ~RMT_MODEL_GROUP_LAST;
    if (output != sums_ || output >= head_.outputs) return reject("V0701", fmt::format("tree {} belongs to output {}, expected {} of {}", tree, output, sums_, head_.outputs), kRemake);
    if (!(group & RMT_MODEL_GROUP_LAST)) return true;
    sums_++;
    auto o = *read_at<rmt_model_output>(value_, RMT_MODEL_AT_OUTPUT(shape_.slots, shape_.derived) + uint64_t{output} * sizeof(rmt_model_output));
    int64_t lo, hi;
    if (__builtin_add_overflow(o.base, sum_min_, &lo) || __builtin_add_overflow(o.base, sum_max_, &hi))
        return reject("V0706", "the sum of its trees may leave 64 bits", "train again, with smaller labels");
    if (head_.outputs > 1 && (lo <= -RMT_MODEL_SUM || hi >= RMT_MODEL_SUM))  // the engine compares sums by their difference
        return reject("V0706", fmt::format("the sum of output {} may be {}..{}, the engine compares within 2^62", output, lo, hi), "train again, with smaller labels");
    if (head_.outputs > 1) sum_min_ = sum_max_ = 0;
    else sum_min_ = lo, sum_max_ = hi;
    return true;
}

// Several outputs: any of their answers.
bool ModelCheck::check_answers() {
    out_.facts.out_min = INT64_MAX, out_.facts.out_max = INT64_MIN;
    for (uint32_t k = 0; k < head_.outputs; k++) {
        auto o = *read_at<rmt_model_output>(value_, RMT_MODEL_AT_OUTPUT(shape_.slots, shape_.derived) + uint64_t{k} * sizeof(rmt_model_output));
        bool ok = o.answer >= model_.output_min && o.answer <= model_.output_max;
        if (model_.output_kind == "class")
            ok = std::any_of(model_.classes.begin(), model_.classes.end(), [&](auto& named) { return named.second == o.answer; });
        if (!ok) return reject("V0704", fmt::format("output {} answers {}, which is not in the policy's output", k, o.answer), "train with labels of the policy's range");
        out_.facts.out_min = std::min<int64_t>(out_.facts.out_min, o.answer);
        out_.facts.out_max = std::max<int64_t>(out_.facts.out_max, o.answer);
    }
    return true;
}

// A forest's answer: clamp(((base + sum) >> shift) + bias). The sum of the trees' ranges holds every sum, and all steps
// are monotone.
bool ModelCheck::check_range() {
    int64_t lo = sum_min_, hi = sum_max_;
    if (kind_ != RMT_MODEL_TREE) {
        if (sums_ != head_.outputs) return reject("V0701", fmt::format("{} of {} sums are complete", sums_, head_.outputs), kRemake);
        if (head_.outputs > 1) return check_answers();
        bool fits = !__builtin_add_overflow(lo >> head_.shift, head_.bias, &lo) && !__builtin_add_overflow(hi >> head_.shift, head_.bias, &hi);
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
    used_.assign(kind_ == RMT_MODEL_TREE ? RMT_MODEL_BLOCKS(shape_.depth, uint64_t{shape_.nodes}) : shape_.nodes, false);
    uint32_t trees = kind_ == RMT_MODEL_TREE ? 1 : head_.groups * RMT_MODEL_GROUP;
    for (uint32_t tree = 0; tree < trees; tree++) {
        if (!check_tree(tree, kind_ == RMT_MODEL_OBLIVIOUS ? uint64_t{tree} << 32 : tree) || !check_sum(tree)) return std::move(out_);
    }
    out_.facts.trees = trees;
    check_range();
    return std::move(out_);
}

}  // namespace

ModelVerdict verify_model(std::span<const uint8_t> value, const ManifestModel& model) {
    if (model.shape.kind == EngineKind::Net) return verify_net(value, model, model.shape.net);
    return ModelCheck(value, model).run();
}

Result<void> check_model_value(std::span<const uint8_t> value, const ManifestModel& model) {
    ModelVerdict verdict = verify_model(value, model);
    if (!verdict.rejected) return {};
    return fail(ErrorKind::Input, verdict.rejected->id + ": " + verdict.rejected->message, verdict.rejected->hint);
}

}  // namespace rmt::verify
