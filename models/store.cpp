// SPDX-License-Identifier: MIT
#include "models/store.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <set>

#include "models/json_read.h"
#include "models/store_files.h"

namespace rmt::models {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxName = 64;

struct Labels {  // aliases.json
    std::map<std::string, uint32_t> aliases;
    uint32_t last_version = 0;
};

// "v3" or "3"; 0 is no version.
std::optional<uint32_t> version_in(const std::string& text, bool bare) {
    const size_t from = !text.empty() && text[0] == 'v' ? 1 : 0;
    if (text.size() <= from || text.size() > from + 9 || (from == 0 && !bare)) return std::nullopt;
    if (!std::all_of(text.begin() + static_cast<long>(from), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
    const auto number = static_cast<uint32_t>(std::strtoul(text.c_str() + from, nullptr, 10));
    if (number == 0 || text[from] == '0') return std::nullopt;
    return number;
}

std::string file_of(uint32_t version) { return "v" + std::to_string(version) + ".json"; }

Result<Labels> read_labels(const fs::path& folder) {
    Labels labels;
    const fs::path path = folder / "aliases.json";
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return labels;
    RMT_TRY(const std::string text, read_whole(path));
    auto parsed = parse_json(text);
    const auto damaged = [&](const std::string& why) {
        return fail(ErrorKind::Input, "'" + path.string() + "' is damaged: " + why, "remove it: only the aliases are lost");
    };
    if (!parsed) return damaged(parsed.error().message);
    const Reader root(*parsed, "");
    auto last = root.int_at("last_version", 0, 999'999'999);
    if (!last) return damaged(last.error().message);
    labels.last_version = static_cast<uint32_t>(*last);
    auto aliases = root.at("aliases");
    if (!aliases || !aliases->json().is_object()) return damaged("aliases is no object");
    for (const auto& [alias, value] : aliases->json().items()) {
        auto version = Reader(value, "/aliases/" + alias).as_int(1, 999'999'999);
        if (!version) return damaged(version.error().message);
        labels.aliases[alias] = static_cast<uint32_t>(*version);
    }
    return labels;
}

Result<void> write_labels(const fs::path& folder, const Labels& labels) {
    return write_whole(folder / "aliases.json", Json{{"aliases", labels.aliases}, {"last_version", labels.last_version}}.dump(2) + "\n");
}

// Ascending. The file of before versions existed is version 1, unless there is a newer file of that number.
std::vector<StoredModel> versions_of(const fs::path& models, const std::string& name) {
    std::vector<StoredModel> found;
    const auto add = [&](uint32_t version, const fs::path& path) {
        StoredModel model;
        model.name = name;
        model.version = version;
        model.path = path.string();
        model.added = modified_at(path);
        found.push_back(std::move(model));
    };
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(models / name, ignored)) {
        const fs::path path = entry.path();
        const auto version = path.extension() == ".json" ? version_in(path.stem().string(), false) : std::nullopt;
        if (version && fs::is_regular_file(path, ignored)) add(*version, path);
    }
    std::sort(found.begin(), found.end(), [](const StoredModel& a, const StoredModel& b) { return a.version < b.version; });
    const fs::path old = models / (name + ".json");
    if (fs::is_regular_file(old, ignored) && (found.empty() || found[0].version != 1)) {
        add(1, old);
        std::rotate(found.begin(), found.end() - 1, found.end());
    }
    return found;
}

Result<std::vector<StoredModel>> with_aliases(const fs::path& models, const std::string& name) {
    std::vector<StoredModel> found = versions_of(models, name);
    RMT_TRY(const Labels labels, read_labels(models / name));
    for (StoredModel& model : found)
        for (const auto& [alias, version] : labels.aliases)
            if (version == model.version) model.aliases.push_back(alias);
    return found;
}

// Names in use, ascending.
std::vector<std::string> names_in(const fs::path& models) {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(models, ignored)) {
        const bool folder = entry.is_directory(ignored);
        if (!folder && entry.path().extension() != ".json") continue;
        std::string name = folder ? entry.path().filename().string() : entry.path().stem().string();
        if (check_store_name("a name", name)) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::string list_text(const std::vector<StoredModel>& models) {
    std::string text;
    for (const StoredModel& model : models) {
        text += (text.empty() ? "it has: v" : ", v") + std::to_string(model.version);
        for (const std::string& alias : model.aliases) text += " (" + alias + ")";
    }
    return text;
}

Unexpected<Error> no_such(const fs::path& models, const std::string& name) {
    std::string have;
    for (const std::string& known : names_in(models)) have += (have.empty() ? "it has: " : ", ") + known;
    return fail(ErrorKind::NotFound, "the store " + models.string() + " has no model '" + name + "'",
                have.empty() ? "rmt-load model import FILE --name " + name : have);
}

std::string hex_of(const std::string& digest) { return digest.substr(digest.find(':') + 1); }

}  // namespace

Result<void> check_store_name(const std::string& what, const std::string& name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    };
    if (!name.empty() && name.size() <= kMaxName && name[0] != '.' && name[0] != '-' && std::all_of(name.begin(), name.end(), plain)) return {};
    return fail(ErrorKind::Input, what + " '" + name + "' was given, 1 to 64 letters, digits, '_', '-' or '.' were expected");
}

Store Store::standard() {
    const char* state = std::getenv("RMT_STATE_DIR");
    return Store(state && *state ? state : "/var/lib/rmt-load");
}

Result<StoredModel> Store::add(const std::string& name, const Model& model, bool& added) const {
    RMT_CHECK(check_store_name("name", name));
    const fs::path models = root_ / "models", folder = models / name;
    RMT_TRY(const StoreLock lock, StoreLock::take(models));
    remove_leftovers(folder);
    RMT_TRY(std::vector<StoredModel> known, with_aliases(models, name));
    for (StoredModel& version : known) {
        RMT_TRY(const std::string text, artefact(version));
        const auto parsed = parse_model(text);  // one that is damaged has no digest to compare
        if (!parsed || parsed->digest != model.digest) continue;
        added = false;
        return std::move(version);
    }
    RMT_TRY(Labels labels, read_labels(folder));
    labels.last_version = std::max(labels.last_version, known.empty() ? 0 : known.back().version) + 1;
    StoredModel fresh;
    fresh.name = name;
    fresh.version = labels.last_version;
    fresh.path = (folder / file_of(fresh.version)).string();
    RMT_CHECK(write_whole(fresh.path, to_json(model)));
    RMT_CHECK(write_labels(folder, labels));
    fresh.added = modified_at(fresh.path);
    added = true;
    return fresh;
}

Result<StoredModel> Store::find(const std::string& reference) const {
    const size_t at = reference.find('@');
    const std::string name = reference.substr(0, at);
    RMT_CHECK(check_store_name("model", name));
    const fs::path models = root_ / "models";
    RMT_TRY(std::vector<StoredModel> known, with_aliases(models, name));
    if (known.empty()) return no_such(models, name);
    if (at == std::string::npos) return std::move(known.back());
    const std::string which = reference.substr(at + 1);
    const auto number = version_in(which, true);
    for (StoredModel& model : known)
        if (number ? model.version == *number : std::count(model.aliases.begin(), model.aliases.end(), which) > 0) return std::move(model);
    return fail(ErrorKind::NotFound, "model '" + name + "' has no version or alias '" + which + "'", list_text(known));
}

Result<std::string> Store::artefact(const StoredModel& model) const { return read_whole(model.path); }

Result<std::vector<StoredModel>> Store::list() const {
    std::vector<StoredModel> all;
    const fs::path models = root_ / "models";
    for (const std::string& name : names_in(models)) {
        RMT_TRY(std::vector<StoredModel> versions, with_aliases(models, name));
        std::move(versions.begin(), versions.end(), std::back_inserter(all));
    }
    return all;
}

Result<void> Store::set_alias(const std::string& name, const std::string& alias, std::optional<uint32_t> version) const {
    RMT_CHECK(check_store_name("alias", alias));
    if (version_in(alias, true))
        return fail(ErrorKind::Input, "alias '" + alias + "' was given, a name that is no version number was expected", "e.g. stable");
    RMT_CHECK(check_store_name("model", name));
    const fs::path models = root_ / "models";
    RMT_TRY(const StoreLock lock, StoreLock::take(models));
    RMT_TRY(const StoredModel model, find(version ? name + "@v" + std::to_string(*version) : name));
    RMT_TRY(Labels labels, read_labels(models / name));
    labels.aliases[alias] = model.version;
    labels.last_version = std::max(labels.last_version, model.version);
    return write_labels(models / name, labels);
}

Result<void> Store::remove_alias(const std::string& name, const std::string& alias) const {
    RMT_CHECK(check_store_name("model", name));
    const fs::path models = root_ / "models";
    RMT_TRY(const StoreLock lock, StoreLock::take(models));
    RMT_TRY(Labels labels, read_labels(models / name));
    if (labels.aliases.erase(alias) == 0)
        return fail(ErrorKind::NotFound, "model '" + name + "' has no alias '" + alias + "'", list_text(*with_aliases(models, name)));
    return write_labels(models / name, labels);
}

Result<void> Store::remove(const std::string& name, std::optional<uint32_t> version) const {
    RMT_CHECK(check_store_name("model", name));
    const fs::path models = root_ / "models", folder = models / name;
    RMT_TRY(const StoreLock lock, StoreLock::take(models));
    RMT_TRY(const StoredModel model, find(version ? name + "@v" + std::to_string(*version) : name));
    std::error_code error;
    const std::vector<StoredModel> known = versions_of(models, name);
    if (!version || known.size() == 1) {
        fs::remove(models / (name + ".json"), error);
        if (!error) fs::remove_all(folder, error);
    } else {
        RMT_TRY(Labels labels, read_labels(folder));
        std::erase_if(labels.aliases, [&](const auto& alias) { return alias.second == *version; });
        labels.last_version = std::max(labels.last_version, known.back().version);
        RMT_CHECK(write_labels(folder, labels));
        fs::remove(model.path, error);
    }
    if (error)
        return fail(error == std::errc::permission_denied ? ErrorKind::Permission : ErrorKind::Environment,
                    "cannot remove '" + model.path + "': " + error.message());
    return {};
}

namespace {

Json to_line(const HistoryEntry& e) {
    Json line = {{"time", e.time}, {"digest", e.digest}, {"name", e.name}, {"version", e.version}, {"who", e.who}, {"how", e.how}};
    if (e.of) line["of"] = *e.of;
    return line;
}

std::optional<HistoryEntry> from_line(const std::string& text, size_t number) {
    const auto parsed = parse_json(text);
    if (!parsed || !parsed->is_object()) return std::nullopt;
    const Reader root(*parsed, "");
    HistoryEntry e;
    const std::pair<const char*, std::string*> texts[] = {
        {"time", &e.time}, {"digest", &e.digest}, {"name", &e.name}, {"who", &e.who}, {"how", &e.how}};
    for (const auto& [key, to] : texts) {
        auto value = root.string_at(key);
        if (!value) return std::nullopt;
        *to = std::move(*value);
    }
    auto version = root.int_at("version", 0, 999'999'999);
    if (!version) return std::nullopt;
    e.version = static_cast<uint32_t>(*version);
    if (root.find("of")) {
        // Only what stands before: a step back always ends.
        auto of = number == 0 ? Result<int64_t>(int64_t{-1}) : root.int_at("of", 0, static_cast<int64_t>(number) - 1);
        if (!of || *of < 0) return std::nullopt;
        e.of = static_cast<size_t>(*of);
    }
    return e;
}

}  // namespace

Result<std::vector<HistoryEntry>> Store::history(const std::string& policy, const std::string& model) const {
    RMT_CHECK(check_store_name("policy", policy));
    RMT_CHECK(check_store_name("model", model));
    const fs::path path = root_ / "history" / policy / model / "log.jsonl";
    std::vector<HistoryEntry> entries;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return entries;
    RMT_TRY(const std::string text, read_whole(path));
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        if (auto entry = from_line(text.substr(at, end - at), entries.size())) entries.push_back(std::move(*entry));
        at = end + 1;
    }
    return entries;
}

namespace {

// Copies that no rollback of kHistoryDepth steps reaches, and that are not of the newest entries either: who rolled back by mistake
// has what was left.
void prune_copies(const fs::path& folder, const std::vector<HistoryEntry>& history) {
    std::set<std::string> keep;
    for (size_t i = history.size() - std::min(history.size(), kHistoryDepth + 1); i < history.size(); i++) keep.insert(hex_of(history[i].digest));
    for (const size_t entry : rollback_chain(history, kHistoryDepth)) keep.insert(hex_of(history[entry].digest));
    std::vector<fs::path> old;
    std::error_code ignored;
    for (const auto& file : fs::directory_iterator(folder, ignored))
        if (file.path().extension() == ".json" && !keep.contains(file.path().stem().string())) old.push_back(file.path());
    for (const fs::path& path : old) fs::remove(path, ignored);
}

}  // namespace

Result<void> Store::append_history(const std::string& policy, const std::string& model, HistoryEntry entry, const std::string& artefact) const {
    RMT_CHECK(check_store_name("policy", policy));
    RMT_CHECK(check_store_name("model", model));
    const fs::path folder = root_ / "history" / policy / model;
    RMT_TRY(const StoreLock lock, StoreLock::take(folder));
    remove_leftovers(folder);
    const fs::path copy = folder / (hex_of(entry.digest) + ".json");
    std::error_code ignored;
    if (!fs::exists(copy, ignored)) RMT_CHECK(write_whole(copy, artefact));
    if (entry.time.empty()) entry.time = utc_time(std::time(nullptr));
    RMT_CHECK(append_line(folder / "log.jsonl", to_line(entry).dump()));
    RMT_TRY(const std::vector<HistoryEntry> all, history(policy, model));
    if (!all.empty() && all.back().digest == entry.digest) prune_copies(folder, all);  // else the log is damaged: nothing is taken away
    return {};
}

Result<std::string> Store::history_artefact(const std::string& policy, const std::string& model, const std::string& digest) const {
    RMT_CHECK(check_store_name("policy", policy));
    RMT_CHECK(check_store_name("model", model));
    RMT_CHECK(check_store_name("digest", hex_of(digest)));
    return read_whole(root_ / "history" / policy / model / (hex_of(digest) + ".json"));
}

std::vector<std::string> Store::in_history(const std::string& digest) const {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& policy : fs::directory_iterator(root_ / "history", ignored))
        for (const auto& model : fs::directory_iterator(policy.path(), ignored))
            if (fs::exists(model.path() / (hex_of(digest) + ".json"), ignored))
                found.push_back(policy.path().filename().string() + "/" + model.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
}

std::vector<size_t> rollback_chain(const std::vector<HistoryEntry>& history, size_t most) {
    std::vector<size_t> chain;
    if (history.empty()) return chain;
    const size_t last = history.size() - 1;
    for (std::optional<size_t> at = history[last].of.value_or(last); at && chain.size() <= most; at = before_in_history(history, *at)) chain.push_back(*at);
    return chain;
}

std::optional<size_t> before_in_history(const std::vector<HistoryEntry>& history, size_t entry) {
    if (entry >= history.size()) return std::nullopt;
    const size_t origin = history[entry].of.value_or(entry);
    if (origin == 0) return std::nullopt;
    return history[origin - 1].of.value_or(origin - 1);
}

}  // namespace rmt::models
