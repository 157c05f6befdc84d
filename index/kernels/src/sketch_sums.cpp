// Portable sums over sketches, and the choice of instruction set.
#include "sketch_sums.h"

#include "sketch_sums_loops.h"

namespace weft {
namespace {

float sum_of(const uint64_t* planes, size_t words, const uint64_t* row) {
    int32_t sums[kSketchPlanes] = {};
    for (size_t at = 0; at < words; ++at)
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            sums[plane] += std::popcount(row[at] & planes[plane * words + at]);
    return float(sums[0] + 2 * sums[1] + 4 * sums[2] - 8 * sums[3]);
}

void run(const uint64_t* planes, size_t words, const uint64_t* rows, size_t count, float* sums) {
    for (size_t row = 0; row < count; ++row) sums[row] = sum_of(planes, words, rows + row * words);
}

void picked(const uint64_t* planes, size_t words, const uint64_t* const* rows, size_t count,
            float* sums) {
    for (size_t row = 0; row < count; ++row) sums[row] = sum_of(planes, words, rows[row]);
}

const SketchSums kPortable = {run, picked, detail::keep_portable, detail::not_below_portable};

}  // namespace

const SketchSums& sketch_sums_for(Simd simd) {
    const SketchSums* found = nullptr;
    if (simd == Simd::avx512) found = detail::sketch_sums_avx512();
    if (found == nullptr && (simd == Simd::avx512 || simd == Simd::avx2))
        found = detail::sketch_sums_popcnt();
    return found == nullptr ? kPortable : *found;
}

}  // namespace weft
