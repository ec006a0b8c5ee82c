// SPDX-License-Identifier: MIT
// model import: a file of a library becomes integers, and what that loses is said.
#include <fmt/format.h>

#include <charconv>

#include "bpf/include/rmt/model_layout.h"
#include "loader/cli/commands.h"
#include "loader/cli/model_make.h"
#include "models/import.h"
#include "models/types.h"

namespace rmt::cli {

namespace {

Result<int64_t> parse_int(const std::string& text, const std::string& in) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    return fail(ErrorKind::Input, "'" + text + "' in " + in + " was given, a whole number was expected");
}

// "LO..HI"
Result<std::pair<int64_t, int64_t>> parse_range(const std::string& text, const std::string& in) {
    const size_t dots = text.find("..");
    if (dots == std::string::npos) return fail(ErrorKind::Input, "'" + text + "' in " + in + " was given, LO..HI was expected");
    RMT_TRY(const int64_t lo, parse_int(text.substr(0, dots), in));
    RMT_TRY(const int64_t hi, parse_int(text.substr(dots + 2), in));
    if (lo > hi) return fail(ErrorKind::Input, "'" + text + "' in " + in + " is an empty range");
    return std::pair{lo, hi};
}

// NAME[:TYPE][:LO..HI][:missing=N][:fraction=BITS]
Result<models::ModelInput> parse_input(const std::string& text) {
    const std::string in = "--inputs " + text;
    models::ModelInput input{text.substr(0, text.find(':')), "i32", -(int64_t{1} << 30), int64_t{1} << 30};
    bool ranged = false;
    for (size_t at = input.name.size(); at < text.size();) {
        const size_t end = std::min(text.find(':', at + 1), text.size());
        const std::string part = text.substr(at + 1, end - at - 1);
        at = end;
        if (part.rfind("missing=", 0) == 0) {
            RMT_TRY(input.missing, parse_int(part.substr(8), in));
        } else if (part.rfind("fraction=", 0) == 0) {
            RMT_TRY(const int64_t bits, parse_int(part.substr(9), in));
            if (bits < 0 || bits > 30) return fail(ErrorKind::Input, "fraction=" + std::to_string(bits) + " in " + in + " was given, 0..30 was expected");
            input.fraction_bits = static_cast<uint32_t>(bits);
        } else if (part.find("..") != std::string::npos) {
            RMT_TRY(const auto range, parse_range(part, in));
            std::tie(input.min, input.max) = range;
            ranged = true;
        } else if (const auto type = models::find_type(part)) {
            input.type = part;
            if (!ranged) input.min = std::max(type->min, input.min), input.max = std::min(type->max, input.max);
        } else {
            return fail(ErrorKind::Input, "'" + part + "' in " + in + " was given, a type, LO..HI, missing=N or fraction=BITS was expected");
        }
    }
    return input;
}

Result<models::ImportOptions> options_of(const ImportArgs& args) {
    models::ImportOptions options;
    options.name = args.name;
    for (const std::string& text : args.inputs) {
        RMT_TRY(models::ModelInput input, parse_input(text));
        options.inputs.push_back(std::move(input));
    }
    if (!args.output_range.empty()) {
        RMT_TRY(options.output_range, parse_range(args.output_range, "--output-range"));
    }
    if (args.positive_above) options.positive_above = *args.positive_above;
    if (args.base_score) options.base_score = {*args.base_score};
    if (args.classes) options.classes = *args.classes;
    if (args.score_bits) options.score = true, options.score_bits = *args.score_bits;
    options.output = args.output_number;
    options.objective = args.objective;
    options.use_best_iteration = args.best_iteration;
    options.forest = args.forest;
    options.decide = args.decide;
    return options;
}

std::string comparison_text(const char* on, const models::Comparison& c) {
    std::string text = fmt::format("  {:<10} {} rows compared, {} with a different decision, largest difference of the score {:.3g}\n", on, c.rows,
                                   c.different, c.largest_difference);
    if (c.different) text += fmt::format("             the first: ({})\n", fmt::join(c.first_different, ", "));
    return text;
}

Json comparison_json(const models::Comparison& c) {
    Json item = {{"rows", c.rows}, {"different", c.different}, {"unproved", c.unproved}, {"largest_difference", c.largest_difference}};
    if (c.different) item["first_different"] = c.first_different;
    return item;
}

std::string report_text(const models::ImportReport& report, const std::string& shape) {
    std::string text = summary(report.model) + "\n  from " + report.format + "\n";
    if (!report.origin) {  // our own artefact; or a net
        if (report.margin_bound > 0) text += fmt::format("  score      differs by at most {:.3g} (proved)\n", report.margin_bound);
        text += "  needs      " + shape + "\n";
        return report.probe.rows ? text + comparison_text("random", report.probe) : text;
    }
    std::string inexact;
    for (const models::FeatureReport& f : report.features) {
        if (f.exact) continue;
        inexact += (inexact.empty() ? "" : ", ") + f.name;
    }
    text += fmt::format("  score      differs by at most {:.3g} from the exact sum (proved); the library's own sum by at most {:.3g}\n", report.margin_bound,
                        report.library_bound);
    text += inexact.empty() ? "  branches   exact for every value of every input\n" : "  branches   exact but for " + inexact + ", rounded to a grid\n";
    for (const models::FeatureReport& f : report.features)
        if (f.fractions) text += "  note: '" + f.name + "' is compared with fractions: is it an integer where the policy runs?\n";
    return text + "  needs      " + shape + "\n" + comparison_text("thresholds", report.probe);
}

Json report_json(const models::ImportReport& report, const std::string& shape) {
    Json features = Json::array();
    for (const models::FeatureReport& f : report.features)
        features.push_back({{"name", f.name}, {"splits", f.splits}, {"thresholds", f.thresholds}, {"fractions", f.fractions}, {"exact", f.exact}});
    return {{"format", report.format}, {"model", summary_json(report.model)}, {"class", shape}, {"margin_bound", report.margin_bound},
            {"library_bound", report.library_bound}, {"features", features}, {"probe", comparison_json(report.probe)}, {"notes", report.notes}};
}

}  // namespace

int cmd_model_import(const Output& out, const ImportArgs& args) {
    RMT_CLI_TRY(const models::ImportOptions options, options_of(args));
    RMT_CLI_TRY(const models::ImportReport report, models::import_file(args.file, options));
    if (args.format != "auto" && report.format.rfind(args.format, 0) != 0)
        return out.error({ErrorKind::Input, "--format " + args.format + " was given, but '" + args.file + "' is " + report.format, "leave it out, or --format auto", 0, {}});
    RMT_CLI_TRY(const std::string shape, class_of(report.model));
    std::optional<models::Comparison> verified;
    if (!args.verify.empty()) {
        if (!report.origin && !report.net)
            return out.error({ErrorKind::Input, "--verify compares with the library's arithmetic, but '" + args.file + "' is " + report.format, "rmt-load model verify", 0, {}});
        RMT_CLI_TRY(const models::Dataset data, models::read_dataset(args.verify));
        RMT_CLI_TRY(const std::vector<std::vector<int64_t>> rows, rows_for(report.model, data));
        if (report.net) {
            RMT_CLI_TRY(verified, models::compare_net_rows(report, rows));
        } else {
            verified = models::compare_rows(*report.origin, report, options, rows);
        }
    }
    RMT_CLI_TRY(const Kept kept, keep_model(report.model, args.output, args.name.empty() ? report.model.name : args.name));
    if (out.json) {
        Json document = kept.json;
        document.update(report_json(report, shape));
        if (verified) document["verified"] = comparison_json(*verified);
        out.document("import", document);
    } else {
        std::string text = report_text(report, shape);
        if (verified) text += comparison_text(args.verify.c_str(), *verified);
        for (const std::string& note : report.notes) text += "  note: " + note + "\n";
        out.print(text + "  " + kept.text);
    }
    return verified && verified->different ? kDifferences : kOk;
}

}  // namespace rmt::cli
