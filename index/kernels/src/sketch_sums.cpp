// Portable sums over sketches, and the choice of instruction set.
#include "sketch_sums.h"

#include "sketch_sums_loops.h"

namespace weft {
namespace {

size_t run(const uint8_t* tables, size_t words, const uint8_t* run, SketchPromise promise,
           uint64_t mask, float least, uint32_t first, uint32_t* numbers, float* promises) {
    uint16_t placed[kSketchRun] = {};
    for (size_t line = 0; line < words * kSketchLines; ++line) {
        const uint8_t* bytes = run + line * kSketchRun;
        const uint8_t* low = tables + line * kSketchTableBytes;
        const uint8_t* high = low + kSketchTableBytes / 2;
        for (size_t at = 0; at < kSketchRun; ++at)
            placed[at] = uint16_t(placed[at] + low[bytes[at] & 15] + high[bytes[at] >> 4]);
    }
    uint16_t sums[kSketchRun];
    for (size_t row = 0; row < kSketchRun; ++row) sums[row] = placed[sketch_place(row)];
    return detail::keep_sums(sums, detail::factors_of(run, words), detail::bases_of(run, words),
                             promise, mask, least, first, numbers, promises);
}

const SketchSums kPortable = {run, detail::picked_portable, detail::not_below_portable,
                              detail::drop_below_portable};

}  // namespace

const SketchSums& sketch_sums_for(Simd simd) {
    const SketchSums* found = nullptr;
    if (simd == Simd::avx512) found = detail::sketch_sums_avx512();
    if (found == nullptr && (simd == Simd::avx512 || simd == Simd::avx2))
        found = detail::sketch_sums_avx2();
    if (simd == Simd::neon) found = detail::sketch_sums_neon();
    return found == nullptr ? kPortable : *found;
}

}  // namespace weft
