// Sums over sketches in NEON, which every 64-bit ARM has.
#include "sketch_sums.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#include "sketch_sums_loops.h"

namespace weft::detail {
namespace {

constexpr size_t kWidth = 16;  // bytes of a line at a time

// Sums of the 16 rows whose bytes are at `part` of every line: eight rows from `part` / 2 on, and
// the eight 32 rows later.
void sum_part(const uint8_t* tables, size_t words, const uint8_t* run, size_t part,
              uint16_t* sums) {
    const uint8x16_t low = vdupq_n_u8(15);
    uint16x8_t even = vdupq_n_u16(0);
    uint16x8_t odd = vdupq_n_u16(0);
    for (size_t line = 0; line < words * kSketchLines; line += 4) {
        uint8x16_t sum = vdupq_n_u8(0);
        for (size_t next = line; next < line + 4; ++next) {
            const uint8x16_t bytes = vld1q_u8(run + next * kSketchRun + part);
            const uint8_t* table = tables + next * kSketchTableBytes;
            sum = vaddq_u8(sum, vqtbl1q_u8(vld1q_u8(table), vandq_u8(bytes, low)));
            sum = vaddq_u8(sum, vqtbl1q_u8(vld1q_u8(table + 16), vshrq_n_u8(bytes, 4)));
        }
        const uint16x8_t pairs = vreinterpretq_u16_u8(sum);
        even = vaddq_u16(even, vandq_u16(pairs, vdupq_n_u16(255)));
        odd = vaddq_u16(odd, vshrq_n_u16(pairs, 8));
    }
    vst1q_u16(sums + part / 2, even);
    vst1q_u16(sums + kSketchRun / 2 + part / 2, odd);
}

size_t run_neon(const uint8_t* tables, size_t words, const uint8_t* run, SketchPromise promise,
                uint64_t mask, float least, uint32_t first, uint32_t* numbers, float* promises) {
    uint16_t sums[kSketchRun];
    for (size_t part = 0; part < kSketchRun; part += kWidth)
        sum_part(tables, words, run, part, sums);
    return keep_sums(sums, factors_of(run, words), bases_of(run, words), promise, mask, least,
                     first, numbers, promises);
}

const SketchSums kNeon = {run_neon, picked_portable, not_below_portable, drop_below_portable};

}  // namespace

const SketchSums* sketch_sums_neon() {
    return &kNeon;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const SketchSums* sketch_sums_neon() {
    return nullptr;
}

}  // namespace weft::detail

#endif
