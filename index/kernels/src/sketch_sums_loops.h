// The loops of SketchSums that need no special instructions.
#pragma once

#include <bit>
#include <cstring>

#include "sketch_sums.h"

namespace weft::detail {

// The scales of a run, behind its lines.
inline const float* factors_of(const uint8_t* run, size_t words) {
    return reinterpret_cast<const float*>(run + sketch_lines_bytes(words));
}

inline const float* bases_of(const uint8_t* run, size_t words) {
    return factors_of(run, words) + kSketchRun;
}

// What the sums of a run promise, row by row.
inline size_t keep_sums(const uint16_t* sums, const float* factors, const float* bases,
                        SketchPromise promise, uint64_t mask, float least, uint32_t first,
                        uint32_t* numbers, float* promises) {
    size_t kept = 0;
    for (; mask != 0; mask &= mask - 1) {
        const uint32_t at = uint32_t(std::countr_zero(mask));
        numbers[kept] = first + at;
        promises[kept] =
            factors[at] * (promise.gain * float(sums[at]) + promise.offset) + bases[at];
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

inline size_t drop_below_portable(float* promises, uint32_t* numbers, size_t count, float least) {
    size_t kept = 0;
    for (size_t at = 0; at < count; ++at) {
        const float promise = promises[at];
        promises[kept] = promise;
        numbers[kept] = numbers[at];
        kept += promise >= least ? 1 : 0;
    }
    return kept;
}

// The steps at the set bits of one plane of a row. Always inlined, because then it
// counts with the instructions of whoever calls it.
#if defined(__GNUC__) || defined(__clang__)
__attribute__((always_inline))
#endif
inline int32_t steps_at(const uint64_t* planes, size_t words, const uint64_t* bits) {
    int32_t sums[kSketchPlanes] = {};
    for (size_t at = 0; at < words; ++at)
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            sums[plane] += int32_t(std::popcount(bits[at] & planes[plane * words + at]));
    return sums[0] + 2 * sums[1] + 4 * sums[2] - 8 * sums[3];
}

#if defined(__GNUC__) || defined(__clang__)
__attribute__((always_inline))
#endif
inline int32_t sum_of_row(const uint64_t* planes, size_t words, const uint64_t* row) {
    int32_t sum = 0;
    for (size_t bit = 0; bit < kSketchBits; ++bit)
        sum = 2 * sum + steps_at(planes, words, row + bit * words);
    return sum;
}

inline void picked_portable(const uint64_t* planes, size_t words, const uint64_t* const* rows,
                            size_t count, float* sums) {
    for (size_t row = 0; row < count; ++row)
        sums[row] = float(sum_of_row(planes, words, rows[row]));
}

}  // namespace weft::detail
