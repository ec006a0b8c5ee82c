// SPDX-License-Identifier: MIT
// Loads engine.bpf.c of one class, gives it models and rows, and reads its answers. Also used by bench/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpf/include/rmt/model_layout.h"
#include "models/lower.h"
#include "tests/models/engine_object.h"

namespace rmt::models {

constexpr uint32_t kEngineRows = 4096;  // of a test's engine

struct EngineAnswer {
    int64_t value;
    uint64_t status;
};
struct EngineControl {
    uint32_t rows, next;
    uint64_t sink, zero;
};
struct EngineWatch {
    uint64_t runs, torn;
    int64_t allowed[2];
};

// "tree_1_8_1024_16_0_1", as engines.cmake names objects.
inline std::string engine_name(const ModelClass& c) {
    std::string name = engine_kind_name(c.kind);
    for (uint32_t n : {c.trees, c.depth, c.nodes, c.slots, c.derived, c.outputs}) name += "_" + std::to_string(n);
    return name;
}

class Engine : public EngineObject {
public:
    Engine(const std::string& folder, const ModelClass& shape, bool with_tracing = false)
        : EngineObject(folder + "/engine_" + engine_name(shape) + ".bpf.o", value_size(shape),
                       {".data.row", ".data.answer", ".data.control", ".data.watch"}, with_tracing),
          shape_(shape) {}

    const ModelClass& shape() const { return shape_; }
    int32_t* row(uint32_t i) const { return memory<int32_t>(0) + size_t{i} * shape_.slots; }
    EngineAnswer* answers() const { return memory<EngineAnswer>(1); }
    EngineControl* control() const { return memory<EngineControl>(2); }
    EngineWatch* watch() const { return memory<EngineWatch>(3); }

    int run_all(uint32_t rows) {
        control()->rows = rows;
        return test_run("all");
    }
    int run_chain(const char* name, uint32_t first, uint32_t rows) {
        control()->rows = rows;
        control()->next = first;
        return test_run(name);
    }

private:
    ModelClass shape_;
};

}  // namespace rmt::models
