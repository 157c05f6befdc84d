// Sums over sketches in AVX-512 (VPOPCNTDQ), and with the popcount instruction alone.
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
#define WEFT_POPCNT __attribute__((target("popcnt")))
#define WEFT_INLINE inline __attribute__((always_inline))

namespace weft::detail {
namespace {

constexpr size_t kGroup = 8;  // rows whose sums become one vector

// p0 + 2 p1 + 4 p2 - 8 p3 in each word: what the steps at the set bits come to.
WEFT_AVX512 WEFT_INLINE __m512i counted(__m512i bits, const __m512i planes[kSketchPlanes]) {
    __m512i ones[kSketchPlanes];
    for (size_t plane = 0; plane < kSketchPlanes; ++plane)
        ones[plane] = _mm512_popcnt_epi64(_mm512_and_si512(bits, planes[plane]));
    __m512i low = _mm512_add_epi64(ones[0], _mm512_slli_epi64(ones[1], 1));
    __m512i high = _mm512_sub_epi64(ones[2], _mm512_slli_epi64(ones[3], 1));
    return _mm512_add_epi64(low, _mm512_slli_epi64(high, 2));
}

// The row with a number, of rows one after the other or of rows anywhere.
struct Run {
    const uint64_t* rows;
    size_t words;
    const uint64_t* operator()(size_t at) const { return rows + at * words; }
};

struct Picked {
    const uint64_t* const* rows;
    const uint64_t* operator()(size_t at) const { return rows[at]; }
};

WEFT_AVX512 WEFT_INLINE __m128i load_two(const uint64_t* row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
}

WEFT_AVX512 WEFT_INLINE __m256i load_four(const uint64_t* row) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
}

// Eight rows of one word.
template <class Row>
WEFT_AVX512 WEFT_INLINE __m512i sums_of_one(const Row& row, const __m512i* planes) {
    __m512i bits = _mm512_setr_epi64(
        (long long)(*row(0)), (long long)(*row(1)), (long long)(*row(2)), (long long)(*row(3)),
        (long long)(*row(4)), (long long)(*row(5)), (long long)(*row(6)), (long long)(*row(7)));
    return counted(bits, planes);
}

// Eight rows of two words, four in a vector.
template <class Row>
WEFT_AVX512 WEFT_INLINE __m512i sums_of_two(const Row& row, const __m512i* planes) {
    __m512i parts[2];
    for (size_t half = 0; half < 2; ++half) {
        __m512i bits = _mm512_castsi128_si512(load_two(row(half * 4)));
        bits = _mm512_inserti64x2(bits, load_two(row(half * 4 + 1)), 1);
        bits = _mm512_inserti64x2(bits, load_two(row(half * 4 + 2)), 2);
        bits = _mm512_inserti64x2(bits, load_two(row(half * 4 + 3)), 3);
        parts[half] = counted(bits, planes);
    }
    __m512i sums = _mm512_add_epi64(_mm512_unpacklo_epi64(parts[0], parts[1]),
                                    _mm512_unpackhi_epi64(parts[0], parts[1]));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), sums);
}

// Eight rows of four words, two in a vector.
template <class Row>
WEFT_AVX512 WEFT_INLINE __m512i sums_of_four(const Row& row, const __m512i* planes) {
    __m512i pairs[2];
    for (size_t half = 0; half < 2; ++half) {
        __m512i parts[2];
        for (size_t part = 0; part < 2; ++part) {
            size_t first = half * 4 + part * 2;
            __m512i bits = _mm512_castsi256_si512(load_four(row(first)));
            bits = _mm512_inserti64x4(bits, load_four(row(first + 1)), 1);
            parts[part] = counted(bits, planes);
        }
        pairs[half] = _mm512_add_epi64(_mm512_unpacklo_epi64(parts[0], parts[1]),
                                       _mm512_unpackhi_epi64(parts[0], parts[1]));
    }
    __m512i sums =
        _mm512_add_epi64(_mm512_shuffle_i64x2(pairs[0], pairs[1], _MM_SHUFFLE(2, 0, 2, 0)),
                         _mm512_shuffle_i64x2(pairs[0], pairs[1], _MM_SHUFFLE(3, 1, 3, 1)));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), sums);
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
        sum = _mm512_add_epi64(sum, counted(_mm512_maskz_loadu_epi64(mask, row + at), loaded));
    }
    return float(_mm512_reduce_add_epi64(sum));
}

template <class Row>
WEFT_AVX512 WEFT_INLINE void sum_rows(const uint64_t* planes, size_t words, const Row& row,
                                      size_t count, float* sums) {
    size_t done = 0;
    if (words == 1 || words == 2 || words == 4) {
        __m512i loaded[kSketchPlanes];
        for (size_t plane = 0; plane < kSketchPlanes; ++plane) {
            const uint64_t* from = planes + plane * words;
            loaded[plane] = words == 1   ? _mm512_set1_epi64((long long)(*from))
                            : words == 2 ? _mm512_broadcast_i64x2(load_two(from))
                                         : _mm512_broadcast_i64x4(load_four(from));
        }
        for (; done + kGroup <= count; done += kGroup) {
            auto from = [&](size_t at) { return row(done + at); };
            __m512i group = words == 1   ? sums_of_one(from, loaded)
                            : words == 2 ? sums_of_two(from, loaded)
                                         : sums_of_four(from, loaded);
            _mm256_storeu_ps(sums + done, _mm512_cvtepi64_ps(group));
        }
    }
    for (; done < count; ++done) sums[done] = sum_of_many(planes, words, row(done));
}

WEFT_AVX512 void run_avx512(const uint64_t* planes, size_t words, const uint64_t* rows,
                            size_t count, float* sums) {
    sum_rows(planes, words, Run{rows, words}, count, sums);
}

WEFT_AVX512 void picked_avx512(const uint64_t* planes, size_t words, const uint64_t* const* rows,
                               size_t count, float* sums) {
    sum_rows(planes, words, Picked{rows}, count, sums);
}

// Compressed in a register, then stored whole: compressing into memory is microcode on some CPUs.
WEFT_AVX512 size_t keep_avx512(const float* sums, const SketchScale* scales, SketchPromise promise,
                               uint64_t mask, float least, uint32_t first, uint32_t* numbers,
                               float* promises) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i evens =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
    const __m512 gain = _mm512_set1_ps(promise.gain);
    const __m512 offset = _mm512_set1_ps(promise.offset);
    const __m512 bar = _mm512_set1_ps(least);
    size_t kept = 0;
    for (size_t at = 0; at < kSketchRun; at += 16) {
        __m512 low = _mm512_loadu_ps(&scales[at].factor);
        __m512 high = _mm512_loadu_ps(&scales[at + 8].factor);
        __m512 factor = _mm512_permutex2var_ps(low, evens, high);
        __m512 base = _mm512_permutex2var_ps(low, odds, high);
        __m512 value = _mm512_fmadd_ps(_mm512_loadu_ps(sums + at), gain, offset);
        value = _mm512_fmadd_ps(value, factor, base);
        const __mmask16 wanted =
            _mm512_mask_cmp_ps_mask(__mmask16(mask >> at), value, bar, _CMP_GE_OQ);
        if (wanted == 0) continue;
        __m512i number = _mm512_add_epi32(lanes, _mm512_set1_epi32(int(first + at)));
        _mm512_storeu_ps(promises + kept, _mm512_maskz_compress_ps(wanted, value));
        _mm512_storeu_si512(numbers + kept, _mm512_maskz_compress_epi32(wanted, number));
        kept += size_t(_mm_popcnt_u32(wanted));
    }
    return kept;
}

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

WEFT_POPCNT float sum_popcnt(const uint64_t* planes, size_t words, const uint64_t* row) {
    int32_t sums[kSketchPlanes] = {};
    for (size_t at = 0; at < words; ++at)
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            sums[plane] += int32_t(_mm_popcnt_u64(row[at] & planes[plane * words + at]));
    return float(sums[0] + 2 * sums[1] + 4 * sums[2] - 8 * sums[3]);
}

WEFT_POPCNT void run_popcnt(const uint64_t* planes, size_t words, const uint64_t* rows,
                            size_t count, float* sums) {
    for (size_t row = 0; row < count; ++row)
        sums[row] = sum_popcnt(planes, words, rows + row * words);
}

WEFT_POPCNT void picked_popcnt(const uint64_t* planes, size_t words, const uint64_t* const* rows,
                               size_t count, float* sums) {
    for (size_t row = 0; row < count; ++row) sums[row] = sum_popcnt(planes, words, rows[row]);
}

const SketchSums kAvx512 = {run_avx512, picked_avx512, keep_avx512, not_below_avx512};
const SketchSums kPopcnt = {run_popcnt, picked_popcnt, keep_portable, not_below_portable};

}  // namespace

const SketchSums* sketch_sums_avx512() {
    bool has = __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has ? &kAvx512 : nullptr;
}
const SketchSums* sketch_sums_popcnt() {
    return __builtin_cpu_supports("popcnt") ? &kPopcnt : nullptr;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const SketchSums* sketch_sums_avx512() {
    return nullptr;
}
const SketchSums* sketch_sums_popcnt() {
    return nullptr;
}

}  // namespace weft::detail

#endif
