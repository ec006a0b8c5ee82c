// SPDX-License-Identifier: MIT
#include "verifier_ext/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace rmt::verify {
namespace {

constexpr int kMaxFrames = 8;  // linux: include/linux/bpf_verifier.h, MAX_CALL_FRAMES

}  // namespace

// Every path of calls is walked with the functions on it; memo holds the depth below a function. A function met again on
// its own path is a cycle. Syntactic: calls in unreachable code count as well.
std::optional<Rejected> check_shape(const Object& object, const std::string& policy) {
    std::vector<int> depth(object.functions.size(), -1);  // frames from here down; 0: on the path
    std::optional<Rejected> rejected;
    std::function<int(uint32_t, int)> walk = [&](uint32_t index, int above) -> int {
        if (depth[index] > 0) return depth[index];
        depth[index] = 0;
        int below = 0;
        const Function& function = object.functions[index];
        if (above > 4 * kMaxFrames) return depth[index] = above;  // deep enough to refuse, whatever follows
        for (uint32_t slot = 0; slot < function.insns.size() && !rejected; slot++) {
            const Insn& insn = function.insns[slot];
            if (!insn.is_call() || insn.ref != Ref::Function) continue;
            if (depth[insn.target] == 0) {
                rejected = Rejected{"cost", "V0203", fmt::format("'{}' calls itself, through '{}'", object.functions[insn.target].name, function.name),
                                    object.place(function, slot, policy), {}, "write a loop with a constant bound"};
                break;
            }
            below = std::max(below, walk(insn.target, above + 1));
        }
        return depth[index] = below + 1;
    };
    for (uint32_t i = 0; i < object.functions.size() && !rejected; i++) {
        if (walk(i, 0) > kMaxFrames && object.functions[i].program && !rejected)
            rejected = Rejected{"cost", "V0204", fmt::format("'{}' needs {} frames of calls, the kernel gives {}", object.functions[i].name, depth[i], kMaxFrames),
                                object.place(object.functions[i], 0, policy), {}, "use fewer functions that call each other"};
    }
    return rejected;
}

std::vector<uint32_t> reachable(const Object& object, uint32_t function) {
    std::vector<uint32_t> found = {function};
    for (size_t i = 0; i < found.size(); i++)
        for (const Insn& insn : object.functions[found[i]].insns)
            if (insn.is_call() && insn.ref == Ref::Function && std::find(found.begin(), found.end(), insn.target) == found.end())
                found.push_back(insn.target);
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace rmt::verify
