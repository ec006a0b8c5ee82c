// SPDX-License-Identifier: MIT
// What the files of the emitter share. Not for others: see emit.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/emit_text.h"
#include "rmt_lang/ir.h"

namespace rmt::lang::emit {

constexpr uint32_t kSmallRing = 8;  // up to here a ring is shifted; bpf/include/rmt/state.bpf.h

const char* c_type(ir::Scalar scalar);
uint32_t ring_slots(uint32_t n);    // elements that are stored
bool inside(ir::Interval inner, ir::Interval outer);

// What an expression can refer to: the policy, and the names of the body around it.
struct Scope {
    const Ir& ir;
    std::vector<std::string> params;  // C names
    std::vector<std::string> locals;
};

Scope scope_of(const Ir& ir, const ir::Action& action);
Scope scope_of(const Ir& ir, const ir::Handler& handler);

// Variables that a loop changes and that outlive its round live in the task's state, not in registers: the kernel's
// verifier keeps apart the values that a register can have, and would walk the loop once for each; what it reads from
// a map's value is any number, so that the second round already looks like the first.
std::vector<std::string> carried_variables(const Ir& ir);  // members of st->rmt_var

// A C expression of type __s64 (or int, when it is a small constant or a truth value) without side effects other than
// an inference's counter.
std::string expr(const Scope& scope, const ir::Expr& e);

// "(a + b)" -> "a + b", for places where brackets around the whole are noise.
std::string bare(const std::string& c);

// An expression made to fit what it is stored to.
std::string fit(const std::string& c, ir::Interval known, ir::Scalar target);
std::string stored(const Scope& scope, const ir::Expr& e, ir::Scalar target);

// The statements of a body into `out`.
void body(CWriter& out, const Source& source, const Scope& scope, const ir::Body& body);

// A model's inputs live in the task's state, 16 slots as the engine takes them: those without an input stay zero, and
// neither the stack nor a pointer into it is needed.
inline bool is_online(const ir::Model& model) { return model.train && model.train->online; }
inline std::string inputs_name(const ir::Model& model) { return "rmt_in_" + model.name; }

// Members of a C struct with natural alignment and every gap named, so that no byte is left uninitialised.
struct Member {
    std::string type;   // "__s32", or a whole declaration up to the name
    std::string name;
    std::string array;  // "[4]"
    uint32_t offset = 0;
    uint32_t size = 0;  // all of it
};
struct Layout {
    std::vector<Member> members;  // gaps included, named rmt_gap<N>
    uint32_t size = 0;
};
inline bool is_own(const Member& m) { return m.name.rfind("rmt_", 0) == 0; }  // a gap, or what the emitter keeps there
Layout collect_layout(const Ir& ir, const ir::Collect& collect);  // members c<index>_<name>
Layout state_layout(const Ir& ir);

const ir::Collect* find_collect(const Ir& ir);  // the policy's one, or nothing

// Calls f for every statement of the block, inner ones too.
template <class F>
void each_stmt(const ir::Block& block, F&& f) {
    for (const ir::Stmt& s : block) {
        f(s);
        if (const auto* branch = std::get_if<ir::If>(&s.node)) {
            each_stmt(branch->then, f);
            each_stmt(branch->otherwise, f);
        } else if (const auto* loop = std::get_if<ir::Repeat>(&s.node)) {
            each_stmt(loop->body, f);
        } else if (const auto* match = std::get_if<ir::Match>(&s.node)) {
            for (const ir::Arm& arm : match->arms) each_stmt(arm.body, f);
        }
    }
}

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace rmt::lang::emit
