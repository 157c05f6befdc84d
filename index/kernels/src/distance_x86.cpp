// Distances in AVX-512 and in AVX2 with FMA. Chosen at run time, see distance.cpp.
#include "distance.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for uninitialised reads (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <cmath>

#define WEFT_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define WEFT_AVX2 __attribute__((target("avx2,fma")))
#define WEFT_INLINE inline __attribute__((always_inline))

namespace weft::detail {
namespace {

template <Step step>
WEFT_AVX512 WEFT_INLINE __m512 add_step(__m512 sum, __m512 left, __m512 right) {
    if constexpr (step == Step::product) return _mm512_fmadd_ps(left, right, sum);
    if constexpr (step == Step::differs) {
        __mmask16 differs = _mm512_cmp_ps_mask(left, right, _CMP_NEQ_UQ);
        return _mm512_mask_add_ps(sum, differs, sum, _mm512_set1_ps(1.0f));
    }
    __m512 gap = _mm512_sub_ps(left, right);
    if constexpr (step == Step::square) return _mm512_fmadd_ps(gap, gap, sum);
    return _mm512_add_ps(sum, _mm512_abs_ps(gap));
}

// Masked lanes are zero on both sides, so they add nothing whatever the step.
WEFT_AVX512 WEFT_INLINE __mmask16 tail_mask(size_t rest) {
    return static_cast<__mmask16>((1u << rest) - 1u);
}

template <Metric metric>
WEFT_AVX512 float one_avx512(const float* left, const float* right, size_t dimensions) {
    constexpr Step step = step_of(metric);
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                      _mm512_setzero_ps()};
    size_t at = 0;
    for (; at + 64 <= dimensions; at += 64) {
        sums[0] = add_step<step>(sums[0], _mm512_loadu_ps(left + at), _mm512_loadu_ps(right + at));
        sums[1] = add_step<step>(sums[1], _mm512_loadu_ps(left + at + 16),
                                 _mm512_loadu_ps(right + at + 16));
        sums[2] = add_step<step>(sums[2], _mm512_loadu_ps(left + at + 32),
                                 _mm512_loadu_ps(right + at + 32));
        sums[3] = add_step<step>(sums[3], _mm512_loadu_ps(left + at + 48),
                                 _mm512_loadu_ps(right + at + 48));
    }
    for (; at + 16 <= dimensions; at += 16)
        sums[0] = add_step<step>(sums[0], _mm512_loadu_ps(left + at), _mm512_loadu_ps(right + at));
    if (at < dimensions) {
        __mmask16 mask = tail_mask(dimensions - at);
        sums[1] = add_step<step>(sums[1], _mm512_maskz_loadu_ps(mask, left + at),
                                 _mm512_maskz_loadu_ps(mask, right + at));
    }
    __m512 sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    return finish<metric>(_mm512_reduce_add_ps(sum));
}

template <Metric metric>
WEFT_AVX512 void many_avx512(const float* query, const float* const* rows, size_t count,
                             size_t dimensions, float* out) {
    constexpr Step step = step_of(metric);
    size_t done = 0;
    for (; done + 4 <= count; done += 4) {
        const float* const* four = rows + done;
        __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                          _mm512_setzero_ps()};
        size_t at = 0;
        for (; at + 16 <= dimensions; at += 16) {
            __m512 part = _mm512_loadu_ps(query + at);
            for (int row = 0; row < 4; ++row)
                sums[row] = add_step<step>(sums[row], part, _mm512_loadu_ps(four[row] + at));
        }
        if (at < dimensions) {
            __mmask16 mask = tail_mask(dimensions - at);
            __m512 part = _mm512_maskz_loadu_ps(mask, query + at);
            for (int row = 0; row < 4; ++row)
                sums[row] =
                    add_step<step>(sums[row], part, _mm512_maskz_loadu_ps(mask, four[row] + at));
        }
        for (int row = 0; row < 4; ++row)
            out[done + row] = finish<metric>(_mm512_reduce_add_ps(sums[row]));
    }
    for (; done < count; ++done) out[done] = one_avx512<metric>(query, rows[done], dimensions);
}

template <Step step>
WEFT_AVX2 WEFT_INLINE __m256 add_step(__m256 sum, __m256 left, __m256 right) {
    if constexpr (step == Step::product) return _mm256_fmadd_ps(left, right, sum);
    if constexpr (step == Step::differs) {
        __m256 differs = _mm256_cmp_ps(left, right, _CMP_NEQ_UQ);
        return _mm256_add_ps(sum, _mm256_and_ps(differs, _mm256_set1_ps(1.0f)));
    }
    __m256 gap = _mm256_sub_ps(left, right);
    if constexpr (step == Step::square) return _mm256_fmadd_ps(gap, gap, sum);
    return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), gap));
}

WEFT_AVX2 WEFT_INLINE float total(__m256 sum) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_movehdup_ps(half));
    return _mm_cvtss_f32(half);
}

WEFT_AVX2 WEFT_INLINE __m256i tail_lanes(size_t rest) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rest)), lanes);
}

template <Metric metric>
WEFT_AVX2 float one_avx2(const float* left, const float* right, size_t dimensions) {
    constexpr Step step = step_of(metric);
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                      _mm256_setzero_ps()};
    size_t at = 0;
    for (; at + 32 <= dimensions; at += 32) {
        sums[0] = add_step<step>(sums[0], _mm256_loadu_ps(left + at), _mm256_loadu_ps(right + at));
        sums[1] = add_step<step>(sums[1], _mm256_loadu_ps(left + at + 8),
                                 _mm256_loadu_ps(right + at + 8));
        sums[2] = add_step<step>(sums[2], _mm256_loadu_ps(left + at + 16),
                                 _mm256_loadu_ps(right + at + 16));
        sums[3] = add_step<step>(sums[3], _mm256_loadu_ps(left + at + 24),
                                 _mm256_loadu_ps(right + at + 24));
    }
    for (; at + 8 <= dimensions; at += 8)
        sums[0] = add_step<step>(sums[0], _mm256_loadu_ps(left + at), _mm256_loadu_ps(right + at));
    if (at < dimensions) {
        __m256i lanes = tail_lanes(dimensions - at);
        sums[1] = add_step<step>(sums[1], _mm256_maskload_ps(left + at, lanes),
                                 _mm256_maskload_ps(right + at, lanes));
    }
    __m256 sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    return finish<metric>(total(sum));
}

template <Metric metric>
WEFT_AVX2 void many_avx2(const float* query, const float* const* rows, size_t count,
                         size_t dimensions, float* out) {
    for (size_t done = 0; done < count; ++done)
        out[done] = one_avx2<metric>(query, rows[done], dimensions);
}

template <Metric metric>
constexpr Distance entry_avx512() {
    return {one_avx512<metric>, many_avx512<metric>};
}

template <Metric metric>
constexpr Distance entry_avx2() {
    return {one_avx2<metric>, many_avx2<metric>};
}

const Distance kAvx512[kMetricCount] = {
    entry_avx512<Metric::cosine>(), entry_avx512<Metric::dot>(), entry_avx512<Metric::l2_squared>(),
    entry_avx512<Metric::manhattan>(), entry_avx512<Metric::hamming>()};

const Distance kAvx2[kMetricCount] = {
    entry_avx2<Metric::cosine>(), entry_avx2<Metric::dot>(), entry_avx2<Metric::l2_squared>(),
    entry_avx2<Metric::manhattan>(), entry_avx2<Metric::hamming>()};

}  // namespace

const Distance* table_avx512() {
    return kAvx512;
}
const Distance* table_avx2() {
    return kAvx2;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const Distance* table_avx512() {
    return nullptr;
}
const Distance* table_avx2() {
    return nullptr;
}

}  // namespace weft::detail

#endif
