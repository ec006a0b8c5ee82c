// SPDX-License-Identifier: MIT
#include "verifier_ext/interval.h"

#include <bit>

#include "verifier_ext/interval_impl.h"

namespace rmt::verify {

Compare negate(Compare compare) {
    switch (compare) {
        case Compare::Eq: return Compare::Ne;
        case Compare::Ne: return Compare::Eq;
        case Compare::Ugt: return Compare::Ule;
        case Compare::Uge: return Compare::Ult;
        case Compare::Ult: return Compare::Uge;
        case Compare::Ule: return Compare::Ugt;
        case Compare::Sgt: return Compare::Sle;
        case Compare::Sge: return Compare::Slt;
        case Compare::Slt: return Compare::Sge;
        case Compare::Sle: return Compare::Sgt;
        case Compare::Set: return Compare::Clear;
        case Compare::Clear: return Compare::Set;
    }
    return compare;
}

template Range<64> apply<64>(AluOp, Range<64>, Range<64>);
template Range<32> apply<32>(AluOp, Range<32>, Range<32>);
template std::optional<bool> decide<64>(Compare, const Range<64>&, const Range<64>&);
template std::optional<bool> decide<32>(Compare, const Range<32>&, const Range<32>&);
template void assume<64>(Compare, Range<64>&, Range<64>&);
template void assume<32>(Compare, Range<32>&, Range<32>&);

}  // namespace rmt::verify
