// SketchSums: the inner loops over sketches, for the instruction set of this CPU.
//
// Signs of a run of 64 rows lie in lines (FastScan; André, Kermarrec & Le Scouarnec: Cache locality
// is not enough, VLDB 2015): line p holds bits 8p to 8p + 7 of every row, a byte a row, first those
// of rows 0 and 32, then of 1 and 33, and so on, so that sums of two bytes' width come out in
// order. A question is two tables of 16 numbers a line, one for each half of a byte: what the steps
// at the set bits come to, less the least they can come to.
//
//   run   = words * 8 lines of 64 bytes, 64 factors, 64 bases (float32)
//   row   = the three bits of each number, the sign first (`words` words for each), one word for
//           the scale, zeros up to a half line
//
// Rows meet the steps of a question, whole numbers from -7 to 7, as four planes of bits in two's
// complement. Every instruction set gives the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "distance.h"

namespace weft {

constexpr size_t kSketchRun = 64;             // rows of a run, bits of its mask
constexpr size_t kSketchBits = 3;             // of a number
constexpr size_t kSketchPlanes = 4;           // of a step
constexpr int32_t kSketchStepMax = 7;         // eight tables' numbers fit a byte
constexpr uint32_t kSketchWordsMax = 128;     // and all of them two bytes
constexpr size_t kSketchLines = 8;            // a word
constexpr size_t kSketchTableBytes = 2 * 16;  // a line

// promise = factor * (gain * sum + offset) + base
struct SketchPromise {
    float gain;
    float offset;
};

// Scale of a row for what its signs and sizes come to.
struct SketchScale {
    float factor;
    float base;
};

constexpr size_t sketch_lines_bytes(size_t words) {
    return words * kSketchLines * kSketchRun;
}

constexpr size_t sketch_run_bytes(size_t words) {
    return sketch_lines_bytes(words) + 2 * kSketchRun * sizeof(float);
}

// Words of a row: half lines, so that the rows of the usual lengths lie on as few lines as can be.
constexpr size_t sketch_row_words(size_t words) {
    return (kSketchBits * words + 1 + 3) / 4 * 4;
}

// Where in a line the byte of a row is.
constexpr size_t sketch_place(size_t row) {
    return 2 * (row % (kSketchRun / 2)) + row / (kSketchRun / 2);
}

struct SketchSums {
    // The numbers (from `first` on) and promises of the rows of a run that are in `mask` and
    // promise `least`; how many. Both outputs have room for 16 more.
    size_t (*run)(const uint8_t* tables, size_t words, const uint8_t* run, SketchPromise promise,
                  uint64_t mask, float least, uint32_t first, uint32_t* numbers, float* promises);
    // The steps times the numbers of each row: those at the first bits count four times, at the
    // second ones twice, at the last ones once. `planes` has kSketchPlanes * words.
    void (*picked)(const uint64_t* planes, size_t words, const uint64_t* const* rows, size_t count,
                   float* sums);
    // The places of promises not below `least`; how many. `places` has room for 16 more.
    size_t (*not_below)(const float* promises, size_t count, float least, uint32_t* places);
    // Moves promises that are not below `least` to the front, and their numbers with them; how
    // many. Both have room for 16 more.
    size_t (*drop_below)(float* promises, uint32_t* numbers, size_t count, float least);
};

const SketchSums& sketch_sums_for(Simd simd);

namespace detail {

// Null where the architecture or this CPU does not have what they use.
const SketchSums* sketch_sums_avx512();
const SketchSums* sketch_sums_avx2();
const SketchSums* sketch_sums_neon();

}  // namespace detail
}  // namespace weft
