// SPDX-License-Identifier: MIT
// rmt-load: the command line. What each verb does is in cmd_*.cpp; here is only how it is spelled.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "loader/cli/commands.h"

using namespace rmt::cli;

namespace {

struct Arguments {
    Output out;
    PolicyArgs policy;
    RunArgs run;
    TrainArgs train;
    ImportArgs import;
    CollectArgs collect;
    std::string name, kind, dump, folder, mode, where, what, which, model, data;
    std::vector<std::string> cgroups, models, entries;
    double interval = 0;
    int at = -1;
    bool write = false, twin = false;
    std::function<int()> verb;
};

void add_policy_file(CLI::App* app, Arguments& a) {
    app->add_option("file", a.policy.file, "policy text (.rmt), or the folder of a compiled package")->required();
    app->add_option("--model", a.models, "NAME=FILE: the artefact that a model of the policy starts with");
    app->add_option("--max-cost-ns", a.policy.max_cost_ns, "limit of this site on the estimated cost of one event");
    app->add_option("--max-pages", a.policy.max_pages, "limit of this site on the pages of one event");
}

CLI::App* verb(CLI::App& app, Arguments& a, const char* name, const char* what, std::function<int()> run) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->callback([&a, run] { a.verb = run; });
    return sub;
}

void add_build_verbs(CLI::App& app, Arguments& a) {
    auto* s = verb(app, a, "new", "print a policy to start from", [&a] { return cmd_new(a.out, a.kind, a.name.empty() ? "my_policy" : a.name); });
    s->add_option("kind", a.kind, "prefetch")->required();
    s->add_option("name", a.name, "name of the policy (default: my_policy)");
    s = verb(app, a, "check", "say whether a policy is valid; needs no privilege", [&a] { return cmd_check(a.out, a.policy, a.dump); });
    add_policy_file(s, a);
    s->add_option("--dump", a.dump, "print one stage instead: ast, c, manifest, verdict");
    s = verb(app, a, "fmt", "print a policy in the canonical form", [&a] { return cmd_fmt(a.out, a.policy.file, a.write); });
    s->add_option("file", a.policy.file, "policy text")->required();
    s->add_flag("-w,--write", a.write, "write the file instead");
    s = verb(app, a, "explain", "explain an error's id, or the fields of a domain", [&a] { return cmd_explain(a.out, a.what, a.which); });
    s->add_option("what", a.what, "an id like E0401, or: fields")->required();
    s->add_option("which", a.which, "domain of `fields`");
    s = verb(app, a, "compile", "make a package that loads without a compiler", [&a] { return cmd_compile(a.out, a.policy, a.folder); });
    add_policy_file(s, a);
    s->add_option("-o,--output", a.folder, "folder of the package (default: POLICY.rmtp)");
}

void add_run_verbs(CLI::App& app, Arguments& a) {
    auto* s = verb(app, a, "apply", "check, load and attach a policy, or replace the loaded one",
                   [&a] { return cmd_apply(a.out, a.policy, a.cgroups, a.mode, a.twin); });
    add_policy_file(s, a);
    s->add_option("--cgroup", a.cgroups, "memory cgroup to attach to (repeatable)");
    s->add_option("--mode", a.mode, "off, shadow or enforce; default: the policy's");
    s->add_flag("--test-twin", a.twin, "also pin the program that tests the policy's code by hand")->group("");
    s = verb(app, a, "attach", "attach a loaded policy to more cgroups", [&a] { return cmd_attach(a.out, a.name, a.cgroups); });
    s->add_option("policy", a.name)->required();
    s->add_option("--cgroup", a.cgroups, "memory cgroup (repeatable); default: the policy's own patterns");
    s = verb(app, a, "detach", "unload a policy, or take it off some cgroups", [&a] { return cmd_detach(a.out, a.name, a.cgroups); });
    s->add_option("policy", a.name)->required();
    s->add_option("--cgroup", a.cgroups, "only these (repeatable)");
    s = verb(app, a, "mode", "show or set the mode", [&a] { return cmd_mode(a.out, a.name, a.mode); });
    s->add_option("policy", a.name)->required();
    s->add_option("mode", a.mode, "off, shadow or enforce");
    s = verb(app, a, "run", "be the agent of a policy in the foreground (rmt-agent does the same)", [&a] { return cmd_run(a.out, a.run); });
    s->add_option("policy", a.run.policy)->required();
    s->add_option("--trail", a.run.trail, "touched pages kept behind a stream before they are paged out; 0: never")->capture_default_str();
    s->add_flag("!--no-realtime", a.run.realtime, "stay at ordinary priority");
    s->add_flag("!--no-train", a.run.train, "no background training");
}

void add_show_verbs(CLI::App& app, Arguments& a) {
    verb(app, a, "list", "policies that are loaded", [&a] { return cmd_list(a.out); });
    auto* s = verb(app, a, "show", "one policy: limits, state, entries, models", [&a] { return cmd_show(a.out, a.name); });
    s->add_option("policy", a.name)->required();
    s = verb(app, a, "stats", "figures of each cgroup, entry and model", [&a] { return cmd_stats(a.out, a.name, a.interval); });
    s->add_option("policy", a.name)->required();
    s->add_option("-i,--interval", a.interval, "again every so many seconds");
    s = verb(app, a, "collect", "write what a policy collects to .npy, .csv or .jsonl", [&a] { return cmd_collect(a.out, a.collect); });
    s->add_option("policy", a.collect.policy)->required();
    s->add_option("-o,--output", a.collect.output, "file, or - for JSON lines")->required();
    s->add_option("-n,--count", a.collect.count, "end after so many records");
    s->add_option("--seconds", a.collect.seconds, "end after so many seconds");
    s = verb(app, a, "doctor", "what this host can do, and what a policy lacks", [&a] { return cmd_doctor(a.out, a.name); });
    s->add_option("policy", a.name, "a loaded policy");
}

void add_table_verbs(CLI::App& app, Arguments& a) {
    CLI::App* table = app.add_subcommand("table", "entries of a running policy");
    table->require_subcommand(1);
    auto* s = verb(*table, a, "list", "entries and their hits", [&a] { return cmd_table_list(a.out, a.where); });
    s->alias("dump");
    s->add_option("where", a.where, "POLICY/TABLE")->required();
    s = verb(*table, a, "add", "add entries, e.g. 'anon, 96.. => follow(8)'", [&a] { return cmd_table_add(a.out, a.where, a.entries, a.at); });
    s->add_option("where", a.where, "POLICY/TABLE")->required();
    s->add_option("entries", a.entries, "as in the policy's text")->required();
    s->add_option("--at", a.at, "position of the first one; default: the end");
    s = verb(*table, a, "del", "delete entries by their keys", [&a] { return cmd_table_del(a.out, a.where, a.entries); });
    s->add_option("where", a.where, "POLICY/TABLE")->required();
    s->add_option("entries", a.entries, "keys, or whole entries")->required();
}

void add_model_verbs(CLI::App& app, Arguments& a) {
    CLI::App* model = app.add_subcommand("model", "train, import and swap models");
    model->require_subcommand(1);
    auto* s = verb(*model, a, "train", "train a decision tree on collected records", [&a] { return cmd_model_train(a.out, a.train); });
    s->add_option("data", a.train.data, ".npy, .csv or .jsonl")->required();
    s->add_option("--inputs", a.train.inputs, "columns, e.g. deltas[0],deltas[1]")->required()->delimiter(',');
    s->add_option("--label", a.train.label, "column to predict")->required();
    s->add_option("--next-of", a.train.next_of, "make the label: the next value of this column within a process");
    s->add_option("-o,--output", a.train.output, "file of the artefact")->required();
    s->add_option("--name", a.train.name)->capture_default_str();
    s->add_option("--task", a.train.task, "classify or regress")->capture_default_str();
    s->add_option("--max-depth", a.train.max_depth)->capture_default_str();
    s->add_option("--min-leaf", a.train.min_leaf, "rows")->capture_default_str();
    s->add_option("--confidence", a.train.confidence, "share of its leaf that a label needs to be predicted")->capture_default_str();
    s->add_option("--min", a.train.min, "smallest answer")->capture_default_str();
    s->add_option("--max", a.train.max, "largest answer")->capture_default_str();
    s->add_option("--seed", a.train.seed)->capture_default_str();
    s = verb(*model, a, "import", "read a model: rmt_model or XGBoost JSON", [&a] { return cmd_model_import(a.out, a.import); });
    s->add_option("file", a.import.file)->required();
    s->add_option("--name", a.import.name, "name in the store");
    s->add_option("--inputs", a.import.inputs, "names of the inputs, when the file has none")->delimiter(',');
    s->add_option("-o,--output", a.import.output, "write here instead of the store");
    s = verb(*model, a, "use", "swap a model into a running policy", [&a] { return cmd_model_use(a.out, a.where, a.model); });
    s->add_option("where", a.where, "POLICY/MODEL")->required();
    s->add_option("model", a.model, "a file, or a name in the store")->required();
    s = verb(*model, a, "list", "models of the store, or of a policy", [&a] { return cmd_model_list(a.out, a.name); });
    s->add_option("policy", a.name);
    s = verb(*model, a, "predict", "answers of the reference, one a row; - where on_error answers", [&a] { return cmd_model_predict(a.out, a.model, a.data); });
    s->add_option("model", a.model, "a file, or a name in the store")->required();
    s->add_option("data", a.data, ".npy, .csv or .jsonl")->required();
}

int split_models(Arguments& a) {
    for (const std::string& pair : a.models) {
        const size_t eq = pair.find('=');
        if (eq == std::string::npos || eq == 0) {
            std::fprintf(stderr, "error: --model %s: NAME=FILE was expected\n", pair.c_str());
            return kUsage;
        }
        a.policy.models[pair.substr(0, eq)] = pair.substr(eq + 1);
    }
    return kOk;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("rmt-load: learned, reconfigurable match tables for kernel datapaths");
    Arguments a;
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", RMT_VERSION);
    app.add_flag("-j,--json", a.out.json, "JSON on stdout, errors too");
    app.add_option("--verifier-log", a.out.log_file, "write the whole log of a refusal here");
    add_build_verbs(app, a);
    add_run_verbs(app, a);
    add_show_verbs(app, a);
    add_table_verbs(app, a);
    add_model_verbs(app, a);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& e) {
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        app.exit(e);
        return kUsage;
    }
    if (const int exit = split_models(a)) return exit;
    return a.verb();
}
