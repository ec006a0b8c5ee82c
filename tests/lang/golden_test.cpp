// SPDX-License-Identifier: MIT
// Golden files of the front end. accept/<name>.rmt parses to <name>.ast, survives formatting, and checks without a word
// or with exactly the words of <name>.stderr. reject/<id>_<name>.rmt gives exactly <id>_<name>.stderr, with <id> in it.
// Every id that the sources can report has a reject case and an example in docs/errors.md.
// RMT_UPDATE_GOLDEN=1 writes the files anew: read the difference before committing it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "rmt_lang/check.h"
#include "rmt_lang/format.h"
#include "rmt_lang/parser.h"
#include "tests/rmt_test.h"

using namespace rmt;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = RMT_SOURCE_DIR;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

std::vector<fs::path> policies_in(const fs::path& folder) {
    std::vector<fs::path> out;
    for (const auto& e : fs::directory_iterator(folder))
        if (e.path().extension() == ".rmt") out.push_back(e.path());
    std::sort(out.begin(), out.end());
    return out;
}

void check_golden(const fs::path& path, const std::string& actual) {
    if (std::getenv("RMT_UPDATE_GOLDEN")) std::ofstream(path, std::ios::binary) << actual;
    INFO(path.string());
    CHECK(read_file(path) == actual);
}

struct Outcome {
    std::optional<lang::Ast> ast;
    bool accepted = false;
    std::string words;
    std::set<std::string> ids;
};

Outcome run(const fs::path& path) {
    const Source source(path.filename().string(), read_file(path));
    Diagnostics diagnostics;
    Outcome out;
    out.ast = lang::parse(source, diagnostics);
    if (out.ast) out.accepted = lang::check(*out.ast, source, diagnostics).has_value();
    out.words = format(diagnostics, source);
    for (const Diagnostic& d : diagnostics.all()) out.ids.insert(d.id);
    return out;
}

std::set<std::string> ids_in(const std::string& text, const std::regex& pattern) {
    std::set<std::string> out;
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) out.insert((*it)[1]);
    return out;
}

}  // namespace

TEST_CASE("policies of tests/lang/accept parse to their golden trees") {
    for (const fs::path& path : policies_in(kRoot / "tests/lang/accept")) {
        const Outcome o = run(path);
        INFO(path.string() << "\n" << o.words);
        REQUIRE(o.ast);
        check_golden(fs::path(path).replace_extension(".ast"), lang::dump(*o.ast));
        const fs::path words = fs::path(path).replace_extension(".stderr");
        if (!fs::exists(words)) {
            CHECK(o.accepted);
            CHECK(o.words == "");
            continue;
        }
        check_golden(words, o.words);
        CHECK(o.ids == std::set<std::string>{"E0900"});
    }
}

TEST_CASE("formatting keeps the tree and the comments, and is done after one pass") {
    std::vector<fs::path> all = policies_in(kRoot / "tests/lang/accept");
    for (const fs::path& p : policies_in(kRoot / "policies")) all.push_back(p);
    for (const fs::path& path : all) {
        const Outcome o = run(path);
        INFO(path.string());
        REQUIRE(o.ast);
        const std::string once = lang::format(*o.ast);
        const Source again("again.rmt", once);
        Diagnostics diagnostics;
        const auto ast = lang::parse(again, diagnostics);
        INFO(once << format(diagnostics, again));
        REQUIRE(ast);
        CHECK(lang::dump(*ast) == lang::dump(*o.ast));
        CHECK(lang::format(*ast) == once);
        CHECK(ast->comments.size() <= o.ast->comments.size());
        for (const lang::Comment& c : o.ast->comments) CHECK(once.find(c.text) != std::string::npos);
    }
}

TEST_CASE("policies of the project's own library are accepted") {
    for (const fs::path& path : policies_in(kRoot / "policies")) {
        const Outcome o = run(path);
        INFO(path.string() << "\n" << o.words);
        CHECK(o.accepted);
    }
}

TEST_CASE("the example of docs/language.md is accepted") {
    const std::string docs = read_file(kRoot / "docs/language.md"), fence = "```text\n";
    const size_t begin = docs.find(fence) + fence.size();
    const Source source("language.md", docs.substr(begin, docs.find("```", begin) - begin));
    REQUIRE(source.text().starts_with("rmt 1;"));
    Diagnostics diagnostics;
    const auto ast = lang::parse(source, diagnostics);
    REQUIRE(ast);
    const bool accepted = lang::check(*ast, source, diagnostics).has_value();
    INFO(format(diagnostics, source));
    CHECK(accepted);
}

TEST_CASE("the policies of docs/models.md are accepted") {
    const std::string docs = read_file(kRoot / "docs/models.md"), fence = "```rmt\n";
    size_t policies = 0;
    for (size_t at = docs.find(fence); at != std::string::npos; at = docs.find(fence, at + 1), policies++) {
        const size_t begin = at + fence.size();
        const Source source("models.md", docs.substr(begin, docs.find("```", begin) - begin));
        Diagnostics diagnostics;
        const auto ast = lang::parse(source, diagnostics);
        const bool accepted = ast && lang::check(*ast, source, diagnostics).has_value();
        INFO(format(diagnostics, source));
        CHECK(accepted);
    }
    CHECK(policies == 1);
}

TEST_CASE("texts of tests/lang/reject give their golden messages") {
    for (const fs::path& path : policies_in(kRoot / "tests/lang/reject")) {
        const Outcome o = run(path);
        INFO(path.string() << "\n" << o.words);
        CHECK_FALSE(o.accepted);
        CHECK(o.ids.contains(path.filename().string().substr(0, 5)));
        check_golden(fs::path(path).replace_extension(".stderr"), o.words);
    }
}

TEST_CASE("every id of the sources has a reject case, and an example in docs/errors.md") {
    std::set<std::string> in_sources;
    const std::regex literal("\"(E0[0-9]{3})\"");
    for (const auto& e : fs::directory_iterator(kRoot / "rmt_lang"))
        if (e.path().extension() == ".cpp") in_sources.merge(ids_in(read_file(e.path()), literal));
    REQUIRE(in_sources.size() > 50);

    std::set<std::string> in_rejects;
    for (const fs::path& path : policies_in(kRoot / "tests/lang/reject")) in_rejects.insert(path.filename().string().substr(0, 5));
    CHECK(in_rejects == in_sources);

    const std::string docs = read_file(kRoot / "docs/errors.md");
    CHECK(ids_in(docs, std::regex("\n### (E0[0-9]{3})")) == in_sources);
}

// The example of an id is a message that a reject case gives, word for word.
TEST_CASE("examples of docs/errors.md are what the checker says") {
    std::string messages;
    for (const fs::path& path : policies_in(kRoot / "tests/lang/reject")) messages += run(path).words;
    const std::string docs = read_file(kRoot / "docs/errors.md");
    size_t examples = 0;
    const std::string fence = "```text\n";
    for (size_t at = docs.find(fence); at != std::string::npos; at = docs.find(fence, at)) {
        at += fence.size();
        const std::string example = docs.substr(at, docs.find("```", at) - at);
        if (!example.starts_with("error[E")) continue;
        examples++;
        INFO(example);
        CHECK(messages.find(example) != std::string::npos);
    }
    CHECK(examples > 50);
}
