// SPDX-License-Identifier: MIT
// Structs of the generated program whose layout user space must know: collected records and the state per task. Gaps
// are members and the size is asserted in the generated C, so that this file and the compiler cannot disagree.
#include "bpf/include/rmt/learn_layout.h"
#include "rmt_lang/emit.h"
#include "rmt_lang/emit_internal.h"

namespace rmt::lang::emit {

namespace {

using namespace ir;

struct Shape {
    std::string type;
    std::string array;
    uint32_t size = 0;
    uint32_t align = 1;
};

Shape of_scalar(Scalar s) { return {c_type(s), "", scalar_size(s), scalar_size(s)}; }

Shape of_ring(const State::Ring& r) {
    const uint32_t slots = ring_slots(r.n), element = scalar_size(r.type);
    const std::string v = std::string(c_type(r.type)) + " v[" + std::to_string(slots) + "];";
    if (r.n <= kSmallRing) return {"struct { " + v + " }", "", slots * element, element};
    const uint32_t align = std::max<uint32_t>(4, element);
    const uint32_t begin = align;  // behind `head`
    const uint32_t size = (begin + slots * element + align - 1) / align * align;
    return {"struct { __u32 head; " + v + " }", "", size, align};
}

Shape of_state(const State& state) {
    return std::visit(Overloaded{
                          [](const State::Value& v) { return of_scalar(v.type); },
                          [](const State::Ring& v) { return of_ring(v); },
                          [](const State::Ewma&) { return Shape{"struct rmt_ewma", "", 16, 8}; },
                          [](const State::Count&) { return Shape{"__u64", "", 8, 8}; },
                      },
                      state.kind);
}

Shape of_item(const Ir& ir, const CollectItem& item) {
    return std::visit(Overloaded{
                          [](const CollectItem::Value& v) { return of_scalar(v.type); },
                          [&](const CollectItem::Ring& v) {
                              const auto& ring = std::get<State::Ring>(ir.states.at(v.state).kind);
                              Shape s = of_scalar(ring.type);
                              s.array = "[" + std::to_string(ring.n) + "]";
                              s.size *= ring.n;
                              return s;
                          },
                          [](const CollectItem::Text&) { return Shape{"__u64", "[2]", 16, 8}; },
                      },
                      item.what);
}

uint32_t alignment(const Ir& ir, const Collect& collect) {
    uint32_t align = 1;
    for (const CollectItem& item : collect.items) align = std::max(align, of_item(ir, item).align);
    return align;
}

class Builder {
public:
    void add(const Shape& s, const std::string& name) {
        pad(s.align);
        layout_.members.push_back({s.type, name, s.array, layout_.size, s.size});
        layout_.size += s.size;
        align_ = std::max(align_, s.align);
    }
    Layout finish() {
        pad(align_);
        return std::move(layout_);
    }

private:
    void pad(uint32_t align) {
        const uint32_t gap = (align - layout_.size % align) % align;
        if (gap == 0) return;
        layout_.members.push_back({"__u8", "rmt_gap" + std::to_string(gaps_++), "[" + std::to_string(gap) + "]", layout_.size, gap});
        layout_.size += gap;
    }

    Layout layout_;
    uint32_t align_ = 1;
    int gaps_ = 0;
};

}  // namespace

Layout collect_layout(const Ir& ir, const Collect& collect) {
    Builder b;
    for (size_t i = 0; i < collect.items.size(); i++)
        b.add(of_item(ir, collect.items[i]), "c" + std::to_string(i) + "_" + c_name(collect.items[i].name));
    return b.finish();
}

Layout state_layout(const Ir& ir) {
    Builder b;
    for (const State& s : ir.states) b.add(of_state(s), c_name(s.name));
    std::string variables;
    const std::vector<std::string> carried = carried_variables(ir);
    for (const std::string& v : carried) variables += " __s64 " + v + ";";
    if (!carried.empty()) b.add({"struct {" + variables + " }", "", static_cast<uint32_t>(8 * carried.size()), 8}, "rmt_var");
    for (const Model& m : ir.models) {
        const uint32_t slots = is_online(m) ? RMT_LEARN_INPUTS : m.shape.vector_size();
        b.add({"__s32", "[" + std::to_string(slots) + "]", 4 * slots, 4}, inputs_name(m));
    }
    const Collect* collect = find_collect(ir);
    if (collect) {
        const uint32_t size = collect_layout(ir, *collect).size;
        b.add({"struct rmt_collect_record", "", size, alignment(ir, *collect)}, "rmt_record");
    }
    if (ir.states.empty() && carried.empty() && ir.models.empty() && !collect) b.add(of_scalar(Scalar::U8), "rmt_gap0");
    return b.finish();
}

}  // namespace rmt::lang::emit

namespace rmt::lang {

uint32_t collect_record_size(const Ir& ir, const ir::Collect& collect) { return emit::collect_layout(ir, collect).size; }
uint32_t task_state_size(const Ir& ir) { return emit::state_layout(ir).size; }

}  // namespace rmt::lang
