// SPDX-License-Identifier: MIT
// The whole text: knobs, state, models, tables, actions, handlers, in the order of docs/decisions/0001.
#include <algorithm>

#include "bpf/include/rmt/intf.h"
#include "rmt_lang/domain.h"
#include "rmt_lang/emit.h"
#include "rmt_lang/emit_internal.h"

namespace rmt::lang {

namespace {

using namespace ir;
using emit::Scope;

std::string number(uint64_t n) { return std::to_string(n); }
std::string ull(uint64_t n) { return std::to_string(n) + "ull"; }

class Program {
public:
    Program(const Ir& ir, const Source& source) : ir_(ir), source_(source), out_(base_name(source.name())) {}

    std::string text() {
        knobs();
        record();
        state();
        for (size_t i = 0; i < ir_.models.size(); i++) model(ir_.models[i], i);
        for (const Table& t : ir_.tables) table(t);
        actions();
        for (const Table& t : ir_.tables) apply(t);
        for (const Handler& h : ir_.handlers) handler(h);
        out_.line("#include \"hooks/" + ir_.domain + "_programs.bpf.h\"");
        return out_.text();
    }

private:
    void define(const std::string& name, const std::string& value = {}) { out_.line("#define RMT_" + name + (value.empty() ? "" : " " + value)); }
    void knobs();
    void mm_knobs();
    void tcp_knobs();
    void state();
    void model(const Model& m, size_t index);
    void table(const Table& t);
    void actions();
    void action_head(const Action& a, const std::string& end);
    void apply(const Table& t);
    void keys(const Table& t, const Scope& scope);
    void search(const Table& t);
    void dispatch(const Table& t);
    void record();
    void handler(const Handler& h);
    void train(const Handler& h, const Scope& scope);
    uint32_t args_of(const Table& t) const;
    uint32_t line_of(Span span) const { return source_.position(span.begin).line; }

    const Ir& ir_;
    const Source& source_;
    CWriter out_;
};

std::string upper(std::string s) {
    for (char& c : s) c = c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return s;
}

void Program::mm_knobs() {
    const Limits& l = ir_.limits;
    define("PREFETCH_PER_EVENT", number(l.per_event ? l.per_event->pages : kDefaultPrefetchPerEvent));
    define("PREFETCH_RATE", number(l.rate ? l.rate->pages : kDefaultPrefetchRate));
    define("PREFETCH_WINDOW_NS", ull(l.rate ? l.rate->window_ns : kDefaultPrefetchWindowNs));
}

void Program::tcp_knobs() {
    const Interval cwnd = sink_limit(ir_.limits, Sink::Cwnd), pacing = sink_limit(ir_.limits, Sink::Pacing);
    define("TCP_NAME", "\"" + ir_.name + "\"");
    if (ir_.base.empty()) define("TCP_OWNS");
    define("BASE_" + upper(ir_.base.empty() ? "reno" : ir_.base));
    define("CWND_MIN", number(static_cast<uint64_t>(cwnd.lo)));
    define("CWND_MAX", number(static_cast<uint64_t>(cwnd.hi)));
    define("PACING_MIN", ull(static_cast<uint64_t>(pacing.lo)));
    define("PACING_MAX", ull(static_cast<uint64_t>(pacing.hi)));
    if (ir_.limits.change) define("CWND_CHANGE", number(ir_.limits.change->times));
}

void Program::knobs() {
    const Limits& l = ir_.limits;
    out_.line("/* SPDX-License-Identifier: GPL-2.0-only */");
    if (ir_.domain == "tcp")
        tcp_knobs();
    else
        mm_knobs();
    if (l.breach) {
        define("BREACH_" + upper(l.breach->measure), number(l.breach->percent));
        define("BREACH_WINDOW_NS", ull(l.breach->window_ns));
        define("BREACH_HOLD_NS", ull(l.breach->hold_ns));
    }
    for (const Handler& h : ir_.handlers) define("HAS_" + upper(event_symbol(h.event)));
    if (emit::find_collect(ir_)) define("HAS_COLLECT");
    if (std::any_of(ir_.models.begin(), ir_.models.end(), [](const Model& m) { return m.train && !m.train->online; })) define("HAS_TRAIN");
    for (const Field& f : ir_.fields) define("USES_" + upper(f.name));
    out_.line("#include \"rmt/common.bpf.h\"");
    out_.blank();
}

void Program::state() {
    const emit::Layout layout = emit::state_layout(ir_);
    out_.open("struct rmt_policy_state");
    size_t next = 0;
    for (const emit::Member& m : layout.members) {
        if (!emit::is_own(m))
            out_.at(line_of(ir_.states.at(next++).span));
        else
            out_.own();
        out_.line(m.type + " " + m.name + m.array + ";");
    }
    out_.own();
    out_.close(";");
    out_.line("RMT_SIZE(struct rmt_policy_state, " + number(layout.size) + ");");
    out_.line("#include \"hooks/" + ir_.domain + ".bpf.h\"");
    out_.blank();
}

// The short form is of trees and forests without further columns or outputs.
std::string model_macro(const Model& m, size_t index) {
    static const char* const kKinds[] = {"RMT_MODEL_TREE", "RMT_MODEL_FOREST", "RMT_MODEL_OBLIVIOUS", "RMT_MODEL_NET"};
    const ModelClass& c = m.shape;
    const std::string head = m.name + ", " + number(index) + ", ", size = number(c.trees) + ", " + number(c.depth) + ", " + number(c.nodes);
    if (c.kind == EngineKind::Net) {
        const NetClass& n = c.net;
        if (n.tiles == 0) return "RMT_LINEAR(" + head + number(n.inputs) + ");";
        return "RMT_NET(" + head + number(n.inputs) + ", " + number(n.tiles) + ", " + number(n.rows) + ", " + number(n.blocks) + ", " + number(n.width) + ", " +
               number(n.outputs) + ");";
    }
    const ModelClass short_form{c.trees, c.depth, c.nodes, c.trees == 1 ? EngineKind::Tree : EngineKind::Forest};
    if (c == short_form) return "RMT_MODEL(" + head + size + ");";
    return "RMT_MODEL_CLASS(" + head + kKinds[static_cast<size_t>(c.kind)] + ", " + size + ", " + number(c.slots) + ", " + number(c.derived) + ", " +
           number(c.outputs) + ");";
}

std::string online_macro(const Model& m) {
    const Model::Online& o = *m.train->online;
    std::string text = "RMT_ONLINE(" + m.name + ", " + online_kind_name(o.kind) + ", " + number(o.after) + ", " + number(o.rate_bits) + ", " + number(m.inputs.size());
    for (const int32_t bits : o.scale_bits) text += ", " + std::to_string(bits);
    return text + ");";
}

// The answer is one function, whatever the number of calls; what packs the inputs is inline, as BPF passes only five.
void Program::model(const Model& m, size_t index) {
    out_.at(line_of(m.span));
    out_.line(emit::is_online(m) ? online_macro(m) : model_macro(m, index));
    out_.own();
    out_.blank();
    out_.line("static __noinline __s64 rmt_answer_" + m.name + "(struct rmt_event *ev, struct rmt_policy_state *st)");
    out_.open("");
    if (emit::is_online(m))
        out_.line("__s64 answer = rmt_predict_" + m.name + "(st->" + emit::inputs_name(m) + ");");
    else
        out_.line("__s64 answer = 0;");
    out_.blank();
    out_.open(emit::is_online(m) ? "if (answer == RMT_ONLINE_NONE)" : "if (rmt_infer_model_" + m.name + "(st->" + emit::inputs_name(m) + ", &answer))");
    out_.line("rmt_count(ev, RMT_STAT_ON_ERROR, 1);");
    out_.line("return " + c_number(m.on_error) + ";");
    out_.close();
    out_.line("return rmt_clamp(answer, " + c_number(m.output_range.lo) + ", " + c_number(m.output_range.hi) + ");");
    out_.close();
    out_.blank();
    std::string params;
    for (size_t i = 0; i < m.inputs.size(); i++) params += ", __s64 x" + number(i);
    out_.line("static __always_inline __s64 rmt_infer_" + m.name + "(struct rmt_event *ev, struct rmt_policy_state *st" + params + ")");
    out_.open("");
    for (size_t i = 0; i < m.inputs.size(); i++)
        out_.line("st->" + emit::inputs_name(m) + "[" + number(i) + "] = rmt_sat_i32(x" + number(i) + ");");
    out_.line("return rmt_answer_" + m.name + "(ev, st);");
    out_.close();
    out_.blank();
}

uint32_t Program::args_of(const Table& t) const {
    size_t most = ir_.actions.at(t.default_run.action).params.size();
    for (const uint32_t a : t.actions) most = std::max(most, ir_.actions.at(a).params.size());
    return static_cast<uint32_t>(most);
}

void Program::table(const Table& t) {
    out_.open("struct rmt_entry_" + t.name);
    for (size_t i = 0; i < t.keys.size(); i++)
        out_.line(std::string(std::holds_alternative<uint32_t>(t.keys[i].source) ? "struct rmt_text k" : "struct rmt_range k") + number(i) + ";");
    out_.line("struct rmt_entry_tail tail;");
    if (const uint32_t args = args_of(t)) out_.line("__s64 arg[" + number(args) + "];");
    out_.close(";");
    out_.at(line_of(t.span));
    out_.line("RMT_TABLE(" + t.name + ", " + number(t.size) + ");");
    out_.own();
    out_.blank();
}

void Program::action_head(const Action& a, const std::string& end) {
    const Scope scope = emit::scope_of(ir_, a);
    std::string params;
    for (const std::string& p : scope.params) params += ", __s64 " + p;
    out_.line("static __always_inline void rmt_action_" + a.name + "(struct rmt_event *ev, struct rmt_policy_state *st" + params + ")" + end);
}

void Program::actions() {
    // An action may call one that is written after it.
    for (size_t i = 0; i < ir_.actions.size(); i++)
        for (size_t j = 0; j < i; j++) {
            bool called = false;
            emit::each_stmt(ir_.actions[j].body.block, [&](const Stmt& s) {
                if (const Call* c = std::get_if<Call>(&s.node)) called |= c->action == i;
            });
            if (!called) continue;
            action_head(ir_.actions[i], ";");
            break;
        }
    for (const Action& a : ir_.actions) {
        out_.at(line_of(a.span));
        action_head(a, "");
        out_.own();
        out_.open("");
        emit::body(out_, source_, emit::scope_of(ir_, a), a.body);
        out_.own();
        out_.close();
        out_.blank();
    }
}

void Program::keys(const Table& t, const Scope& scope) {
    for (size_t i = 0; i < t.keys.size(); i++) {
        const std::string k = "k" + number(i);
        if (const Expr* e = std::get_if<Expr>(&t.keys[i].source)) {
            out_.line("__u64 " + k + " = rmt_key(" + emit::bare(emit::expr(scope, *e)) + ");");
        } else {
            std::string name = ir_.fields.at(std::get<uint32_t>(t.keys[i].source)).name;
            std::replace(name.begin(), name.end(), '.', '_');
            out_.line("__u64 " + k + "[2];");
            out_.line("rmt_field_" + name + "(ev, " + k + ");");
        }
    }
}

void Program::search(const Table& t) {
    const uint32_t args = args_of(t);
    out_.open("if (table)");
    out_.open("bpf_for(i, 0, " + number(t.size) + ")");
    out_.line("struct rmt_entry_" + t.name + " *e = &table->entry[i];");
    out_.blank();
    out_.line("if (i >= table->head.count)");
    out_.line("\tbreak;");
    for (size_t i = 0; i < t.keys.size(); i++) {
        const bool text = std::holds_alternative<uint32_t>(t.keys[i].source);
        out_.line(std::string("if (!") + (text ? "rmt_is_text" : "rmt_in_range") + "(&e->k" + number(i) + ", k" + number(i) + "))");
        out_.line("\tcontinue;");
    }
    out_.line("action = e->tail.action;");
    out_.line("slot = e->tail.slot;");
    for (uint32_t i = 0; i < args; i++) out_.line("arg" + number(i) + " = e->arg[" + number(i) + "];");
    out_.line("break;");
    out_.close();
    out_.close();
}

// What stands in the map is user space's word: arguments are made to fit again, an unknown action does nothing.
void Program::dispatch(const Table& t) {
    std::vector<uint32_t> actions = t.actions;
    if (std::find(actions.begin(), actions.end(), t.default_run.action) == actions.end()) actions.push_back(t.default_run.action);
    out_.line("switch (action) {");
    for (const uint32_t index : actions) {
        const Action& a = ir_.actions.at(index);
        std::string args;
        for (size_t i = 0; i < a.params.size(); i++) {
            const Type& type = a.params[i].type;
            const std::string value = "arg" + number(i);
            args += ", " + (type.range == scalar_interval(type.scalar)
                                ? emit::fit(value, Interval{}, type.scalar)
                                : "rmt_clamp(" + value + ", " + c_number(type.range.lo) + ", " + c_number(type.range.hi) + ")");
        }
        out_.line("case " + number(index) + ":");
        out_.line("\trmt_action_" + a.name + "(ev, st" + args + ");");
        out_.line("\tbreak;");
    }
    out_.line("}");
}

void Program::apply(const Table& t) {
    const Scope scope{ir_, {}, {}};
    out_.at(line_of(t.span));
    out_.line("static __noinline int rmt_apply_" + t.name + "(struct rmt_event *ev, struct rmt_policy_state *st)");
    out_.own();
    out_.open("");
    out_.line("struct rmt_value_" + t.name + " *table = rmt_table_now(&rmt_table_" + t.name + ");");
    keys(t, scope);
    out_.line("__u32 action = " + number(t.default_run.action) + ", slot = " + number(t.size) + ";");
    for (uint32_t i = 0; i < args_of(t); i++)
        out_.line("__s64 arg" + number(i) + " = " + c_number(i < t.default_run.args.size() ? t.default_run.args[i] : 0) + ";");
    out_.line("int i;");
    out_.blank();
    search(t);
    out_.line("rmt_table_hit(&rmt_hits_" + t.name + ", slot);");
    if (ir_.domain == "tcp") out_.line("rmt_note_choice(ev, " + number(static_cast<uint64_t>(&t - ir_.tables.data())) + ", action, slot);");
    dispatch(t);
    out_.line("return action;");
    out_.close();
    out_.blank();
}

void Program::record() {
    const Collect* collect = emit::find_collect(ir_);
    if (!collect) return;
    const emit::Layout layout = emit::collect_layout(ir_, *collect);
    out_.open("struct rmt_collect_record");
    for (const emit::Member& m : layout.members) out_.line(m.type + " " + m.name + m.array + ";");
    out_.close(";");
    out_.line("RMT_SIZE(struct rmt_collect_record, " + number(layout.size) + ");");
    out_.blank();
}

void Program::train(const Handler& h, const Scope& scope) {
    for (size_t i = 0; i < ir_.models.size(); i++) {
        const Model& m = ir_.models[i];
        if (!m.train || m.train->event != h.event) continue;
        out_.at(line_of(m.train->span));
        const std::string to = "st->" + emit::inputs_name(m);
        for (size_t k = 0; k < m.inputs.size(); k++)
            out_.line(to + "[" + number(k) + "] = " + emit::bare(emit::stored(scope, m.inputs[k].value, Scalar::I32)) + ";");
        if (m.train->online) {
            out_.line("rmt_step_" + m.name + "(" + to + ", " + emit::stored(scope, m.train->label, Scalar::I32) + ");");
            continue;
        }
        out_.line("rmt_train_out(ev, " + number(i) + ", " + to + ", " + number(m.inputs.size()) + ", " +
                  emit::stored(scope, m.train->label, Scalar::I32) + ");");
    }
}

void Program::handler(const Handler& h) {
    const Scope scope = emit::scope_of(ir_, h);
    std::vector<bool> applied(ir_.tables.size());
    emit::each_stmt(h.body.block, [&](const Stmt& s) {
        if (const Apply* a = std::get_if<Apply>(&s.node)) applied.at(a->table) = true;
    });
    out_.at(line_of(h.span));
    out_.line("static __noinline int rmt_on_" + event_symbol(h.event) +
              "(struct rmt_event *ev, struct rmt_policy_state *st)");
    out_.own();
    out_.open("");
    for (size_t i = 0; i < ir_.tables.size(); i++)
        if (applied[i]) out_.line("int rmt_chosen_" + ir_.tables[i].name + " __attribute__((unused)) = -1;");
    train(h, scope);
    emit::body(out_, source_, scope, h.body);
    out_.own();
    out_.line("return 0;");
    out_.close();
    out_.blank();
}

Result<void> check_bounds(const Ir& ir) {
    const Limits& l = ir.limits;
    if (ir.domain != "mm" && ir.domain != "tcp") return fail(ErrorKind::Unsupported, "domain '" + ir.domain + "' cannot be compiled yet, only 'mm' and 'tcp'");
    if (l.per_event && (l.per_event->pages < 1 || l.per_event->pages > RMT_MAX_PAGES))
        return fail(ErrorKind::Input, "prefetch.pages <= " + number(l.per_event->pages) + " per event: expected 1.." + number(RMT_MAX_PAGES));
    // The token bucket multiplies the two (bpf/include/rmt/guard.bpf.h).
    if (l.rate && (l.rate->pages == 0 || l.rate->window_ns == 0 || l.rate->pages > UINT64_MAX / l.rate->window_ns))
        return fail(ErrorKind::Input, "prefetch.pages <= " + number(l.rate->pages) + " per " + number(l.rate->window_ns) +
                                          " ns: neither may be 0, and their product must stay below 2^64");
    if (const uint32_t size = task_state_size(ir); size > kMaxTaskState)
        return fail(ErrorKind::Input, "the state of a task or socket takes " + number(size) + " bytes, at most " + number(kMaxTaskState) +
                                          " are possible; shorten the rings");
    if (const Collect* c = emit::find_collect(ir))
        if (const uint32_t size = collect_record_size(ir, *c); size > kMaxCollectRecord)
            return fail(ErrorKind::Input, "a collected record takes " + number(size) + " bytes, at most " + number(kMaxCollectRecord) +
                                              " are possible; collect less");
    return {};
}

}  // namespace

Result<std::string> emit_bpf_c(const CheckedIr& checked, const Source& source) {
    RMT_CHECK(check_bounds(checked.ir()));
    return Program(checked.ir(), source).text();
}

}  // namespace rmt::lang
