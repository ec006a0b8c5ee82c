// SPDX-License-Identifier: MIT
// Loads net_engine.bpf.c of one class, gives it nets and rows, and reads its answers. Also used by bench/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/net_lower.h"
#include "tests/models/engine_object.h"

namespace rmt::models {

constexpr uint32_t kNetRows = 4096;

struct NetAnswer {
    int64_t value;
    uint64_t status;
};

inline std::string net_class_name(const NetClass& c) {
    std::string name;
    for (uint32_t part : {c.inputs, c.tiles, c.rows, c.blocks, c.width, c.outputs}) name += "_" + std::to_string(part);
    return name;
}

class NetEngine : public EngineObject {
public:
    NetEngine(const std::string& folder, const NetClass& shape, bool with_tracing = false)
        : EngineObject(folder + "/net" + net_class_name(shape) + ".bpf.o", net_value_size(shape), {".data.row", ".data.answer", ".data.control"},
                       with_tracing),
          shape_(shape) {}

    const NetClass& shape() const { return shape_; }
    int32_t* row(uint32_t i) const { return memory<int32_t>(0) + size_t{i} * shape_.inputs; }
    NetAnswer* answers() const { return memory<NetAnswer>(1); }

    int run_all(uint32_t rows) {
        memory<uint32_t>(2)[0] = rows;
        return test_run("all");
    }

private:
    NetClass shape_;
};

}  // namespace rmt::models
