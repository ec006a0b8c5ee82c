// SPDX-License-Identifier: MIT
// What a search found, as a table and as a picture.
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "models/search.h"

namespace rmt::models {
namespace {

constexpr const char *kInk = "#1f2933", *kSoft = "#5f6c7b", *kGrid = "#dfe4ea";
constexpr const char* kColors[] = {"#2f6fb2", "#c8553d", "#3c8d5a", "#8a5fb0", "#b8860b", "#1f9e9e", "#d16ba5", "#4a4a4a"};
constexpr double kLeft = 70, kTop = 60, kWide = 620, kHigh = 340;

std::string text_of(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text_of(const char* format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    std::vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return text;
}

std::string escape(const std::string& text) {
    std::string out;
    for (char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
    return out;
}

// Has a place in the picture: trained, and of a class that some program can have.
bool drawn(const SearchPoint& p) { return p.error.empty() && p.rows > 0 && std::isfinite(p.cost); }

std::vector<size_t> by_cost(const SearchReport& report) {
    std::vector<size_t> order;
    for (size_t i = 0; i < report.points.size(); i++)
        if (report.points[i].complete) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return report.points[a].cost < report.points[b].cost; });
    return order;
}

// Cost to the right (logarithmic), accuracy upwards.
struct Axes {
    double low_cost = 1e300, high_cost = 0, low = 1, high = 0;

    explicit Axes(const SearchReport& report) {
        for (const SearchPoint& p : report.points) {
            if (!drawn(p)) continue;
            low_cost = std::min(low_cost, std::max(p.cost, 0.1)), high_cost = std::max(high_cost, p.cost);
            low = std::min(low, p.accuracy), high = std::max(high, p.accuracy);
        }
        if (high_cost == 0) low_cost = 1, high_cost = 10, low = 0, high = 1;
        if (std::isfinite(report.budget) && report.budget > 0)
            low_cost = std::min(low_cost, report.budget), high_cost = std::max(high_cost, report.budget);
        low_cost /= 1.3, high_cost *= 1.3;
        double room = std::max((high - low) * 0.08, 0.002);
        low -= room, high += room;
    }
    double x(double cost) const { return kLeft + kWide * std::log(std::max(cost, low_cost) / low_cost) / std::log(high_cost / low_cost); }
    double y(double accuracy) const { return kTop + kHigh * (high - accuracy) / (high - low); }
};

std::string line(double x1, double y1, double x2, double y2, const char* color, const char* more = "") {
    return text_of("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"%s/>\n", x1, y1, x2, y2, color, more);
}

std::string label(double x, double y, const std::string& text, int size, const char* color, const char* anchor = "start") {
    return text_of("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" fill=\"%s\" text-anchor=\"%s\">", x, y, size, color, anchor) +
           escape(text) + "</text>\n";
}

std::string grid(const Axes& axes) {
    std::string svg;
    for (double power = 0.1; power < axes.high_cost; power *= 10)
        for (double cost : {power, 2 * power, 5 * power}) {
            if (cost < axes.low_cost || cost > axes.high_cost) continue;
            svg += line(axes.x(cost), kTop, axes.x(cost), kTop + kHigh, kGrid);
            svg += label(axes.x(cost), kTop + kHigh + 16, text_of("%g", cost), 11, kSoft, "middle");
        }
    double step = 0.2;
    for (double finer : {0.1, 0.05, 0.02, 0.01, 0.005, 0.002})
        if ((axes.high - axes.low) / step < 3) step = finer;
    for (double at = std::ceil(axes.low / step) * step; at <= axes.high; at += step) {
        svg += line(kLeft, axes.y(at), kLeft + kWide, axes.y(at), kGrid);
        svg += label(kLeft - 8, axes.y(at) + 4, text_of("%.1f %%", 100 * at), 11, kSoft, "end");
    }
    return svg + label(kLeft + kWide / 2, kTop + kHigh + 36, "cost of an inference, ns", 12, kSoft, "middle");
}

std::string front_line(const SearchReport& report, const Axes& axes) {
    std::string path;
    double before = 0;
    for (size_t i : by_cost(report)) {
        const SearchPoint& p = report.points[i];
        if (!p.front || !drawn(p)) continue;
        if (path.empty())
            path = text_of("M%.1f %.1f", axes.x(p.cost), axes.y(p.accuracy));
        else  // as good as the cheaper one until this one can be paid
            path += text_of(" L%.1f %.1f L%.1f %.1f", axes.x(p.cost), axes.y(before), axes.x(p.cost), axes.y(p.accuracy));
        before = p.accuracy;
    }
    if (path.empty()) return "";
    path += text_of(" L%.1f %.1f", kLeft + kWide, axes.y(before));
    return "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + kInk + "\" stroke-width=\"1.2\"/>\n";
}

}  // namespace

std::string search_table(const SearchReport& report) {
    size_t wide = 8;
    for (size_t i : by_cost(report)) wide = std::max(wide, report.points[i].settings.size());
    std::string table = text_of("  %-10s %-*s %6s %6s %8s %10s %9s\n", "kind", static_cast<int>(wide), "settings", "trees", "depth",
                                "size", "cost ns", "accuracy");
    for (size_t i : by_cost(report)) {
        const SearchPoint& p = report.points[i];
        const bool net = p.bits > 0;  // its size is in weights, that of trees in nodes
        table += text_of("%s %-10s %-*s %6s %6s %8u %10.1f %7.2f %%\n",
                         i == report.chosen ? ">"
                         : p.front          ? "*"
                                            : " ",
                         p.kind.c_str(), static_cast<int>(wide), p.settings.c_str(), net ? "-" : std::to_string(p.trees).c_str(),
                         net ? "-" : std::to_string(p.depth).c_str(), net ? p.weights : p.nodes, p.cost, 100 * p.accuracy);
    }
    size_t fewer = 0, failed = 0;
    for (const SearchPoint& p : report.points) failed += !p.error.empty(), fewer += p.error.empty() && !p.complete;
    table += text_of("%zu others were left out on fewer rows, %zu could not be trained\n", fewer, failed);
    if (report.chosen == SIZE_MAX) return table + text_of("nothing fits the budget of %.1f ns\n", report.budget);
    if (report.task == Task::Regress)
        return table + text_of("> %.2f %% of the error of the mean saved on rows that chose nothing\n", 100 * report.test_accuracy);
    return table + text_of("> %.2f %% on rows that chose nothing (the most frequent label: %.2f %%)\n", 100 * report.test_accuracy,
                           100 * report.test.baseline());
}

std::string search_plot(const SearchReport& report, const std::string& title) {
    const Axes axes(report);
    std::string svg = text_of(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" "
        "fill=\"#ffffff\"/>\n",
        kLeft + kWide + 150, kTop + kHigh + 60, kLeft + kWide + 150, kTop + kHigh + 60);
    svg += label(kLeft, 28, title, 17, kInk) +
           label(kLeft, 46, "accuracy on held-out rows; filled: trained on all rows; line: the front", 12, kSoft);
    svg += grid(axes) + front_line(report, axes);
    if (std::isfinite(report.budget)) {
        double x = axes.x(report.budget);
        svg += line(x, kTop, x, kTop + kHigh, kInk, " stroke-dasharray=\"4 3\"") + label(x + 4, kTop + 12, "budget", 11, kInk);
    }
    std::map<std::string, const char*> colors;
    for (size_t i = 0; i < report.points.size(); i++) {
        const SearchPoint& p = report.points[i];
        if (!drawn(p)) continue;
        if (!colors.count(p.kind)) {
            const char* color = kColors[std::min(colors.size(), std::size(kColors) - 1)];
            double y = kTop + 14 + 20 * static_cast<double>(colors.size());
            svg += text_of("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", kLeft + kWide + 20, y - 4, color) +
                   label(kLeft + kWide + 30, y, p.kind, 12, kInk);
            colors[p.kind] = color;
        }
        const char* color = colors[p.kind];
        svg += text_of("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\" stroke=\"%s\"><title>", axes.x(p.cost), axes.y(p.accuracy),
                       p.complete ? "4" : "2.5", p.complete ? color : "none", color) +
               escape(p.kind + ", " + p.settings) + text_of(": %.2f %%, %.1f ns</title></circle>\n", 100 * p.accuracy, p.cost);
        if (i == report.chosen)
            svg += text_of("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", axes.x(p.cost),
                           axes.y(p.accuracy), kInk);
    }
    return svg + "</svg>\n";
}

}  // namespace rmt::models
