// SPDX-License-Identifier: MIT
#include "loader/agent/learner.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "bpf/include/rmt/intf.h"
#include "loader/agent/actuator.h"
#include "loader/agent/training_share.h"
#include "loader/live.h"
#include "models/lower.h"
#include "models/reference.h"
#include "models/train.h"
#include "verifier_ext/model_check.h"

namespace rmt::load {

namespace {

constexpr std::chrono::milliseconds kTick{50};
constexpr size_t kMinSamples = 512;
constexpr size_t kMinFresh = 128;  // new samples since the last training

// What a model is worth on rows that it was not trained on: right answers less wrong ones. "No prediction" is neither: it
// reads nothing. A model must be better by one row in a hundred, so that equals do not take turns.
int64_t worth(const models::Evaluation& e) {
    return 2 * static_cast<int64_t>(e.correct_answered) - static_cast<int64_t>(e.answered);
}

uint64_t thread_cpu_ns() {
    timespec t = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

struct Learner::State {
    State(LivePolicy opened, uint32_t cpu_percent) : live(std::move(opened)), share(cpu_percent), began_ns(monotonic_ns()) {}

    ~State() {
        {
            const std::lock_guard lock(mutex);
            stop = true;
        }
        wake.notify_all();
        if (thread.joinable()) thread.join();
        if (share.trainings()) say("trained " + used());
        ring_buffer__free(ring);
    }

    // Champion and challenger, as they are pinned; read again only when they change.
    struct Contest {
        uint32_t champion_id = 0, challenger_id = 0;
        std::optional<models::Model> champion, challenger;
        ModelScore score;
    };

    struct Course {  // of one model
        const ManifestModel* model = nullptr;
        uint32_t index = 0;
        std::deque<rmt_sample> window;
        size_t fresh = 0;
        uint64_t trained_ns = 0;
        uint32_t version = 0;
        size_t arrived = 0;  // samples since the last look: the end of the window
        Contest contest;
    };

    static int on_sample(void* context, void* data, size_t size) {
        auto* self = static_cast<State*>(context);
        rmt_sample sample;
        if (size < sizeof(sample)) return 0;
        std::memcpy(&sample, data, sizeof(sample));
        for (Course& course : self->courses) {
            if (course.index != sample.model) continue;
            course.window.push_back(sample);
            course.fresh++;
            course.arrived++;
            while (course.window.size() > course.model->train->window) course.window.pop_front();
        }
        return 0;
    }

    void run() {
        std::unique_lock lock(mutex);
        while (!stop) {
            lock.unlock();
            ring_buffer__consume(ring);
            for (Course& course : courses) {
                if (auto done = score(course); !done) say("warning: scoring '" + course.model->name + "': " + done.error().message);
                course.arrived = 0;
                const uint64_t now = monotonic_ns();
                if (now - course.trained_ns < course.model->train->every_ns) continue;
                if (course.window.size() < kMinSamples || course.fresh < kMinFresh || !share.allows(now)) continue;
                course.trained_ns = now;
                course.fresh = 0;
                const uint64_t before = thread_cpu_ns();
                const uint32_t version = course.version;
                auto done = train(course);
                share.took(now, thread_cpu_ns() - before);
                if (course.version != version) say("trained " + used() + " so far");
                if (!done) say("warning: training '" + course.model->name + "': " + done.error().message);
            }
            lock.lock();
            wake.wait_for(lock, kTick, [&] { return stop; });
        }
    }

    std::string used() const {
        const double seconds = static_cast<double>(share.cpu_ns()) / 1e9, elapsed = static_cast<double>(monotonic_ns() - began_ns) / 1e9;
        return fmt::format("{} time{}, {:.2f} s of processor time, {:.1f} % of one processor", share.trainings(), share.trainings() == 1 ? "" : "s", seconds,
                           elapsed > 0 ? 100 * seconds / elapsed : 0);
    }

    // Whoever is pinned now. A challenger begins from nothing; the champion's tally goes on when another one comes.
    Result<void> look_at_contest(const ManifestModel& model, Contest& contest) const {
        const uint32_t challenger = live.challenger_id(model), champion = live.artefact_id(model);
        if (challenger != contest.challenger_id) {
            contest = {};
            contest.challenger_id = challenger;
            RMT_TRY(const std::optional<Challenger> found, live.challenger(model));
            if (!found) return {};
            RMT_TRY(contest.challenger, models::parse_model(found->artefact));
            // What an agent before this one counted goes on.
            if (contest.challenger->digest == found->score.challenger) contest.score = found->score;
            contest.challenger->digest.copy(contest.score.challenger, sizeof(contest.score.challenger) - 1);
        }
        if (!contest.challenger || (champion == contest.champion_id && contest.champion)) return {};
        contest.score.changes += contest.champion_id != 0;
        contest.champion_id = champion;
        contest.champion.reset();
        RMT_TRY(const std::string artefact, live.model_artefact(model));
        if (artefact.empty()) return {};
        RMT_TRY(contest.champion, models::parse_model(artefact));
        return {};
    }

    // Both on the events that have just come, which neither can have been trained on; before anything is trained on them.
    Result<void> score(Course& course) const {
        if (course.arrived == 0) return {};
        const ManifestModel& model = *course.model;
        Contest& contest = course.contest;
        RMT_CHECK(look_at_contest(model, contest));
        if (!contest.challenger) return {};
        const auto count = [&](const std::optional<models::Model>& of, const rmt_sample& sample, ModelTally& tally) {
            const std::vector<int64_t> row(sample.input, sample.input + model.inputs.size());
            const int64_t answer = of ? models::infer(*of, row).value_or(model.on_error) : model.on_error;
            const bool correct = answer == sample.label, answered = answer != model.on_error;
            tally.correct += correct;
            tally.answered += answered;
            tally.correct_answered += correct && answered;
        };
        const size_t fresh = std::min(course.arrived, course.window.size());
        for (auto sample = course.window.end() - static_cast<long>(fresh); sample != course.window.end(); ++sample) {
            contest.score.rows++;
            count(contest.champion, *sample, contest.score.champion_tally);
            count(contest.challenger, *sample, contest.score.challenger_tally);
        }
        auto written = live.set_score(model, contest.score);
        if (!written && written.error().kind == ErrorKind::NotFound) return {};  // it went just now
        return written;
    }

    models::Dataset dataset(const Course& course) const {
        models::Dataset data;
        const size_t inputs = course.model->inputs.size();
        for (size_t i = 0; i <= inputs; i++) {
            models::Column column;
            column.name = i < inputs ? course.model->inputs[i] : course.model->train->label;
            column.type = i < inputs ? course.model->input_types[i] : "i32";
            column.values.reserve(course.window.size());
            for (const rmt_sample& sample : course.window) column.values.push_back(i < inputs ? sample.input[i] : sample.label);
            data.columns.push_back(std::move(column));
        }
        return data;
    }

    Result<void> train(Course& course) {
        const ManifestModel& model = *course.model;
        const models::Dataset data = dataset(course);
        models::TrainOptions options = models::options_for(model);
        options.label = model.train->label;
        options.none = model.on_error;
        options.seed = share.trainings() + 1;
        RMT_TRY(const models::TrainReport report, models::train_tree(data, options));
        int64_t standing = 0;  // of the running model on the same rows
        RMT_TRY(const std::string artefact, live.model_artefact(model));
        if (!artefact.empty()) {
            RMT_TRY(const models::Model running, models::parse_model(artefact));
            RMT_TRY(const models::Evaluation e,
                    models::evaluate(running, data, options.label, report.holdout_rows, options.none));
            standing = worth(e);
        }
        const int64_t margin = static_cast<int64_t>(report.holdout.rows / 100) + 1;
        if (worth(report.holdout) < standing + margin) return {};
        RMT_TRY(const std::vector<uint8_t> value, models::lower_model(report.model, model.shape, ++course.version));
        RMT_CHECK(verify::check_model_value(value, model));
        RMT_CHECK(live.set_model(model, value, models::to_json(report.model)));
        say(fmt::format("model '{}' version {}: {} of {} held-out events right ({:.1f} %), {} answered; trained on {}", model.name,
                        course.version, report.holdout.correct, report.holdout.rows, 100 * report.holdout.accuracy(),
                        report.holdout.answered, report.rows_used));
        return {};
    }

    LivePolicy live;
    std::function<void(const std::string&)> say;
    ring_buffer* ring = nullptr;
    std::vector<Course> courses;
    TrainingShare share;
    const uint64_t began_ns;
    std::mutex mutex;
    std::condition_variable wake;
    bool stop = false;
    std::thread thread;
};

Learner::Learner() = default;
Learner::~Learner() = default;

bool Learner::wanted(const Manifest& manifest) {
    for (const ManifestModel& model : manifest.models)
        if (model.train) return true;
    return false;
}

Result<std::unique_ptr<Learner>> Learner::start(const std::string& policy, uint32_t cpu_percent, std::function<void(const std::string&)> say) {
    RMT_TRY(LivePolicy live, LivePolicy::open(policy));
    std::unique_ptr<Learner> learner(new Learner);
    learner->state_ = std::make_unique<State>(std::move(live), cpu_percent);
    State& state = *learner->state_;
    state.say = std::move(say);
    RMT_TRY(const int map, state.live.map("rmt_train"));
    state.ring = ring_buffer__new(map, State::on_sample, &state, nullptr);
    if (!state.ring) return fail(ErrorKind::Environment, std::string("cannot read the training samples: ") + std::strerror(errno), {}, errno);
    const std::vector<ManifestModel>& models = state.live.manifest().models;
    for (size_t i = 0; i < models.size(); i++)
        if (models[i].train) {
            State::Course course;
            course.model = &models[i];
            course.index = static_cast<uint32_t>(i);
            state.courses.push_back(std::move(course));
        }
    state.thread = std::thread([&state] { state.run(); });
    return learner;
}

}  // namespace rmt::load
