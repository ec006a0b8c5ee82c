// SPDX-License-Identifier: MIT
// The verbs of rmt-load. Each returns an exit code and reads like the pipeline that it runs.
#pragma once

#include <map>
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

int cmd_apply(const Output& out, const PolicyArgs& args, const std::vector<std::string>& cgroups, const std::string& mode, bool twin);
int cmd_attach(const Output& out, const std::string& policy, const std::vector<std::string>& cgroups);
int cmd_detach(const Output& out, const std::string& policy, const std::vector<std::string>& cgroups);
int cmd_mode(const Output& out, const std::string& policy, const std::string& mode);

struct RunArgs {
    std::string policy;
    uint32_t trail = 512;
    bool realtime = true;
    bool train = true;
};
int cmd_run(const Output& out, const RunArgs& args);

int cmd_list(const Output& out);
int cmd_show(const Output& out, const std::string& policy);
int cmd_stats(const Output& out, const std::string& policy, double interval_s);

int cmd_table_list(const Output& out, const std::string& where);
int cmd_table_add(const Output& out, const std::string& where, const std::vector<std::string>& entries, int position);
int cmd_table_del(const Output& out, const std::string& where, const std::vector<std::string>& entries);

struct TrainArgs {
    std::string data, label, name = "model", output, task = "classify", next_of;
    std::vector<std::string> inputs;
    uint32_t max_depth = 8, min_leaf = 8;
    double confidence = 0.5;
    uint64_t seed = 1;
    int64_t min = -65536, max = 65536;
};
struct ImportArgs {
    std::string file, name, output;
    std::vector<std::string> inputs;
};
int cmd_model_train(const Output& out, const TrainArgs& args);
int cmd_model_import(const Output& out, const ImportArgs& args);
int cmd_model_use(const Output& out, const std::string& where, const std::string& model);
int cmd_model_list(const Output& out, const std::string& policy);
int cmd_model_predict(const Output& out, const std::string& model, const std::string& data);

struct CollectArgs {
    std::string policy, output;
    uint64_t count = 0;      // records, 0: until told to stop
    double seconds = 0;      // 0: until told to stop
};
int cmd_collect(const Output& out, const CollectArgs& args);

int cmd_doctor(const Output& out, const std::string& policy);

}  // namespace rmt::cli
