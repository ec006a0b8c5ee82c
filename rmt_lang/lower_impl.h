// SPDX-License-Identifier: MIT
// The state of check(), shared by lower*.cpp and check.cpp only. Declarations are entered first, bodies are lowered
// after them, so that the order in the text does not matter. A function that returns nothing has reported why; what
// depends on it stays silent, so that one mistake gives one message.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/ast.h"
#include "rmt_lang/constant.h"
#include "rmt_lang/domain.h"
#include "rmt_lang/ir.h"
#include "rmt_lang/support/diagnostics.h"

namespace rmt::lang {

struct Typed {
    ir::Expr expr;
    const Names* names = nullptr;
};

enum class SymbolKind { State, Action, Table, Model };

struct Symbol {
    SymbolKind kind;
    uint32_t index = 0;
    Span span;
    bool valid = true;   // false: its declaration has an error; uses are silent
};

struct LocalSymbol {
    std::string name;
    uint32_t index = 0;
    Span span;
    bool is_mutable = false;
    bool valid = true;
    const Names* names = nullptr;
};

// One action or handler while its body is lowered.
struct BodyScope {
    ir::Body body;
    std::vector<std::vector<LocalSymbol>> blocks;
    const ir::Action* action = nullptr;  // its parameters
    bool handler = false;
    int loops = 0;
};

class Lowerer {
public:
    Lowerer(const Ast& ast, const Source& source, Diagnostics& diagnostics)
        : ast_(ast), source_(source), diagnostics_(diagnostics) {}

    std::optional<CheckedIr> run();

private:
    using MaybeTyped = std::optional<Typed>;

    // ---- lower.cpp: the policy, its items, state
    const AstPolicy* find_policy();
    bool header(const AstPolicy& policy);
    void unsupported_items(const AstPolicy& policy);
    void declare(const AstPolicy& policy);
    void declare_symbol(const AstName& name, SymbolKind kind, uint32_t index, bool valid = true);
    void lower_attach(const AstAttach& attach);
    void lower_base(const AstBase& base);
    void check_control_name(const AstName& name);
    const char* state_scope() const { return domain_ && domain_->name == "tcp" ? "sock" : "task"; }  // also before the domain is known
    void lower_mode(const AstMode& mode);
    void lower_state(const AstState& state);
    std::optional<decltype(ir::State::kind)> state_kind(const AstType& type);
    std::optional<uint32_t> length_argument(const AstType& type, size_t index, int64_t lo, int64_t hi);
    void declare_action(const AstAction& action);
    void lower_action(const AstAction& action, uint32_t index);
    void lower_handler(const AstOn& on, Span span);

    // ---- messages
    void error(const char* id, Span at, std::string message, std::string label = {}, std::string help = {});
    void error_with(const char* id, Span at, std::string message, std::string label, Span related, std::string related_label,
                    std::string help = {});
    void unsupported(Span at, const std::string& what, const std::string& help = {});
    std::string text(Span span) const { return std::string(source_.slice(span)); }

    // ---- lower_const.cpp: constants, strings, scalar types
    std::optional<Constant> constant(const AstExpr& expr, const std::string& what, const Names* names = nullptr);
    std::optional<int64_t> plain_constant(const AstExpr& expr, const std::string& what, int64_t lo, int64_t hi, const char* id);
    std::optional<uint64_t> time_constant(const AstExpr& expr, const std::string& what, const char* id);
    std::optional<std::string> string_constant(const AstExpr& expr, const std::string& what);
    const AstExpr* resolve_define(const AstExpr& expr);
    std::optional<ir::Scalar> scalar_type(const AstType& type, const std::string& what);

    // ---- lower_expr.cpp
    MaybeTyped expr(const AstExpr& expr, const Names* names = nullptr);
    MaybeTyped number_literal(const AstInt& literal, Span span);
    MaybeTyped reference(const std::string& name, Span span, const Names* names);
    MaybeTyped field_reference(const FieldProfile& field, Span span);
    MaybeTyped state_reference(uint32_t index, Span span);
    MaybeTyped unknown_name(const std::string& name, Span span, const Names* names);
    MaybeTyped element(const AstIndex& index, Span span);
    MaybeTyped call_expr(const AstCall& call, Span span);
    MaybeTyped cast(ir::Scalar to, const AstCall& call, Span span);
    MaybeTyped min_max(const AstCall& call, Span span);
    MaybeTyped infer(const AstCall& call, Span span);
    MaybeTyped unary(const AstUnary& unary, Span span);
    MaybeTyped binary(const AstBinary& binary, Span span);
    std::optional<std::pair<Typed, Typed>> operands(const AstBinary& binary);
    MaybeTyped condition(const AstExpr& expr);
    bool is_name_only(const AstExpr& expr) const;
    const LocalSymbol* find_local(const std::string& name) const;
    const Symbol* find_symbol(const std::string& name, SymbolKind kind, Span span, const char* what);
    std::vector<std::string> visible_names() const;
    std::optional<std::vector<ir::Expr>> infer_inputs(uint32_t model, const AstCall& call);

    // ---- lower_types.cpp: units and intervals
    MaybeTyped arithmetic(ir::BinaryOp op, Typed left, Typed right, Span op_span, Span span);
    MaybeTyped comparison(ir::BinaryOp op, Typed left, Typed right, Span op_span, Span span);
    std::optional<ir::Unit> result_unit(ir::BinaryOp op, const ir::Expr& left, const ir::Expr& right, Span op_span);
    bool storable(const Typed& value, ir::Scalar scalar, const std::string& target);

    // ---- lower_stmt.cpp
    ir::Block block(const AstBlock& block);
    void statement(const AstStmt& stmt, ir::Block& out);
    void local_statement(const AstLocal& local, Span span, ir::Block& out);
    void assignment(const AstAssign& assign, Span span, ir::Block& out);
    void assign_sink(const SinkProfile& sink, const AstAssign& assign, Span span, ir::Block& out);
    void assign_ring(uint32_t to, const AstExpr& value, Span span, ir::Block& out);
    void push_statement(const AstPush& push, Span span, ir::Block& out);
    void if_statement(const AstIf& stmt, Span span, ir::Block& out);
    void repeat_statement(const AstRepeat& repeat, Span span, ir::Block& out);
    void match_statement(const AstMatch& match, Span span, ir::Block& out);
    std::optional<ir::Interval> arm_pattern(const AstPattern& pattern, const Typed& subject);
    void call_statement(const AstCall& call, Span span, ir::Block& out);
    void prefetch_statement(const AstCall& call, Span span, ir::Block& out);
    void collect_statement(const AstCollect& collect, Span span, ir::Block& out);
    std::optional<ir::CollectItem> collect_item(const AstExpr& item);
    std::optional<uint32_t> declare_local(const AstName& name, ir::Type type, bool is_mutable, const Names* names);
    void poison_local(const AstName& name);

    // ---- lower_table.cpp
    void declare_table(const AstTable& table);
    void lower_keys(const AstTable& ast, ir::Table& out);
    std::optional<ir::Key> lower_key(const AstKey& key);
    void lower_entries(const AstTable& ast, ir::Table& out);
    std::optional<ir::Entry> lower_entry(const AstEntry& ast, const ir::Table& table, std::optional<Span> actions_span);
    ManifestKey key_facts(const ir::Key& key);
    std::optional<KeyMatch> key_pattern(const AstPattern& pattern, const ir::Key& key);
    std::optional<ir::Invocation> invocation(const AstCall& call, Span span, const ir::Table& table,
                                             std::optional<Span> actions_span);

    // ---- lower_model.cpp
    void lower_model(const AstModel& model);
    void model_output(const AstModelOutput& output, Span span, ir::Model& out);
    void model_classes(const AstModelOutput& output, ir::Model& out);
    void model_inputs(const AstModelInput& input, bool trains, ir::Model& out);
    void model_on_error(const AstModelOnError& on_error, ir::Model& out);
    void model_train(const AstModelTrain& train, Span span, ir::Model& out);
    bool train_from(const AstModelTrain& train, Span span, ir::Model::Train& out);
    bool train_background(const AstModelTrain& train, Span span, ir::Model::Train& out);
    void model_digest(const AstExpr& digest, ir::Model& out);
    const Names* names_of(const ir::Model& model);

    // ---- lower_online.cpp
    bool train_online(const AstModelTrain& train, const ir::Model& model, ir::Model::Train& out);
    std::optional<int32_t> power_of_two(const AstRatio& ratio, const std::string& what, int32_t lowest, int32_t highest, const char* example);
    std::optional<std::vector<int32_t>> online_scales(const AstModelTrain& train, const ir::Model& model);

    // ---- lower_limit.cpp
    void lower_limit(const AstLimit& limit);
    void limit_bound(const AstLimitBound& bound, Span span);
    void limit_on(const AstLimitOn& on, Span span);
    void limit_pages(const AstLimitBound& bound, Span span);
    void limit_cost(const AstLimitBound& bound, Span span);
    void limit_change(const AstLimitBound& bound, Span span);
    void limit_range(const AstLimitRange& range, Span span);
    template <class T>
    bool limit_once(const std::optional<T>& slot, Span span, const std::string& what);

    // ---- check.cpp: what needs the whole policy
    void check_calls();
    void check_availability();
    void check_collect();

    uint32_t use_field(const FieldProfile& field);
    const Names* keep(Names names);

    const Ast& ast_;
    const Source& source_;
    Diagnostics& diagnostics_;
    const Domain* domain_ = nullptr;
    std::map<std::string, const AstDefinition*> defines_;
    std::map<std::string, Symbol> symbols_;
    std::map<std::string, const AstAction*> action_asts_;
    std::deque<Names> names_;
    BodyScope* scope_ = nullptr;
    int define_depth_ = 0;
    std::optional<Span> collect_span_;
    std::map<std::string, Span> items_seen_;  // "mode", "on mm.fault": items that may stand once
    ir::Policy out_;
};

// Words of a type in a message: "a time", "a page number", "bool".
std::string describe(const ir::Type& type);

ir::Interval interval_of(ir::BinaryOp op, ir::Interval a, ir::Interval b);

}  // namespace rmt::lang
