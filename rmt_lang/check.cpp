// SPDX-License-Identifier: MIT
// Checks over the whole policy: no recursion of actions, and every field and sink only where its event has it.
#include <algorithm>

#include <fmt/format.h>

#include "rmt_lang/emit.h"
#include "rmt_lang/lower_impl.h"

namespace rmt::lang {

namespace {

// Calls `on_expr` for each expression and `on_stmt` for each statement of a block, outer ones first.
template <class OnExpr, class OnStmt>
class Walk {
public:
    Walk(OnExpr on_expr, OnStmt on_stmt) : on_expr_(on_expr), on_stmt_(on_stmt) {}

    void block(const ir::Block& block) {
        for (const ir::Stmt& s : block) {
            on_stmt_(s);
            std::visit(*this, s.node);
        }
    }

    void expr(const ir::Expr& e) {
        on_expr_(e);
        if (const auto* u = std::get_if<ir::Unary>(&e.node)) expr(*u->value);
        if (const auto* c = std::get_if<ir::Cast>(&e.node)) expr(*c->value);
        if (const auto* r = std::get_if<ir::RingElement>(&e.node)) expr(*r->index);
        if (const auto* b = std::get_if<ir::Binary>(&e.node)) {
            expr(*b->left);
            expr(*b->right);
        }
        if (const auto* i = std::get_if<ir::Infer>(&e.node))
            for (const ir::Expr& input : i->inputs) expr(input);
    }

    void operator()(const ir::Push& s) { expr(s.value); }
    void operator()(const ir::AssignState& s) { expr(s.value); }
    void operator()(const ir::CopyRing&) {}
    void operator()(const ir::Declare& s) { expr(s.value); }
    void operator()(const ir::AssignLocal& s) { expr(s.value); }
    void operator()(const ir::If& s) {
        expr(s.condition);
        block(s.then);
        block(s.otherwise);
    }
    void operator()(const ir::Repeat& s) { block(s.body); }
    void operator()(const ir::Break&) {}
    void operator()(const ir::Match& s) {
        expr(s.value);
        for (const ir::Arm& a : s.arms) block(a.body);
    }
    void operator()(const ir::Call& s) {
        for (const ir::Expr& a : s.args) expr(a);
    }
    void operator()(const ir::Apply&) {}
    void operator()(const ir::PrefetchPage& s) { expr(s.page); }
    void operator()(const ir::PrefetchRun& s) {
        expr(s.base);
        expr(s.count);
        expr(s.step);
    }
    void operator()(const ir::SetSink& s) { expr(s.value); }
    void operator()(const ir::Collect& s) {
        for (const ir::CollectItem& i : s.items)
            if (const auto* v = std::get_if<ir::CollectItem::Value>(&i.what)) expr(v->value);
    }

private:
    OnExpr on_expr_;
    OnStmt on_stmt_;
};

struct CallSite {
    uint32_t callee;
    Span span;
};

std::vector<CallSite> calls_of(const ir::Body& body) {
    std::vector<CallSite> out;
    Walk([](const ir::Expr&) {}, [&](const ir::Stmt& s) {
        if (const auto* c = std::get_if<ir::Call>(&s.node)) out.push_back({c->action, s.span});
    }).block(body.block);
    return out;
}

}  // namespace

// Depth first; an edge to an action that is still open closes a cycle.
void Lowerer::check_calls() {
    enum class Mark { New, Open, Done };
    std::vector<std::vector<CallSite>> calls;
    for (const ir::Action& a : out_.actions) calls.push_back(calls_of(a.body));
    std::vector<Mark> mark(out_.actions.size(), Mark::New);
    for (uint32_t root = 0; root < out_.actions.size(); root++) {
        std::vector<std::pair<uint32_t, size_t>> stack;
        if (mark[root] == Mark::New) stack.emplace_back(root, 0);
        while (!stack.empty()) {
            auto& [action, next] = stack.back();
            mark[action] = Mark::Open;
            if (next == calls[action].size()) {
                mark[action] = Mark::Done;
                stack.pop_back();
                continue;
            }
            const CallSite call = calls[action][next++];
            if (mark[call.callee] == Mark::New) {
                stack.emplace_back(call.callee, 0);
            } else if (mark[call.callee] == Mark::Open) {
                error_with("E0208", call.span, fmt::format("action '{}' calls itself", out_.actions[call.callee].name), "", out_.actions[call.callee].span,
                           "this action", "a loop is written with `repeat`, its rounds are bounded");
                return;
            }
        }
    }
}

// A collected record has the bound of the generated program (emit.h); told here, it has its place.
void Lowerer::check_collect() {
    for (const ir::Handler& handler : out_.handlers)
        Walk([](const ir::Expr&) {}, [&](const ir::Stmt& s) {
            const auto* collect = std::get_if<ir::Collect>(&s.node);
            if (!collect) return;
            const uint32_t size = collect_record_size(out_, *collect);
            if (size > kMaxCollectRecord)
                error("E0213", s.span, fmt::format("a collected record has {} bytes, {} are possible", size, kMaxCollectRecord), "",
                      "collect fewer fields, or elements of a ring instead of the whole");
        }).block(handler.body.block);
}

// What each handler can reach: its own statements, the tables that it applies (keys, allowed actions), the actions that
// these call, the models that are asked.
void Lowerer::check_availability() {
    for (const ir::Handler& handler : out_.handlers) {
        const EventSet here = event_bit(handler.event);
        std::vector<bool> action_seen(out_.actions.size()), table_seen(out_.tables.size());
        std::vector<uint32_t> actions;
        auto report = [&](Span span, const std::string& what, EventSet events) {
            error_with("E0215", span, fmt::format("{} is not available on {}", what, event_name(handler.event)), fmt::format("on {} only", event_list(events)),
                       handler.span, fmt::format("reached from this handler"));
        };
        auto on_expr = [&](const ir::Expr& e) {
            const auto* ref = std::get_if<ir::FieldRef>(&e.node);
            if (!ref) return;
            const FieldProfile* f = find_field(*domain_, out_.fields[ref->field].name);
            if (!(f->events & here)) report(e.span, fmt::format("field '{}'", f->field.name), f->events);
        };
        auto visit_action = [&](uint32_t a) {
            if (action_seen[a]) return;
            action_seen[a] = true;
            actions.push_back(a);
        };
        auto on_stmt = [&](const ir::Stmt& s) {
            if (const auto* c = std::get_if<ir::Call>(&s.node)) visit_action(c->action);
            if ((std::holds_alternative<ir::PrefetchPage>(s.node) || std::holds_alternative<ir::PrefetchRun>(s.node)) &&
                !(domain_->sinks[0].events & here))
                report(s.span, "'prefetch'", domain_->sinks[0].events);
            const auto* apply = std::get_if<ir::Apply>(&s.node);
            if (!apply || table_seen[apply->table]) return;
            table_seen[apply->table] = true;
            for (const ir::Key& k : out_.tables[apply->table].keys)
                if (const auto* e = std::get_if<ir::Expr>(&k.source)) on_expr(*e);
            for (const uint32_t a : out_.tables[apply->table].actions) visit_action(a);
        };
        Walk walk(on_expr, on_stmt);
        walk.block(handler.body.block);
        for (size_t i = 0; i < actions.size(); i++) walk.block(out_.actions[actions[i]].body.block);
        for (const ir::Model& m : out_.models) {
            if (!m.train || m.train->event != handler.event) continue;
            for (const ir::ModelInput& input : m.inputs) on_expr(input.value);
            on_expr(m.train->label);
        }
    }
}

}  // namespace rmt::lang
