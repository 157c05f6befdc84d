// Rotation: signs and transforms.
#include "rotation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace weft {
namespace {

uint64_t mixed(uint64_t value) {  // splitmix64
    value += 0x9E3779B97F4A7C15ull;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

// The Walsh-Hadamard transform, its values in another order. It grows lengths by sqrt(size);
// `scale` undoes that. Every pass reads two halves and interleaves their sums and differences, so
// that all of them run at the width of the machine; the first strides of the usual form would not.
void transform(float* values, float* spare, size_t size, float scale) {
    const size_t half = size / 2;
    float* from = values;
    float* to = spare;
    for (size_t passes = size; passes > 1; passes /= 2) {
        for (size_t at = 0; at < half; ++at) {
            float left = from[at];
            float right = from[half + at];
            to[2 * at] = left + right;
            to[2 * at + 1] = left - right;
        }
        std::swap(from, to);
    }
    for (size_t at = 0; at < size; ++at) values[at] = from[at] * scale;
}

}  // namespace

Rotation::Rotation(size_t dimensions, size_t length)
    : dimensions_(dimensions),
      length_(length),
      block_(std::bit_floor(length)),
      signs_(kRounds * length) {
    for (size_t at = 0; at < signs_.size(); ++at) signs_[at] = (mixed(at) & 1) != 0 ? 1.0f : -1.0f;
}

void Rotation::turn(const float* row, float* out) const {
    std::copy(row, row + dimensions_, out);
    std::fill(out + dimensions_, out + length_, 0.0f);
    thread_local std::vector<float> spare;
    spare.resize(std::max(spare.size(), block_));
    const float scale = 1.0f / std::sqrt(float(block_));
    for (size_t round = 0; round < kRounds; ++round) {
        const float* signs = signs_.data() + round * length_;
        for (size_t at = 0; at < length_; ++at) out[at] *= signs[at];
        transform(out, spare.data(), block_, scale);
        if (block_ < length_) transform(out + length_ - block_, spare.data(), block_, scale);
    }
}

}  // namespace weft
