// SPDX-License-Identifier: MIT
// What was written, in plain structs, with places; nothing is resolved or checked here. Covers the whole language, also
// what has no semantics yet, so that the checker can refuse it by its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rmt_lang/box.h"
#include "rmt_lang/lexer.h"
#include "rmt_lang/support/source.h"

namespace rmt::lang {

struct AstName {
    std::string text;  // dots included
    Span span;
    bool operator==(const AstName&) const = default;
};

// ---- expressions ------------------------------------------------------------------------------------------------

struct AstExpr;

struct AstInt { int64_t value = 0; WrittenUnit unit = WrittenUnit::None; bool hex = false; bool operator==(const AstInt&) const = default; };
struct AstBool { bool value = false; bool operator==(const AstBool&) const = default; };
struct AstString { std::string text; bool operator==(const AstString&) const = default; };
struct AstAddress { std::string text; bool operator==(const AstAddress&) const = default; };
struct AstRef { std::string name; bool operator==(const AstRef&) const = default; };     // field, state, local, enum value
struct AstDefine { std::string name; bool operator==(const AstDefine&) const = default; };  // $NAME
struct AstIndex { AstName base; Box<AstExpr> index; bool operator==(const AstIndex&) const = default; };
struct AstCall { AstName callee; std::vector<AstExpr> args; bool operator==(const AstCall&) const = default; };
struct AstUnary { Tok op; Box<AstExpr> operand; bool operator==(const AstUnary&) const = default; };
struct AstBinary { Tok op; Span op_span; Box<AstExpr> left, right; bool operator==(const AstBinary&) const = default; };
struct AstList { std::vector<AstExpr> items; bool operator==(const AstList&) const = default; };  // { 1, 2 } of a define

struct AstExpr {
    Span span;
    std::variant<AstInt, AstBool, AstString, AstAddress, AstRef, AstDefine, AstIndex, AstCall, AstUnary, AstBinary, AstList> node;
    bool operator==(const AstExpr&) const = default;
};

struct AstAny { bool operator==(const AstAny&) const = default; };
struct AstRange { std::optional<AstExpr> lo, hi; bool operator==(const AstRange&) const = default; };  // inclusive; one end may be open
struct AstPattern { Span span; std::variant<AstAny, AstExpr, AstRange> node; bool operator==(const AstPattern&) const = default; };

struct AstType {
    AstName name;                 // "u8", "ring"
    std::vector<AstExpr> args;    // ring<i32, 4>: a name and a number
    Span span;
    bool operator==(const AstType&) const = default;
};

// ---- statements -------------------------------------------------------------------------------------------------

struct AstStmt;

struct AstBlock {
    std::vector<AstStmt> stmts;
    Span span;                    // braces included
    bool operator==(const AstBlock&) const = default;
};

struct AstLocal { AstName name; bool is_mutable = false; std::optional<AstType> type; AstExpr value; bool operator==(const AstLocal&) const = default; };
struct AstAssign { AstExpr target; AstExpr value; bool operator==(const AstAssign&) const = default; };
struct AstPush { AstName ring; AstExpr value; bool operator==(const AstPush&) const = default; };
struct AstIf { AstExpr condition; AstBlock then; std::optional<AstBlock> otherwise; bool else_if = false; bool operator==(const AstIf&) const = default; };
struct AstRepeat { AstExpr count; std::optional<AstName> index; AstBlock body; bool operator==(const AstRepeat&) const = default; };
struct AstBreak { bool operator==(const AstBreak&) const = default; };
struct AstArm { std::vector<AstPattern> patterns; AstBlock body; bool braces = false; Span span; bool operator==(const AstArm&) const = default; };  // no pattern: `_`
struct AstMatch { AstExpr subject; std::vector<AstArm> arms; bool operator==(const AstMatch&) const = default; };
struct AstCallStmt { AstCall call; bool operator==(const AstCallStmt&) const = default; };
struct AstApply { AstName table; bool operator==(const AstApply&) const = default; };
struct AstCollect { std::vector<AstExpr> items; AstExpr sample_of; AstExpr sample; bool operator==(const AstCollect&) const = default; };  // sample_of/sample

struct AstStmt {
    Span span;
    std::variant<AstLocal, AstAssign, AstPush, AstIf, AstRepeat, AstBreak, AstMatch, AstCallStmt, AstApply, AstCollect> node;
    bool operator==(const AstStmt&) const = default;
};

// ---- items of a policy ------------------------------------------------------------------------------------------

struct AstDescription { AstExpr text; bool operator==(const AstDescription&) const = default; };
struct AstDomain { AstName name; bool operator==(const AstDomain&) const = default; };
struct AstBase { AstExpr name; bool operator==(const AstBase&) const = default; };
struct AstAttach { AstName what; AstExpr pattern; bool operator==(const AstAttach&) const = default; };
struct AstMode { AstName name; bool operator==(const AstMode&) const = default; };

struct AstLimitBound {            // prefetch.pages <= 32 per event;
    enum class Per { None, Event, Time, Other };
    AstName subject;
    bool change = false;          // cwnd change <= 2x per rtt
    Tok op = Tok::Le;
    Span op_span;
    AstExpr bound;
    Per per = Per::None;
    std::optional<AstExpr> window;  // Time
    std::optional<AstName> unit;    // Other: rtt
    bool operator==(const AstLimitBound&) const = default;
};
struct AstLimitRange { AstName subject; AstExpr lo, hi; bool operator==(const AstLimitRange&) const = default; };  // slice in 1ms..5ms
struct AstLimitOn {               // on breach (accuracy < 30% over 2s) => mode shadow for 5s;
    AstName what;                 // breach, stall
    AstName measure;
    Tok op = Tok::Lt;
    Span op_span;
    AstExpr threshold;
    std::optional<AstExpr> over;
    AstName reaction;             // mode, detach
    std::optional<AstName> mode;
    std::optional<AstExpr> hold;
    bool operator==(const AstLimitOn&) const = default;
};
struct AstLimitRule { Span span; std::variant<AstLimitBound, AstLimitRange, AstLimitOn> node; bool operator==(const AstLimitRule&) const = default; };
struct AstLimit { std::vector<AstLimitRule> rules; bool operator==(const AstLimit&) const = default; };

struct AstStateVar { AstName name; AstType type; Span span; bool operator==(const AstStateVar&) const = default; };
struct AstState { AstName scope; std::vector<AstStateVar> vars; bool operator==(const AstState&) const = default; };

struct AstClass { AstName name; AstExpr value; bool operator==(const AstClass&) const = default; };
struct AstModelSource { AstExpr path; std::optional<AstExpr> sha256; bool operator==(const AstModelSource&) const = default; };
struct AstModelInput { std::vector<AstExpr> inputs; bool operator==(const AstModelInput&) const = default; };
struct AstModelOutput {
    AstName kind;                 // value, score, class
    std::optional<AstType> type;
    std::optional<AstExpr> lo, hi;
    std::vector<AstClass> classes;
    bool operator==(const AstModelOutput&) const = default;
};
struct AstModelOnError { AstExpr answer; bool operator==(const AstModelOnError&) const = default; };
struct AstModelEvery { AstExpr events; bool operator==(const AstModelEvery&) const = default; };
struct AstRatio { AstExpr of; std::optional<AstExpr> by; bool operator==(const AstRatio&) const = default; };  // 16, 1/64
struct AstModelTrain {            // train background from mm.fault label fault.delta every 1s window 20000;
    AstName how;                  // background, online
    std::optional<AstName> learner;  // train online linear from mm.fault label fault.delta rate 1/64 scale (16, 1) after 32;
    AstName event;
    AstExpr label;
    std::optional<AstExpr> every, window;
    std::optional<AstRatio> rate;
    std::vector<AstRatio> scale;  // one for all inputs, or one for each
    std::optional<AstExpr> after;
    bool operator==(const AstModelTrain&) const = default;
};
struct AstModelItem {
    Span span;
    std::variant<AstModelSource, AstModelInput, AstModelOutput, AstModelOnError, AstModelEvery, AstModelTrain> node;
    bool operator==(const AstModelItem&) const = default;
};
struct AstModel { AstName name; std::vector<AstModelItem> items; bool operator==(const AstModel&) const = default; };

struct AstDsq { AstName name; AstName order; bool operator==(const AstDsq&) const = default; };

struct AstParam { AstName name; AstType type; bool operator==(const AstParam&) const = default; };
struct AstAction { AstName name; std::vector<AstParam> params; AstBlock body; bool operator==(const AstAction&) const = default; };

struct AstKey { AstExpr subject; AstName match; bool operator==(const AstKey&) const = default; };
struct AstEntry {
    std::vector<AstPattern> patterns;
    AstCall action;
    Span action_span;
    std::optional<AstExpr> comment;
    Span span;                    // without the semicolon
    bool operator==(const AstEntry&) const = default;
};
struct AstTable {
    AstName name;
    std::vector<AstKey> keys;
    std::vector<AstName> actions;
    std::optional<AstCall> default_action;
    Span default_span;
    std::optional<AstExpr> size;
    std::vector<AstEntry> entries;
    std::optional<Span> keys_span, actions_span, entries_span;  // which parts were written
    bool operator==(const AstTable&) const = default;
};

struct AstOn { AstName event; AstBlock body; bool operator==(const AstOn&) const = default; };

struct AstTestField { AstName name; AstExpr value; bool operator==(const AstTestField&) const = default; };
struct AstTestStep {              // event mm.fault { fault.delta = 1 } expect stride(8, 1);
    AstName event;
    std::vector<AstTestField> fields;
    std::optional<AstCall> expect;
    Span span;
    bool operator==(const AstTestStep&) const = default;
};
struct AstTest { std::optional<AstExpr> name; std::vector<AstTestStep> steps; bool operator==(const AstTest&) const = default; };

struct AstItem {
    Span span;
    std::variant<AstDescription, AstDomain, AstBase, AstAttach, AstMode, AstLimit, AstState, AstModel, AstDsq, AstAction,
                 AstTable, AstOn, AstTest> node;
    bool operator==(const AstItem&) const = default;
};

struct AstPolicy { AstName name; std::vector<AstItem> items; Span span; bool operator==(const AstPolicy&) const = default; };
struct AstDefinition { AstName name; AstExpr value; bool operator==(const AstDefinition&) const = default; };
struct AstInclude { AstExpr path; bool operator==(const AstInclude&) const = default; };

struct AstTop {
    Span span;
    std::variant<AstDefinition, AstInclude, AstPolicy, AstTest> node;
    bool operator==(const AstTop&) const = default;
};

// A whole file. `comments` and `blank_before` are what a formatter needs beside the tree.
struct Ast {
    int64_t version = 1;
    Span version_span;
    std::vector<AstTop> items;
    std::vector<Comment> comments;
    std::vector<uint32_t> blank_before;  // offsets of tokens that follow an empty line
    bool operator==(const Ast&) const = default;
};

// The tree as indented text without places: what the golden files hold.
std::string dump(const Ast& ast);
std::string dump(const AstExpr& expr);   // on one line

}  // namespace rmt::lang
