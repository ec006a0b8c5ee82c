// SPDX-License-Identifier: MIT
#include "rmt_lang/emit_text.h"

#include <cctype>
#include <cstdio>
#include <set>

namespace rmt::lang {

namespace {

// What a parameter, local or state of a policy may not be called in C: keywords, what kernel headers and libbpf define
// without a prefix, and the two parameters of every generated function.
const std::set<std::string>& reserved() {
    static const std::set<std::string> names = {
        "asm",      "auto",     "bool",      "break",   "case",     "char",      "const",        "continue", "default",  "do",
        "double",   "else",     "enum",      "extern",  "false",    "float",     "for",          "goto",     "if",       "inline",
        "int",      "long",     "nullptr",   "register", "restrict", "return",   "short",        "signed",   "sizeof",   "static",
        "struct",   "switch",   "true",      "typedef", "typeof",   "union",     "unsigned",     "void",     "volatile", "while",
        "alignas",  "alignof",  "constexpr", "static_assert",       "thread_local",              "typeof_unqual",       "linux",
        "unix",     "barrier",  "barrier_var", "likely", "unlikely", "offsetof", "container_of", "ev",       "st",       "ctx"};
    return names;
}

bool starts_with(const std::string& s, const char* prefix) { return s.rfind(prefix, 0) == 0; }

// Macros are written in capitals, so a name without a small letter may be one.
bool like_macro(const std::string& s) {
    for (const char c : s)
        if (c >= 'a' && c <= 'z') return false;
    return true;
}

}  // namespace

std::string c_string(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char octal[8];
            std::snprintf(octal, sizeof(octal), "\\%03o", static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += octal;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string c_number(int64_t value) {
    if (value == INT64_MIN) return "(-9223372036854775807ll - 1)";
    if (value > INT32_MAX || value < -INT32_MAX) return std::to_string(value) + "ll";
    return std::to_string(value);
}

std::string c_name(const std::string& name) {
    std::string s = name;
    for (char& c : s)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    // A trailing underscore gets another one, so that `int_` of the policy is not `int` escaped.
    const bool escape = reserved().count(s) || s.back() == '_' || like_macro(s) || starts_with(s, "rmt") || starts_with(s, "bpf") ||
                        starts_with(s, "_");
    return escape ? s + "_" : s;
}

std::string base_name(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

void CWriter::raw(const std::string& text) {
    text_ += text + "\n";
    next_++;
    presumed_++;
}

void CWriter::direct() {
    const bool own = policy_line_ == 0;
    if (own == presumed_own_ && presumed_ == (own ? next_ : policy_line_)) return;
    const uint32_t line = own ? next_ + 1 : policy_line_;
    raw("#line " + std::to_string(line) + " " + c_string(own ? policy_file_ + ".c" : policy_file_));
    presumed_ = line;
    presumed_own_ = own;
}

void CWriter::line(const std::string& text) {
    direct();
    raw(std::string(static_cast<size_t>(depth_), '\t') + text);
}

void CWriter::blank() { raw(""); }

void CWriter::open(const std::string& head) {
    line(head.empty() ? "{" : head + " {");
    depth_++;
}

// A bracket of the policy's has no code of its own that anybody would look for: no directive.
void CWriter::reopen(const std::string& middle) {
    raw(std::string(static_cast<size_t>(depth_ - 1), '\t') + "} " + middle + " {");
}

void CWriter::close(const std::string& tail) {
    depth_--;
    if (policy_line_ == 0) direct();
    raw(std::string(static_cast<size_t>(depth_), '\t') + "}" + tail);
}

}  // namespace rmt::lang
