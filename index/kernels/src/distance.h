// Distances between float vectors: what each metric means, and the fastest code for this CPU.
//
// Smaller is closer. Cosine takes vectors of length one (`normalise`) and is 1 - dot, never below
// zero; dot is the negated product; hamming counts the positions that differ. The instruction set
// is chosen at run time, so one build runs on every CPU of its architecture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// The numbers are in snapshot files: never renumber one.
enum class Metric : uint32_t { cosine = 0, dot = 1, l2_squared = 2, manhattan = 3, hamming = 4 };

constexpr uint32_t kMetricCount = 5;

// Raises std::invalid_argument for a name that core.schema.Metric does not have.
Metric metric_of(const std::string& name);

// The same metric in two shapes. `many` takes row addresses, so that the rows of one step of a
// graph walk, which lie anywhere, cost one call and overlap their cache misses.
struct Distance {
    float (*one)(const float* left, const float* right, size_t dimensions);
    void (*many)(const float* query, const float* const* rows, size_t count, size_t dimensions,
                 float* out);
};

enum class Simd { portable, avx2, avx512, neon };

const char* name_of(Simd simd);
std::vector<Simd> simds_of_this_cpu();  // best first, `portable` always last
const Distance& distance_for(Metric metric, Simd simd);
const Distance& distance_for(Metric metric);

// Scales to length one; a zero vector stays zero. `row` and `out` may be the same.
void normalise(const float* row, size_t dimensions, float* out);

bool is_finite(const float* values, size_t count);

namespace detail {

// What one position adds to the sum of a metric; the sum then becomes the distance in `finish`.
enum class Step { product, square, absolute, differs };

constexpr Step step_of(Metric metric) {
    switch (metric) {
        case Metric::l2_squared: return Step::square;
        case Metric::manhattan: return Step::absolute;
        case Metric::hamming: return Step::differs;
        default: return Step::product;
    }
}

template <Metric metric>
inline float finish(float sum) {
    if constexpr (metric == Metric::cosine) {
        float distance = 1.0f - sum;
        return distance < 0.0f ? 0.0f : distance;
    } else if constexpr (metric == Metric::dot) {
        return -sum;
    } else {
        return sum;
    }
}

// One table an instruction set, by Metric; null where the architecture does not have it.
const Distance* table_avx512();
const Distance* table_avx2();
const Distance* table_neon();

}  // namespace detail
}  // namespace weft
