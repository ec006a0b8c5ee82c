// SPDX-License-Identifier: MIT
// Models that learn in the kernel on real page faults, watched, exported and reset while the policy is attached.
#include <unistd.h>

#include "loader/live.h"
#include "models/model.h"
#include "tests/compile.h"
#include "tests/kernel/cli_run.h"
#include "tests/kernel/host.h"

using namespace rmt;
using namespace rmt::cli;
using namespace rmt::test;

namespace {

constexpr uint64_t kLimitMib = 64, kFootprintMib = 112;

const char* kPolicy = R"(rmt 1;
policy learns {
    description "two learners";
    domain mm;
    mode shadow;
    limit { prefetch.pages <= 4 per event; cost <= 20us per event; }
    state per task { deltas : ring<i32, 2>; }
    model next { input (deltas[0], deltas[1]); output value i32 in -4096..4096; on_error 0; train online linear from mm.fault label fault.delta scale 4; }
    model curve { input (deltas[0], fault.major); output value i32 in -4096..4096; on_error 0; train online mlp from mm.fault label fault.delta scale (4, 1/64); }
    on mm.fault {
        push deltas, fault.delta;
        let ahead = infer(next);
        if (ahead != 0 && infer(curve) != 0) { prefetch(fault.page + ahead); }
    }
}
)";

load::LoadRequest request_of(const std::string& name) {
    auto compiled = test::compile_text(kPolicy, "learns.rmt");
    if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
    load::LoadRequest request;
    request.object = std::move(compiled->object);
    request.manifest = std::move(compiled->manifest);
    request.manifest.policy = name;
    request.mode = RMT_MODE_SHADOW;
    return request;
}

Json learner(const std::string& policy, size_t index) {
    const Ran ran = run([&](const Output& out) { return cmd_stats(out, policy, 0); });
    REQUIRE(ran.exit == kOk);
    return ran.json["models"][index]["online"];
}

uint64_t events(const load::LivePolicy& live) {
    auto all = live.cgroups();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    return all->front().figures.stat[RMT_STAT_EVENTS];
}

}  // namespace

TEST_CASE("online learning on page faults: figures, export, reset, and what is refused") {
    if (access(RMT_BPF_CLANG, X_OK) != 0) RMT_SKIP("no compiler for BPF");
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const Scratch scratch;
    const std::string policy = host.policy_name(), next = policy + "/next", curve = policy + "/curve";
    auto loaded = load::load_policy(request_of(policy));
    if (!loaded) FAIL(loaded.error().message << "\n" << loaded.error().detail);
    auto live = load::LivePolicy::open(policy);
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    CHECK(learner(policy, 0)["steps"] == 0);
    CHECK(learner(policy, 0)["squared_error"].is_null());
    CHECK(run([&](const Output& out) { return cmd_model_export(out, next, scratch.path("early.json")); }).exit == kNotFound);

    // Strides of 11 pages with a jump back at each round: easy to learn, and in shadow too.
    REQUIRE(touch_pages(host.cgroup(), kFootprintMib, 11, 2).ok);
    const Json first = learner(policy, 0), second = learner(policy, 1);
    const uint64_t seen = events(*live);
    CHECK(seen > 4000);
    // The count is kept without a lock: where one task interrupts another on a CPU, a step may be lost.
    CHECK(first["steps"] <= seen);
    CHECK(first["steps"] >= seen - seen / 100);
    CHECK(second["steps"] >= seen - seen / 100);
    CHECK(first["cpus"] >= 1);
    CHECK(first["answering"] >= 1);
    CHECK(first["squared_error"] >= 0);
    CHECK(first["kind"] == "linear");
    CHECK(second["kind"] == "mlp");

    const std::string file = scratch.path("next.json");
    REQUIRE(run([&](const Output& out) { return cmd_model_export(out, next, file); }).exit == kOk);
    const Ran shown = run([&](const Output& out) { return cmd_model_show(out, file); });
    REQUIRE(shown.exit == kOk);
    CHECK(shown.json["kind"] == "linear");
    CHECK(shown.json["provenance"]["steps"] == std::to_string(first["steps"].get<uint64_t>()));
    CHECK(run([&](const Output& out) { return cmd_model_verify(out, file, ""); }).exit == kOk);
    const std::string rows = scratch.file("rows.csv", "deltas[0],deltas[1]\n11,11\n11,-100\n");
    const Ran answers = run([&](const Output& out) { return cmd_model_predict(out, file, rows, "kernel"); });
    REQUIRE(answers.exit == kOk);
    CHECK(answers.json["answers"].size() == 2);
    CHECK(run([&](const Output& out) { return cmd_model_export(out, curve, file); }).exit == kUnsupported);
    CHECK(run([&](const Output& out) { return cmd_model_show(out, curve); }).json["online"]["kind"] == "mlp");
    CHECK(run([&](const Output& out) { return cmd_model_list(out, policy); }).json["models"][0]["online"]["label"] == "fault.delta");

    // Nothing can be swapped in, scored beside it, or rolled back.
    for (const bool shadow : {false, true}) CHECK(run([&](const Output& out) { return cmd_model_use(out, {next, file, shadow}); }).exit == kUnsupported);
    CHECK(run([&](const Output& out) { return cmd_model_promote(out, next); }).exit == kUnsupported);
    CHECK(run([&](const Output& out) { return cmd_model_rollback(out, next, 1); }).exit == kUnsupported);

    // Off learns nothing; enforce does; a reset while faults go on begins anew, and goes on from there.
    const uint64_t before = learner(policy, 0)["steps"].get<uint64_t>();
    REQUIRE(live->set_mode(RMT_MODE_OFF));
    REQUIRE(touch_pages(host.cgroup(), kFootprintMib, 11, 1).ok);
    CHECK(learner(policy, 0)["steps"] == before);
    REQUIRE(live->set_mode(RMT_MODE_ENFORCE));
    REQUIRE(touch_pages(host.cgroup(), kFootprintMib, 11, 1).ok);
    CHECK(learner(policy, 0)["steps"] > before);
    const Ran reset = run([&](const Output& out) { return cmd_model_reset(out, next); });
    REQUIRE(reset.exit == kOk);
    CHECK(reset.json["before"]["steps"] > before);
    CHECK(learner(policy, 0)["steps"] < before);
    CHECK(learner(policy, 1)["steps"] > before);  // the other one keeps what it knows
    REQUIRE(touch_pages(host.cgroup(), kFootprintMib, 11, 1).ok);
    CHECK(learner(policy, 0)["steps"] > 1000);

    // A new load of the policy starts from nothing.
    load::LoadRequest again = request_of(policy);
    again.replace = true;
    REQUIRE(load::load_policy(again));
    CHECK(learner(policy, 0)["steps"] == 0);
    CHECK(learner(policy, 1)["steps"] == 0);
}

TEST_CASE("a policy whose model learns online takes no file for it, and is not searched") {
    if (access(RMT_BPF_CLANG, X_OK) != 0) RMT_SKIP("no compiler for BPF");
    const Scratch scratch;
    PolicyArgs args;
    args.file = scratch.file("learns.rmt", kPolicy);
    CHECK(run([&](const Output& out) { return cmd_compile(out, args, scratch.path("package")); }).exit == kOk);
    args.models["next"] = scratch.file("any.json", "{}");
    CHECK(run([&](const Output& out) { return cmd_compile(out, args, scratch.path("other")); }).exit == kUnsupported);
    SearchArgs search;
    search.data = scratch.walks("rows.csv", 1, 3);
    search.policy = args.file;
    search.model = "next";
    search.label = "next";
    search.output = scratch.path("found");
    CHECK(run([&](const Output& out) { return cmd_model_search(out, search); }).exit == kUnsupported);
}
