// SPDX-License-Identifier: MIT
#include "models/store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <set>

#include "tests/rmt_test.h"
#include "tests/unit/models/small_model.h"

using namespace rmt;
using namespace rmt::models;
namespace fs = std::filesystem;

namespace {

// A state folder that goes with the test.
struct Scratch {
    Scratch() {
        char pattern[] = "/tmp/rmt-store-XXXXXX";
        root = mkdtemp(pattern);
    }
    ~Scratch() { fs::remove_all(root); }
    fs::path root;
};

// Models that differ in one leaf, and so in their digest.
Model variant(int32_t leaf) {
    Model model = small_model();
    model.trees[0].value[2] = leaf;
    model.samples = {};
    seal(model);
    return model;
}

StoredModel add(const Store& store, const std::string& name, const Model& model, bool expect_new = true) {
    bool added = !expect_new;
    auto stored = store.add(name, model, added);
    REQUIRE(stored);
    CHECK(added == expect_new);
    return *stored;
}

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("store: versions count up, and the same model is not kept twice") {
    const Scratch scratch;
    const Store store(scratch.root);
    CHECK(store.find("small").error().kind == ErrorKind::NotFound);
    CHECK(store.list()->empty());
    CHECK(add(store, "small", variant(30)).version == 1);
    CHECK(add(store, "small", variant(31)).version == 2);
    CHECK(add(store, "small", variant(30), false).version == 1);
    CHECK(add(store, "other", variant(30)).version == 1);
    REQUIRE(store.find("small"));
    CHECK(store.find("small")->version == 2);
    CHECK(store.find("small@v1")->version == 1);
    CHECK(store.find("small@1")->version == 1);
    auto text = store.artefact(*store.find("small@1"));
    REQUIRE(text);
    CHECK(parse_model(*text)->digest == variant(30).digest);
    auto all = store.list();
    REQUIRE(all);
    REQUIRE(all->size() == 3);
    CHECK(all->at(0).name == "other");
    CHECK(all->at(2).name == "small");
    CHECK(all->at(2).version == 2);
    CHECK(all->at(2).added.size() == std::string("2026-11-24T15:58:04Z").size());
}

TEST_CASE("store: references that name nothing say what there is") {
    const Scratch scratch;
    const Store store(scratch.root);
    add(store, "small", variant(1));
    add(store, "small", variant(2));
    REQUIRE(store.set_alias("small", "stable", 1));
    struct Case {
        const char* reference;
        ErrorKind kind;
        const char* says;
    };
    const Case cases[] = {
        {"small@v3", ErrorKind::NotFound, "no version or alias 'v3'"},
        {"small@best", ErrorKind::NotFound, "no version or alias 'best'"},
        {"small@", ErrorKind::NotFound, "no version or alias ''"},
        {"small@v0", ErrorKind::NotFound, "no version or alias 'v0'"},
        {"smal", ErrorKind::NotFound, "has no model 'smal'"},
        {"../small", ErrorKind::Input, "letters, digits"},
        {".hidden", ErrorKind::Input, "letters, digits"},
        {"", ErrorKind::Input, "letters, digits"},
    };
    for (const Case& c : cases) {
        INFO(c.reference);
        const auto found = store.find(c.reference);
        REQUIRE_FALSE(found);
        CHECK(found.error().kind == c.kind);
        CHECK_THAT(found.error().message, ContainsSubstring(c.says));
    }
    CHECK(store.find("small@v3").error().hint == "it has: v1 (stable), v2");
}

TEST_CASE("store: aliases move, and go with their version") {
    const Scratch scratch;
    const Store store(scratch.root);
    for (const int32_t leaf : {1, 2, 3}) add(store, "small", variant(leaf));
    REQUIRE(store.set_alias("small", "stable", 1));
    REQUIRE(store.set_alias("small", "canary", std::nullopt));
    CHECK(store.find("small@stable")->version == 1);
    CHECK(store.find("small@canary")->version == 3);
    CHECK(store.find("small@canary")->aliases == std::vector<std::string>{"canary"});
    REQUIRE(store.set_alias("small", "stable", 2));
    CHECK(store.find("small@stable")->version == 2);
    for (const char* bad : {"v2", "7", "a/b", "a@b", ""}) {
        INFO(bad);
        CHECK(store.set_alias("small", bad, 1).error().kind == ErrorKind::Input);
    }
    CHECK(store.set_alias("small", "stable", 9).error().kind == ErrorKind::NotFound);
    CHECK(store.set_alias("none", "stable", 1).error().kind == ErrorKind::NotFound);
    CHECK(store.find("small@stable")->version == 2);
    REQUIRE(store.remove("small", 2));
    CHECK(store.find("small@stable").error().kind == ErrorKind::NotFound);
    REQUIRE(store.remove_alias("small", "canary"));
    CHECK(store.remove_alias("small", "canary").error().kind == ErrorKind::NotFound);
}

TEST_CASE("store: numbers of removed versions are not given again") {
    const Scratch scratch;
    const Store store(scratch.root);
    for (const int32_t leaf : {1, 2, 3}) add(store, "small", variant(leaf));
    REQUIRE(store.remove("small", 3));
    CHECK(store.find("small")->version == 2);
    CHECK(add(store, "small", variant(4)).version == 4);
    CHECK(store.remove("small", 3).error().kind == ErrorKind::NotFound);
    REQUIRE(store.remove("small", std::nullopt));
    CHECK(store.find("small").error().kind == ErrorKind::NotFound);
    CHECK_FALSE(fs::exists(scratch.root / "models/small"));
}

TEST_CASE("store: a file of before versions existed is version 1") {
    const Scratch scratch;
    const Store store(scratch.root);
    write(scratch.root / "models/small.json", to_json(variant(1)));
    REQUIRE(store.find("small"));
    CHECK(store.find("small")->version == 1);
    CHECK(add(store, "small", variant(1), false).version == 1);
    CHECK(add(store, "small", variant(2)).version == 2);
    CHECK(parse_model(*store.artefact(*store.find("small@v1")))->digest == variant(1).digest);
    CHECK(store.list()->size() == 2);
    REQUIRE(store.set_alias("small", "old", 1));
    CHECK(store.find("small@old")->version == 1);
    REQUIRE(store.remove("small", 1));
    CHECK_FALSE(fs::exists(scratch.root / "models/small.json"));
    CHECK(store.find("small")->version == 2);
}

TEST_CASE("store: a writer that was killed half-way leaves nothing that is read") {
    const Scratch scratch;
    const Store store(scratch.root);
    add(store, "small", variant(1));
    const fs::path leftover = scratch.root / "models/small/.tmp-1-v2.json";
    write(leftover, to_json(variant(2)).substr(0, 100));
    CHECK(store.find("small")->version == 1);
    CHECK(store.list()->size() == 1);
    CHECK(add(store, "small", variant(3)).version == 2);
    CHECK_FALSE(fs::exists(leftover));
    CHECK(parse_model(*store.artefact(*store.find("small")))->digest == variant(3).digest);
}

TEST_CASE("store: killed between the version and its number, nothing is overwritten") {
    const Scratch scratch;
    const Store store(scratch.root);
    add(store, "small", variant(1));
    const std::string labels = read(scratch.root / "models/small/aliases.json");
    add(store, "small", variant(2));
    write(scratch.root / "models/small/aliases.json", labels);
    CHECK(store.find("small")->version == 2);
    CHECK(add(store, "small", variant(3)).version == 3);
    CHECK(parse_model(*store.artefact(*store.find("small@2")))->digest == variant(2).digest);
}

TEST_CASE("store: damaged labels are named, and nothing is written over them") {
    const Scratch scratch;
    const Store store(scratch.root);
    add(store, "small", variant(1));
    const fs::path labels = scratch.root / "models/small/aliases.json";
    for (const char* text : {"", "{", "[]", R"({"aliases":{"a":0},"last_version":1})", R"({"aliases":[],"last_version":1})"}) {
        INFO(text);
        write(labels, text);
        const auto found = store.find("small");
        REQUIRE_FALSE(found);
        CHECK(found.error().kind == ErrorKind::Input);
        CHECK_THAT(found.error().message, ContainsSubstring("aliases.json' is damaged"));
        bool added = false;
        CHECK_FALSE(store.add("small", variant(2), added));
        CHECK(read(labels) == text);
    }
}

TEST_CASE("store: writers at the same time get numbers of their own") {
    constexpr int kWriters = 4, kEach = 6;
    const Scratch scratch;
    const Store store(scratch.root);
    std::vector<pid_t> children;
    for (int w = 0; w < kWriters; w++) {
        const pid_t child = fork();
        if (child == 0) {
            bool ok = true;
            for (int i = 0; i < kEach; i++) {
                bool added = false;
                const auto stored = store.add("small", variant(w * kEach + i), added);
                ok = ok && stored && added;
            }
            _exit(ok ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        CHECK(status == 0);
    }
    auto all = store.list();
    REQUIRE(all);
    std::set<uint32_t> numbers;
    std::set<std::string> digests;
    for (const StoredModel& model : *all) {
        numbers.insert(model.version);
        digests.insert(parse_model(*store.artefact(model))->digest);
    }
    CHECK(numbers.size() == kWriters * kEach);
    CHECK(*numbers.rbegin() == kWriters * kEach);
    CHECK(digests.size() == kWriters * kEach);
}

TEST_CASE("store: history keeps what ran, and its artefact after the version is gone") {
    const Scratch scratch;
    const Store store(scratch.root);
    CHECK(store.history("p", "m")->empty());
    const Model a = variant(1), b = variant(2);
    REQUIRE(store.append_history("p", "m", {"", a.digest, "alice", "small", 1, "use", {}}, to_json(a)));
    REQUIRE(store.append_history("p", "m", {"", b.digest, "bob", "b.json", 0, "use", {}}, to_json(b)));
    REQUIRE(store.append_history("p", "m", {"", a.digest, "bob", "small", 1, "rollback", 0}, to_json(a)));
    auto history = store.history("p", "m");
    REQUIRE(history);
    REQUIRE(history->size() == 3);
    CHECK(history->at(0).who == "alice");
    CHECK(history->at(0).version == 1);
    CHECK_FALSE(history->at(0).time.empty());
    CHECK(history->at(1).name == "b.json");
    CHECK(history->at(2).of == 0);
    auto text = store.history_artefact("p", "m", b.digest);
    REQUIRE(text);
    CHECK(parse_model(*text)->digest == b.digest);
    CHECK(store.history_artefact("p", "m", "sha256:00").error().kind == ErrorKind::NotFound);
    CHECK(store.history("../p", "m").error().kind == ErrorKind::Input);
}

TEST_CASE("store: a line that a crash cut short is left out, and the next one stands by itself") {
    const Scratch scratch;
    const Store store(scratch.root);
    const Model a = variant(1);
    REQUIRE(store.append_history("p", "m", {"", a.digest, "x", "small", 1, "use", {}}, to_json(a)));
    const fs::path log = scratch.root / "history/p/m/log.jsonl";
    const std::string whole = read(log);
    write(log, whole + whole.substr(0, whole.size() / 2));
    CHECK(store.history("p", "m")->size() == 1);
    REQUIRE(store.append_history("p", "m", {"", a.digest, "x", "small", 2, "use", {}}, to_json(a)));
    auto history = store.history("p", "m");
    REQUIRE(history->size() == 2);
    CHECK(history->at(1).version == 2);
}

TEST_CASE("store: a step back is from what runs, whatever was rolled back before") {
    const auto use = HistoryEntry{};
    HistoryEntry back_to_1, back_to_0;
    back_to_1.of = 1;
    back_to_0.of = 0;
    CHECK_FALSE(before_in_history({}, 0));
    CHECK_FALSE(before_in_history({use}, 0));
    const std::vector<HistoryEntry> history{use, use, use, back_to_1, back_to_0, use};
    CHECK(before_in_history(history, 2) == 1);
    CHECK(before_in_history(history, 3) == 0);       // runs 1; before it ran 0
    CHECK_FALSE(before_in_history(history, 4));      // runs 0
    CHECK(before_in_history(history, 5) == 0);       // put in place while 0 ran
}

TEST_CASE("store: the history keeps what a rollback of kHistoryDepth steps reaches, and no more") {
    const Scratch scratch;
    const Store store(scratch.root);
    const fs::path folder = scratch.root / "history/p/m";
    const auto put = [&](const Model& model, const char* how, std::optional<size_t> of = {}) {
        HistoryEntry entry;
        entry.digest = model.digest, entry.how = how, entry.of = of;
        REQUIRE(store.append_history("p", "m", entry, to_json(model)));
    };
    const auto copies = [&] {
        size_t count = 0;
        for (const auto& file : fs::directory_iterator(folder)) count += file.path().extension() == ".json";
        return count;
    };
    std::vector<Model> models;
    for (int32_t i = 0; i < 50; i++) models.push_back(variant(i));
    for (int i = 0; i < 40; i++) put(models[static_cast<size_t>(i)], "use");
    CHECK(copies() == kHistoryDepth + 1);  // and the one in place
    CHECK(store.history("p", "m")->size() == 40);
    CHECK(store.history_artefact("p", "m", models[39 - kHistoryDepth].digest));
    const auto gone = store.history_artefact("p", "m", models[38 - kHistoryDepth].digest);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().kind == ErrorKind::NotFound);
    CHECK(store.in_history(models[39].digest) == std::vector<std::string>{"p/m"});
    CHECK(store.in_history(models[0].digest).empty());

    // Back to the oldest that is kept: what was left is kept too, it is new. Then on from there, until only rollbacks reach it.
    const size_t oldest = 39 - kHistoryDepth;
    put(models[oldest], "rollback", oldest);
    CHECK(copies() == kHistoryDepth + 1);
    CHECK(rollback_chain(*store.history("p", "m"), 99).front() == oldest);
    CHECK(store.history_artefact("p", "m", models[39].digest));
    for (int i = 0; i < 40; i++) {
        const size_t last = store.history("p", "m")->size();
        put(models[45], "use");
        put(models[oldest], "rollback", last - 1);  // to and fro
    }
    CHECK(copies() == 2);
    CHECK(store.history_artefact("p", "m", models[oldest].digest));
    CHECK(store.history_artefact("p", "m", models[45].digest));

    // A log that cannot be read to its end takes nothing away.
    std::ofstream(folder / "log.jsonl") << "damaged\n";
    const size_t before = copies();
    put(models[46], "use");
    CHECK(copies() >= 1);
    CHECK(copies() <= before + 1);
    CHECK(store.history_artefact("p", "m", models[46].digest));
}
