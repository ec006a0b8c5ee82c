// SPDX-License-Identifier: MIT
// Text and manifest of hand-made IR. That the text compiles and runs is tests/kernel/emit_load_test.cpp's.
#include "rmt_lang/emit.h"

#include <cstddef>
#include <functional>
#include <sstream>

#include "rmt_lang/emit_internal.h"
#include "tests/rmt_test.h"
#include "tests/unit/rmt_lang/ir_build.h"

using namespace rmt;
using namespace rmt::lang;
using namespace rmt::lang::build;

namespace {

constexpr int64_t kMin = INT64_MIN, kMax = INT64_MAX;

Policy with_states() {
    Policy p;
    p.name = "t";
    p.domain = "mm";
    p.states = {{"a", at(1), State::Value{Scalar::U8}},       {"wide", at(2), State::Value{Scalar::I64}}, {"small", at(3), State::Ring{Scalar::I32, 4}},
                {"large", at(4), State::Ring{Scalar::U8, 12}}, {"mean", at(5), State::Ewma{Scalar::Ns, 8}}, {"n", at(6), State::Count{}}};
    p.fields = {number_field("fault.delta", Scalar::I32)};
    return p;
}

Expr wide() { return state(Scalar::I64, 1); }
Expr small() { return state(Scalar::U8, 0); }

std::string emitted(const Policy& p) {
    const auto text = emit_bpf_c(CheckedIr::seal(p), lines("dir/t.rmt", 100));
    REQUIRE(text);
    return *text;
}

// The policy's text with this as its only statement, on line 9.
std::string statement(Policy p, decltype(Stmt::node) node, std::vector<Local> locals = {}) {
    p.handlers = {{Event::Fault, at(8), {std::move(locals), {stmt(9, std::move(node))}}}};
    return emitted(p);
}

}  // namespace

TEST_CASE("expressions are plain where intervals allow it, saturating where not") {
    const Policy p = with_states();
    const emit::Scope scope{p, {"depth"}, {"x"}};
    const auto full = [](BinaryOp op, Expr a, Expr b) { return bin(op, std::move(a), std::move(b)); };
    struct {
        Expr e;
        const char* text;
    } const cases[] = {
        {num(5), "5"},
        {num(-1), "-1"},
        {num(5000000000), "5000000000ll"},
        {num(kMin), "(-9223372036854775807ll - 1)"},
        {num(INT32_MIN), "-2147483648ll"},
        {small(), "(__s64)st->a"},
        {wide(), "st->wide"},
        {field(p, 0), "rmt_field_fault_delta(ev)"},
        {param(Scalar::U8, 0), "depth"},
        {of({0, 1}, LocalRef{0}), "x"},
        {state(Scalar::Ns, 4), "rmt_ewma_mean(&st->mean, 8)"},
        {state(Scalar::U64, 5), "(__s64)st->n"},
        {element(Scalar::I32, 2, num(3)), "(__s64)st->small.v[3]"},
        {element(Scalar::I32, 2, small()), "RMT_RING_AT(st->small, 4, (__s64)st->a)"},
        {element(Scalar::U8, 3, num(11)), "RMT_RING_AT_LARGE(st->large, 12, 16, 11)"},
        {full(BinaryOp::Add, small(), num(1)), "((__s64)st->a + 1)"},
        {full(BinaryOp::Add, wide(), num(1)), "rmt_add64(st->wide, 1)"},
        {full(BinaryOp::Add, num(1), num(2)), "((__s64)1 + 2)"},
        {full(BinaryOp::Sub, num(0), wide()), "rmt_sub64(0, st->wide)"},
        {full(BinaryOp::Sub, num(-1), wide()), "(-1 - st->wide)"},
        {full(BinaryOp::Mul, small(), small()), "((__s64)st->a * (__s64)st->a)"},
        {full(BinaryOp::Mul, field(p, 0), wide()), "rmt_mul64(rmt_field_fault_delta(ev), st->wide)"},
        {full(BinaryOp::Div, small(), num(2)), "(__s64)((__u64)(__s64)st->a / (__u64)2)"},
        {full(BinaryOp::Div, small(), small()), "rmt_div((__s64)st->a, (__s64)st->a)"},
        {full(BinaryOp::Mod, field(p, 0), num(2)), "rmt_mod(rmt_field_fault_delta(ev), 2)"},
        {full(BinaryOp::Shl, num(4), of({0, 3}, LocalRef{0})), "((__s64)4 << x)"},
        {full(BinaryOp::Shl, wide(), num(1)), "rmt_shl64(st->wide, 1)"},
        {full(BinaryOp::Shr, wide(), num(1)), "(st->wide >> 1)"},
        {test(BinaryOp::Lt, wide(), num(0)), "rmt_negative(st->wide)"},
        {test(BinaryOp::Le, wide(), num(-1)), "rmt_negative(st->wide)"},
        {test(BinaryOp::Gt, num(0), wide()), "rmt_negative(st->wide)"},
        {test(BinaryOp::Ge, num(-1), wide()), "rmt_negative(st->wide)"},
        {test(BinaryOp::Ge, wide(), num(0)), "(!rmt_negative(st->wide))"},
        {test(BinaryOp::Gt, wide(), num(-1)), "(!rmt_negative(st->wide))"},
        {test(BinaryOp::Le, num(0), wide()), "(!rmt_negative(st->wide))"},
        {test(BinaryOp::Lt, num(-1), wide()), "(!rmt_negative(st->wide))"},
        {test(BinaryOp::Le, wide(), num(0)), "(st->wide <= 0)"},
        {test(BinaryOp::Gt, wide(), num(0)), "(st->wide > 0)"},
        {test(BinaryOp::Lt, num(0), wide()), "(0 < st->wide)"},
        {test(BinaryOp::Lt, wide(), num(-1)), "(st->wide < -1)"},
        {test(BinaryOp::Lt, small(), num(0)), "((__s64)st->a < 0)"},
        {test(BinaryOp::And, test(BinaryOp::Lt, small(), num(3)), test(BinaryOp::Ne, wide(), num(0))), "(((__s64)st->a < 3) && (st->wide != 0))"},
        {of({0, 1}, Unary{UnaryOp::Not, small()}), "(!(__s64)st->a)"},
        {of({}, Unary{UnaryOp::Neg, wide()}), "rmt_neg(st->wide)"},
        {of({-255, 0}, Unary{UnaryOp::Neg, small()}), "(-(__s64)st->a)"},
        {of({0, kMax}, Unary{UnaryOp::Abs, wide()}), "rmt_abs(st->wide)"},
        {of({0, 255}, Unary{UnaryOp::Abs, small()}), "(__s64)st->a"},
        {full(BinaryOp::Min, small(), num(3)), "rmt_min((__s64)st->a, 3)"},
        {of({0, 255}, Cast{Scalar::U8, wide()}), "(__s64)(rmt_sat_u8(st->wide))"},
    };
    for (const auto& c : cases) CHECK(emit::expr(scope, c.e) == c.text);
}

TEST_CASE("a store saturates unless the value is known to fit") {
    const Policy p = with_states();
    CHECK_THAT(statement(p, AssignState{0, num(255)}), ContainsSubstring("\tst->a = 255;\n"));
    CHECK_THAT(statement(p, AssignState{0, num(256)}), ContainsSubstring("\tst->a = rmt_sat_u8(256);\n"));
    CHECK_THAT(statement(p, AssignState{0, wide()}), ContainsSubstring("\tst->a = rmt_sat_u8(st->wide);\n"));
    CHECK_THAT(statement(p, AssignState{1, wide()}), ContainsSubstring("\tst->wide = st->wide;\n"));
    CHECK_THAT(statement(p, AssignState{4, wide()}), ContainsSubstring("rmt_ewma_feed(&st->mean, rmt_sat_ns(st->wide), 8);"));
    CHECK_THAT(statement(p, AssignState{5, num(1)}), ContainsSubstring("rmt_count_feed(&st->n, 1);"));
    CHECK_THAT(statement(p, Push{2, wide()}), ContainsSubstring("RMT_RING_PUSH(st->small, 4, rmt_sat_i32(st->wide));"));
    CHECK_THAT(statement(p, Push{3, num(1)}), ContainsSubstring("RMT_RING_PUSH_LARGE(st->large, 16, 1);"));
    CHECK_THAT(statement(p, PrefetchPage{wide()}), ContainsSubstring("rmt_prefetch(ev, rmt_sat_page(st->wide));"));
    CHECK_THAT(statement(p, PrefetchRun{wide(), small(), num(-1)}), ContainsSubstring("RMT_PREFETCH_RUN(ev, st->wide, (__s64)st->a, -1, 64);"));
    CHECK_THAT(statement(p, PrefetchRun{wide(), num(3), num(1)}), ContainsSubstring("RMT_PREFETCH_RUN(ev, st->wide, 3, 1, 3);"));
}

TEST_CASE("match becomes a chain of tests, loops are bpf_for") {
    const Policy p = with_states();
    const Match match{small(), {{at(10), {{1, 1}}, {stmt(10, AssignState{0, num(1)})}}, {at(11), {{2, 4}, {7, 7}}, {}}, {at(12), {}, {stmt(12, AssignState{0, num(3)})}}}};
    CHECK_THAT(statement(p, match), ContainsSubstring("\t__s64 rmt_m0 = (__s64)st->a;\n"));
    CHECK_THAT(statement(p, match), ContainsSubstring("if (rmt_m0 == 1) {\n"));
    CHECK_THAT(statement(p, match), ContainsSubstring("} else if ((rmt_m0 >= 2 && rmt_m0 <= 4) || rmt_m0 == 7) {\n\t} else {\n"));
    const Match only{small(), {{at(10), {}, {stmt(10, AssignState{0, num(1)})}}}};
    CHECK_THAT(statement(p, only), ContainsSubstring("\t{\n\t\tst->a = 1;\n\t}\n"));
    const std::string loop = statement(p, Repeat{7, 0, {stmt(9, Break{})}}, {{"i", at(9), {Scalar::I64, {0, 6}, Unit::None}, false}});
    CHECK_THAT(loop, ContainsSubstring("bpf_for(rmt_i0, 0, 7) {\n"));
    CHECK_THAT(loop, ContainsSubstring("__s64 i = rmt_i0;\n"));
}

TEST_CASE("a variable that a loop changes and that outlives a round lives in the state") {
    Policy p = with_states();
    const Local sum{"sum", at(9), {Scalar::I64, {}, Unit::None}, true}, inner{"inner", at(9), {Scalar::U8, {0, 255}, Unit::None}, true};
    const Expr sum_value = of({}, LocalRef{0}), inner_value = of({0, 255}, LocalRef{1});
    const Block round = {stmt(11, Declare{1, num(1)}), stmt(12, AssignLocal{1, bin(BinaryOp::Add, inner_value, num(1), {1, 256})}),
                         stmt(13, AssignLocal{0, bin(BinaryOp::Add, sum_value, inner_value)})};
    p.handlers = {{Event::Fault, at(8), {{sum, inner}, {stmt(9, Declare{0, num(0)}), stmt(10, Repeat{4, {}, round})}}}};
    const std::string c = emitted(p);
    CHECK_THAT(c, ContainsSubstring("struct { __s64 fault_sum; } rmt_var;"));
    CHECK_THAT(c, ContainsSubstring("\tst->rmt_var.fault_sum = 0;\n"));
    CHECK_THAT(c, ContainsSubstring("__s64 inner = 1;"));
    CHECK_THAT(c, ContainsSubstring("inner = rmt_sat_u8(inner + 1);"));
    CHECK_THAT(c, ContainsSubstring("st->rmt_var.fault_sum = rmt_add64(st->rmt_var.fault_sum, inner);"));
}

TEST_CASE("every statement is attributed to its line of the policy") {
    const std::string c = emitted(founding());
    // Follows the directives as a compiler would.
    struct {
        const char* text;
        uint32_t line;
    } const cases[] = {{"RMT_MODEL(", 22},
                       {"rmt_action_follow(struct", 31},
                       {"RMT_RING_COPY(st->ahead_deltas, st->deltas", 33},
                       {"bpf_for(rmt_i0", 35},
                       {"__s64 step = ", 37},
                       {"rmt_prefetch(ev, ", 41},
                       {"rmt_train_out(ev", 27},
                       {"rmt_chosen_by_pressure = rmt_apply", 57},
                       {"RMT_TABLE(by_pressure", 47}};
    for (const auto& wanted : cases) {
        std::istringstream in(c);
        std::string line, file = "";
        uint32_t number = 0, found = 0;
        while (std::getline(in, line)) {
            number++;
            if (line.rfind("#line ", 0) == 0) {
                number = static_cast<uint32_t>(std::stoul(line.substr(6))) - 1;
                file = line.substr(line.find('"'));
            } else if (line.find(wanted.text) != std::string::npos && found == 0) {
                CAPTURE(wanted.text, file);
                CHECK(file == "\"t.rmt\"");
                CHECK(number == wanted.line);
                found = number;
            }
        }
        CHECK(found != 0);
    }
}

TEST_CASE("the text holds no path, and is the same each time") {
    const auto text = emit_bpf_c(CheckedIr::seal(founding()), Source("/home/somebody/learned_prefetch.rmt", std::string(200, '\n')));
    REQUIRE(text);
    CHECK(text->find("somebody") == std::string::npos);
    CHECK(*text == *emit_bpf_c(CheckedIr::seal(founding()), Source("elsewhere/learned_prefetch.rmt", std::string(200, '\n'))));
}

TEST_CASE("knobs: what the policy says, or the defaults") {
    Policy p = with_states();
    CHECK_THAT(emitted(p), ContainsSubstring("#define RMT_PREFETCH_PER_EVENT 16\n#define RMT_PREFETCH_RATE 100000\n#define RMT_PREFETCH_WINDOW_NS 1000000000ull\n"));
    CHECK(emitted(p).find("RMT_BREACH") == std::string::npos);
    CHECK(emitted(p).find("RMT_HAS_") == std::string::npos);
    p.handlers = {{Event::Outcome, at(8), {}}};
    CHECK_THAT(emitted(p), ContainsSubstring("#define RMT_HAS_OUTCOME\n"));
    const std::string c = emitted(founding());
    for (const char* line : {"PREFETCH_PER_EVENT 32", "PREFETCH_RATE 50000", "BREACH_ACCURACY 30", "BREACH_WINDOW_NS 2000000000ull", "BREACH_HOLD_NS 5000000000ull",
                             "HAS_FAULT", "HAS_COLLECT", "HAS_TRAIN", "USES_MEMCG_USAGE_PERCENT", "USES_VMA_KIND"})
        CHECK_THAT(c, ContainsSubstring("#define RMT_" + std::string(line) + "\n"));
}

TEST_CASE("names of C become others, and never the same") {
    for (const char* name : {"int", "int_", "INT", "int__", "st", "ev", "rmt_x", "bpf_y", "__z", "likely", "plain", "Plain"}) {
        for (const char* other : {"int", "int_", "INT", "int__", "st", "ev", "rmt_x", "bpf_y", "__z", "likely", "plain", "Plain"})
            CHECK((c_name(name) == c_name(other)) == (std::string(name) == other));
    }
    CHECK(c_name("plain") == "plain");
    CHECK(c_name("fault.page") == "fault_page");
    CHECK(c_name("int") == "int_");
}

TEST_CASE("what exceeds a bound is refused, not emitted") {
    const Source source = lines("t.rmt", 10);
    struct {
        std::function<void(Policy&)> change;
        const char* message;
    } const cases[] = {
        {[](Policy& p) { p.domain = "sched"; }, "domain 'sched' cannot be compiled yet"},
        {[](Policy& p) { p.limits.per_event = {65, {}}; }, "expected 1..64"},
        {[](Policy& p) { p.limits.rate = {UINT64_MAX / 2, 3, {}}; }, "must stay below 2^64"},
        {[](Policy& p) { p.limits.rate = {0, 3, {}}; }, "neither may be 0"},
        {[](Policy& p) { p.states.assign(9, {"r", {}, State::Ring{Scalar::U64, 256}}); }, "the state of a task or socket takes 18"},
    };
    for (const auto& c : cases) {
        Policy p = with_states();
        c.change(p);
        const auto text = emit_bpf_c(CheckedIr::seal(p), source);
        REQUIRE_FALSE(text);
        CHECK_THAT(text.error().message, ContainsSubstring(c.message));
    }
}

TEST_CASE("the manifest says what the text does") {
    const auto m = make_manifest(CheckedIr::seal(founding()), lines("dir/learned_prefetch.rmt", 70));
    REQUIRE(m);
    CHECK(m->policy == "learned_prefetch");
    CHECK(m->source == "learned_prefetch.rmt");
    CHECK(m->mode == "enforce");
    CHECK(m->limits == ManifestLimits{32, 50000, 1000000000, 2000, ManifestLimits::Breach{"accuracy", 30, 2000000000, 5000000000}, 9, 10, 11});
    REQUIRE(m->tables.size() == 1);
    const ManifestTable& t = m->tables[0];
    CHECK(t.args == 1);
    CHECK(t.size == 64);
    CHECK(t.keys[0] == ManifestKey{"vma.kind", MatchKind::Exact, "enum", 1, 2, {{"anon", 1}, {"file", 2}}});
    CHECK(t.keys[1] == ManifestKey{"memcg.usage_percent", MatchKind::Range, "u8", 0, 100, {}});
    CHECK(format_entry(*m, t, t.entries[0]) == "anon, 0..95 => follow(32)");
    CHECK(format_entry(*m, t, t.entries[1]) == "anon, 96.. => follow(16)");
    CHECK(t.entries[1].line == 53);
    REQUIRE(m->collect);
    CHECK(m->collect->record_size == 40);
    CHECK(m->collect->fields[2] == ManifestField{"fault.page", "page", 16, 8, 1});
    CHECK(m->collect->fields[3] == ManifestField{"deltas", "i32", 24, 4, 4});
    CHECK(m->state[1] == ManifestField{"head", "page", 16, 8, 1});
    CHECK(m->models[0].inputs == std::vector<std::string>{"deltas[0]", "deltas[1]", "deltas[2]", "deltas[3]"});
    CHECK(m->models[0].train->window == 20000);
    const auto back = parse_manifest(to_json(*m));
    REQUIRE(back);
    CHECK(*back == *m);
}

TEST_CASE("layouts are those of C") {
    Policy p = with_states();
    struct C {
        uint8_t a;
        int64_t wide;
        struct { int32_t v[4]; } small;
        struct { uint32_t head; uint8_t v[16]; } large;
        struct { int64_t sum; uint64_t seen; } mean;
        uint64_t n;
    };
    CHECK(task_state_size(p) == sizeof(C));
    const auto m = make_manifest(CheckedIr::seal(p), lines("t.rmt", 10));
    REQUIRE(m);
    CHECK(m->state[1].offset == offsetof(C, wide));
    CHECK(m->state[2].offset == offsetof(C, small));
    CHECK(m->state[3].offset == offsetof(C, large) + 4);
    CHECK(m->state[4].offset == offsetof(C, mean));
    CHECK(m->state[5].offset == offsetof(C, n));
    Policy empty;
    CHECK(task_state_size(empty) == 1);
}
