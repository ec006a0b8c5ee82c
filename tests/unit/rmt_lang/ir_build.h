// SPDX-License-Identifier: MIT
// IR by hand, for tests of what comes after the front end. Spans are of byte `at`, so that with a text of one byte per
// line the line number is at + 1.
#pragma once

#include "rmt_lang/ir.h"

namespace rmt::lang::build {

using namespace ir;

inline Span at(uint32_t line) { return {2 * (line - 1), 2 * (line - 1) + 1}; }
inline Source lines(const std::string& name, uint32_t count) {
    std::string text;
    for (uint32_t i = 0; i < count; i++) text += "x\n";
    return Source(name, text);
}

inline Expr num(int64_t n) { return {{}, {Scalar::I64, {n, n}, Unit::None}, Const{n}}; }
inline Expr of(Interval range, decltype(Expr::node) node, Scalar scalar = Scalar::I64) {
    return {{}, {scalar, range, Unit::None}, std::move(node)};
}
inline Expr field(const Policy& p, uint32_t i) { return {{}, p.fields[i].type, FieldRef{i}}; }
inline Expr state(Scalar s, uint32_t i) { return {{}, {s, scalar_interval(s), Unit::None}, StateRef{i}}; }
inline Expr param(Scalar s, uint32_t i) { return {{}, {s, scalar_interval(s), Unit::None}, ParamRef{i}}; }
inline Expr element(Scalar s, uint32_t ring, Expr index) {
    return {{}, {s, scalar_interval(s), Unit::None}, RingElement{ring, std::move(index)}};
}
inline Expr bin(BinaryOp op, Expr a, Expr b, Interval range = {}) { return of(range, Binary{op, std::move(a), std::move(b)}); }
inline Expr test(BinaryOp op, Expr a, Expr b) { return of({0, 1}, Binary{op, std::move(a), std::move(b)}, Scalar::Bool); }
inline Stmt stmt(uint32_t line, decltype(Stmt::node) node) { return {at(line), std::move(node)}; }

inline Field number_field(const std::string& name, Scalar s) { return {name, FieldKind::Number, {s, scalar_interval(s), Unit::None}, {}}; }

// The founding example of docs/language.md, with the same line numbers as there.
inline Policy founding() {
    Policy p;
    p.name = "learned_prefetch";
    p.description = "Predict the next page deltas of each task with a decision tree";
    p.domain = "mm";
    p.mode = Mode::Enforce;
    p.limits.per_event = {32, at(9)};
    p.limits.rate = {50000, 1000000000, at(10)};
    p.limits.cost = {2000, at(11)};
    p.limits.breach = {"accuracy", 30, 2000000000, 5000000000, at(12)};
    p.fields = {number_field("fault.delta", Scalar::I32),
                {"fault.prefetched", FieldKind::Bool, {Scalar::Bool, {0, 1}, Unit::None}, {{"false", 0}, {"true", 1}}},
                {"fault.page", FieldKind::Number, {Scalar::Page, scalar_interval(Scalar::Page), Unit::Page}, {}},
                {"vma.kind", FieldKind::Enum, {Scalar::U8, {1, 2}, Unit::None}, {{"anon", 1}, {"file", 2}}},
                {"memcg.usage_percent", FieldKind::Number, {Scalar::U8, {0, 100}, Unit::Percent}, {}},
                number_field("ts", Scalar::Ns),
                number_field("tgid", Scalar::U32)};
    p.states = {{"deltas", at(16), State::Ring{Scalar::I32, 4}},
                {"head", at(17), State::Value{Scalar::Page}},
                {"ahead_deltas", at(18), State::Ring{Scalar::I32, 4}},
                {"ahead", at(19), State::Value{Scalar::U8}}};
    Model m;
    m.name = "next_delta";
    m.span = at(22);
    m.source = "models/next_delta.json";
    std::vector<Expr> rolled;
    for (int i = 0; i < 4; i++) {
        m.inputs.push_back({"deltas[" + std::to_string(i) + "]", element(Scalar::I32, 0, num(i))});
        rolled.push_back(element(Scalar::I32, 2, num(i)));
    }
    m.output_range = {-4096, 4096};
    m.train = Model::Train{Event::Fault, field(p, 0), "fault.delta", 1000000000, 20000, at(27)};
    p.models = {m};

    Action none{"none", at(30), {}, {}};
    Action follow{"follow", at(31), {{"depth", at(31), {Scalar::U8, {0, 255}, Unit::None}}}, {}};
    const Expr ahead = state(Scalar::U8, 3), depth = param(Scalar::U8, 0);
    const Type step_type{Scalar::I64, {-4096, 4096}, Unit::Pages};
    const Expr step{{}, step_type, LocalRef{0}};
    follow.body.locals = {{"step", at(37), step_type, false}};
    const Block rolling = {
        stmt(36, If{test(BinaryOp::Ge, ahead, depth), {stmt(36, Break{})}, {}}),
        stmt(37, Declare{0, {{}, step_type, Infer{0, rolled}}}),
        stmt(38, If{test(BinaryOp::Eq, step, num(0)), {stmt(38, Break{})}, {}}),
        stmt(39, AssignState{1, bin(BinaryOp::Add, state(Scalar::Page, 1), step, {-4096, (int64_t{1} << 52) + 4095})}),
        stmt(40, Push{2, step}),
        stmt(41, PrefetchPage{state(Scalar::Page, 1)}),
        stmt(42, AssignState{3, bin(BinaryOp::Add, ahead, num(1), {1, 256})}),
    };
    follow.body.block = {
        stmt(32, If{field(p, 1),
                    {stmt(32, AssignState{3, bin(BinaryOp::Sub, ahead, num(1), {-1, 254})})},
                    {stmt(33, AssignState{1, field(p, 2)}), stmt(33, CopyRing{2, 0}), stmt(33, AssignState{3, num(0)})}}),
        stmt(34, If{test(BinaryOp::Le, ahead, bin(BinaryOp::Div, depth, num(2), {0, 127})), {stmt(35, Repeat{32, {}, rolling})}, {}}),
    };
    p.actions = {none, follow};

    Table t{"by_pressure", at(47), {}, {0, 1}, {0, {}}, 64, {}};
    t.keys = {{"vma.kind", at(48), MatchKind::Exact, field(p, 3), p.fields[3].values},
              {"memcg.usage_percent", at(48), MatchKind::Range, field(p, 4), {}}};
    t.entries = {{at(52), {KeyRange{1, 1}, KeyRange{0, 95}}, {1, {32}}, ""}, {at(53), {KeyRange{1, 1}, KeyRange{96, 100}}, {1, {16}}, ""}};
    p.tables = {t};

    Collect collect;
    collect.items = {{"ts", at(57), CollectItem::Value{Scalar::Ns, field(p, 5)}},
                     {"tgid", at(57), CollectItem::Value{Scalar::U32, field(p, 6)}},
                     {"fault.page", at(57), CollectItem::Value{Scalar::Page, field(p, 2)}},
                     {"deltas", at(57), CollectItem::Ring{0}}};
    p.handlers = {{Event::Fault, at(57), {{}, {stmt(57, Push{0, field(p, 0)}), stmt(57, Apply{0}), stmt(57, collect)}}}};
    return p;
}

}  // namespace rmt::lang::build
