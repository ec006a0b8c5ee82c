// SPDX-License-Identifier: MIT
#include "verifier_ext/object.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "verifier_ext/loop_step.h"

#ifndef R_BPF_64_64
#define R_BPF_64_64 1
#endif
#ifndef R_BPF_64_ABS64
#define R_BPF_64_ABS64 2
#endif
#ifndef R_BPF_64_32
#define R_BPF_64_32 10
#endif

namespace rmt::verify {
namespace {

struct Section {
    Elf64_Shdr head;
    std::string name;
    Bytes bytes;
    bool code() const { return head.sh_type == SHT_PROGBITS && (head.sh_flags & SHF_EXECINSTR) && !bytes.empty(); }
};

struct Symbol {
    Elf64_Sym raw;
    std::string name;
    uint8_t type() const { return ELF64_ST_TYPE(raw.st_info); }
    bool local() const { return ELF64_ST_BIND(raw.st_info) == STB_LOCAL; }
};

constexpr const char* kControls = ".struct_ops.link";  // libbpf: other sections of struct_ops are not registered by a link

class Decoder {
public:
    explicit Decoder(Bytes file) : file_(file) {}
    Decoded run();

private:
    bool reject(std::string id, std::string message, std::string hint = {}, Place place = {});
    bool read_sections();
    bool read_symbols();
    bool read_btf();
    bool read_functions(size_t section);
    bool decode_insns(Function& function, Bytes bytes);
    bool apply_relocations(size_t section, const Section& table);
    bool relocate(size_t section, const Elf64_Rel& relocation);
    bool relocate_call(size_t section, Function& function, uint32_t slot, const Symbol& symbol);
    bool resolve_local_calls(size_t section);
    bool mark_core();
    bool read_controls();
    bool relocate_control(size_t section, const Elf64_Rel& relocation);
    Function* function_at(size_t section, uint64_t slot, bool exactly);
    Function* function_of(size_t section, uint64_t slot) { return function_at(section, slot, false); }
    uint32_t intern(std::vector<std::string>& names, const std::string& name);

    Bytes file_;
    Decoded out_;
    std::vector<Section> sections_;
    std::vector<Symbol> symbols_;
    std::vector<std::pair<size_t, uint32_t>> homes_;  // section and first slot of each function
    std::map<uint32_t, uint32_t> map_at_;             // offset in .maps -> index
    std::set<std::pair<size_t, uint64_t>> relocated_;
    std::vector<ControlDef> control_defs_;
    std::vector<std::map<uint32_t, std::string>> control_members_;
    std::vector<std::pair<uint64_t, uint64_t>> control_at_;  // of Object::controls: from, to in their section
    ExtInfo ext_;
    size_t maps_section_ = 0;
};

bool Decoder::reject(std::string id, std::string message, std::string hint, Place place) {
    if (hint.empty()) hint = "compile the policy again; this object did not come from rmt-load compile, or it was damaged";
    out_.rejected = Rejected{"binding", std::move(id), std::move(message), std::move(place), {}, std::move(hint)};
    return false;
}

bool Decoder::read_sections() {
    auto head = read_at<Elf64_Ehdr>(file_, 0);
    if (!head || std::memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) return reject("V0001", "the object is not an ELF file");
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB || head->e_machine != EM_BPF ||
        head->e_type != ET_REL)
        return reject("V0001", "the object is not a relocatable BPF file of 64 bits, little endian");
    if (head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shnum == 0)
        return reject("V0001", "the object has no table of sections");
    for (uint32_t i = 0; i < head->e_shnum; i++) {
        auto section = read_at<Elf64_Shdr>(file_, head->e_shoff + uint64_t{i} * sizeof(Elf64_Shdr));
        if (!section) return reject("V0001", "the object's table of sections is cut off");
        bool absent = section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL;
        auto bytes = absent ? std::optional(Bytes{}) : slice(file_, section->sh_offset, section->sh_size);
        if (!bytes) return reject("V0001", fmt::format("section {} of the object is cut off", i));
        sections_.push_back({*section, {}, *bytes});
    }
    if (head->e_shstrndx >= sections_.size()) return reject("V0001", "the object's sections have no names");
    std::set<std::string> names;
    for (Section& section : sections_) {
        auto name = text_at(sections_[head->e_shstrndx].bytes, section.head.sh_name);
        if (!name) return reject("V0001", "a section of the object has no name");
        section.name = *name;
        if (!section.name.empty() && !names.insert(section.name).second)
            return reject("V0001", fmt::format("the object has two sections '{}'", section.name));
    }
    return true;
}

bool Decoder::read_symbols() {
    int tables = 0;
    for (const Section& table : sections_) {
        if (table.head.sh_type != SHT_SYMTAB) continue;
        if (++tables > 1) return reject("V0001", "the object has two tables of symbols");
        if (table.head.sh_link >= sections_.size() || table.bytes.size() % sizeof(Elf64_Sym))
            return reject("V0001", "the object's table of symbols is damaged");
        for (uint64_t at = 0; at < table.bytes.size(); at += sizeof(Elf64_Sym)) {
            auto symbol = read_at<Elf64_Sym>(table.bytes, at);
            auto name = text_at(sections_[table.head.sh_link].bytes, symbol->st_name);
            if (!name) return reject("V0001", "a symbol of the object has no name");
            symbols_.push_back({*symbol, std::string(*name)});
        }
    }
    return tables == 1 || reject("V0001", "the object has no table of symbols");
}

bool Decoder::read_btf() {
    const Section *types = nullptr, *ext = nullptr;
    for (size_t i = 0; i < sections_.size(); i++) {
        if (sections_[i].name == ".BTF") types = &sections_[i];
        if (sections_[i].name == ".BTF.ext") ext = &sections_[i];
        if (sections_[i].name == ".maps") maps_section_ = i;
    }
    if (!types || !ext) return reject("V0001", "the object has no BTF", "compile with -g: maps and lines are described there");
    auto btf = Btf::parse(types->bytes);
    if (!btf) return reject("V0001", btf.error().message);
    auto info = btf->ext(ext->bytes);
    if (!info) return reject("V0001", info.error().message);
    ext_ = *info;
    auto controls = btf->controls(kControls);
    if (!controls) return reject("V0104", controls.error().message);
    control_defs_ = *controls;
    auto maps = btf->maps();
    if (!maps) return reject("V0104", maps.error().message);
    std::map<std::string, MapDef> by_name;
    for (const MapDef& map : *maps)
        if (!by_name.emplace(map.name, map).second) return reject("V0104", fmt::format("map '{}' has no single definition", map.name));
    std::set<std::string> seen;
    for (const Symbol& symbol : symbols_) {
        if (!maps_section_ || symbol.raw.st_shndx != maps_section_ || symbol.type() != STT_OBJECT) continue;
        auto map = by_name.find(symbol.name);
        if (map == by_name.end() || !seen.insert(symbol.name).second ||
            !map_at_.emplace(symbol.raw.st_value, out_.object.maps.size()).second)
            return reject("V0104", fmt::format("map '{}' has no single definition", symbol.name));
        out_.object.maps.push_back(map->second);
    }
    if (seen.size() != by_name.size()) return reject("V0104", "a map is described that has no symbol");
    return true;
}

// libbpf: in a program section every function is a program; .text holds what they call.
bool Decoder::read_functions(size_t index) {
    const Section& section = sections_[index];
    if (section.bytes.size() % 8) return reject("V0001", fmt::format("section '{}' is no whole number of instructions", section.name));
    std::vector<const Symbol*> symbols;
    for (const Symbol& symbol : symbols_)
        if (symbol.raw.st_shndx == index && symbol.type() == STT_FUNC) symbols.push_back(&symbol);
    std::sort(symbols.begin(), symbols.end(), [](auto* a, auto* b) { return a->raw.st_value < b->raw.st_value; });
    uint64_t at = 0;
    for (const Symbol* symbol : symbols) {
        if (symbol->raw.st_value != at || symbol->raw.st_size == 0 || symbol->raw.st_size % 8 ||
            symbol->raw.st_size > section.bytes.size() - at)
            return reject("V0001", fmt::format("function '{}' does not lie where the one before it ends", symbol->name));
        Function function{symbol->name, section.name, !symbol->local(), section.name != ".text",
                          static_cast<uint32_t>(at / 8), {}, {}};
        if (function.program && symbol->local())
            return reject("V0101", fmt::format("program '{}' is static, which the loader does not load", function.name));
        if (out_.object.find_function(function.name))
            return reject("V0001", fmt::format("the object has two functions '{}'", function.name));
        if (!decode_insns(function, section.bytes.subspan(at, symbol->raw.st_size))) return false;
        uint32_t end = function.first_slot + static_cast<uint32_t>(function.insns.size());
        for (LineRecord line : ext_.lines[section.name]) {
            if (line.slot < function.first_slot || line.slot >= end) continue;
            line.slot -= function.first_slot;
            function.lines.push_back(line);
        }
        homes_.push_back({index, function.first_slot});
        out_.object.functions.push_back(std::move(function));
        at += symbol->raw.st_size;
    }
    return at == section.bytes.size() || reject("V0001", fmt::format("section '{}' holds code of no function", section.name));
}

bool Decoder::decode_insns(Function& function, Bytes bytes) {
    for (uint64_t at = 0; at < bytes.size(); at += 8) {
        bpf_insn raw = *read_at<bpf_insn>(bytes, at);
        Insn insn;
        insn.code = raw.code, insn.dst = raw.dst_reg, insn.src = raw.src_reg, insn.off = raw.off, insn.imm = raw.imm;
        function.insns.push_back(insn);
        if (!insn.is_wide()) continue;
        auto next = read_at<bpf_insn>(bytes, at + 8);
        if (!next || next->code || next->dst_reg || next->src_reg || next->off)
            return reject("V0002", fmt::format("instruction {} of '{}' is half of a 64-bit load", at / 8, function.name));
        function.insns.back().imm64 = static_cast<int64_t>(uint64_t{static_cast<uint32_t>(next->imm)} << 32 | static_cast<uint32_t>(raw.imm));
        Insn second;
        second.imm = next->imm, second.second = true;
        function.insns.push_back(second);
        at += 8;
    }
    return true;
}

Function* Decoder::function_at(size_t section, uint64_t slot, bool exactly) {
    for (size_t i = 0; i < homes_.size(); i++) {
        Function& function = out_.object.functions[i];
        if (homes_[i].first != section || slot < homes_[i].second) continue;
        if (exactly ? slot == homes_[i].second : slot < homes_[i].second + function.insns.size()) return &function;
    }
    return nullptr;
}

uint32_t Decoder::intern(std::vector<std::string>& names, const std::string& name) {
    auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return static_cast<uint32_t>(found - names.begin());
    names.push_back(name);
    return static_cast<uint32_t>(names.size() - 1);
}

bool Decoder::relocate_call(size_t section, Function& function, uint32_t slot, const Symbol& symbol) {
    Insn& insn = function.insns[slot];
    uint64_t home = section;
    if (insn.is_call() && symbol.raw.st_shndx == SHN_UNDEF) {
        insn.ref = Ref::Kfunc;
        insn.target = intern(out_.object.externs, symbol.name);
        return true;
    }
    if (symbol.raw.st_shndx < sections_.size() && (symbol.type() == STT_SECTION || symbol.type() == STT_FUNC)) {
        home = symbol.raw.st_shndx;
        // a call's immediate counts from the slot behind it, an address counts bytes
        int64_t extra = insn.is_call() ? int64_t{insn.imm} + 1 : insn.imm64 / 8;
        int64_t target = static_cast<int64_t>(symbol.raw.st_value / 8) + extra;
        Function* callee = target >= 0 ? function_at(home, static_cast<uint64_t>(target), true) : nullptr;
        if (callee) {
            insn.ref = insn.is_call() ? Ref::Function : Ref::Callback;
            insn.target = static_cast<uint32_t>(callee - out_.object.functions.data());
            return true;
        }
    }
    return reject("V0007", fmt::format("instruction {} of '{}' refers to something that is no function", slot, function.name));
}

bool Decoder::relocate(size_t section, const Elf64_Rel& relocation) {
    uint64_t index = ELF64_R_SYM(relocation.r_info), kind = ELF64_R_TYPE(relocation.r_info);
    Function* function = relocation.r_offset % 8 ? nullptr : function_of(section, relocation.r_offset / 8);
    if (!function || index >= symbols_.size() || !relocated_.insert({section, relocation.r_offset}).second)
        return reject("V0007", fmt::format("a relocation of section '{}' cannot be read", sections_[section].name));
    uint32_t slot = static_cast<uint32_t>(relocation.r_offset / 8) - function->first_slot;
    Insn& insn = function->insns[slot];
    const Symbol& symbol = symbols_[index];
    if (insn.is_call() && kind == R_BPF_64_32) return relocate_call(section, *function, slot, symbol);
    if (!insn.is_wide() || kind != R_BPF_64_64)
        return reject("V0007", fmt::format("instruction {} of '{}' has a relocation of unknown kind {}", slot, function->name, kind));
    if (symbol.raw.st_shndx == SHN_UNDEF) {
        insn.ref = Ref::Extern;
        insn.target = intern(out_.object.externs, symbol.name);
        return true;
    }
    if (symbol.raw.st_shndx >= sections_.size())
        return reject("V0007", fmt::format("instruction {} of '{}' refers to no section", slot, function->name));
    if (symbol.raw.st_shndx == maps_section_ && maps_section_) {
        auto map = map_at_.find(static_cast<uint32_t>(symbol.raw.st_value));
        if (map == map_at_.end() || symbol.type() != STT_OBJECT || insn.imm64 != 0)
            return reject("V0007", fmt::format("instruction {} of '{}' refers to the middle of a map", slot, function->name));
        insn.ref = Ref::Map;
        insn.target = map->second;
        return true;
    }
    if (sections_[symbol.raw.st_shndx].code()) return relocate_call(section, *function, slot, symbol);
    insn.ref = Ref::Data;
    insn.target = intern(out_.object.data, sections_[symbol.raw.st_shndx].name);
    return true;
}

bool Decoder::apply_relocations(size_t section, const Section& table) {
    if (table.bytes.size() % sizeof(Elf64_Rel) || table.head.sh_type != SHT_REL)
        return reject("V0007", fmt::format("the relocations of section '{}' cannot be read", sections_[section].name));
    for (uint64_t at = 0; at < table.bytes.size(); at += sizeof(Elf64_Rel))
        if (!relocate(section, *read_at<Elf64_Rel>(table.bytes, at))) return false;
    return true;
}

// Calls that the assembler resolved inside one section, helpers, and nothing else.
bool Decoder::resolve_local_calls(size_t section) {
    for (size_t i = 0; i < homes_.size(); i++) {
        if (homes_[i].first != section) continue;
        Function& function = out_.object.functions[i];
        for (uint32_t slot = 0; slot < function.insns.size(); slot++) {
            Insn& insn = function.insns[slot];
            if (insn.second || insn.ref != Ref::None) continue;
            if (insn.is_call() && insn.src == 0) {
                insn.ref = Ref::Helper;
                insn.target = static_cast<uint32_t>(insn.imm);
            } else if (insn.is_call() && insn.src == BPF_PSEUDO_CALL) {
                int64_t target = int64_t{function.first_slot} + slot + 1 + insn.imm;
                Function* callee = target >= 0 ? function_at(section, static_cast<uint64_t>(target), true) : nullptr;
                if (!callee) return reject("V0002", fmt::format("instruction {} of '{}' calls into the middle of something", slot, function.name));
                insn.ref = Ref::Function;
                insn.target = static_cast<uint32_t>(callee - out_.object.functions.data());
            } else if (insn.is_call() || (insn.is_wide() && insn.src != 0)) {
                return reject("V0002", fmt::format("instruction {} of '{}' needs a relocation that is not there", slot, function.name));
            }
        }
    }
    return true;
}

// libbpf patches the immediate, offset or width of these when it loads (bpf_core_patch_insn).
bool Decoder::mark_core() {
    for (auto& [name, records] : ext_.core) {
        auto section = std::find_if(sections_.begin(), sections_.end(), [&](auto& s) { return s.name == name; });
        if (section == sections_.end()) return reject("V0007", fmt::format("CO-RE records for section '{}', which does not exist", name));
        size_t index = static_cast<size_t>(section - sections_.begin());
        for (const auto& [slot, field] : records) {
            Function* function = function_of(index, slot);
            if (!function) return reject("V0007", fmt::format("a CO-RE record of section '{}' names no instruction", name));
            Insn& insn = function->insns[slot - function->first_slot];
            bool known = insn.is_alu() || insn.is_load() || insn.is_store() || (insn.is_wide() && insn.ref == Ref::None);
            if (insn.second || !known)
                return reject("V0007", fmt::format("a CO-RE record of '{}' names an instruction that cannot be patched", function->name));
            insn.core = true;
            if (!field.empty()) insn.field = 1 + intern(out_.object.fields, field);
        }
    }
    return true;
}

// A function of the kernel's table. linux: tools/lib/bpf/libbpf.c, bpf_object__collect_st_ops_relos.
bool Decoder::relocate_control(size_t section, const Elf64_Rel& relocation) {
    uint64_t index = ELF64_R_SYM(relocation.r_info);
    if (index < symbols_.size() && ELF64_R_TYPE(relocation.r_info) == R_BPF_64_ABS64) {
        const Symbol& symbol = symbols_[index];
        Function* function = symbol.type() == STT_FUNC && symbol.raw.st_shndx < sections_.size() && symbol.raw.st_value % 8 == 0
                                 ? function_at(symbol.raw.st_shndx, symbol.raw.st_value / 8, true) : nullptr;
        for (size_t i = 0; function && function->program && i < control_at_.size(); i++) {
            if (relocation.r_offset < control_at_[i].first || relocation.r_offset >= control_at_[i].second) continue;
            auto member = control_members_[i].find(static_cast<uint32_t>(relocation.r_offset - control_at_[i].first));
            if (member == control_members_[i].end()) break;
            out_.object.controls[i].functions.push_back({member->second, static_cast<uint32_t>(function - out_.object.functions.data())});
            return true;
        }
    }
    return reject("V0007", fmt::format("a relocation of section '{}' names no program", sections_[section].name));
}

bool Decoder::read_controls() {
    auto at = std::find_if(sections_.begin(), sections_.end(), [](auto& s) { return s.name == kControls; });
    if (at == sections_.end()) return control_defs_.empty() || reject("V0104", "a control is described that has no section");
    const auto index = static_cast<size_t>(at - sections_.begin());
    for (const Symbol& symbol : symbols_) {
        if (symbol.raw.st_shndx != index || symbol.type() != STT_OBJECT) continue;
        auto def = std::find_if(control_defs_.begin(), control_defs_.end(), [&](auto& d) { return d.name == symbol.name; });
        auto bytes = def == control_defs_.end() ? std::nullopt : slice(at->bytes, symbol.raw.st_value, def->size);
        auto name = bytes ? slice(*bytes, def->name_offset, def->name_size) : std::nullopt;
        if (!name || symbol.raw.st_size != def->size) return reject("V0104", fmt::format("control '{}' has no single definition", symbol.name));
        for (const auto& [from, to] : control_at_)
            if (symbol.raw.st_value < to && from < symbol.raw.st_value + def->size) return reject("V0104", fmt::format("control '{}' lies over another", symbol.name));
        Control control{def->name, def->type, {}, true, {}};
        for (uint8_t c : *name) {
            if (!c) break;
            control.kernel_name += static_cast<char>(c);
        }
        for (size_t i = 0; i < bytes->size(); i++) {
            const bool in_name = i >= def->name_offset && i < def->name_offset + control.kernel_name.size();
            control.plain = control.plain && (in_name || (*bytes)[i] == 0);
        }
        out_.object.controls.push_back(std::move(control));
        control_members_.push_back(def->members);
        control_at_.push_back({symbol.raw.st_value, symbol.raw.st_value + def->size});
    }
    if (out_.object.controls.size() != control_defs_.size()) return reject("V0104", "a control is described that has no symbol");
    for (const Section& table : sections_) {
        if ((table.head.sh_type != SHT_REL && table.head.sh_type != SHT_RELA) || table.head.sh_info != index) continue;
        if (table.head.sh_type != SHT_REL || table.bytes.size() % sizeof(Elf64_Rel)) return reject("V0007", fmt::format("the relocations of section '{}' cannot be read", kControls));
        for (uint64_t i = 0; i < table.bytes.size(); i += sizeof(Elf64_Rel))
            if (!relocate_control(index, *read_at<Elf64_Rel>(table.bytes, i))) return false;
    }
    return true;
}

Decoded Decoder::run() {
    if (!read_sections() || !read_symbols() || !read_btf()) return std::move(out_);
    std::vector<size_t> code;
    for (size_t i = 0; i < sections_.size(); i++) {
        const Section& section = sections_[i];
        if (section.code()) code.push_back(i);
        bool alloc = section.head.sh_flags & SHF_ALLOC;
        bool plain = section.name == "license" || section.name == "version" || section.name == ".maps";
        if (alloc && !section.code() && !plain && section.head.sh_size) intern(out_.object.data, section.name);
    }
    for (size_t i : code)
        if (!read_functions(i)) return std::move(out_);
    for (const Section& table : sections_) {
        if (table.head.sh_type != SHT_REL && table.head.sh_type != SHT_RELA) continue;
        if (table.head.sh_info >= sections_.size()) { reject("V0007", "relocations of a section that does not exist"); return std::move(out_); }
        if (sections_[table.head.sh_info].code() && !apply_relocations(table.head.sh_info, table)) return std::move(out_);
    }
    for (size_t i : code)
        if (!resolve_local_calls(i)) return std::move(out_);
    if (!mark_core() || !read_controls()) return std::move(out_);
    for (Function& function : out_.object.functions) fold_loop_steps(function.insns);
    return std::move(out_);
}

}  // namespace

const Function* Object::find_function(const std::string& name) const {
    for (const Function& function : functions)
        if (function.name == name) return &function;
    return nullptr;
}

int Object::find_map(const std::string& name) const {
    for (size_t i = 0; i < maps.size(); i++)
        if (maps[i].name == name) return static_cast<int>(i);
    return -1;
}

Place Object::place(const Function& function, uint32_t slot, const std::string& own) const {
    Place place;
    place.function = function.name;
    place.insn = slot;
    auto is_own = [&](const LineRecord& line) {
        return line.file == own || (line.file.size() > own.size() && line.file.ends_with("/" + own));
    };
    for (const LineRecord& line : function.lines) {
        if (line.slot > slot) break;
        if (!own.empty() && !is_own(line)) continue;
        place.file = line.file, place.line = line.line, place.column = line.column;
    }
    if (!place.line && !own.empty()) return this->place(function, slot);
    return place;
}

Decoded decode(Bytes file) { return Decoder(file).run(); }

}  // namespace rmt::verify
