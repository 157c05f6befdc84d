// Portable sums over codes, and the choice of instruction set.
#include "code_sums.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace weft {
namespace {

const uint8_t* bytes_of(const float* code, size_t skip) {
    return reinterpret_cast<const uint8_t*>(code + skip);
}

void sum_bytes(const int8_t* steps, const float* const* codes, size_t count, size_t skip,
               size_t bytes, int32_t* out) {
    for (size_t row = 0; row < count; ++row) {
        const uint8_t* code = bytes_of(codes[row], skip);
        int32_t sum = 0;
        for (size_t at = 0; at < bytes; ++at) sum += int32_t(steps[at]) * int32_t(code[at]);
        out[row] = sum;
    }
}

void sum_halves(const int8_t* steps, const float* const* codes, size_t count, size_t skip,
                size_t bytes, int32_t* out) {
    for (size_t row = 0; row < count; ++row) {
        const uint8_t* code = bytes_of(codes[row], skip);
        int32_t sum = 0;
        for (size_t at = 0; at < bytes; ++at) {
            sum += int32_t(steps[at]) * int32_t(code[at] & 15);
            sum += int32_t(steps[bytes + at]) * int32_t(code[at] >> 4);
        }
        out[row] = sum;
    }
}

void sum_bits(const uint64_t* planes, size_t plane_count, const float* const* codes, size_t count,
              size_t skip, size_t words, int32_t* out, int32_t* ones) {
    for (size_t row = 0; row < count; ++row) {
        int32_t sum = 0;
        int32_t own = 0;
        for (size_t at = 0; at < words; ++at) {
            uint64_t word;
            std::memcpy(&word, bytes_of(codes[row], skip) + at * sizeof(word), sizeof(word));
            own += std::popcount(word);
            for (size_t plane = 0; plane < plane_count; ++plane)
                sum += int32_t(std::popcount(word & planes[plane * words + at])) << plane;
        }
        out[row] = sum;
        ones[row] = own;
    }
}

void nearest(const float* const* points, size_t count, size_t skip, const float* centroids,
             size_t centroid_count, size_t width, uint32_t* out) {
    for (size_t at = 0; at < count; ++at) {
        const float* point = points[at] + skip;
        uint32_t best = 0;
        float least = std::numeric_limits<float>::infinity();
        for (size_t number = 0; number < centroid_count; ++number) {
            float square = 0.0f;
            for (size_t axis = 0; axis < width; ++axis) {
                float gap = centroids[axis * centroid_count + number] - point[axis];
                square += gap * gap;
            }
            if (square < least) {
                least = square;
                best = uint32_t(number);
            }
        }
        out[at] = best;
    }
}

void squares(const float* point, const float* centroids, size_t centroid_count, size_t width,
             float* out) {
    std::fill(out, out + centroid_count, 0.0f);
    for (size_t axis = 0; axis < width; ++axis) {
        const float* values = centroids + axis * centroid_count;
        for (size_t number = 0; number < centroid_count; ++number) {
            float gap = point[axis] - values[number];
            out[number] += gap * gap;
        }
    }
}

void products(const float* point, const float* centroids, size_t centroid_count, size_t width,
              float* out) {
    std::fill(out, out + centroid_count, 0.0f);
    for (size_t axis = 0; axis < width; ++axis) {
        const float* values = centroids + axis * centroid_count;
        for (size_t number = 0; number < centroid_count; ++number)
            out[number] -= point[axis] * values[number];
    }
}

const CodeSums kPortable = {sum_bytes, sum_halves, sum_bits, detail::sum_tables,
                            nearest,   squares,    products};

}  // namespace

void detail::sum_tables(const float* tables, size_t width, const float* const* codes, size_t count,
                        size_t segments, float* out) {
    size_t row = 0;
    for (; row + 2 <= count; row += 2) {
        const uint8_t* left = bytes_of(codes[row], 0);
        const uint8_t* right = bytes_of(codes[row + 1], 0);
        float lefts[2] = {0.0f, 0.0f};
        float rights[2] = {0.0f, 0.0f};
        const float* table = tables;
        size_t at = 0;
        for (; at + 2 <= segments; at += 2, table += 2 * width) {
            lefts[0] += table[left[at]];
            lefts[1] += table[width + left[at + 1]];
            rights[0] += table[right[at]];
            rights[1] += table[width + right[at + 1]];
        }
        if (at < segments) {
            lefts[0] += table[left[at]];
            rights[0] += table[right[at]];
        }
        out[row] = lefts[0] + lefts[1];
        out[row + 1] = rights[0] + rights[1];
    }
    if (row == count) return;
    const uint8_t* code = bytes_of(codes[row], 0);
    float sums[2] = {0.0f, 0.0f};
    size_t at = 0;
    for (; at + 2 <= segments; at += 2) {
        sums[0] += tables[at * width + code[at]];
        sums[1] += tables[(at + 1) * width + code[at + 1]];
    }
    if (at < segments) sums[0] += tables[at * width + code[at]];
    out[row] = sums[0] + sums[1];
}

const CodeSums& code_sums_for(Simd simd) {
    const CodeSums* found = nullptr;
    if (simd == Simd::avx512) found = detail::code_sums_avx512();
    if (found == nullptr && (simd == Simd::avx512 || simd == Simd::avx2))
        found = detail::code_sums_avx2();
    return found == nullptr ? kPortable : *found;
}

}  // namespace weft
