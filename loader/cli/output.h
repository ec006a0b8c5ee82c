// SPDX-License-Identifier: MIT
// What every verb shares: data on stdout, talk on stderr, JSON with -j (errors too), and the exit codes.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "rmt_lang/support/diagnostics.h"
#include "rmt_lang/support/result.h"

namespace rmt::cli {

using Json = nlohmann::ordered_json;

enum Exit {
    kOk = 0,
    kFailed = 1,        // at run time
    kUsage = 2,
    kInvalid = 3,       // policy, entry or model
    kKernel = 4,        // the kernel refused
    kUnsupported = 5,   // this host cannot
    kPermission = 6,
    kNotFound = 7,
    kConflict = 8,
    kPartly = 9,
    kDifferences = 10,
};

Exit exit_code(ErrorKind kind);

class Output {
public:
    bool json = false;
    std::string log_file;  // --verifier-log: where the whole detail of an error goes

    void say(const std::string& line) const;              // stderr, for people; nothing with -j
    void print(const std::string& text) const;            // stdout
    void document(const char* kind, Json data) const;     // stdout: {"schema":1,"kind":...,...}

    // Reports and returns the exit code.
    int error(const Error& error) const;
    int invalid(const Diagnostics& diagnostics, const Source& source) const;
    int refused(const std::string& text, Json data) const;  // by the RMT verifier
};

// "1.8 ms", "640 ns"
std::string format_ns(double ns);

// Returns error(e) from a function that returns an exit code.
#define RMT_CLI_TRY(decl, expr)                                                   \
    auto RMT_CONCAT(cli_try_, __LINE__) = (expr);                                 \
    if (!RMT_CONCAT(cli_try_, __LINE__)) return out.error(RMT_CONCAT(cli_try_, __LINE__).error()); \
    decl = std::move(*RMT_CONCAT(cli_try_, __LINE__))

#define RMT_CLI_CHECK(expr)                                \
    do {                                                   \
        auto cli_check_ = (expr);                          \
        if (!cli_check_) return out.error(cli_check_.error()); \
    } while (0)

}  // namespace rmt::cli
