// Muvera: its random matrices and the two encodings.
#include "muvera.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace weft {
namespace {

// splitmix64: the same numbers on every machine.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        state_ += 0x9E3779B97F4A7C15ull;
        uint64_t value = state_;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
        return value ^ (value >> 31);
    }
    float sign() { return (next() >> 63) != 0 ? 1.0f : -1.0f; }
    float normal() {  // Box and Muller
        double first = double((next() >> 11) + 1) * 0x1p-53;
        double second = double(next() >> 11) * 0x1p-53;
        return float(std::sqrt(-2.0 * std::log(first)) * std::cos(2.0 * std::numbers::pi * second));
    }

  private:
    uint64_t state_;
};

constexpr uint64_t kSeed = 0x6D75766572610001ull;

}  // namespace

Muvera::Muvera(const MuveraSettings& settings, size_t dimensions)
    : dimensions_(dimensions),
      repetitions_(settings.repetitions),
      ksim_(settings.ksim),
      parts_(size_t{1} << std::min(settings.ksim, kSimMax)),
      width_(std::min<size_t>(settings.dprojections, dimensions)),
      length_(repetitions_ * parts_ * width_),
      folded_(length_ > kDimensionsMax),
      is_projected_(width_ < dimensions),
      dot_(&distance_for(Metric::dot)) {
    if (ksim_ < 1 || ksim_ > kSimMax) throw std::invalid_argument("ksim must be in 1..10");
    if (width_ < 1 || repetitions_ < 1)
        throw std::invalid_argument("dprojections and repetitions must be positive");
    Random random(kSeed);
    float scale = 1.0f / std::sqrt(float(width_));
    size_t rows = repetitions_ * (ksim_ + (is_projected_ ? width_ : 0));
    matrix_.reserve(rows * dimensions_);
    for (size_t repetition = 0; repetition < repetitions_; ++repetition) {
        for (size_t at = 0; at < ksim_ * dimensions_; ++at) matrix_.push_back(random.normal());
        for (size_t at = 0; is_projected_ && at < width_ * dimensions_; ++at)
            matrix_.push_back(random.sign() * scale);
    }
    for (size_t row = 0; row < rows; ++row) row_of_.push_back(matrix_.data() + row * dimensions_);
    for (size_t at = 0; folded_ && at < length_; ++at) {
        uint64_t word = random.next();
        folds_.push_back(uint32_t((word >> 1) % kDimensionsMax) << 1 | uint32_t(word & 1));
    }
}

Muvera::Rows Muvera::project(const float* rows, size_t count) const {
    Rows out;
    out.parts.resize(repetitions_ * count);
    out.projected.resize(repetitions_ * count * width_);
    std::vector<float> dots(row_of_.size());
    size_t step = row_of_.size() / repetitions_;
    for (size_t at = 0; at < count; ++at) {
        const float* row = rows + at * dimensions_;
        dot_->many(row, row_of_.data(), row_of_.size(), dimensions_, dots.data());
        for (size_t repetition = 0; repetition < repetitions_; ++repetition) {
            const float* found = dots.data() + repetition * step;
            uint32_t part = 0;  // The distance is the negated product.
            for (size_t plane = 0; plane < ksim_; ++plane)
                part |= uint32_t(found[plane] < 0.0f) << plane;
            out.parts[repetition * count + at] = part;
            float* target = out.projected.data() + (repetition * count + at) * width_;
            for (size_t value = 0; value < width_; ++value)
                target[value] = is_projected_ ? -found[ksim_ + value] : row[value];
        }
    }
    return out;
}

// Adds a projected row to the part that begins at `position`.
void Muvera::add_at(float* out, size_t position, const float* values, float scale) const {
    for (size_t at = 0; at < width_; ++at) {
        if (!folded_) {
            out[position + at] += values[at] * scale;
        } else {
            uint32_t fold = folds_[position + at];
            out[fold >> 1] += (fold & 1) != 0 ? values[at] * scale : -values[at] * scale;
        }
    }
}

void Muvera::encode_query(const float* rows, size_t count, float* out) const {
    Rows found = project(rows, count);
    std::fill(out, out + dimensions(), 0.0f);
    for (size_t at = 0; at < repetitions_ * count; ++at) {
        size_t part = at / count * parts_ + found.parts[at];
        add_at(out, part * width_, found.projected.data() + at * width_, 1.0f);
    }
}

void Muvera::encode_doc(const float* rows, size_t count, float* out) const {
    Rows found = project(rows, count);
    std::fill(out, out + dimensions(), 0.0f);
    std::vector<uint32_t> counts(parts_);
    for (size_t repetition = 0; repetition < repetitions_; ++repetition) {
        const uint32_t* parts = found.parts.data() + repetition * count;
        const float* projected = found.projected.data() + repetition * count * width_;
        std::fill(counts.begin(), counts.end(), 0u);
        for (size_t at = 0; at < count; ++at) ++counts[parts[at]];
        for (size_t at = 0; at < count; ++at)
            add_at(out, (repetition * parts_ + parts[at]) * width_, projected + at * width_,
                   1.0f / float(counts[parts[at]]));
        for (uint32_t part = 0; part < parts_; ++part) {
            if (counts[part] != 0) continue;
            size_t nearest = 0;
            for (size_t at = 1; at < count; ++at)
                if (std::popcount(parts[at] ^ part) < std::popcount(parts[nearest] ^ part))
                    nearest = at;
            add_at(out, (repetition * parts_ + part) * width_, projected + nearest * width_, 1.0f);
        }
    }
}

}  // namespace weft
