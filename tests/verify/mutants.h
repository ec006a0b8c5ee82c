// SPDX-License-Identifier: MIT
// Small changes of the instructions of one function in an object file.
#pragma once

#include <elf.h>
#include <linux/bpf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace rmt::verify::test {

// Where a function's instructions lie in the file.
inline std::pair<size_t, size_t> find_code(const std::vector<uint8_t>& bytes, const std::string& function) {
    auto* head = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
    auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const char* names = reinterpret_cast<const char*>(bytes.data() + sections[sections[i].sh_link].sh_offset);
        auto* symbols = reinterpret_cast<const Elf64_Sym*>(bytes.data() + sections[i].sh_offset);
        for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); s++)
            if (names + symbols[s].st_name == function && ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC)
                return {sections[symbols[s].st_shndx].sh_offset + symbols[s].st_value, symbols[s].st_size};
    }
    return {0, 0};
}

// Small changes of one instruction: gone, another operation, width, constant, register, target.
inline std::vector<bpf_insn> mutants_of(const bpf_insn& insn) {
    std::vector<bpf_insn> list;
    auto add = [&](auto&& change) {
        bpf_insn m = insn;
        change(m);
        if (std::memcmp(&m, &insn, sizeof(m)) != 0) list.push_back(m);
    };
    uint8_t cls = insn.code & 7;
    add([](bpf_insn& m) { m = {BPF_JMP | BPF_JA, 0, 0, 0, 0}; });
    for (int by : {-1, 1, 8, -8}) add([&](bpf_insn& m) { m.imm += by; });
    for (int by : {-1, 1, 2, 4, -4}) add([&](bpf_insn& m) { m.off = static_cast<int16_t>(m.off + by); });
    add([](bpf_insn& m) { m.dst_reg = (m.dst_reg + 1) % 10; });
    add([](bpf_insn& m) { m.dst_reg = (m.dst_reg + 9) % 10; });
    add([](bpf_insn& m) { m.src_reg = (m.src_reg + 1) % 11; });
    add([](bpf_insn& m) { m.src_reg = (m.src_reg + 10) % 11; });
    add([](bpf_insn& m) { m.code ^= 8; });  // constant or register
    if (cls == BPF_JMP || cls == BPF_JMP32) {
        for (uint8_t op = 0; op < 0xe0; op += 0x10) add([&](bpf_insn& m) { m.code = static_cast<uint8_t>((m.code & 0x0f) | op); });
        add([&](bpf_insn& m) { m.code = static_cast<uint8_t>((m.code & 0xf8) | (cls == BPF_JMP ? BPF_JMP32 : BPF_JMP)); });
    }
    if (cls == BPF_ALU || cls == BPF_ALU64) {
        for (uint8_t op = 0; op < 0xd0; op += 0x10) add([&](bpf_insn& m) { m.code = static_cast<uint8_t>((m.code & 0x0f) | op); });
        add([&](bpf_insn& m) { m.code = static_cast<uint8_t>((m.code & 0xf8) | (cls == BPF_ALU ? BPF_ALU64 : BPF_ALU)); });
    }
    if (cls == BPF_LDX || cls == BPF_STX || cls == BPF_ST)
        for (uint8_t size : {BPF_B, BPF_H, BPF_W, BPF_DW}) add([&](bpf_insn& m) { m.code = static_cast<uint8_t>((m.code & 0xe7) | size); });
    return list;
}

}  // namespace rmt::verify::test
