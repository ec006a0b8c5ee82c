// SPDX-License-Identifier: MIT
// Golden files of the emitter: the BPF C and the manifest of each accepted policy of tests/lang/accept, beside it, and of
// the project's own policies, in tests/lang/policies. RMT_UPDATE_GOLDEN=1 writes them anew: read the difference first.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "rmt_lang/check.h"
#include "rmt_lang/compile.h"
#include "rmt_lang/emit.h"
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

void check_golden(const fs::path& path, const std::string& actual) {
    if (std::getenv("RMT_UPDATE_GOLDEN")) {
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << actual;
    }
    INFO(path.string() << " differs; RMT_UPDATE_GOLDEN=1 writes it anew");
    CHECK(read_file(path) == actual);
}

struct Checked {
    fs::path golden;  // without extension
    Source source;
    lang::CheckedIr ir;
};

// What is refused as not supported yet has a .stderr and no text.
std::vector<Checked> all_checked() {
    std::vector<Checked> all;
    for (const auto& [from, to] : {std::pair{"tests/lang/accept", "tests/lang/accept"}, {"policies", "tests/lang/policies"}}) {
        std::vector<fs::path> paths;
        for (const auto& e : fs::directory_iterator(kRoot / from))
            if (e.path().extension() == ".rmt" && !fs::exists(fs::path(e.path()).replace_extension(".stderr"))) paths.push_back(e.path());
        std::sort(paths.begin(), paths.end());
        for (const fs::path& path : paths) {
            Source source(path.filename().string(), read_file(path));
            Diagnostics diagnostics;
            const auto ast = lang::parse(source, diagnostics);
            const auto ir = ast ? lang::check(*ast, source, diagnostics) : std::nullopt;
            INFO(path.string() << "\n" << format(diagnostics, source));
            REQUIRE(ir);
            all.push_back({kRoot / to / path.stem(), std::move(source), *ir});
        }
    }
    return all;
}

}  // namespace

TEST_CASE("policies give their golden BPF C and manifest") {
    for (const Checked& c : all_checked()) {
        const auto text = lang::emit_bpf_c(c.ir, c.source);
        const auto manifest = lang::make_manifest(c.ir, c.source);
        REQUIRE(text);
        REQUIRE(manifest);
        check_golden(c.golden.string() + ".c", *text);
        check_golden(c.golden.string() + ".json", to_json(*manifest));
        const auto back = parse_manifest(to_json(*manifest));
        REQUIRE(back);
        CHECK(*back == *manifest);
    }
}

TEST_CASE("clang accepts every golden text without a warning") {
    for (const Checked& c : all_checked()) {
        const auto compiled = lang::compile_policy(c.ir, c.source, {.extra_flags = {"-Werror"}});
        INFO(c.golden.string() << "\n" << (compiled ? "" : compiled.error().detail));
        CHECK(compiled);
    }
}
