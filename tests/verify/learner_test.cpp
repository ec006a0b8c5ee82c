// SPDX-License-Identifier: MIT
// Policies that learn in the kernel: the emitter's text is accepted, and each change that breaks what V08 says is refused for it.
#include <fstream>
#include <sstream>

#include "tests/compile.h"
#include "tests/rmt_test.h"
#include "tests/verify/interpreter.h"
#include "tests/verify/samples.h"

using namespace rmt;
using namespace rmt::verify;
using namespace rmt::verify::test;

namespace {

lang::Compiled compile_online() {
    auto compiled = rmt::test::compile_file(std::string(RMT_SOURCE_DIR) + "/tests/lang/accept/online.rmt");
    if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
    return *compiled;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    if (at == std::string::npos) FAIL("the emitter's text has no '" << from << "'");
    text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a policy that learns is accepted, and its runs stay within the proof") {
    const lang::Compiled compiled = compile_online();
    const Verdict verdict = verify::verify(compiled.object, compiled.manifest);
    INFO(to_text(verdict, "online.rmt"));
    REQUIRE(verdict.accepted());
    Decoded decoded = decode(compiled.object);
    const ManifestLimits& limits = compiled.manifest.limits;
    Interpreter interpreter(decoded.object, mm_profile(), {limits.prefetch_per_event, limits.prefetch_rate, limits.prefetch_window_ns}, 3);
    for (const char* name : {"rmt_step_next", "rmt_step_curve", "rmt_predict_curve", "rmt_on_fault", "rmt_on_outcome"})
        for (int i = 0; i < 500; i++) {
            INFO(name << " run " << i);
            Observed seen = interpreter.run(name);
            REQUIRE(seen.violations.empty());
            REQUIRE(seen.finished);
        }
}

TEST_CASE("what a model learned is written by its step alone, and an answer stays in its range") {
    struct Change {
        const char* id;
        const char* from;
        const char* to;
    };
    const char* kCommon = "#include \"rmt/common.bpf.h\"\n";
    const Change changes[] = {
        {"V0802", "rmt_clamp(answer, -64, 64)", "rmt_clamp(answer, -64, 65)"},
        {"V0802", "rmt_clamp(answer, -4096, 4096)", "answer"},
        {"V0802", "return 7;", "return 65;"},
        {"V0801", kCommon, "#include \"rmt/common.bpf.h\"\n#define rmt_learn_linear_predict(l, x, s) rmt_learn_linear_step((struct rmt_learn_linear *)(l), x, 0, s, 1)\n"},
        {"V0801", "\tst->since = rmt_field_ts(ev);\n",
         "\t__u32 zero = 0;\n\tstruct rmt_learn_linear *l = bpf_map_lookup_elem(&rmt_online_next, &zero);\n\tif (l)\n\t\tl->bias = 1000;\n"},
        {"V0803", "\trmt_step_next(st->rmt_in_next, rmt_field_fault_delta(ev));\n", ""},
        {"V0005", "RMT_ONLINE(late, linear", "RMT_ONLINE(late, mlp"},
        {"V0004", "RMT_ONLINE(late, linear", "RMT_MODEL(late, 2, 1, 8, 1024);\n#define rmt_predict_late(x) 1\n#define rmt_step_late(x, l) 0\n#define NOT_USED(late, linear"},
    };
    const lang::Compiled compiled = compile_online();
    for (const Change& change : changes) {
        INFO(change.id << ": " << change.from << " -> " << change.to);
        std::string text = compiled.c_text;
        replace(text, change.from, change.to);
        if (std::string(change.id) == "V0004") replace(text, "NOT_USED(late, linear, 64, 6, 1, 0);", "NOT_USED");
        auto object = lang::compile_bpf(text, {});
        if (!object) FAIL(object.error().message << "\n" << object.error().detail);
        const Verdict verdict = verify::verify(*object, compiled.manifest);
        INFO(to_text(verdict, "online.rmt"));
        CHECK(verdict.id() == change.id);
    }
}
