// SPDX-License-Identifier: MIT
// The verbs of `rmt-load model`, end to end in a state folder of their own: the store, and models that are swapped, rolled back
// and scored in a policy that is loaded.
#include <unistd.h>

#include <algorithm>
#include <random>

#include "loader/live.h"
#include "models/model.h"
#include "tests/kernel/cli_run.h"
#include "tests/kernel/host.h"

using namespace rmt;
using namespace rmt::cli;
using namespace rmt::test;

namespace {

constexpr uint64_t kLimitMib = 64, kFootprintMib = 112;

Ran train(const std::string& rows, const std::string& name, uint32_t depth = 8) {
    TrainArgs args;
    args.data = rows;
    args.kind = "tree";
    args.inputs = {"deltas[0]", "deltas[1]", "deltas[2]", "deltas[3]"};
    args.label = "next";
    args.name = name;
    args.max_depth = depth;
    args.holdout = 0;
    return run([&](const Output& out) { return cmd_model_train(out, args); });
}

Ran use(const std::string& where, const std::string& model, bool shadow = false) {
    return run([&](const Output& out) { return cmd_model_use(out, {where, model, shadow}); });
}
Ran rollback(const std::string& where, uint32_t steps = 1) {
    return run([&](const Output& out) { return cmd_model_rollback(out, where, steps); });
}
Ran show(const std::string& model) {
    return run([&](const Output& out) { return cmd_model_show(out, model); });
}
Ran take_away(const std::string& model, bool force = false) {
    return run([&](const Output& out) { return cmd_model_rm(out, model, force); });
}

std::string digest(const std::string& model) { return show(model).json["digest"].get<std::string>(); }

std::string running(const load::LivePolicy& live) {
    auto text = live.model_artefact(live.manifest().models[0]);
    REQUIRE(text);
    if (text->empty()) return "";
    auto model = models::parse_model(*text);
    REQUIRE(model);
    return model->digest;
}

}  // namespace

TEST_CASE("model verbs: from rows to a version, an alias, a file, and back") {
    const Scratch scratch;
    const std::string rows = scratch.walks("rows.csv", -3, 3);
    const Ran first = train(rows, "walk");
    REQUIRE(first.exit == kOk);
    CHECK(first.json["stored"]["version"] == 1);
    CHECK(train(rows, "walk").json["stored"]["added"] == false);
    REQUIRE(train(rows, "walk", 2).json["stored"]["version"] == 2);
    CHECK(run([&](const Output& out) { return cmd_model_alias(out, "walk", "stable", "v1", false); }).exit == kOk);
    CHECK(digest("walk@stable") == digest("walk@v1"));
    CHECK(digest("walk") == digest("walk@2"));
    CHECK(digest("walk@1") != digest("walk@2"));
    const Ran list = run([&](const Output& out) { return cmd_model_list(out, ""); });
    REQUIRE(list.json["models"].size() == 2);
    CHECK(list.json["models"][0]["aliases"][0] == "stable");

    DiffArgs diff{"walk@1", "walk@2", rows};
    const Ran differs = run([&](const Output& out) { return cmd_model_diff(out, diff); });
    CHECK(differs.exit == kDifferences);
    CHECK(differs.json["rows"] == 7 * 20);
    CHECK(differs.json["different"] > 0);
    diff = {"walk@1", "walk@stable", ""};
    const Ran same = run([&](const Output& out) { return cmd_model_diff(out, diff); });
    CHECK(same.exit == kOk);
    CHECK(same.json["same"] == true);
    CHECK(same.json["rows"] == 10000);

    REQUIRE(run([&](const Output& out) { return cmd_model_export(out, "walk@1", scratch.path("out.json")); }).exit == kOk);
    CHECK(digest(scratch.path("out.json")) == digest("walk@1"));
    ImportArgs import;
    import.file = scratch.path("out.json");
    import.name = "again";
    const Ran imported = run([&](const Output& out) { return cmd_model_import(out, import); });
    CHECK(imported.exit == kOk);
    CHECK(imported.json["format"] == "rmt_model 1");
    CHECK(imported.json["stored"]["version"] == 1);
    import.format = "xgboost";
    CHECK(run([&](const Output& out) { return cmd_model_import(out, import); }).exit == kInvalid);

    const Ran answers = run([&](const Output& out) { return cmd_model_predict(out, "walk@1", rows, ""); });
    REQUIRE(answers.json["answers"].size() == 7 * 20);
    CHECK(answers.json["answers"][0] == -3);
    CHECK(answers.json["answers"].back() == 3);

    CHECK(take_away("walk@v1").exit == kOk);
    CHECK(show("walk@stable").exit == kNotFound);
    CHECK(take_away("walk").exit == kOk);
    CHECK(take_away("walk").exit == kNotFound);
}

TEST_CASE("model train --warm-start: a net of other rows is adapted to few") {
    const Scratch scratch;
    std::string rows = "a,b,hot\n", few = rows;
    std::mt19937_64 random(5);
    for (int i = 0; i < 1040; i++) {
        const int a = static_cast<int>(random() % 1000), b = static_cast<int>(random() % 1000);
        (i < 1000 ? rows : few) += std::to_string(a) + "," + std::to_string(b) + "," + std::to_string(a + b > (i < 1000 ? 1000 : 1100)) + "\n";
    }
    TrainArgs args;
    args.data = scratch.file("rows.csv", rows);
    args.kind = "mlp";
    args.label = "hot";
    args.inputs = {"a", "b"};
    args.output_kind = "class";
    args.hidden = {8};
    args.name = "net";
    REQUIRE(run([&](const Output& out) { return cmd_model_train(out, args); }).exit == kOk);
    args.data = scratch.file("few.csv", few);
    args.warm_start = "net@v1";
    args.holdout = 0.25;
    const Ran warm = run([&](const Output& out) { return cmd_model_train(out, args); });
    INFO(warm.json.dump());
    REQUIRE(warm.exit == kOk);
    CHECK(warm.json["stored"]["version"] == 2);
    CHECK(warm.json["model"]["kind"] == "mlp");
    CHECK(warm.json["rows_held_out"] > 5);
    CHECK(warm.json["accuracy"] > 0.7);
}

TEST_CASE("model search: the RMT verifier says what a model costs in the policy") {
    if (access(RMT_BPF_CLANG, X_OK) != 0) RMT_SKIP("no compiler for BPF");
    const Scratch scratch;
    SearchArgs args;
    args.data = scratch.walks("rows.csv", 8, 14);
    args.policy = RMT_SOURCE_DIR "/policies/learned_prefetch.rmt";
    args.model = "next_delta";
    args.label = "next";
    args.output = scratch.path("found");
    const Ran found = run([&](const Output& out) { return cmd_model_search(out, args); });
    REQUIRE(found.exit == kOk);
    CHECK(found.json["budget_ns"] == 6000);  // the policy's limit
    const Json& chosen = found.json["points"][found.json["chosen"].get<size_t>()];
    CHECK(chosen["cost_ns"] > 100);
    CHECK(chosen["cost_ns"] <= 6000);
    CHECK(chosen["front"] == true);
    CHECK(digest(scratch.path("found/next_delta.json")) == found.json["model"]["digest"]);
    CHECK_THAT(read_file(scratch.path("found/search.svg")), ContainsSubstring("</svg>"));
    args.budget_ns = 1;
    args.output = scratch.path("nothing");
    CHECK(run([&](const Output& out) { return cmd_model_search(out, args); }).exit == kFailed);
    args.model = "nope";
    CHECK(run([&](const Output& out) { return cmd_model_search(out, args); }).exit == kNotFound);
}

TEST_CASE("model search: a policy whose class comes from its source is offered nets, and runs the one that is chosen") {
    if (access(RMT_BPF_CLANG, X_OK) != 0) RMT_SKIP("no compiler for BPF");
    const Scratch scratch;
    std::mt19937_64 random(3);
    std::string rows = "d[0],d[1],d[2],hot\n";
    for (int i = 0; i < 2500; i++) {  // a plane: trees of any size are worse
        int64_t x[3];
        for (int64_t& one : x) rows += std::to_string(one = static_cast<int64_t>(random() % 1001)) + ",";
        rows += std::to_string(3 * x[0] - 2 * x[1] + x[2] > 1000) + "\n";
    }
    SearchArgs args;
    args.data = scratch.file("rows.csv", rows);
    args.policy = scratch.file("hot.rmt",
                               "rmt 1;\npolicy hot_pages {\n    description \"t\";\n    domain mm;\n    mode enforce;\n"
                               "    limit { prefetch.pages <= 64 per event; cost <= 2us per event; }\n    state per task { d : ring<i32, 3>; r : i64; }\n"
                               "    model hot { source \"hot.json\"; input (d[0], d[1], d[2]); output class { cold = 0, hot = 1 }; on_error cold; }\n"
                               "    on mm.fault { push d, fault.delta; r = infer(hot); collect { r } sample 1/1; }\n}\n");
    TrainArgs first;  // what the policy runs before
    first.data = args.data;
    first.kind = "tree";
    first.label = "hot";
    first.inputs = {"d[0]", "d[1]", "d[2]"};
    first.output_kind = "class";
    first.max_depth = 2;
    first.output = scratch.path("hot.json");
    REQUIRE(run([&](const Output& out) { return cmd_model_train(out, first); }).exit == kOk);
    args.model = "hot";
    args.label = "hot";
    args.output = scratch.path("found");
    const Ran found = run([&](const Output& out) { return cmd_model_search(out, args); });
    REQUIRE(found.exit == kOk);
    const Json& points = found.json["points"];
    const Json& chosen = points[found.json["chosen"].get<size_t>()];
    INFO(chosen.dump());
    CHECK(chosen.contains("bits"));
    CHECK(chosen["cost_ns"] <= 2000);
    CHECK(found.json["test_accuracy"] > 0.95);
    for (const int bits : {8, 16, 32}) {
        const bool complete = std::any_of(points.begin(), points.end(), [&](const Json& p) { return p["complete"] == true && p.value("bits", 0) == bits; });
        CAPTURE(bits);
        CHECK(complete);
    }
    CHECK(std::any_of(points.begin(), points.end(), [](const Json& p) { return p.contains("bits") && p["cost_ns"] > 2000; }));
    CHECK_THAT(read_file(scratch.path("found/search.txt")), ContainsSubstring("mlp int8"));
    CHECK_THAT(read_file(scratch.path("found/search.svg")), ContainsSubstring("mlp int16"));

    std::filesystem::copy_file(scratch.path("found/hot.json"), scratch.path("hot.json"), std::filesystem::copy_options::overwrite_existing);
    PolicyArgs policy;
    policy.file = args.policy;
    const Ran compiled = run([&](const Output& out) { return cmd_compile(out, policy, scratch.path("package")); });
    INFO(compiled.json.dump());
    CHECK(compiled.exit == kOk);
    if (!cannot_load().empty()) return;
    CHECK(run([&](const Output& out) { return cmd_model_verify(out, scratch.path("found/hot.json"), ""); }).exit == kOk);
    args.budget_ns = chosen["cost_ns"].get<double>() - 1;
    args.output = scratch.path("cheaper");
    const Ran cheaper = run([&](const Output& out) { return cmd_model_search(out, args); });
    if (cheaper.exit == kOk) CHECK(cheaper.json["points"][cheaper.json["chosen"].get<size_t>()]["cost_ns"] < chosen["cost_ns"]);
    args.task = "guess";
    CHECK(run([&](const Output& out) { return cmd_model_search(out, args); }).exit == kInvalid);
}

TEST_CASE("model verbs: what is wrong is said with its exit code, and nothing is kept") {
    const Scratch scratch;
    const std::string rows = scratch.walks("rows.csv", 1, 3);
    TrainArgs args;
    args.data = rows;
    args.kind = "tree";
    args.label = "next";
    args.inputs = {"deltas[0]"};
    const auto with = [&](const std::function<void(TrainArgs&)>& change) {
        TrainArgs changed = args;
        changed.name = "x";
        change(changed);
        return run([&](const Output& out) { return cmd_model_train(out, changed); }).exit;
    };
    CHECK(with([](TrainArgs& a) { a.name = ""; }) == kInvalid);
    CHECK(with([](TrainArgs& a) { a.kind = "oracle"; }) == kInvalid);
    CHECK(with([](TrainArgs& a) { a.label = "nxt"; }) == kInvalid);
    CHECK(with([](TrainArgs& a) { a.task = "guess"; }) == kInvalid);
    CHECK(with([](TrainArgs& a) { a.data = "/nowhere.csv"; }) == kNotFound);
    CHECK(with([](TrainArgs& a) { a.name = "../x"; }) == kInvalid);
    CHECK(with([](TrainArgs& a) { a.warm_start = "nothing"; }) == kNotFound);
    CHECK(run([&](const Output& out) { return cmd_model_list(out, ""); }).json["models"].empty());
    CHECK(show(scratch.file("damaged.json", "{\"rmt_model\":")).exit == kInvalid);
    CHECK(show("no_such_policy/model").exit != kOk);
    CHECK(run([&](const Output& out) { return cmd_model_history(out, "p/m"); }).json["entries"].empty());
}

TEST_CASE("model verbs: the engine in the kernel gives the reference's answers, and is measured") {
    if (const std::string why = cannot_load(); !why.empty()) RMT_SKIP(why);
    const Scratch scratch;
    const std::string rows = scratch.walks("rows.csv", -3, 3);
    REQUIRE(train(rows, "walk").exit == kOk);
    const Ran verified = run([&](const Output& out) { return cmd_model_verify(out, "walk", ""); });
    CHECK(verified.exit == kOk);
    CHECK(verified.json["kernel_rows"] > 1000);
    const auto answers = [&](const char* by) { return run([&](const Output& out) { return cmd_model_predict(out, "walk", rows, by); }).json["answers"]; };
    CHECK(answers("kernel") == answers(""));
    const Ran bench = run([&](const Output& out) { return cmd_model_bench(out, "walk", ""); });
    CHECK(bench.exit == kOk);
    CHECK(bench.json["kernel_ns"]["max"] >= bench.json["kernel_ns"]["min"]);
    TrainArgs args;
    args.data = rows;
    args.kind = "forest";
    args.inputs = {"deltas[0]", "deltas[1]"};
    args.label = "next";
    args.name = "many";
    args.trees = 8;
    args.holdout = 0;
    REQUIRE(run([&](const Output& out) { return cmd_model_train(out, args); }).exit == kOk);
    CHECK(run([&](const Output& out) { return cmd_model_verify(out, "many", ""); }).json["kernel_rows"] > 1000);
}

TEST_CASE("model use and rollback: what ran is found again, and a model that does not fit changes nothing") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const Scratch scratch;
    const load::LoadRequest request = host.request("learned_prefetch");
    REQUIRE(load::load_policy(request));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    const std::string where = host.policy_name() + "/next_delta";
    REQUIRE(train(scratch.walks("a.csv", 8, 14), "walk").exit == kOk);
    REQUIRE(train(scratch.walks("b.csv", 6, 12), "walk").exit == kOk);

    CHECK(rollback(where).exit == kNotFound);
    REQUIRE(use(where, "walk@v1").exit == kOk);
    CHECK(running(*live) == digest("walk@v1"));
    CHECK(show("walk@v1").json["used_by"][0] == where);
    REQUIRE(use(where, "walk").exit == kOk);
    CHECK(running(*live) == digest("walk@v2"));
    CHECK(digest(where) == digest("walk@v2"));

    TrainArgs other;
    other.data = scratch.path("a.csv");
    other.kind = "tree";
    other.inputs = {"deltas[0]"};
    other.label = "next";
    other.name = "other";
    REQUIRE(run([&](const Output& out) { return cmd_model_train(out, other); }).exit == kOk);
    CHECK(use(where, "other").exit == kInvalid);
    CHECK(use(where, scratch.file("damaged.json", read_file(scratch.path("state/models/walk/v1.json")).replace(400, 1, "x"))).exit == kInvalid);
    CHECK(use(where, "nothing").exit == kNotFound);
    CHECK(use(host.policy_name() + "/nothing", "walk").exit == kNotFound);
    CHECK(running(*live) == digest("walk@v2"));

    CHECK(take_away("walk@v2").exit == kConflict);
    CHECK(take_away("walk").exit == kConflict);
    const std::string first = digest("walk@v1"), second = digest("walk@v2");
    CHECK(take_away("walk@v2", true).exit == kOk);
    CHECK(running(*live) == second);

    REQUIRE(rollback(where).exit == kOk);
    CHECK(running(*live) == first);
    CHECK(rollback(where).exit == kNotFound);
    const Ran history = run([&](const Output& out) { return cmd_model_history(out, where); });
    REQUIRE(history.json["entries"].size() == 3);
    CHECK(history.json["entries"][2]["how"] == "rollback");
    CHECK(history.json["entries"][2]["of"] == 0);

    // A new start: the history is on the disk, so that what ran last is one step away.
    load::LoadRequest again = request;
    again.replace = true;
    REQUIRE(load::load_policy(again));
    auto fresh = load::LivePolicy::open(host.policy_name());
    REQUIRE(fresh);
    CHECK(running(*fresh).empty());
    REQUIRE(rollback(where).exit == kOk);
    CHECK(running(*fresh) == first);
}

TEST_CASE("model use --shadow: champion and challenger are scored on the same live events, and the challenger is promoted") {
    Host host(kLimitMib);
    if (!host.problem().empty()) RMT_SKIP(host.problem());
    const Scratch scratch;
    load::LoadRequest request = host.request("learned_prefetch");
    request.mode = RMT_MODE_SHADOW;  // only misses matter here
    REQUIRE(load::load_policy(request));
    auto live = load::LivePolicy::open(host.policy_name());
    REQUIRE(live);
    REQUIRE(live->add_cgroup(host.cgroup().id()));
    const std::string where = host.policy_name() + "/next_delta";
    REQUIRE(train(scratch.walks("right.csv", 8, 14), "right").exit == kOk);
    REQUIRE(train(scratch.walks("wrong.csv", 8, 14, 1), "wrong").exit == kOk);
    REQUIRE(use(where, "wrong").exit == kOk);

    CHECK(use(where, "right", true).exit == kConflict);  // nobody would score it
    CHECK(use(where, "none", true).exit == kNotFound);
    {
        Agent agent(host.policy_name());
        REQUIRE(eventually(20, [&] { return live->has_agent() && live->ctl().train; }));
        REQUIRE(use(where, "right", true).exit == kOk);
        CHECK(running(*live) == digest("wrong"));
        CHECK(show("right").json["used_by"][0] == where + " (challenger)");
        CHECK(take_away("right").exit == kConflict);
        REQUIRE(touch_pages(host.cgroup(), kFootprintMib, 11, 1).ok);
        CHECK(eventually(20, [&] {
            auto challenger = live->challenger(live->manifest().models[0]);
            return challenger && *challenger && (*challenger)->score.rows > 2000;
        }));
    }
    const Ran list = run([&](const Output& out) { return cmd_model_list(out, host.policy_name()); });
    const Json scored = list.json["models"][0]["challenger"]["scored"];
    CHECK(scored["rows"] > 2000);
    CHECK(scored["challenger"]["correct"] > 1000);  // the walk has a constant step
    CHECK(scored["challenger"]["correct"] <= scored["rows"]);
    CHECK(scored["challenger"]["correct_answered"] <= scored["challenger"]["answered"]);
    CHECK(scored["champion"]["correct"] <= scored["rows"]);

    REQUIRE(run([&](const Output& out) { return cmd_model_promote(out, where); }).exit == kOk);
    CHECK(running(*live) == digest("right"));
    CHECK(use(where, "none", true).exit == kNotFound);
    CHECK(run([&](const Output& out) { return cmd_model_promote(out, where); }).exit == kNotFound);
    const Ran history = run([&](const Output& out) { return cmd_model_history(out, where); });
    CHECK(history.json["entries"].back()["how"] == "promote");
}
