// SPDX-License-Identifier: MIT
#include "verifier_ext/btf.h"

#include <fmt/format.h>

#include <algorithm>

namespace rmt::verify {
namespace {

struct ExtHeader {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t hdr_len, func_off, func_len, line_off, line_len, core_off, core_len;
};
struct ExtSection {
    uint32_t name_off, count;
};
struct RawLine {
    uint32_t insn_off, file_off, text_off, position;
};
struct RawCore {
    uint32_t insn_off, type_id, access_off, kind;
};
constexpr uint32_t kFieldOffset = 0;  // linux/bpf.h: BPF_CORE_FIELD_BYTE_OFFSET

// Bytes behind the head of a type of this kind; none: not a kind that we know.
std::optional<uint64_t> tail_size(uint32_t kind, uint32_t count) {
    switch (kind) {
        case BTF_KIND_INT: case BTF_KIND_VAR: case BTF_KIND_DECL_TAG: return 4;
        case BTF_KIND_ARRAY: return sizeof(btf_array);
        case BTF_KIND_STRUCT: case BTF_KIND_UNION: return uint64_t{count} * sizeof(btf_member);
        case BTF_KIND_ENUM: return uint64_t{count} * sizeof(btf_enum);
        case BTF_KIND_ENUM64: return uint64_t{count} * sizeof(btf_enum64);
        case BTF_KIND_FUNC_PROTO: return uint64_t{count} * sizeof(btf_param);
        case BTF_KIND_DATASEC: return uint64_t{count} * sizeof(btf_var_secinfo);
        case BTF_KIND_PTR: case BTF_KIND_FWD: case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT: case BTF_KIND_FUNC: case BTF_KIND_FLOAT: case BTF_KIND_TYPE_TAG: return 0;
        default: return std::nullopt;
    }
}

Unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::Input, what); }

}  // namespace

Result<Btf> Btf::parse(Bytes section) {
    auto head = read_at<btf_header>(section, 0);
    if (!head || head->magic != BTF_MAGIC || head->version != 1 || head->hdr_len < sizeof(btf_header))
        return bad("section .BTF has no valid header");
    auto types = slice(section, uint64_t{head->hdr_len} + head->type_off, head->type_len);
    auto strings = slice(section, uint64_t{head->hdr_len} + head->str_off, head->str_len);
    if (!types || !strings) return bad("section .BTF is cut off");

    Btf btf;
    btf.strings_ = *strings;
    btf.types_.push_back({});
    for (uint64_t at = 0; at < types->size();) {
        auto type = read_at<btf_type>(*types, at);
        if (!type) return bad("section .BTF ends inside a type");
        auto tail = tail_size(type->info >> 24 & 0x1f, type->info & 0xffff);
        auto rest = tail ? slice(*types, at + sizeof(btf_type), *tail) : std::nullopt;
        if (!rest) return bad(fmt::format("type {} of section .BTF cannot be read", btf.types_.size()));
        btf.types_.push_back({*type, *rest});
        at += sizeof(btf_type) + *tail;
    }
    return btf;
}

const Btf::Type* Btf::type(uint32_t id) const { return id > 0 && id < types_.size() ? &types_[id] : nullptr; }

std::string Btf::text(uint32_t offset) const { return std::string(text_at(strings_, offset).value_or("")); }

uint32_t Btf::skip_names(uint32_t id) const {
    for (int depth = 0; depth < 32; depth++) {
        const Type* t = type(id);
        if (!t) return id;
        switch (t->kind()) {
            case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST: case BTF_KIND_RESTRICT:
            case BTF_KIND_TYPE_TAG: id = t->head.type; break;
            default: return id;
        }
    }
    return 0;
}

std::optional<uint64_t> Btf::size_of(uint32_t id, int depth) const {
    const Type* t = type(skip_names(id));
    if (!t || depth > 16) return std::nullopt;
    switch (t->kind()) {
        case BTF_KIND_PTR: return 8;
        case BTF_KIND_INT: case BTF_KIND_STRUCT: case BTF_KIND_UNION: case BTF_KIND_ENUM: case BTF_KIND_ENUM64:
        case BTF_KIND_FLOAT: return t->head.size;
        case BTF_KIND_ARRAY: {
            auto array = read_at<btf_array>(t->rest, 0);
            auto element = array ? size_of(array->type, depth + 1) : std::nullopt;
            if (!element || *element > UINT32_MAX) return std::nullopt;
            return *element * array->nelems;
        }
        default: return std::nullopt;
    }
}

std::optional<uint32_t> Btf::number(uint32_t id) const {
    const Type* pointer = type(skip_names(id));
    if (!pointer || pointer->kind() != BTF_KIND_PTR) return std::nullopt;
    const Type* array = type(skip_names(pointer->head.type));
    if (!array || array->kind() != BTF_KIND_ARRAY) return std::nullopt;
    auto data = read_at<btf_array>(array->rest, 0);
    return data ? std::optional(data->nelems) : std::nullopt;
}

// A struct of pointers, as __uint, __type and __array of bpf_helpers.h make it. A member that is not known here would
// be something that the loader understands and we do not: refused.
Result<MapDef> Btf::map_of(uint32_t id, int depth) const {
    const Type* t = type(skip_names(id));
    if (!t || t->kind() != BTF_KIND_STRUCT || depth > 1) return bad("a map is not defined by a struct");
    MapDef map;
    for (uint32_t i = 0; i < t->count(); i++) {
        auto member = read_at<btf_member>(t->rest, uint64_t{i} * sizeof(btf_member));
        if (!member) return bad("a map's definition is cut off");
        std::string name = text(member->name_off);
        auto n = number(member->type);
        const Type* pointer = type(skip_names(member->type));
        if (name == "key" || name == "value") {
            auto size = pointer && pointer->kind() == BTF_KIND_PTR ? size_of(pointer->head.type) : std::nullopt;
            if (!size || *size > UINT32_MAX) return bad("the size of a map's " + name + " is not known");
            (name == "key" ? map.key_size : map.value_size) = static_cast<uint32_t>(*size);
        } else if (name == "values") {
            // array (of no fixed length) of pointers to the inner map's struct
            auto array = pointer && pointer->kind() == BTF_KIND_ARRAY ? read_at<btf_array>(pointer->rest, 0) : std::nullopt;
            const Type* element = array ? type(skip_names(array->type)) : nullptr;
            if (!element || element->kind() != BTF_KIND_PTR) return bad("the inner map of a map of maps is not defined");
            RMT_TRY(auto inner, map_of(element->head.type, depth + 1));
            map.inner = {inner};
        } else if (!n) {
            return bad(fmt::format("member '{}' of a map's definition is not known", name));
        } else if (name == "type") {
            map.type = *n;
        } else if (name == "max_entries") {
            map.max_entries = *n;
        } else if (name == "map_flags") {
            map.flags = *n;
        } else if (name == "key_size") {
            map.key_size = *n;
        } else if (name == "value_size") {
            map.value_size = *n;
        } else {
            return bad(fmt::format("member '{}' of a map's definition is not allowed", name));
        }
    }
    return map;
}

// A member of a map's value that is tagged so holds a pointer which the kernel follows and programs may load.
bool Btf::may_hold_kernel_pointers() const {
    return std::any_of(types_.begin(), types_.end(), [&](const Type& t) {
        const std::string tag = t.kind() == BTF_KIND_TYPE_TAG ? text(t.head.name_off) : "";
        return tag.starts_with("kptr") || tag == "percpu_kptr" || tag == "uptr";
    });
}

Result<std::vector<MapDef>> Btf::maps() const {
    std::vector<MapDef> maps;
    if (may_hold_kernel_pointers()) return bad("the object has a type that holds kernel pointers (kptr), which a map could keep");
    for (const Type& section : types_) {
        if (section.kind() != BTF_KIND_DATASEC || text(section.head.name_off) != ".maps") continue;
        for (uint32_t i = 0; i < section.count(); i++) {
            auto info = read_at<btf_var_secinfo>(section.rest, uint64_t{i} * sizeof(btf_var_secinfo));
            const Type* variable = info ? type(info->type) : nullptr;
            if (!variable || variable->kind() != BTF_KIND_VAR) return bad("section .maps holds something that is no map");
            std::string name = text(variable->head.name_off);
            auto map = map_of(variable->head.type, 0);
            if (!map) return bad(fmt::format("map '{}': {}", name, map.error().message));
            map->name = name;
            maps.push_back(*map);
        }
    }
    return maps;
}

// "0:12" of struct tcp_sock: its member 12, of the object that is pointed to. What is nested deeper, or no offset, has no name.
std::string Btf::field_of(uint32_t id, const std::string& access, uint32_t kind) const {
    const Type* t = type(skip_names(id));
    if (kind != kFieldOffset || !t || t->kind() != BTF_KIND_STRUCT || !access.starts_with("0:") || access.size() > 6) return {};
    uint32_t index = 0;
    for (char c : access.substr(2)) {
        if (c < '0' || c > '9') return {};
        index = index * 10 + static_cast<uint32_t>(c - '0');
    }
    auto member = index < t->count() ? read_at<btf_member>(t->rest, uint64_t{index} * sizeof(btf_member)) : std::nullopt;
    // Flavours, struct name___1, are matched to the kernel's type without what follows the three underscores.
    std::string name = text(t->head.name_off);
    return member ? name.substr(0, name.find("___")) + "." + text(member->name_off) : std::string();
}

Result<std::vector<ControlDef>> Btf::controls(const std::string& section_name) const {
    std::vector<ControlDef> controls;
    for (const Type& section : types_) {
        if (section.kind() != BTF_KIND_DATASEC || text(section.head.name_off) != section_name) continue;
        for (uint32_t i = 0; i < section.count(); i++) {
            auto info = read_at<btf_var_secinfo>(section.rest, uint64_t{i} * sizeof(btf_var_secinfo));
            const Type* variable = info ? type(info->type) : nullptr;
            const Type* t = variable && variable->kind() == BTF_KIND_VAR ? type(skip_names(variable->head.type)) : nullptr;
            if (!t || t->kind() != BTF_KIND_STRUCT) return bad(fmt::format("section {} holds something that is no struct", section_name));
            ControlDef control{text(variable->head.name_off), text(t->head.name_off), t->head.size, 0, 0, {}};
            for (uint32_t m = 0; m < t->count(); m++) {
                auto member = read_at<btf_member>(t->rest, uint64_t{m} * sizeof(btf_member));
                if (!member || (t->head.info >> 31) || member->offset % 8) continue;
                control.members[member->offset / 8] = text(member->name_off);
                auto size = size_of(member->type);
                if (text(member->name_off) != "name" || !size) continue;
                control.name_offset = member->offset / 8, control.name_size = static_cast<uint32_t>(*size);
            }
            controls.push_back(std::move(control));
        }
    }
    return controls;
}

Result<ExtInfo> Btf::ext(Bytes section) const {
    auto head = read_at<ExtHeader>(section, 0);
    if (!head || head->magic != BTF_MAGIC || head->version != 1 || head->hdr_len < sizeof(ExtHeader))
        return bad("section .BTF.ext has no valid header");
    ExtInfo info;
    // Both tables: size of a record, then for each section its name, a count and the records.
    auto each = [&](uint32_t off, uint32_t len, uint32_t least, auto&& take) -> Result<void> {
        if (!len) return {};
        auto table = slice(section, uint64_t{head->hdr_len} + off, len);
        auto record = table ? read_at<uint32_t>(*table, 0) : std::nullopt;
        if (!record || *record < least || *record > 256) return bad("section .BTF.ext is cut off");
        for (uint64_t at = 4; at < table->size();) {
            auto part = read_at<ExtSection>(*table, at);
            auto records = part ? slice(*table, at + sizeof(ExtSection), uint64_t{part->count} * *record) : std::nullopt;
            if (!records) return bad("section .BTF.ext ends inside a record");
            std::string name = text(part->name_off);
            for (uint64_t i = 0; i < records->size(); i += *record) take(name, records->subspan(i, *record));
            at += sizeof(ExtSection) + records->size();
        }
        return {};
    };
    RMT_CHECK(each(head->line_off, head->line_len, sizeof(RawLine), [&](const std::string& name, Bytes bytes) {
        auto raw = *read_at<RawLine>(bytes, 0);
        info.lines[name].push_back({raw.insn_off / 8, text(raw.file_off), raw.position >> 10, raw.position & 0x3ff});
    }));
    RMT_CHECK(each(head->core_off, head->core_len, sizeof(RawCore), [&](const std::string& name, Bytes bytes) {
        auto raw = *read_at<RawCore>(bytes, 0);
        info.core[name].push_back({raw.insn_off / 8, field_of(raw.type_id, text(raw.access_off), raw.kind)});
    }));
    for (auto& [name, lines] : info.lines)
        std::stable_sort(lines.begin(), lines.end(), [](auto& a, auto& b) { return a.slot < b.slot; });
    return info;
}

}  // namespace rmt::verify
