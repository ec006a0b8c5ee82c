// SPDX-License-Identifier: MIT
// policy.rmt -> parse -> check -> compile -> verify -> package; and a package from disk, verified again. What comes out was
// accepted by the RMT verifier, and its object is the bytes that were verified.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loader/cli/output.h"
#include "loader/session.h"
#include "rmt_lang/check.h"
#include "verifier_ext/verify.h"

namespace rmt::cli {

struct Package {
    std::vector<uint8_t> object;
    Manifest manifest;
    std::string c_text;                         // empty when it came from disk
    std::map<std::string, std::string> models;  // artefacts by the policy's name for them
    verify::Verdict verdict;
};

struct BuildOptions {
    std::map<std::string, std::string> models;  // --model NAME=FILE
    verify::VerifyOptions verify;
};

// A policy's text, parsed and checked. Reports what is wrong; then nothing is returned and `exit` is set.
struct Checked {
    Source source;
    std::optional<lang::CheckedIr> ir;
};
std::optional<Checked> check_file(const Output& out, const std::string& path, int& exit);

// From a policy's text, or from a package's folder. Reports what is wrong; then nothing is returned and `exit` is set.
std::optional<Package> build(const Output& out, const std::string& path, const BuildOptions& options, int& exit);

Result<void> write_package(const Package& package, const std::string& folder);

// The models of a package as values for the loader, checked against the policy's declarations.
Result<std::vector<load::ModelValue>> lower_models(const Package& package);

Json facts_json(const verify::Verdict& verdict);

}  // namespace rmt::cli
