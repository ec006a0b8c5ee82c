// SPDX-License-Identifier: MIT
// rmt-agent POLICY: the same as `rmt-load run POLICY`, as a program of its own for service managers.
#include <CLI/CLI.hpp>

#include "loader/cli/commands.h"

int main(int argc, char** argv) {
    CLI::App app("rmt-agent: carries out what a policy decides, until SIGTERM");
    rmt::cli::Output out;
    rmt::cli::RunArgs args;
    app.set_version_flag("--version", RMT_VERSION);
    app.add_option("policy", args.policy, "a loaded policy")->required();
    app.add_flag("-j,--json", out.json, "figures as JSON at the end");
    app.add_option("--trail", args.trail, "touched pages kept behind a stream before they are paged out; 0: never")->capture_default_str();
    app.add_flag("!--no-realtime", args.realtime, "stay at ordinary priority");
    app.add_flag("!--no-train", args.train, "no background training");
    app.add_option("--train-cpu", args.train_cpu, "percent of one processor that background training may take")->check(CLI::Range(1, 100))->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& e) {
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        app.exit(e);
        return rmt::cli::kUsage;
    }
    return rmt::cli::cmd_run(out, args);
}
