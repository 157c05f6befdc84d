// Portable distances, and the choice of instruction set.
#include "distance.h"

#include <cmath>
#include <stdexcept>

namespace weft {
namespace {

using detail::Step;

template <Step step>
inline float term(float left, float right) {
    if constexpr (step == Step::product) return left * right;
    float gap = left - right;
    if constexpr (step == Step::square) return gap * gap;
    if constexpr (step == Step::absolute) return std::fabs(gap);
    return left != right ? 1.0f : 0.0f;
}

template <Metric metric>
float one(const float* left, const float* right, size_t dimensions) {
    // Eight sums that do not depend on each other: the compiler may keep them in vectors.
    constexpr Step step = detail::step_of(metric);
    float sums[8] = {};
    size_t at = 0;
    for (; at + 8 <= dimensions; at += 8)
        for (size_t lane = 0; lane < 8; ++lane)
            sums[lane] += term<step>(left[at + lane], right[at + lane]);
    for (; at < dimensions; ++at) sums[0] += term<step>(left[at], right[at]);
    float sum = 0.0f;
    for (float part : sums) sum += part;
    return detail::finish<metric>(sum);
}

template <Metric metric>
void many(const float* query, const float* const* rows, size_t count, size_t dimensions,
          float* out) {
    for (size_t at = 0; at < count; ++at) out[at] = one<metric>(query, rows[at], dimensions);
}

template <Metric metric>
constexpr Distance entry() {
    return {one<metric>, many<metric>};
}

const Distance kPortable[kMetricCount] = {entry<Metric::cosine>(), entry<Metric::dot>(),
                                          entry<Metric::l2_squared>(), entry<Metric::manhattan>(),
                                          entry<Metric::hamming>()};

bool cpu_has(Simd simd) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    if (simd == Simd::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (simd == Simd::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return simd == Simd::neon || simd == Simd::portable;
}

const Distance* table_for(Simd simd) {
    switch (simd) {
        case Simd::avx512: return detail::table_avx512();
        case Simd::avx2: return detail::table_avx2();
        case Simd::neon: return detail::table_neon();
        case Simd::portable: break;
    }
    return kPortable;
}

}  // namespace

Metric metric_of(const std::string& name) {
    static const char* const kNames[kMetricCount] = {"cosine", "dot", "l2-squared", "manhattan",
                                                     "hamming"};
    for (uint32_t number = 0; number < kMetricCount; ++number)
        if (name == kNames[number]) return static_cast<Metric>(number);
    throw std::invalid_argument("unknown metric: " + name);
}

const char* name_of(Simd simd) {
    switch (simd) {
        case Simd::avx512: return "avx512";
        case Simd::avx2: return "avx2";
        case Simd::neon: return "neon";
        case Simd::portable: break;
    }
    return "portable";
}

std::vector<Simd> simds_of_this_cpu() {
    std::vector<Simd> found;
    for (Simd simd : {Simd::avx512, Simd::avx2, Simd::neon, Simd::portable})
        if (table_for(simd) != nullptr && cpu_has(simd)) found.push_back(simd);
    return found;
}

const Distance& distance_for(Metric metric, Simd simd) {
    return table_for(simd)[static_cast<uint32_t>(metric)];
}

const Distance& distance_for(Metric metric) {
    static const Simd best = simds_of_this_cpu().front();
    return distance_for(metric, best);
}

void normalise(const float* row, size_t dimensions, float* out) {
    double squares = 0.0;
    for (size_t at = 0; at < dimensions; ++at) squares += double(row[at]) * double(row[at]);
    double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
    for (size_t at = 0; at < dimensions; ++at) out[at] = float(double(row[at]) * scale);
}

bool is_finite(const float* values, size_t count) {
    // x * 0 is NaN exactly for NaN and infinities, so one sum answers for all of them.
    float sum = 0.0f;
    for (size_t at = 0; at < count; ++at) sum += values[at] * 0.0f;
    return sum == 0.0f;
}

}  // namespace weft
