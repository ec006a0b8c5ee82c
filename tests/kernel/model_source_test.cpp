// SPDX-License-Identifier: MIT
// `source "FILE" sha256 "HEX";`: a policy is built and loaded with that file only, and what runs stays when it is another one.
#include "loader/live.h"
#include "models/model.h"
#include "rmt_lang/support/sha256.h"
#include "tests/kernel/cli_run.h"
#include "tests/kernel/host.h"

using namespace rmt;
using namespace rmt::cli;
using namespace rmt::test;

namespace {

std::string model_text(int answer) {
    const std::string number = std::to_string(answer);
    return R"({"rmt_model": 1, "name": "next", "kind": "tree",
        "inputs": [{"name": "fault.delta", "type": "i32", "trained_range": [-100, 100]}], "compare": "le", "missing": "reject",
        "output": {"kind": "value", "type": "i32", "range": [-64, 64]},
        "trees": [{"feature": [-1], "left": [-1], "right": [-1], "threshold": [0], "value": [)" + number + "]}]}\n";
}

std::string policy_text(const std::string& name, const std::string& sha256) {
    return "rmt 1;\npolicy " + name + R"( {
    domain mm; mode shadow;
    model next {
        source "next.json"
            sha256 ")" + sha256 + R"(";
        input (fault.delta); output value i32 in -64..64; on_error 0;
    }
    on mm.fault { let step = infer(next); prefetch(fault.page + step); }
}
)";
}

bool no_compiler() { return access(RMT_BPF_CLANG, X_OK) != 0; }

Ran check_policy(const std::string& file, const std::map<std::string, std::string>& models = {}) {
    return run([&](const Output& out) { return cmd_check(out, {file, models}, ""); });
}

std::string message(const Ran& ran) { return ran.json["error"]["message"]; }

}  // namespace

TEST_CASE("source with sha256: only that file is built into a policy, wherever it comes from") {
    if (no_compiler()) RMT_SKIP("no compiler for BPF");
    const Scratch scratch;
    const std::string wanted = sha256_hex(model_text(1)), other = sha256_hex(model_text(2));
    const std::string model = scratch.file("next.json", model_text(1)), second = scratch.file("second.json", model_text(2));
    const std::string policy = scratch.file("p.rmt", policy_text("p", wanted)), package = scratch.path("p.rmtp");
    REQUIRE(check_policy(policy).exit == kOk);
    REQUIRE(run([&](const Output& out) { return cmd_compile(out, {policy}, package); }).exit == kOk);
    REQUIRE(check_policy(package).exit == kOk);

    const Ran given = check_policy(policy, {{"next", second}});
    CHECK(given.exit == kInvalid);
    CHECK(message(given) == policy + ":6: model 'next' starts with the file of sha256 " + wanted + ", but '" + second + "' has " + other);
    CHECK_THAT(given.json["error"]["hint"].get<std::string>(), ContainsSubstring("write its digest into the policy"));
    CHECK(check_policy(policy, {{"next", model}}).exit == kOk);

    // A package's copy is compared too, and so is what replaces it.
    scratch.file("p.rmtp/models/next.json", model_text(2));
    CHECK_THAT(message(check_policy(package)), ContainsSubstring("p.rmt:6: model 'next' starts with the file of sha256 " + wanted));
    CHECK(check_policy(package, {{"next", model}}).exit == kOk);
    CHECK_THAT(message(check_policy(package, {{"next", second}})), ContainsSubstring(second + "' has " + other));
    CHECK(check_policy(package, {{"nothing", model}}).exit == kInvalid);

    // The file is compared before it is read: one that is no model at all is told by its digest.
    scratch.file("next.json", "damaged");
    CHECK_THAT(message(check_policy(policy)), ContainsSubstring("but '" + model + "' has " + sha256_hex("damaged")));
    // The artefact's own digest in the policy is a mistake that is easily made.
    auto parsed = models::parse_model(model_text(1));
    REQUIRE(parsed);
    scratch.file("next.json", models::to_json(*parsed));
    const std::string mixed = scratch.file("q.rmt", policy_text("q", parsed->digest.substr(7)));
    CHECK_THAT(check_policy(mixed).json["error"]["hint"].get<std::string>(), ContainsSubstring("that is the artefact's own digest"));
}

TEST_CASE("source with sha256: what ran before another file stood there still runs") {
    if (no_compiler()) RMT_SKIP("no compiler for BPF");
    Host host(64);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const Scratch scratch;
    load::LoadRequest request = host.request("next_n");  // its name is ours
    const std::string name = host.policy_name();
    scratch.file("next.json", model_text(1));
    const std::string policy = scratch.file("p.rmt", policy_text(name, sha256_hex(model_text(1))));
    const auto apply = [&](const std::map<std::string, std::string>& models) {
        return run([&](const Output& out) { return cmd_apply(out, {policy, models}, {host.cgroup().path()}, "shadow", false); });
    };
    REQUIRE(apply({}).exit == kOk);
    auto live = load::LivePolicy::open(name);
    REQUIRE(live);
    const auto before = live->model_artefact(live->manifest().models[0]);
    REQUIRE(before);
    CHECK(*before == model_text(1));
    const auto digest = live->object_digest();

    CHECK(apply({{"next", scratch.file("second.json", model_text(2))}}).exit == kInvalid);
    scratch.file("next.json", model_text(2));
    const Ran refused = apply({});
    CHECK(refused.exit == kInvalid);
    CHECK_THAT(message(refused), ContainsSubstring("p.rmt:6: model 'next' starts with the file of sha256"));
    auto still = load::LivePolicy::open(name);
    REQUIRE(still);
    CHECK(still->model_artefact(still->manifest().models[0]).value() == model_text(1));
    CHECK(still->object_digest().value() == digest.value());
    CHECK(still->cgroups()->size() == 1);

    // Who loads without the command line is held to it too.
    request.manifest = still->manifest();
    request.models = {{"next", {}, model_text(2)}};
    request.replace = true;
    const auto loaded = load::load_policy(request);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().kind == ErrorKind::Input);
    CHECK_THAT(loaded.error().message, ContainsSubstring("p.rmt:6: model 'next'"));
    CHECK(load::LivePolicy::open(name));

    // A swap is not a start: the digest says nothing about it.
    REQUIRE(run([&](const Output& out) { return cmd_model_use(out, {name + "/next", scratch.path("second.json"), false}); }).exit == kOk);
    const auto swapped = still->model_artefact(still->manifest().models[0]);
    REQUIRE(swapped);
    CHECK(models::parse_model(*swapped)->digest == models::parse_model(model_text(2))->digest);
}
