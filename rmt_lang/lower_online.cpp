// SPDX-License-Identifier: MIT
// `train online`: what the learner in the kernel (bpf/include/rmt/learn.bpf.h) can do with a model's inputs, label and output.
#include <bit>

#include <fmt/format.h>

#include "bpf/include/rmt/learn_layout.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

namespace {

constexpr uint32_t kRateBits = 6;  // 1/64: the mean of the last 64 steps, more or less

}  // namespace

// 2^n or 1/2^n as n; 16 is 4, 1/64 is -6.
std::optional<int32_t> Lowerer::power_of_two(const AstRatio& ratio, const std::string& what, int32_t lowest, int32_t highest, const char* example) {
    const Span span = ratio.by ? join(ratio.of.span, ratio.by->span) : ratio.of.span;
    const auto of = constant(ratio.of, what);
    const auto by = ratio.by ? constant(*ratio.by, what) : std::optional<Constant>(Constant{1, ir::Unit::None, false, false, span});
    if (!of || !by) return std::nullopt;
    const auto is_power = [](const Constant& c) { return !c.is_bool && c.unit == ir::Unit::None && c.value > 0 && std::has_single_bit(static_cast<uint64_t>(c.value)); };
    const auto bits = [](const Constant& c) { return std::countr_zero(static_cast<uint64_t>(c.value)); };
    if (is_power(*of) && is_power(*by)) {
        const int32_t n = bits(*of) - bits(*by);
        if (n >= lowest && n <= highest) return n;
    }
    const auto written = [](int32_t n) { return n < 0 ? fmt::format("1/{}", 1 << -n) : fmt::format("{}", 1 << n); };
    error("E0509", span, fmt::format("{} is '{}'", what, text(span)), fmt::format("a power of two within {}..{} expected", written(lowest), written(highest)), example);
    return std::nullopt;
}

std::optional<std::vector<int32_t>> Lowerer::online_scales(const AstModelTrain& train, const ir::Model& model) {
    const size_t inputs = model.inputs.size();
    if (train.scale.empty()) return std::vector<int32_t>(inputs, 0);
    if (train.scale.size() != 1 && train.scale.size() != inputs) {
        const AstRatio& last = train.scale.back();
        error("E0509", join(train.scale[0].of.span, last.by ? last.by->span : last.of.span),
              fmt::format("{} scales are given, the inputs of '{}' are {}", train.scale.size(), model.name, inputs), "", "write one for all, or one for each: scale (16, 16, 1)");
        return std::nullopt;
    }
    std::vector<int32_t> bits;
    for (const AstRatio& ratio : train.scale) {
        const auto n = power_of_two(ratio, "the scale of an input", RMT_LEARN_SCALE_MIN, RMT_LEARN_SCALE_MAX, "write scale 16, or scale 1/64 for inputs that are small");
        if (!n) return std::nullopt;
        bits.push_back(*n);
    }
    if (bits.size() == 1) bits.resize(inputs, bits[0]);
    return bits;
}

bool Lowerer::train_online(const AstModelTrain& train, const ir::Model& model, ir::Model::Train& out) {
    ir::Model::Online online;
    bool ok = true;
    const auto wrong = [&](Span at, const std::string& message, const std::string& help) {
        error("E0509", at, message, "", help);
        ok = false;
    };
    if (!train.learner)
        wrong(train.how.span, "`train online` without what learns", "write `train online linear from ...` or `train online mlp from ...`");
    else if (train.learner->text != "linear" && train.learner->text != "mlp")
        wrong(train.learner->span, fmt::format("'{}' does not learn in the kernel", train.learner->text), "write linear or mlp");
    else
        online.kind = train.learner->text == "mlp" ? OnlineKind::Mlp : OnlineKind::Linear;
    if (train.every || train.window)
        wrong((train.every ? train.every : train.window)->span, "'every' and 'window' are of `train background`", "online, each event is a step; rate 1/64 says how much it counts");
    if (model.inputs.size() > RMT_LEARN_INPUTS)
        wrong(model.inputs[RMT_LEARN_INPUTS].value.span, fmt::format("model '{}' has {} inputs, a learner in the kernel has up to {}", model.name, model.inputs.size(), RMT_LEARN_INPUTS),
              "leave the less telling ones out, or write `train background`");
    if (model.output == ir::OutputKind::Class)
        wrong(model.span, fmt::format("model '{}' answers classes, a learner in the kernel answers numbers", model.name), "write output value i32 in LO..HI, or `train background`");
    else if (model.output_range.lo < -RMT_LEARN_LABEL || model.output_range.hi > RMT_LEARN_LABEL)
        wrong(model.span, fmt::format("model '{}' may answer {}..{}, a learner in the kernel answers within {}..{}", model.name, model.output_range.lo, model.output_range.hi,
                                      -RMT_LEARN_LABEL, RMT_LEARN_LABEL), "write output value i32 in LO..HI");
    const auto rate = train.rate ? power_of_two(*train.rate, "the rate of learning", -RMT_LEARN_RATE_MAX, -RMT_LEARN_RATE_MIN, "write rate 1/64; a smaller one learns slower and steadier")
                                 : std::optional<int32_t>(-static_cast<int32_t>(kRateBits));
    const auto scales = online_scales(train, model);
    const auto after = train.after ? plain_constant(*train.after, "the number of steps before the first answer", 1, RMT_LEARN_AFTER_MAX, "E0509")
                                   : std::optional<int64_t>(1 << -rate.value_or(0));
    if (!ok || !rate || !scales || !after) return false;
    online.rate_bits = static_cast<uint32_t>(-*rate);
    online.scale_bits = *scales;
    online.after = static_cast<uint32_t>(*after);
    out.online = std::move(online);
    return true;
}

}  // namespace rmt::lang
