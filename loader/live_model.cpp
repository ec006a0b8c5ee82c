// SPDX-License-Identifier: MIT
// The models of a loaded policy: the one that answers, and the one that is scored beside it.
#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "loader/bpffs.h"
#include "loader/live.h"
#include "loader/system_error.h"
#include "loader/value_map.h"

namespace rmt::load {

namespace {

// In place of what was pinned there: whoever opens it finds the old or the new one.
Result<void> repin(int fd, const std::string& path) {
    const std::string beside = path + kNextSuffix;
    unlink(beside.c_str());
    if (bpf_obj_pin(fd, beside.c_str()) != 0) return system_error("cannot pin " + beside);
    if (rename(beside.c_str(), path.c_str()) == 0) return {};
    auto error = system_error("cannot pin " + path);
    unlink(beside.c_str());
    return error;
}

// Opened anew each time: another process may have replaced it. Empty: there is none.
Result<Fd> open_pin(const std::string& path) {
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd && errno != ENOENT) return system_error("cannot open " + path);
    return fd;
}

uint32_t id_of(const std::string& path) { return map_id(Fd(bpf_obj_get(path.c_str())).get()); }

std::string artefact_pin(const LivePolicy& live, const ManifestModel& model) { return pin_dir(live.name()) + "/artefact_" + model.name; }
std::string challenger_pin(const LivePolicy& live, const ManifestModel& model) { return pin_dir(live.name()) + "/challenger_" + model.name; }
std::string score_pin(const LivePolicy& live, const ManifestModel& model) { return pin_dir(live.name()) + "/score_" + model.name; }

}  // namespace

Result<void> LivePolicy::set_model(const ManifestModel& model, const std::vector<uint8_t>& value, const std::string& artefact) const {
    RMT_TRY(Fd lock, lock_policies());  // value and artefact go together
    RMT_TRY(const int outer, map("rmt_model_" + model.name));
    RMT_TRY(Fd text, make_text_map("rmt_artefact", artefact));
    RMT_CHECK(replace_value(outer, "rmt_model", value));
    if (auto pinned = repin(text.get(), artefact_pin(*this, model)); !pinned) {
        pinned.error().message = "the model runs, but its artefact could not be kept: " + pinned.error().message;
        return fail(pinned.error());
    }
    return {};
}

Result<std::string> LivePolicy::model_artefact(const ManifestModel& model) const {
    RMT_TRY(const Fd fd, open_pin(artefact_pin(*this, model)));
    if (!fd) return std::string{};
    return read_text_map(fd.get());
}

Result<void> LivePolicy::set_challenger(const ManifestModel& model, const std::string& artefact) const {
    RMT_TRY(Fd lock, lock_policies());
    RMT_TRY(Fd text, make_text_map("rmt_artefact", artefact));
    Fd score(bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_score", sizeof(__u32), sizeof(ModelScore), 1, nullptr));
    if (!score) return system_error("cannot make a map for the score");
    RMT_CHECK(repin(score.get(), score_pin(*this, model)));
    return repin(text.get(), challenger_pin(*this, model));
}

Result<void> LivePolicy::remove_challenger(const ManifestModel& model) const {
    RMT_TRY(Fd lock, lock_policies());
    if (unlink(challenger_pin(*this, model).c_str()) != 0) {
        if (errno == ENOENT) return fail(ErrorKind::NotFound, "'" + name_ + "/" + model.name + "' has no challenger");
        return system_error("cannot remove the challenger of '" + name_ + "/" + model.name + "'");
    }
    unlink(score_pin(*this, model).c_str());
    return {};
}

Result<std::optional<Challenger>> LivePolicy::challenger(const ManifestModel& model) const {
    RMT_TRY(const Fd text, open_pin(challenger_pin(*this, model)));
    if (!text) return std::optional<Challenger>{};
    Challenger found;
    RMT_TRY(found.artefact, read_text_map(text.get()));
    RMT_TRY(const Fd score, open_pin(score_pin(*this, model)));
    const __u32 zero = 0;
    if (score && bpf_map_lookup_elem(score.get(), &zero, &found.score) != 0) return system_error("cannot read the score of '" + model.name + "'");
    found.score.challenger[sizeof(found.score.challenger) - 1] = 0;
    return std::optional<Challenger>(std::move(found));
}

Result<void> LivePolicy::set_score(const ManifestModel& model, const ModelScore& score) const {
    RMT_TRY(const Fd fd, open_pin(score_pin(*this, model)));
    if (!fd) return fail(ErrorKind::NotFound, "'" + name_ + "/" + model.name + "' has no challenger");
    const __u32 zero = 0;
    if (bpf_map_update_elem(fd.get(), &zero, &score, BPF_ANY) != 0) return system_error("cannot write the score of '" + model.name + "'");
    return {};
}

uint32_t LivePolicy::artefact_id(const ManifestModel& model) const { return id_of(artefact_pin(*this, model)); }
uint32_t LivePolicy::challenger_id(const ManifestModel& model) const { return id_of(challenger_pin(*this, model)); }

}  // namespace rmt::load
