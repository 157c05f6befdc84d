// Sketches: making them, and what they promise.
#include "sketches.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "prefetch.h"

namespace weft {
namespace {

constexpr uint32_t kDimensionsMin = 64;  // a vector of fewer is measured as fast
constexpr size_t kBlock = 64;
constexpr size_t kSlots = size_t{1} << 30;

// Four values at these steps lie best around a normal distribution of deviation one (Max 1960).
constexpr float kStep = 0.9957f;

// Errors of an estimated product, for each unit of factor and length of the question: what the
// code loses of a normal distribution, and what rounding the question to 16 steps adds.
constexpr float kCoarseError = 0.62f;
constexpr float kFineError = 0.36f;
// So many errors are promised: of vectors exactly as far as the farthest that is found, two in a
// hundred are missed by the coarse promise, one by the fine one; of nearer ones, fewer.
constexpr float kCoarseErrors = 2.0f;
constexpr float kFineErrors = 2.4f;

constexpr uint32_t kScattered = 0xFFFFFFFFu;

float product(const float* left, const float* right, size_t count) {
    double sum = 0;
    for (size_t at = 0; at < count; ++at) sum += double(left[at]) * double(right[at]);
    return float(sum);
}

uint32_t words_of(uint32_t dimensions) {
    return (dimensions + 63) / 64;
}

}  // namespace

bool Sketches::has(Metric metric, uint32_t dimensions) {
    return dimensions >= kDimensionsMin &&
           (metric == Metric::cosine || metric == Metric::dot || metric == Metric::l2_squared);
}

Sketches::Sketches(Metric metric, std::vector<float> mean, uint32_t learned_from, Simd simd)
    : metric_(metric),
      dimensions_(uint32_t(mean.size())),
      words_(words_of(dimensions_)),
      learned_from_(learned_from),
      mean_(std::move(mean)),
      turned_mean_(size_t(words_) * 64),
      rotation_(dimensions_, size_t(words_) * 64),
      sums_(&sketch_sums_for(simd)),
      signs_(words_),
      sizes_(words_),
      coarse_(1),
      fine_(1),
      docs_(1),
      run_docs_(1) {
    rotation_.turn(mean_.data(), turned_mean_.data());
}

size_t Sketches::memory_bytes() const {
    const size_t rows = kShift + size_t(end());
    return sizeof(Sketches) + signs_.resident_bytes(rows) + sizes_.resident_bytes(rows) +
           coarse_.resident_bytes(rows) + fine_.resident_bytes(rows) + docs_.resident_bytes(rows);
}

void Sketches::append_run(const float* const* rows, const uint32_t* docs) {
    const uint32_t first = end_.load(std::memory_order_relaxed);
    signs_.grow(kShift + first, kSketchRun);
    sizes_.grow(kShift + first, kSketchRun);
    coarse_.grow(kShift + first, kSketchRun);
    fine_.grow(kShift + first, kSketchRun);
    docs_.grow(kShift + first, kSketchRun);
    run_docs_.grow(first / kSketchRun, 1);
    thread_local std::vector<float> values;
    bool in_order = true;
    for (uint32_t at = 0; at < kSketchRun; ++at) {
        append(rows[at], first + at, values);
        *docs_.row(kShift + first + at) = docs[at];
        in_order = in_order && docs[at] == docs[0] + at;
    }
    *run_docs_.row(first / kSketchRun) = in_order ? docs[0] : kScattered;
    end_.store(first + uint32_t(kSketchRun), std::memory_order_release);
}

// Numbers 0 to 3 a position: 0 and 1 below zero, 0 and 3 far from it. The sign is the upper bit of
// the number, the size its lower one, so both products are sums over set bits.
void Sketches::append(const float* row, uint32_t slot, std::vector<float>& values) {
    const size_t length = size_t(words_) * 64;
    values.resize(length);
    rotation_.turn(row, values.data());
    float square = 0;
    for (size_t at = 0; at < length; ++at) {
        values[at] -= turned_mean_[at];
        square += values[at] * values[at];
    }
    const float step = kStep * std::sqrt(square / float(length));
    uint64_t* signs = signs_.row(kShift + slot);
    uint64_t* sizes = sizes_.row(kShift + slot);
    float coarse = 0;  // product of the vector and its signs
    float fine = 0;    // product of the vector and its numbers less one and a half
    for (uint32_t word = 0; word < words_; ++word) {
        uint64_t sign_bits = 0;
        uint64_t size_bits = 0;
        for (uint32_t bit = 0; bit < 64; ++bit) {
            const float value = values[size_t(word) * 64 + bit];
            const float away = std::fabs(value);
            const bool is_positive = value > 0.0f;
            const bool is_large = away > step;
            coarse += away;
            fine += is_large ? 1.5f * away : 0.5f * away;
            sign_bits |= uint64_t(is_positive) << bit;
            size_bits |= uint64_t(is_positive == is_large) << bit;
        }
        signs[word] = sign_bits;
        sizes[word] = size_bits;
    }
    SketchScale* scale = coarse_.row(kShift + slot);
    scale->factor = coarse > 0.0f ? square / coarse : 0.0f;
    *fine_.row(kShift + slot) = fine > 0.0f ? square / fine : 0.0f;
    if (metric_ == Metric::l2_squared) {
        scale->base = -0.5f * square;
    } else {
        const float* mean = mean_.data();
        scale->base = product(row, mean, dimensions_) - product(mean, mean, dimensions_);
    }
}

uint64_t Sketches::allowed_in_run(uint32_t first, const AllowWords& allow) const {
    const uint32_t doc = *run_docs_.row(first / kSketchRun);
    if (doc != kScattered) return allow.run(doc);
    const uint32_t* docs = docs_.row(kShift + first);
    uint64_t bits = 0;
    for (uint32_t at = 0; at < kSketchRun; ++at) bits |= uint64_t(allow.has(docs[at])) << at;
    return bits;
}

// With x a row, q the query, c the mean and y = x - c:
//   x * q         = y * (q - c) + y * c + q * c
//   -|x - q|^2/2  = y * (q - c) - |y|^2/2 - |q - c|^2/2
// The first term is estimated, the second is the base of the row, the third is constant.
void Sketches::ask(const float* query, SketchQuestion& out) const {
    const size_t length = size_t(words_) * 64;
    out.values.resize(length);
    rotation_.turn(query, out.values.data());
    float square = 0;
    float greatest = 0;
    for (size_t at = 0; at < length; ++at) {
        out.values[at] -= turned_mean_[at];
        square += out.values[at] * out.values[at];
        greatest = std::max(greatest, std::fabs(out.values[at]));
    }
    const float step = greatest / 7.5f;
    const float inverse = greatest > 0.0f ? 7.5f / greatest : 0.0f;
    out.planes.assign(kSketchPlanes * words_, 0);
    int64_t sum = 0;
    for (size_t at = 0; at < length; ++at) {
        const float place = std::nearbyint(out.values[at] * inverse);
        const int32_t number = int32_t(std::min(std::max(place, -8.0f), 7.0f));
        sum += number;
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            out.planes[plane * words_ + at / 64] |= uint64_t((uint32_t(number) >> plane) & 1u)
                                                    << (at % 64);
    }
    out.sum_of_steps = step * float(sum);
    const float norm = std::sqrt(square);
    // Signs are -1 and 1: twice the sum over the set bits, less that over all.
    out.coarse = {2.0f * step, kCoarseErrors * kCoarseError * norm - out.sum_of_steps};
    // Numbers less one and a half; the sum is that over signs, twice, and that over sizes.
    out.fine = {step, kFineErrors * kFineError * norm - 1.5f * out.sum_of_steps};
    out.constant =
        metric_ == Metric::l2_squared ? 0.5f * square : product(query, mean_.data(), dimensions_);
}

size_t Sketches::promise_run(const SketchQuestion& question, uint32_t first, uint64_t mask,
                             float least, uint32_t* slots, float* promises) const {
    float sums[kSketchRun];
    sums_->run(question.planes.data(), words_, signs_.row(kShift + first), kSketchRun, sums);
    return sums_->keep(sums, coarse_.row(kShift + first), question.coarse, mask, least, first,
                       slots, promises);
}

Sketches::Lines Sketches::lines_at(uint32_t slot) const {
    const size_t row = kShift + slot;
    return {signs_.row(row),
            sizes_.row(row),
            coarse_.row(row),
            fine_.row(row),
            slot,
            slot + uint32_t(std::min<size_t>(signs_.run_length(row), kSlots))};
}

void Sketches::promise_coarsely(const SketchQuestion& question, const uint32_t* slots, size_t count,
                                float* promises) const {
    const uint64_t* rows[kBlock];
    const SketchScale* scales[kBlock];
    Lines lines{};
    for (size_t done = 0; done < count; done += kBlock) {
        const size_t size = std::min(kBlock, count - done);
        for (size_t at = 0; at < size; ++at) {
            const uint32_t slot = slots[done + at];
            if (slot < lines.first || slot >= lines.end) lines = lines_at(slot);
            rows[at] = lines.signs + size_t(slot - lines.first) * words_;
            scales[at] = lines.coarse + (slot - lines.first);
            prefetch_line(rows[at]);
            prefetch_line(scales[at]);
        }
        float* out = promises + done;
        sums_->picked(question.planes.data(), words_, rows, size, out);
        for (size_t at = 0; at < size; ++at)
            out[at] =
                scales[at]->factor * (question.coarse.gain * out[at] + question.coarse.offset) +
                scales[at]->base;
    }
}

void Sketches::promise_finely(const SketchQuestion& question, const uint32_t* slots, size_t count,
                              float* promises) const {
    const uint64_t* signs[kBlock];
    const uint64_t* sizes[kBlock];
    const float* fine[kBlock];
    const SketchScale* coarse[kBlock];
    float sums[kBlock];
    Lines lines{};
    for (size_t done = 0; done < count; done += kBlock) {
        const size_t size = std::min(kBlock, count - done);
        for (size_t at = 0; at < size; ++at) {
            const uint32_t slot = slots[done + at];
            if (slot < lines.first || slot >= lines.end) lines = lines_at(slot);
            const size_t away = slot - lines.first;
            signs[at] = lines.signs + away * words_;
            sizes[at] = lines.sizes + away * words_;
            fine[at] = lines.fine + away;
            coarse[at] = lines.coarse + away;
            prefetch_line(signs[at]);
            prefetch_line(sizes[at]);
            prefetch_line(fine[at]);
        }
        float* out = promises + done;
        sums_->picked(question.planes.data(), words_, signs, size, sums);
        sums_->picked(question.planes.data(), words_, sizes, size, out);
        for (size_t at = 0; at < size; ++at)
            out[at] = *fine[at] * (question.fine.gain * (2.0f * sums[at] + out[at]) +
                                   question.fine.offset) +
                      coarse[at]->base;
    }
}

float Sketches::bar_of(const SketchQuestion& question, float distance) const {
    switch (metric_) {
        case Metric::cosine: return 1.0f - distance - question.constant;
        case Metric::dot: return -distance - question.constant;
        default: return question.constant - 0.5f * distance;
    }
}

}  // namespace weft
