// SPDX-License-Identifier: MIT
// Is a map value what the engine expects? Knows the layout only, not how lower.cpp fills it.
#include <algorithm>
#include <cstring>

#include "bpf/include/rmt/model_layout.h"
#include "models/errors.h"
#include "models/net_lower.h"
#include "models/lower.h"

namespace rmt::models {
namespace {

std::string number(int64_t n) { return std::to_string(n); }

Unexpected<Error> wrong(const std::string& what) { return model_error("M0207", "", what); }

class ValueCheck {
public:
    ValueCheck(const std::vector<uint8_t>& value, const ModelClass& shape) : value_(value), shape_(shape) {}

    Result<void> run() {
        RMT_CHECK(check_header());
        RMT_CHECK(check_columns());
        if (shape_.kind == EngineKind::Tree) return check_blocks();
        groups_ = read<uint32_t>(RMT_MODEL_AT_GROUP(kind(), shape_.slots, shape_.derived, shape_.outputs), header_.groups);
        RMT_CHECK(check_outputs());
        return shape_.kind == EngineKind::Forest ? check_forest() : check_oblivious();
    }

private:
    template <class T>
    std::vector<T> read(size_t offset, size_t count) const {
        std::vector<T> out(count);
        if (count > 0) std::memcpy(out.data(), value_.data() + offset, count * sizeof(T));
        return out;
    }
    uint32_t kind() const {
        return shape_.kind == EngineKind::Tree ? RMT_MODEL_TREE : shape_.kind == EngineKind::Forest ? RMT_MODEL_FOREST : RMT_MODEL_OBLIVIOUS;
    }
    size_t at_body() const { return RMT_MODEL_AT_BODY(kind(), size_t{shape_.trees}, shape_.slots, shape_.derived, shape_.outputs); }

    Result<void> check_header();
    Result<void> check_columns();
    Result<void> check_derived(const rmt_model_derive& d, size_t at);
    Result<void> check_outputs();
    Result<void> check_slot(uint32_t slot, const std::string& where) const;
    Result<void> check_threshold(int32_t threshold, const std::string& where) const;
    Result<void> check_walk(const std::vector<rmt_model_node>& nodes, uint32_t root) const;
    Result<void> check_blocks() const;
    Result<void> check_forest() const;
    Result<void> check_oblivious() const;

    const std::vector<uint8_t>& value_;
    const ModelClass& shape_;
    rmt_model_header header_ = {};
    uint64_t trees_ = 0;           // in use, with those that fill up groups
    std::vector<uint32_t> groups_;
    std::vector<bool> defined_, replaced_, set_, ranged_;  // by slot: holds something; the input is gone; 0 or 1; its range is checked
};

Result<void> ValueCheck::check_header() {
    if (shape_.kind > EngineKind::Oblivious) return wrong("its class has no trees");
    if (value_.size() != value_size(shape_)) return wrong("the value has " + number(value_.size()) + " bytes, its class " + number(value_size(shape_)));
    header_ = read<rmt_model_header>(0, 1)[0];
    if (header_.layout != RMT_MODEL_LAYOUT || header_.kind != kind())
        return wrong("layout " + number(header_.layout) + ", kind " + number(header_.kind) + " given; " + number(RMT_MODEL_LAYOUT) + " and " +
                     number(kind()) + " expected");
    const bool fits = header_.depth <= shape_.depth && header_.slots == shape_.slots && header_.inputs > 0 &&
                      header_.inputs < shape_.slots && header_.derived <= shape_.derived && header_.outputs > 0 &&
                      header_.outputs <= shape_.outputs && header_.shift <= 63 && header_.zero == 0 && header_.lowest == -RMT_MODEL_SUM && header_.out_min <= header_.out_max;
    trees_ = header_.groups * uint64_t{RMT_MODEL_GROUP};
    const bool trees = shape_.kind == EngineKind::Tree || (trees_ > 0 && trees_ <= shape_.trees);
    const bool leaves = shape_.kind != EngineKind::Oblivious || (fits && trees && trees_ << header_.depth <= shape_.nodes);
    if (!fits || !trees || !leaves) return wrong("its header has depth, groups, inputs, columns, shift or range outside of the class");
    return {};
}

Result<void> ValueCheck::check_derived(const rmt_model_derive& d, size_t at) {
    const std::string name = "column entry " + number(at);
    if (d.from >= header_.inputs || replaced_[d.from]) return wrong(name + " reads slot " + number(d.from) + ", which holds no input");
    const bool in_place = d.to == d.from && d.mask == 0;
    if (d.to >= shape_.slots - 1 || (d.to < header_.inputs && !in_place)) return wrong(name + " writes slot " + number(d.to));
    if (d.more > 1 || (d.more == 1 && !set_[d.to])) return wrong(name + " adds to a set that is not there");
    if (d.more == 0 && d.to >= header_.inputs && defined_[d.to]) return wrong(name + " writes a column again");
    if (d.fill != RMT_MODEL_BELOW && d.fill != RMT_MODEL_ABOVE) return wrong(name + " fills in " + number(d.fill));
    if (d.mask == 0) {
        const int64_t hi = int64_t{d.lo} + d.span;
        if (d.lo < -RMT_MODEL_LIMIT || hi > RMT_MODEL_LIMIT || (d.missing >= d.lo && d.missing <= hi))
            return wrong(name + " has a range outside -2^30..2^30, or one that holds what means missing");
        ranged_[d.from] = true;
    }
    defined_[d.to] = true;
    set_[d.to] = d.mask != 0;
    replaced_[d.to] = replaced_[d.to] || in_place;
    return {};
}

Result<void> ValueCheck::check_columns() {
    for (auto* slots : {&defined_, &replaced_, &set_, &ranged_}) slots->assign(shape_.slots, false);
    const auto bounds = read<rmt_model_bound>(RMT_MODEL_AT_BOUND, shape_.slots);
    const auto derive = read<rmt_model_derive>(RMT_MODEL_AT_DERIVE(shape_.slots), header_.derived);
    for (size_t i = 0; i < header_.inputs; i++) defined_[i] = true;
    for (size_t i = 0; i < derive.size(); i++) RMT_CHECK(check_derived(derive[i], i));
    for (size_t i = 0; i < shape_.slots; i++) {
        const int64_t hi = int64_t{bounds[i].lo} + bounds[i].span;
        const bool bounded = bounds[i].lo >= -RMT_MODEL_LIMIT && hi <= RMT_MODEL_LIMIT;
        const bool open = bounds[i].span == UINT32_MAX;
        // An open bound is of an input that may be missing: its entry checks the range and takes the number for missing away.
        if (i < header_.inputs ? !bounded && !(open && ranged_[i] && replaced_[i]) : !open)
            return wrong("slot " + number(i) + " has no range within -2^30..2^30");
    }
    return {};
}

// Each output once, in order, and none left open.
Result<void> ValueCheck::check_outputs() {
    uint32_t next = 0;
    bool open = false;
    for (size_t i = 0; i < groups_.size(); i++) {
        const uint32_t output = groups_[i] & ~RMT_MODEL_GROUP_LAST;
        open = (groups_[i] & RMT_MODEL_GROUP_LAST) == 0;
        if (output != next) return wrong("group " + number(i) + " belongs to output " + number(output) + ", " + number(next) + " expected");
        next += !open;
    }
    if (open || next != header_.outputs) return wrong(number(next) + " sums are complete, " + number(header_.outputs) + " expected");
    if (header_.outputs == 1) return {};
    for (const auto& output : read<rmt_model_output>(RMT_MODEL_AT_OUTPUT(shape_.slots, shape_.derived), header_.outputs))
        if (output.answer < header_.out_min || output.answer > header_.out_max) return wrong("answers " + number(output.answer) + ", outside of its range");
    return {};
}

Result<void> ValueCheck::check_slot(uint32_t slot, const std::string& where) const {
    if (slot >= shape_.slots || !defined_[slot]) return wrong(where + " compares slot " + number(slot) + ", which holds nothing");
    return {};
}

Result<void> ValueCheck::check_threshold(int32_t threshold, const std::string& where) const {
    if (threshold < RMT_MODEL_MIN || threshold > RMT_MODEL_MAX) return wrong(where + " holds " + number(threshold) + ", outside -2^30..2^30-1");
    return {};
}

Result<void> ValueCheck::check_walk(const std::vector<rmt_model_node>& nodes, uint32_t root) const {
    std::vector<std::pair<uint32_t, uint32_t>> open = {{root, 0}};
    size_t visits = 0;
    while (!open.empty()) {
        auto [place, steps] = open.back();
        open.pop_back();
        std::string name = "node " + number(place);
        if (place >= nodes.size()) return wrong(name + " lies outside the value's " + number(nodes.size()) + " nodes");
        if (++visits > nodes.size()) return wrong(name + " is reached twice: not a tree");
        uint32_t slot = RMT_MODEL_LINK_SLOT(nodes[place].link), child = RMT_MODEL_LINK_CHILD(nodes[place].link);
        if (nodes[place].link != RMT_MODEL_LINK(slot, child)) return wrong(name + " has link " + number(nodes[place].link));
        RMT_CHECK(check_threshold(nodes[place].threshold, name));
        if (slot == shape_.slots - 1) {
            if (child != place) return wrong(name + " is a leaf that does not step to itself");
            continue;
        }
        RMT_CHECK(check_slot(slot, name));
        if (child % 2 != 0) return wrong(name + " has its left child at " + number(child) + ", an even number expected");
        if (steps >= header_.depth) return wrong(name + " is not a leaf after " + number(header_.depth) + " steps");
        open.push_back({child, steps + 1});
        open.push_back({child + 1, steps + 1});
    }
    return {};
}

Result<void> ValueCheck::check_blocks() const {
    const auto blocks = read<rmt_model_block>(at_body(), RMT_MODEL_BLOCKS(shape_.depth, shape_.nodes));
    const uint32_t sentinel = shape_.slots - 1;
    std::vector<std::pair<uint32_t, uint32_t>> open = {{0, 0}};
    size_t visits = 0;
    while (!open.empty()) {
        auto [place, steps] = open.back();
        open.pop_back();
        std::string name = "block " + number(place);
        if (place >= blocks.size()) return wrong(name + " lies outside the value's " + number(blocks.size()) + " blocks");
        if (++visits > blocks.size()) return wrong(name + " is reached twice: not a tree");
        const rmt_model_block& block = blocks[place];
        const uint32_t child = block.link >> 12;
        for (int32_t threshold : block.threshold) RMT_CHECK(check_threshold(threshold, name));
        if ((block.link & 15) == sentinel) {
            if (block.link != (sentinel * 0x111 | place << 12)) return wrong(name + " is a leaf that does not step to itself");
            continue;
        }
        for (int k = 0; k < 3; k++) {
            const uint32_t slot = block.link >> (4 * k) & 15;
            if (slot != sentinel) RMT_CHECK(check_slot(slot, name));
        }
        if (2 * steps >= header_.depth) return wrong(name + " is not a leaf after " + number(header_.depth) + " steps");
        for (uint32_t k = 0; k < 4; k++) open.push_back({child + k, steps + 1});
    }
    return {};
}

Result<void> ValueCheck::check_forest() const {
    const auto nodes = read<rmt_model_node>(at_body(), shape_.nodes);
    for (uint32_t root = 0; root < trees_; root++) RMT_CHECK(check_walk(nodes, root));
    return {};
}

Result<void> ValueCheck::check_oblivious() const {
    const auto levels = read<rmt_model_level>(at_body(), RMT_MODEL_LEVELS(size_t{shape_.trees}, shape_.depth));
    const size_t used = trees_ * header_.depth;
    for (size_t i = 0; i < used; i++) {
        const std::string name = "level " + number(i);
        RMT_CHECK(check_threshold(levels[i].threshold, name));
        if (levels[i].slot4 % 4 != 0) return wrong(name + " has slot distance " + number(levels[i].slot4));
        if (levels[i].slot4 / 4 != shape_.slots - 1) RMT_CHECK(check_slot(levels[i].slot4 / 4, name));
    }
    const size_t at = RMT_MODEL_AT_LEAF(size_t{shape_.trees}, shape_.depth, shape_.slots, shape_.derived, shape_.outputs);
    const auto leaves = read<int32_t>(at, trees_ << header_.depth);
    for (size_t i = 0; i < leaves.size(); i++) RMT_CHECK(check_threshold(leaves[i], "leaf " + number(i)));
    return {};
}

}  // namespace

Result<void> check_value(const std::vector<uint8_t>& value, const ModelClass& shape) {
    if (shape.kind == EngineKind::Net) return check_net_value(value, shape.net);
    return ValueCheck(value, shape).run();
}

}  // namespace rmt::models
