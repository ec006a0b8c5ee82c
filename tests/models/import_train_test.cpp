// SPDX-License-Identifier: MIT
// Models that the distribution's own xgboost and scikit-learn train here, now: the float form predicts what the library predicted, and the
// integers decide as it did on every row. train_models.py writes both; without the packages this is skipped.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "models/import.h"
#include "models/json_read.h"
#include "models/reference.h"
#include "tests/rmt_test.h"

using namespace rmt::models;
namespace fs = std::filesystem;

namespace {

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "rmt-models-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
};

// The exit code of the script; `words` what it said. The distribution's Python is the one that has its packages.
int train(const std::string& kind, const fs::path& folder, std::string& words) {
    const char* python = fs::exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
    std::string command =
        std::string(python) + " -B -W ignore '" RMT_SOURCE_DIR "/tests/models/train_models.py' " + kind + " '" + folder.string() + "' 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char line[512];
    while (fgets(line, sizeof(line), pipe) != nullptr) words += line;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct Expected {
    std::vector<std::vector<std::optional<int64_t>>> rows;
    std::vector<std::vector<double>> margin, prediction;
    std::vector<double> decision;
    std::vector<int> tie;
};

Expected read_expected(const fs::path& path) {
    Json json = Json::parse(read_text(path));
    Expected out;
    for (const Json& row : json["x"]) {
        out.rows.emplace_back();
        for (const Json& cell : row) out.rows.back().push_back(cell.is_null() ? std::nullopt : std::optional(cell.get<int64_t>()));
    }
    out.margin = json["margin"].get<std::vector<std::vector<double>>>();
    out.prediction = json["prediction"].get<std::vector<std::vector<double>>>();
    out.decision = json["decision"].get<std::vector<double>>();
    out.tie = json["tie"].get<std::vector<int>>();
    REQUIRE(out.rows.size() > 1000);
    return out;
}

bool close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
    if (a.size() != b.size()) return false;
    for (size_t k = 0; k < a.size(); k++)
        if (!(std::abs(a[k] - b[k]) <= tolerance * std::max(1.0, std::abs(b[k])))) return false;
    return true;
}

std::vector<ModelInput> ranges(const Expected& expected) {
    std::vector<ModelInput> inputs;
    for (size_t i = 0; i < expected.rows[0].size(); i++) {
        ModelInput input{"i" + std::to_string(i), "i32", INT32_MAX, INT32_MIN, std::nullopt, 0};
        for (const auto& row : expected.rows) {
            if (!row[i]) {
                input.missing = -1000000;
                continue;
            }
            input.min = std::min(input.min, *row[i]), input.max = std::max(input.max, *row[i]);
        }
        inputs.push_back(input);
    }
    return inputs;
}

struct Tolerance {
    double margin, prediction;
    bool margin_is_prediction;  // scikit-learn's file has predictions only
};

void compare_floats(const FloatModel& model, const Expected& expected, const Tolerance& tolerance) {
    size_t wrong = 0, exact = 0;
    for (size_t r = 0; r < expected.rows.size(); r++) {
        std::vector<double> x;
        for (const auto& cell : expected.rows[r]) x.push_back(cell ? static_cast<double>(*cell) : std::nan(""));
        std::vector<double> margins = raw_margin(model, x), prediction = transformed(model, margins);
        if (tolerance.margin_is_prediction) {
            if (model.task == FloatTask::Binary) prediction = {1 - prediction[0], prediction[0]};
        } else {
            exact += margins == expected.margin[r];
            wrong += !close(margins, expected.margin[r], tolerance.margin);
        }
        wrong += !close(prediction, expected.prediction[r], tolerance.prediction);
    }
    CHECK(wrong == 0);
    if (tolerance.margin == 0) CHECK(exact == expected.rows.size());
}

void compare_integers(const FloatModel& model, const Expected& expected) {
    QuantiseTreesOptions options;
    options.inputs = ranges(expected);
    auto made = quantise_trees(model, options);
    REQUIRE((made ? "" : made.error().message) == "");
    size_t different = 0, ties = 0;
    std::vector<std::vector<int64_t>> rows;
    for (size_t r = 0; r < expected.rows.size(); r++) {
        std::vector<int64_t> row;
        for (size_t i = 0; i < expected.rows[r].size(); i++)
            row.push_back(expected.rows[r][i].value_or(options.inputs[i].missing.value_or(0)));
        auto answer = infer(made->model, row);
        REQUIRE(answer);
        ties += expected.tie[r];
        different += !expected.tie[r] && static_cast<double>(*answer) != expected.decision[r];
        rows.push_back(std::move(row));
    }
    CHECK(different == 0);
    CHECK(ties < expected.rows.size() / 20);
    for (auto* set : {&rows}) {
        Comparison own = compare_rows(model, *made, options, *set);
        CHECK(own.rows == rows.size());
        CHECK(own.different <= own.unproved);
        CHECK(own.largest_difference <= made->margin_bound + made->library_bound);
    }
    Comparison probe = compare_rows(model, *made, options, probe_rows(made->model, 4000, 3));
    CHECK(probe.rows == 4000);
    CHECK(probe.different <= probe.unproved);
    CHECK(probe.largest_difference <= made->margin_bound + made->library_bound);
    auto again = parse_model(to_json(made->model));
    REQUIRE((again ? "" : again.error().message) == "");
    CHECK(*again == made->model);
    auto origin = parse_float_model(made->model.origin);
    REQUIRE(origin);
    CHECK(*origin == model);
}

std::vector<std::string> names_in(const Folder& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder.path))
        if (entry.path().extension() == ".exp") names.insert(entry.path().stem().string());
    return {names.begin(), names.end()};
}

}  // namespace

TEST_CASE("import: what xgboost trains here predicts bit for bit, and decides the same as integers") {
    Folder folder;
    std::string words;
    int status = train("xgboost", folder.path, words);
    if (status == 77) RMT_SKIP(words);
    INFO(words);
    REQUIRE(status == 0);
    size_t sets = 0;
    for (const std::string& name : names_in(folder)) {
        for (const char* ext : {".json", ".ubj"}) {
            INFO(name << ext);
            Expected expected = read_expected(folder.path / (name + ".exp"));
            auto imported = import_float_model(read_text(folder.path / (name + ext)), {});
            if (name == "xgb_gblinear") {
                REQUIRE_FALSE(imported);
                CHECK_THAT(imported.error().message, ContainsSubstring("M0110: at /learner/gradient_booster/name"));
                continue;
            }
            REQUIRE((imported ? "" : imported.error().message) == "");
            for (const FloatTree& tree : imported->model.trees) sets += tree.sets.size();
            compare_floats(imported->model, expected, {0, 1e-6, false});
            if (name == "xgb_poisson") {
                auto value = quantise_trees(imported->model, {});
                REQUIRE_FALSE(value);
                CHECK_THAT(value.error().message, ContainsSubstring("M0110"));
                continue;
            }
            compare_integers(imported->model, expected);
        }
    }
    CHECK(sets > 10);
}

TEST_CASE("import: xgboost's dump with what it leaves out given beside it") {
    Folder folder;
    std::string words;
    int status = train("xgboost", folder.path, words);
    if (status == 77) RMT_SKIP(words);
    INFO(words);
    REQUIRE(status == 0);
    for (const auto& [name, objective, classes] :
         {std::tuple{"xgb_binary", "binary:logistic", 0u}, std::tuple{"xgb_missing", "binary:logistic", 0u},
          std::tuple{"xgb_regression", "reg:squarederror", 0u}, std::tuple{"xgb_forest", "reg:squarederror", 0u},
          std::tuple{"xgb_three", "multi:softprob", 3u}, std::tuple{"xgb_sets", "multi:softprob", 3u},
          std::tuple{"xgb_onehot", "binary:logistic", 0u}}) {
        INFO(name);
        ImportOptions options;
        options.objective = objective;
        options.base_score = {0.4};
        options.classes = classes;
        auto imported = import_float_model(read_text(folder.path / (std::string(name) + ".dump")), options);
        REQUIRE((imported ? "" : imported.error().message) == "");
        // the dump's nine digits are those of the float32
        compare_floats(imported->model, read_expected(folder.path / (std::string(name) + ".exp")), {1e-6, 1e-6, false});
    }
}

TEST_CASE("import: what scikit-learn trains here predicts the same, and decides the same as integers") {
    Folder folder;
    std::string words;
    int status = train("sklearn", folder.path, words);
    if (status == 77) RMT_SKIP(words);
    INFO(words);
    REQUIRE(status == 0);
    for (const std::string& name : names_in(folder)) {
        INFO(name);
        Expected expected = read_expected(folder.path / (name + ".exp"));
        auto imported = import_float_model(read_text(folder.path / (name + ".json")), {});
        REQUIRE((imported ? "" : imported.error().message) == "");
        compare_floats(imported->model, expected, {1e-12, 1e-12, true});
        compare_integers(imported->model, expected);
    }
}

TEST_CASE("import: tree ensembles of ONNX, with each operator, each form of a classifier, and one class id of two") {
    Folder folder;
    std::string words;
    int status = train("onnx", folder.path, words);
    if (status == 77) RMT_SKIP(words);
    INFO(words);
    REQUIRE(status == 0);
    CHECK(names_in(folder).size() == 8);
    for (const std::string& name : names_in(folder)) {
        INFO(name);
        Expected expected = read_expected(folder.path / (name + ".exp"));
        auto imported = import_float_model(read_text(folder.path / (name + ".json")), {});
        REQUIRE((imported ? "" : imported.error().message) == "");
        compare_floats(imported->model, expected, {1e-6, 1e-6, true});
        compare_integers(imported->model, expected);
    }
}
