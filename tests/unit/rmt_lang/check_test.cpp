// SPDX-License-Identifier: MIT
// What accepted texts mean: the IR of each construct. What is refused, and how, is in tests/lang/reject.
#include "rmt_lang/check.h"

#include "rmt_lang/domain.h"
#include "rmt_lang/parser.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::lang;

namespace {

const char* const kState =
    "state per task { r : ring<i32, 4>; q : ring<i32, 4>; n : u8; w : i64; last : page; run : ns; mean : ewma<i32, 8>; c : count; b : bool; }\n"
    "model m { source \"m.json\"; input (r[0], r[1], r[2], r[3]); output value i32 in -64..64; on_error 0; }\n"
    "model k { source \"k.json\"; input (n, fault.delta); output class { none = 0, one = 1, two = 2 }; on_error none; }\n";

std::optional<Ir> lower(const std::string& items, std::string* errors = nullptr) {
    const Source source("t.rmt", "rmt 1;\ndefine DEPTH = 32;\ndefine TWICE = $DEPTH * 2;\ndefine GROUP = \"/db*\";\npolicy p {\ndomain mm;\n" + items + "\n}\n");
    Diagnostics diagnostics;
    const auto ast = parse(source, diagnostics);
    std::optional<CheckedIr> checked;
    if (ast) checked = check(*ast, source, diagnostics);
    if (errors) *errors = format(diagnostics, source);
    if (!checked) return std::nullopt;
    return checked->ir();
}

// The only action of a policy with the state above.
ir::Body body(const std::string& statements) {
    std::string errors;
    const auto ir = lower(kState + ("action a(x: u8) { " + statements + " }\non mm.fault { a(1); }"), &errors);
    INFO(statements << "\n" << errors);
    REQUIRE(ir);
    return ir->actions.at(0).body;
}

ir::Interval range_of(const std::string& expr) {
    const ir::Body b = body("let v = " + expr + ";");
    return std::get<ir::Declare>(b.block.at(0).node).value.type.range;
}

template <class T>
const T& only(const ir::Block& block) {
    REQUIRE(block.size() == 1);
    REQUIRE(std::holds_alternative<T>(block[0].node));
    return std::get<T>(block[0].node);
}

}  // namespace

TEST_CASE("intervals follow the types exactly") {
    struct Case {
        const char* expr;
        int64_t lo, hi;
    };
    const Case cases[] = {
        {"x", 0, 255},
        {"x + 1", 1, 256},
        {"x - n", -255, 255},
        {"x * x", 0, 65025},
        {"r[0] * r[1]", -1073741824ll * 2147483647 / 1073741824 * 2147483648, 4611686018427387904},
        {"x / 2", 0, 127},
        {"x / n", 0, 255},
        {"fault.delta / fault.delta", -2147483648ll, 2147483648ll},
        {"x % 10", 0, 9},
        {"fault.delta % 10", -9, 9},
        {"x << 3", 0, 2040},
        {"w << 1", INT64_MIN, INT64_MAX},
        {"x >> 4", 0, 15},
        {"x & 12", 0, 12},
        {"x | 256", 0, 511},
        {"fault.delta & 7", 0, 7},
        {"min(x, 9)", 0, 9},
        {"max(x, 9)", 9, 255},
        {"abs(fault.delta)", 0, 2147483648ll},
        {"-x", -255, 0},
        {"abs(w)", 0, INT64_MAX},
        {"w + 1", INT64_MIN + 1, INT64_MAX},
        {"u8(w)", 0, 255},
        {"i8(x)", 0, 127},
        {"infer(m)", -64, 64},
        {"infer(k)", 0, 2},
        {"memcg.usage_percent", 0, 100},
        {"5ms", 5000000, 5000000},
        {"2 + 3 * 4", 14, 14},
        {"$TWICE", 64, 64},
        {"fault.page - last", -((1ll << 52) - 1), (1ll << 52) - 1},
    };
    for (const Case& c : cases) {
        if (std::string(c.expr) == "r[0] * r[1]") continue;
        INFO(c.expr);
        CHECK(range_of(c.expr).lo == c.lo);
        CHECK(range_of(c.expr).hi == c.hi);
    }
    CHECK(range_of("r[0] * r[1]").lo == -2147483648ll * 2147483647);
    CHECK(range_of("r[0] * r[1]").hi == 2147483648ll * 2147483648);
}

TEST_CASE("statements become what they say") {
    CHECK(only<ir::Push>(body("push r, 1;").block).state == 0);
    CHECK(only<ir::CopyRing>(body("q = r;").block) == ir::CopyRing{1, 0});
    CHECK(only<ir::AssignState>(body("c = 2;").block).state == 7);
    CHECK(only<ir::AssignState>(body("mean = fault.delta;").block).state == 6);
    const ir::Body loop = body("repeat $TWICE as i { if (i >= x) { break; } var s : i32 = r[i]; s = s + 1; }");
    const auto& repeat = only<ir::Repeat>(loop.block);
    CHECK(repeat.count == 64);
    REQUIRE(repeat.local);
    CHECK(loop.locals.at(*repeat.local).type.range == ir::Interval{0, 63});
    CHECK(loop.locals.at(1).assigned);
    CHECK(loop.locals.at(1).type.scalar == ir::Scalar::I32);
    CHECK(only<ir::PrefetchPage>(body("prefetch(fault.page + 3);").block).page.type.unit == ir::Unit::Page);
    const auto run = only<ir::PrefetchRun>(body("prefetch(x, -2);").block);
    CHECK(std::holds_alternative<ir::FieldRef>(run.base.node));
    CHECK(std::get<ir::Const>(run.step.node).value == -2);
    const auto match = only<ir::Match>(body("match infer(k) { one => n = 1; two, none => { n = 2; } _ => n = 3; }").block);
    REQUIRE(match.arms.size() == 3);
    CHECK(match.arms[0].patterns == std::vector<ir::Interval>{{1, 1}});
    CHECK(match.arms[1].patterns == std::vector<ir::Interval>{{2, 2}, {0, 0}});
    CHECK(match.arms[2].patterns.empty());
    const auto chain = only<ir::If>(body("if (n == 1 || b) { n = 2; } else if (vma.kind == anon) { n = 3; }").block);
    CHECK(std::holds_alternative<ir::If>(chain.otherwise.at(0).node));
}

TEST_CASE("a ring stands for the inputs of a model") {
    const ir::Body b = body("let s = infer(m, q);");
    const auto& infer = std::get<ir::Infer>(std::get<ir::Declare>(b.block[0].node).value.node);
    REQUIRE(infer.inputs.size() == 4);
    for (int64_t i = 0; i < 4; i++) {
        const auto& e = std::get<ir::RingElement>(infer.inputs[i].node);
        CHECK(e.state == 1);
        CHECK(std::get<ir::Const>(e.index->node).value == i);
    }
}

TEST_CASE("names of sibling blocks may repeat, and a class is compared by name") {
    body("if (b) { let t = 1; n = t; } else { let t = 2; n = t; }");
    body("let k2 = infer(k); if (k2 == two) { n = 1; } if (none != infer(k)) { n = 2; }");
    body("last = 0; run = 0; if (run > 5us) { last = fault.page; } run = ts - run; last = page(w); w = u64(run);");
}

TEST_CASE("the header of a policy") {
    std::string errors;
    const auto ir = lower(std::string(kState) +
                              "description \"d\";\nattach cgroup $GROUP;\nattach cgroup \"/b\";\n"
                              "limit { prefetch.pages <= $DEPTH per event; prefetch.pages <= 20000 pages per 1s; cost <= 2us per event;\n"
                              "on breach (accuracy < 30% over 2s) => mode shadow for 5s; }\non mm.fault { }",
                          &errors);
    INFO(errors);
    REQUIRE(ir);
    CHECK(ir->mode == ir::Mode::Shadow);  // it has a model
    CHECK(ir->attach == std::vector<std::string>{"/db*", "/b"});
    CHECK(ir->limits.per_event->pages == 32);
    CHECK(ir->limits.rate->pages == 20000);
    CHECK(ir->limits.rate->window_ns == 1000000000);
    CHECK(ir->limits.cost->ns == 2000);
    CHECK(ir->limits.breach->percent == 30);
    CHECK(ir->limits.breach->hold_ns == 5000000000);
    CHECK(lower("on mm.fault { }")->mode == ir::Mode::Enforce);
    CHECK(lower("mode off; on mm.fault { }")->mode == ir::Mode::Off);
}

TEST_CASE("tables: kinds of keys, open ends, sizes") {
    std::string errors;
    const auto ir = lower(std::string(kState) +
                              "action none() { }\naction go(x: u8, wait: ns) { n = x; }\n"
                              "table t { key { vma.kind : exact; memcg.usage_percent : range; comm : prefix; fault.major : exact; run : range; r[0] : range; }\n"
                              "actions { none; go; }\ndefault go(3, 5us);\nentries {\n"
                              "anon, ..40, \"post\", true, 1ms..2ms, -5 => go($DEPTH, 1ms) comment \"why\";\n"
                              "*, 96.., *, *, *, * => none(); } }\non mm.fault { apply t; collect { ts, comm, r, n, t.action } sample 1/64; }",
                          &errors);
    INFO(errors);
    REQUIRE(ir);
    const ir::Table& t = ir->tables.at(0);
    CHECK(t.size == 16);
    CHECK(t.default_run.args == std::vector<int64_t>{3, 5000});
    CHECK(t.entries.at(0).keys == std::vector<KeyMatch>{KeyRange{1, 1}, KeyRange{0, 40}, KeyText{"post", true}, KeyRange{1, 1},
                                                        KeyRange{1000000, 2000000}, KeyRange{-5, -5}});
    CHECK(t.entries[0].run.args == std::vector<int64_t>{32, 1000000});
    CHECK(t.entries[0].comment == "why");
    CHECK(t.entries.at(1).keys[1] == KeyMatch{KeyRange{96, 100}});
    const auto& collect = std::get<ir::Collect>(ir->handlers.at(0).body.block.at(1).node);
    CHECK(collect.sample == 64);
    REQUIRE(collect.items.size() == 5);
    CHECK(std::holds_alternative<ir::CollectItem::Text>(collect.items[1].what));
    CHECK(std::holds_alternative<ir::CollectItem::Ring>(collect.items[2].what));
    CHECK(std::get<ir::CollectItem::Value>(collect.items[3].what).type == ir::Scalar::U8);
}

TEST_CASE("a table of 17 entries has the size 32") {
    std::string entries;
    for (int i = 0; i < 17; i++) entries += std::to_string(i) + " => none(); ";
    const auto ir = lower("action none() { }\ntable t { key { cpu : exact; } actions { none; } default none(); entries { " + entries + "} }\non mm.fault { apply t; }");
    REQUIRE(ir);
    CHECK(ir->tables.at(0).size == 32);
}

TEST_CASE("entries that overlap without one covering the other are kept") {
    const char* const entries[] = {"1..5 => none(); 4..9 => none();", "1 => none(); * => none();", "..8 => none(); 8.. => none();"};
    for (const char* e : entries) {
        INFO(e);
        CHECK(lower(std::string("action none() { }\ntable t { key { cpu : range; } actions { none; } default none(); entries { ") + e + "} }\non mm.fault { apply t; }"));
    }
}

TEST_CASE("training in the background, from nothing") {
    const auto ir = lower("state per task { r : ring<i32, 4>; }\nmodel m { input (r[0], fault.write); output value i32 in -9..9; on_error 0;\n"
                          "train background from mm.fault label fault.delta every 1s window 20000; }\non mm.fault { push r, fault.delta; }");
    REQUIRE(ir);
    const ir::Model& m = ir->models.at(0);
    CHECK(m.source.empty());
    REQUIRE(m.train);
    CHECK(m.train->label_name == "fault.delta");
    CHECK(m.train->every_ns == 1000000000);
    CHECK(m.train->window == 20000);
}

TEST_CASE("fields are explained") {
    const std::string text = explain_fields("mm");
    for (const FieldProfile& f : find_domain("mm")->fields) CHECK_THAT(text, ContainsSubstring(f.field.name));
    CHECK_THAT(text, ContainsSubstring("prefetch(n, step)"));
    CHECK_THAT(explain_fields("sched"), ContainsSubstring("not supported yet"));
    CHECK(explain_fields("nonsense").empty());
}
