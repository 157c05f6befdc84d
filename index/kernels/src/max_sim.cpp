// MaxSim: packing, the portable kernel, the choice of the kernel.
#include "max_sim.h"

#include <algorithm>
#include <limits>

namespace weft {
namespace {

constexpr size_t kLanes = kMaxSimLanes;

// Loops of a fixed length over arrays: compilers keep them in whatever vectors there are.
void max_dots_portable(const float* packed, const float* rows, size_t count, size_t dimensions,
                       float* best) {
    for (size_t row = 0; row < count; ++row) {
        const float* values = rows + row * dimensions;
        float sums[kLanes] = {};
        for (size_t at = 0; at < dimensions; ++at)
            for (size_t lane = 0; lane < kLanes; ++lane)
                sums[lane] += packed[at * kLanes + lane] * values[at];
        for (size_t lane = 0; lane < kLanes; ++lane) best[lane] = std::max(best[lane], sums[lane]);
    }
}

MaxDots max_dots_for(Simd simd) {
    switch (simd) {
        case Simd::avx512: return detail::max_dots_avx512();
        case Simd::avx2: return detail::max_dots_avx2();
        default: return max_dots_portable;
    }
}

Simd best_simd() {
    static const Simd best = simds_of_this_cpu().front();
    return best;
}

}  // namespace

MaxSimQuery::MaxSimQuery(const float* rows, size_t count, size_t dimensions, Simd simd)
    : count_(count), dimensions_(dimensions), max_dots_(max_dots_for(simd)) {
    size_t groups = (count + kLanes - 1) / kLanes;
    packed_.assign(groups * dimensions * kLanes, 0.0f);
    for (size_t row = 0; row < count; ++row) {
        float* group = packed_.data() + row / kLanes * dimensions * kLanes + row % kLanes;
        for (size_t at = 0; at < dimensions; ++at) group[at * kLanes] = rows[row * dimensions + at];
    }
}

MaxSimQuery::MaxSimQuery(const float* rows, size_t count, size_t dimensions)
    : MaxSimQuery(rows, count, dimensions, best_simd()) {}

float MaxSimQuery::distance(const float* rows, size_t count) const {
    double sum = 0.0;
    for (size_t first = 0; first < count_; first += kLanes) {
        float best[kLanes];
        std::fill(best, best + kLanes, -std::numeric_limits<float>::infinity());
        max_dots_(packed_.data() + first * dimensions_, rows, count, dimensions_, best);
        size_t lanes = std::min(kLanes, count_ - first);
        for (size_t lane = 0; lane < lanes; ++lane) sum += double(best[lane]);
    }
    return float(-sum);
}

}  // namespace weft
