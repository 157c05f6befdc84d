// Sums over codes in AVX-512 (VNNI, VPOPCNTDQ) and in AVX2. Chosen at run time, see code_sums.cpp.
#include "code_sums.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for uninitialised reads (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include <cstring>
#include <limits>

#define WEFT_AVX512                                                             \
    __attribute__((                                                             \
        target("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq," \
               "popcnt")))
#define WEFT_AVX2 __attribute__((target("avx2,fma,popcnt")))
#define WEFT_INLINE inline __attribute__((always_inline))

namespace weft::detail {
namespace {

constexpr size_t kLane = 64;

WEFT_INLINE const uint8_t* bytes_of(const float* code, size_t skip) {
    return reinterpret_cast<const uint8_t*>(code + skip);
}

WEFT_AVX512 WEFT_INLINE __mmask64 mask_of(size_t rest) {
    return rest >= kLane ? ~__mmask64{0} : (__mmask64{1} << rest) - 1;
}

// `Rows` codes at once, so that their loads overlap.
template <int Rows>
WEFT_AVX512 WEFT_INLINE void bytes_of_rows(const int8_t* steps, const float* const* codes,
                                           size_t skip, size_t bytes, int32_t* out) {
    __m512i sums[Rows];
    for (int row = 0; row < Rows; ++row) sums[row] = _mm512_setzero_si512();
    for (size_t at = 0; at < bytes; at += kLane) {
        __mmask64 mask = mask_of(bytes - at);
        __m512i part = _mm512_maskz_loadu_epi8(mask, steps + at);
        for (int row = 0; row < Rows; ++row) {
            __m512i code = _mm512_maskz_loadu_epi8(mask, bytes_of(codes[row], skip) + at);
            sums[row] = _mm512_dpbusd_epi32(sums[row], code, part);
        }
    }
    for (int row = 0; row < Rows; ++row) out[row] = _mm512_reduce_add_epi32(sums[row]);
}

WEFT_AVX512 void bytes_avx512(const int8_t* steps, const float* const* codes, size_t count,
                              size_t skip, size_t bytes, int32_t* out) {
    size_t row = 0;
    for (; row + 4 <= count; row += 4) bytes_of_rows<4>(steps, codes + row, skip, bytes, out + row);
    for (; row < count; ++row) bytes_of_rows<1>(steps, codes + row, skip, bytes, out + row);
}

template <int Rows>
WEFT_AVX512 WEFT_INLINE void halves_of_rows(const int8_t* steps, const float* const* codes,
                                            size_t skip, size_t bytes, int32_t* out) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i sums[Rows];
    for (int row = 0; row < Rows; ++row) sums[row] = _mm512_setzero_si512();
    for (size_t at = 0; at < bytes; at += kLane) {
        __mmask64 mask = mask_of(bytes - at);
        __m512i first = _mm512_maskz_loadu_epi8(mask, steps + at);
        __m512i second = _mm512_maskz_loadu_epi8(mask, steps + bytes + at);
        for (int row = 0; row < Rows; ++row) {
            __m512i code = _mm512_maskz_loadu_epi8(mask, bytes_of(codes[row], skip) + at);
            __m512i high = _mm512_and_si512(_mm512_srli_epi16(code, 4), low);
            sums[row] = _mm512_dpbusd_epi32(sums[row], _mm512_and_si512(code, low), first);
            sums[row] = _mm512_dpbusd_epi32(sums[row], high, second);
        }
    }
    for (int row = 0; row < Rows; ++row) out[row] = _mm512_reduce_add_epi32(sums[row]);
}

WEFT_AVX512 void halves_avx512(const int8_t* steps, const float* const* codes, size_t count,
                               size_t skip, size_t bytes, int32_t* out) {
    size_t row = 0;
    for (; row + 4 <= count; row += 4)
        halves_of_rows<4>(steps, codes + row, skip, bytes, out + row);
    for (; row < count; ++row) halves_of_rows<1>(steps, codes + row, skip, bytes, out + row);
}

WEFT_AVX512 void bits_avx512(const uint64_t* planes, size_t plane_count, const float* const* codes,
                             size_t count, size_t skip, size_t words, int32_t* out, int32_t* ones) {
    for (size_t row = 0; row < count; ++row) {
        __m512i sum = _mm512_setzero_si512();
        __m512i own = _mm512_setzero_si512();
        for (size_t at = 0; at < words; at += 8) {
            __mmask8 mask = words - at >= 8 ? __mmask8(0xFF) : __mmask8((1u << (words - at)) - 1u);
            __m512i code = _mm512_maskz_loadu_epi64(mask, bytes_of(codes[row], skip) + at * 8);
            own = _mm512_add_epi64(own, _mm512_popcnt_epi64(code));
            for (size_t plane = 0; plane < plane_count; ++plane) {
                __m512i met = _mm512_and_si512(
                    code, _mm512_maskz_loadu_epi64(mask, planes + plane * words + at));
                sum = _mm512_add_epi64(
                    sum, _mm512_sll_epi64(_mm512_popcnt_epi64(met), _mm_cvtsi64_si128(int(plane))));
            }
        }
        out[row] = int32_t(_mm512_reduce_add_epi64(sum));
        ones[row] = int32_t(_mm512_reduce_add_epi64(own));
    }
}

// Several points at once: their comparisons, each waiting for the one before, overlap.
template <int Points>
WEFT_AVX512 WEFT_INLINE void nearest_to_points(const float* const* points, size_t skip,
                                               const float* centroids, size_t count, size_t width,
                                               uint32_t* out) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512 least[Points];
    __m512i numbers[Points];
    for (int point = 0; point < Points; ++point) {
        least[point] = _mm512_set1_ps(std::numeric_limits<float>::infinity());
        numbers[point] = _mm512_setzero_si512();
    }
    for (size_t at = 0; at < count; at += 16) {
        size_t rest = count - at;
        __mmask16 mask = rest >= 16 ? __mmask16(0xFFFF) : __mmask16((1u << rest) - 1u);
        __m512 squares[Points];
        for (int point = 0; point < Points; ++point) squares[point] = _mm512_setzero_ps();
        for (size_t axis = 0; axis < width; ++axis) {
            __m512 values = _mm512_maskz_loadu_ps(mask, centroids + axis * count + at);
            for (int point = 0; point < Points; ++point) {
                __m512 gap = _mm512_sub_ps(values, _mm512_set1_ps(points[point][skip + axis]));
                squares[point] = _mm512_fmadd_ps(gap, gap, squares[point]);
            }
        }
        __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32(int(at)));
        for (int point = 0; point < Points; ++point) {
            __mmask16 nearer =
                _mm512_mask_cmp_ps_mask(mask, squares[point], least[point], _CMP_LT_OQ);
            least[point] = _mm512_mask_mov_ps(least[point], nearer, squares[point]);
            numbers[point] = _mm512_mask_mov_epi32(numbers[point], nearer, places);
        }
    }
    for (int point = 0; point < Points; ++point) {
        __m512 best = _mm512_set1_ps(_mm512_reduce_min_ps(least[point]));
        __mmask16 equal = _mm512_cmp_ps_mask(least[point], best, _CMP_EQ_OQ);
        out[point] = uint32_t(_mm512_mask_reduce_min_epi32(equal, numbers[point]));
    }
}

WEFT_AVX512 void nearest_avx512(const float* const* points, size_t count, size_t skip,
                                const float* centroids, size_t centroid_count, size_t width,
                                uint32_t* out) {
    size_t at = 0;
    for (; at + 4 <= count; at += 4)
        nearest_to_points<4>(points + at, skip, centroids, centroid_count, width, out + at);
    for (; at < count; ++at)
        nearest_to_points<1>(points + at, skip, centroids, centroid_count, width, out + at);
}

template <bool IsSquare>
WEFT_AVX512 WEFT_INLINE void table_avx512(const float* point, const float* centroids, size_t count,
                                          size_t width, float* out) {
    for (size_t at = 0; at < count; at += 16) {
        size_t rest = count - at;
        __mmask16 mask = rest >= 16 ? __mmask16(0xFFFF) : __mmask16((1u << rest) - 1u);
        __m512 sum = _mm512_setzero_ps();
        for (size_t axis = 0; axis < width; ++axis) {
            __m512 value = _mm512_set1_ps(point[axis]);
            __m512 centre = _mm512_maskz_loadu_ps(mask, centroids + axis * count + at);
            if constexpr (IsSquare) {
                __m512 gap = _mm512_sub_ps(value, centre);
                sum = _mm512_fmadd_ps(gap, gap, sum);
            } else {
                sum = _mm512_fnmadd_ps(value, centre, sum);
            }
        }
        _mm512_mask_storeu_ps(out + at, mask, sum);
    }
}

WEFT_AVX512 void squares_avx512(const float* point, const float* centroids, size_t count,
                                size_t width, float* out) {
    table_avx512<true>(point, centroids, count, width, out);
}

WEFT_AVX512 void products_avx512(const float* point, const float* centroids, size_t count,
                                 size_t width, float* out) {
    table_avx512<false>(point, centroids, count, width, out);
}

// The lane with the least value; of several, the one with the least number.
inline uint32_t least_of(const float* values, const int32_t* numbers, size_t lanes) {
    size_t best = 0;
    for (size_t lane = 1; lane < lanes; ++lane)
        if (values[lane] < values[best] ||
            (values[lane] == values[best] && numbers[lane] < numbers[best]))
            best = lane;
    return uint32_t(numbers[best]);
}

template <int Points>
WEFT_AVX2 WEFT_INLINE void nearest_to_points_avx2(const float* const* points, size_t skip,
                                                  const float* centroids, size_t count,
                                                  size_t width, uint32_t* out) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 least[Points];
    __m256i numbers[Points];
    for (int point = 0; point < Points; ++point) {
        least[point] = _mm256_set1_ps(std::numeric_limits<float>::infinity());
        numbers[point] = _mm256_setzero_si256();
    }
    for (size_t at = 0; at < count; at += 8) {
        __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count - at)), lanes);
        __m256 squares[Points];
        for (int point = 0; point < Points; ++point) squares[point] = _mm256_setzero_ps();
        for (size_t axis = 0; axis < width; ++axis) {
            __m256 values = _mm256_maskload_ps(centroids + axis * count + at, inside);
            for (int point = 0; point < Points; ++point) {
                __m256 gap = _mm256_sub_ps(values, _mm256_set1_ps(points[point][skip + axis]));
                squares[point] = _mm256_fmadd_ps(gap, gap, squares[point]);
            }
        }
        __m256i places = _mm256_add_epi32(lanes, _mm256_set1_epi32(int(at)));
        for (int point = 0; point < Points; ++point) {
            __m256 nearer = _mm256_and_ps(_mm256_cmp_ps(squares[point], least[point], _CMP_LT_OQ),
                                          _mm256_castsi256_ps(inside));
            least[point] = _mm256_blendv_ps(least[point], squares[point], nearer);
            numbers[point] =
                _mm256_blendv_epi8(numbers[point], places, _mm256_castps_si256(nearer));
        }
    }
    for (int point = 0; point < Points; ++point) {
        alignas(32) float values[8];
        alignas(32) int32_t places[8];
        _mm256_store_ps(values, least[point]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(places), numbers[point]);
        out[point] = least_of(values, places, 8);
    }
}

WEFT_AVX2 void nearest_avx2(const float* const* points, size_t count, size_t skip,
                            const float* centroids, size_t centroid_count, size_t width,
                            uint32_t* out) {
    size_t at = 0;
    for (; at + 2 <= count; at += 2)
        nearest_to_points_avx2<2>(points + at, skip, centroids, centroid_count, width, out + at);
    for (; at < count; ++at)
        nearest_to_points_avx2<1>(points + at, skip, centroids, centroid_count, width, out + at);
}

template <bool IsSquare>
WEFT_AVX2 WEFT_INLINE void table_avx2(const float* point, const float* centroids, size_t count,
                                      size_t width, float* out) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t at = 0; at < count; at += 8) {
        __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count - at)), lanes);
        __m256 sum = _mm256_setzero_ps();
        for (size_t axis = 0; axis < width; ++axis) {
            __m256 value = _mm256_set1_ps(point[axis]);
            __m256 centre = _mm256_maskload_ps(centroids + axis * count + at, inside);
            if constexpr (IsSquare) {
                __m256 gap = _mm256_sub_ps(value, centre);
                sum = _mm256_fmadd_ps(gap, gap, sum);
            } else {
                sum = _mm256_fnmadd_ps(value, centre, sum);
            }
        }
        _mm256_maskstore_ps(out + at, inside, sum);
    }
}

WEFT_AVX2 void squares_avx2(const float* point, const float* centroids, size_t count, size_t width,
                            float* out) {
    table_avx2<true>(point, centroids, count, width, out);
}

WEFT_AVX2 void products_avx2(const float* point, const float* centroids, size_t count, size_t width,
                             float* out) {
    table_avx2<false>(point, centroids, count, width, out);
}

WEFT_AVX2 WEFT_INLINE int32_t total(__m256i sum) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return _mm_cvtsi128_si32(half);
}

// In 16 bits: the shorter way through `maddubs` would overflow.
WEFT_AVX2 WEFT_INLINE __m256i add_products(__m256i sum, const int8_t* steps, __m128i code) {
    __m256i left = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(steps)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(left, _mm256_cvtepu8_epi16(code)));
}

WEFT_AVX2 void bytes_avx2(const int8_t* steps, const float* const* codes, size_t count, size_t skip,
                          size_t bytes, int32_t* out) {
    for (size_t row = 0; row < count; ++row) {
        const uint8_t* code = bytes_of(codes[row], skip);
        __m256i sum = _mm256_setzero_si256();
        for (size_t at = 0; at < bytes; at += 16)
            sum = add_products(sum, steps + at,
                               _mm_loadu_si128(reinterpret_cast<const __m128i*>(code + at)));
        out[row] = total(sum);
    }
}

WEFT_AVX2 void halves_avx2(const int8_t* steps, const float* const* codes, size_t count,
                           size_t skip, size_t bytes, int32_t* out) {
    const __m128i low = _mm_set1_epi8(15);
    for (size_t row = 0; row < count; ++row) {
        const uint8_t* code = bytes_of(codes[row], skip);
        __m256i sum = _mm256_setzero_si256();
        for (size_t at = 0; at < bytes; at += 16) {
            __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(code + at));
            sum = add_products(sum, steps + at, _mm_and_si128(both, low));
            sum =
                add_products(sum, steps + bytes + at, _mm_and_si128(_mm_srli_epi16(both, 4), low));
        }
        out[row] = total(sum);
    }
}

WEFT_AVX2 void bits_avx2(const uint64_t* planes, size_t plane_count, const float* const* codes,
                         size_t count, size_t skip, size_t words, int32_t* out, int32_t* ones) {
    for (size_t row = 0; row < count; ++row) {
        int64_t sum = 0;
        int64_t own = 0;
        for (size_t at = 0; at < words; ++at) {
            uint64_t word;
            std::memcpy(&word, bytes_of(codes[row], skip) + at * sizeof(word), sizeof(word));
            own += _mm_popcnt_u64(word);
            for (size_t plane = 0; plane < plane_count; ++plane)
                sum += int64_t(_mm_popcnt_u64(word & planes[plane * words + at])) << plane;
        }
        out[row] = int32_t(sum);
        ones[row] = int32_t(own);
    }
}

const CodeSums kAvx512 = {bytes_avx512,   halves_avx512,  bits_avx512,    sum_tables,
                          nearest_avx512, squares_avx512, products_avx512};
const CodeSums kAvx2 = {bytes_avx2,   halves_avx2,  bits_avx2,    sum_tables,
                        nearest_avx2, squares_avx2, products_avx2};

}  // namespace

const CodeSums* code_sums_avx512() {
    bool has = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return has ? &kAvx512 : nullptr;
}
const CodeSums* code_sums_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") ? &kAvx2 : nullptr;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const CodeSums* code_sums_avx512() {
    return nullptr;
}
const CodeSums* code_sums_avx2() {
    return nullptr;
}

}  // namespace weft::detail

#endif
