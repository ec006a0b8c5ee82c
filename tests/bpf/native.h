// SPDX-License-Identifier: MIT
// What bpf/include/rmt expects of the BPF environment, for a native compiler: bpf_for is a loop that leaves the counter as
// the kernel's does, maps are arrays in memory. Nothing here is used by the product.
#pragma once

#include <linux/types.h>

#include <cstddef>
#include <cstring>
#include <map>
#include <vector>

#undef __always_inline  // the C library has one of its own
#define __always_inline inline __attribute__((always_inline))
#define SEC(name)
#define bpf_for(i, start, end) for ((i) = (start); (i) < static_cast<int>(end); (i)++)

#include "bpf/include/rmt/intf.h"

// A map for the lookups of table.bpf.h: values by index.
struct NativeMap {
    std::map<__u32, void*> values;
};
inline void* bpf_map_lookup_elem(void* map, const __u32* key) {
    auto& values = static_cast<NativeMap*>(map)->values;
    const auto it = values.find(*key);
    return it == values.end() ? nullptr : it->second;
}

struct rmt_event {
    std::vector<__u64> asked;
};
inline int rmt_prefetch(rmt_event* ev, __u64 page) {
    ev->asked.push_back(page);
    return 1;
}
