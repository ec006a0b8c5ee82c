// SPDX-License-Identifier: MIT
// Congestion controls that the running kernel has, and who registered them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rmt_lang/support/result.h"

namespace rmt::load {

// Which control of a policy's object this kernel takes: map rmt_control, or rmt_control_tx where tcp_congestion_ops has
// `cwnd_event_tx_start` (docs/decisions/0004). Unsupported when the kernel tells no such type.
Result<std::string> choose_control();

// Registered in the kernel now, by whomever: "reno", "cubic" ...
std::vector<std::string> registered_controls();

// A control that BPF registered.
struct BpfControl {
    uint32_t map_id = 0, link_id = 0;  // link 0: registered without a link
};
std::optional<BpfControl> find_bpf_control(const std::string& name);

// Why a control of this name cannot be registered, or nothing. `name` has no policy's pins.
std::optional<Error> check_name_free(const std::string& name);

// What a log of libbpf says of a kernel's function that is missing: the algorithm it belongs to, "bbr" or "cubic"; empty: nothing.
std::string missing_base(const std::string& log);

}  // namespace rmt::load
