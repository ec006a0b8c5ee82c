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
    DistillArgs distill;
    SearchArgs search;
    ImportArgs import;
    UseArgs use;
    DiffArgs diff;
    CollectArgs collect;
    TopArgs top;
    std::string name, kind, dump, folder, mode, where, what, which, model, data;
    std::vector<std::string> cgroups, models, entries;
    double interval = 0;
    int at = -1;
    uint32_t steps = 1;
    bool write = false, twin = false, guard = false, by_float = false, by_kernel = false;
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
    s->add_option("kind", a.kind, "prefetch or tcp")->required();
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
                   [&a] { return cmd_apply(a.out, a.policy, a.cgroups, a.mode, a.twin, a.guard); });
    add_policy_file(s, a);
    s->add_option("--cgroup", a.cgroups, "cgroup to attach to (repeatable): of the memory controller, for domain tcp of version 2");
    s->add_flag("--guard", a.guard, "domain tcp: applications there may choose no other congestion control");
    s->add_option("--mode", a.mode, "off, shadow or enforce; default: the policy's");
    s->add_flag("--test-twin", a.twin, "also pin the program that tests the policy's code by hand")->group("");
    s = verb(app, a, "attach", "attach a loaded policy to more cgroups", [&a] { return cmd_attach(a.out, a.name, a.cgroups, a.guard); });
    s->add_option("policy", a.name)->required();
    s->add_option("--cgroup", a.cgroups, "cgroup (repeatable); default: the policy's own patterns");
    s->add_flag("--guard", a.guard, "domain tcp: applications there may choose no other congestion control");
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
    s->add_option("--train-cpu", a.run.train_cpu, "percent of one processor that background training may take")->check(CLI::Range(1, 100))->capture_default_str();
}

void add_show_verbs(CLI::App& app, Arguments& a) {
    verb(app, a, "list", "policies that are loaded", [&a] { return cmd_list(a.out); });
    auto* s = verb(app, a, "show", "one policy: limits, state, entries, models", [&a] { return cmd_show(a.out, a.name); });
    s->add_option("policy", a.name)->required();
    s = verb(app, a, "stats", "figures of each cgroup, entry and model", [&a] { return cmd_stats(a.out, a.name, a.interval); });
    s->add_option("policy", a.name)->required();
    s->add_option("-i,--interval", a.interval, "again every so many seconds");
    s = verb(app, a, "why", "domain tcp: what was last decided for a socket, and which entry said so", [&a] { return cmd_why(a.out, a.name, a.what); });
    s->add_option("policy", a.name)->required();
    s->add_option("--socket", a.what, "SRC:PORT-DST:PORT, [v6]:port; default: all in short");
    s = verb(app, a, "top", "rates of each cgroup and entry", [&a] { return cmd_top(a.out, a.top); });
    s->add_option("policy", a.top.policy, "default: all that are loaded");
    s->add_option("-i,--interval", a.top.interval_s, "seconds")->check(CLI::Range(0.01, 3600.0))->capture_default_str();
    s->add_option("-n,--count", a.top.count, "end after so many times");
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

constexpr const char* kModel = "a file, a name of the store (NAME, NAME@v2, NAME@ALIAS), or POLICY/MODEL";
constexpr const char* kRows = ".npy, .csv or .jsonl";

void add_training_verbs(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "train", "train a model on collected records", [&a] { return cmd_model_train(a.out, a.train); });
    s->add_option("data", a.train.data, kRows)->required();
    s->add_option("--kind", a.train.kind, "tree, forest, gbt, linear or mlp")->default_val("tree");
    s->add_option("--label", a.train.label, "column to predict")->required();
    s->add_option("--inputs", a.train.inputs, "columns, e.g. deltas[0],deltas[1]")->delimiter(',');
    s->add_option("--fit", a.train.fit, "POLICY/MODEL: inputs, output and size as this loaded policy needs them");
    s->add_option("--next-of", a.train.next_of, "make the label: the next value of this column within a process");
    s->add_option("-o,--output", a.train.output, "file of the artefact; without it the store keeps it");
    s->add_option("--name", a.train.name, "name of the artefact, and in the store");
    s->add_option("--task", a.train.task, "classify or regress")->capture_default_str();
    s->add_option("--output-kind", a.train.output_kind, "value, or class: the label is a class number from 0")->capture_default_str();
    s->add_option("--warm-start", a.train.warm_start, "adapt this model to few rows instead");
    s->add_option("--max-depth", a.train.max_depth, "default: tree 8, forest 12, gbt 6");
    s->add_option("--min-leaf", a.train.min_leaf, "rows; default: 8, forest 2");
    s->add_option("--trees", a.train.trees, "of a forest or gbt; default: 100");
    s->add_option("--learning-rate", a.train.learning_rate, "default: gbt 0.3, linear and mlp 0.01");
    s->add_option("--hidden", a.train.hidden, "of an mlp: units of each hidden layer; default: 16,8")->delimiter(',');
    s->add_option("--bits", a.train.bits, "of an mlp: 16 or 8; default: 16");
    s->add_option("--epochs", a.train.epochs, "of linear and mlp; default: 30");
    s->add_option("--batch", a.train.batch, "of linear and mlp: rows; default: 32");
    s->add_option("--subsample", a.train.subsample, "of gbt: share of the rows that each round sees");
    s->add_option("--patience", a.train.patience, "of gbt, linear, mlp: stop after so many rounds without a better loss");
    s->add_option("--confidence", a.train.confidence, "of a tree: share of its leaf that a label needs; default: 0.5");
    s->add_option("--holdout", a.train.holdout, "share of the rows kept apart to measure on; default: 0.2");
    s->add_option("--min", a.train.min, "smallest answer")->capture_default_str();
    s->add_option("--max", a.train.max, "largest answer")->capture_default_str();
    s->add_option("--seed", a.train.seed)->capture_default_str();
    s = verb(model, a, "distill", "train a small model on the answers of a large one", [&a] { return cmd_model_distill(a.out, a.distill); });
    s->add_option("model", a.distill.model, kModel)->required();
    s->add_option("data", a.distill.data, "rows without labels: .npy, .csv or .jsonl")->required();
    s->add_option("--kind", a.distill.kind, "tree or gbt")->capture_default_str();
    s->add_option("-o,--output", a.distill.output, "file of the artefact; without it the store keeps it");
    s->add_option("--name", a.distill.name, "name of the artefact, and in the store");
    s->add_option("--task", a.distill.task, "classify or regress")->capture_default_str();
    s->add_option("--max-depth", a.distill.max_depth);
    s->add_option("--min-leaf", a.distill.min_leaf, "rows");
    s->add_option("--trees", a.distill.trees, "of gbt");
    s->add_option("--learning-rate", a.distill.learning_rate, "of gbt");
    s->add_option("--holdout", a.distill.holdout, "share of the rows kept apart to measure on");
    s->add_option("--seed", a.distill.seed)->capture_default_str();
}

void add_search_verb(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "search", "find the most accurate model within a policy's cost limit", [&a] { return cmd_model_search(a.out, a.search); });
    s->add_option("data", a.search.data, kRows)->required();
    s->add_option("--policy", a.search.policy, "policy text (.rmt): inputs, output, and what a model costs in it")->required();
    s->add_option("--model", a.search.model, "which of its models")->required();
    s->add_option("--label", a.search.label, "column to predict; default: what the model trains on");
    s->add_option("--next-of", a.search.next_of, "make the label: the next value of this column within a process");
    s->add_option("--task", a.search.task, "classify, regress; default: regress for a score, else classify");
    s->add_option("--budget-ns", a.search.budget_ns, "of one event; default: the policy's limit");
    s->add_option("-o,--output", a.search.output, "folder of table, plot and model; default: MODEL.search");
    s->add_option("--seed", a.search.seed)->capture_default_str();
}

void add_import_verb(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "import", "read a model of XGBoost, LightGBM, CatBoost, or our own", [&a] { return cmd_model_import(a.out, a.import); });
    s->add_option("file", a.import.file)->required();
    s->add_option("--name", a.import.name, "name in the store");
    s->add_option("--format", a.import.format, "auto, or what the file must be: xgboost, lightgbm, catboost ...")->capture_default_str();
    s->add_option("--inputs", a.import.inputs, "NAME[:TYPE][:LO..HI][:missing=N][:fraction=BITS],...")->delimiter(',');
    s->add_option("--verify", a.import.verify, "rows to compare with the library's arithmetic; exit code 10 when a decision differs");
    s->add_option("-o,--output", a.import.output, "write here instead of the store");
    s->add_option("--output-range", a.import.output_range, "LO..HI: clamp a number to it");
    s->add_option("--positive-above", a.import.positive_above, "class 1 above this probability; default: 0.5");
    s->add_option("--score-bits", a.import.score_bits, "answer the margin times 2^BITS");
    s->add_option("--output-number", a.import.output_number, "of several targets or classes: only this one's margin");
    s->add_flag("--best-iteration", a.import.best_iteration, "stop where the library's early stopping did");
    s->add_flag("--forest", a.import.forest, "kind forest, also where one tree would do");
    s->add_flag("--decide", a.import.decide, "of a net: its outputs are margins of classes, not a value");
    s->add_option("--objective", a.import.objective, "what XGBoost's dump_model() leaves out");
    s->add_option("--base-score", a.import.base_score, "likewise");
    s->add_option("--classes", a.import.classes, "likewise, of multi:*");
}

void add_store_verbs(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "list", "models of the store, or of a policy with their scores", [&a] { return cmd_model_list(a.out, a.name); });
    s->add_option("policy", a.name);
    s = verb(model, a, "show", "inputs, size, provenance, where it is used", [&a] { return cmd_model_show(a.out, a.model); });
    s->add_option("model", a.model, kModel)->required();
    s = verb(model, a, "alias", "give a version a name", [&a] { return cmd_model_alias(a.out, a.name, a.which, a.what, a.write); });
    s->add_option("name", a.name, "in the store")->required();
    s->add_option("alias", a.which, "e.g. stable")->required();
    s->add_option("version", a.what, "e.g. v2; default: the newest");
    s->add_flag("--remove", a.write, "forget the alias instead");
    s = verb(model, a, "rm", "remove a model, or one version, from the store", [&a] { return cmd_model_rm(a.out, a.model, a.write); });
    s->add_option("model", a.model, "NAME, NAME@v2 or NAME@ALIAS")->required();
    s->add_flag("--force", a.write, "even when a running policy uses it: that has a copy of its own");
    s = verb(model, a, "export", "write an artefact to a file", [&a] { return cmd_model_export(a.out, a.model, a.folder); });
    s->add_option("model", a.model, kModel)->required();
    s->add_option("-o,--output", a.folder, "file, or - for stdout")->required();
}

void add_swap_verbs(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "use", "swap a model into a running policy", [&a] { return cmd_model_use(a.out, a.use); });
    s->add_option("where", a.use.where, "POLICY/MODEL")->required();
    s->add_option("model", a.use.model, "a file, or a name of the store; with --shadow also: none")->required();
    s->add_flag("--shadow", a.use.shadow, "do not swap: let the agent score it beside the running one");
    s = verb(model, a, "promote", "swap the challenger in", [&a] { return cmd_model_promote(a.out, a.where); });
    s->add_option("where", a.where, "POLICY/MODEL")->required();
    s = verb(model, a, "rollback", "swap back to what ran before", [&a] { return cmd_model_rollback(a.out, a.where, a.steps); });
    s->add_option("where", a.where, "POLICY/MODEL")->required();
    s->add_option("--steps", a.steps, "how many models back")->check(CLI::Range(1u, 1000u))->capture_default_str();
    s = verb(model, a, "reset", "let a model that learns online begin anew", [&a] { return cmd_model_reset(a.out, a.where); });
    s->add_option("where", a.where, "POLICY/MODEL")->required();
    s = verb(model, a, "history", "what was put in place, when and by whom", [&a] { return cmd_model_history(a.out, a.where); });
    s->add_option("where", a.where, "POLICY/MODEL")->required();
}

void add_check_verbs(CLI::App& model, Arguments& a) {
    auto* s = verb(model, a, "diff", "structure and decisions of two models; exit code 10 when a decision differs", [&a] { return cmd_model_diff(a.out, a.diff); });
    s->add_option("a", a.diff.a, kModel)->required();
    s->add_option("b", a.diff.b, kModel)->required();
    s->add_option("--data", a.diff.data, "decide on these rows instead of random ones");
    s->add_option("--rows", a.diff.rows, "random ones")->capture_default_str();
    s->add_option("--seed", a.diff.seed)->capture_default_str();
    s = verb(model, a, "verify", "whether a model is whole, fits, and answers the same in the kernel",
             [&a] { return cmd_model_verify(a.out, a.model, a.where); });
    s->add_option("model", a.model, kModel)->required();
    s->add_option("--policy", a.where, "POLICY/MODEL that it is to answer for");
    s = verb(model, a, "bench", "nanoseconds of one inference in the kernel", [&a] { return cmd_model_bench(a.out, a.model, a.data); });
    s->add_option("model", a.model, kModel)->required();
    s->add_option("--data", a.data, "rows; default: random ones within the trained ranges");
    s = verb(model, a, "predict", "answers, one a row; - where on_error answers",
             [&a] { return cmd_model_predict(a.out, a.model, a.data, a.by_float ? "float" : a.by_kernel ? "kernel" : ""); });
    s->add_option("model", a.model, kModel)->required();
    s->add_option("data", a.data, kRows)->required();
    auto* by_float = s->add_flag("--float", a.by_float, "by the arithmetic of the library that it was made with");
    s->add_flag("--kernel", a.by_kernel, "by the engine in the kernel")->excludes(by_float);
}

void add_model_verbs(CLI::App& app, Arguments& a) {
    CLI::App* model = app.add_subcommand("model", "train, import, keep, compare and swap models");
    model->require_subcommand(1);
    add_training_verbs(*model, a);
    add_search_verb(*model, a);
    add_import_verb(*model, a);
    add_store_verbs(*model, a);
    add_swap_verbs(*model, a);
    add_check_verbs(*model, a);
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
