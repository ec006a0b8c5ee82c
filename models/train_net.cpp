// SPDX-License-Identifier: MIT
#include "models/train_net.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "models/errors.h"
#include "models/portable_math.h"
#include "models/reference.h"
#include "models/train_rows.h"

namespace rmt::models {
namespace {

enum class NetLoss { Squared, Logistic, Softmax };

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

struct Examples {  // standardised
    size_t width = 0;
    std::vector<double> inputs;  // [row][width]
    std::vector<double> labels;  // the number, or the class
    size_t size() const { return labels.size(); }
    const double* row(size_t i) const { return inputs.data() + i * width; }
};

struct Prior {  // strength / 2 * |weights - at|^2 is added to the mean loss
    double strength = 0;
    std::vector<double> at;  // empty: 0
};

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Dense layers with relu between them, and the state of Adam.
class Trainer {
public:
    Trainer(std::vector<uint32_t> sizes, NetLoss loss, std::mt19937_64& random) : sizes_(std::move(sizes)), loss_(loss) {
        for (size_t l = 0; l + 1 < sizes_.size(); l++) {
            starts_.push_back(weights_.size());
            const double reach = std::sqrt(6.0 / sizes_[l]);  // He et al. 2015
            for (size_t i = 0; i < size_t{sizes_[l]} * sizes_[l + 1]; i++) weights_.push_back((2 * uniform(random) - 1) * reach);
            weights_.resize(weights_.size() + sizes_[l + 1], 0);
        }
        gradient_.resize(weights_.size());
        first_.resize(weights_.size());
        second_.resize(weights_.size());
        for (uint32_t size : sizes_) values_.emplace_back(size), errors_.emplace_back(size);
    }

    double mean_loss(const Examples& rows) {
        double sum = 0;
        for (size_t i = 0; i < rows.size(); i++) {
            forward(rows.row(i));
            sum += output_error(rows.labels[i]);
        }
        return rows.size() ? sum / static_cast<double>(rows.size()) : 0;
    }

    // One step of Adam on the rows order[begin..end); the sum of their losses before it.
    double step(const Examples& rows, std::span<const uint32_t> batch, double rate, const Prior& prior) {
        std::fill(gradient_.begin(), gradient_.end(), 0);
        double sum = 0;
        for (uint32_t i : batch) {
            forward(rows.row(i));
            sum += output_error(rows.labels[i]);
            backward();
        }
        steps_++;
        power1_ *= kBeta1, power2_ *= kBeta2;
        for (size_t i = 0; i < weights_.size(); i++) {
            const double g = gradient_[i] / static_cast<double>(batch.size()) + prior.strength * (weights_[i] - (prior.at.empty() ? 0 : prior.at[i]));
            first_[i] = kBeta1 * first_[i] + (1 - kBeta1) * g;
            second_[i] = kBeta2 * second_[i] + (1 - kBeta2) * g * g;
            weights_[i] -= rate * (first_[i] / (1 - power1_)) / (std::sqrt(second_[i] / (1 - power2_)) + kEpsilon);
        }
        return sum;
    }

    const std::vector<double>& weights() const { return weights_; }
    void set_weights(const std::vector<double>& weights) { weights_ = weights; }

    FloatNet net() const {
        FloatNet net;
        net.inputs = sizes_[0];
        for (size_t l = 0; l < starts_.size(); l++) {
            FloatLayer layer;
            layer.outputs = sizes_[l + 1];
            layer.relu = l + 1 < starts_.size();
            const auto from = weights_.begin() + static_cast<std::ptrdiff_t>(starts_[l]), bias = from + static_cast<std::ptrdiff_t>(size_t{sizes_[l]} * sizes_[l + 1]);
            layer.weights.assign(from, bias);
            layer.bias.assign(bias, bias + layer.outputs);
            net.layers.push_back(std::move(layer));
        }
        return net;
    }

private:
    void forward(const double* inputs) {
        std::copy(inputs, inputs + sizes_[0], values_[0].begin());
        for (size_t l = 0; l < starts_.size(); l++) {
            const size_t in = sizes_[l], out = sizes_[l + 1];
            const double *w = weights_.data() + starts_[l], *bias = w + in * out;
            for (size_t k = 0; k < out; k++) {
                double sum = bias[k];
                for (size_t i = 0; i < in; i++) sum += w[k * in + i] * values_[l][i];
                values_[l + 1][k] = l + 1 < starts_.size() ? std::max(sum, 0.0) : sum;
            }
        }
    }

    // Fills the error of the outputs (the loss by them); the loss.
    double output_error(double label) {
        std::vector<double>&out = values_.back(), &error = errors_.back();
        if (loss_ == NetLoss::Squared) {
            error[0] = out[0] - label;
            return error[0] * error[0] / 2;
        }
        if (loss_ == NetLoss::Logistic) {
            const double p = portable_sigmoid(out[0]);
            error[0] = p - label;
            return -portable_log(std::max(label > 0.5 ? p : 1 - p, 1e-12));
        }
        const double most = *std::max_element(out.begin(), out.end());
        double sum = 0;
        for (size_t k = 0; k < out.size(); k++) sum += error[k] = portable_exp(out[k] - most);
        for (double& e : error) e /= sum;
        const auto right = static_cast<size_t>(label);
        const double p = error[right];
        error[right] -= 1;
        return -portable_log(std::max(p, 1e-12));
    }

    void backward() {
        for (size_t l = starts_.size(); l-- > 0;) {
            const size_t in = sizes_[l], out = sizes_[l + 1];
            const double* w = weights_.data() + starts_[l];
            double* g = gradient_.data() + starts_[l];
            std::fill(errors_[l].begin(), errors_[l].end(), 0);
            for (size_t k = 0; k < out; k++) {
                const double e = errors_[l + 1][k];
                if (e == 0) continue;
                g[in * out + k] += e;
                for (size_t i = 0; i < in; i++) {
                    g[k * in + i] += e * values_[l][i];
                    errors_[l][i] += e * w[k * in + i];
                }
            }
            if (l == 0) continue;
            for (size_t i = 0; i < in; i++)
                if (values_[l][i] <= 0) errors_[l][i] = 0;
        }
    }

    const std::vector<uint32_t> sizes_;
    const NetLoss loss_;
    std::vector<size_t> starts_;
    std::vector<double> weights_, gradient_, first_, second_;
    std::vector<std::vector<double>> values_, errors_;
    uint64_t steps_ = 0;
    double power1_ = 1, power2_ = 1;
};

struct Scaling {
    std::vector<double> mean, scale;
    double label_mean = 0, label_scale = 1;
};

double mean_of(const std::vector<int64_t>& column, const std::vector<uint32_t>& rows) {
    double sum = 0;
    for (uint32_t row : rows) sum += static_cast<double>(column[row]);
    return sum / static_cast<double>(rows.size());
}

double deviation_of(const std::vector<int64_t>& column, const std::vector<uint32_t>& rows, double mean) {
    double sum = 0;
    for (uint32_t row : rows) sum += (static_cast<double>(column[row]) - mean) * (static_cast<double>(column[row]) - mean);
    const double deviation = std::sqrt(sum / static_cast<double>(rows.size()));
    return deviation > 0 ? deviation : 1;
}

Scaling scaling_of(const TrainRows& rows, Task task) {
    Scaling scaling;
    for (uint32_t at : rows.used) {
        const std::vector<int64_t>& column = rows.inputs[at]->values;
        scaling.mean.push_back(mean_of(column, rows.grow));
        scaling.scale.push_back(deviation_of(column, rows.grow, scaling.mean.back()));
    }
    if (task == Task::Regress) {
        scaling.label_mean = mean_of(rows.label->values, rows.grow);
        scaling.label_scale = deviation_of(rows.label->values, rows.grow, scaling.label_mean);
    }
    return scaling;
}

// Rows whose label is no class that is told apart are left out.
Examples examples_of(const TrainRows& rows, const std::vector<uint32_t>& which, const Scaling& scaling, const ClassNumbers* classes) {
    Examples out;
    out.width = rows.used.size();
    for (uint32_t row : which) {
        double label = (static_cast<double>(rows.label->values[row]) - scaling.label_mean) / scaling.label_scale;
        if (classes) label = static_cast<double>(classes->number_of(rows.label->values[row]));
        if (classes && label < 0) continue;
        for (size_t i = 0; i < out.width; i++)
            out.inputs.push_back((static_cast<double>(rows.inputs[rows.used[i]]->values[row]) - scaling.mean[i]) / scaling.scale[i]);
        out.labels.push_back(label);
    }
    return out;
}

Result<void> check_options(const NetTrainOptions& o) {
    auto wrong = [](const std::string& what) { return model_error("M0305", "", what); };
    if (o.kind == NetTrainOptions::Kind::Mlp && (o.hidden.empty() || o.hidden.size() > 3)) return wrong("1..3 hidden layers are possible, " + std::to_string(o.hidden.size()) + " given");
    for (uint32_t units : o.hidden)
        if (units < 1 || units > 128) return wrong("a hidden layer of " + std::to_string(units) + " units is outside 1..128");
    if (o.bits != 8 && o.bits != 16) return wrong(std::to_string(o.bits) + " bits given; 8 or 16 expected");
    if (o.epochs < 1 || o.epochs > 10000) return wrong("epochs " + std::to_string(o.epochs) + " is outside 1..10000");
    if (o.batch < 1 || o.batch > 65536) return wrong("batch " + std::to_string(o.batch) + " is outside 1..65536");
    if (!(o.learning_rate > 0 && o.learning_rate <= 1)) return wrong("learning rate is above 0, up to 1");
    if (!(o.weight_decay >= 0)) return wrong("weight decay is at least 0");
    return {};
}

void run_epochs(Trainer& trainer, const Examples& rows, const Examples& stop, const NetTrainOptions& options, const Prior& prior, std::mt19937_64& random,
                NetTrainReport& report) {
    std::vector<uint32_t> order(rows.size());
    std::iota(order.begin(), order.end(), 0);
    std::vector<double> best;
    double best_loss = 0;
    uint32_t since = 0;
    for (uint32_t epoch = 0; epoch < options.epochs; epoch++) {
        for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random() % i]);  // Fisher and Yates
        const double rate = options.learning_rate * (1 - 0.9 * epoch / options.epochs);
        double sum = 0;
        for (size_t begin = 0; begin < order.size(); begin += options.batch)
            sum += trainer.step(rows, std::span(order).subspan(begin, std::min<size_t>(options.batch, order.size() - begin)), rate, prior);
        report.last_loss = sum / static_cast<double>(order.size());
        if (epoch == 0) report.first_loss = report.last_loss;
        report.trained.rounds = epoch + 1;
        Progress progress{epoch + 1, options.epochs, report.last_loss, 0};
        if (stop.size() > 0) {
            progress.held_out_loss = trainer.mean_loss(stop);
            if (best.empty() || progress.held_out_loss < best_loss)
                best = trainer.weights(), best_loss = progress.held_out_loss, since = 0;
            else
                since++;
        }
        if (options.common.progress && !options.common.progress(progress)) break;
        if (options.patience > 0 && stop.size() > 0 && since >= options.patience) break;
    }
    if (!best.empty()) trainer.set_weights(best);
}

// The trained net over all inputs of the model: those that may not be looked at get weights of 0, the label's scale is undone.
Result<FloatNet> finish_net(FloatNet net, const TrainRows& rows, const Scaling& scaling) {
    RMT_CHECK(fold_scaler(net, scaling.mean, scaling.scale));
    FloatLayer& last = net.layers.back();
    for (double& weight : last.weights) weight *= scaling.label_scale;
    for (double& bias : last.bias) bias = bias * scaling.label_scale + scaling.label_mean;
    FloatLayer& first = net.layers[0];
    std::vector<double> weights(size_t{first.outputs} * rows.inputs.size(), 0);
    for (size_t k = 0; k < first.outputs; k++)
        for (size_t i = 0; i < rows.used.size(); i++) weights[k * rows.inputs.size() + rows.used[i]] = first.weights[k * rows.used.size() + i];
    first.weights = std::move(weights);
    net.inputs = static_cast<uint32_t>(rows.inputs.size());
    return net;
}

std::vector<ModelInput> inputs_of(const TrainRows& rows, const TrainOptions& options) {
    std::vector<ModelInput> inputs;
    for (size_t i = 0; i < rows.inputs.size(); i++) {
        const std::vector<int64_t>& values = rows.inputs[i]->values;
        ModelInput input;
        input.name = options.inputs[i];
        input.type = options.input_types.empty() ? rows.inputs[i]->type : options.input_types[i];
        input.min = input.max = values[rows.grow[0]];
        for (uint32_t row : rows.grow) input.min = std::min(input.min, values[row]), input.max = std::max(input.max, values[row]);
        if (!std::binary_search(rows.used.begin(), rows.used.end(), static_cast<uint32_t>(i))) allow_whole_type(input);
        inputs.push_back(std::move(input));
    }
    return inputs;
}

constexpr size_t kRowsToScale = 4096;

}  // namespace

Result<Model> with_bits(const Model& model, const Dataset& data, uint32_t bits) {
    if (!model.net || model.origin.empty())
        return model_error("M0305", "", "model '" + model.name + "' does not say what float net it was made from", "train or import it again");
    RMT_TRY(const FloatNet net, parse_float_net(model.origin));
    QuantiseOptions options{model.name, model.inputs, model.output, model.link, model.answers, bits, {}};
    std::vector<const Column*> columns;
    for (const ModelInput& input : model.inputs) {
        RMT_TRY(const Column* column, need_column(data, input.name));
        columns.push_back(column);
    }
    const size_t rows = std::min(kRowsToScale, data.rows());
    for (size_t i = 0; i < rows; i++) {
        std::vector<int64_t> row;
        for (const Column* column : columns) row.push_back(column->values[i * data.rows() / rows]);
        options.rows.push_back(std::move(row));
    }
    RMT_TRY(QuantiseReport report, quantise_net(net, options));
    report.model.provenance = model.provenance;
    report.model.samples.inputs = model.samples.inputs;
    for (const auto& row : model.samples.inputs) report.model.samples.outputs.push_back(infer(report.model, row));
    seal(report.model);
    return std::move(report.model);
}

Result<NetTrainReport> train_net(const Dataset& data, const NetTrainOptions& options) {
    RMT_CHECK(check_options(options));
    RMT_TRY(TrainRows rows, select_rows(data, options.common));
    NetTrainReport report;
    const bool classify = options.common.task == Task::Classify;
    ClassNumbers classes;
    if (classify) {
        RMT_TRY(classes, number_classes(rows, options.common, report.trained));
    }
    const std::vector<uint32_t> stop_rows = options.patience > 0 ? take_stop_rows(rows) : std::vector<uint32_t>{};
    const Scaling scaling = scaling_of(rows, options.common.task);
    const Examples examples = examples_of(rows, rows.grow, scaling, classify ? &classes : nullptr);
    if (examples.size() == 0) return model_error("M0304", "", "no row has a label that is told apart");
    const Examples stop = examples_of(rows, stop_rows, scaling, classify ? &classes : nullptr);
    std::vector<uint32_t> sizes = {static_cast<uint32_t>(rows.used.size())};
    if (options.kind == NetTrainOptions::Kind::Mlp) sizes.insert(sizes.end(), options.hidden.begin(), options.hidden.end());
    sizes.push_back(classify ? classes.outputs() : 1);
    std::mt19937_64 random(options.common.seed);
    Trainer trainer(sizes, !classify ? NetLoss::Squared : classes.positive ? NetLoss::Logistic : NetLoss::Softmax, random);
    run_epochs(trainer, examples, stop, options, {options.weight_decay, {}}, random, report);
    RMT_TRY(FloatNet net, finish_net(trainer.net(), rows, scaling));

    QuantiseOptions quantise;
    quantise.name = options.common.name;
    quantise.inputs = inputs_of(rows, options.common);
    quantise.output = options.common.output;
    quantise.bits = options.bits;
    if (classify) {
        Model links;
        set_outputs(links, classes, std::vector<int64_t>(classes.outputs(), 0));
        quantise.link = links.link;
        quantise.answers = links.answers;
    }
    for (uint32_t row : rows.held_out.empty() ? rows.grow : rows.held_out) {
        std::vector<int64_t> one;
        for (const Column* column : rows.inputs) one.push_back(column->values[row]);
        quantise.rows.push_back(std::move(one));
    }
    RMT_TRY(report.quantised, quantise_net(net, quantise));
    report.trained.model = std::move(report.quantised.model);
    report.quantised.model = {};
    RMT_CHECK(finish_report(report.trained, data, rows, options.common, options.kind == NetTrainOptions::Kind::Mlp ? "rmt mlp 1" : "rmt linear 1"));
    return report;
}

namespace {

// Mean and deviation of what the old model was trained on, as its samples show it, and of the rows: few rows alone say too little.
Scaling scaling_of_both(const Model& old, const TrainRows& rows, Task task) {
    const size_t inputs = old.inputs.size();
    std::vector<Column> columns(inputs);
    Column labels;
    for (size_t i = 0; i < old.samples.inputs.size(); i++) {
        for (size_t c = 0; c < inputs; c++) columns[c].values.push_back(old.samples.inputs[i][c]);
        if (old.samples.outputs[i]) labels.values.push_back(*old.samples.outputs[i]);
    }
    for (uint32_t row : rows.grow) {
        for (size_t c = 0; c < inputs; c++) columns[c].values.push_back(rows.inputs[c]->values[row]);
        labels.values.push_back(rows.label->values[row]);
    }
    Scaling scaling;
    const auto all = [](const Column& column) {
        std::vector<uint32_t> which(column.values.size());
        std::iota(which.begin(), which.end(), 0u);
        return which;
    };
    for (const Column& column : columns) {
        scaling.mean.push_back(mean_of(column.values, all(column)));
        scaling.scale.push_back(deviation_of(column.values, all(column), scaling.mean.back()));
    }
    if (task == Task::Regress) {
        scaling.label_mean = mean_of(labels.values, all(labels));
        scaling.label_scale = deviation_of(labels.values, all(labels), scaling.label_mean);
    }
    return scaling;
}

// The weights that finish_net() makes these layers of.
std::vector<double> unscaled_weights(FloatNet net, const Scaling& scaling) {
    FloatLayer &first = net.layers.front(), &last = net.layers.back();
    for (double& weight : last.weights) weight /= scaling.label_scale;
    for (double& bias : last.bias) bias = (bias - scaling.label_mean) / scaling.label_scale;
    for (size_t k = 0; k < first.outputs; k++)
        for (size_t i = 0; i < net.inputs; i++) {
            double& weight = first.weights[k * net.inputs + i];
            first.bias[k] += weight * scaling.mean[i];
            weight *= scaling.scale[i];
        }
    std::vector<double> weights;
    for (const FloatLayer& layer : net.layers) {
        weights.insert(weights.end(), layer.weights.begin(), layer.weights.end());
        weights.insert(weights.end(), layer.bias.begin(), layer.bias.end());
    }
    return weights;
}

ClassNumbers classes_of(const Model& old, int64_t none) {
    ClassNumbers classes;
    classes.positive = old.link == Link::Positive;
    if (classes.positive) classes.answers = {0, 1};
    for (size_t k = 0; k < model_outputs(old) && !classes.positive; k++) {
        classes.answers.push_back(answer_of(old, k));
        if (classes.answers.back() == none) classes.none = static_cast<int64_t>(k);
    }
    return classes;
}

QuantiseOptions quantise_as(const Model& old, const TrainRows& rows, const TrainOptions& common) {
    QuantiseOptions quantise;
    quantise.name = common.name;
    quantise.inputs = inputs_of(rows, common);
    for (size_t i = 0; i < old.inputs.size(); i++) {
        quantise.inputs[i].min = std::min(quantise.inputs[i].min, old.inputs[i].min);
        quantise.inputs[i].max = std::max(quantise.inputs[i].max, old.inputs[i].max);
    }
    quantise.output = common.output;
    quantise.bits = old.net->bits == 8 ? 8 : 16;
    quantise.link = old.link;
    quantise.answers = old.answers;
    quantise.rows = old.samples.inputs;
    for (uint32_t row : rows.grow) {
        std::vector<int64_t> one;
        for (const Column* column : rows.inputs) one.push_back(column->values[row]);
        quantise.rows.push_back(std::move(one));
    }
    return quantise;
}

}  // namespace

Result<NetTrainReport> adapt_net(const Model& old, const Dataset& data, const NetAdaptOptions& options) {
    if (!old.net || old.origin.empty())
        return model_error("M0305", "", "model '" + old.name + "' does not say what float net it was made from", "train or import it again");
    RMT_TRY(const FloatNet start, parse_float_net(old.origin));
    std::vector<uint32_t> sizes = {start.inputs};
    for (const FloatLayer& layer : start.layers) {
        if (layer.kind != LayerKind::Dense) return model_error("M0305", "", "a convolution cannot be adapted", "train it again");
        if (!layer.relu && &layer != &start.layers.back()) return model_error("M0305", "", "a net with a hidden layer without relu cannot be adapted", "train it again");
        sizes.push_back(layer.outputs);
    }
    NetTrainOptions train = options.train;
    train.kind = sizes.size() > 2 ? NetTrainOptions::Kind::Mlp : NetTrainOptions::Kind::Linear;
    train.common.task = old.link == Link::Round ? Task::Regress : Task::Classify;
    train.common.max_inputs = std::max(train.common.max_inputs, old.inputs.size());
    RMT_CHECK(check_options(train));
    RMT_TRY(const TrainRows rows, select_rows(data, train.common));
    const bool classify = train.common.task == Task::Classify;
    const ClassNumbers classes = classes_of(old, train.common.none);
    if (classify && !std::is_sorted(classes.answers.begin(), classes.answers.end()))
        return model_error("M0305", "", "a net whose answers are not in ascending order cannot be adapted", "train it again");
    const Scaling scaling = scaling_of_both(old, rows, train.common.task);
    const Examples examples = examples_of(rows, rows.grow, scaling, classify ? &classes : nullptr);
    NetTrainReport report;
    std::mt19937_64 random(train.common.seed);
    Trainer trainer(sizes, !classify ? NetLoss::Squared : classes.positive ? NetLoss::Logistic : NetLoss::Softmax, random);
    Prior prior{train.weight_decay, {}};
    if (options.mode != NetAdaptOptions::Mode::FromNothing) {
        prior = {options.pull, unscaled_weights(start, scaling)};
        trainer.set_weights(prior.at);
    }
    if (examples.size() > 0 && options.mode != NetAdaptOptions::Mode::AsItIs) run_epochs(trainer, examples, {}, train, prior, random, report);
    RMT_TRY(const FloatNet net, finish_net(trainer.net(), rows, scaling));
    RMT_TRY(report.quantised, quantise_net(net, quantise_as(old, rows, train.common)));
    report.trained.model = std::move(report.quantised.model);
    report.quantised.model = {};
    RMT_CHECK(finish_report(report.trained, data, rows, train.common, "rmt warm start 1"));
    return report;
}

}  // namespace rmt::models
