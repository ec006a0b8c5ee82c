// SPDX-License-Identifier: MIT
// `model search`: which model is worth its cost? Candidates of many shapes are trained, the better ones on more and more rows
// (successive halving, Jamieson and Talwalkar 2016); what remains is measured on rows that no candidate was trained on. The
// result is every point, the Pareto front of accuracy against cost, and the most accurate model within the budget, with its
// figures on rows that neither trained nor chose it.
//
// What a model costs is for the caller to say: the RMT verifier's bound for the policy compiled for the model's class.
// Candidates are functions, so that other kinds of model join without this file knowing them.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/train.h"

namespace rmt::models {

struct Candidate {
    std::string kind;      // "tree", "forest", "gbt", "linear", "mlp int8", "mlp int16", "distilled", ...: a colour in the plot
    std::string settings;  // "depth 6, 20 trees, 3 inputs", "hidden 16-8"
    // Trains on all of these rows; of the options the names, types, label, output, none and seed are to be kept.
    std::function<Result<Model>(const Dataset&, const TrainOptions&)> make;
};

struct SearchOptions {
    TrainOptions common;                       // options_for(policy) and the label; depth and nodes are the candidates' own
    std::function<double(const Model&)> cost;  // nanoseconds an inference; empty: estimated_cost_ns
    double budget = std::numeric_limits<double>::infinity();
    double validation = 0.2, test = 0.15;  // shares of the rows, in blocks
    uint32_t rungs = 3;                    // each on three times the rows of the one before; the last on all
    ProgressCallback progress;             // a round is one training
};

struct SearchPoint {
    std::string kind, settings;
    std::string error;      // why it was not trained
    size_t rows = 0;        // that it was last trained on
    bool complete = false;  // all of them
    double accuracy = 0;    // on the validation rows; of a regression 1 - error / error of the mean
    double cost = 0;
    uint32_t trees = 0, depth = 0, nodes = 0;
    uint32_t bits = 0, weights = 0;  // of a net; reset with every training
    bool front = false;  // complete, of finite cost, and no other complete point is as cheap and as accurate and better in one
};

struct SearchReport {
    std::vector<SearchPoint> points;  // in the candidates' order
    size_t chosen = SIZE_MAX;         // a point; SIZE_MAX: nothing fits the budget
    Model model;                      // the chosen one
    Evaluation validation, test;      // of the chosen one
    double validation_accuracy = 0, test_accuracy = 0;  // the same as SearchPoint::accuracy says it
    Task task = Task::Classify;
    double baseline = 0;              // accuracy of the most frequent label on the validation rows
    double budget = 0;
};

// Which engines the program may have: one that trains while it runs has that of a single tree.
enum class CandidateKinds { All, SingleTrees };

// Trees, forests and boosted trees of several sizes, over all inputs and over the more important ones; linear models and MLPs of
// several widths, with 8 and with 16 bits (one training for both); trees and MLPs distilled from boosted trees. Epochs are few
// enough that nets cost about as much time as the trees. More inputs than trees may have: nets only.
// Errors: as train_tree() (a tree is grown to rank the inputs).
Result<std::vector<Candidate>> usual_candidates(const Dataset& data, const TrainOptions& common, CandidateKinds kinds = CandidateKinds::All);

// Errors: Input M0302, M0304, M0305; a candidate that cannot be trained is a point with an error.
Result<SearchReport> search_models(const Dataset& data, const SearchOptions& options, const std::vector<Candidate>& candidates);

// Accuracy; of a regression 1 - error / error of the mean.
double search_score(const Evaluation& evaluation, Task task);

// From the figures of docs/models.md and bench/README.md, for ranking when nobody knows better.
double estimated_cost_ns(const Model& model);

std::string search_table(const SearchReport& report);                           // complete points, cheapest first; * front, > chosen
std::string search_plot(const SearchReport& report, const std::string& title);  // SVG

}  // namespace rmt::models
