// SPDX-License-Identifier: MIT
#include "rmt_lang/support/diagnostics.h"

#include <algorithm>
#include <numeric>

namespace rmt {

namespace {

const char* severity_name(Severity severity) {
    switch (severity) {
        case Severity::Error: return "error";
        case Severity::Warning: return "warning";
        case Severity::Note: return "note";
    }
    return "error";
}

// False for the bytes of a UTF-8 character after its first.
bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

// A text from anywhere must not move the cursor or change the colours of a terminal.
std::string printable(std::string_view line) {
    std::string out(line);
    for (char& c : out)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = '?';
    return out;
}

// One source line with a row of marks under the label's part of it. A span over several lines marks its first line.
void print_label(std::string& out, const Source& source, const Label& label, char mark, size_t gutter, bool with_line = true) {
    const Position begin = source.position(label.span.begin);
    const std::string_view line = source.line(begin.line);
    const size_t column = std::min<size_t>(begin.column - 1, line.size());
    const size_t span = label.span.end > label.span.begin ? label.span.end - label.span.begin : 1;
    const size_t width = std::max<size_t>(1, std::min(span, line.size() - column));
    const std::string number = std::to_string(begin.line);
    if (with_line) out += std::string(gutter - number.size(), ' ') + number + " | " + printable(line) + "\n";
    out += std::string(gutter, ' ') + " | ";
    for (size_t i = 0; i < column; i++)
        if (begins_character(line[i])) out += line[i] == '\t' ? '\t' : ' ';
    const std::string_view marked = line.substr(column, width);
    out += std::string(std::max<size_t>(1, std::count_if(marked.begin(), marked.end(), begins_character)), mark);
    if (!label.text.empty()) out += " " + label.text;
    out += "\n";
}

}  // namespace

void Diagnostics::add(Diagnostic diagnostic) {
    if (diagnostic.severity == Severity::Error && ++errors_ > kMaxErrors) return;
    all_.push_back(std::move(diagnostic));
}

void Diagnostics::error(std::string id, Span at, std::string message, std::string label, std::string help) {
    add({std::move(id), Severity::Error, std::move(message), Label{at, std::move(label)}, std::nullopt, {}, std::move(help)});
}

std::string format(const Diagnostic& d, const Source& source) {
    std::string out = std::string(severity_name(d.severity)) + "[" + d.id + "]: " + d.message + "\n";
    size_t gutter = 1;
    if (d.at) {
        uint32_t last = source.position(d.at->span.begin).line;
        if (d.related) last = std::max(last, source.position(d.related->span.begin).line);
        gutter = std::to_string(last).size();
        const Position p = source.position(d.at->span.begin);
        out += std::string(gutter, ' ') + "--> " + source.name() + ":" + std::to_string(p.line) + ":" + std::to_string(p.column) + "\n";
        out += std::string(gutter, ' ') + " |\n";
        const bool same_line = d.related && source.position(d.related->span.begin).line == p.line;
        const bool related_first = d.related && d.related->span.begin < d.at->span.begin;
        if (related_first) print_label(out, source, *d.related, '~', gutter);
        print_label(out, source, *d.at, '^', gutter, !(related_first && same_line));
        if (d.related && !related_first) print_label(out, source, *d.related, '~', gutter, !same_line);
    }
    for (const std::string& line : d.because) out += std::string(gutter, ' ') + " = because: " + line + "\n";
    if (!d.help.empty()) out += std::string(gutter, ' ') + " = help: " + d.help + "\n";
    return out;
}

std::string format(const Diagnostics& diagnostics, const Source& source) {
    std::string out;
    for (const Diagnostic& d : diagnostics.all()) out += format(d, source) + "\n";
    if (diagnostics.error_count() > Diagnostics::kMaxErrors)
        out += std::to_string(diagnostics.error_count() - Diagnostics::kMaxErrors) + " more errors are not shown\n";
    return out;
}

std::string closest(const std::string& given, const std::vector<std::string>& candidates) {
    std::string best;
    size_t best_distance = given.size() / 3 + 1;
    for (const std::string& candidate : candidates) {
        std::vector<size_t> row(candidate.size() + 1);
        std::iota(row.begin(), row.end(), size_t{0});
        for (size_t i = 1; i <= given.size(); i++) {
            size_t diagonal = row[0];
            row[0] = i;
            for (size_t j = 1; j <= candidate.size(); j++) {
                const size_t substitute = diagonal + (given[i - 1] == candidate[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
            }
        }
        if (row.back() <= best_distance && (best.empty() || row.back() < best_distance)) {
            best = candidate;
            best_distance = row.back();
        }
    }
    return best;
}

}  // namespace rmt
