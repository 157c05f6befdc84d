// SketchSums: the inner loops over sketches, for the instruction set of this CPU.
//
// A row of bits meets the steps of a question: whole numbers from -8 to 7, one a bit, as four
// planes of bits in two's complement. Every instruction set gives the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "distance.h"

namespace weft {

constexpr size_t kSketchPlanes = 4;
constexpr size_t kSketchRun = 64;  // rows of a run, bits of its mask

// What is known of a row beside its bits: promise = factor * (gain * sum + offset) + base.
struct SketchScale {
    float factor;
    float base;
};

struct SketchPromise {
    float gain;
    float offset;
};

struct SketchSums {
    // Sum of the steps at the set bits of each row. `planes` has kSketchPlanes * words.
    void (*run)(const uint64_t* planes, size_t words, const uint64_t* rows, size_t count,
                float* sums);
    void (*picked)(const uint64_t* planes, size_t words, const uint64_t* const* rows, size_t count,
                   float* sums);
    // The numbers (from `first`) and promises of the rows of a run that are in `mask` and promise
    // `least`; how many. Both outputs have room for 16 more.
    size_t (*keep)(const float* sums, const SketchScale* scales, SketchPromise promise,
                   uint64_t mask, float least, uint32_t first, uint32_t* numbers, float* promises);
    // The places of promises not below `least`; how many. `places` has room for 16 more.
    size_t (*not_below)(const float* promises, size_t count, float least, uint32_t* places);
};

const SketchSums& sketch_sums_for(Simd simd);

namespace detail {

// Null where the architecture or this CPU does not have what they use.
const SketchSums* sketch_sums_avx512();
const SketchSums* sketch_sums_popcnt();

}  // namespace detail
}  // namespace weft
