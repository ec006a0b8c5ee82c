// SPDX-License-Identifier: MIT
// The manifest as JSON, both ways. Actions are written by name: it is what people and other tools read.
#include "rmt_lang/support/manifest.h"

#include <algorithm>

#include "bpf/include/rmt/learn_layout.h"
#include "bpf/include/rmt/model_layout.h"
#include "bpf/include/rmt/net_layout.h"
#include "rmt_lang/support/json_reader.h"
#include "rmt_lang/support/sha256.h"

namespace rmt {

namespace {

using Names = std::vector<std::pair<std::string, int64_t>>;

const std::vector<std::string> kMatchKinds = {"exact", "range", "prefix", "lpm"};
const std::vector<std::string> kBases = {"", "reno", "cubic", "bbr"};
const std::vector<std::string> kOnlineKinds = {"linear", "mlp"};
const std::vector<std::string> kEngineKinds = {"tree", "forest", "oblivious", "net"};

// ---- writing ----------------------------------------------------------------------------------------------------------

Json write_names(const Names& names) {
    Json j = Json::object();
    for (const auto& [name, value] : names) j[name] = value;
    return j;
}

Json write_limits(const ManifestLimits& l) {
    Json j = {{"cost_ns", l.cost_ns}};
    if (l.prefetch_per_event) {
        j["prefetch_per_event"] = l.prefetch_per_event;
        j["prefetch_rate"] = l.prefetch_rate;
        j["prefetch_window_ns"] = l.prefetch_window_ns;
    }
    if (l.breach)
        j["breach"] = {{"measure", l.breach->measure},
                       {"percent", l.breach->percent},
                       {"window_ns", l.breach->window_ns},
                       {"hold_ns", l.breach->hold_ns}};
    j["lines"] = {{"per_event", l.line_per_event}, {"rate", l.line_rate}, {"cost", l.line_cost}};
    return j;
}

Json write_tcp(const ManifestTcp& t) {
    return {{"base", t.base},
            {"cwnd_min", t.cwnd_min},
            {"cwnd_max", t.cwnd_max},
            {"pacing_min", t.pacing_min},
            {"pacing_max", t.pacing_max},
            {"change", t.change},
            {"lines", {{"cwnd", t.line_cwnd}, {"pacing", t.line_pacing}, {"change", t.line_change}}}};
}

Json write_match(const KeyMatch& m) {
    if (const auto* range = std::get_if<KeyRange>(&m)) return Json{{"lo", range->lo}, {"hi", range->hi}};
    if (const auto* text = std::get_if<KeyText>(&m)) return Json{{"text", text->text}, {"prefix", text->prefix}};
    if (const auto* prefix = std::get_if<KeyPrefix>(&m)) return Json{{"address", format_prefix(*prefix)}};
    return "*";
}

Json write_invocation(const Manifest& m, const ManifestEntry& e) {
    return {{"action", m.actions.at(e.action).name}, {"args", e.args}};
}

Json write_entry(const Manifest& m, const ManifestEntry& e) {
    Json keys = Json::array();
    for (const KeyMatch& k : e.keys) keys.push_back(write_match(k));
    Json j = {{"keys", keys}, {"action", m.actions.at(e.action).name}, {"args", e.args}};
    if (!e.comment.empty()) j["comment"] = e.comment;
    j["line"] = e.line;
    return j;
}

Json write_key(const ManifestKey& k) {
    Json j = {{"name", k.name}, {"match", kMatchKinds.at(static_cast<size_t>(k.match))}, {"type", k.type}};
    if (k.type != "str" && k.type != "address") {
        j["min"] = k.min;
        j["max"] = k.max;
    }
    if (!k.values.empty()) j["values"] = write_names(k.values);
    return j;
}

Json write_table(const Manifest& m, const ManifestTable& t) {
    Json keys = Json::array(), actions = Json::array(), entries = Json::array();
    for (const ManifestKey& k : t.keys) keys.push_back(write_key(k));
    for (const uint32_t a : t.actions) actions.push_back(m.actions.at(a).name);
    for (const ManifestEntry& e : t.entries) entries.push_back(write_entry(m, e));
    return {{"name", t.name},     {"line", t.line}, {"size", t.size},     {"args", t.args},
            {"keys", keys},       {"actions", actions}, {"default", write_invocation(m, t.default_entry)},
            {"entries", entries}};
}

Json write_action(const ManifestAction& a) {
    Json params = Json::array();
    for (const ManifestParam& p : a.params) params.push_back({{"name", p.name}, {"type", p.type}, {"min", p.min}, {"max", p.max}});
    return {{"name", a.name}, {"params", params}};
}

// What most classes do not have is left out.
Json write_shape(const ModelClass& shape) {
    if (shape.kind == EngineKind::Net)
        return {{"kind", "net"},          {"inputs", shape.net.inputs}, {"tiles", shape.net.tiles},    {"rows", shape.net.rows},
                {"blocks", shape.net.blocks}, {"width", shape.net.width},   {"outputs", shape.net.outputs}};
    Json j = {{"kind", engine_kind_name(shape.kind)}, {"trees", shape.trees}, {"depth", shape.depth}, {"nodes", shape.nodes}};
    const ModelClass plain;
    if (shape.slots != plain.slots) j["slots"] = shape.slots;
    if (shape.derived != plain.derived) j["derived"] = shape.derived;
    if (shape.outputs != plain.outputs) j["outputs"] = shape.outputs;
    return j;
}

Json write_model(const ManifestModel& x) {
    Json inputs = Json::array();
    for (size_t i = 0; i < x.inputs.size(); i++) inputs.push_back({{"name", x.inputs[i]}, {"type", x.input_types.at(i)}});
    Json output = {{"kind", x.output_kind}, {"type", x.output_type}, {"min", x.output_min}, {"max", x.output_max}};
    if (!x.classes.empty()) output["classes"] = write_names(x.classes);
    Json j = {{"name", x.name},
              {"line", x.line},
              {"source", x.source},
              {"inputs", inputs},
              {"output", output},
              {"on_error", x.on_error}};
    if (x.online)
        j["online"] = {{"kind", online_kind_name(x.online->kind)}, {"label", x.online->label}, {"rate_bits", x.online->rate_bits},
                       {"scale_bits", x.online->scale_bits}, {"after", x.online->after}};
    else
        j["shape"] = write_shape(x.shape);
    if (x.digest) j["digest"] = {{"sha256", x.digest->sha256}, {"line", x.digest->line}};
    if (x.train) j["train"] = {{"label", x.train->label}, {"every_ns", x.train->every_ns}, {"window", x.train->window}};
    return j;
}

Json write_fields(const std::vector<ManifestField>& fields) {
    Json j = Json::array();
    for (const ManifestField& f : fields)
        j.push_back({{"name", f.name}, {"type", f.type}, {"offset", f.offset}, {"size", f.size}, {"count", f.count}});
    return j;
}

// ---- reading ----------------------------------------------------------------------------------------------------------

Names read_names(JsonReader& r, const char* key) { return r.has(key) ? r.named_integers(key) : Names{}; }

ManifestTcp read_tcp(JsonReader r) {
    ManifestTcp t;
    t.base = r.one_of("base", kBases);
    t.cwnd_min = r.natural32("cwnd_min", 1);
    t.cwnd_max = r.natural32("cwnd_max", t.cwnd_min);
    t.pacing_min = r.natural("pacing_min", 1);
    t.pacing_max = r.natural("pacing_max", t.pacing_min);
    t.change = r.natural32("change");
    JsonReader lines = r.object("lines");
    t.line_cwnd = lines.natural32("cwnd");
    t.line_pacing = lines.natural32("pacing");
    t.line_change = lines.natural32("change");
    lines.finish();
    r.finish();
    return t;
}

ManifestLimits read_limits(JsonReader r, const std::string& domain) {
    ManifestLimits l;
    if (domain == "mm") {
        l.prefetch_per_event = r.natural32("prefetch_per_event", 1, RMT_MAX_PAGES);
        l.prefetch_rate = r.natural("prefetch_rate", 1);
        l.prefetch_window_ns = r.natural("prefetch_window_ns", 1);
    }
    l.cost_ns = r.natural("cost_ns");
    if (r.has("breach")) {
        JsonReader b = r.object("breach");
        l.breach.emplace();
        l.breach->measure = b.one_of("measure", {domain == "tcp" ? "retrans" : "accuracy"});
        l.breach->percent = b.natural32("percent", 0, 100);
        l.breach->window_ns = b.natural("window_ns", 1);
        l.breach->hold_ns = b.natural("hold_ns");
        b.finish();
    }
    JsonReader lines = r.object("lines");
    l.line_per_event = lines.natural32("per_event");
    l.line_rate = lines.natural32("rate");
    l.line_cost = lines.natural32("cost");
    lines.finish();
    r.finish();
    return l;
}

ManifestAction read_action(JsonReader r) {
    ManifestAction a;
    a.name = r.text("name");
    for (JsonReader& p : r.objects("params")) {
        ManifestParam param;
        param.name = p.text("name");
        param.type = p.text("type");
        param.min = p.integer("min");
        param.max = p.integer("max", param.min);
        p.finish();
        a.params.push_back(param);
    }
    r.finish();
    return a;
}

uint32_t read_action_name(JsonReader& r, const Manifest& m, const std::string& name, const std::string& key) {
    for (size_t i = 0; i < m.actions.size(); i++)
        if (m.actions[i].name == name) return static_cast<uint32_t>(i);
    r.fail_at(key, "there is no action '" + name + "'");
    return 0;
}

ManifestKey read_key(JsonReader& r) {
    ManifestKey k;
    k.name = r.text("name");
    const std::string match = r.one_of("match", kMatchKinds);
    k.match = static_cast<MatchKind>(std::find(kMatchKinds.begin(), kMatchKinds.end(), match) - kMatchKinds.begin());
    k.type = r.text("type");
    if (k.type != "str" && k.type != "address") {
        k.min = r.integer("min");
        k.max = r.integer("max", k.min);
    }
    k.values = read_names(r, "values");
    r.finish();
    return k;
}

KeyMatch read_match(const Json& v, const std::string& path, std::optional<std::string>& error) {
    if (v == "*") return KeyAny{};
    JsonReader r(v, path, error);
    KeyMatch match = KeyAny{};
    if (r.has("text")) {
        KeyText t;
        t.text = r.text("text");
        t.prefix = r.truth("prefix");
        match = t;
    } else if (r.has("address")) {
        auto prefix = parse_prefix(r.text("address"));
        if (prefix) match = *prefix;
        else r.fail_at("address", prefix.error().message);
    } else {
        KeyRange range;
        range.lo = r.integer("lo");
        range.hi = r.integer("hi", range.lo);
        match = range;
    }
    r.finish();
    return match;
}

ManifestEntry read_entry(JsonReader& r, const Manifest& m, std::optional<std::string>& error) {
    ManifestEntry e;
    const Json& keys = r.raw("keys");
    if (!keys.is_array()) r.fail_at("keys", "expected a list");
    for (size_t i = 0; keys.is_array() && i < keys.size(); i++)
        e.keys.push_back(read_match(keys[i], r.path_of("keys") + "/" + std::to_string(i), error));
    e.action = read_action_name(r, m, r.text("action"), "action");
    e.args = r.integers("args");
    if (r.has("comment")) e.comment = r.text("comment");
    e.line = r.natural32("line");
    r.finish();
    return e;
}

ManifestTable read_table(JsonReader& r, const Manifest& m, std::optional<std::string>& error) {
    ManifestTable t;
    t.name = r.text("name");
    t.line = r.natural32("line");
    t.size = r.natural32("size", 1, 1 << 16);
    t.args = r.natural32("args", 0, 64);
    for (JsonReader& k : r.objects("keys")) t.keys.push_back(read_key(k));
    for (const std::string& name : r.texts("actions")) t.actions.push_back(read_action_name(r, m, name, "actions"));
    JsonReader d = r.object("default");
    t.default_entry.action = read_action_name(d, m, d.text("action"), "action");
    t.default_entry.args = d.integers("args");
    d.finish();
    for (JsonReader& e : r.objects("entries")) t.entries.push_back(read_entry(e, m, error));
    if (t.entries.size() > t.size) r.fail_at("entries", "there are more than 'size', " + std::to_string(t.size));
    r.finish();
    return t;
}

NetClass read_net_shape(JsonReader& r) {
    NetClass net;
    net.inputs = r.natural32("inputs", RMT_NET_INPUT_GROUP, RMT_NET_MAX_INPUTS);
    if (net.inputs % RMT_NET_INPUT_GROUP != 0) r.fail_at("inputs", "expected a multiple of 8");
    net.tiles = r.natural32("tiles", 0, RMT_NET_MAX_TILES);
    net.rows = r.natural32("rows", 0, RMT_NET_MAX_TILES);
    net.blocks = r.natural32("blocks", 0, 2 * RMT_NET_MAX_TILES);
    net.width = r.natural32("width", 0, RMT_NET_MAX_WIDTH);
    net.outputs = r.natural32("outputs", 1, RMT_NET_MAX_OUTPUTS);
    if (net.tiles > 0 && (net.rows == 0 || net.blocks == 0 || net.width < net.inputs)) r.fail_at("width", "expected rows, blocks and at least as much width as inputs");
    const std::pair<const char*, uint32_t> powers[] = {{"tiles", net.tiles}, {"rows", net.rows}, {"blocks", net.blocks}, {"width", net.width}, {"outputs", net.outputs}};
    for (const auto& [key, value] : powers)
        if (value & (value - 1)) r.fail_at(key, "expected a power of two");
    r.finish();
    return net;
}

ModelClass read_shape(JsonReader r) {
    ModelClass shape;
    const std::string kind = r.one_of("kind", kEngineKinds);
    shape.kind = static_cast<EngineKind>(std::find(kEngineKinds.begin(), kEngineKinds.end() - 1, kind) - kEngineKinds.begin());
    if (shape.kind == EngineKind::Net) {
        shape.net = read_net_shape(r);
        return shape;
    }
    shape.trees = r.natural32("trees", 1, RMT_MODEL_MAX_TREES);
    shape.depth = r.natural32("depth", 1, RMT_MODEL_MAX_DEPTH);
    shape.nodes = r.natural32("nodes", 2, RMT_MODEL_MAX_NODES);
    if (r.has("slots")) shape.slots = r.natural32("slots", RMT_MODEL_SLOTS, RMT_MODEL_MAX_SLOTS);
    if (r.has("derived")) shape.derived = r.natural32("derived", 0, RMT_MODEL_MAX_DERIVED);
    if (r.has("outputs")) shape.outputs = r.natural32("outputs", 1, RMT_MODEL_MAX_OUTPUTS);
    if (shape.kind == EngineKind::Tree ? shape.trees != 1 : shape.trees % RMT_MODEL_GROUP != 0)
        r.fail_at("trees", "expected 1 of a tree, else a multiple of 4");
    if (shape.nodes & (shape.nodes - 1)) r.fail_at("nodes", "expected a power of two");
    if (shape.outputs & (shape.outputs - 1)) r.fail_at("outputs", "expected a power of two");
    if (shape.slots != RMT_MODEL_SLOTS && (shape.slots != RMT_MODEL_MAX_SLOTS || shape.kind == EngineKind::Tree))
        r.fail_at("slots", "expected 16, or 64 of a forest");
    r.finish();
    return shape;
}

ManifestModel::Online read_online(JsonReader& model, size_t inputs) {
    JsonReader r = model.object("online");
    ManifestModel::Online online;
    online.kind = r.one_of("kind", kOnlineKinds) == kOnlineKinds[0] ? OnlineKind::Linear : OnlineKind::Mlp;
    online.label = r.text("label");
    online.rate_bits = r.natural32("rate_bits", RMT_LEARN_RATE_MIN, RMT_LEARN_RATE_MAX);
    for (const int64_t bits : r.integers("scale_bits")) {
        if (bits < RMT_LEARN_SCALE_MIN || bits > RMT_LEARN_SCALE_MAX) r.fail_at("scale_bits", "expected numbers of -7..22");
        online.scale_bits.push_back(static_cast<int32_t>(bits));
    }
    if (inputs > RMT_LEARN_INPUTS || online.scale_bits.size() != inputs) r.fail_at("scale_bits", "expected one number for each input, at most 8");
    online.after = r.natural32("after", 1, RMT_LEARN_AFTER_MAX);
    r.finish();
    return online;
}

ManifestModel read_model(JsonReader& r) {
    ManifestModel x;
    x.name = r.text("name");
    x.line = r.natural32("line");
    x.source = r.text("source");
    if (r.has("digest")) {
        JsonReader d = r.object("digest");
        x.digest = {d.text("sha256"), d.natural32("line")};
        if (x.digest->sha256.size() != 64 || x.digest->sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
            d.fail_at("sha256", "expected 64 digits 0-9a-f");
        d.finish();
    }
    for (JsonReader& input : r.objects("inputs")) {
        x.inputs.push_back(input.text("name"));
        x.input_types.push_back(input.text("type"));
        input.finish();
    }
    if (x.inputs.empty() || x.inputs.size() > RMT_MODEL_MAX_INPUTS) r.fail_at("inputs", "expected 1.." + std::to_string(RMT_MODEL_MAX_INPUTS) + " inputs");
    JsonReader out = r.object("output");
    x.output_kind = out.one_of("kind", {"value", "class", "score"});
    x.output_type = out.text("type");
    x.output_min = out.integer("min");
    x.output_max = out.integer("max", x.output_min);
    x.classes = read_names(out, "classes");
    out.finish();
    x.on_error = r.integer("on_error");
    if (r.has("online")) {
        x.online = read_online(r, x.inputs.size());
        r.finish();
        return x;
    }
    x.shape = read_shape(r.object("shape"));
    if (r.has("train")) {
        JsonReader t = r.object("train");
        x.train.emplace();
        x.train->label = t.text("label");
        x.train->every_ns = t.natural("every_ns");
        x.train->window = t.natural32("window");
        t.finish();
    }
    r.finish();
    return x;
}

std::vector<ManifestField> read_fields(JsonReader& r, const char* key, uint32_t within) {
    std::vector<ManifestField> fields;
    for (JsonReader& f : r.objects(key)) {
        ManifestField field;
        field.name = f.text("name");
        field.type = f.text("type");
        field.offset = f.natural32("offset");
        field.size = f.natural32("size", 1);
        field.count = f.natural32("count", 1);
        if (uint64_t{field.size} * field.count + field.offset > within)
            f.fail_at("offset", "the field ends behind its record of " + std::to_string(within) + " bytes");
        f.finish();
        fields.push_back(field);
    }
    return fields;
}

}  // namespace

uint32_t ManifestTable::entry_size() const {
    uint32_t size = sizeof(rmt_entry_tail) + 8 * args;
    for (const ManifestKey& k : keys) size += k.type == "str" || k.type == "address" ? sizeof(rmt_text) : sizeof(rmt_range);
    return size;
}

uint32_t ManifestTable::value_size() const { return sizeof(rmt_table_header) + size * entry_size(); }

const ManifestTable* Manifest::find_table(const std::string& name) const {
    for (const ManifestTable& t : tables)
        if (t.name == name) return &t;
    return nullptr;
}

const char* online_kind_name(OnlineKind kind) { return kOnlineKinds.at(static_cast<size_t>(kind)).c_str(); }

const char* engine_kind_name(EngineKind kind) { return kEngineKinds.at(static_cast<size_t>(kind)).c_str(); }

const ManifestModel* Manifest::find_model(const std::string& name) const {
    for (const ManifestModel& x : models)
        if (x.name == name) return &x;
    return nullptr;
}

Result<void> check_digest(const std::string& policy, const std::string& model, const std::optional<ManifestModel::Digest>& digest,
                          const std::string& file, const std::string& artefact) {
    if (!digest) return {};
    const std::string found = sha256_hex(artefact);
    if (found == digest->sha256) return {};
    // An artefact holds its own digest, over its canonical form: it is easily taken for the file's.
    const bool own = artefact.find("sha256:" + digest->sha256) != std::string::npos;
    return fail(ErrorKind::Input,
                policy + ":" + std::to_string(digest->line) + ": model '" + model + "' starts with the file of sha256 " + digest->sha256 +
                    ", but '" + file + "' has " + found,
                own ? "that is the artefact's own digest; the policy names the file's bytes: write the second one, as `sha256sum FILE` prints it"
                    : "put the file back that the policy was written for; or, when the new one is meant, write its digest into the policy");
}

std::string to_json(const Manifest& m) {
    Json actions = Json::array(), tables = Json::array(), models = Json::array();
    for (const ManifestAction& a : m.actions) actions.push_back(write_action(a));
    for (const ManifestTable& t : m.tables) tables.push_back(write_table(m, t));
    for (const ManifestModel& x : m.models) models.push_back(write_model(x));
    Json j = {{"rmt_manifest", 1},    {"policy", m.policy},   {"description", m.description}, {"domain", m.domain},
              {"mode", m.mode},       {"source", m.source},   {"attach", m.attach},           {"limits", write_limits(m.limits)},
              {"actions", actions},   {"tables", tables},     {"models", models}};
    if (m.tcp) j["tcp"] = write_tcp(*m.tcp);
    if (m.collect)
        j["collect"] = {{"record_size", m.collect->record_size}, {"sample", m.collect->sample}, {"fields", write_fields(m.collect->fields)}};
    j["state"] = write_fields(m.state);
    // Names and comments may hold any bytes; what is not UTF-8 is replaced rather than thrown at.
    return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(const std::string& text) {
    RMT_TRY(const Json j, parse_json(text, "manifest"));
    std::optional<std::string> error;
    JsonReader r(j, "", error);
    Manifest m;
    r.natural("rmt_manifest", 1, 1);
    m.policy = r.text("policy");
    m.description = r.text("description");
    m.domain = r.text("domain");
    m.mode = r.one_of("mode", {"off", "shadow", "enforce"});
    m.source = r.text("source");
    m.attach = r.texts("attach");
    m.limits = read_limits(r.object("limits"), m.domain);
    if (m.domain == "tcp") m.tcp = read_tcp(r.object("tcp"));
    for (JsonReader& a : r.objects("actions")) m.actions.push_back(read_action(a));
    for (JsonReader& t : r.objects("tables")) m.tables.push_back(read_table(t, m, error));
    for (JsonReader& x : r.objects("models")) m.models.push_back(read_model(x));
    if (r.has("collect")) {
        JsonReader c = r.object("collect");
        m.collect.emplace();
        m.collect->record_size = c.natural32("record_size", 1);
        m.collect->sample = c.natural32("sample", 1);
        m.collect->fields = read_fields(c, "fields", m.collect->record_size);
        c.finish();
    }
    m.state = read_fields(r, "state", UINT32_MAX);
    r.finish();
    if (error) return fail(ErrorKind::Input, "manifest: " + *error);
    // The entries obey the same rules as those that come later.
    for (const ManifestTable& t : m.tables) RMT_CHECK(encode_table(m, t, t.entries, 0));
    return m;
}

}  // namespace rmt
