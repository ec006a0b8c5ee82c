// SPDX-License-Identifier: MIT
#include "rmt_lang/support/manifest.h"

#include <cstring>
#include <random>

#include "bpf/include/rmt/intf.h"
#include "bpf/include/rmt/learn_layout.h"
#include "tests/rmt_test.h"

using namespace rmt;

namespace {

// Every optional part present, numbers at their edges.
Manifest sample() {
    Manifest m;
    m.policy = "p";
    m.description = "words with \"quotes\" and an umlaut: \xc3\xa4";
    m.domain = "mm";
    m.mode = "shadow";
    m.source = "p.rmt";
    m.attach = {"/system.slice/postgresql*.service"};
    m.limits = {32, UINT64_MAX, 1000000000, 2000, ManifestLimits::Breach{"accuracy", 30, 2000000000, 0}, 9, 10, 11};
    m.actions = {{"none", {}}, {"stride", {{"pages", "u8", 0, 255}, {"step", "i64", INT64_MIN, INT64_MAX}}}, {"other", {}}};
    ManifestTable t;
    t.name = "choose";
    t.keys = {{"vma.kind", MatchKind::Exact, "enum", 1, 2, {{"anon", 1}, {"file", 2}}},
              {"fault.delta", MatchKind::Range, "i32", INT32_MIN, INT32_MAX, {}},
              {"comm", MatchKind::Prefix, "str", 0, 0, {}},
              {"gap", MatchKind::Range, "ns", 0, INT64_MAX, {}}};
    t.actions = {0, 1};
    t.default_entry.action = 1;
    t.default_entry.args = {1, -1};
    t.size = 4;
    t.args = 2;
    t.line = 20;
    t.entries = {{{KeyRange{2, 2}, KeyRange{-64, 64}, KeyText{"postgres", true}, KeyAny{}}, 1, {8, -3}, "hot", 21},
                 {{KeyAny{}, KeyRange{5, INT32_MAX}, KeyText{"kworker", false}, KeyRange{0, 3000000}}, 0, {}, "", 22}};
    m.tables = {t};
    ManifestModel x;
    x.name = "next";
    x.inputs = {"deltas[0]", "ts"};
    x.input_types = {"i32", "ns"};
    x.output_kind = "class";
    x.output_type = "i32";
    x.output_min = 0;
    x.output_max = 2;
    x.classes = {{"zero", 0}, {"two", 2}, {"one", 1}};
    x.on_error = 1;
    x.source = "models/next.json";
    x.digest = {std::string(60, '0') + "beef", 16};
    x.shape = {4, 8, 1024, EngineKind::Forest, 64, 8, 2};
    x.train = ManifestModel::Train{"fault.delta", 1000000000, 20000};
    x.line = 15;
    m.models = {x};
    m.collect = ManifestCollect{{{"ts", "ns", 0, 8, 1}, {"deltas", "i32", 8, 4, 4}}, 24, 64};
    m.state = {{"deltas", "i32", 0, 4, 4}};
    return m;
}

std::string edited(const std::string& to_find, const std::string& by) {
    std::string json = to_json(sample());
    const size_t at = json.find(to_find);
    REQUIRE(at != std::string::npos);
    return json.replace(at, to_find.size(), by);
}

}  // namespace

TEST_CASE("a manifest survives its JSON") {
    const Manifest m = sample();
    const auto back = parse_manifest(to_json(m));
    REQUIRE(back);
    CHECK(*back == m);
    CHECK(to_json(*back) == to_json(m));
}

TEST_CASE("a manifest with nothing optional survives too") {
    Manifest m = sample();
    m.limits.breach.reset();
    m.tables.clear();
    m.models.clear();
    m.collect.reset();
    m.state.clear();
    m.attach.clear();
    const auto back = parse_manifest(to_json(m));
    REQUIRE(back);
    CHECK(*back == m);
}

TEST_CASE("what is wrong in a manifest is told with its path") {
    struct {
        const char *find, *by, *message;
    } const cases[] = {
        {"\"rmt_manifest\": 1", "\"rmt_manifest\": 2", "/rmt_manifest: expected 1..1, found 2"},
        {"\"policy\": \"p\"", "\"policy\": 7", "/policy: expected a string, found 7"},
        {"\"policy\": \"p\",", "", "/policy: this key is missing"},
        {"\"mode\": \"shadow\"", "\"mode\": \"on\"", "/mode: expected one of 'off', 'shadow', 'enforce', found 'on'"},
        {"\"prefetch_per_event\": 32", "\"prefetch_per_event\": 65", "/limits/prefetch_per_event: expected 1..64, found 65"},
        {"\"prefetch_per_event\": 32", "\"prefetch_per_event\": -1", "/limits/prefetch_per_event: expected 1..64, found -1"},
        {"\"prefetch_per_event\": 32", "\"prefetch_per_event\": 3.5", "/limits/prefetch_per_event: expected an integer, found 3.5"},
        {"\"hold_ns\": 0", "\"hold_ns\": 0, \"colour\": 1", "/limits/breach/colour: this key is not known"},
        {"\"measure\": \"accuracy\"", "\"measure\": \"luck\"", "/limits/breach/measure: expected one of 'accuracy', found 'luck'"},
        {"\"default\": {\n        \"action\": \"stride\"", "\"default\": {\n        \"action\": \"fly\"", "/tables/0/default/action: there is no action 'fly'"},
        {"\"match\": \"prefix\"", "\"match\": \"ternary\"", "/tables/0/keys/2/match: expected one of"},
        {"\"lo\": -64", "\"lo\": 65", "/tables/0/entries/0/keys/1/hi: expected 65..9223372036854775807, found 64"},
        {"\"lo\": -64", "\"lo\": -9223372036854775809", "/tables/0/entries/0/keys/1/lo: expected an integer"},
        {"\"hi\": 3000000", "\"hi\": 18446744073709551615", "/tables/0/entries/1/keys/3/hi: expected 0..9223372036854775807"},
        {"\"size\": 4,", "\"size\": 1,", "/tables/0/entries: there are more than 'size', 1"},
        {"\"trees\": 4", "\"trees\": 3", "/models/0/shape/trees: expected 1 of a tree, else a multiple of 4"},
        {"\"kind\": \"forest\"", "\"kind\": \"tree\"", "/models/0/shape/trees: expected 1 of a tree, else a multiple of 4"},
        {"\"kind\": \"forest\"", "\"kind\": \"bush\"", "/models/0/shape/kind: expected one of 'tree', 'forest', 'oblivious', 'net'"},
        {"\"slots\": 64", "\"slots\": 32", "/models/0/shape/slots: expected 16, or 64 of a forest"},
        {"\"outputs\": 2", "\"outputs\": 3", "/models/0/shape/outputs: expected a power of two"},
        {"\"derived\": 8", "\"derived\": 65", "/models/0/shape/derived: expected 0..64"},
        {"\"nodes\": 1024", "\"nodes\": 1000", "/models/0/shape/nodes: expected a power of two"},
        {"0beef\"", "0BEEF\"", "/models/0/digest/sha256: expected 64 digits 0-9a-f"},
        {"0beef\"", "beef\"", "/models/0/digest/sha256: expected 64 digits 0-9a-f"},
        {"\"record_size\": 24", "\"record_size\": 23", "/collect/fields/1/offset: the field ends behind its record of 23 bytes"},
        {"\"args\": [\n            8,", "\"args\": [\n            256,", "entry 1 of table 'choose'"},
        {"\"policy\": \"p\"", "\"policy\": \"p\", \"policy\": \"q\"", "the key 'policy' stands twice"},
        {"\"rmt_manifest\": 1", "\"rmt_manifest\" 1", "this is not JSON from byte"},
        {"\"state\": [", "\"state\": 5, \"x\": [", "/state: expected a list, found 5"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.find, c.by);
        const auto m = parse_manifest(edited(c.find, c.by));
        REQUIRE_FALSE(m);
        CHECK(m.error().kind == ErrorKind::Input);
        CHECK_THAT(m.error().message, ContainsSubstring(c.message));
    }
    for (const char* text : {"", "[]", "null", "5", "\"x\"", "{}", "{\"rmt_manifest\": {}}"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_manifest(text));
    }
}

TEST_CASE("a model that learns in the kernel has a learner in place of a shape") {
    Manifest m = sample();
    ManifestModel& x = m.models[0];
    x.output_kind = "value", x.classes = {}, x.source = "", x.digest = std::nullopt, x.train = std::nullopt, x.shape = {};
    x.online = ManifestModel::Online{OnlineKind::Mlp, "fault.delta", 12, {-7, 22}, RMT_LEARN_AFTER_MAX};
    const std::string json = to_json(m);
    const auto back = parse_manifest(json);
    REQUIRE(back);
    CHECK(*back == m);
    CHECK(json.find("\"shape\"") == std::string::npos);
    const std::pair<const char*, const char*> changes[] = {
        {"\"kind\": \"mlp\"", "\"kind\": \"tree\""}, {"\"rate_bits\": 12", "\"rate_bits\": 13"}, {"\"rate_bits\": 12", "\"rate_bits\": 3"},
        {"-7,", ""}, {"-7,", "-8,"}, {"22\n", "23\n"}, {"\"after\": 1000000000", "\"after\": 0"}, {"\"after\"", "\"shape\": {}, \"after\""},
    };
    for (const auto& [find, by] : changes) {
        CAPTURE(find, by);
        std::string text = json;
        const size_t at = text.find(find, text.find("\"online\""));
        REQUIRE(at != std::string::npos);
        text.replace(at, std::strlen(find), by);
        CHECK_FALSE(parse_manifest(text));
    }
}

TEST_CASE("a manifest cut anywhere is refused, never crashed on") {
    const std::string json = to_json(sample());
    for (size_t n = 0; n + 2 < json.size(); n += 7) CHECK_FALSE(parse_manifest(json.substr(0, n)));
}

TEST_CASE("a model's file is the one whose digest the policy gives") {
    const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";  // sha256sum of "abc", FIPS 180-4
    CHECK(check_digest("p.rmt", "m", std::nullopt, "m.json", "anything"));
    CHECK(check_digest("p.rmt", "m", ManifestModel::Digest{abc, 7}, "m.json", "abc"));
    const auto other = check_digest("p.rmt", "m", ManifestModel::Digest{abc, 7}, "m.json", "");
    REQUIRE_FALSE(other);
    CHECK(other.error().kind == ErrorKind::Input);
    CHECK(other.error().message == "p.rmt:7: model 'm' starts with the file of sha256 " + abc +
                                       ", but 'm.json' has e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_THAT(other.error().hint, ContainsSubstring("write its digest into the policy"));
    const auto own = check_digest("p.rmt", "m", ManifestModel::Digest{abc, 7}, "m.json", "{\"digest\":\"sha256:" + abc + "\"}");
    REQUIRE_FALSE(own);
    CHECK_THAT(own.error().hint, ContainsSubstring("sha256sum FILE"));
}

TEST_CASE("a table's value has the layout of intf.h") {
    const Manifest m = sample();
    const ManifestTable& t = m.tables[0];
    struct Entry {
        rmt_range k0, k1;
        rmt_text k2;
        rmt_range k3;
        rmt_entry_tail tail;
        int64_t arg[2];
    };
    CHECK(t.entry_size() == sizeof(Entry));
    CHECK(t.value_size() == sizeof(rmt_table_header) + 4 * sizeof(Entry));
    const auto value = encode_table(m, t, t.entries, 7);
    REQUIRE(value);
    REQUIRE(value->size() == t.value_size());
    rmt_table_header h;
    Entry e[2];
    std::memcpy(&h, value->data(), sizeof(h));
    std::memcpy(e, value->data() + sizeof(h), sizeof(e));
    CHECK(h.count == 2);
    CHECK(h.version == 7);
    CHECK(h.default_action == 1);
    CHECK(e[0].k0.lo == (2 ^ RMT_KEY_BIAS));
    CHECK(e[0].k1.lo == RMT_KEY_BIAS - 64);
    CHECK(e[0].k1.hi == RMT_KEY_BIAS + 64);
    CHECK(std::memcmp(e[0].k2.value, "postgres\0\0\0\0\0\0\0", 16) == 0);
    CHECK(std::memcmp(e[0].k2.mask, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0", 16) == 0);
    CHECK(e[0].k3.lo == 0);
    CHECK(e[0].k3.hi == ~0ull);
    CHECK(e[0].tail.action == 1);
    CHECK(e[0].tail.slot == 0);
    CHECK(e[0].arg[0] == 8);
    CHECK(e[0].arg[1] == -3);
    CHECK(e[1].k2.mask[1] == ~0ull);
    CHECK(e[1].tail.slot == 1);
    CHECK(e[1].arg[0] == 0);
    for (size_t i = sizeof(h) + sizeof(e); i < value->size(); i++) REQUIRE((*value)[i] == 0);
}

TEST_CASE("entries survive their bytes, apart from comments and lines") {
    const Manifest m = sample();
    const ManifestTable& t = m.tables[0];
    std::mt19937_64 random(20261124);
    for (int round = 0; round < 200; round++) {
        std::vector<ManifestEntry> entries(random() % 5);
        for (ManifestEntry& e : entries) {
            const auto number = [&](int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(random() % (static_cast<uint64_t>(hi - lo) + 1)); };
            const int64_t a = number(INT32_MIN, INT32_MAX), b = number(INT32_MIN, INT32_MAX), kind = number(1, 2);
            const std::string text = std::string("abcdefghijklmno").substr(0, 1 + random() % 15);
            e.keys = {random() % 2 ? KeyMatch{KeyAny{}} : KeyMatch{KeyRange{kind, kind}}, KeyRange{std::min(a, b), std::max(a, b)},
                      random() % 3 ? KeyMatch{KeyText{text, random() % 2 == 0}} : KeyMatch{KeyAny{}}, KeyRange{0, number(0, INT64_MAX - 1)}};
            if (random() % 2) {
                e.action = 1;
                e.args = {number(0, 255), static_cast<int64_t>(random())};
            }
        }
        const auto value = encode_table(m, t, entries, 1);
        REQUIRE(value);
        const auto back = decode_table(m, t, *value);
        REQUIRE(back);
        CHECK(*back == entries);
    }
}

TEST_CASE("an entry that does not fit is refused with its number and text") {
    const Manifest m = sample();
    const ManifestTable& t = m.tables[0];
    const KeyMatch any = KeyAny{};
    struct {
        ManifestEntry entry;
        const char* message;
    } const cases[] = {
        {{{any, any, any, any}, 2, {}, "", 0}, "(*, *, *, * => other()): action 'other' is not one of the actions of table 'choose'"},
        {{{any, any, any, any}, 9, {}, "", 0}, "(*, *, *, * => ?): action '9' is not one of"},
        {{{any, any, any}, 0, {}, "", 0}, "table 'choose' has 4 key(s), 3 given"},
        {{{any, any, any, any}, 1, {1}, "", 0}, "action 'stride' takes 2 argument(s), 1 given"},
        {{{any, any, any, any}, 1, {256, 0}, "", 0}, "argument 'pages' of 'stride' is 256, expected 0..255"},
        {{{KeyRange{3, 3}, any, any, any}, 0, {}, "", 0}, "key 'vma.kind': 3..3 leaves what it can be, 1..2"},
        {{{KeyRange{1, 2}, any, any, any}, 0, {}, "", 0}, "key 'vma.kind' is matched exactly"},
        {{{any, KeyRange{2, 1}, any, any}, 0, {}, "", 0}, "the range 2..1 is empty"},
        {{{any, KeyText{"x", false}, any, any}, 0, {}, "", 0}, "key 'fault.delta' is a number"},
        {{{any, any, KeyRange{1, 1}, any}, 0, {}, "", 0}, "key 'comm' is a string"},
        {{{any, any, KeyText{"0123456789abcdef", false}, any}, 0, {}, "", 0}, "has 16 bytes, at most 15"},
        {{{any, any, KeyText{"", true}, any}, 0, {}, "", 0}, "an empty prefix matches everything"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.message);
        const auto value = encode_table(m, t, {t.entries[0], c.entry}, 1);
        REQUIRE_FALSE(value);
        CHECK_THAT(value.error().message, ContainsSubstring("entry 2 of table 'choose'"));
        CHECK_THAT(value.error().message, ContainsSubstring(c.message));
    }
    CHECK_FALSE(encode_table(m, t, std::vector<ManifestEntry>(5, t.entries[0]), 1));
}

TEST_CASE("a value that is not of this table is refused") {
    const Manifest m = sample();
    const ManifestTable& t = m.tables[0];
    const auto good = encode_table(m, t, t.entries, 1);
    REQUIRE(good);
    const size_t first = sizeof(rmt_table_header);
    const size_t tail = first + 16 + 16 + 32 + 16;
    struct {
        size_t at;
        uint8_t byte;
        const char* message;
    } const cases[] = {
        {0, 5, "counts 5 entries, at most 4 fit"},
        {tail, 3, "there is no action of number 3"},
        {first + 7, 0xff, "has an empty range"},
        {first + 32 + 16 + 9, 0xff, "a mask that is not of a prefix"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.message);
        std::vector<uint8_t> bad = *good;
        bad[c.at] = c.byte;
        const auto entries = decode_table(m, t, bad);
        REQUIRE_FALSE(entries);
        CHECK_THAT(entries.error().message, ContainsSubstring(c.message));
    }
    CHECK_FALSE(decode_table(m, t, std::vector<uint8_t>(good->begin(), good->end() - 1)));
    CHECK_FALSE(decode_table(m, t, {}));
}

TEST_CASE("an entry is written as in the language") {
    const Manifest m = sample();
    const ManifestTable& t = m.tables[0];
    CHECK(format_entry(m, t, t.entries[0]) == "file, -64..64, \"postgres\", * => stride(8, -3) comment \"hot\"");
    CHECK(format_entry(m, t, t.entries[1]) == "*, 5.., \"kworker\", 0ns..3ms => none()");
}
