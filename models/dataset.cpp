// SPDX-License-Identifier: MIT
#include "models/dataset.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <unordered_map>

#include "models/errors.h"
#include "models/json_read.h"
#include "models/types.h"
#include "rmt_lang/support/diagnostics.h"

namespace rmt::models {
namespace {

bool parse_number(std::string_view text, int64_t& number) {
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    return ec == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

// Takes the next line off `text`; false at its end.
bool take_line(std::string_view& text, std::string_view& line) {
    if (text.empty()) return false;
    size_t end = text.find('\n');
    line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return true;
}

std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> cells;
    bool quoted = false;
    size_t begin = 0;
    for (size_t i = 0; i <= line.size(); i++) {
        if (i < line.size() && line[i] == '"') quoted = !quoted;
        if (i < line.size() && (line[i] != ',' || quoted)) continue;
        std::string_view cell = trim(line.substr(begin, i - begin));
        if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
        cells.push_back(cell);
        begin = i + 1;
    }
    return cells;
}

void name_types(Dataset& data) {
    for (Column& column : data.columns) {
        auto [min, max] = std::minmax_element(column.values.begin(), column.values.end());
        if (min == column.values.end()) continue;
        for (const char* type : {"u8", "i8", "u16", "i16", "i32", "u32", "i64"}) {
            auto range = find_type(type);
            column.type = type;
            if (*min >= range->min && *max <= range->max) break;
        }
    }
}

// What one line of JSON holds, arrays written out; text and fractions are left out.
Result<void> flatten(const Json& value, const std::string& name, std::vector<std::pair<std::string, int64_t>>& out,
                     std::vector<std::string>& skipped) {
    if (value.is_number_integer()) {
        if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX})
            return model_error("M0303", name, value.dump() + " does not fit 63 bits");
        out.emplace_back(name, value.get<int64_t>());
    } else if (value.is_boolean()) {
        out.emplace_back(name, value.get<bool>() ? 1 : 0);
    } else if (value.is_array()) {
        for (size_t i = 0; i < value.size(); i++) RMT_CHECK(flatten(value[i], name + "[" + std::to_string(i) + "]", out, skipped));
    } else {
        skipped.push_back(name);
    }
    return {};
}

}  // namespace

const Column* Dataset::find(const std::string& name) const {
    for (const Column& column : columns)
        if (column.name == name) return &column;
    return nullptr;
}

Result<Dataset> parse_csv(std::string_view text) {
    std::string_view line;
    if (!take_line(text, line) || line.empty()) return model_error("M0301", "line 1", "the names of the columns are expected");
    Dataset data;
    std::vector<bool> numeric;
    for (std::string_view name : split(line)) data.columns.push_back({std::string(name), "i64", {}});
    size_t number = 1;
    while (take_line(text, line)) {
        number++;
        if (line.empty()) continue;
        auto cells = split(line);
        std::string place = "line " + std::to_string(number);
        if (cells.size() != data.columns.size())
            return model_error(
                "M0301", place,
                std::to_string(cells.size()) + " cells, the header names " + std::to_string(data.columns.size()) + " columns");
        bool first = numeric.empty();
        if (first) numeric.assign(cells.size(), true);
        for (size_t i = 0; i < cells.size(); i++) {
            int64_t value = 0;
            if (!numeric[i]) continue;
            if (parse_number(cells[i], value)) {
                data.columns[i].values.push_back(value);
            } else if (first) {  // a column of text
                numeric[i] = false;
            } else {
                return model_error("M0303", place,
                                   "column '" + data.columns[i].name + "' holds '" + std::string(cells[i].substr(0, 40)) +
                                       "', an integer of 64 bits is expected");
            }
        }
    }
    for (size_t i = data.columns.size(); i-- > 0;) {
        if (numeric.empty() || numeric[i]) continue;
        data.skipped.insert(data.skipped.begin(), data.columns[i].name);
        data.columns.erase(data.columns.begin() + static_cast<ptrdiff_t>(i));
    }
    name_types(data);
    return data;
}

Result<Dataset> parse_jsonl(std::string_view text) {
    Dataset data;
    std::string_view line;
    size_t number = 0, rows = 0;
    std::vector<std::pair<std::string, int64_t>> cells;
    while (take_line(text, line)) {
        number++;
        if (line.empty()) continue;
        std::string place = "line " + std::to_string(number);
        auto row = parse_json(std::string(line));
        if (!row || !row->is_object()) return model_error("M0301", place, row ? "an object is expected" : row.error().message);
        cells.clear();
        std::vector<std::string> skipped;
        for (const auto& [name, value] : row->items()) {
            auto flat = flatten(value, name, cells, skipped);
            if (!flat) return model_error("M0303", place, flat.error().message);
        }
        if (rows == 0) {
            for (const auto& [name, value] : cells) data.columns.push_back({name, "i64", {}});
            data.skipped = skipped;
        }
        if (cells.size() != data.columns.size())
            return model_error("M0301", place,
                               std::to_string(cells.size()) + " numbers, the first line has " + std::to_string(data.columns.size()));
        for (size_t i = 0; i < cells.size(); i++) {  // nlohmann::json keeps keys sorted, so the order is that of the first line
            if (cells[i].first != data.columns[i].name)
                return model_error("M0301", place,
                                   "number '" + cells[i].first + "' where the first line has '" + data.columns[i].name + "'");
            data.columns[i].values.push_back(cells[i].second);
        }
        rows++;
    }
    name_types(data);
    return data;
}

Result<Dataset> read_dataset(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorKind::NotFound, "cannot open '" + path + "': " + std::strerror(errno), {}, errno);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (file.bad()) return fail(ErrorKind::Environment, "cannot read '" + path + "'");
    auto named = [&path](Result<Dataset> data) -> Result<Dataset> {
        if (!data) data.error().message += " (in " + path + ")";
        return data;
    };
    if (path.ends_with(".csv")) return named(parse_csv(bytes));
    if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) return named(parse_jsonl(bytes));
    if (path.ends_with(".npy")) return named(parse_npy(bytes));
    return model_error("M0301", "", "'" + path + "' ends neither in .csv nor in .jsonl nor in .npy", "`rmt-load collect` writes all three");
}

Result<const Column*> need_column(const Dataset& data, const std::string& name) {
    if (const Column* column = data.find(name)) return column;
    if (std::find(data.skipped.begin(), data.skipped.end(), name) != data.skipped.end())
        return model_error("M0302", "", "column '" + name + "' does not hold integers, so no model can use it");
    std::vector<std::string> names;
    std::string all;
    for (const Column& column : data.columns) {
        names.push_back(column.name);
        all += (all.empty() ? "" : ", ") + column.name;
    }
    std::string near = closest(name, names);
    return model_error("M0302", "", "there is no column '" + name + "'", near.empty() ? "columns: " + all : "did you mean '" + near + "'?");
}

Result<void> add_next_column(Dataset& data, const std::string& column, const std::string& by, const std::string& as) {
    RMT_TRY(const Column* source, need_column(data, column));
    const Column* group = nullptr;
    if (!by.empty()) {
        RMT_TRY(group, need_column(data, by));
    }
    size_t rows = data.rows();
    std::vector<int64_t> next(rows);
    std::vector<bool> keep(rows, false);
    std::unordered_map<int64_t, size_t> last;  // of each group, its latest row
    for (size_t row = 0; row < rows; row++) {
        auto [it, first] = last.try_emplace(group ? group->values[row] : 0, row);
        if (first) continue;
        next[it->second] = source->values[row];
        keep[it->second] = true;
        it->second = row;
    }
    Column added{as, source->type, std::move(next)};
    data.columns.push_back(std::move(added));
    for (Column& c : data.columns) {
        size_t to = 0;
        for (size_t row = 0; row < rows; row++)
            if (keep[row]) c.values[to++] = c.values[row];
        c.values.resize(to);
    }
    return {};
}

}  // namespace rmt::models
