// SPDX-License-Identifier: MIT
// new, check, fmt, explain, compile: what needs no privilege.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "loader/cli/commands.h"
#include "loader/cli/pipeline.h"
#include "rmt_lang/ast.h"
#include "rmt_lang/domain.h"
#include "rmt_lang/format.h"
#include "rmt_lang/parser.h"

namespace rmt::cli {

namespace {

constexpr const char* kPrefetchTemplate = R"(rmt 1;

policy {name} {{
    description "Ask for the next pages behind every fault";
    domain  mm;
    mode    shadow;                          # decides and counts; `rmt-load mode {name} enforce` lets it act

    limit {{
        prefetch.pages <= 8 per event;
        prefetch.pages <= 20000 per 1s;      # per attached cgroup
        cost           <= 4us per event;     # checked before it is loaded
    }}

    action none() {{ }}
    action next(n: u8) {{ prefetch(n, 1); }}

    table by_kind {{
        key     {{ vma.kind : exact; }}
        actions {{ none; next; }}
        default none();
        entries {{ anon => next(8); }}
    }}

    on mm.fault {{ apply by_kind; }}
}}
)";

constexpr const char* kTcpTemplate = R"(rmt 1;

policy {name} {{
    description "CUBIC with a window that fits the path";
    domain  tcp;
    base    "cubic";                         # or "reno", "bbr"; without it the policy owns the window
    mode    shadow;                          # decides and counts; `rmt-load mode {name} enforce` lets it act

    limit {{
        cwnd in 4..65536;                    # segments: what is written is cut to it
        cost <= 1us per event;               # checked before it is loaded
    }}

    action none() {{ }}
    action fit(percent: u16) {{ cwnd = min(cwnd, max(tcp.bdp * percent / 100, 10)); }}

    table most {{
        key     {{ tcp.dst : lpm; tcp.slow_start : exact; }}
        actions {{ none; fit; }}
        default none();
        entries {{ 10.0.0.0/8, false => fit(125); }}
    }}

    on tcp.round {{ apply most; }}
}}
)";

BuildOptions build_options(const PolicyArgs& args) {
    BuildOptions options;
    options.models = args.models;
    options.verify.max_cost_ns = args.max_cost_ns;
    options.verify.max_pages = args.max_pages;
    return options;
}

// 1250000 bytes per second -> "10 mbit".
std::string format_bits(uint64_t bytes) {
    const double bits = 8.0 * static_cast<double>(bytes);
    return bits >= 1e9 ? fmt::format("{:g} gbit", bits / 1e9) : bits >= 1e6 ? fmt::format("{:g} mbit", bits / 1e6) : fmt::format("{:g} kbit", bits / 1e3);
}

std::string facts_text(const verify::Verdict& verdict, const Manifest& manifest) {
    std::string text;
    const verify::Accepted* accepted = verdict.facts();
    for (const verify::ProgramFacts& program : accepted->facts.programs) {
        if (!program.runs_policy) continue;
        text += fmt::format("  {:<16} at most {} instructions (proved), {} (estimated)\n", program.name, program.max_insns, format_ns(program.est_ns));
    }
    if (manifest.tcp)
        text += fmt::format("  an event         at most {} instructions (proved), {} (estimated): what `cost` limits\n", accepted->facts.event_insns, format_ns(accepted->facts.event_ns)) +
                fmt::format("  writes           windows of {}..{} segments, pacing of {} to {}, in mode enforce alone (proved)\n", manifest.tcp->cwnd_min, manifest.tcp->cwnd_max,
                            format_bits(manifest.tcp->pacing_min), format_bits(manifest.tcp->pacing_max));
    else
        text += fmt::format("  prefetch         at most {} pages an event, {} pages in {} for each cgroup (proved)\n", accepted->facts.max_pages,
                            accepted->facts.rate, format_ns(static_cast<double>(accepted->facts.window_ns)));
    for (const std::string& note : accepted->notes) text += "  note: " + note + "\n";
    return text;
}

}  // namespace

int cmd_new(const Output& out, const std::string& kind, const std::string& name) {
    if (kind != "prefetch" && kind != "tcp")
        return out.error(Error{ErrorKind::Input, "no template '" + kind + "'; there are: prefetch, tcp", {}, 0, {}});
    out.print(kind == "tcp" ? fmt::format(kTcpTemplate, fmt::arg("name", name)) : fmt::format(kPrefetchTemplate, fmt::arg("name", name)));
    return kOk;
}

int cmd_check(const Output& out, const PolicyArgs& args, const std::string& dump) {
    int exit = kOk;
    if (dump == "ast") {
        RMT_CLI_TRY(const Source source, Source::read(args.file));
        Diagnostics diagnostics;
        const auto ast = lang::parse(source, diagnostics);
        if (!ast) return out.invalid(diagnostics, source);
        out.print(lang::dump(*ast));
        return kOk;
    }
    const auto package = build(out, args.file, build_options(args), exit);
    if (!package) return exit;
    if (dump == "c") {
        out.print(package->c_text);
    } else if (dump == "manifest") {
        out.print(to_json(package->manifest));
    } else if (dump == "verdict" || out.json) {
        out.document("check", {{"policy", package->manifest.policy}, {"valid", true}, {"verdict", facts_json(package->verdict)}});
    } else if (!dump.empty()) {
        return out.error(Error{ErrorKind::Input, "--dump " + dump + ": one of ast, c, manifest, verdict was expected", {}, 0, {}});
    } else {
        out.print(package->manifest.policy + ": valid\n" + facts_text(package->verdict, package->manifest));
    }
    return kOk;
}

int cmd_fmt(const Output& out, const std::string& file, bool write) {
    RMT_CLI_TRY(const Source source, Source::read(file));
    Diagnostics diagnostics;
    const auto ast = lang::parse(source, diagnostics);
    if (!ast) return out.invalid(diagnostics, source);
    const std::string text = lang::format(*ast);
    if (!write) {
        out.print(text);
        return kOk;
    }
    if (text == source.text()) return kOk;
    std::ofstream stream(file, std::ios::binary);
    stream << text << std::flush;
    if (!stream) return out.error(Error{ErrorKind::Environment, "cannot write '" + file + "'", {}, 0, {}});
    return kOk;
}

int cmd_explain(const Output& out, const std::string& what, const std::string& which) {
    if (what == "fields") {
        const std::string text = lang::explain_fields(which.empty() ? "mm" : which);
        if (text.empty()) return out.error(Error{ErrorKind::NotFound, "no domain '" + which + "'; there are: mm, sched, tcp", {}, 0, {}});
        out.print(text);
        return kOk;
    }
    // An error id: its page in docs/errors*.md, from its heading to the next one.
    for (const char* file : {"errors.md", "errors-models.md", "errors-verifier.md"}) {
        const auto text = Source::read(std::string(RMT_SOURCE_DIR) + "/docs/" + file);
        if (!text) continue;
        const std::string_view all = text->text();
        for (size_t at = all.find("\n#"); at != std::string_view::npos; at = all.find("\n#", at + 1)) {
            const size_t end_of_line = std::min(all.find('\n', at + 1), all.size());
            if (all.substr(at, end_of_line - at).find(what) == std::string_view::npos) continue;
            const size_t end = std::min(all.find("\n#", end_of_line), all.size());
            out.print(std::string(all.substr(at + 1, end - at - 1)));
            return kOk;
        }
    }
    return out.error(Error{ErrorKind::NotFound, "nothing to explain about '" + what + "'", "`explain fields mm`, or an error's id: `explain E0401`", 0, {}});
}

int cmd_compile(const Output& out, const PolicyArgs& args, const std::string& folder) {
    int exit = kOk;
    const auto package = build(out, args.file, build_options(args), exit);
    if (!package) return exit;
    const std::string to = folder.empty() ? package->manifest.policy + ".rmtp" : folder;
    RMT_CLI_CHECK(write_package(*package, to));
    if (out.json)
        out.document("compile", {{"policy", package->manifest.policy}, {"package", to}, {"object_bytes", package->object.size()}});
    else
        out.print(package->manifest.policy + ": package in " + to + "\n" + facts_text(package->verdict, package->manifest));
    return kOk;
}

}  // namespace rmt::cli
