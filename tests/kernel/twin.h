// SPDX-License-Identifier: MIT
// Policies compiled from text, loaded into the running kernel, and driven event by event through the program's twin
// (SEC("syscall") rmt_twin): no attachment, no cgroup, nothing that outlives the object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/include/rmt/intf_tcp.h"
#include "tests/compile.h"

struct bpf_object;

namespace rmt::test {

// A record of rmt_collect, read by the manifest.
struct Record {
    std::vector<uint8_t> bytes;
    int64_t number(const ManifestCollect& layout, const std::string& field, uint32_t element = 0) const;
    std::string text(const ManifestCollect& layout, const std::string& field) const;
};

class Twin {
public:
    // Loads the programs that this kernel can have; tables get the policy's entries. Error.detail: the verifier's log.
    static Result<Twin> load(const lang::Compiled& compiled);
    Twin(Twin&&) noexcept;
    Twin& operator=(Twin&&) noexcept;
    ~Twin();

    // One event of this task; the pages asked for stand in `out`, `n` of them.
    Result<rmt_twin> run(rmt_twin event);
    // One event of a socket, of domain tcp; what the policy wants stands in `set`, `cwnd`, ...
    Result<rmt_tcp_twin> run(rmt_tcp_twin event);
    std::vector<Record> collected();
    std::vector<rmt_sample> samples();
    void set_training(bool on);
    std::vector<std::string> programs() const;  // that were loaded
    uint64_t stat(rmt_stat stat);
    uint64_t hits(const std::string& table, uint32_t slot);
    Result<void> set_entries(const std::string& table, const std::vector<ManifestEntry>& entries);
    Result<void> set_value(const std::string& table, const std::vector<uint8_t>& value);  // unchecked

    int map(const std::string& name) const;
    uint32_t instructions(const std::string& program) const;  // that the kernel's verifier walked

private:
    struct Data;
    explicit Twin(std::unique_ptr<Data> data);
    Result<void> run_twin(void* context, uint32_t size);
    std::unique_ptr<Data> data_;
};

}  // namespace rmt::test
