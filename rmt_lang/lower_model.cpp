// SPDX-License-Identifier: MIT
// Models: what they read, what they answer, what is answered without them, how they are trained.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "bpf/include/rmt/model_layout.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

using ir::Interval;
using ir::Scalar;
using ir::Unit;

namespace {

constexpr int64_t kMinEveryNs = 10'000'000;  // the agent trains no more often than that
constexpr int64_t kMaxWindow = 1'000'000;    // samples, in the agent's memory
constexpr int64_t kMinWindow = 100;
constexpr size_t kMaxClasses = 64;

// The items of a model by kind; a second one of a kind is reported.
template <class T>
const T* find_item(const AstModel& model, Span* span = nullptr) {
    for (const AstModelItem& i : model.items)
        if (const auto* item = std::get_if<T>(&i.node)) {
            if (span) *span = i.span;
            return item;
        }
    return nullptr;
}

const char* item_name(const AstModelItem& item) {
    static const char* const kNames[] = {"source", "input", "output", "on_error", "every", "train"};
    return kNames[item.node.index()];
}

}  // namespace

void Lowerer::model_classes(const AstModelOutput& output, ir::Model& out) {
    if (output.classes.size() < 2) error("E0503", output.kind.span, "a class output needs at least two classes", "", "write class { none = 0, some = 1 }");
    if (output.classes.size() > kMaxClasses) error("E0503", output.classes[kMaxClasses].name.span, fmt::format("more than {} classes", kMaxClasses));
    Interval range{INT64_MAX, INT64_MIN};
    for (const AstClass& c : output.classes) {
        const auto value = plain_constant(c.value, fmt::format("class '{}'", c.name.text), 0, INT16_MAX, "E0503");
        if (!value) continue;
        for (size_t i = 0; i < out.classes.size(); i++) {
            const bool same_name = out.classes[i].first == c.name.text;
            if (!same_name && out.classes[i].second != *value) continue;
            error_with("E0505", c.name.span, same_name ? fmt::format("class '{}' is declared twice", c.name.text)
                                                       : fmt::format("classes '{}' and '{}' have the same number", out.classes[i].first, c.name.text),
                       "", output.classes[i].name.span, "here before");
        }
        out.classes.emplace_back(c.name.text, *value);
        range = {std::min(range.lo, *value), std::max(range.hi, *value)};
    }
    if (!out.classes.empty()) out.output_range = range;
}

void Lowerer::model_output(const AstModelOutput& output, Span span, ir::Model& out) {
    if (output.kind.text == "class") {
        out.output = ir::OutputKind::Class;
        out.output_type = Scalar::I32;
        return model_classes(output, out);
    }
    out.output = output.kind.text == "score" ? ir::OutputKind::Score : ir::OutputKind::Value;
    const auto scalar = scalar_type(*output.type, "an output");
    if (!scalar) return;
    if (*scalar == Scalar::Bool || *scalar == Scalar::Page || *scalar == Scalar::Ns) {
        error("E0503", output.type->span, fmt::format("a model answers a plain number, not {}", ir::scalar_name(*scalar)), "",
              *scalar == Scalar::Bool ? "write class { no = 0, yes = 1 }" : "predict a distance as i32");
        return;
    }
    out.output_type = *scalar;
    out.output_range = ir::scalar_interval(*scalar);
    if (output.lo) {
        const auto lo = plain_constant(*output.lo, "the range of the output", out.output_range.lo, out.output_range.hi, "E0503");
        const auto hi = plain_constant(*output.hi, "the range of the output", out.output_range.lo, out.output_range.hi, "E0503");
        if (!lo || !hi) return;
        if (*lo > *hi) {
            error("E0503", join(output.lo->span, output.hi->span), "the range of the output is empty", "", "the smaller end comes first");
            return;
        }
        out.output_range = {*lo, *hi};
    }
    if (out.output_range.lo < INT32_MIN || out.output_range.hi > INT32_MAX)
        error("E0503", span, fmt::format("an answer has 32 bits with a sign, {} can be {}..{}", ir::scalar_name(*scalar), out.output_range.lo, out.output_range.hi),
              "", fmt::format("write `output value {} in LO..HI`", ir::scalar_name(*scalar)));
}

// Inputs are 32 bits with a sign in the kernel: what is always larger would only be cut.
void Lowerer::model_inputs(const AstModelInput& input, bool trains, ir::Model& out) {
    const size_t most = trains ? RMT_MAX_INPUTS : RMT_MODEL_MAX_INPUTS;
    if (input.inputs.empty() || input.inputs.size() > most) {
        const Span at = input.inputs.empty() ? out.span : input.inputs.back().span;
        error("E0502", at, fmt::format("model '{}' has {} inputs, 1..{} are possible", out.name, input.inputs.size(), most),
              "", trains ? fmt::format("a model that does not train while it runs has up to {}", RMT_MODEL_MAX_INPUTS) : "");
    }
    if (input.inputs.size() > RMT_MAX_INPUTS) out.shape = {RMT_MODEL_GROUP, out.shape.depth, out.shape.nodes, EngineKind::Forest, RMT_MODEL_MAX_SLOTS};
    for (const AstExpr& e : input.inputs) {
        const std::string name = text(e.span);
        if (!std::holds_alternative<AstRef>(e.node) && !std::holds_alternative<AstIndex>(e.node)) {
            error("E0502", e.span, "an input is a field, a state variable or an element of a ring", "", "compute it into a state variable first");
            continue;
        }
        auto value = expr(e);
        if (!value) continue;
        const auto* element = std::get_if<ir::RingElement>(&value->expr.node);
        if (element && !std::holds_alternative<ir::Const>(element->index->node)) {
            error("E0502", e.span, "the element of an input has a constant index");
            continue;
        }
        const Scalar scalar = value->expr.type.scalar;
        if (value->expr.type.unit == Unit::Page || scalar == Scalar::U64 || scalar == Scalar::I64) {
            error("E0502", e.span, fmt::format("'{}' is {}, an input has 32 bits with a sign", name, ir::scalar_name(scalar)), "",
                  value->expr.type.unit == Unit::Page ? "use a distance, for example fault.delta" : "declare it as i32, or store a difference");
            continue;
        }
        const auto same = std::find_if(out.inputs.begin(), out.inputs.end(), [&](const ir::ModelInput& i) { return i.name == name; });
        if (same != out.inputs.end()) error_with("E0203", e.span, fmt::format("input '{}' is given twice", name), "", same->value.span, "here before");
        out.inputs.push_back({name, std::move(value->expr)});
    }
}

void Lowerer::model_on_error(const AstModelOnError& on_error, ir::Model& out) {
    const Names* names = out.output == ir::OutputKind::Class ? names_of(out) : nullptr;
    const auto c = constant(on_error.answer, "the answer on an error", names);
    if (!c) return;
    if (names && !c->named) {
        error("E0504", on_error.answer.span, fmt::format("on_error of '{}' is one of its classes", out.name), fmt::format("one of: {}", names->list()));
        return;
    }
    if (c->is_bool || c->unit != Unit::None || c->value < out.output_range.lo || c->value > out.output_range.hi) {
        error("E0504", on_error.answer.span, fmt::format("'{}' is no answer of '{}'", text(on_error.answer.span), out.name),
              fmt::format("within {}..{} expected", out.output_range.lo, out.output_range.hi));
        return;
    }
    out.on_error = c->value;
}

// Event and label, of both ways of training.
bool Lowerer::train_from(const AstModelTrain& train, Span span, ir::Model::Train& out) {
    const EventProfile* event = find_event(*domain_, train.event.text);
    if (!event) {
        std::vector<std::string> known;
        for (const EventProfile& e : domain_->events) known.push_back(e.name);
        const std::string near = closest(train.event.text, known);
        error("E0206", train.event.span, fmt::format("domain '{}' has no event '{}'", domain_->name, train.event.text),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near), fmt::format("events: {}", fmt::join(known, ", ")));
        return false;
    }
    if (!items_seen_.contains("on " + event->name)) {
        error("E0507", train.event.span, fmt::format("the policy has no handler for '{}'", event->name), "", fmt::format("write `on {} {{ ... }}`", event->name));
        return false;
    }
    auto label = expr(train.label);
    if (!label) return false;
    out.event = event->event;
    out.label_name = text(train.label.span);
    out.span = span;
    if (!std::holds_alternative<ir::FieldRef>(label->expr.node)) {
        error("E0507", train.label.span, "a label is a field of the event", "", fmt::format("`rmt-load explain fields {}` lists them", domain_->name));
        return false;
    }
    if (label->expr.type.unit == Unit::Page || label->expr.type.scalar == Scalar::U64 || label->expr.type.scalar == Scalar::Ns) {
        error("E0507", train.label.span, fmt::format("'{}' is {}, a label has 32 bits with a sign", out.label_name, ir::scalar_name(label->expr.type.scalar)));
        return false;
    }
    out.label = std::move(label->expr);
    return true;
}

bool Lowerer::train_background(const AstModelTrain& train, Span span, ir::Model::Train& out) {
    const AstExpr* other = train.rate ? &train.rate->of : !train.scale.empty() ? &train.scale[0].of : train.after ? &*train.after : nullptr;
    if (other) {
        error("E0507", other->span, "'rate', 'scale' and 'after' are of `train online`", "", "leave them out: the agent trains trees");
        return false;
    }
    if (!train.every || !train.window) {
        error("E0507", span, fmt::format("training without '{}'", train.every ? "window" : "every"), "", "write every TIME window SAMPLES, for example every 1s window 20000");
        return false;
    }
    const auto every = time_constant(*train.every, "the interval of training", "E0507");
    const auto window = plain_constant(*train.window, "the window of training", kMinWindow, kMaxWindow, "E0507");
    if (every && *every < static_cast<uint64_t>(kMinEveryNs)) {
        error("E0507", train.every->span, "a model is not trained more often than every 10ms");
        return false;
    }
    if (!every || !window) return false;
    out.every_ns = *every;
    out.window = static_cast<uint32_t>(*window);
    return true;
}

void Lowerer::model_train(const AstModelTrain& train, Span span, ir::Model& out) {
    const bool online = train.how.text == "online";
    if (!online && train.how.text != "background") {
        error("E0507", train.how.span, fmt::format("'{}' is not a way of training", train.how.text), "",
              "write `train background from mm.fault label FIELD every 1s window 20000`, or `train online linear from mm.fault label FIELD`");
        return;
    }
    ir::Model::Train t;
    const bool known = train_from(train, span, t);
    const bool good = online ? train_online(train, out, t) : train_background(train, span, t);
    if (known && good) out.train = std::move(t);
}

void Lowerer::model_digest(const AstExpr& digest, ir::Model& out) {
    const auto hex = string_constant(digest, "a digest");
    if (!hex) return;
    const bool good = hex->size() == 64 && hex->find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good) {
        error("E0508", digest.span, "this is no SHA-256", "64 digits 0-9a-f expected", "`sha256sum FILE` prints it");
        return;
    }
    out.sha256 = *hex;
    out.sha256_span = digest.span;
}

void Lowerer::lower_model(const AstModel& ast) {
    ir::Model m;
    m.name = ast.name.text;
    m.span = ast.name.span;
    const size_t errors = diagnostics_.error_count();
    std::array<const AstModelItem*, 6> seen{};
    for (const AstModelItem& i : ast.items) {
        const AstModelItem*& slot = seen[i.node.index()];
        if (slot) error_with("E0204", i.span, fmt::format("'{}' is given twice in model '{}'", item_name(i), m.name), "", slot->span, "here before");
        slot = &i;
    }
    Span span = ast.name.span;
    if (const auto* every = find_item<AstModelEvery>(ast, &span)) {
        (void)every;
        unsupported(span, "`every N events`", "the model is asked at each infer()");
    }
    const auto* output = find_item<AstModelOutput>(ast, &span);
    if (output) model_output(*output, span, m);
    const auto* input = find_item<AstModelInput>(ast);
    if (input) model_inputs(*input, find_item<AstModelTrain>(ast) != nullptr, m);
    const auto* on_error = find_item<AstModelOnError>(ast);
    const bool output_valid = diagnostics_.error_count() == errors;
    if (on_error && output && output_valid) model_on_error(*on_error, m);
    const auto* train = find_item<AstModelTrain>(ast, &span);
    if (train) model_train(*train, span, m);
    const auto* source = find_item<AstModelSource>(ast, &span);
    if (source && train && train->how.text == "online") {
        error("E0509", span, "a model that learns online has no source", "", "it starts from nothing at each load; leave `source` out");
    } else if (source) {
        if (const auto path = string_constant(source->path, "the source of a model")) m.source = *path;
        if (m.source.empty() && diagnostics_.error_count() == errors) error("E0501", span, "the path of the source is empty", "", "leave `source` out to start from nothing");
        if (source->sha256) model_digest(*source->sha256, m);
    }
    auto missing = [&](const char* what, const char* help) {
        error("E0501", ast.name.span, fmt::format("model '{}' has no {}", m.name, what), "", help);
    };
    if (!input) missing("input", "write input (FIELD, STATE[0], ...);");
    if (!output) missing("output", "write output value i32 in LO..HI; or output class { NAME = N, ... };");
    if (!on_error) missing("on_error", "write on_error ANSWER; it is the answer while there is no model, or when it cannot be asked");
    if (!source && !train) missing("source", "write source \"FILE\"; or train background ...; or train online ...; to start from nothing");
    symbols_[ast.name.text].valid = diagnostics_.error_count() == errors;
    out_.models.push_back(std::move(m));
}

}  // namespace rmt::lang
