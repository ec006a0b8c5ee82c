// SPDX-License-Identifier: MIT
// The typed form of a policy between the front end and the emitter: names are resolved to indices, units are gone into
// exact integers, every expression has its type and interval, every node its place. It knows nothing of the domain's
// profile beyond the fields that the policy uses (they are copied in), so that the emitter needs no other table.
//
// Plain data. What is valid is said beside each struct; check() establishes it and seals it as CheckedIr, and the
// emitter treats a violation as our own bug.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rmt_lang/box.h"
#include "rmt_lang/support/manifest.h"
#include "rmt_lang/support/source.h"

namespace rmt::lang::ir {

// ---- types -----------------------------------------------------------------------------------------------------------

// Stored widths. Arithmetic is in 64 signed bits, so u64, page, ns and rate hold 0..INT64_MAX (page: 0..2^52-1).
enum class Scalar { U8, U16, U32, U64, I8, I16, I32, I64, Bool, Page, Ns, Rate };

struct Interval {
    int64_t lo = INT64_MIN;
    int64_t hi = INT64_MAX;
    bool operator==(const Interval&) const = default;
};

const char* scalar_name(Scalar scalar);      // "u8", "page", as the language writes it
uint32_t scalar_size(Scalar scalar);         // bytes
Interval scalar_interval(Scalar scalar);     // what it can hold
std::optional<Scalar> find_scalar(const std::string& name);

// What a number measures. Page: a virtual page number; Pages: a distance or an amount of pages; Segments: of TCP, as its
// windows count; Rate: bytes per second.
enum class Unit { None, Page, Pages, Ns, Bytes, Percent, Segments, Rate };

Unit scalar_unit(Scalar scalar);             // what a value of this type measures: Page, Ns, Rate, else None

struct Type {
    Scalar scalar = Scalar::I64;  // of an expression: I64, Bool, or what it was read from
    Interval range;               // every value that it can have; exact results are cut to INT64_MIN..INT64_MAX
    Unit unit = Unit::None;
    bool operator==(const Type&) const = default;
};

// ---- fields of the event -----------------------------------------------------------------------------------------------

enum class FieldKind { Number, Bool, Enum, Text, Address };  // Text: 16 bytes, zero-padded (comm); Address: 16 bytes of IPv6

// 16 bytes that only tables and collect take, in C two words by rmt_field_NAME(ev, words).
inline bool is_words(FieldKind kind) { return kind == FieldKind::Text || kind == FieldKind::Address; }

struct Field {                // one that the policy uses; `fields` has each once, in order of first use
    std::string name;         // "vma.kind"; in C: rmt_field_vma_kind(ev), RMT_USES_VMA_KIND
    FieldKind kind = FieldKind::Number;
    Type type;                // not of Text
    std::vector<std::pair<std::string, int64_t>> values;  // of Enum and Bool
    bool operator==(const Field&) const = default;
};

// ---- expressions -------------------------------------------------------------------------------------------------------

struct Expr;
using ExprBox = Box<Expr>;

struct Const { int64_t value = 0; bool operator==(const Const&) const = default; };
struct FieldRef { uint32_t field = 0; bool operator==(const FieldRef&) const = default; };  // not Text
struct StateRef { uint32_t state = 0; bool operator==(const StateRef&) const = default; };  // scalar, ewma (its mean), count
struct RingElement {          // element 0 is the newest. A constant index is < n; another one outside 0..n-1 reads 0
    uint32_t state = 0;
    ExprBox index;
    bool operator==(const RingElement&) const = default;
};
struct ParamRef { uint32_t param = 0; bool operator==(const ParamRef&) const = default; };  // of the action around it
struct LocalRef { uint32_t local = 0; bool operator==(const LocalRef&) const = default; };  // of the body around it

enum class UnaryOp { Neg, Not, Abs };
struct Unary {
    UnaryOp op = UnaryOp::Neg;
    ExprBox value;
    bool operator==(const Unary&) const = default;
};

// Add, Sub, Mul, Shl saturate at 64 bits. Div and Mod are signed, towards zero; by zero they give 0. The right side of
// Shl and Shr has an interval within 0..63. And, Or evaluate the right side only when needed.
enum class BinaryOp { Add, Sub, Mul, Div, Mod, Shl, Shr, BitAnd, BitOr, BitXor, Eq, Ne, Lt, Le, Gt, Ge, And, Or, Min, Max };
struct Binary {
    BinaryOp op = BinaryOp::Add;
    ExprBox left;
    ExprBox right;
    bool operator==(const Binary&) const = default;
};

struct Cast {                 // u8(x): saturates
    Scalar to = Scalar::I64;
    ExprBox value;
    bool operator==(const Cast&) const = default;
};

// infer(model), infer(model, ring): the inputs written out, one for each of the model's, in its order.
struct Infer {
    uint32_t model = 0;
    std::vector<Expr> inputs;
    bool operator==(const Infer&) const = default;
};

struct TableAction { uint32_t table = 0; bool operator==(const TableAction&) const = default; };
// `table.action`: index of the action that the last `apply` in this handler chose, -1 before one. Handlers only.

struct Expr {
    Span span;
    Type type;
    std::variant<Const, FieldRef, StateRef, RingElement, ParamRef, LocalRef, Unary, Binary, Cast, Infer, TableAction> node;
    bool operator==(const Expr&) const = default;
};

// ---- statements --------------------------------------------------------------------------------------------------------

struct Stmt;
using Block = std::vector<Stmt>;

struct Push {                 // to a ring, saturating to its element type
    uint32_t state = 0;
    Expr value;
    bool operator==(const Push&) const = default;
};
struct AssignState {          // scalar: saturating store. ewma: feeds one sample. count: adds the value
    uint32_t state = 0;
    Expr value;
    bool operator==(const AssignState&) const = default;
};
struct CopyRing {             // a = b; same element type and size
    uint32_t to = 0;
    uint32_t from = 0;
    bool operator==(const CopyRing&) const = default;
};
struct Declare {              // let (never assigned) or var; exactly one for each local that is not a loop's
    uint32_t local = 0;
    Expr value;
    bool operator==(const Declare&) const = default;
};
struct AssignLocal {          // saturates to the local's scalar
    uint32_t local = 0;
    Expr value;
    bool operator==(const AssignLocal&) const = default;
};
struct If {
    Expr condition;           // Bool
    Block then;
    Block otherwise;
    bool operator==(const If&) const = default;
};
struct Repeat {               // constant bound; `as i`: a local that counts 0..count-1
    uint32_t count = 0;
    std::optional<uint32_t> local;
    Block body;
    bool operator==(const Repeat&) const = default;
};
struct Break { bool operator==(const Break&) const = default; };  // inside a Repeat; leaves the innermost one
struct Arm {
    Span span;
    std::vector<Interval> patterns;  // empty: `_`, which is the last one
    Block body;
    bool operator==(const Arm&) const = default;
};
struct Match {                // first arm that contains the value; none: nothing happens
    Expr value;
    std::vector<Arm> arms;
    bool operator==(const Match&) const = default;
};
struct Call {                 // of an action; not recursive; one argument for each parameter, saturated to its type
    uint32_t action = 0;
    std::vector<Expr> args;
    bool operator==(const Call&) const = default;
};
struct Apply {                // handlers only
    uint32_t table = 0;
    bool operator==(const Apply&) const = default;
};
struct PrefetchPage {         // prefetch(page)
    Expr page;
    bool operator==(const PrefetchPage&) const = default;
};
struct PrefetchRun {          // prefetch(n, step): base + step, base + 2 step, ... n pages (at most RMT_MAX_PAGES)
    Expr base;                // the front end puts fault.page here
    Expr count;
    Expr step;
    bool operator==(const PrefetchRun&) const = default;
};

enum class Sink { Cwnd, Ssthresh, Pacing };  // of domain tcp
struct SetSink {              // cwnd = value; the last one of an event holds
    Sink sink = Sink::Cwnd;
    Expr value;               // segments, of Pacing bytes per second
    bool operator==(const SetSink&) const = default;
};

struct CollectItem {
    std::string name;         // as written: "fault.page", "deltas", "choose.action"
    Span span;
    struct Value {            // one scalar, saturating store
        Scalar type = Scalar::I64;
        Expr value;
        bool operator==(const Value&) const = default;
    };
    struct Ring {             // all of its elements, newest first
        uint32_t state = 0;
        bool operator==(const Ring&) const = default;
    };
    struct Text {             // 16 bytes of a Text field
        uint32_t field = 0;
        bool operator==(const Text&) const = default;
    };
    std::variant<Value, Ring, Text> what;
    bool operator==(const CollectItem&) const = default;
};
struct Collect {              // at most one in a policy; handlers only
    std::vector<CollectItem> items;
    uint32_t sample = 1;      // one in `sample` events
    bool operator==(const Collect&) const = default;
};

struct Stmt {
    Span span;
    std::variant<Push, AssignState, CopyRing, Declare, AssignLocal, If, Repeat, Break, Match, Call, Apply, PrefetchPage,
                 PrefetchRun, SetSink, Collect>
        node;
    bool operator==(const Stmt&) const = default;
};

// ---- declarations ------------------------------------------------------------------------------------------------------

struct Local {
    std::string name;
    Span span;
    Type type;                // `let x = e`: I64 and the interval of e; `var x: u8 = e`: u8
    bool assigned = false;    // by AssignLocal
    bool operator==(const Local&) const = default;
};

struct Body {
    std::vector<Local> locals;
    Block block;
    bool operator==(const Body&) const = default;
};

struct State {                // per task or socket, zero at its first event
    std::string name;
    Span span;
    struct Value { Scalar type = Scalar::I64; bool operator==(const Value&) const = default; };
    struct Ring { Scalar type = Scalar::I64; uint32_t n = 1; bool operator==(const Ring&) const = default; };   // 1..256
    struct Ewma { Scalar type = Scalar::I64; uint32_t n = 1; bool operator==(const Ewma&) const = default; };   // weight 1/n
    struct Count { bool operator==(const Count&) const = default; };
    std::variant<Value, Ring, Ewma, Count> kind;
    bool operator==(const State&) const = default;
};

enum class OutputKind { Value, Class, Score };
enum class Event { Fault, Outcome, Established, Ack, Round, Loss, Rto };  // mm.*, tcp.*

struct ModelInput {
    std::string name;         // "deltas[0]"
    Expr value;               // reads state, ring elements, fields only; also what `infer(model)` and training use
    bool operator==(const ModelInput&) const = default;
};

struct Model {
    std::string name;
    Span span;
    std::string source;       // path as written; empty: starts from nothing
    std::string sha256;       // of the file's bytes, 64 digits; empty: any file may stand there
    Span sha256_span;
    std::vector<ModelInput> inputs;  // 1..RMT_MODEL_MAX_INPUTS, of one that trains 1..RMT_MAX_INPUTS
    OutputKind output = OutputKind::Value;
    Scalar output_type = Scalar::I32;
    Interval output_range;    // declared; the answer is clamped to it
    std::vector<std::pair<std::string, int64_t>> classes;  // of Class
    int64_t on_error = 0;     // within output_range
    ModelClass shape;
    struct Online {           // a step in the kernel instead of a sample; what the inputs are divided by
        OnlineKind kind = OnlineKind::Linear;
        uint32_t rate_bits = 0;  // 4..12: a rate of 1/2^rate_bits
        std::vector<int32_t> scale_bits;  // one for each input, -7..22: divided by 2^scale_bits
        uint32_t after = 0;   // steps before there is an answer, at least 1
        bool operator==(const Online&) const = default;
    };
    struct Train {            // background training: a sample at the very start of the handler of `event`
        Event event = Event::Fault;
        Expr label;
        std::string label_name;  // "fault.delta"
        uint64_t every_ns = 0;
        uint32_t window = 0;  // samples
        Span span;
        std::optional<Online> online;  // then every_ns and window are 0
        bool operator==(const Train&) const = default;
    };
    std::optional<Train> train;
    bool operator==(const Model&) const = default;
};

struct Param {
    std::string name;
    Span span;
    Type type;
    bool operator==(const Param&) const = default;
};

struct Action {
    std::string name;
    Span span;
    std::vector<Param> params;
    Body body;
    bool operator==(const Action&) const = default;
};

struct Key {
    std::string name;         // as written
    Span span;
    MatchKind match = MatchKind::Exact;
    std::variant<Expr, uint32_t> source;  // a number, bool or enum; or the index of a Text field
    std::vector<std::pair<std::string, int64_t>> values;  // names of an enum or bool
    bool operator==(const Key&) const = default;
};

struct Invocation {           // an action with constant arguments, in the table's default and entries
    uint32_t action = 0;
    std::vector<int64_t> args;
    bool operator==(const Invocation&) const = default;
};

struct Entry {
    Span span;
    std::vector<KeyMatch> keys;
    Invocation run;
    std::string comment;
    bool operator==(const Entry&) const = default;
};

struct Table {
    std::string name;
    Span span;
    std::vector<Key> keys;
    std::vector<uint32_t> actions;  // allowed
    Invocation default_run;
    uint32_t size = 0;        // most entries, >= entries.size(), 1..RMT's profile limit
    std::vector<Entry> entries;
    bool operator==(const Table&) const = default;
};

struct Handler {              // at most one for each event
    Event event = Event::Fault;
    Span span;
    Body body;
    bool operator==(const Handler&) const = default;
};

struct Limits {
    struct PerEvent { uint32_t pages = 0; Span span; bool operator==(const PerEvent&) const = default; };
    struct Rate { uint64_t pages = 0; uint64_t window_ns = 0; Span span; bool operator==(const Rate&) const = default; };
    struct Cost { uint64_t ns = 0; Span span; bool operator==(const Cost&) const = default; };
    struct Breach {           // accuracy < percent, retrans > percent, over window => mode shadow [for hold]
        std::string measure;
        uint32_t percent = 0;
        uint64_t window_ns = 0;
        uint64_t hold_ns = 0;
        Span span;
        bool operator==(const Breach&) const = default;
    };
    std::optional<PerEvent> per_event;
    std::optional<Rate> rate;
    std::optional<Cost> cost;
    struct Range { int64_t lo = 0, hi = 0; Span span; bool operator==(const Range&) const = default; };
    struct Change { uint32_t times = 0; Span span; bool operator==(const Change&) const = default; };  // per round
    std::optional<Breach> breach;
    std::optional<Range> cwnd, pacing;  // segments, bytes per second
    std::optional<Change> change;
    bool operator==(const Limits&) const = default;
};

// What a sink's value is cut to: the policy's limit, or the profile's range where it gives none.
Interval sink_limit(const Limits& limits, Sink sink);
constexpr Interval kWindowRange{2, 1 << 20};                      // segments, of cwnd and ssthresh
constexpr Interval kPacingRange{1000, 125'000'000'000};           // bytes per second

enum class Mode { Off, Shadow, Enforce };

struct Policy {
    std::string name;
    Span span;
    std::string description;
    std::string domain;       // "mm"
    std::string base;         // of tcp: "reno", "cubic", "bbr"; empty: the policy owns the control
    Mode mode = Mode::Shadow;
    std::vector<std::string> attach;  // cgroup patterns, defines expanded
    Limits limits;
    std::vector<Field> fields;
    std::vector<State> states;
    std::vector<Model> models;
    std::vector<Action> actions;
    std::vector<Table> tables;
    std::vector<Handler> handlers;
    bool operator==(const Policy&) const = default;
};

}  // namespace rmt::lang::ir

namespace rmt::lang {

using Ir = ir::Policy;

// An Ir that check() has accepted. Only check() and tests that build IR by hand may seal one.
class CheckedIr {
public:
    static CheckedIr seal(Ir ir) { return CheckedIr(std::move(ir)); }
    const Ir& ir() const { return ir_; }

private:
    explicit CheckedIr(Ir ir) : ir_(std::move(ir)) {}
    Ir ir_;
};

}  // namespace rmt::lang
