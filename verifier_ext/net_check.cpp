// SPDX-License-Identifier: MIT
#include "verifier_ext/net_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bpf/include/rmt/model_layout.h"
#include "bpf/include/rmt/net_layout.h"
#include "verifier_ext/bytes.h"

namespace rmt::verify {
namespace {

using Wide = __int128;

constexpr Wide kSafe = Wide{1} << 62;  // half of what 64 bits hold
constexpr const char* kRemake = "lower the model again: `rmt-load model use` does";

struct Range {
    Wide lo = 0, hi = 0;
};
bool safe(const Range& r) { return r.lo >= -kSafe && r.hi <= kSafe && r.lo <= r.hi; }

int64_t lane_of(int64_t word) { return static_cast<int64_t>(static_cast<uint64_t>(word) << (64 - RMT_NET_LANE_BITS)) >> (64 - RMT_NET_LANE_BITS); }

class NetCheck {
public:
    NetCheck(Bytes value, const ManifestModel& model, const NetClass& shape) : value_(value), model_(model), shape_(shape) {}
    ModelVerdict run();

private:
    bool reject(std::string id, std::string message, std::string hint);
    bool check_header();
    bool read_inputs();
    bool check_linear();
    bool check_tiles();
    bool check_row(uint32_t first, uint32_t last);
    bool add_products(const rmt_net_tile& tile, uint32_t at, bool packed, Range* sums, Wide* most);
    bool store(const rmt_net_row& row, uint32_t output, const Range& sum, uint32_t to, bool keep, uint32_t at);
    bool check_answer();
    bool check_named(int64_t answer);
    bool check_output(int64_t lo, int64_t hi);

    uint64_t answers_at() const { return sizeof(rmt_net_header) + uint64_t{shape_.inputs} * sizeof(rmt_net_input); }
    uint64_t tiles_at() const { return answers_at() + RMT_NET_ANSWERS(shape_.outputs) * sizeof(int64_t); }
    uint64_t rows_at() const { return tiles_at() + uint64_t{shape_.tiles} * sizeof(rmt_net_tile); }
    uint64_t words_at() const { return rows_at() + uint64_t{shape_.rows} * sizeof(rmt_net_row); }
    rmt_net_tile tile(uint32_t i) const { return *read_at<rmt_net_tile>(value_, tiles_at() + uint64_t{i} * sizeof(rmt_net_tile)); }

    Bytes value_;
    const ManifestModel& model_;
    const NetClass& shape_;
    rmt_net_header head_{};
    std::vector<std::optional<Range>> act_;  // what an activation can be; nothing: whatever was left there
    std::vector<Range> inputs_;
    ModelVerdict out_;
};

bool NetCheck::reject(std::string id, std::string message, std::string hint) {
    Place place;
    place.line = model_.line;
    out_.rejected = Rejected{"model", std::move(id), fmt::format("model '{}': {}", model_.name, message), place, {}, std::move(hint)};
    return false;
}

bool NetCheck::check_header() {
    const uint64_t size = RMT_NET_VALUE_SIZE(uint64_t{shape_.inputs}, uint64_t{shape_.tiles}, uint64_t{shape_.rows}, uint64_t{shape_.blocks}, uint64_t{shape_.outputs});
    if (value_.size() != size) return reject("V0701", fmt::format("{} bytes, expected {} for a net of {} tiles", value_.size(), size, shape_.tiles), kRemake);
    head_ = *read_at<rmt_net_header>(value_, 0);
    const uint32_t kind = shape_.tiles == 0 ? RMT_NET_LINEAR_KIND : RMT_NET_KIND;
    if (head_.layout != RMT_NET_LAYOUT) return reject("V0701", fmt::format("layout {}, expected {}", head_.layout, RMT_NET_LAYOUT), kRemake);
    if (head_.kind != kind) return reject("V0701", fmt::format("kind {}, the program expects {}", head_.kind, kind), kRemake);
    if (head_.inputs != model_.inputs.size() || head_.inputs == 0 || head_.inputs > shape_.inputs)
        return reject("V0701", fmt::format("{} inputs, the policy has {}", head_.inputs, model_.inputs.size()), "train with the policy's inputs");
    if (head_.zero != 0) return reject("V0701", fmt::format("sums that begin with {}, expected 0", head_.zero), kRemake);
    if (head_.input_shift > 63) return reject("V0701", fmt::format("a shift of {} bits", head_.input_shift), kRemake);
    if (head_.link > RMT_NET_ARGMAX || head_.outputs == 0 || head_.outputs > shape_.outputs || head_.out_min > head_.out_max)
        return reject("V0701", "its link, outputs or range are none", kRemake);
    if (shape_.tiles == 0) return true;
    if (head_.tiles == 0 || head_.tiles > shape_.tiles) return reject("V0701", fmt::format("{} tiles, the program has {}", head_.tiles, shape_.tiles), "train a smaller net");
    if (head_.result >= shape_.width || head_.outputs > shape_.width - head_.result) return reject("V0701", fmt::format("its result lies at activation {} of {}", head_.result, shape_.width), kRemake);
    return true;
}

bool NetCheck::read_inputs() {
    act_.assign(size_t{shape_.width} + RMT_NET_SLACK, std::nullopt);
    for (uint32_t i = 0; i < head_.inputs; i++) {
        const auto input = *read_at<rmt_net_input>(value_, sizeof(rmt_net_header) + uint64_t{i} * sizeof(rmt_net_input));
        const Range trained{input.lo, Wide{input.lo} + input.span};
        if (trained.lo < -RMT_MODEL_LIMIT || trained.hi > RMT_MODEL_LIMIT)
            return reject("V0705", fmt::format("input {} was trained on {}..{}, the engine compares within {}..{}", i, input.lo, int64_t{input.lo} + input.span, -RMT_MODEL_LIMIT, RMT_MODEL_LIMIT),
                          "clamp the input in the policy and train again");
        inputs_.push_back(trained);
        if (shape_.tiles == 0) continue;
        const Wide a = trained.lo * input.multiplier, b = trained.hi * input.multiplier;
        const Range product{std::min(a, b), std::max(a, b)}, scaled{product.lo + input.add, product.hi + input.add};
        if (!safe(product) || !safe(scaled)) return reject("V0706", fmt::format("input {} may leave 64 bits when it is scaled", i), "quantise again with smaller multipliers");
        act_[i] = Range{scaled.lo >> head_.input_shift, scaled.hi >> head_.input_shift};
    }
    return true;
}

bool NetCheck::check_linear() {
    Range sum{head_.base, head_.base};
    Wide most = head_.base < 0 ? -Wide{head_.base} : Wide{head_.base};
    for (uint32_t i = 0; i < head_.inputs; i++) {
        const auto input = *read_at<rmt_net_input>(value_, sizeof(rmt_net_header) + uint64_t{i} * sizeof(rmt_net_input));
        const Wide a = inputs_[i].lo * input.multiplier, b = inputs_[i].hi * input.multiplier;
        sum = {sum.lo + std::min(a, b), sum.hi + std::max(a, b)};
        most += std::max(a < 0 ? -a : a, b < 0 ? -b : b);
    }
    if (most > kSafe) return reject("V0706", "its sum may leave 64 bits", "quantise again with smaller weights");
    const Wide a = sum.lo * head_.multiplier, b = sum.hi * head_.multiplier;
    const Range product{std::min(a, b), std::max(a, b)}, scaled{product.lo + head_.add, product.hi + head_.add};
    if (!safe(product) || !safe(scaled)) return reject("V0706", "its scaled sum may leave 64 bits", "quantise again with smaller multipliers");
    auto clamp = [&](Wide v) { return static_cast<int64_t>(std::clamp<Wide>(v >> head_.input_shift, head_.out_min, head_.out_max)); };
    if (head_.link == RMT_NET_ARGMAX) return reject("V0701", "a single sum is no choice", kRemake);
    if (head_.link == RMT_NET_POSITIVE) return check_output(clamp(scaled.lo) > 0, clamp(scaled.hi) > 0);
    return check_output(clamp(scaled.lo), clamp(scaled.hi));
}

// The products of one tile, for each lane of both accumulators.
bool NetCheck::add_products(const rmt_net_tile& tile, uint32_t at, bool packed, Range* sums, Wide* most) {
    for (uint32_t i = 0; i < RMT_NET_WORDS; i++) {
        const auto word = *read_at<int64_t>(value_, words_at() + (uint64_t{tile.block} * RMT_NET_WORDS + i) * sizeof(int64_t));
        const int64_t low = packed ? lane_of(word) : word;
        const auto rest = static_cast<int64_t>(static_cast<uint64_t>(word) - static_cast<uint64_t>(low)) >> RMT_NET_LANE_BITS;
        const int64_t weights[RMT_NET_LANES] = {low, packed ? lane_of(rest) : 0, packed ? (rest - lane_of(rest)) >> RMT_NET_LANE_BITS : 0};
        out_.facts.nodes += word != 0;
        for (uint32_t lane = 0; lane < RMT_NET_LANES; lane++) {
            if (weights[lane] == 0) continue;
            const auto& x = act_[tile.from + i / RMT_NET_ACCUMULATORS];
            if (!x) return reject("V0702", fmt::format("tile {} reads an activation that nothing wrote", at), kRemake);
            const uint32_t k = i % RMT_NET_ACCUMULATORS * RMT_NET_LANES + lane;
            const Wide a = x->lo * weights[lane], b = x->hi * weights[lane];
            sums[k] = {sums[k].lo + std::min(a, b), sums[k].hi + std::max(a, b)};
            most[k] += std::max(a < 0 ? -a : a, b < 0 ? -b : b);
            if (most[k] > kSafe) return reject("V0706", fmt::format("a sum of tile {} may leave 64 bits", at), "quantise again with smaller weights");
        }
    }
    return true;
}

bool NetCheck::store(const rmt_net_row& row, uint32_t output, const Range& sum, uint32_t to, bool keep, uint32_t at) {
    const Wide a = sum.lo * row.multiplier[output], b = sum.hi * row.multiplier[output];
    const Range product{std::min(a, b), std::max(a, b)}, scaled{product.lo + row.add[output], product.hi + row.add[output]};
    const Wide top = row.hi;
    if (!safe(product) || !safe(scaled) || row.hi < row.lo || row.lo < -kSafe / 2 || top > kSafe / 2)
        return reject("V0706", fmt::format("a scaled sum of tile {} may leave 64 bits", at), "quantise again with smaller multipliers");
    Range made{std::clamp<Wide>(scaled.lo >> row.shift, row.lo, top), std::clamp<Wide>(scaled.hi >> row.shift, row.lo, top)};
    auto& place = act_[to + output];
    if (keep && place) made = {std::max(made.lo, place->lo), std::max(made.hi, place->hi)};
    if (keep && !place)
        return true;  // still whatever was left there
    place = made;
    return true;
}

bool NetCheck::check_row(uint32_t first, uint32_t last) {
    const rmt_net_tile end = tile(last);
    const uint32_t index = end.row & ~RMT_NET_FLAGS;
    const bool packed = end.row & RMT_NET_PACKED;
    if (index >= shape_.rows || end.to >= shape_.width) return reject("V0702", fmt::format("tile {} leads to row {} and activation {}", last, index, end.to), kRemake);
    Range sums[RMT_NET_ROW_OUTPUTS] = {};
    Wide most[RMT_NET_ROW_OUTPUTS] = {};
    for (uint32_t t = first; t <= last; t++) {
        const rmt_net_tile one = tile(t);
        if (one.from >= shape_.width || one.block >= shape_.blocks) return reject("V0702", fmt::format("tile {} reads activation {} and block {}", t, one.from, one.block), kRemake);
        if (!add_products(one, t, packed, sums, most)) return false;
        if (!(one.row & RMT_NET_WIDE)) continue;
        if (one.block + uint64_t{1} >= shape_.blocks) return reject("V0702", fmt::format("tile {} reads block {}", t, one.block + uint64_t{1}), kRemake);
        if (!add_products({one.from + RMT_NET_TILE, one.block + 1, one.to, one.row}, t, packed, sums, most)) return false;
    }
    const auto row = *read_at<rmt_net_row>(value_, rows_at() + uint64_t{index} * sizeof(rmt_net_row));
    if (row.shift > 63) return reject("V0702", fmt::format("row {} has a shift of {} bits", index, row.shift), kRemake);
    constexpr Wide kLane = Wide{1} << (RMT_NET_LANE_BITS - 1);
    out_.facts.trees++;
    for (uint32_t k = 0; k < RMT_NET_ROW_OUTPUTS; k++) {
        if (packed && (sums[k].lo < -kLane || sums[k].hi >= kLane)) return reject("V0706", fmt::format("a sum of tile {} may leave its {} bits", last, RMT_NET_LANE_BITS), kRemake);
        if (!packed && k % RMT_NET_LANES != 0) continue;
        const uint32_t output = packed ? k : k / RMT_NET_LANES;
        if (!store(row, output, sums[k], end.to, end.row & RMT_NET_MAX, last)) return false;
    }
    return true;
}

bool NetCheck::check_tiles() {
    uint32_t first = 0;
    for (uint32_t t = 0; t < head_.tiles; t++) {
        if (!(tile(t).row & RMT_NET_LAST)) continue;
        if (!check_row(first, t)) return false;
        first = t + 1;
    }
    out_.facts.longest = head_.tiles;
    return first == head_.tiles || reject("V0703", "its last tile does not end a row", kRemake);
}

bool NetCheck::check_named(int64_t answer) {
    bool ok = answer >= model_.output_min && answer <= model_.output_max;
    if (model_.output_kind == "class")
        ok = std::any_of(model_.classes.begin(), model_.classes.end(), [&](auto& named) { return named.second == answer; });
    return ok || reject("V0704", fmt::format("answers {}, which is not in the policy's output", answer), "train with labels of the policy's range");
}

bool NetCheck::check_output(int64_t lo, int64_t hi) {
    out_.facts.out_min = lo, out_.facts.out_max = hi;
    if (model_.output_kind == "class" && hi - lo < 64) {
        for (int64_t answer = lo; answer <= hi; answer++)
            if (!check_named(answer)) return false;
        return true;
    }
    return (lo >= model_.output_min && hi <= model_.output_max) ||
           reject("V0704", fmt::format("answers {}..{}, the policy's output is {}..{}", lo, hi, model_.output_min, model_.output_max), "train with labels of the policy's range");
}

bool NetCheck::check_answer() {
    for (uint32_t k = 0; k < head_.outputs; k++)
        if (!act_[head_.result + k]) return reject("V0702", fmt::format("output {} is an activation that nothing wrote", k), kRemake);
    if (head_.link != RMT_NET_ARGMAX) {
        const Range result = *act_[head_.result];
        if (head_.link == RMT_NET_POSITIVE) return check_output(result.lo > 0, result.hi > 0);
        auto clamp = [&](Wide v) { return static_cast<int64_t>(std::clamp<Wide>(v, head_.out_min, head_.out_max)); };
        return check_output(clamp(result.lo), clamp(result.hi));
    }
    if (shape_.outputs == 1) return reject("V0701", "a single output is no choice", kRemake);
    out_.facts.out_min = INT64_MAX, out_.facts.out_max = INT64_MIN;
    for (uint32_t k = 0; k < head_.outputs; k++) {
        const auto answer = *read_at<int64_t>(value_, answers_at() + uint64_t{k} * sizeof(int64_t));
        if (!check_named(answer)) return false;
        out_.facts.out_min = std::min(out_.facts.out_min, answer);
        out_.facts.out_max = std::max(out_.facts.out_max, answer);
    }
    return true;
}

ModelVerdict NetCheck::run() {
    if (!check_header() || !read_inputs()) return std::move(out_);
    if (shape_.tiles == 0)
        check_linear();
    else if (check_tiles())
        check_answer();
    return std::move(out_);
}

}  // namespace

ModelVerdict verify_net(std::span<const uint8_t> value, const ManifestModel& model, const NetClass& shape) { return NetCheck(value, model, shape).run(); }

}  // namespace rmt::verify
