// SPDX-License-Identifier: MIT
#include "rmt_lang/entry.h"

#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::lang;

namespace {

Manifest make_manifest() {
    Manifest m;
    m.actions = {{"none", {}}, {"go", {{"pages", "u8", 0, 255}, {"step", "i16", -32768, 32767}}}, {"wait", {{"t", "ns", 0, INT64_MAX}, {"on", "bool", 0, 1}}},
                 {"secret", {}}};
    ManifestTable t;
    t.name = "choose";
    t.keys = {{"vma.kind", MatchKind::Exact, "enum", 0, 2, {{"anon", 1}, {"file", 2}}},
              {"memcg.usage_percent", MatchKind::Range, "u8", 0, 100, {}},
              {"comm", MatchKind::Prefix, "str", 0, 0, {}},
              {"run", MatchKind::Range, "ns", 0, INT64_MAX, {}},
              {"fault.major", MatchKind::Exact, "bool", 0, 1, {{"false", 0}, {"true", 1}}}};
    t.actions = {0, 1, 2};
    t.size = 16;
    t.args = 2;
    m.tables.push_back(t);
    return m;
}

}  // namespace

TEST_CASE("a live entry is read from the manifest alone") {
    const Manifest m = make_manifest();
    const auto e = parse_entry("anon, 0..95, \"post\", 1ms..2ms, true => go(8, -1) comment \"x\";", m, m.tables[0]);
    INFO((e ? "" : e.error().message));
    REQUIRE(e);
    CHECK(e->keys == std::vector<KeyMatch>{KeyRange{1, 1}, KeyRange{0, 95}, KeyText{"post", true}, KeyRange{1000000, 2000000}, KeyRange{1, 1}});
    CHECK(e->action == 1);
    CHECK(e->args == std::vector<int64_t>{8, -1});
    CHECK(e->comment == "x");
    CHECK(e->line == 0);
    const auto any = parse_entry("*, 96.., *, *, * => wait(5us, false)", m, m.tables[0]);
    REQUIRE(any);
    CHECK(any->keys[1] == KeyMatch{KeyRange{96, 100}});
    CHECK(any->args == std::vector<int64_t>{5000, 0});
}

TEST_CASE("a wrong live entry is told with its place") {
    struct Case {
        const char* text;
        const char* id;
        const char* part;
    };
    const Case cases[] = {
        {"anon, 1 => none()", "E0402", "one for each of: vma.kind, memcg.usage_percent, comm, run, fault.major"},
        {"annon, 1, *, *, * => none()", "E0205", "did you mean 'anon'?"},
        {"anon, 101, *, *, * => none()", "E0404", "it is within 0..100"},
        {"anon, 9..8, *, *, * => none()", "E0405", "the smaller end comes first"},
        {"anon..file, 1, *, *, * => none()", "E0403", "write one value"},
        {"1, 1, *, *, * => none()", "E0408", "one of: anon, file"},
        {"anon, \"x\", *, *, * => none()", "E0408", "not a string"},
        {"anon, 1, post, *, * => none()", "E0408", "write it in quotes"},
        {"anon, 1, \"0123456789abcdef\", *, * => none()", "E0409", "at most 15 bytes"},
        {"anon, 1, *, 5, * => none()", "E0304", "write a time with its unit"},
        {"anon, 1, *, *, maybe => none()", "E0205", "one of: false, true"},
        {"*, *, *, *, * => go(1)", "E0309", "go(pages: u8, step: i16)"},
        {"*, *, *, *, * => go(300, 1)", "E0302", "parameter 'pages' holds 0..255"},
        {"*, *, *, *, * => go(1, 5ms)", "E0304", "parameter 'step' is i16"},
        {"*, *, *, *, * => wait(5, true)", "E0304", "5us"},
        {"*, *, *, *, * => secret()", "E0406", "allowed: none, go, wait"},
        {"*, *, *, *, * => goo(1, 2)", "E0406", "did you mean 'go'?"},
        {"$X, 1, *, *, * => none()", "E0209", "a live entry has no defines"},
        {"anon, 1 + 1, *, *, * => none()", "E0318", "a constant is expected"},
        {"anon, 1, *, *, * none()", "E0104", "'=>'"},
        {"", "E0104", ""},
    };
    const Manifest m = make_manifest();
    for (const Case& c : cases) {
        INFO(c.text);
        const auto e = parse_entry(c.text, m, m.tables[0]);
        REQUIRE_FALSE(e);
        CHECK(e.error().kind == ErrorKind::Input);
        CHECK_THAT(e.error().message, ContainsSubstring(c.id));
        CHECK_THAT(e.error().message, ContainsSubstring(c.part));
        if (*c.text) CHECK_THAT(e.error().message, ContainsSubstring("^"));
    }
}

TEST_CASE("which entries cover which") {
    const std::vector<std::pair<int64_t, int64_t>> bounds{{0, 100}};
    struct Case {
        KeyMatch earlier, later;
        bool covered;
    };
    const Case cases[] = {
        {KeyAny{}, KeyRange{1, 2}, true},
        {KeyAny{}, KeyText{"a", true}, true},
        {KeyRange{0, 100}, KeyAny{}, true},
        {KeyRange{1, 100}, KeyAny{}, false},
        {KeyRange{1, 9}, KeyRange{2, 9}, true},
        {KeyRange{1, 9}, KeyRange{2, 10}, false},
        {KeyText{"post", true}, KeyText{"postgres", true}, true},
        {KeyText{"postgres", true}, KeyText{"post", true}, false},
        {KeyText{"post", false}, KeyText{"post", false}, true},
        {KeyText{"post", false}, KeyText{"post", true}, false},
        {KeyText{"post", true}, KeyAny{}, false},
    };
    for (const Case& c : cases) CHECK(covers({c.earlier}, {c.later}, bounds) == c.covered);
}
