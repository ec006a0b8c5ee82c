// SPDX-License-Identifier: MIT
// table list, add, del: entries change while the policy runs; a table is always replaced as a whole.
#include <fmt/format.h>

#include "loader/cli/commands.h"
#include "loader/live.h"
#include "rmt_lang/entry.h"

namespace rmt::cli {

namespace {

using load::LivePolicy;

struct Where {
    LivePolicy live;
    const ManifestTable* table;
};

// "POLICY/TABLE", or "POLICY" when it has one table.
Result<Where> find_table(const std::string& where) {
    const size_t slash = where.find('/');
    RMT_TRY(LivePolicy live, LivePolicy::open(where.substr(0, slash)));
    const std::vector<ManifestTable>& tables = live.manifest().tables;
    std::string names;
    for (const ManifestTable& t : tables) names += (names.empty() ? "" : ", ") + t.name;
    if (slash == std::string::npos && tables.size() != 1)
        return fail(ErrorKind::Input, "'" + where + "' names no table", "write POLICY/TABLE; it has: " + names);
    const std::string name = slash == std::string::npos ? tables[0].name : where.substr(slash + 1);
    if (!live.manifest().find_table(name))
        return fail(ErrorKind::NotFound, "policy '" + live.name() + "' has no table '" + name + "'", "it has: " + names);
    Where found{std::move(live), nullptr};
    found.table = found.live.manifest().find_table(name);
    return found;
}

bool same(const ManifestEntry& a, const ManifestEntry& b) { return a.keys == b.keys; }

std::vector<std::pair<int64_t, int64_t>> bounds(const ManifestTable& table) {
    std::vector<std::pair<int64_t, int64_t>> all;
    for (const ManifestKey& key : table.keys) all.emplace_back(key.min, key.max);
    return all;
}

int report(const Output& out, const Where& where, const char* verb, size_t count) {
    if (out.json)
        out.document("table", {{"policy", where.live.name()}, {"table", where.table->name}, {verb, count}});
    else
        out.print(fmt::format("{}/{}: {} {}", where.live.name(), where.table->name, count, verb));
    return kOk;
}

}  // namespace

int cmd_table_list(const Output& out, const std::string& where) {
    RMT_CLI_TRY(const Where found, find_table(where));
    RMT_CLI_TRY(const load::TableState state, found.live.table(*found.table));
    Json entries = Json::array();
    std::string text;
    for (size_t i = 0; i < state.entries.size(); i++) {
        const std::string entry = format_entry(found.live.manifest(), *found.table, state.entries[i]);
        entries.push_back({{"entry", entry}, {"hits", state.hits[i]}});
        text += fmt::format("{}  # {} hits\n", entry, state.hits[i]);
    }
    text += fmt::format("# default: {} hits\n", state.default_hits);
    if (out.json)
        out.document("table", {{"policy", found.live.name()}, {"table", found.table->name}, {"version", state.version}, {"size", found.table->size},
                               {"entries", entries}, {"default_hits", state.default_hits}});
    else
        out.print(text);
    return kOk;
}

int cmd_table_add(const Output& out, const std::string& where, const std::vector<std::string>& texts, int position) {
    RMT_CLI_TRY(const Where found, find_table(where));
    RMT_CLI_TRY(load::TableState state, found.live.table(*found.table));
    size_t at = position < 0 ? state.entries.size() : std::min<size_t>(static_cast<size_t>(position), state.entries.size());
    for (const std::string& text : texts) {
        RMT_CLI_TRY(ManifestEntry entry, lang::parse_entry(text, found.live.manifest(), *found.table));
        for (size_t i = 0; i < at; i++) {
            if (!lang::covers(state.entries[i].keys, entry.keys, bounds(*found.table))) continue;
            return out.error(Error{ErrorKind::Conflict, "'" + text + "' could never match: entry #" + std::to_string(i + 1) + " '" +
                                   format_entry(found.live.manifest(), *found.table, state.entries[i]) + "' comes before it",
                                   "put it in front with --at 0, or take the other out", 0, {}});
        }
        state.entries.insert(state.entries.begin() + static_cast<std::ptrdiff_t>(at++), std::move(entry));
    }
    RMT_CLI_CHECK(found.live.set_table(*found.table, state.entries));
    return report(out, found, "added", texts.size());
}

int cmd_table_del(const Output& out, const std::string& where, const std::vector<std::string>& texts) {
    RMT_CLI_TRY(const Where found, find_table(where));
    RMT_CLI_TRY(load::TableState state, found.live.table(*found.table));
    for (const std::string& text : texts) {
        // The whole entry, or its keys alone.
        const std::string whole = text.find("=>") == std::string::npos ? text + " => " + found.live.manifest().actions[found.table->default_entry.action].name + "()" : text;
        RMT_CLI_TRY(const ManifestEntry entry, lang::parse_entry(whole, found.live.manifest(), *found.table));
        const size_t before = state.entries.size();
        std::erase_if(state.entries, [&](const ManifestEntry& e) { return same(e, entry); });
        if (state.entries.size() == before)
            return out.error(Error{ErrorKind::NotFound, "no entry of '" + where + "' matches '" + text + "'", "rmt-load table list " + where, 0, {}});
    }
    RMT_CLI_CHECK(found.live.set_table(*found.table, state.entries));
    return report(out, found, "deleted", texts.size());
}

}  // namespace rmt::cli
