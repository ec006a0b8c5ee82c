// SPDX-License-Identifier: MIT
#include "verifier_ext/binding.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpf/include/rmt/learn_layout.h"
#include "bpf/include/rmt/model_layout.h"
#include "bpf/include/rmt/net_layout.h"

namespace rmt::verify {
namespace {

const char* kHint = "compile the policy again: object and manifest are not of the same policy";

Rejected reject(std::string id, std::string message, uint32_t line, const Manifest& manifest) {
    Place place;
    if (line) place.file = manifest.source, place.line = line;
    return {"binding", std::move(id), std::move(message), place, {}, kHint};
}

std::string type_name(uint32_t type) {
    switch (type) {
        case BPF_MAP_TYPE_HASH: return "hash";
        case BPF_MAP_TYPE_ARRAY: return "array";
        case BPF_MAP_TYPE_PERCPU_ARRAY: return "percpu_array";
        case BPF_MAP_TYPE_ARRAY_OF_MAPS: return "array_of_maps";
        case BPF_MAP_TYPE_RINGBUF: return "ringbuf";
        case BPF_MAP_TYPE_TASK_STORAGE: return "task_storage";
        case BPF_MAP_TYPE_SK_STORAGE: return "sk_storage";
        default: return fmt::format("type {}", type);
    }
}

// A map of maps with one entry, whose inner map holds one value of `size` bytes.
std::optional<Rejected> check_swapped(const MapDef& map, uint64_t size, uint32_t line, const Manifest& manifest) {
    if (map.inner.size() != 1) return reject("V0005", fmt::format("map '{}' declares no inner map", map.name), line, manifest);
    const MapDef& inner = map.inner[0];
    if (map.max_entries != 1 || inner.max_entries != 1 || inner.key_size != 4)
        return reject("V0005", fmt::format("map '{}' holds more than one value", map.name), line, manifest);
    if (inner.value_size != size)
        return reject("V0005", fmt::format("map '{}' has values of {} bytes in the object, {} in the policy", map.name, inner.value_size, size), line, manifest);
    return std::nullopt;
}

std::optional<Rejected> check_map(const MapDef& map, const Profile& profile, const Manifest& manifest) {
    const MapRule* rule = profile.find_map(map.name);
    if (!rule) return reject("V0004", fmt::format("map '{}' belongs neither to the policy nor to domain {}", map.name, profile.domain), 0, manifest);
    if (map.type != rule->type || (rule->inner_type && (map.inner.size() != 1 || map.inner[0].type != rule->inner_type)))
        return reject("V0104", fmt::format("map '{}' is a {}, expected {}", map.name, type_name(map.type), type_name(rule->type)), 0, manifest);
    if (rule->value_size && map.value_size != rule->value_size)
        return reject("V0005", fmt::format("map '{}' has values of {} bytes, expected {}", map.name, map.value_size, rule->value_size), 0, manifest);
    if (map.name == profile.control_map && map.max_entries != 1)
        return reject("V0005", fmt::format("map '{}' has {} entries, expected 1", map.name, map.max_entries), 0, manifest);
    auto suffix = [&](const std::string& prefix) { return map.name.starts_with(prefix) ? map.name.substr(prefix.size()) : std::string(); };
    if (auto name = suffix("rmt_table_"); !name.empty()) {
        const ManifestTable* table = manifest.find_table(name);
        if (!table) return reject("V0004", fmt::format("map '{}' belongs to no table of the policy", map.name), 0, manifest);
        return check_swapped(map, table->value_size(), table->line, manifest);
    }
    if (auto name = suffix("rmt_hits_"); !name.empty()) {
        const ManifestTable* table = manifest.find_table(name);
        if (!table) return reject("V0004", fmt::format("map '{}' belongs to no table of the policy", map.name), 0, manifest);
        if (map.max_entries != table->size + 1)
            return reject("V0005", fmt::format("map '{}' has {} counters, expected {}", map.name, map.max_entries, table->size + 1), table->line, manifest);
    }
    if (auto name = suffix("rmt_act_"); !name.empty()) {
        const ManifestModel* model = manifest.find_model(name);
        if (!model || model->shape.kind != EngineKind::Net) return reject("V0004", fmt::format("map '{}' belongs to no net of the policy", map.name), 0, manifest);
        const uint64_t size = 8 + (uint64_t{model->shape.net.width} + RMT_NET_SLACK) * 8;
        if (map.value_size != size || map.max_entries != RMT_NET_SLOTS)
            return reject("V0005", fmt::format("map '{}' has {} values of {} bytes, expected {} of {}", map.name, map.max_entries, map.value_size, RMT_NET_SLOTS, size), model->line, manifest);
    }
    if (auto name = suffix("rmt_online_"); !name.empty()) {
        const ManifestModel* model = manifest.find_model(name);
        if (!model || !model->online) return reject("V0004", fmt::format("map '{}' belongs to no model that learns online", map.name), 0, manifest);
        const size_t size = model->online->kind == OnlineKind::Linear ? sizeof(rmt_learn_linear) : sizeof(rmt_learn_mlp);
        if (map.value_size != size || map.max_entries != 1)
            return reject("V0005", fmt::format("map '{}' has {} values of {} bytes, expected 1 of {}", map.name, map.max_entries, map.value_size, size), model->line, manifest);
    }
    if (auto name = suffix("rmt_model_"); !name.empty()) {
        const ManifestModel* model = manifest.find_model(name);
        if (!model || model->online) return reject("V0004", fmt::format("map '{}' belongs to no model of the policy", map.name), 0, manifest);
        const ModelClass& c = model->shape;
        static constexpr uint32_t kKinds[] = {RMT_MODEL_TREE, RMT_MODEL_FOREST, RMT_MODEL_OBLIVIOUS};
        if (c.kind == EngineKind::Net)
            return check_swapped(map, RMT_NET_VALUE_SIZE(uint64_t{c.net.inputs}, uint64_t{c.net.tiles}, uint64_t{c.net.rows}, uint64_t{c.net.blocks}, uint64_t{c.net.outputs}), model->line, manifest);
        if (c.kind > EngineKind::Oblivious) return reject("V0004", fmt::format("model '{}' is of a kind that is not known", name), model->line, manifest);
        const uint64_t size = RMT_MODEL_VALUE_SIZE(kKinds[static_cast<size_t>(c.kind)], uint64_t{c.trees}, uint64_t{c.depth}, uint64_t{c.nodes}, c.slots, c.derived, c.outputs);
        return check_swapped(map, size, model->line, manifest);
    }
    return std::nullopt;
}

// What the kernel registers: its name is the policy's, nobody else may choose it (flags are 0), its functions are this domain's.
std::optional<Rejected> check_controls(const Object& object, const Profile& profile, const Manifest& manifest) {
    if (!profile.controls.empty() && object.controls.empty())
        return reject("V0003", fmt::format("the object has no control '{}'", profile.controls[0]), 0, manifest);
    for (const Control& control : object.controls) {
        if (std::count(profile.controls.begin(), profile.controls.end(), control.name) == 0 || control.type != profile.control_type)
            return reject("V0004", fmt::format("'{}', a {}, is nothing that domain {} registers", control.name, control.type, profile.domain), 0, manifest);
        if (control.kernel_name != manifest.policy)
            return reject("V0008", fmt::format("control '{}' is registered as '{}', the policy is '{}'", control.name, control.kernel_name, manifest.policy), 0, manifest);
        if (!control.plain)
            return reject("V0005", fmt::format("control '{}' sets more than its name and functions, expected no flags", control.name), 0, manifest);
        for (const auto& [member, function] : control.functions)
            if (profile.control_members.count(member) == 0)
                return reject("V0004", fmt::format("control '{}' has a program for '{}', which domain {} does not use", control.name, member, profile.domain), 0, manifest);
            else if (!object.functions[function].section.starts_with("struct_ops/"))
                return reject("V0008", fmt::format("control '{}' names program '{}' of section '{}'", control.name, object.functions[function].name, object.functions[function].section), 0, manifest);
    }
    return std::nullopt;
}

}  // namespace

std::optional<Rejected> check_binding(const Object& object, const Profile& profile, const Manifest& manifest) {
    if (manifest.domain != profile.domain)
        return reject("V0008", fmt::format("the policy is of domain '{}', this profile is for '{}'", manifest.domain, profile.domain), 0, manifest);
    for (const MapDef& map : object.maps)
        if (auto rejected = check_map(map, profile, manifest)) return rejected;
    for (const ManifestTable& table : manifest.tables)
        if (object.find_map("rmt_table_" + table.name) < 0)
            return reject("V0008", fmt::format("table '{}' of the policy is not in the object", table.name), table.line, manifest);
    for (const ManifestModel& model : manifest.models)
        if (object.find_map((model.online ? "rmt_online_" : "rmt_model_") + model.name) < 0)
            return reject("V0008", fmt::format("model '{}' of the policy is not in the object", model.name), model.line, manifest);
    for (const std::string& name : {profile.sink_map, profile.control_map})
        if (!name.empty() && object.find_map(name) < 0) return reject("V0003", fmt::format("the object has no map '{}'", name), 0, manifest);
    for (const std::string& name : {profile.sink_function, profile.mode_function, profile.take_function, profile.event_function, profile.act_function}) {
        if (name.empty()) continue;
        const Function* function = object.find_function(name);
        if (!function || function->program)
            return reject("V0003", fmt::format("the object has no function '{}' of its own; the proofs start there", name), 0, manifest);
    }
    return check_controls(object, profile, manifest);
}

}  // namespace rmt::verify
