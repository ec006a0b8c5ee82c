// SPDX-License-Identifier: MIT
// Smoke: texts cut off, with bytes changed, tokens removed, doubled, exchanged. None may crash, and each that is refused
// says so with a place inside the text. Seeds are the policies of the tests; the random numbers are fixed.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "rmt_lang/check.h"
#include "rmt_lang/entry.h"
#include "rmt_lang/format.h"
#include "rmt_lang/parser.h"
#include "tests/rmt_test.h"

using namespace rmt;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> seeds() {
    std::vector<fs::path> paths;
    for (const char* folder : {"tests/lang/accept", "tests/lang/reject", "policies"})
        for (const auto& e : fs::directory_iterator(fs::path(RMT_SOURCE_DIR) / folder))
            if (e.path().extension() == ".rmt") paths.push_back(e.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> out;
    for (const fs::path& p : paths) {
        std::ifstream in(p, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        out.push_back(std::move(text).str());
    }
    return out;
}

// What a text goes through; the words are checked for form.
void try_text(const std::string& text) {
    const Source source("fuzz.rmt", text);
    Diagnostics diagnostics;
    const auto ast = lang::parse(source, diagnostics);
    if (ast) {
        const Source again("again.rmt", lang::format(*ast));
        Diagnostics none;
        const auto second = lang::parse(again, none);
        if (!second || lang::dump(*second) != lang::dump(*ast)) FAIL("formatting changes this text:\n" << text << "\n---\n" << again.text() << format(none, again));
        lang::check(*ast, source, diagnostics);
    }
    if (!ast && !diagnostics.has_errors()) FAIL("refused without a word:\n" << text);
    for (const Diagnostic& d : diagnostics.all())
        if (d.id.empty() || d.message.empty() || !d.at || d.at->span.begin > text.size()) FAIL(d.id << " has no place in:\n" << text);
    (void)format(diagnostics, source);
}

std::string mutated(const std::string& seed, const std::vector<std::string>& pieces, std::mt19937& random) {
    std::string s = seed;
    auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n ? n - 1 : 0)(random); };
    const size_t changes = 1 + below(4);
    for (size_t i = 0; i < changes && !s.empty(); i++) {
        const size_t at = below(s.size()), n = std::min(below(24) + 1, s.size() - at);
        switch (below(6)) {
            case 0: s.resize(at); break;
            case 1: s[at] = static_cast<char>(below(256)); break;
            case 2: s.erase(at, n); break;
            case 3: s.insert(at, s.substr(at, n)); break;
            case 4: s.insert(at, pieces[below(pieces.size())]); break;
            default: std::swap(s[at], s[below(s.size())]); break;
        }
    }
    return s;
}

}  // namespace

TEST_CASE("mutated policies never crash the front end") {
    const std::vector<std::string> all = seeds();
    REQUIRE(all.size() > 50);
    const std::vector<std::string> pieces{"{", "}", "(", ")", ";", ",", "=>", "..", "*", "-", "$DB", "infer(next_delta)", "fault.page", "99999999999", "-1",
                                          "\"", "#", "\n", "if (", "repeat 3 as i {", "match ", "5ms", "_", "deltas", "none", "0", "<", "::", "per", "ring<i32, 4>",
                                          "9223372036854775807", "1 <<", "/ 0", "state per task { z : u8; }", "on mm.fault {", "on mm.outcome {", std::string(1, '\0')};
    std::mt19937 random(20261124);
    for (int i = 0; i < 20000; i++) try_text(mutated(all[i % all.size()], pieces, random));
    SUCCEED();
}

TEST_CASE("every beginning of a policy is parsed without a crash") {
    for (const std::string& seed : seeds()) {
        if (seed.find("learned_prefetch") == std::string::npos && seed.find("wan_upload") == std::string::npos) continue;
        for (size_t n = 0; n < seed.size(); n++) try_text(seed.substr(0, n));
    }
    SUCCEED();
}

TEST_CASE("texts that are made to exhaust the stack are refused") {
    const std::string head = "rmt 1;\npolicy p { domain mm; action a() { ";
    const std::vector<std::string> bodies{std::string("x = ") + std::string(100000, '('), std::string("x = ") + std::string(100000, '-') + "1;",
                                          std::string("x = ") + std::string(100000, '!') + "b;"};
    for (const std::string& b : bodies) try_text(head + b);
    for (const char* piece : {"if (b) { ", "repeat 2 { ", "match n { 1 => ", "if (b) { } else ", "1 + ", "a[", "min(1, ", "{ "}) {
        std::string s = head + (std::string(piece).find_first_of("1am") == 0 ? "x = " : "");
        for (int i = 0; i < 20000; i++) s += piece;
        try_text(s);
    }
    SUCCEED();
}
