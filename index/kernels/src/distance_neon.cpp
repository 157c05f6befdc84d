// Distances in NEON, which every 64-bit ARM has.
#include "distance.h"

#if defined(__aarch64__)

#include <arm_neon.h>

namespace weft::detail {
namespace {

template <Step step>
inline float32x4_t add_step(float32x4_t sum, float32x4_t left, float32x4_t right) {
    if constexpr (step == Step::product) return vfmaq_f32(sum, left, right);
    if constexpr (step == Step::differs) {
        uint32x4_t differs = vmvnq_u32(vceqq_f32(left, right));
        uint32x4_t one = vreinterpretq_u32_f32(vdupq_n_f32(1.0f));
        return vaddq_f32(sum, vreinterpretq_f32_u32(vandq_u32(differs, one)));
    }
    if constexpr (step == Step::absolute) return vaddq_f32(sum, vabdq_f32(left, right));
    float32x4_t gap = vsubq_f32(left, right);
    return vfmaq_f32(sum, gap, gap);
}

template <Metric metric>
float one_neon(const float* left, const float* right, size_t dimensions) {
    constexpr Step step = step_of(metric);
    float32x4_t sums[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    size_t at = 0;
    for (; at + 16 <= dimensions; at += 16)
        for (size_t part = 0; part < 4; ++part)
            sums[part] = add_step<step>(sums[part], vld1q_f32(left + at + 4 * part),
                                        vld1q_f32(right + at + 4 * part));
    for (; at + 4 <= dimensions; at += 4)
        sums[0] = add_step<step>(sums[0], vld1q_f32(left + at), vld1q_f32(right + at));
    if (at < dimensions) {
        float rest_left[4] = {};
        float rest_right[4] = {};
        for (size_t lane = 0; at + lane < dimensions; ++lane) {
            rest_left[lane] = left[at + lane];
            rest_right[lane] = right[at + lane];
        }
        sums[1] = add_step<step>(sums[1], vld1q_f32(rest_left), vld1q_f32(rest_right));
    }
    float32x4_t sum = vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
    return finish<metric>(vaddvq_f32(sum));
}

template <Metric metric>
void many_neon(const float* query, const float* const* rows, size_t count, size_t dimensions,
               float* out) {
    for (size_t at = 0; at < count; ++at) out[at] = one_neon<metric>(query, rows[at], dimensions);
}

template <Metric metric>
constexpr Distance entry() {
    return {one_neon<metric>, many_neon<metric>};
}

const Distance kNeon[kMetricCount] = {entry<Metric::cosine>(), entry<Metric::dot>(),
                                      entry<Metric::l2_squared>(), entry<Metric::manhattan>(),
                                      entry<Metric::hamming>()};

}  // namespace

const Distance* table_neon() {
    return kNeon;
}

}  // namespace weft::detail

#else

namespace weft::detail {

const Distance* table_neon() {
    return nullptr;
}

}  // namespace weft::detail

#endif
