// SPDX-License-Identifier: MIT
// corpus_check DIRECTORY: imports every model file below a directory that is not part of the project, compares with predictions that
// lie beside it, and says one line for each file. For people who collect models; no test runs it.
//   NAME.json|ubj + NAME.exp      {"X": rows, null missing; "pred": rows; "margin": rows}: XGBoost's own
//   NAME-model.json + NAME.samples.json  {"x": rows, "y": numbers}
//   NAME.txt|model + NAME_true_predictions.txt, rows in *.libsvm of the same folder
// Exit 0: every file was imported and agrees, or was refused with a reason.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "models/import.h"
#include "models/json_read.h"

using namespace rmt::models;
namespace fs = std::filesystem;

namespace {

struct Expected {
    std::vector<std::vector<double>> rows, margin, prediction;
};

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::vector<double>> matrix(const Json& json) {
    std::vector<std::vector<double>> out;
    for (const Json& row : json) {
        out.emplace_back();
        if (!row.is_array())
            out.back().push_back(row.get<double>());
        else
            for (const Json& cell : row) out.back().push_back(cell.is_number() ? cell.get<double>() : std::nan(""));
    }
    return out;
}

std::vector<std::vector<double>> libsvm(const std::string& text, size_t features) {
    std::vector<std::vector<double>> out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        out.emplace_back(features, 0.0);
        while (words >> word) {
            size_t colon = word.find(':');
            auto index = static_cast<size_t>(std::stoul(word.substr(0, colon)));
            if (index < features) out.back()[index] = std::stod(word.substr(colon + 1));
        }
    }
    return out;
}

Expected find_expected(const fs::path& path, size_t features) {
    Expected out;
    fs::path exp = path;
    exp.replace_extension(".exp");
    std::string stem = path.stem().string();
    if (fs::exists(exp)) {
        Json json = Json::parse(read_text(exp));
        out = {matrix(json["X"]), matrix(json["margin"]), matrix(json["pred"])};
    } else if (stem.ends_with("-model") && fs::exists(path.parent_path() / (stem.substr(0, stem.size() - 6) + ".samples.json"))) {
        Json json = Json::parse(read_text(path.parent_path() / (stem.substr(0, stem.size() - 6) + ".samples.json")));
        out = {matrix(json["x"]), {}, matrix(json["y"])};
    } else if (fs::exists(path.parent_path() / (stem + "_true_predictions.txt"))) {
        std::istringstream lines(read_text(path.parent_path() / (stem + "_true_predictions.txt")));
        for (std::string line; std::getline(lines, line);) {
            out.prediction.emplace_back();
            std::istringstream words(line);
            for (double value; words >> value;) out.prediction.back().push_back(value);
        }
        for (const auto& entry : fs::directory_iterator(path.parent_path()))
            if (entry.path().extension() == ".libsvm") out.rows = libsvm(read_text(entry.path()), features);
    }
    return out;
}

// Ranges of the rows; a column with fractions gets as many fraction bits as leave room.
std::vector<ModelInput> inputs_of(const FloatModel& model, const std::vector<std::vector<double>>& rows) {
    std::vector<ModelInput> inputs;
    for (size_t f = 0; f < model.features.size(); f++) {
        double low = 0, high = 0;
        bool whole = true;
        for (const auto& row : rows) {
            if (std::isnan(row[f])) continue;
            low = std::min(low, row[f]), high = std::max(high, row[f]);
            whole = whole && row[f] == std::floor(row[f]);
        }
        uint32_t bits = 0;
        while (!whole && bits < 24 && std::max(-low, high) * std::ldexp(1.0, static_cast<int>(bits) + 1) < (1 << 29)) bits++;
        double unit = std::ldexp(1.0, static_cast<int>(bits));
        inputs.push_back({model.features[f].name, "i32", static_cast<int64_t>(std::floor(low * unit)) - 1,
                          static_cast<int64_t>(std::ceil(high * unit)) + 1, -(1 << 30), bits});
    }
    return inputs;
}

double worst_difference(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b, size_t* exact) {
    double worst = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); i++) {
        if (a[i].size() != b[i].size()) return HUGE_VAL;
        *exact += a[i] == b[i];
        for (size_t k = 0; k < a[i].size(); k++) worst = std::max(worst, std::abs(a[i][k] - b[i][k]) / std::max(1.0, std::abs(b[i][k])));
    }
    return worst;
}

// True: as expected.
bool check_file(const fs::path& path, const std::string& name) {
    std::string bytes = read_text(path);
    ImportOptions options;
    auto imported = import_float_model(bytes, options);
    if (!imported) {
        std::printf("%-44s refused: %s\n", name.c_str(), imported.error().message.c_str());
        return imported.error().message.starts_with("M01");
    }
    const FloatModel& model = imported->model;
    Expected expected = find_expected(path, model.features.size());
    std::vector<std::vector<double>> margins, predictions;
    for (const auto& row : expected.rows) {
        margins.push_back(raw_margin(model, row));
        predictions.push_back(transformed(model, margins.back()));
    }
    size_t same_margin = 0, same_prediction = 0;
    double margin_error = worst_difference(margins, expected.margin, &same_margin);
    double prediction_error = worst_difference(predictions, expected.prediction, &same_prediction);
    std::printf("%-44s %-15s %4zu trees  rows %zu  margin %zu equal, worst %.2g  prediction worst %.2g\n", name.c_str(),
                model.source.c_str(), model.trees.size(), expected.rows.size(), same_margin, margin_error, prediction_error);
    bool good = margin_error < 1e-6 && prediction_error < 1e-6;
    auto again = parse_float_model(to_json(model));
    if (!again || !(*again == model)) {
        std::printf("    its own JSON reads back as something else: %s\n", again ? "different" : again.error().message.c_str());
        good = false;
    }
    if (!expected.rows.empty()) options.inputs = inputs_of(model, expected.rows);
    if (model.task == FloatTask::Multioutput) options.output = 0;
    options.score = model.task == FloatTask::Regression && model.transform != Transform::Identity;
    auto quantised = quantise_trees(model, options);
    if (!quantised) {
        std::printf("    not for the kernel: %s\n", quantised.error().message.c_str());
        return good && (quantised.error().message.starts_with("M0110") || quantised.error().message.find("deeper") != std::string::npos);
    }
    std::vector<std::vector<int64_t>> rows;
    for (const auto& row : expected.rows) {
        rows.emplace_back();
        for (size_t i = 0; i < row.size(); i++) {
            const ModelInput& input = options.inputs[i];
            rows.back().push_back(std::isnan(row[i])
                                      ? *input.missing
                                      : static_cast<int64_t>(std::llround(std::ldexp(row[i], static_cast<int>(input.fraction_bits)))));
        }
    }
    Comparison own = compare_rows(model, *quantised, options, rows);
    Comparison probe = compare_rows(model, *quantised, options, probe_rows(quantised->model, 4096, 7));
    std::printf(
        "    integers: depth %u, %u nodes, %zu sets; of %zu rows %zu differ, of %zu at thresholds %zu differ (%zu within the bounds); "
        "margin %.2g "
        "off, bounds %.2g + %.2g\n",
        model_depth(quantised->model), model_nodes(quantised->model), quantised->model.sets.size(), own.rows, own.different, probe.rows,
        probe.different, probe.unproved, std::max(own.largest_difference, probe.largest_difference), quantised->margin_bound,
        quantised->library_bound);
    return good && own.different <= own.unproved && probe.different <= probe.unproved &&
           std::max(own.largest_difference, probe.largest_difference) <= quantised->margin_bound + quantised->library_bound + 1e-12;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: corpus_check DIRECTORY\n");
        return 2;
    }
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(argv[1])) {
        std::string name = entry.path().filename().string(), ext = entry.path().extension().string();
        bool data = name.ends_with(".samples.json") || name.ends_with("_true_predictions.txt") || name == "README.md";
        if (entry.is_regular_file() && !data && (ext == ".json" || ext == ".ubj" || ext == ".txt" || ext == ".model"))
            paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    size_t bad = 0;
    for (const fs::path& path : paths) {
        bool good = check_file(path, fs::relative(path, argv[1]).string());
        if (!good) std::printf("    ^ NOT AS EXPECTED\n");
        bad += !good;
    }
    std::printf("%zu files, %zu not as expected\n", paths.size(), bad);
    return bad == 0 ? 0 : 1;
}
