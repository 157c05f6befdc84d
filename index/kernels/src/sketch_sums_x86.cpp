// Sums over sketches in AVX-512 (VPOPCNTDQ for single rows), and in AVX2.
#include "sketch_sums.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for uninitialised reads (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "sketch_sums_loops.h"

#define WEFT_AVX512 \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vpopcntdq,popcnt")))
#define WEFT_AVX2 __attribute__((target("avx2,fma,popcnt")))
#define WEFT_INLINE inline __attribute__((always_inline))

namespace weft::detail {
namespace {

// --- runs ---------------------------------------------------------------------------------------

WEFT_AVX512 WEFT_INLINE __m512i look_up(const uint8_t* table, __m512i places) {
    __m128i numbers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(numbers), places);
}

// Adds one line of 64 rows to sums of a byte's width.
WEFT_AVX512 WEFT_INLINE __m512i add_line(__m512i sum, const uint8_t* line, const uint8_t* table) {
    const __m512i half = _mm512_set1_epi8(15);
    const __m512i bytes = _mm512_load_si512(line);
    sum = _mm512_add_epi8(sum, look_up(table, _mm512_and_si512(bytes, half)));
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), half);
    return _mm512_add_epi8(sum, look_up(table + 16, high));
}

// Compressed in a register, then stored whole: compressing into memory is microcode on some CPUs.
WEFT_AVX512 size_t run_avx512(const uint8_t* tables, size_t words, const uint8_t* run,
                              SketchPromise promise, uint64_t mask, float least, uint32_t first,
                              uint32_t* numbers, float* promises) {
    __m512i even = _mm512_setzero_si512();  // and what the odd ones carry into it
    __m512i odd = _mm512_setzero_si512();
    for (size_t line = 0; line < words * kSketchLines; line += 4) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t next = line; next < line + 4; ++next)
            sum = add_line(sum, run + next * kSketchRun, tables + next * kSketchTableBytes);
        even = _mm512_add_epi16(even, sum);
        odd = _mm512_add_epi16(odd, _mm512_srli_epi16(sum, 8));
    }
    even = _mm512_sub_epi16(even, _mm512_slli_epi16(odd, 8));
    const __m256i sums[4] = {_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1),
                             _mm512_castsi512_si256(odd), _mm512_extracti64x4_epi64(odd, 1)};
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 gain = _mm512_set1_ps(promise.gain);
    const __m512 offset = _mm512_set1_ps(promise.offset);
    const __m512 bar = _mm512_set1_ps(least);
    const float* factors = factors_of(run, words);
    const float* bases = bases_of(run, words);
    size_t kept = 0;
    for (size_t part = 0; part < 4; ++part) {
        const size_t at = part * 16;
        __m512 value = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums[part]));
        value = _mm512_fmadd_ps(value, gain, offset);
        value = _mm512_fmadd_ps(value, _mm512_load_ps(factors + at), _mm512_load_ps(bases + at));
        const __mmask16 wanted =
            _mm512_mask_cmp_ps_mask(__mmask16(mask >> at), value, bar, _CMP_GE_OQ);
        // Whether any is wanted is anybody's guess: nothing here branches on it.
        __m512i number = _mm512_add_epi32(lanes, _mm512_set1_epi32(int(first + at)));
        _mm512_storeu_ps(promises + kept, _mm512_maskz_compress_ps(wanted, value));
        _mm512_storeu_si512(numbers + kept, _mm512_maskz_compress_epi32(wanted, number));
        kept += size_t(_mm_popcnt_u32(wanted));
    }
    return kept;
}

WEFT_AVX2 WEFT_INLINE __m256i look_up(const uint8_t* table, __m256i places) {
    __m128i numbers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(numbers), places);
}

WEFT_AVX2 WEFT_INLINE __m256i add_line(__m256i sum, const uint8_t* line, const uint8_t* table) {
    const __m256i half = _mm256_set1_epi8(15);
    const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(line));
    sum = _mm256_add_epi8(sum, look_up(table, _mm256_and_si256(bytes, half)));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
    return _mm256_add_epi8(sum, look_up(table + 16, high));
}

WEFT_AVX2 size_t run_avx2(const uint8_t* tables, size_t words, const uint8_t* run,
                          SketchPromise promise, uint64_t mask, float least, uint32_t first,
                          uint32_t* numbers, float* promises) {
    alignas(32) uint16_t sums[kSketchRun];
    for (size_t part = 0; part < kSketchRun; part += 32) {
        __m256i even = _mm256_setzero_si256();
        __m256i odd = _mm256_setzero_si256();
        for (size_t line = 0; line < words * kSketchLines; line += 4) {
            __m256i sum = _mm256_setzero_si256();
            for (size_t next = line; next < line + 4; ++next)
                sum = add_line(sum, run + next * kSketchRun + part,
                               tables + next * kSketchTableBytes);
            even = _mm256_add_epi16(even, sum);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16(sum, 8));
        }
        even = _mm256_sub_epi16(even, _mm256_slli_epi16(odd, 8));
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums + part / 2), even);
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums + kSketchRun / 2 + part / 2), odd);
    }
    const __m256 gain = _mm256_set1_ps(promise.gain);
    const __m256 offset = _mm256_set1_ps(promise.offset);
    const __m256 bar = _mm256_set1_ps(least);
    const float* factors = factors_of(run, words);
    const float* bases = bases_of(run, words);
    alignas(32) float values[8];
    size_t kept = 0;
    for (size_t at = 0; at < kSketchRun; at += 8) {
        __m128i eight = _mm_load_si128(reinterpret_cast<const __m128i*>(sums + at));
        __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(eight));
        value = _mm256_fmadd_ps(value, gain, offset);
        value = _mm256_fmadd_ps(value, _mm256_load_ps(factors + at), _mm256_load_ps(bases + at));
        uint32_t wanted = uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(value, bar, _CMP_GE_OQ))) &
                          uint32_t(mask >> at) & 255u;
        if (wanted == 0) continue;
        _mm256_store_ps(values, value);
        for (; wanted != 0; wanted &= wanted - 1) {
            const uint32_t lane = uint32_t(std::countr_zero(wanted));
            numbers[kept] = first + uint32_t(at) + lane;
            promises[kept++] = values[lane];
        }
    }
    return kept;
}

// --- single rows --------------------------------------------------------------------------------

constexpr size_t kGroup = 8;  // rows whose sums become one vector

// The steps at the bits of each word, times two to `weight`.
WEFT_AVX512 WEFT_INLINE __m512i counted(__m512i bits, const __m512i planes[kSketchPlanes],
                                        __m512i weight) {
    __m512i ones[kSketchPlanes];
    for (size_t plane = 0; plane < kSketchPlanes; ++plane)
        ones[plane] = _mm512_popcnt_epi64(_mm512_and_si512(bits, planes[plane]));
    __m512i low = _mm512_add_epi64(ones[0], _mm512_slli_epi64(ones[1], 1));
    __m512i high = _mm512_sub_epi64(ones[2], _mm512_slli_epi64(ones[3], 1));
    return _mm512_sllv_epi64(_mm512_add_epi64(low, _mm512_slli_epi64(high, 2)), weight);
}

WEFT_AVX512 WEFT_INLINE __m256i load_four(const uint64_t* row) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
}

// Sums of pairs of neighbours: those of `left` at even places, of `right` at odd ones.
WEFT_AVX512 WEFT_INLINE __m512i add_neighbours(__m512i left, __m512i right) {
    return _mm512_add_epi64(_mm512_unpacklo_epi64(left, right), _mm512_unpackhi_epi64(left, right));
}

// Sums of pairs of lanes: first those of `left`, then of `right`.
WEFT_AVX512 WEFT_INLINE __m512i add_lanes(__m512i left, __m512i right) {
    return _mm512_add_epi64(_mm512_shuffle_i64x2(left, right, _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm512_shuffle_i64x2(left, right, _MM_SHUFFLE(3, 1, 3, 1)));
}

// The sums of eight vectors, in order.
WEFT_AVX512 WEFT_INLINE __m512i sums_of_eight(const __m512i* parts) {
    __m512i low = add_lanes(add_neighbours(parts[0], parts[1]), add_neighbours(parts[2], parts[3]));
    __m512i high =
        add_lanes(add_neighbours(parts[4], parts[5]), add_neighbours(parts[6], parts[7]));
    return add_lanes(low, high);
}

// Eight rows of one word a bit, two rows in a vector. Planes are zero at the scale.
WEFT_AVX512 WEFT_INLINE __m512i sums_of_one(const uint64_t* const* rows, const __m512i* planes) {
    const __m512i weights = _mm512_setr_epi64(2, 1, 0, 0, 2, 1, 0, 0);
    __m512i parts[4];
    for (size_t pair = 0; pair < 4; ++pair) {
        __m512i bits = _mm512_castsi256_si512(load_four(rows[2 * pair]));
        bits = _mm512_inserti64x4(bits, load_four(rows[2 * pair + 1]), 1);
        parts[pair] = counted(bits, planes, weights);
    }
    __m512i sums =
        add_lanes(add_neighbours(parts[0], parts[1]), add_neighbours(parts[2], parts[3]));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), sums);
}

// Eight rows of two words a bit, a row in a vector. Planes are zero at the scale.
WEFT_AVX512 WEFT_INLINE __m512i sums_of_two(const uint64_t* const* rows, const __m512i* planes) {
    const __m512i weights = _mm512_setr_epi64(2, 2, 1, 1, 0, 0, 0, 0);
    __m512i parts[kGroup];
    for (size_t row = 0; row < kGroup; ++row)
        parts[row] = counted(_mm512_loadu_si512(rows[row]), planes, weights);
    return sums_of_eight(parts);
}

// Eight rows of four words a bit, a row in a vector and a half.
WEFT_AVX512 WEFT_INLINE __m512i sums_of_four(const uint64_t* const* rows, const __m512i* planes) {
    const __m512i weights = _mm512_setr_epi64(2, 2, 2, 2, 1, 1, 1, 1);
    __m512i parts[kGroup];
    for (size_t row = 0; row < kGroup; ++row) {
        __m512i last = _mm512_zextsi256_si512(load_four(rows[row] + 8));
        parts[row] = _mm512_add_epi64(counted(_mm512_loadu_si512(rows[row]), planes, weights),
                                      counted(last, planes, _mm512_setzero_si512()));
    }
    return sums_of_eight(parts);
}

// One row of any number of words.
WEFT_AVX512 WEFT_INLINE float sum_of_many(const uint64_t* planes, size_t words,
                                          const uint64_t* row) {
    __m512i sum = _mm512_setzero_si512();
    for (size_t at = 0; at < words; at += 8) {
        __mmask8 mask = words - at >= 8 ? __mmask8(0xFF) : __mmask8((1u << (words - at)) - 1u);
        __m512i loaded[kSketchPlanes];
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            loaded[plane] = _mm512_maskz_loadu_epi64(mask, planes + plane * words + at);
        for (size_t bit = 0; bit < kSketchBits; ++bit) {
            const __m512i weight = _mm512_set1_epi64((long long)(kSketchBits - 1 - bit));
            __m512i bits = _mm512_maskz_loadu_epi64(mask, row + bit * words + at);
            sum = _mm512_add_epi64(sum, counted(bits, loaded, weight));
        }
    }
    return float(_mm512_reduce_add_epi64(sum));
}

// The steps' plane once for each bit of a row; zero behind the last one that fits.
WEFT_AVX512 WEFT_INLINE __m512i load_plane(const uint64_t* plane, size_t words) {
    const __m512i at = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i place = _mm512_and_si512(at, _mm512_set1_epi64((long long)(words - 1)));
    const auto used = __mmask8(words == 1 ? 0x77 : words == 2 ? 0x3F : 0xFF);
    const __m512i loaded = _mm512_maskz_loadu_epi64(__mmask8((1u << words) - 1u), plane);
    return _mm512_maskz_permutexvar_epi64(used, place, loaded);
}

WEFT_AVX512 void picked_avx512(const uint64_t* planes, size_t words, const uint64_t* const* rows,
                               size_t count, float* sums) {
    size_t done = 0;
    if (words == 1 || words == 2 || words == 4) {
        __m512i loaded[kSketchPlanes];
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            loaded[plane] = load_plane(planes + plane * words, words);
        for (; done + kGroup <= count; done += kGroup) {
            __m512i group = words == 1   ? sums_of_one(rows + done, loaded)
                            : words == 2 ? sums_of_two(rows + done, loaded)
                                         : sums_of_four(rows + done, loaded);
            _mm256_storeu_ps(sums + done, _mm512_cvtepi64_ps(group));
        }
    }
    for (; done < count; ++done) sums[done] = sum_of_many(planes, words, rows[done]);
}

WEFT_AVX2 void picked_avx2(const uint64_t* planes, size_t words, const uint64_t* const* rows,
                           size_t count, float* sums) {
    for (size_t row = 0; row < count; ++row)
        sums[row] = float(sum_of_row(planes, words, rows[row]));
}

// --- promises -----------------------------------------------------------------------------------

WEFT_AVX512 size_t not_below_avx512(const float* promises, size_t count, float least,
                                    uint32_t* places) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 bar = _mm512_set1_ps(least);
    size_t kept = 0;
    for (size_t at = 0; at < count; at += 16) {
        const size_t rest = count - at;
        const __mmask16 inside = rest >= 16 ? __mmask16(0xFFFF) : __mmask16((1u << rest) - 1u);
        const __mmask16 good = _mm512_mask_cmp_ps_mask(
            inside, _mm512_maskz_loadu_ps(inside, promises + at), bar, _CMP_GE_OQ);
        if (good == 0) continue;
        __m512i place = _mm512_add_epi32(lanes, _mm512_set1_epi32(int(at)));
        _mm512_storeu_si512(places + kept, _mm512_maskz_compress_epi32(good, place));
        kept += size_t(_mm_popcnt_u32(good));
    }
    return kept;
}

// In place: what is stored lies before what was loaded, or just there.
WEFT_AVX512 size_t drop_below_avx512(float* promises, uint32_t* numbers, size_t count,
                                     float least) {
    const __m512 bar = _mm512_set1_ps(least);
    size_t kept = 0;
    for (size_t at = 0; at < count; at += 16) {
        const size_t rest = count - at;
        const __mmask16 inside = rest >= 16 ? __mmask16(0xFFFF) : __mmask16((1u << rest) - 1u);
        const __m512 value = _mm512_maskz_loadu_ps(inside, promises + at);
        const __m512i number = _mm512_maskz_loadu_epi32(inside, numbers + at);
        const __mmask16 good = _mm512_mask_cmp_ps_mask(inside, value, bar, _CMP_GE_OQ);
        _mm512_storeu_ps(promises + kept, _mm512_maskz_compress_ps(good, value));
        _mm512_storeu_si512(numbers + kept, _mm512_maskz_compress_epi32(good, number));
        kept += size_t(_mm_popcnt_u32(good));
    }
    return kept;
}

const SketchSums kAvx512 = {run_avx512, picked_avx512, not_below_avx512, drop_below_avx512};
const SketchSums kAvx2 = {run_avx2, picked_avx2, not_below_portable, drop_below_portable};

}  // namespace

const SketchSums* sketch_sums_avx512() {
    bool has = __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has ? &kAvx512 : nullptr;
}
const SketchSums* sketch_sums_avx2() {
    bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("popcnt");
    return has ? &kAvx2 : nullptr;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const SketchSums* sketch_sums_avx512() {
    return nullptr;
}
const SketchSums* sketch_sums_avx2() {
    return nullptr;
}

}  // namespace weft::detail

#endif
