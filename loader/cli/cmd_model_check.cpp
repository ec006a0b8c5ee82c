// SPDX-License-Identifier: MIT
// model verify, bench, predict, diff: what a model answers, what it costs, and whether all of its forms agree.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "loader/cli/commands.h"
#include "loader/cli/model_probe.h"
#include "loader/cli/model_ref.h"
#include "models/float_model.h"
#include "models/float_net.h"
#include "models/quantise.h"
#include "models/reference.h"

namespace rmt::cli {

namespace {

using Rows = std::vector<std::vector<int64_t>>;
using Answers = std::vector<std::optional<int64_t>>;

constexpr uint32_t kBenchRounds = 9;
constexpr uint32_t kBenchRepeat = 8;  // of 4096 rows, for each round

Answers infer_all(const models::Model& model, const Rows& rows) {
    Answers answers;
    answers.reserve(rows.size());
    for (const auto& row : rows) answers.push_back(models::infer(model, row));
    return answers;
}

// By the library's own arithmetic, from the form that the model was made from.
Result<std::vector<std::string>> float_answers(const models::Model& model, const Rows& rows) {
    if (model.origin.empty())
        return fail(ErrorKind::Input, "model '" + model.name + "' has no float form: it was trained on integers, or imported by an older rmt-load",
                    "leave out --float, or import the library's file again");
    std::vector<std::string> answers;
    if (!models::has_trees(model.kind)) {  // its inputs are the integers as they are
        RMT_TRY(const models::FloatNet net, models::parse_float_net(model.origin));
        for (const auto& row : rows) {
            const std::vector<double> x(row.begin(), row.end());
            answers.push_back(fmt::format("{:.9g}", fmt::join(models::float_outputs(net, x), " ")));
        }
        return answers;
    }
    RMT_TRY(const models::FloatModel origin, models::parse_float_model(model.origin));
    // As quantise() did: by name when all names are features, else by position.
    std::vector<size_t> feature(model.inputs.size());
    bool by_name = true;
    for (size_t i = 0; i < feature.size(); i++) {
        const auto at = std::find_if(origin.features.begin(), origin.features.end(), [&](const auto& f) { return f.name == model.inputs[i].name; });
        feature[i] = static_cast<size_t>(at - origin.features.begin());
        by_name = by_name && at != origin.features.end();
    }
    for (const auto& row : rows) {
        std::vector<double> x(origin.features.size(), std::nan(""));
        for (size_t i = 0; i < row.size(); i++) {
            const models::ModelInput& input = model.inputs[i];
            const size_t to = by_name ? feature[i] : i;
            if (to < x.size() && row[i] != input.missing) x[to] = std::ldexp(static_cast<double>(row[i]), -static_cast<int>(input.fraction_bits));
        }
        std::string text;
        for (const double y : models::predict(origin, x)) text += (text.empty() ? "" : " ") + fmt::format("{:.9g}", y);
        answers.push_back(text);
    }
    return answers;
}

std::string text_of(const std::optional<int64_t>& answer) { return answer ? std::to_string(*answer) : "-"; }

// The inputs of both, each with the range that both were trained on.
Result<std::vector<models::ModelInput>> common_inputs(const models::Model& a, const models::Model& b) {
    std::vector<models::ModelInput> inputs = a.inputs;
    for (const models::ModelInput& of_b : b.inputs) {
        const auto of_a = std::find_if(inputs.begin(), inputs.end(), [&](const auto& i) { return i.name == of_b.name; });
        if (of_a == inputs.end()) {
            inputs.push_back(of_b);
            continue;
        }
        of_a->min = std::max(of_a->min, of_b.min);
        of_a->max = std::min(of_a->max, of_b.max);
        if (of_a->missing != of_b.missing) of_a->missing.reset();
        if (of_a->min > of_a->max)
            return fail(ErrorKind::Input, "the trained ranges of input '" + of_b.name + "' do not overlap, so no row is in both", "give rows with --data");
    }
    return inputs;
}

Rows pick(const Rows& rows, const std::vector<models::ModelInput>& from, const models::Model& model) {
    Rows picked(rows.size(), std::vector<int64_t>(model.inputs.size()));
    for (size_t k = 0; k < model.inputs.size(); k++) {
        const auto at = std::find_if(from.begin(), from.end(), [&](const auto& i) { return i.name == model.inputs[k].name; });
        for (size_t i = 0; i < rows.size(); i++) picked[i][k] = rows[i][static_cast<size_t>(at - from.begin())];
    }
    return picked;
}

std::string structure_diff(const models::Model& a, const models::Model& b) {
    std::string text;
    const auto line = [&](const std::string& what, const std::string& of_a, const std::string& of_b) {
        if (of_a != of_b) text += fmt::format("  {:<10} {} | {}\n", what, of_a, of_b);
    };
    line("kind", kind_text(a), kind_text(b));
    line("link", models::link_name(a.link), models::link_name(b.link));
    line("output", fmt::format("{} {} {}..{}", models::output_kind_name(a.output.kind), a.output.type, a.output.min, a.output.max),
         fmt::format("{} {} {}..{}", models::output_kind_name(b.output.kind), b.output.type, b.output.min, b.output.max));
    const auto range = [](const models::Model& m, const std::string& name) {
        for (const models::ModelInput& i : m.inputs)
            if (i.name == name) return fmt::format("{} {}..{}", i.type, i.min, i.max);
        return std::string("no");
    };
    for (const models::ModelInput& i : a.inputs) line(i.name, range(a, i.name), range(b, i.name));
    for (const models::ModelInput& i : b.inputs)
        if (range(a, i.name) == "no") line(i.name, "no", range(b, i.name));
    return text;
}

}  // namespace

int cmd_model_diff(const Output& out, const DiffArgs& args) {
    RMT_CLI_TRY(const Artefact a, read_artefact(args.a));
    RMT_CLI_TRY(const Artefact b, read_artefact(args.b));
    Rows rows_a, rows_b;
    std::string on;
    if (args.data.empty()) {
        RMT_CLI_TRY(const std::vector<models::ModelInput> inputs, common_inputs(a.model, b.model));
        const Rows rows = random_rows(inputs, args.rows, args.seed);
        rows_a = pick(rows, inputs, a.model);
        rows_b = pick(rows, inputs, b.model);
        on = fmt::format("random rows within both trained ranges, seed {}", args.seed);
    } else {
        RMT_CLI_TRY(const models::Dataset data, models::read_dataset(args.data));
        RMT_CLI_TRY(rows_a, rows_for(a.model, data));
        RMT_CLI_TRY(rows_b, rows_for(b.model, data));
        on = "rows of " + args.data;
    }
    const Answers of_a = infer_all(a.model, rows_a), of_b = infer_all(b.model, rows_b);
    size_t different = 0, first = 0;
    for (size_t i = 0; i < of_a.size(); i++)
        if (of_a[i] != of_b[i] && different++ == 0) first = i;
    const bool same = a.model.digest == b.model.digest;
    if (out.json) {
        Json document = {{"a", summary_json(a.model)}, {"b", summary_json(b.model)}, {"same", same}, {"rows", of_a.size()}, {"different", different}};
        if (args.data.empty()) document["seed"] = args.seed;
        if (different) document["first"] = {{"inputs", rows_a[first]}, {"a", text_of(of_a[first])}, {"b", text_of(of_b[first])}};
        out.document("diff", document);
    } else {
        std::string text = fmt::format("{} | {}\n", a.where, b.where);
        text += same ? "  the same model\n" : structure_diff(a.model, b.model);
        text += fmt::format("  decisions  {} of {} differ ({:.2f} %), {}\n", different, of_a.size(),
                            of_a.empty() ? 0 : 100 * static_cast<double>(different) / static_cast<double>(of_a.size()), on);
        if (different) text += fmt::format("  first      ({}): {} | {}\n", fmt::join(rows_a[first], ", "), text_of(of_a[first]), text_of(of_b[first]));
        out.print(text);
    }
    return different ? kDifferences : kOk;
}

int cmd_model_verify(const Output& out, const std::string& reference, const std::string& policy) {
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));  // structure, digest, samples by the reference
    RMT_CLI_TRY(const std::string shape, class_of(artefact.model));
    std::string fits, in_kernel;
    if (!policy.empty()) {
        RMT_CLI_TRY(const Where where, find_model(policy));
        RMT_CLI_TRY(const std::vector<uint8_t> value, checked_value(artefact.model, *where.model));
        fits = fmt::format("  fits      {}: {} bytes, admitted by the RMT verifier\n", where.name(), value.size());
    }
    auto kernel = check_in_kernel(artefact.model);
    if (!kernel && kernel.error().kind != ErrorKind::Permission) return out.error(kernel.error());
    in_kernel = kernel ? fmt::format("  kernel    the same answers on {} rows, {} of them samples\n", kernel->rows, kernel->samples)
                       : "  kernel    not run: " + kernel.error().message + "\n";
    if (out.json) {
        out.document("verify", {{"from", artefact.where}, {"model", summary_json(artefact.model)}, {"class", shape},
                                {"samples", artefact.model.samples.inputs.size()}, {"policy", policy.empty() ? Json(nullptr) : Json(policy)},
                                {"kernel_rows", kernel ? Json(kernel->rows) : Json(nullptr)}});
        return kOk;
    }
    std::string text = fmt::format("{}\n  artefact  whole; {} sample{} reproduced by the reference\n  needs     {}\n", summary(artefact.model),
                                   artefact.model.samples.inputs.size(), artefact.model.samples.inputs.size() == 1 ? "" : "s", shape);
    out.print(text + fits + in_kernel);
    return kOk;
}

int cmd_model_bench(const Output& out, const std::string& reference, const std::string& file) {
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));
    Rows rows = random_rows(artefact.model.inputs, ModelProbe::kMaxRows, 1);
    if (!file.empty()) {
        RMT_CLI_TRY(const models::Dataset data, models::read_dataset(file));
        RMT_CLI_TRY(rows, rows_for(artefact.model, data));
        if (rows.size() > ModelProbe::kMaxRows) rows.resize(ModelProbe::kMaxRows);
    }
    RMT_CLI_TRY(ModelProbe probe, ModelProbe::open(artefact.model));
    std::vector<double> kernel, native;
    ProgressBar bar(out, "measuring");
    for (uint32_t round = 0; round < kBenchRounds; round++) {  // in turn, so that both see the same machine
        RMT_CLI_TRY(const double ns, probe.nanoseconds(rows, kBenchRepeat));
        kernel.push_back(ns);
        const auto begin = std::chrono::steady_clock::now();
        const Answers answers = infer_all(artefact.model, rows);
        native.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / static_cast<double>(answers.size()));
        bar.show(round + 1, kBenchRounds);
    }
    std::sort(kernel.begin(), kernel.end());
    std::sort(native.begin(), native.end());
    const std::string on = file.empty() ? "random rows within the trained ranges, seed 1" : "rows of " + file;
    const auto json = [](const std::vector<double>& ns) { return Json{{"median", ns[ns.size() / 2]}, {"min", ns.front()}, {"max", ns.back()}}; };
    if (out.json) {
        out.document("bench", {{"from", artefact.where}, {"model", summary_json(artefact.model)}, {"rows", rows.size()}, {"rounds", kBenchRounds},
                               {"kernel_ns", json(kernel)}, {"reference_ns", json(native)}});
        return kOk;
    }
    const auto line = [](const char* what, const std::vector<double>& ns) {
        return fmt::format("  {:<22} {:>9.1f} ns   ({:.1f} to {:.1f})\n", what, ns[ns.size() / 2], ns.front(), ns.back());
    };
    out.print(summary(artefact.model) + "\n" + line("engine in the kernel", kernel) + line("C++ reference", native) +
              fmt::format("  median of {} rounds on {} {}; each inference waits for the one before", kBenchRounds, rows.size(), on));
    return kOk;
}

int cmd_model_predict(const Output& out, const std::string& reference, const std::string& file, const std::string& by) {
    RMT_CLI_TRY(const Artefact artefact, read_artefact(reference));
    RMT_CLI_TRY(const models::Dataset data, models::read_dataset(file));
    RMT_CLI_TRY(const Rows rows, rows_for(artefact.model, data));
    std::vector<std::string> lines;
    Answers answers;
    if (by == "float") {
        RMT_CLI_TRY(lines, float_answers(artefact.model, rows));
    } else if (by == "kernel") {
        RMT_CLI_TRY(ModelProbe probe, ModelProbe::open(artefact.model));
        RMT_CLI_TRY(answers, probe.answers(rows));
    } else {
        answers = infer_all(artefact.model, rows);
    }
    Json list = Json::array();
    std::string text;
    for (const std::optional<int64_t>& answer : answers) {
        list.push_back(answer ? Json(*answer) : Json(nullptr));
        text += text_of(answer) + "\n";
    }
    for (const std::string& line : lines) {
        list.push_back(line);
        text += line + "\n";
    }
    if (out.json)
        out.document("predict", {{"from", artefact.where}, {"by", by.empty() ? "reference" : by}, {"rows", list.size()}, {"answers", list}});
    else if (!text.empty())
        out.print(text);
    return kOk;
}

}  // namespace rmt::cli
