// The loops of SketchSums that need no special instructions.
#pragma once

#include <bit>

#include "sketch_sums.h"

namespace weft::detail {

inline size_t keep_portable(const float* sums, const SketchScale* scales, SketchPromise promise,
                            uint64_t mask, float least, uint32_t first, uint32_t* numbers,
                            float* promises) {
    size_t kept = 0;
    for (; mask != 0; mask &= mask - 1) {
        const uint32_t at = uint32_t(std::countr_zero(mask));
        numbers[kept] = first + at;
        promises[kept] =
            scales[at].factor * (promise.gain * sums[at] + promise.offset) + scales[at].base;
        kept += promises[kept] >= least ? 1 : 0;
    }
    return kept;
}

inline size_t not_below_portable(const float* promises, size_t count, float least,
                                 uint32_t* places) {
    size_t kept = 0;
    for (size_t at = 0; at < count; ++at) {
        places[kept] = uint32_t(at);
        kept += promises[at] >= least ? 1 : 0;
    }
    return kept;
}

}  // namespace weft::detail
