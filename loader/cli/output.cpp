// SPDX-License-Identifier: MIT
#include "loader/cli/output.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <fstream>

namespace rmt::cli {

namespace {

constexpr size_t kDetailLines = 12;

const char* kind_name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::Input: return "input";
        case ErrorKind::Unsupported: return "unsupported";
        case ErrorKind::Kernel: return "kernel";
        case ErrorKind::Environment: return "environment";
        case ErrorKind::Permission: return "permission";
        case ErrorKind::NotFound: return "not_found";
        case ErrorKind::Conflict: return "conflict";
    }
    return "environment";
}

// The end of a long log is where the reason stands.
std::string last_lines(const std::string& text, size_t count) {
    size_t at = text.size();
    while (at > 0 && count > 0) {
        at = text.rfind('\n', at - 1);
        if (at == std::string::npos) return text;
        count--;
    }
    return text.substr(at == 0 ? 0 : at + 1);
}

Json place_of(const Label& label, const Source& source) {
    const Position begin = source.position(label.span.begin), end = source.position(label.span.end);
    return {{"file", source.name()}, {"line", begin.line}, {"column", begin.column}, {"end_line", end.line},
            {"end_column", end.column}, {"text", label.text}};
}

}  // namespace

Exit exit_code(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::Input: return kInvalid;
        case ErrorKind::Unsupported: return kUnsupported;
        case ErrorKind::Kernel: return kKernel;
        case ErrorKind::Environment: return kFailed;
        case ErrorKind::Permission: return kPermission;
        case ErrorKind::NotFound: return kNotFound;
        case ErrorKind::Conflict: return kConflict;
    }
    return kFailed;
}

void Output::say(const std::string& line) const {
    if (!json) std::fprintf(stderr, "%s\n", line.c_str());
}

void Output::print(const std::string& text) const {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (text.empty() || text.back() != '\n') std::fputc('\n', stdout);
    std::fflush(stdout);
}

void Output::document(const char* kind, Json data) const {
    Json document = {{"schema", 1}, {"kind", kind}};
    document.update(data);
    print(document.dump(2, ' ', false, Json::error_handler_t::replace));
}

int Output::error(const Error& error) const {
    if (!log_file.empty() && !error.detail.empty()) std::ofstream(log_file) << error.detail;
    if (json) {
        Json body = {{"kind", kind_name(error.kind)}, {"message", error.message}};
        if (!error.hint.empty()) body["hint"] = error.hint;
        if (error.sys_errno) body["errno"] = error.sys_errno;
        if (!error.detail.empty()) body["detail"] = error.detail;
        document("error", {{"error", body}});
        return exit_code(error.kind);
    }
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
    if (!error.detail.empty()) {
        const std::string tail = last_lines(error.detail, kDetailLines);
        std::fprintf(stderr, "%s%s", tail.c_str(), tail.back() == '\n' ? "" : "\n");
        if (tail.size() < error.detail.size()) std::fprintf(stderr, " = note: all of it with --verifier-log FILE\n");
    }
    if (!error.hint.empty()) std::fprintf(stderr, " = help: %s\n", error.hint.c_str());
    return exit_code(error.kind);
}

int Output::invalid(const Diagnostics& diagnostics, const Source& source) const {
    if (json) {
        Json list = Json::array();
        for (const Diagnostic& d : diagnostics.all()) {
            Json item = {{"id", d.id}, {"severity", d.severity == Severity::Error ? "error" : d.severity == Severity::Warning ? "warning" : "note"},
                         {"message", d.message}};
            if (d.at) item["at"] = place_of(*d.at, source);
            if (d.related) item["related"] = place_of(*d.related, source);
            if (!d.help.empty()) item["help"] = d.help;
            list.push_back(std::move(item));
        }
        document(diagnostics.has_errors() ? "error" : "diagnostics", {{"diagnostics", list}});
    } else {
        std::fprintf(stderr, "%s", format(diagnostics, source).c_str());
    }
    return diagnostics.has_errors() ? kInvalid : kOk;
}

int Output::refused(const std::string& text, Json data) const {
    if (json)
        document("error", {{"verdict", std::move(data)}});
    else
        std::fprintf(stderr, "%s%s", text.c_str(), text.empty() || text.back() == '\n' ? "" : "\n");
    return kInvalid;
}

std::string format_ns(double ns) {
    if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
    if (ns < 1e6) return fmt::format("{:.1f} us", ns / 1e3);
    if (ns < 1e9) return fmt::format("{:.1f} ms", ns / 1e6);
    return fmt::format("{:.2f} s", ns / 1e9);
}

}  // namespace rmt::cli
