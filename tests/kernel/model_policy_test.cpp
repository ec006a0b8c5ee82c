// SPDX-License-Identifier: MIT
// Policies with a model of each engine: compiled for its class, accepted by the RMT verifier and by this kernel, asked event by
// event; the answers are those of the reference, also after a swap.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <functional>
#include <set>

#include "bpf/include/rmt/net_layout.h"
#include "models/lower.h"
#include "models/reference.h"
#include "rmt_lang/check.h"
#include "rmt_lang/parser.h"
#include "tests/kernel/twin.h"
#include "tests/models/random_model.h"
#include "tests/models/random_net.h"
#include "tests/rmt_test.h"
#include "verifier_ext/model_check.h"
#include "verifier_ext/verify.h"

using namespace rmt;
using namespace rmt::models;

namespace {

constexpr int64_t kOnError = 7;

std::string policy_text(uint32_t inputs) {
    std::string names;
    for (uint32_t i = 0; i < inputs; i++) names += (i ? ", " : "") + ("deltas[" + std::to_string(i) + "]");
    return "rmt 1;\npolicy t {\n    description \"t\";\n    domain mm;\n    mode enforce;\n    limit { prefetch.pages <= 64 per event; cost <= 1ms per event; }\n"
           "state per task { deltas : ring<i32, 32>; r : i64; }\n"
           "model m { source \"m.json\"; input (" + names + "); output value i32 in -1000..1000; on_error 7; }\n"
           "on mm.fault {\n    push deltas, fault.delta;\n    r = infer(m);\n    collect { r } sample 1/1;\n}\n}\n";
}

Model make_net(std::mt19937_64& random, NetSpec spec) {
    Model model = random_net(random, spec);
    for (size_t i = 0; i < model.inputs.size(); i++) model.inputs[i].name = "deltas[" + std::to_string(i) + "]";
    model.output = {OutputKind::Value, "i32", -1000, 1000, {}};
    // Answers that are spread over the output's range: the last layer's sums times a small multiplier.
    NetLayer& last = model.net->layers.back();
    int64_t most = 1;
    for (int i = 0; i < 500; i++) {
        std::vector<int64_t> row;
        for (const ModelInput& input : model.inputs) row.push_back(pick(random, input.min, input.max));
        most = std::max(most, std::abs(net_outputs(*model.net, row)[0]));
    }
    while (most > 1000 && last.shift < 60) last.shift++, most /= 2;
    seal(model);
    return model;
}

Result<lang::Compiled> compile_for(const std::string& text, const Model& model) {
    const Source source("t.rmt", text);
    Diagnostics diagnostics;
    const auto ast = lang::parse(source, diagnostics);
    const auto checked = ast ? lang::check(*ast, source, diagnostics) : std::nullopt;
    if (!checked) return fail(ErrorKind::Input, format(diagnostics, source));
    lang::Ir ir = checked->ir();
    RMT_TRY(ir.models.at(0).shape, smallest_class(model));
    return lang::compile_policy(lang::CheckedIr::seal(std::move(ir)), source);
}

void swap(int outer, const std::vector<uint8_t>& value) {
    uint32_t zero = 0;
    const int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_model", 4, static_cast<uint32_t>(value.size()), 1, nullptr);
    REQUIRE(inner >= 0);
    REQUIRE(bpf_map_update_elem(inner, &zero, value.data(), BPF_ANY) == 0);
    REQUIRE(bpf_map_update_elem(outer, &zero, &inner, BPF_ANY) == 0);
    close(inner);
}

// Trees whose inputs are the policy's and whose answers lie in its range.
Model make_trees(std::mt19937_64& random, const RandomShape& shape) {
    Model model = random_model(random, shape);
    for (size_t i = 0; i < model.inputs.size(); i++) model.inputs[i].name = "deltas[" + std::to_string(i) + "]";
    for (Tree& tree : model.trees)
        for (size_t node = 0; node < tree.size(); node++) tree.value[node] %= 1000;
    model.output = {OutputKind::Value, "i32", -1000, 1000, {}};
    model.base %= 1000;
    for (int64_t& base : model.more_bases) base %= 1000;
    seal(model);
    return model;
}

struct Asked {
    const char* name;
    EngineKind kind;
    uint32_t inputs;
    int64_t span;  // of the pages, around one place
    std::function<Model(std::mt19937_64&)> make;
};

// The next page: mostly anywhere within the span, sometimes as far as to be what means missing.
uint64_t next_page(std::mt19937_64& random, const Model& model, int64_t span, uint64_t page, int event) {
    constexpr int64_t kMiddle = 1 << 20;
    const ModelInput& input = model.inputs[random() % model.inputs.size()];
    const int64_t far = static_cast<int64_t>(page) + input.missing.value_or(0);
    if (input.missing && random() % 8 == 0 && far > 0) return static_cast<uint64_t>(far);
    return static_cast<uint64_t>(kMiddle + pick(random, -span / 2, span / 2) + (event == 100 ? 100000 : 0));
}

void run_policy(const Asked& asked) {
    INFO(asked.name);
    std::mt19937_64 random(11);
    const Model first = asked.make(random);
    Model second = asked.make(random);
    for (int i = 0; i < 100 && !check_fits(second, *smallest_class(first)); i++) second = asked.make(random);
    auto compiled = compile_for(policy_text(asked.inputs), first);
    if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
    const ManifestModel& declared = compiled->manifest.models[0];
    CHECK(declared.shape.kind == asked.kind);
    auto manifest = parse_manifest(to_json(compiled->manifest));
    if (!manifest) FAIL(manifest.error().message);
    CHECK(*manifest == compiled->manifest);

    const verify::Verdict verdict = verify::verify(compiled->object, compiled->manifest);
    if (!verdict.accepted()) FAIL(verify::to_text(verdict, "t") << "\n" << compiled->c_text);

    auto twin = test::Twin::load(*compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) RMT_SKIP(twin.error().message);
    if (!twin) FAIL(twin.error().message << "\n" << twin.error().detail.substr(twin.error().detail.size() > 4000 ? twin.error().detail.size() - 4000 : 0));

    std::deque<int64_t> deltas(32, 0);
    uint64_t page = 1 << 20;
    size_t answered = 0, events = 0;
    std::set<int64_t> values;
    for (const Model* model : {&first, static_cast<const Model*>(&second)}) {
        const auto fits = check_against_policy(*model, declared);
        if (!fits) FAIL(fits.error().message);
        auto value = lower_model(*model, declared.shape);
        if (!value) FAIL(value.error().message);
        const verify::ModelVerdict proof = verify::verify_model(*value, declared);
        if (proof.rejected) FAIL(proof.rejected->message);
        CHECK(proof.facts.out_min >= -1000);
        CHECK(proof.facts.out_max <= 1000);
        swap(twin->map("rmt_model_m"), *value);
        for (int i = 0; i < 300; i++) {
            const uint64_t next = next_page(random, *model, asked.span, page, i);
            rmt_twin event{};
            event.page = next;
            deltas.push_front(events == 0 ? 0 : static_cast<int64_t>(next) - static_cast<int64_t>(page));
            deltas.pop_back();
            page = next;
            REQUIRE(twin->run(event));
            const auto records = twin->collected();
            REQUIRE(records.size() == 1);
            const auto answer = infer(*model, std::vector<int64_t>(deltas.begin(), deltas.begin() + asked.inputs));
            const int64_t given = records[0].number(*compiled->manifest.collect, "r");
            if (given != answer.value_or(kOnError)) FAIL("event " << events << ": " << given << " given, " << answer.value_or(kOnError) << " expected");
            answered += answer.has_value();
            values.insert(given);
            events++;
        }
    }
    CHECK(answered > 100);
    CHECK(answered < events);  // the jump at event 100 lies outside of the trained range
    CHECK(values.size() > 2);
}

void run_policy(const NetSpec& spec) {
    run_policy({spec.name, EngineKind::Net, spec.inputs, spec.span, [&](auto& random) { return make_net(random, spec); }});
}

void run_policy(const char* name, EngineKind kind, const RandomShape& shape) {
    run_policy({name, kind, shape.inputs, shape.span, [&](auto& random) { return make_trees(random, shape); }});
}

using enum LayerKind;

}  // namespace

TEST_CASE("a policy asks an MLP of 8 or 16 bits, swapped while it runs") {
    run_policy({"15-10-1 int16", 15, 1, {{Dense, 10}, {Dense, 1}}, 16, Link::Round, 2000});
    run_policy({"32-64-32-1 int8", 32, 1, {{Dense, 64}, {Dense, 32}, {Dense, 1}}, 8, Link::Round, 2000});
}

TEST_CASE("a policy asks a tree, also with missing values and sets") {
    run_policy("tree", EngineKind::Tree, {.depth = 8, .inputs = 8, .span = 1000, .bisect = true});
    run_policy("tree with columns", EngineKind::Tree, {.depth = 8, .inputs = 4, .span = 1000, .missing = 2, .sets = 2, .set_span = 400});
}

TEST_CASE("a policy asks a forest") {
    run_policy("forest", EngineKind::Forest, {.kind = ModelKind::Forest, .trees = 20, .depth = 6, .inputs = 8, .span = 1000, .bisect = true, .shift = 3});
    run_policy("deep forest of many columns", EngineKind::Forest,
               {.kind = ModelKind::Forest, .trees = 6, .depth = 12, .inputs = 32, .span = 1000, .shift = 2, .missing = 4, .sets = 3, .set_span = 100});
    run_policy("forest of several outputs", EngineKind::Forest,
               {.kind = ModelKind::Forest, .trees = 20, .depth = 5, .inputs = 6, .span = 1000, .bisect = true, .missing = 1, .outputs = 5});
}

TEST_CASE("a policy asks oblivious trees") {
    run_policy("oblivious", EngineKind::Oblivious, {.kind = ModelKind::Oblivious, .trees = 20, .depth = 6, .inputs = 8, .span = 1000, .bisect = true, .shift = 3});
    run_policy("oblivious of many columns", EngineKind::Oblivious,
               {.kind = ModelKind::Oblivious, .trees = 9, .depth = 9, .inputs = 32, .span = 1000, .missing = 4, .sets = 3, .set_span = 100, .outputs = 3});
}

TEST_CASE("a policy asks a convolution") {
    run_policy({"conv 32x1 int16", 32, 32, {{Conv1d, 8, 5, 2}, {MaxPool, 0, 7, 7}, {Dense, 1}}, 16, Link::Round, 2000, true, ModelKind::Conv});
}

TEST_CASE("a policy asks a linear model") {
    run_policy({"linear 8", 8, 1, {{Dense, 1}}, 16, Link::Round, 2000, false, ModelKind::Linear});
}

TEST_CASE("bytes that could overflow, or answer outside of the policy's range, are not swapped in") {
    std::mt19937_64 random(12);
    const Model model = make_net(random, {"15-10-1 int8", 15, 1, {{Dense, 10}, {Dense, 1}}, 8, Link::Round, 2000});
    auto compiled = compile_for(policy_text(15), model);
    if (!compiled) FAIL(compiled.error().message << "\n" << compiled.error().detail);
    const ManifestModel& declared = compiled->manifest.models[0];
    auto value = lower_model(model, declared.shape);
    REQUIRE(value);
    const NetClass& c = declared.shape.net;
    const size_t tiles = sizeof(rmt_net_header) + c.inputs * sizeof(rmt_net_input), rows = tiles + c.tiles * sizeof(rmt_net_tile), words = rows + c.rows * sizeof(rmt_net_row);
    struct Change {
        const char* id;
        size_t at;
        int64_t value;
        size_t size;
    };
    const Change changes[] = {
        {"V0701", offsetof(rmt_net_header, kind), RMT_NET_LINEAR_KIND, 4},
        {"V0701", offsetof(rmt_net_header, inputs), 14, 4},
        {"V0701", offsetof(rmt_net_header, tiles), 4096, 4},
        {"V0701", offsetof(rmt_net_header, result), c.width, 4},
        {"V0702", tiles + offsetof(rmt_net_tile, block), c.blocks, 4},
        {"V0702", tiles + offsetof(rmt_net_tile, from), 20, 4},
        {"V0705", sizeof(rmt_net_header) + offsetof(rmt_net_input, span), UINT32_MAX, 4},
        {"V0706", words, INT64_MAX / 3, 8},
        {"V0706", rows + offsetof(rmt_net_row, multiplier), INT64_MAX, 8},
        {"V0706", sizeof(rmt_net_header) + offsetof(rmt_net_input, multiplier), int64_t{1} << 60, 8},
    };
    REQUIRE_FALSE(verify::verify_model(*value, declared).rejected);
    for (const Change& change : changes) {
        auto broken = *value;
        std::memcpy(broken.data() + change.at, &change.value, change.size);
        const verify::ModelVerdict verdict = verify::verify_model(broken, declared);
        INFO(change.id << " at " << change.at);
        REQUIRE(verdict.rejected);
        CHECK(verdict.rejected->id == change.id);
    }
    Model wide = model;  // whose answers need more than the policy takes
    wide.output.max = 2000;
    auto wider = lower_model(wide, declared.shape);
    REQUIRE(wider);
    const verify::ModelVerdict verdict = verify::verify_model(*wider, declared);
    REQUIRE(verdict.rejected);
    CHECK(verdict.rejected->id == "V0704");
}
