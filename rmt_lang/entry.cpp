// SPDX-License-Identifier: MIT
#include "rmt_lang/entry.h"

#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/parser.h"

namespace rmt::lang {

namespace {

constexpr size_t kMaxText = 15;  // bytes of a task's name; the kernel keeps 16 with the zero behind it

bool covers_one(const KeyMatch& earlier, const KeyMatch& later, std::pair<int64_t, int64_t> bounds) {
    if (std::holds_alternative<KeyAny>(earlier)) return true;
    if (const auto* a = std::get_if<KeyRange>(&earlier)) {
        const auto* b = std::get_if<KeyRange>(&later);
        const int64_t lo = b ? b->lo : bounds.first, hi = b ? b->hi : bounds.second;
        return a->lo <= lo && hi <= a->hi;
    }
    const auto& a = std::get<KeyText>(earlier);
    const auto* b = std::get_if<KeyText>(&later);
    if (!b) return false;
    return a.prefix ? b->text.starts_with(a.text) : !b->prefix && a.text == b->text;
}

}  // namespace

bool covers(const std::vector<KeyMatch>& earlier, const std::vector<KeyMatch>& later,
            const std::vector<std::pair<int64_t, int64_t>>& bounds) {
    for (size_t i = 0; i < earlier.size(); i++)
        if (!covers_one(earlier[i], later[i], bounds[i])) return false;
    return true;
}

std::string text_key_problem(const std::string& text, bool prefix) {
    if (text.size() > kMaxText) return fmt::format("a task's name has at most {} bytes, this has {}", kMaxText, text.size());
    if (prefix && text.empty()) return "an empty beginning matches everything: write '*' without quotes";
    if (text.find('*') != std::string::npos)
        return prefix ? "a prefix matches the beginning as it is: leave the '*' out" : "'*' in a string is no wildcard here: declare the key as prefix";
    return {};
}

}  // namespace rmt::lang
