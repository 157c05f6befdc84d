// MaxSim in AVX-512 and in AVX2 with FMA. Chosen at run time, see max_sim.cpp.
#include "max_sim.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for uninitialised reads (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#define WEFT_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define WEFT_AVX2 __attribute__((target("avx2,fma")))
#define WEFT_INLINE inline __attribute__((always_inline))

namespace weft::detail {
namespace {

// `kRows` rows of the doc at once: as many sums that do not wait for each other.
template <int kRows>
WEFT_AVX512 WEFT_INLINE __m512 most_of(__m512 most, const float* packed, const float* rows,
                                       size_t dimensions) {
    __m512 sums[kRows];
    for (int row = 0; row < kRows; ++row) sums[row] = _mm512_setzero_ps();
    for (size_t at = 0; at < dimensions; ++at) {
        __m512 query = _mm512_loadu_ps(packed + at * kMaxSimLanes);
        for (int row = 0; row < kRows; ++row)
            sums[row] =
                _mm512_fmadd_ps(query, _mm512_set1_ps(rows[row * dimensions + at]), sums[row]);
    }
    for (int row = 0; row < kRows; ++row) most = _mm512_max_ps(most, sums[row]);
    return most;
}

WEFT_AVX512 void best_avx512(const float* packed, const float* rows, size_t count,
                             size_t dimensions, float* best) {
    __m512 most = _mm512_loadu_ps(best);
    for (; count >= 8; count -= 8, rows += 8 * dimensions)
        most = most_of<8>(most, packed, rows, dimensions);
    switch (count) {
        case 7: most = most_of<7>(most, packed, rows, dimensions); break;
        case 6: most = most_of<6>(most, packed, rows, dimensions); break;
        case 5: most = most_of<5>(most, packed, rows, dimensions); break;
        case 4: most = most_of<4>(most, packed, rows, dimensions); break;
        case 3: most = most_of<3>(most, packed, rows, dimensions); break;
        case 2: most = most_of<2>(most, packed, rows, dimensions); break;
        case 1: most = most_of<1>(most, packed, rows, dimensions); break;
        default: break;
    }
    _mm512_storeu_ps(best, most);
}

template <int kRows>
WEFT_AVX2 WEFT_INLINE void raise_avx2(float* best, const float* packed, const float* rows,
                                      size_t dimensions) {
    __m256 low[kRows];
    __m256 high[kRows];
    for (int row = 0; row < kRows; ++row) low[row] = high[row] = _mm256_setzero_ps();
    for (size_t at = 0; at < dimensions; ++at) {
        __m256 left = _mm256_loadu_ps(packed + at * kMaxSimLanes);
        __m256 right = _mm256_loadu_ps(packed + at * kMaxSimLanes + 8);
        for (int row = 0; row < kRows; ++row) {
            __m256 value = _mm256_broadcast_ss(rows + row * dimensions + at);
            low[row] = _mm256_fmadd_ps(left, value, low[row]);
            high[row] = _mm256_fmadd_ps(right, value, high[row]);
        }
    }
    for (int row = 0; row < kRows; ++row) {
        _mm256_storeu_ps(best, _mm256_max_ps(_mm256_loadu_ps(best), low[row]));
        _mm256_storeu_ps(best + 8, _mm256_max_ps(_mm256_loadu_ps(best + 8), high[row]));
    }
}

WEFT_AVX2 void best_avx2(const float* packed, const float* rows, size_t count, size_t dimensions,
                         float* best) {
    for (; count >= 4; count -= 4, rows += 4 * dimensions)
        raise_avx2<4>(best, packed, rows, dimensions);
    switch (count) {
        case 3: raise_avx2<3>(best, packed, rows, dimensions); break;
        case 2: raise_avx2<2>(best, packed, rows, dimensions); break;
        case 1: raise_avx2<1>(best, packed, rows, dimensions); break;
        default: break;
    }
}

}  // namespace

MaxDots max_dots_avx512() {
    return best_avx512;
}
MaxDots max_dots_avx2() {
    return best_avx2;
}

}  // namespace weft::detail

#else

namespace weft::detail {

MaxDots max_dots_avx512() {
    return nullptr;
}
MaxDots max_dots_avx2() {
    return nullptr;
}

}  // namespace weft::detail

#endif
