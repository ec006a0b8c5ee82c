// SPDX-License-Identifier: MIT
// Training of linear models and multi-layer perceptrons: Adam (Kingma and Ba 2015) on mini-batches of standardised inputs;
// squared error for numbers, logistic loss for classes 0 and 1, softmax for more. The standardisation is folded into the first
// layer, and the result quantised (quantise_net.h); its float form is the model's origin.
// Weights, order of rows and arithmetic depend on the seed and nothing else: the same rows, options and seed give the same model
// on every machine.
#pragma once

#include "models/quantise_net.h"
#include "models/train.h"

namespace rmt::models {

struct NetTrainOptions {
    enum class Kind { Linear, Mlp };
    TrainOptions common;                       // task, inputs, output, holdout, seed, progress ...; not depth and nodes
    Kind kind = Kind::Mlp;
    std::vector<uint32_t> hidden = {16, 8};    // units of each hidden layer, 1..3 of 1..128; not for linear
    uint32_t bits = 16;                        // 8 or 16, of an MLP
    uint32_t epochs = 30;                      // 1..10000
    uint32_t batch = 32;                       // 1..65536 rows
    double learning_rate = 0.01;               // above 0, up to 1; falls to a tenth towards the last epoch
    double weight_decay = 0;                   // L2, >= 0
    uint32_t patience = 0;                     // epochs without a better loss on held-out rows after which it stops; 0: none

    NetTrainOptions() { common.max_inputs = 128; }
};

struct NetTrainReport {
    TrainReport trained;                       // its model has the net; rounds: epochs
    QuantiseReport quantised;                  // compared on the held-out rows, else on those trained on; its model is empty
    double first_loss = 0, last_loss = 0;      // mean, of the rows trained on, in the first and in the last epoch
};

// Errors: Input M0302, M0304, M0305, M0306 as train_boost(); M0108 when the net cannot be quantised.
Result<NetTrainReport> train_net(const Dataset& data, const NetTrainOptions& options);

// Few-shot adaptation (models/warm_start.h): trained on from a net model's origin, on few rows of something similar. The shape, the
// classes and the bits are the old model's; inputs are scaled as its samples and these rows are; trained ranges become those of both.
struct NetAdaptOptions {
    NetTrainOptions train;    // common, epochs, batch, learning rate; the rest is the old model's
    double pull = 0;          // towards the old weights: pull / 2 * |difference|^2 of standardised inputs is added to the mean loss
    enum class Mode { TrainOn, AsItIs, FromNothing };
    Mode mode = Mode::TrainOn;  // AsItIs: only the ranges change; FromNothing: random weights instead of the old ones, all else is the same
};

// Errors: Input M0305 a model that does not say what float net it was made from, or a convolution; M0302, M0304; those of quantise_net().
Result<NetTrainReport> adapt_net(const Model& old, const Dataset& data, const NetAdaptOptions& options);

// The same net with so many bits, from its origin; 8 bits take their scales from (at most 4096 of) the rows of `data`.
// Errors: Input M0305 a model that does not say what float net it was made from; M0302 a column; those of quantise_net().
Result<Model> with_bits(const Model& model, const Dataset& data, uint32_t bits);

}  // namespace rmt::models
