// SPDX-License-Identifier: MIT
// Models that learn in the kernel, through the real path: policy text, compiler, RMT verifier, this kernel, event by event. What
// stands in the map afterwards is bit for bit what the same steps give natively; errors fall, and fall again after the relation
// has changed.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>

#include <cstring>
#include <algorithm>
#include <random>

#include "models/online.h"
#include "models/reference.h"
#include "tests/kernel/twin.h"
#include "tests/rmt_test.h"
#include "verifier_ext/verify.h"

// The structs of the engine's header; its functions are called natively, compiled as C (tests/models/learn_native.c).
#define rmt_engine_inline static inline
#define rmt_engine_unroll
#define rmt_engine_for(i, end) for (i = 0; i < (end); i++)
#include "bpf/include/rmt/learn.bpf.h"
#include "tests/models/learn_native.h"

using namespace rmt;

namespace {

constexpr int64_t kPage = 1 << 20;

std::string policy_text(const std::string& train, const std::string& more = "infer(m)") {
    return "rmt 1;\npolicy t {\n    description \"t\";\n    domain mm;\n    mode shadow;\n    limit { prefetch.pages <= 8 per event; cost <= 20us per event; }\n"
           "state per task { deltas : ring<i32, 3>; other : ring<i32, 3>; was : bool; r : i64; }\n"
           "model m { input (deltas[0], deltas[1], deltas[2]); output value i32 in -3000..3000; on_error 7; train online " + train + "; }\n"
           "on mm.fault {\n    push deltas, fault.delta;\n    r = " + more + ";\n    collect { r } sample 1/1;\n}\n}\n";
}

// The learner of a CPU is one array element: the test stays on its CPU.
void stay_on_one_cpu() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
}

template <class L>
L learner_of(const test::Twin& twin, const char* map = "rmt_online_m") {
    std::vector<L> all(static_cast<size_t>(libbpf_num_possible_cpus()));
    const uint32_t zero = 0;
    REQUIRE(bpf_map_lookup_elem(twin.map(map), &zero, all.data()) == 0);
    return all[static_cast<size_t>(sched_getcpu())];
}

template <class L>
void forget(const test::Twin& twin) {
    std::vector<L> none(static_cast<size_t>(libbpf_num_possible_cpus()));
    const uint32_t zero = 0;
    REQUIRE(bpf_map_update_elem(twin.map("rmt_online_m"), &zero, none.data(), BPF_ANY) == 0);
}

int64_t native_step(rmt_learn_linear& l, const int32_t* x, int64_t label, const rmt_learn_setup& s) { return rmt_native_learn_linear(&l, x, label, &s, 1); }
int64_t native_step(rmt_learn_mlp& l, const int32_t* x, int64_t label, const rmt_learn_setup& s) { return rmt_native_learn_mlp(&l, x, label, &s, 1); }
int64_t native_predict(const rmt_learn_linear& l, const int32_t* x, const rmt_learn_setup& s) { return rmt_native_predict_linear(&l, x, &s); }
int64_t native_predict(const rmt_learn_mlp& l, const int32_t* x, const rmt_learn_setup& s) { return rmt_native_predict_mlp(&l, x, &s); }

Result<test::Twin> load_verified(const lang::Compiled& compiled) {
    const verify::Verdict verdict = verify::verify(compiled.object, compiled.manifest);
    if (!verdict.accepted()) FAIL(verify::to_text(verdict, "t") << "\n" << compiled.c_text);
    return test::Twin::load(compiled);
}

// A policy in the kernel and the same learner natively, shown the same events.
template <class L>
class Both {
public:
    Both(test::Twin twin, const Manifest& manifest) : twin_(std::move(twin)), manifest_(manifest) {
        const ManifestModel::Online& online = *manifest.models[0].online;
        setup_.rate = online.rate_bits;
        setup_.inputs = static_cast<uint32_t>(online.scale_bits.size());
        for (size_t i = 0; i < online.scale_bits.size(); i++) setup_.shift[i] = online.scale_bits[i];
        after_ = online.after;
    }

    // The fault of a page that lies `delta` behind the last one; returns what the policy then predicts.
    int64_t event(int64_t delta) {
        rmt_twin event = {};
        page_ += delta;
        event.page = static_cast<uint64_t>(page_);
        const int64_t label = begun_ ? delta : 0;
        begun_ = true;
        int32_t x[RMT_LEARN_INPUTS] = {deltas_[0], deltas_[1], deltas_[2]};
        native_step(native, x, label, setup_);
        for (int i = 2; i > 0; i--) deltas_[i] = deltas_[i - 1];
        deltas_[0] = static_cast<int32_t>(label);
        int32_t now[RMT_LEARN_INPUTS] = {deltas_[0], deltas_[1], deltas_[2]};
        REQUIRE(twin_.run(event));
        const auto records = twin_.collected();
        REQUIRE(records.size() == 1);
        const int64_t given = records[0].number(*manifest_.collect, "r");
        const int64_t wanted = native.score.steps < after_ ? 7 : std::clamp<int64_t>(native_predict(native, now, setup_), -3000, 3000);
        if (given != wanted) FAIL("step " << native.score.steps << ": " << given << " given, " << wanted << " expected");
        const L kernel = learner_of<L>(twin_);
        if (std::memcmp(&kernel, &native, sizeof native) != 0) FAIL("other weights after step " << native.score.steps);
        return given;
    }
    void forget_all() {
        forget<L>(twin_);
        native = {};
    }
    test::Twin& twin() { return twin_; }
    const rmt_learn_setup& setup() const { return setup_; }
    const int32_t* deltas() const { return deltas_; }

    L native = {};

private:
    test::Twin twin_;
    const Manifest& manifest_;
    rmt_learn_setup setup_ = {};
    uint64_t after_ = 0;
    int64_t page_ = kPage;
    bool begun_ = false;
    int32_t deltas_[3] = {};
};

// The relation: `next` of the last three deltas, with a little noise. Returns the mean squared error of `events` predictions.
template <class L, class F>
double stretch(Both<L>& both, std::mt19937_64& random, int events, F&& next) {
    double squares = 0;
    int64_t predicted = 0;
    bool asked = false;
    for (int i = 0; i < events; i++) {
        const int64_t delta = next(both.deltas()) + static_cast<int64_t>(random() % 401) - 200;
        if (asked) squares += static_cast<double>((predicted - delta) * (predicted - delta));
        predicted = both.event(delta);
        asked = true;
    }
    return squares / (events - 1);
}

template <class L>
void learn_and_drift(const std::string& learner, int events, double least_gain) {
    stay_on_one_cpu();
    const std::string train = learner + " from mm.fault label fault.delta rate 1/64 scale (8, 8, 8) after 32";
    auto compiled = test::compile_text(policy_text(train));
    if (!compiled) FAIL(compiled.error().message);
    auto manifest = parse_manifest(to_json(compiled->manifest));
    REQUIRE(manifest);
    CHECK(*manifest == compiled->manifest);
    auto twin = load_verified(*compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) RMT_SKIP(twin.error().message);
    if (!twin) FAIL(twin.error().message << "\n" << twin.error().detail);
    CHECK(twin->instructions("rmt_twin") < 20000);
    Both<L> both(std::move(*twin), compiled->manifest);
    std::mt19937_64 random(5);
    // Signs alternate, so that what a mean would answer is worth nothing.
    const auto first = [](const int32_t* d) { return -(d[0] * 3) / 4 + d[1] / 8 + 300; };
    const auto second = [](const int32_t* d) { return (d[0] * 3) / 4 - d[1] / 4 - 200; };
    const double at_first = stretch(both, random, 40, first);
    for (int i = 0; i < 4; i++) stretch(both, random, events, first);
    const double learned = stretch(both, random, events, first);
    const double changed = stretch(both, random, 20, second);
    for (int i = 0; i < 4; i++) stretch(both, random, events, second);
    const double again = stretch(both, random, events, second);
    INFO("mean squared errors: at first " << at_first << ", learned " << learned << ", just after the change " << changed << ", learned again " << again);
    CHECK(learned * least_gain < at_first);
    CHECK(again * least_gain < changed);
    // The score that `rmt-load stats` shows says so too.
    CHECK(both.native.score.recent < both.native.score.spread);
    both.forget_all();
    CHECK(both.event(5) == 7);  // no answer before 32 steps
    for (int i = 0; i < 300; i++) both.event(i % 7 - 3);
}

// What an artefact answers that was made of the learner, beside what the kernel answers. Inputs beyond the learner's range have no
// answer in the artefact; the kernel clamps them.
void export_and_compare(const std::string& scale, int64_t spread) {
    stay_on_one_cpu();
    INFO("scale " << scale);
    auto compiled = test::compile_text(policy_text("linear from mm.fault label fault.delta scale " + scale + " after 1"));
    if (!compiled) FAIL(compiled.error().message);
    auto twin = load_verified(*compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) RMT_SKIP(twin.error().message);
    if (!twin) FAIL(twin.error().message << "\n" << twin.error().detail);
    Both<rmt_learn_linear> both(std::move(*twin), compiled->manifest);
    std::mt19937_64 random(6);
    const ManifestModel& declared = compiled->manifest.models[0];
    CHECK(models::model_of_learners(declared, {}).error().kind == ErrorKind::NotFound);
    for (int i = 0; i < 600; i++) both.event(-both.deltas()[0] / 2 + static_cast<int64_t>(random() % static_cast<uint64_t>(spread)));
    const auto frozen = models::model_of_learners(declared, {&both.native, 1});
    if (!frozen) FAIL(frozen.error().message);
    CHECK(models::parse_model(models::to_json(*frozen)));
    const rmt_learn_setup setup = both.setup();
    int same = 0, off = 0, none = 0;
    for (int i = 0; i < 20000; i++) {
        int32_t x[RMT_LEARN_INPUTS] = {};
        std::vector<int64_t> row;
        for (int k = 0; k < 3; k++) row.push_back(x[k] = static_cast<int32_t>(random() % static_cast<uint64_t>(4 * spread)) - static_cast<int32_t>(2 * spread));
        const int64_t kernel = std::clamp<int64_t>(rmt_native_predict_linear(&both.native, x, &setup), -3000, 3000);
        const auto answer = models::infer(*frozen, row);
        if (!answer) none++;
        if (!answer) continue;
        if (std::abs(*answer - kernel) > 1) FAIL("the artefact answers " << *answer << ", the kernel " << kernel);
        (*answer == kernel ? same : off)++;
    }
    CHECK(same > 15000);
    CHECK(off * 50 < same);
    CHECK(none < 200);
}

}  // namespace

TEST_CASE("a linear model that learned in the kernel is exported: its artefact answers as the kernel does, within 1") {
    export_and_compare("(1, 1, 1)", 120);
    export_and_compare("8", 900);
    export_and_compare("(1/2, 4, 16)", 60);
}

TEST_CASE("a policy with several learners: each learns from its own event, and pages are asked for that two of them expect") {
    stay_on_one_cpu();
    auto source = Source::read(std::string(RMT_SOURCE_DIR) + "/tests/lang/accept/online.rmt");
    REQUIRE(source);
    auto compiled = test::compile_text(std::string(source->text()), "online.rmt");
    if (!compiled) FAIL(compiled.error().message);
    auto twin = load_verified(*compiled);
    if (!twin && twin.error().kind == ErrorKind::Permission) RMT_SKIP(twin.error().message);
    if (!twin) FAIL(twin.error().message << "\n" << twin.error().detail);
    rmt_twin event = {};
    constexpr int kEvents = 1500, kOutcomes = 300, kStride = 48;
    for (int i = 0; i < kEvents; i++) {
        event = {};
        event.page = static_cast<uint64_t>(kPage + i * kStride);
        event.write = static_cast<uint32_t>(i & 1);
        auto ran = twin->run(event);
        REQUIRE(ran);
        event = *ran;
        if (i < 31) CHECK(event.n == 0);  // on_error of `next`
    }
    // `next` with its own inputs, then with another ring in their place.
    CHECK(event.n == 2);
    CHECK(event.out[0] == event.page + kStride);
    CHECK(event.out[1] == event.page + 2 * kStride);
    CHECK(learner_of<rmt_learn_linear>(*twin, "rmt_online_next").score.steps == kEvents);
    CHECK(learner_of<rmt_learn_mlp>(*twin, "rmt_online_curve").score.steps == kEvents);
    CHECK(learner_of<rmt_learn_linear>(*twin, "rmt_online_late").score.steps == 0);
    for (int i = 0; i < kOutcomes; i++) {
        event = {};
        event.page = static_cast<uint64_t>(kPage);
        event.outcome = RMT_OUTCOME_LATE;
        REQUIRE(twin->run(event));
    }
    const auto late = learner_of<rmt_learn_linear>(*twin, "rmt_online_late");
    CHECK(late.score.steps == kOutcomes);
    CHECK(late.score.recent < late.score.spread + (1 << RMT_LEARN_WINDOW_BITS));
    CHECK(learner_of<rmt_learn_linear>(*twin, "rmt_online_next").score.steps == kEvents);
}

TEST_CASE("weights of several CPUs are averaged by their steps") {
    ManifestModel declared;
    declared.name = "m", declared.inputs = {"a", "b"}, declared.input_types = {"i32", "bool"};
    declared.output_kind = "value", declared.output_type = "i32", declared.output_min = -100000, declared.output_max = 100000;
    declared.online = ManifestModel::Online{OnlineKind::Linear, "fault.delta", 6, {0, -7}, 1};
    std::vector<rmt_learn_linear> cpus(3);
    cpus[0].score.begun = cpus[2].score.begun = 1;
    cpus[0].score.steps = 300, cpus[2].score.steps = 100;
    cpus[0].weight[0] = 4 << 16, cpus[2].weight[0] = 8 << 16;
    cpus[0].bias = 10 << 8, cpus[2].bias = 50 << 8;
    cpus[2].weight[1] = int64_t{1} << 34;  // as large as it gets: the last bits of all weights go
    const auto model = models::model_of_learners(declared, cpus);
    if (!model) FAIL(model.error().message);
    CHECK(models::infer(*model, std::vector<int64_t>{10, 0}) == 5 * 10 + 20);
    CHECK(models::infer(*model, std::vector<int64_t>{0, 1}) == 100000);
    CHECK(models::infer(*model, std::vector<int64_t>{256, 0}) == std::nullopt);
    declared.online->kind = OnlineKind::Mlp;
    CHECK(models::model_of_learners(declared, cpus).error().kind == ErrorKind::Unsupported);
}

TEST_CASE("train online linear: the kernel's weights are the native ones, errors fall, also after a change") { learn_and_drift<rmt_learn_linear>("linear", 1000, 3); }

TEST_CASE("train online mlp: the kernel's weights are the native ones, errors fall, also after a change") { learn_and_drift<rmt_learn_mlp>("mlp", 1000, 3); }
