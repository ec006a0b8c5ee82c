// SPDX-License-Identifier: MIT
// What is wrong with a policy, entry or model: a stable id, a place, the earlier place that it conflicts with, a hint.
// Ids are listed in docs/errors.md; an id is retired, never reused. Stages: E text and types, V the RMT verifier,
// K the kernel, H the host, M a model, R run time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/support/source.h"

namespace rmt {

enum class Severity { Error, Warning, Note };

struct Label {
    Span span;
    std::string text;  // printed behind the carets; may be empty
    bool operator==(const Label&) const = default;
};

struct Diagnostic {
    std::string id;  // "E0301"
    Severity severity = Severity::Error;
    std::string message;
    std::optional<Label> at;        // the place, when there is one in the policy's text
    std::optional<Label> related;   // the earlier place
    std::vector<std::string> because;  // causal chain, at most five lines
    std::string help;               // what to do next
};

// Collects diagnostics of one source. After `kMaxErrors` errors the rest is counted, not kept.
class Diagnostics {
public:
    static constexpr size_t kMaxErrors = 20;

    void add(Diagnostic diagnostic);
    void error(std::string id, Span at, std::string message, std::string label = {}, std::string help = {});

    bool has_errors() const { return errors_ > 0; }
    size_t error_count() const { return errors_; }
    const std::vector<Diagnostic>& all() const { return all_; }

private:
    std::vector<Diagnostic> all_;
    size_t errors_ = 0;
};

// The text form of docs/language.md: `error[E0401]: ...`, the place, the line, carets, `= help:`.
std::string format(const Diagnostic& diagnostic, const Source& source);
std::string format(const Diagnostics& diagnostics, const Source& source);

// The nearest of `candidates` to `given` by edit distance, or empty when none is close: for "did you mean".
std::string closest(const std::string& given, const std::vector<std::string>& candidates);

}  // namespace rmt
