// SPDX-License-Identifier: MIT
// The verbs of rmt-load. Each returns an exit code and reads like the pipeline that it runs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loader/cli/output.h"

namespace rmt::cli {

struct PolicyArgs {
    std::string file;                           // policy text, or a package's folder
    std::map<std::string, std::string> models;  // NAME -> artefact
    double max_cost_ns = 0;                     // of the site, 0: none
    uint32_t max_pages = 0;
};

int cmd_new(const Output& out, const std::string& kind, const std::string& name);
int cmd_check(const Output& out, const PolicyArgs& args, const std::string& dump);
int cmd_fmt(const Output& out, const std::string& file, bool write);
int cmd_explain(const Output& out, const std::string& what, const std::string& which);
int cmd_compile(const Output& out, const PolicyArgs& args, const std::string& folder);

int cmd_apply(const Output& out, const PolicyArgs& args, const std::vector<std::string>& cgroups, const std::string& mode, bool twin,
              bool guard = false);
int cmd_attach(const Output& out, const std::string& policy, const std::vector<std::string>& cgroups, bool guard = false);
int cmd_detach(const Output& out, const std::string& policy, const std::vector<std::string>& cgroups);
int cmd_mode(const Output& out, const std::string& policy, const std::string& mode);

struct RunArgs {
    std::string policy;
    uint32_t trail = 512;
    bool realtime = true;
    bool train = true;
    uint32_t train_cpu = 25;
};
int cmd_run(const Output& out, const RunArgs& args);

int cmd_list(const Output& out);
int cmd_show(const Output& out, const std::string& policy);
int cmd_stats(const Output& out, const std::string& policy, double interval_s);

int cmd_why(const Output& out, const std::string& policy, const std::string& socket);  // "SRC:PORT-DST:PORT", "[v6]:port"

struct TopArgs {
    std::string policy;   // empty: all
    double interval_s = 1;
    uint32_t count = 0;   // times, 0: until told to stop
};
int cmd_top(const Output& out, const TopArgs& args);

int cmd_table_list(const Output& out, const std::string& where);
int cmd_table_add(const Output& out, const std::string& where, const std::vector<std::string>& entries, int position);
int cmd_table_del(const Output& out, const std::string& where, const std::vector<std::string>& entries);

// A model is named by a file, a name of the store (NAME, NAME@v2, NAME@ALIAS), or POLICY/MODEL: what runs there.
struct TrainArgs {
    std::string data, kind, label, name, output, task = "classify", next_of, output_kind = "value", warm_start, fit;
    std::vector<std::string> inputs;
    std::vector<uint32_t> hidden;
    std::optional<uint32_t> max_depth, min_leaf, trees, patience, bits, epochs, batch;
    std::optional<double> learning_rate, subsample, holdout, confidence;
    uint64_t seed = 1;
    int64_t min = -65536, max = 65536;
};
struct DistillArgs {
    std::string model, data, kind = "tree", name, output, task = "classify";
    std::optional<uint32_t> max_depth, min_leaf, trees;
    std::optional<double> learning_rate, holdout;
    uint64_t seed = 1;
};
struct ImportArgs {
    std::string file, name, output, format = "auto", verify, output_range, objective;
    std::vector<std::string> inputs;  // NAME[:TYPE][:LO..HI][:missing=N][:fraction=BITS]
    std::optional<double> positive_above, base_score;
    std::optional<uint32_t> output_number, score_bits, classes;
    bool best_iteration = false, forest = false, decide = false;
};
int cmd_model_train(const Output& out, const TrainArgs& args);
struct SearchArgs {
    std::string data, policy, model, label, next_of, output, task;  // task: empty: by the output, numbers for a score
    std::optional<double> budget_ns;
    uint64_t seed = 1;
};
int cmd_model_search(const Output& out, const SearchArgs& args);
int cmd_model_distill(const Output& out, const DistillArgs& args);
int cmd_model_import(const Output& out, const ImportArgs& args);

int cmd_model_list(const Output& out, const std::string& policy);
int cmd_model_show(const Output& out, const std::string& model);
int cmd_model_alias(const Output& out, const std::string& name, const std::string& alias, const std::string& version, bool remove);
int cmd_model_rm(const Output& out, const std::string& model, bool force);
int cmd_model_export(const Output& out, const std::string& model, const std::string& file);

struct UseArgs {
    std::string where, model;
    bool shadow = false;
};
int cmd_model_use(const Output& out, const UseArgs& args);
int cmd_model_promote(const Output& out, const std::string& where);
int cmd_model_rollback(const Output& out, const std::string& where, uint32_t steps);
int cmd_model_reset(const Output& out, const std::string& where);  // of one that learns online
int cmd_model_history(const Output& out, const std::string& where);

struct DiffArgs {
    std::string a, b, data;
    uint32_t rows = 10000;
    uint64_t seed = 1;
};
int cmd_model_diff(const Output& out, const DiffArgs& args);
int cmd_model_verify(const Output& out, const std::string& model, const std::string& policy);
int cmd_model_bench(const Output& out, const std::string& model, const std::string& data);
int cmd_model_predict(const Output& out, const std::string& model, const std::string& data, const std::string& by);

struct CollectArgs {
    std::string policy, output;
    uint64_t count = 0;      // records, 0: until told to stop
    double seconds = 0;      // 0: until told to stop
};
int cmd_collect(const Output& out, const CollectArgs& args);

int cmd_doctor(const Output& out, const std::string& policy);

}  // namespace rmt::cli
