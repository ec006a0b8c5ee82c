// SPDX-License-Identifier: MIT
// Every construct of the language reaches this kernel: compiled, accepted by its verifier, run event by event, and its
// pages and collected values compared with what the language promises.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/kernel/twin.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::test;

namespace {

std::string policy(const std::string& items, const std::string& limit = "prefetch.pages <= 64 per event;") {
    return "rmt 1;\npolicy t {\n    description \"t\";\n    domain mm;\n    mode enforce;\n    limit { " + limit + " cost <= 1ms per event; }\n" + items + "\n}\n";
}

// The twin of this policy, or the reason why it cannot be had: `*twin` is for RMT_SKIP when the host forbids BPF.
struct Loaded {
    lang::Compiled compiled;
    std::optional<Twin> twin;
    std::string skip;
};

Loaded load(const std::string& text) {
    Loaded l;
    auto compiled = compile_text(text);
    if (!compiled) {
        UNSCOPED_INFO(compiled.error().message << "\n" << compiled.error().detail);
        REQUIRE(compiled);
    }
    l.compiled = std::move(*compiled);
    auto twin = Twin::load(l.compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) {
        l.skip = twin.error().message;
        return l;
    }
    if (!twin) {
        const std::string& log = twin.error().detail;
        UNSCOPED_INFO(l.compiled.c_text << "\n" << twin.error().message << "\n" << log.substr(log.size() > 4000 ? log.size() - 4000 : 0));
        REQUIRE(twin);
    }
    l.twin.emplace(std::move(*twin));
    return l;
}

#define RMT_LOAD(var, text)          \
    Loaded var = load(text);         \
    if (!var.skip.empty()) RMT_SKIP(var.skip)

rmt_twin at_page(uint64_t page) {
    rmt_twin e{};
    e.page = page;
    return e;
}

std::vector<uint64_t> pages(Twin& twin, const rmt_twin& event) {
    const auto out = twin.run(event);
    REQUIRE(out);
    REQUIRE(out->n <= RMT_MAX_PAGES);
    return {out->out, out->out + out->n};
}

using Pages = std::vector<uint64_t>;

Record one_record(Loaded& l, const rmt_twin& event) {
    REQUIRE(l.twin->run(event));
    const auto records = l.twin->collected();
    REQUIRE(records.size() == 1);
    REQUIRE(records[0].bytes.size() == l.compiled.manifest.collect->record_size);
    return records[0];
}

// ---- arithmetic: exact numbers, cut to 64 bits after each operation -------------------------------------------------------

using Wide = __int128;
int64_t cut(Wide x) { return x < INT64_MIN ? INT64_MIN : x > INT64_MAX ? INT64_MAX : static_cast<int64_t>(x); }
int64_t quotient(Wide a, Wide b) { return b == 0 ? 0 : cut(a / b); }
int64_t rest(Wide a, Wide b) { return b == 0 ? 0 : cut(a % b); }

struct Formula {
    const char* text;  // d: fault.delta; big: d * 2^32; f: fault.prefetched
    std::function<int64_t(Wide d, Wide big)> value;
};

const std::vector<Formula> kFormulas = {
    {"d + big", [](Wide d, Wide b) { return cut(d + b); }},
    {"big + big", [](Wide, Wide b) { return cut(b + b); }},
    {"big - d", [](Wide d, Wide b) { return cut(b - d); }},
    {"0 - big - big", [](Wide, Wide b) { return cut(Wide{cut(-b)} - b); }},
    {"d * d", [](Wide d, Wide) { return cut(d * d); }},
    {"big * d", [](Wide d, Wide b) { return cut(b * d); }},
    {"big * big", [](Wide, Wide b) { return cut(b * b); }},
    {"big / d", [](Wide d, Wide b) { return quotient(b, d); }},
    {"d / 7", [](Wide d, Wide) { return quotient(d, 7); }},
    {"d / -7", [](Wide d, Wide) { return quotient(d, -7); }},
    {"big % d", [](Wide d, Wide b) { return rest(b, d); }},
    {"d % 10", [](Wide d, Wide) { return rest(d, 10); }},
    {"100 / d", [](Wide d, Wide) { return quotient(100, d); }},
    {"-d", [](Wide d, Wide) { return cut(-d); }},
    {"-big", [](Wide, Wide b) { return cut(-b); }},
    {"abs(big)", [](Wide, Wide b) { return cut(b < 0 ? -b : b); }},
    {"min(d, 3)", [](Wide d, Wide) { return cut(std::min(d, Wide{3})); }},
    {"max(d, big)", [](Wide d, Wide b) { return cut(std::max(d, b)); }},
    {"d << 3", [](Wide d, Wide) { return cut(d * 8); }},
    {"big << 8", [](Wide, Wide b) { return cut(b * 256); }},
    {"big >> 40", [](Wide, Wide b) { return cut(b >> 40); }},
    {"d & 255", [](Wide d, Wide) { return cut(d & 255); }},
    {"d | 5", [](Wide d, Wide) { return cut(d | 5); }},
    {"d ^ big", [](Wide d, Wide b) { return cut(d ^ b); }},
    {"2000000000 + 2000000000", [](Wide, Wide) { return cut(4000000000); }},
    {"(d + 1) * (d - 1)", [](Wide d, Wide) { return cut((d + 1) * (d - 1)); }},
};

}  // namespace

TEST_CASE("the project's own policies load, and far below the verifier's limit") {
    size_t count = 0;
    for (const char* folder : {"policies", "tests/lang/accept"})
        for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(RMT_SOURCE_DIR) / folder)) {
            const std::filesystem::path path = file.path();
            if (path.extension() != ".rmt" || std::filesystem::exists(std::filesystem::path(path).replace_extension(".stderr"))) continue;
            CAPTURE(path.string());
            std::ostringstream text;
            text << std::ifstream(path).rdbuf();
            RMT_LOAD(l, text.str());
            if (l.compiled.manifest.domain != "mm") continue;  // those of tcp: tcp_emit_test.cpp
            REQUIRE(l.twin->run(at_page(1000)));
            // The kernel gives up at a million steps; what grows towards that shall be seen long before.
            const uint32_t most = std::string(folder) == "policies" ? 20000 : 500000;
            for (const char* program : {"rmt_tp_user", "rmt_tp_memcg", "rmt_twin"}) {
                CAPTURE(program);
                CHECK(l.twin->instructions(program) > 0);
                CHECK(l.twin->instructions(program) < most);
            }
            count++;
        }
    CHECK(count >= 5);
}

TEST_CASE("arithmetic in the kernel is exact and saturates") {
    std::string state, body, items;
    for (size_t i = 0; i < kFormulas.size(); i++) {
        const std::string r = "r" + std::to_string(i);
        state += r + " : i64; ";
        body += r + " = " + kFormulas[i].text + ";\n";
        items += (i ? ", " : "") + r;
    }
    RMT_LOAD(l, policy("state per task { " + state + "}\non mm.fault {\nlet d = fault.delta;\nlet big = d * 4294967296;\n" + body + "collect { " + items +
                       " } sample 1/1;\n}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    for (const int64_t d : {INT64_C(0), INT64_C(1), INT64_C(-1), INT64_C(2), INT64_C(-7), INT64_C(10), INT64_C(255), INT64_C(-256), INT64_C(46341),
                            INT64_C(2147483647), INT64_C(-2147483648), INT64_C(1073741824)}) {
        const uint64_t from = uint64_t{1} << 40;
        rmt_twin first = at_page(from);
        first.reset = 1;
        REQUIRE(l.twin->run(first));
        (void)l.twin->collected();
        const Record r = one_record(l, at_page(from + static_cast<uint64_t>(d)));
        for (size_t i = 0; i < kFormulas.size(); i++) {
            CAPTURE(kFormulas[i].text, d);
            CHECK(r.number(layout, "r" + std::to_string(i)) == kFormulas[i].value(d, cut(Wide{d} * 4294967296)));
        }
    }
}

TEST_CASE("comparisons and truth in the kernel") {
    RMT_LOAD(l, policy("state per task { a : bool; b : bool; c : bool; e : bool; f : u8; g : u8; h : u8; }\n"
                       "on mm.fault {\n"
                       "    a = fault.delta > 3 && fault.delta <= 8;\n"
                       "    b = fault.delta == 5 || fault.prefetched;\n"
                       "    c = !(fault.delta != 5);\n"
                       "    e = fault.write;\n"
                       "    if (fault.delta < 0) { f = 1; } else if (fault.delta == 0) { f = 2; } else { f = 3; }\n"
                       "    match fault.delta { 1 => { g = 1; } 2..4 => { g = 2; } 5, 7 => { g = 3; } _ => { g = 9; } }\n"
                       "    match fault.delta { -5..-1 => { h = h + 1; } }\n"
                       "    collect { a, b, c, e, f, g, h } sample 1/1;\n"
                       "}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    struct {
        int64_t delta;
        uint32_t prefetched, write;
        std::vector<int64_t> want;
    } const cases[] = {
        {5, 0, 1, {1, 1, 1, 1, 3, 3, 0}},  {4, 0, 0, {1, 0, 0, 0, 3, 2, 0}},  {3, 1, 0, {0, 1, 0, 0, 3, 2, 0}}, {8, 0, 0, {1, 0, 0, 0, 3, 9, 0}},
        {-5, 0, 0, {0, 0, 0, 0, 1, 9, 1}}, {-1, 0, 0, {0, 0, 0, 0, 1, 9, 2}}, {1, 0, 0, {0, 0, 0, 0, 3, 1, 2}}, {7, 0, 0, {0 || 1, 0, 0, 0, 3, 3, 2}},
    };
    uint64_t page = 1000;
    REQUIRE(l.twin->run(at_page(page)));
    CHECK(l.twin->collected().at(0).number(layout, "f") == 2);
    for (const auto& c : cases) {
        CAPTURE(c.delta);
        rmt_twin e = at_page(page += static_cast<uint64_t>(c.delta));
        e.prefetched = c.prefetched;
        e.write = c.write;
        const Record r = one_record(l, e);
        const char* names[] = {"a", "b", "c", "e", "f", "g", "h"};
        for (size_t i = 0; i < c.want.size(); i++) {
            CAPTURE(names[i]);
            CHECK(r.number(layout, names[i]) == c.want[i]);
        }
    }
}

TEST_CASE("stores saturate to their type") {
    RMT_LOAD(l, policy("state per task { a : u8; b : u16; c : u32; d : u64; e : i8; f : i16; g : i32; h : i64; p : page; s : ring<u8, 3>; t : ring<i16, 9>; }\n"
                       "on mm.fault {\n"
                       "    let x = fault.delta * 4294967296;\n"
                       "    a = x; b = x; c = x; d = x; e = x; f = x; g = x; h = x; p = fault.page + x;\n"
                       "    push s, x; push t, x;\n"
                       "    var v : i8 = x;\n"
                       "    v = v + fault.delta;\n"
                       "    let w = v;\n"
                       "    collect { a, b, c, d, e, f, g, h, p, s, t, w } sample 1/1;\n"
                       "}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    const uint64_t from = uint64_t{1} << 40;
    REQUIRE(l.twin->run(at_page(from)));
    (void)l.twin->collected();
    const Record up = one_record(l, at_page(from + INT32_MAX));
    const Record down = one_record(l, at_page(from));
    struct {
        const char* name;
        int64_t lo, hi;
    } const cases[] = {{"a", 0, 255},
                       {"b", 0, 65535},
                       {"c", 0, 4294967295},
                       {"e", -128, 127},
                       {"f", -32768, 32767},
                       {"g", INT32_MIN, INT32_MAX},
                       {"d", 0, INT64_C(2147483647) << 32},
                       {"h", INT64_C(-2147483647) * 4294967296, INT64_C(2147483647) << 32},
                       {"p", 0, (INT64_C(1) << 52) - 1},
                       {"s", 0, 255},
                       {"t", -32768, 32767},
                       {"w", -128, 127}};
    for (const auto& c : cases) {
        CAPTURE(c.name);
        CHECK(up.number(layout, c.name) == c.hi);
        CHECK(down.number(layout, c.name) == c.lo);
    }
    CHECK(down.number(layout, "s", 1) == 255);
    CHECK(down.number(layout, "t", 1) == 32767);
    CHECK(down.number(layout, "t", 3) == 0);
}

TEST_CASE("rings of every size keep what was pushed, newest first") {
    for (const int n : {2, 3, 4, 7, 8, 9, 16, 31, 33, 64}) {
        CAPTURE(n);
        const std::string size = std::to_string(n);
        RMT_LOAD(l, policy("state per task { r : ring<i32, " + size + ">; c : ring<i32, " + size + ">; k : i32; out : i32; }\n" +
                           "on mm.fault {\n    c = r;\n    push r, fault.delta;\n    k = fault.delta;\n    out = r[k];\n    collect { r, c, out } sample 1/1;\n}"));
        const ManifestCollect& layout = *l.compiled.manifest.collect;
        std::vector<int64_t> model(static_cast<size_t>(n), 0);
        uint64_t page = 100000;
        REQUIRE(l.twin->run(at_page(page)));
        (void)l.twin->collected();
        for (int i = 0; i < 2 * n + 3; i++) {
            const int64_t delta = (i * 7) % (n + 3) - 1;
            const std::vector<int64_t> before = model;
            model.insert(model.begin(), delta);
            model.pop_back();
            const Record r = one_record(l, at_page(page += static_cast<uint64_t>(delta)));
            for (int k = 0; k < n; k++) {
                CHECK(r.number(layout, "r", static_cast<uint32_t>(k)) == model[static_cast<size_t>(k)]);
                CHECK(r.number(layout, "c", static_cast<uint32_t>(k)) == before[static_cast<size_t>(k)]);
            }
            CHECK(r.number(layout, "out") == (delta >= 0 && delta < n ? model[static_cast<size_t>(delta)] : 0));
        }
    }
}

TEST_CASE("means and counts") {
    RMT_LOAD(l, policy("state per task { mean : ewma<i32, 4>; faults : count; far : count; }\n"
                       "on mm.fault {\n    mean = fault.delta;\n    faults = 1;\n    if (fault.delta > 5) { far = fault.delta; }\n    collect { mean, faults, far } sample 1/1;\n}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    uint64_t page = 1000;
    rmt_twin first = at_page(page);
    REQUIRE(l.twin->run(first));
    (void)l.twin->collected();
    // The first sample was 0; sum is 4 times the mean.
    int64_t sum = 0, far = 0, faults = 1;
    for (const int64_t delta : {8, 8, 8, 100, -50, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}) {
        sum += delta - sum / 4;
        faults++;
        if (delta > 5) far += delta;
        const Record r = one_record(l, at_page(page += static_cast<uint64_t>(delta)));
        CHECK(r.number(layout, "mean") == sum / 4);
        CHECK(r.number(layout, "faults") == faults);
        CHECK(r.number(layout, "far") == far);
    }
    CHECK(sum / 4 == 3);
}

TEST_CASE("prefetch of a page and of a run") {
    RMT_LOAD(l, policy("action one(step: i32) { prefetch(fault.page + step); }\n"
                       "action run(n: u8, step: i16) { prefetch(n, step); }\n"
                       "action twice(n: u8) { prefetch(n, 1); prefetch(n, -1); }\n"
                       "table t { key { memcg.usage_percent : exact; } actions { one; run; twice; } default one(7);\n"
                       "  entries { 1 => run(3, 2); 2 => run(4, -5); 3 => run(255, 1); 4 => one(-3); 5 => twice(2); 6 => run(0, 1); 7 => run(3, -32768); } }\n"
                       "on mm.fault { apply t; }"));
    const auto with = [&](uint32_t usage, uint64_t page) {
        rmt_twin e = at_page(page);
        e.usage_percent = usage;
        return pages(*l.twin, e);
    };
    CHECK(with(0, 1000) == Pages{1007});
    CHECK(with(1, 1000) == Pages{1002, 1004, 1006});
    CHECK(with(2, 1000) == Pages{995, 990, 985, 980});
    Pages many;
    for (uint64_t i = 1; i <= 64; i++) many.push_back(1000 + i);
    CHECK(with(3, 1000) == many);
    CHECK(with(4, 1000) == Pages{997});
    CHECK(with(5, 1000) == Pages{1001, 1002, 999, 998});
    CHECK(with(6, 1000).empty());
    CHECK(with(7, 70000) == Pages{70000 - 32768, 70000 - 65536});
    CHECK(l.twin->hits("t", 0) == 1);
    CHECK(l.twin->hits("t", 6) == 1);
    CHECK(l.twin->hits("t", static_cast<uint32_t>(l.compiled.manifest.tables[0].size)) == 1);
}

TEST_CASE("the limit per event cuts a run") {
    RMT_LOAD(l, policy("on mm.fault { prefetch(40, 1); }", "prefetch.pages <= 5 per event;"));
    CHECK(pages(*l.twin, at_page(100)) == Pages{101, 102, 103, 104, 105});
    CHECK(l.twin->stat(RMT_STAT_CLAMPED) == 35);
    CHECK(l.twin->stat(RMT_STAT_ASKED) == 40);
}

TEST_CASE("loops: counters, breaks, nesting, and variables that outlive a round") {
    RMT_LOAD(l, policy("state per task { a : page; b : i64; c : i64; e : i64; }\n"
                       "action follow(n: u8) {\n"
                       "    var p = fault.page;\n"
                       "    var step = 1;\n"
                       "    repeat 12 as i {\n"
                       "        if (i >= n) { break; }\n"
                       "        p = p + step;\n"
                       "        step = step * 2;\n"
                       "        prefetch(p);\n"
                       "    }\n"
                       "    a = p; b = step;\n"
                       "}\n"
                       "on mm.fault {\n"
                       "    follow(6);\n"
                       "    var sum = 0;\n"
                       "    var rounds : u8 = 0;\n"
                       "    repeat 10 as i {\n"
                       "        if (i == 3) { repeat 5 as j { if (j == 2) { break; } sum = sum + 1000; } }\n"
                       "        repeat 4 as j { sum = sum + i * j; }\n"
                       "        repeat 100 { rounds = rounds + 1; }\n"
                       "    }\n"
                       "    c = sum; e = rounds;\n"
                       "    collect { a, b, c, e } sample 1/1;\n"
                       "}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    const auto out = l.twin->run(at_page(1000));
    REQUIRE(out);
    CHECK(Pages(out->out, out->out + out->n) == Pages{1001, 1003, 1007, 1015, 1031, 1063});
    const auto records = l.twin->collected();
    REQUIRE(records.size() == 1);
    CHECK(records[0].number(layout, "a") == 1063);
    CHECK(records[0].number(layout, "b") == 64);
    CHECK(records[0].number(layout, "c") == 2000 + 45 * 6);
    CHECK(records[0].number(layout, "e") == 255);
}

TEST_CASE("tables: first match wins, wildcards, names, live entries, the chosen action") {
    RMT_LOAD(l, policy("state per task { x : i32; }\n"
                       "action none() { }\n"
                       "action go(step: i32) { prefetch(fault.page + step); }\n"
                       "table t { key { vma.kind : exact; fault.delta : range; comm : prefix; x : range; } actions { none; go; } default go(99); size 16;\n"
                       "  entries { anon, -5..5, \"post\", * => go(1); file, *, *, * => none(); anon, *, \"a\", 3.. => go(3); anon, *, \"a\", * => go(2); } }\n"
                       "on mm.fault { x = fault.delta; apply t; collect { comm, t.action, fault.delta } sample 1/1; }"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    const Manifest& m = l.compiled.manifest;
    struct {
        uint32_t kind;
        int64_t delta;
        const char* comm;
        Pages want;
        uint32_t slot;
        int64_t action;
    } const cases[] = {
        {1, 0, "postgres", {1}, 0, 1}, {1, -5, "post", {1}, 0, 1}, {1, 5, "posthaste-worker", {1}, 0, 1}, {1, 6, "postgres", {99}, 16, 1}, {1, 0, "pos", {99}, 16, 1},
        {2, 0, "postgres", {}, 1, 0},  {1, 3, "abc", {3}, 2, 1},   {1, 2, "a", {2}, 3, 1},                {1, 2, "A", {99}, 16, 1},        {1, 2, "", {99}, 16, 1},
    };
    uint64_t page = 1 << 20;
    REQUIRE(l.twin->run(at_page(page)));
    (void)l.twin->collected();
    for (const auto& c : cases) {
        CAPTURE(c.comm, c.delta, c.kind);
        rmt_twin e = at_page(page += static_cast<uint64_t>(c.delta));
        e.kind = c.kind;
        std::memcpy(e.comm, c.comm, std::min<size_t>(15, std::strlen(c.comm)));
        const uint64_t before = l.twin->hits("t", c.slot);
        const auto out = l.twin->run(e);
        REQUIRE(out);
        Pages want = c.want;
        for (uint64_t& p : want) p += page;
        CHECK(Pages(out->out, out->out + out->n) == want);
        CHECK(l.twin->hits("t", c.slot) == before + 1);
        const auto records = l.twin->collected();
        REQUIRE(records.size() == 1);
        CHECK(records[0].number(layout, "t.action") == c.action);
        CHECK(records[0].number(layout, "fault.delta") == c.delta);
        CHECK(records[0].text(layout, "comm") == std::string(c.comm).substr(0, 15));
    }
    // Another generation, swapped in while the program is loaded.
    ManifestEntry all{{KeyAny{}, KeyAny{}, KeyAny{}, KeyAny{}}, 1, {42}, "", 0};
    REQUIRE(l.twin->set_entries("t", {all}));
    CHECK(pages(*l.twin, at_page(page)) == Pages{page + 42});
    std::vector<ManifestEntry> full(m.tables[0].size, m.tables[0].entries[1]);
    full.back() = all;
    REQUIRE(l.twin->set_entries("t", full));
    CHECK(pages(*l.twin, at_page(page)) == Pages{page + 42});
    CHECK(l.twin->hits("t", 15) == 1);
    REQUIRE(l.twin->set_entries("t", {}));
    CHECK(pages(*l.twin, at_page(page)) == Pages{page + 99});
}

TEST_CASE("arguments from the map are made to fit again") {
    RMT_LOAD(l, policy("action none() { }\naction go(n: u8) { prefetch(fault.page + n); }\n"
                       "table t { key { vma.kind : exact; } actions { none; go; } default none(); size 4; entries { anon => go(1); } }\n"
                       "on mm.fault { apply t; }"));
    // Written past encode_table, which would refuse it.
    const ManifestTable& t = l.compiled.manifest.tables[0];
    auto value = encode_table(l.compiled.manifest, t, t.entries, 1);
    REQUIRE(value);
    const int64_t wild = 1000000;
    std::memcpy(value->data() + sizeof(rmt_table_header) + t.entry_size() - 8, &wild, 8);
    const uint32_t count = 1000000;
    std::memcpy(value->data(), &count, 4);
    REQUIRE(l.twin->set_value("t", *value));
    CHECK(pages(*l.twin, at_page(1000)) == Pages{1255});
    const uint32_t unknown = 77;
    std::memcpy(value->data() + sizeof(rmt_table_header) + t.entry_size() - 16, &unknown, 4);
    REQUIRE(l.twin->set_value("t", *value));
    CHECK(pages(*l.twin, at_page(1000)).empty());
}

TEST_CASE("actions call actions, whatever their order") {
    RMT_LOAD(l, policy("action first(n: u8) { second(n, 10); third(); }\n"
                       "action second(n: u8, base: i32) { prefetch(fault.page + n + base); }\n"
                       "action third() { second(255, 0); }\n"
                       "on mm.fault { first(5); second(1, 1); }"));
    CHECK(pages(*l.twin, at_page(1000)) == Pages{1015, 1255, 1002});
}

TEST_CASE("a model that is missing is answered by on_error, and training samples carry inputs and label") {
    RMT_LOAD(l, policy("state per task { deltas : ring<i32, 4>; s : u16; r : i64; }\n"
                       "model m { source \"m.json\"; input (deltas[0], deltas[1], s, fault.prefetched); output value i32 in -100..100; on_error 7;\n"
                       "  train background from mm.fault label fault.delta every 1s window 1000; }\n"
                       "on mm.fault {\n    s = s + 3;\n    push deltas, fault.delta;\n"
                       "    r = infer(m); collect { r } sample 1/1; }"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    CHECK(one_record(l, at_page(1000)).number(layout, "r") == 7);
    CHECK(l.twin->stat(RMT_STAT_ON_ERROR) == 1);
    CHECK(l.twin->samples().empty());
    l.twin->set_training(true);
    REQUIRE(l.twin->run(at_page(1005)));
    rmt_twin prefetched = at_page(1003);
    prefetched.prefetched = 1;
    REQUIRE(l.twin->run(prefetched));
    const auto samples = l.twin->samples();
    REQUIRE(samples.size() == 2);
    CHECK(samples[0].n == 4);
    CHECK(samples[0].model == 0);
    CHECK(samples[0].label == 5);
    CHECK(samples[1].label == -2);
    // The inputs are those before this event's own statements.
    CHECK(samples[1].input[0] == 5);
    CHECK(samples[1].input[1] == 0);
    CHECK(samples[1].input[2] == 6);
    CHECK(samples[1].input[3] == 1);
    for (int i = 4; i < RMT_MAX_INPUTS; i++) CHECK(samples[1].input[i] == 0);
}

TEST_CASE("forests, fifteen inputs, several models, classes") {
    std::string inputs;
    for (int i = 0; i < 15; i++) inputs += (i ? ", " : "") + ("deltas[" + std::to_string(i) + "]");
    RMT_LOAD(l, policy("state per task { deltas : ring<i32, 15>; ahead : ring<i32, 15>; r : i64; }\n"
                       "model wide { source \"w.json\"; input (" + inputs + "); output value i32 in -5..5; on_error 0; }\n"
                       "model choice { source \"c.json\"; input (deltas[0]); output class { none = 0, fwd = 1, back = 2 }; on_error fwd; }\n"
                       "action none() { }\n"
                       "on mm.fault {\n    push deltas, fault.delta;\n    r = infer(wide, ahead) + infer(wide);\n"
                       "    match infer(choice) { fwd => prefetch(3, 1); back => prefetch(3, -1); _ => none(); } }"));
    CHECK(pages(*l.twin, at_page(1000)) == Pages{1001, 1002, 1003});
    CHECK(l.twin->stat(RMT_STAT_ON_ERROR) == 3);
}

TEST_CASE("outcomes, fields of every kind, and sampling") {
    RMT_LOAD(l, policy("state per task { used : count; wasted : count; seen : u32; }\n"
                       "on mm.outcome { match outcome.kind { used => { used = 1; } wasted => { wasted = 1; } _ => { } } }\n"
                       "on mm.fault {\n    collect { ts, pid, tgid, cpu, comm, cgroup, fault.page, fault.major, fault.write, vma.kind, vma.start, vma.end,\n"
                       "      memcg.usage_percent, used, wasted } sample 1/1;\n}"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    for (const uint32_t kind : {1u, 2u, 3u, 1u}) {
        rmt_twin e = at_page(5);
        e.outcome = kind;
        REQUIRE(l.twin->run(e));
    }
    rmt_twin e = at_page(77);
    e.vma_start = 70;
    e.vma_end = 80;
    e.major = 1;
    e.usage_percent = 55;
    e.kind = RMT_PAGE_FILE;
    std::memcpy(e.comm, "fifteen-letters", 15);
    const Record r = one_record(l, e);
    CHECK(r.number(layout, "used") == 2);
    CHECK(r.number(layout, "wasted") == 1);
    CHECK(r.number(layout, "tgid") == getpid());
    CHECK(r.number(layout, "fault.page") == 77);
    CHECK(r.number(layout, "fault.major") == 1);
    CHECK(r.number(layout, "fault.write") == 0);
    CHECK(r.number(layout, "vma.kind") == 2);
    CHECK(r.number(layout, "vma.start") == 70);
    CHECK(r.number(layout, "vma.end") == 80);
    CHECK(r.number(layout, "memcg.usage_percent") == 55);
    CHECK(r.number(layout, "ts") > 0);
    CHECK(r.text(layout, "comm") == "fifteen-letters");
}

TEST_CASE("one in N is collected") {
    RMT_LOAD(l, policy("on mm.fault { collect { fault.page } sample 1/4; }"));
    for (int i = 0; i < 400; i++) REQUIRE(l.twin->run(at_page(static_cast<uint64_t>(i))));
    const size_t n = l.twin->collected().size();
    // Binomial(400, 1/4): outside 40..160 with a chance below 1e-11.
    CHECK(n > 40);
    CHECK(n < 160);
}

TEST_CASE("a policy may be almost nothing, and names may be C's") {
    { RMT_LOAD(l, policy("on mm.fault { }")); CHECK(pages(*l.twin, at_page(1)).empty()); }
    RMT_LOAD(l, policy("state per task { int : u8; int_ : u8; struct : ring<i8, 2>; NULL : u8; rmt_var : u8; ev : u8; }\n"
                       "action register(long: u8, st: u8) { var volatile : u8 = long; let ev_ = st; int = volatile + ev_; }\n"
                       "on mm.fault { register(2, 3); int_ = 9; NULL = 4; rmt_var = 5; ev = 6; push struct, 1; collect { int, int_, NULL, rmt_var, ev } sample 1/1; }"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    const Record r = one_record(l, at_page(1));
    CHECK(r.number(layout, "int") == 5);
    CHECK(r.number(layout, "int_") == 9);
    CHECK(r.number(layout, "NULL") == 4);
    CHECK(r.number(layout, "rmt_var") == 5);
    CHECK(r.number(layout, "ev") == 6);
}

TEST_CASE("a model may have the name of whatever the engine calls its own") {
    for (const std::string name : {"tree", "forest", "oblivious", "answer", "right", "node", "inline", "for", "step", "unroll", "done", "hide"}) {
        INFO(name);
        RMT_LOAD(l, policy("state per task { d : ring<i32, 2>; }\n"
                           "model " + name + " { input (d[0]); output value i32 in -8..8; on_error 3; source \"m.json\"; }\n"
                           "model infer_" + name + " { input (d[1]); output value i32 in -8..8; on_error 4; source \"m.json\"; }\n"
                           "on mm.fault { let a = infer(" + name + "); let b = infer(infer_" + name + "); prefetch(fault.page + a + b); }"));
        CHECK(pages(*l.twin, at_page(100)) == std::vector<uint64_t>{107});
    }
}

TEST_CASE("large state is zeroed, copied and indexed") {
    RMT_LOAD(l, policy("state per task { a : ring<u64, 64>; b : ring<u64, 64>; c : ring<u64, 64>; k : u16; out : u64; }\n"
                       "on mm.fault { push a, fault.delta; b = a; c = b; k = k + 1; out = c[k - 2]; collect { out, k } sample 1/1; }"));
    const ManifestCollect& layout = *l.compiled.manifest.collect;
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 100; i++) {
            rmt_twin e = at_page(1000 + 10 * i);
            e.reset = i == 0;
            const Record r = one_record(l, e);
            REQUIRE(r.number(layout, "k") == static_cast<int64_t>(i + 1));
            REQUIRE(r.number(layout, "out") == (i > 0 && i <= 64 ? 10 : 0));
        }
}
