// SPDX-License-Identifier: MIT
// rmt-workload PATTERN: a memory-hungry program to measure prefetching with. Fills its memory, then makes timed passes over
// it; one JSON line per pass on stdout, and one at the end. It knows nothing of policies: run it in any cgroup.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/workload_patterns_impl.h"

namespace rmt::bench {

const std::vector<PatternInfo>& pattern_list() {
    static const std::vector<PatternInfo> list = {
        {"seq", "one page after the other"},
        {"stride", "every 11th page (--stride), with wrap, until all were seen"},
        {"random", "pages drawn at random"},
        {"chase", "a fixed random cycle; each page says which is next"},
        {"conv", "3x3 convolutions over a large matrix, in column tiles of one page"},
        {"resize", "bilinear down-scaling of video frames (--scale)"},
    };
    return list;
}

std::unique_ptr<Pattern> make_pattern(const Options& options, std::string& error) {
    if (options.mb == 0 || options.stride == 0) {
        error = "--mb and --stride must be 1 or more";
        return nullptr;
    }
    if (auto p = make_scan(options)) return p;
    if (auto p = make_conv(options, error); p || !error.empty()) return p;
    return make_resize(options, error);
}

namespace {

struct Figures {
    double seconds = 0;
    double stall_seconds = 0;
    std::uint64_t accesses = 0;
    std::uint64_t slow = 0;
    long majflt = 0;
    long minflt = 0;

    void add(const Figures& o) {
        seconds += o.seconds;
        stall_seconds += o.stall_seconds;
        accesses += o.accesses;
        slow += o.slow;
        majflt += o.majflt;
        minflt += o.minflt;
    }
    nlohmann::ordered_json json() const {
        return {{"seconds", seconds}, {"stall_seconds", stall_seconds}, {"accesses", accesses}, {"slow_touches", slow}, {"majflt", majflt},
                {"minflt", minflt}};
    }
};

// False when stdout is gone: whoever measures us has, too.
bool print_line(const nlohmann::ordered_json& j) { return std::puts(j.dump().c_str()) >= 0 && std::fflush(stdout) == 0; }

Figures measure(Pattern& pattern, Region& region, unsigned number, std::uint64_t& checksum) {
    rusage before{}, after{};
    Meter meter;
    getrusage(RUSAGE_SELF, &before);
    const std::uint64_t begin = now_ns();
    checksum = pattern.pass(region, meter, number);
    const std::uint64_t end = now_ns();
    getrusage(RUSAGE_SELF, &after);
    return {static_cast<double>(end - begin) / 1e9, static_cast<double>(meter.stall_ns) / 1e9, meter.accesses, meter.slow,
            after.ru_majflt - before.ru_majflt,     after.ru_minflt - before.ru_minflt};
}

std::string hex(std::uint64_t v) {
    char text[24];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
    return text;
}

int run(const Options& options) {
    std::string error;
    const auto pattern = make_pattern(options, error);
    if (!pattern) {
        std::fprintf(stderr, "rmt-workload: %s\n", error.c_str());
        return 2;
    }
    Region region;
    error = region.map(pattern->pages(), options.file, options.random_advice);
    if (!error.empty()) {
        std::fprintf(stderr, "rmt-workload: %s\n", error.c_str());
        return 1;
    }
    const std::uint64_t start = now_ns();
    pattern->fill(region);
    region.forget();
    const double fill_seconds = static_cast<double>(now_ns() - start) / 1e9;
    if (!print_line({{"ready", options.pattern}, {"pid", getpid()}, {"pages", pattern->pages()}, {"fill_seconds", fill_seconds}})) return 1;

    Figures all, steady;
    std::uint64_t checksum = 0;
    for (unsigned i = 0; i < options.passes; ++i) {
        const Figures f = measure(*pattern, region, i, checksum);
        all.add(f);
        if (i > 0) steady.add(f);
        nlohmann::ordered_json line = {{"pass", i}};
        line.update(f.json());
        line["checksum"] = hex(checksum);
        if (!print_line(line)) return 1;
    }
    nlohmann::ordered_json last = {{"done", options.pattern},
                                   {"passes", options.passes},
                                   {"checksum", hex(checksum)},
                                   {"fill_seconds", fill_seconds},
                                   {"total_seconds", static_cast<double>(now_ns() - start) / 1e9}};
    last["all"] = all.json();
    last["steady"] = steady.json();  // without pass 0, which also pays for the swapping out of the fill
    return print_line(last) ? 0 : 1;
}

}  // namespace
}  // namespace rmt::bench

int main(int argc, char** argv) {
    rmt::bench::Options o;
    CLI::App app{"A memory-hungry program to measure prefetching with"};
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--mb", o.mb, "MiB of pages that a pass touches")->capture_default_str();
    app.add_option("--passes", o.passes, "timed passes; the first is not steady")->check(CLI::Range(1, 100000))->capture_default_str();
    app.add_option("--work", o.work, "rounds of arithmetic per page (conv: filters); 0: the pattern's default")->capture_default_str();
    app.add_flag("--write", o.write, "scans: also write to each page");
    app.add_option("--stride", o.stride, "stride: pages between accesses")->capture_default_str();
    app.add_option("--row-pages", o.row_pages, "conv: width of the matrix in pages")->capture_default_str();
    app.add_option("--scale", o.scale, "resize: source rows per output row")->capture_default_str();
    app.add_option("--width", o.width, "resize: samples per row")->capture_default_str();
    app.add_option("--height", o.height, "resize: rows per plane")->capture_default_str();
    app.add_option("--seed", o.seed, "of the data and of random orders")->capture_default_str();
    app.add_option("--file", o.file, "map this file (made or overwritten) instead of anonymous memory");
    app.add_flag("--madv-random", o.random_advice, "MADV_RANDOM on the mapping: no read-around by the kernel");
    for (const auto& p : rmt::bench::pattern_list())
        app.add_subcommand(p.name, p.help)->callback([&o, name = p.name] { o.pattern = name; });
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    return rmt::bench::run(o);
}
