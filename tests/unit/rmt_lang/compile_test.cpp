// SPDX-License-Identifier: MIT
#include "rmt_lang/compile.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "tests/rmt_test.h"
#include "tests/unit/rmt_lang/ir_build.h"

using namespace rmt;
using namespace rmt::lang;
namespace fs = std::filesystem;

namespace {

const char* kSmall = "int rmt_nothing(void *ctx) { return 0; }\n";

// The folders that compile_bpf makes, found where it makes them.
std::set<std::string> work_folders() {
    std::set<std::string> all;
    for (const auto& e : fs::directory_iterator(fs::temp_directory_path()))
        if (e.path().filename().string().rfind("rmt-compile-", 0) == 0) all.insert(e.path());
    return all;
}

// A temporary folder as TMPDIR, so that other tests that compile at the same time are not seen.
class OwnTmp {
public:
    OwnTmp() {
        path_ = (fs::temp_directory_path() / ("rmt-compile_test." + std::to_string(getpid()))).string();
        fs::create_directories(path_);
        if (const char* old = std::getenv("TMPDIR")) old_ = old;
        setenv("TMPDIR", path_.c_str(), 1);
    }
    ~OwnTmp() {
        old_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", old_.c_str(), 1);
        fs::remove_all(path_);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_, old_;
};

bool contains(const std::vector<uint8_t>& object, const std::string& text) {
    return memmem(object.data(), object.size(), text.data(), text.size()) != nullptr;
}

}  // namespace

TEST_CASE("text becomes an object, and nothing is left behind") {
    const OwnTmp tmp;
    const auto object = compile_bpf(kSmall, {});
    REQUIRE(object);
    CHECK(std::memcmp(object->data(), "\x7f" "ELF", 4) == 0);
    CHECK((*object)[18] == 247);  // EM_BPF
    CHECK(work_folders().empty());
}

TEST_CASE("clang's refusal is handed on, and nothing is left behind") {
    const OwnTmp tmp;
    const auto object = compile_bpf("int x = ;\n", {.name = "some/where/p.rmt"});
    REQUIRE_FALSE(object);
    CHECK(object.error().kind == ErrorKind::Input);
    CHECK_THAT(object.error().message, ContainsSubstring("'p.rmt'"));
    CHECK_THAT(object.error().detail, ContainsSubstring("expected expression"));
    CHECK(work_folders().empty());
}

TEST_CASE("what is missing is named, with what to do") {
    const auto no_clang = compile_bpf(kSmall, {.clang = "/nowhere/clang-99"});
    REQUIRE_FALSE(no_clang);
    CHECK(no_clang.error().kind == ErrorKind::NotFound);
    CHECK_THAT(no_clang.error().message, ContainsSubstring("/nowhere/clang-99"));
    CHECK_THAT(no_clang.error().hint, ContainsSubstring("RMT_CLANG"));
    const auto no_base = compile_bpf(kSmall, {.base = "/nowhere"});
    REQUIRE_FALSE(no_base);
    CHECK(no_base.error().kind == ErrorKind::NotFound);
    CHECK_THAT(no_base.error().message, ContainsSubstring("/nowhere/bpf"));
    for (const char* name : {"", "-o", "..", "bpf", "x/vmlinux", "x/"}) {
        CAPTURE(name);
        CHECK_FALSE(compile_bpf(kSmall, {.name = name}));
    }
}

TEST_CASE("a compiler that fails is not the policy's fault") {
    const auto killed = compile_bpf(kSmall, {.clang = "/bin/false"});
    REQUIRE_FALSE(killed);
    CHECK(killed.error().kind == ErrorKind::Input);
    const OwnTmp tmp;
    const std::string script = tmp.path() + "/dies";
    {
        FILE* f = std::fopen(script.c_str(), "w");
        REQUIRE(f);
        std::fputs("#!/bin/sh\nkill -9 $$\n", f);
        std::fclose(f);
    }
    fs::permissions(script, fs::perms::owner_all);
    const auto signal = compile_bpf(kSmall, {.clang = script});
    REQUIRE_FALSE(signal);
    CHECK(signal.error().kind == ErrorKind::Environment);
    CHECK_THAT(signal.error().message, ContainsSubstring("signal 9"));
}

TEST_CASE("the founding policy compiles; the object does not depend on where the tree or the policy stands") {
    const CheckedIr checked = CheckedIr::seal(build::founding());
    std::string text;
    for (int i = 1; i <= 70; i++) text += i == 41 ? "HERE prefetch(head);\n" : "x\n";
    const auto first = compile_policy(checked, Source("learned_prefetch.rmt", text));
    REQUIRE(first);
    CHECK(first->manifest.policy == "learned_prefetch");
    CHECK_FALSE(first->c_text.empty());

    const OwnTmp tmp;
    fs::create_directories(tmp.path() + "/tree");
    for (const char* part : {"bpf", "vmlinux"}) fs::copy(fs::path(RMT_SOURCE_DIR) / part, tmp.path() + "/tree/" + part, fs::copy_options::recursive);
    const auto second = compile_policy(checked, Source("/elsewhere/learned_prefetch.rmt", text), {.base = tmp.path() + "/tree"});
    REQUIRE(second);
    CHECK(first->object == second->object);
    CHECK_FALSE(contains(first->object, RMT_SOURCE_DIR));
    CHECK_FALSE(contains(first->object, "rmt-compile-"));
    // The kernel's verifier prints source lines out of BTF: they are the policy's.
    CHECK(contains(first->object, "HERE prefetch(head);"));
}
