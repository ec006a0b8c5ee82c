// SPDX-License-Identifier: MIT
// Generated C -> BPF object by clang, and the whole way from a checked policy. clang runs as a child without a shell, in
// a folder of its own that is gone afterwards. The object depends on its inputs and on clang only, not on where the
// tree stands: every path in its debug information is relative. The policy's text is put beside the generated one, so
// that the lines that clang copies into BTF, and the kernel's verifier prints, are those of the policy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rmt_lang/ir.h"
#include "rmt_lang/support/manifest.h"
#include "rmt_lang/support/result.h"
#include "rmt_lang/support/source.h"

namespace rmt::lang {

struct CompileOptions {
    std::string clang;     // empty: $RMT_CLANG, else the one that the build found
    std::string base;      // folder with bpf/ and vmlinux/; empty: $RMT_BPF_DIR, else the source tree
    std::string name = "policy.rmt";  // what #line calls the policy; a base name
    std::string policy;    // its text, for the lines in BTF; may be empty
    std::vector<std::string> extra_flags;  // for tests
};

// Errors: NotFound when there is no clang or no bpf/ folder; Input when clang refuses the text (its words are in
// Error.detail); Environment when the child or a file fails.
Result<std::vector<uint8_t>> compile_bpf(const std::string& c_text, const CompileOptions& options);

struct Compiled {
    std::string c_text;
    std::vector<uint8_t> object;
    Manifest manifest;
};

// emit_bpf_c, make_manifest and compile_bpf. A refusal by clang is then our own bug, and says so.
Result<Compiled> compile_policy(const CheckedIr& checked, const Source& source, CompileOptions options = {});

}  // namespace rmt::lang
