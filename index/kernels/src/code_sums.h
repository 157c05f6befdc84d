// CodeSums: the inner loops over codes, for the instruction set of this CPU.
//
// Each takes one question and many codes; `skip` is the number of floats before the bytes of a
// code. All of them are whole-number sums, so every instruction set gives the same;
// `tables`, `nearest`, `squares` and `products` work on floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "distance.h"

namespace weft {

struct CodeSums {
    // Sum of steps[i] * byte i. `bytes` is a multiple of 16; `steps` has room up to the next 64.
    void (*bytes)(const int8_t* steps, const float* const* codes, size_t count, size_t skip,
                  size_t bytes, int32_t* out);
    // Half bytes: position i < bytes is the low half of byte i, bytes + i its high half. `bytes`
    // is a multiple of 16.
    void (*halves)(const int8_t* steps, const float* const* codes, size_t count, size_t skip,
                   size_t bytes, int32_t* out);
    // Bits: sum over planes p of 2^p * popcount(plane & code), and popcount(code).
    void (*bits)(const uint64_t* planes, size_t plane_count, const float* const* codes,
                 size_t count, size_t skip, size_t words, int32_t* out, int32_t* ones);
    // Sum of table[i][byte i], tables of `width` floats one after the other.
    void (*tables)(const float* tables, size_t width, const float* const* codes, size_t count,
                   size_t segments, float* out);
    // The numbers of the centroids nearest to each of many points, which lie behind `skip` floats.
    // Centroids come axis by axis: their first values (`centroid_count`), then their second ones.
    void (*nearest)(const float* const* points, size_t count, size_t skip, const float* centroids,
                    size_t centroid_count, size_t width, uint32_t* out);
    // Squared distances of one point to all centroids.
    void (*squares)(const float* point, const float* centroids, size_t centroid_count, size_t width,
                    float* out);
    // Products of one point with all centroids, negated.
    void (*products)(const float* point, const float* centroids, size_t centroid_count,
                     size_t width, float* out);
};

const CodeSums& code_sums_for(Simd simd);

namespace detail {

// `tables` of every instruction set: two codes at once keep the loads busy, and gathers are slower
// (64 segments on Zen 4: 22 ns a code, gathered 33 ns in AVX-512 and 29 ns in AVX2).
void sum_tables(const float* tables, size_t width, const float* const* codes, size_t count,
                size_t segments, float* out);

// Null where the architecture or this CPU does not have what they use.
const CodeSums* code_sums_avx512();
const CodeSums* code_sums_avx2();

}  // namespace detail
}  // namespace weft
