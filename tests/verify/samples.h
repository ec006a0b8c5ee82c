// SPDX-License-Identifier: MIT
// What the tests of the verifier share: the compiled samples and the manifests that belong to them.
#pragma once

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "rmt_lang/support/manifest.h"
#include "verifier_ext/verify.h"

namespace rmt::verify::test {

inline std::vector<uint8_t> read_sample(const std::string& name) {
    std::ifstream file(std::string(RMT_SAMPLES) + "/" + name + ".o", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline ManifestLimits sample_limits() {
    ManifestLimits limits;
    limits.prefetch_per_event = 32;
    limits.prefetch_rate = 50000;
    limits.prefetch_window_ns = 1'000'000'000;
    limits.line_per_event = 7, limits.line_rate = 8, limits.line_cost = 9;
    return limits;
}

// Of sample.bpf.c.
inline Manifest sample_manifest() {
    Manifest m;
    m.policy = "sample", m.domain = "mm", m.mode = "shadow", m.source = "sample.rmt";
    m.limits = sample_limits();
    m.actions = {{"go", {{"depth", "u8", 0, 255}}}};
    ManifestTable table;
    table.name = "t";
    table.keys = {{"fault.delta", MatchKind::Range, "i32", INT32_MIN, INT32_MAX, {}}};
    table.actions = {0};
    table.default_entry = {{}, 0, {1}, "", 0};
    table.size = 16, table.args = 1, table.line = 12;
    m.tables = {table};
    return m;
}

// Of tests/kernel/handwritten.bpf.c: policies/learned_prefetch.rmt as the emitter would make it.
inline Manifest handwritten_manifest() {
    Manifest m = sample_manifest();
    m.policy = "learned_prefetch", m.source = "learned_prefetch.rmt";
    m.actions = {{"none", {}}, {"follow", {{"depth", "u8", 0, 255}}}};
    ManifestTable& table = m.tables[0];
    table.name = "by_pressure";
    table.keys = {{"vma.kind", MatchKind::Exact, "enum", 1, 2, {{"anon", 1}, {"file", 2}}},
                  {"memcg.usage_percent", MatchKind::Range, "u8", 0, 100, {}}};
    table.actions = {0, 1};
    table.default_entry = {{}, 0, {}, "", 0};
    ManifestModel model;
    model.name = "next_delta";
    model.output_kind = "value", model.output_type = "i32";
    model.output_min = -4096, model.output_max = 4096;
    model.shape = {1, 8, 1024};
    m.models = {model};
    return m;
}

// Of tcp_sample.bpf.c.
inline Manifest tcp_manifest() {
    Manifest m;
    m.policy = "sample", m.domain = "tcp", m.mode = "shadow", m.source = "sample.rmt";
    m.limits.line_cost = 9;
    m.tcp = ManifestTcp{"reno", 4, 1024, 12500, 1'000'000'000, 0, 7, 8, 0};
    return m;
}

inline std::vector<std::pair<std::string, std::string>> faults(const std::string& list_name = "faults.txt") {
    std::vector<std::pair<std::string, std::string>> list;
    std::ifstream file(std::string(RMT_SOURCE_DIR) + "/tests/verify/" + list_name);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name, id;
        if (words >> name >> id && name != "#") list.push_back({name, id});
    }
    return list;
}

}  // namespace rmt::verify::test
