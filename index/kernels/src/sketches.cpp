// Sketches: making them, and what they promise.
#include "sketches.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "prefetch.h"

namespace weft {
namespace {

constexpr uint32_t kDimensionsMin = 64;  // a vector of fewer is measured as fast
constexpr size_t kBlock = 64;            // rows that are loaded while others are read

// Eight values at these steps lie best around a normal distribution of deviation one (Max 1960).
constexpr float kStep = 0.5860f;
constexpr uint32_t kSizes = 4;  // of each sign
constexpr float kMiddle = float(kSizes) - 0.5f;

// Errors of an estimated product, for each unit of factor and length of the question: what the
// code loses of a normal distribution, and what rounding the question to 16 steps adds.
constexpr float kCoarseError = 0.62f;
constexpr float kFineError = 0.39f;
// So many errors are promised: of vectors exactly as far as the farthest that is found, four in a
// hundred are missed by the coarse promise, one by the fine one; of nearer ones, far fewer.
constexpr float kCoarseErrors = 1.8f;
constexpr float kFineErrors = 2.5f;

// Beyond it sums may overflow.
constexpr float kSquareMax = 1e30f;

constexpr uint32_t kScattered = 0xFFFFFFFFu;
constexpr size_t kTable = kSketchTableBytes / 2;

float product(const float* left, const float* right, size_t count) {
    double sum = 0;
    for (size_t at = 0; at < count; ++at) sum += double(left[at]) * double(right[at]);
    return float(sum);
}

uint32_t words_of(uint32_t dimensions) {
    return (dimensions + 63) / 64;
}

// What the steps at the set bits of each half byte come to, less the least of each table. Returns
// the sum of the least ones.
int32_t fill_tables(const std::vector<int8_t>& steps, std::vector<uint8_t>& tables) {
    tables.resize(steps.size() / 4 * kTable);
    int32_t all_least = 0;
    for (size_t at = 0; at < steps.size(); at += 4) {
        int32_t least = 0;
        for (size_t bit = 0; bit < 4; ++bit) least += std::min<int32_t>(steps[at + bit], 0);
        uint8_t* table = tables.data() + at / 4 * kTable;
        table[0] = uint8_t(-least);
        for (size_t half = 1; half < kTable; ++half) {
            const size_t bit = size_t(std::countr_zero(half));
            table[half] = uint8_t(table[half & (half - 1)] + steps[at + bit]);
        }
        all_least += least;
    }
    return all_least;
}

// The steps as planes of bits in two's complement.
void fill_planes(const std::vector<int8_t>& steps, std::vector<uint64_t>& planes) {
    const size_t words = steps.size() / 64;
    planes.assign(kSketchPlanes * words, 0);
    for (size_t at = 0; at < steps.size(); ++at)
        for (size_t plane = 0; plane < kSketchPlanes; ++plane)
            planes[plane * words + at / 64] |= uint64_t((uint32_t(steps[at]) >> plane) & 1u)
                                               << (at % 64);
}

}  // namespace

bool Sketches::has(Metric metric, uint32_t dimensions) {
    return dimensions >= kDimensionsMin && words_of(dimensions) <= kSketchWordsMax &&
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
      runs_(sketch_run_bytes(words_)),
      rows_(sketch_row_words(words_)),
      docs_(1),
      run_docs_(1),
      base_max_(-std::numeric_limits<float>::infinity()) {
    rotation_.turn(mean_.data(), turned_mean_.data());
}

size_t Sketches::memory_bytes() const {
    const size_t rows = end();
    const size_t runs = rows / kSketchRun;
    return sizeof(Sketches) + runs_.resident_bytes(runs) + rows_.resident_bytes(rows) +
           docs_.resident_bytes(rows) + run_docs_.resident_bytes(runs);
}

void Sketches::append_run(const float* const* rows, const uint32_t* docs) {
    const uint32_t first = end_.load(std::memory_order_relaxed);
    runs_.grow(first / kSketchRun, 1);
    rows_.grow(first, kSketchRun);
    docs_.grow(first, kSketchRun);
    run_docs_.grow(first / kSketchRun, 1);
    thread_local std::vector<float> values;
    bool in_order = true;
    for (uint32_t at = 0; at < kSketchRun; ++at) {
        append(rows[at], first + at, values);
        *docs_.row(first + at) = docs[at];
        in_order = in_order && docs[at] == docs[0] + at;
    }
    *run_docs_.row(first / kSketchRun) = in_order ? docs[0] : kScattered;
    norm_mean_.store(float(norm_sum_ / double(first + kSketchRun)), std::memory_order_relaxed);
    end_.store(first + uint32_t(kSketchRun), std::memory_order_release);
}

// Numbers 0 to 7 a position: 0 to 3 below zero, 0 and 7 the farthest from it. The sign is the
// uppermost bit of the number, so both products are sums over set bits.
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
    uint64_t* signs = rows_.row(slot);
    uint8_t* run = runs_.row(slot / kSketchRun);
    uint8_t* placed = run + sketch_place(slot % kSketchRun);
    float coarse = 0;  // product of the vector and its signs
    float fine = 0;    // product of the vector and its numbers less their middle
    for (uint32_t word = 0; word < words_; ++word) {
        uint64_t sign_bits = 0;
        uint64_t upper_bits = 0;
        uint64_t lower_bits = 0;
        for (uint32_t bit = 0; bit < 64; ++bit) {
            const float value = values[size_t(word) * 64 + bit];
            const float away = std::fabs(value);
            const bool is_positive = value > 0.0f;
            uint32_t size = 0;
            while (size + 1 < kSizes && away > step * float(size + 1)) ++size;
            const uint32_t number = is_positive ? kSizes + size : kSizes - 1 - size;
            coarse += away;
            fine += (float(size) + 0.5f) * away;
            sign_bits |= uint64_t(is_positive) << bit;
            upper_bits |= uint64_t((number >> 1) & 1u) << bit;
            lower_bits |= uint64_t(number & 1u) << bit;
        }
        signs[word] = sign_bits;
        signs[words_ + word] = upper_bits;
        signs[2 * words_ + word] = lower_bits;
        for (size_t line = 0; line < kSketchLines; ++line)
            placed[(word * kSketchLines + line) * kSketchRun] = uint8_t(sign_bits >> (8 * line));
    }
    float base = -0.5f * square;
    if (metric_ != Metric::l2_squared) {
        const float* mean = mean_.data();
        base = product(row, mean, dimensions_) - product(mean, mean, dimensions_);
    }
    float coarse_factor = coarse > 0.0f ? square / coarse : 0.0f;
    SketchScale scale{fine > 0.0f ? square / fine : 0.0f, base};
    if (!(square < kSquareMax && std::fabs(base) < kSquareMax)) {  // It promises everything.
        scale = {0.0f, std::numeric_limits<float>::infinity()};
        coarse_factor = 0.0f;
    }
    std::memcpy(signs + kSketchBits * words_, &scale, sizeof scale);
    norm_sum_ += std::sqrt(double(square));
    norm_max_.store(std::max(norm_max_.load(std::memory_order_relaxed), std::sqrt(square)),
                    std::memory_order_relaxed);
    base_max_.store(std::max(base_max_.load(std::memory_order_relaxed), scale.base),
                    std::memory_order_relaxed);
    float* factors = reinterpret_cast<float*>(run + sketch_lines_bytes(words_));
    factors[slot % kSketchRun] = coarse_factor;
    factors[kSketchRun + slot % kSketchRun] = scale.base;
}

uint64_t Sketches::allowed_in_run(uint32_t first, const AllowWords& allow) const {
    const uint32_t doc = *run_docs_.row(first / kSketchRun);
    if (doc != kScattered) return allow.run(doc);
    const uint32_t* docs = docs_.row(first);
    uint64_t bits = 0;
    for (uint32_t at = 0; at < kSketchRun; ++at) bits |= uint64_t(allow.has(docs[at])) << at;
    return bits;
}

// With x a row, q the query, c the mean and y = x - c:
//   x * q         = y * (q - c) + y * c + q * c
//   -|x - q|^2/2  = y * (q - c) - |y|^2/2 - |q - c|^2/2
// The first term is estimated, the second is the base of the row, the third is constant.
bool Sketches::ask(const float* query, SketchQuestion& out) const {
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
    const float step = greatest / float(kSketchStepMax);
    const float inverse = greatest > 0.0f ? float(kSketchStepMax) / greatest : 0.0f;
    out.steps.resize(length);
    int32_t sum = 0;
    for (size_t at = 0; at < length; ++at) {
        const float place = std::nearbyint(out.values[at] * inverse);
        const auto most = float(kSketchStepMax);
        out.steps[at] = int8_t(std::min(std::max(place, -most), most));
        sum += out.steps[at];
    }
    const auto all_least = float(fill_tables(out.steps, out.tables));
    fill_planes(out.steps, out.planes);
    const float sum_of_steps = step * float(sum);
    out.norm = std::sqrt(square);
    // Signs are -1 and 1: twice the sum over the set bits, less that over all.
    out.coarse = {2.0f * step, 2.0f * step * all_least - sum_of_steps};
    out.fine = {step, -kMiddle * sum_of_steps};
    out.slack = 0.0f;
    give_room(out, 1.0f);
    out.constant =
        metric_ == Metric::l2_squared ? 0.5f * square : product(query, mean_.data(), dimensions_);
    return square < kSquareMax && std::fabs(out.constant) < kSquareMax;
}

// The error of an estimate is that of the part of the query across the vector; rounding the query
// adds its own.
void Sketches::tighten(SketchQuestion& question, float bar) const {
    constexpr float kRounding = 0.1f;
    // Of vectors of length one, what is left without the mean differs little, and so do bases.
    const bool is_even = metric_ == Metric::cosine;
    const float norm = (is_even ? norm_mean_ : norm_max_).load(std::memory_order_relaxed);
    const float base = is_even ? 0.0f : base_max_.load(std::memory_order_relaxed);
    if (!(bar > base && norm * question.norm > 0.0f)) return;
    const float along = std::min((bar - base) / (norm * question.norm), 1.0f);
    give_room(question, std::sqrt((1.0f - kRounding) * (1.0f - along * along) + kRounding));
}

void Sketches::give_room(SketchQuestion& question, float slack) {
    const float more = (slack - question.slack) * question.norm;
    question.coarse.offset += more * kCoarseErrors * kCoarseError;
    question.fine.offset += more * kFineErrors * kFineError;
    question.slack = slack;
}

void Sketches::promise_finely(const SketchQuestion& question, const uint32_t* slots, size_t count,
                              float* promises) const {
    constexpr size_t kLineWords = 8;
    constexpr size_t kWordsMax = 4 * kLineWords;  // then the hardware has seen the stream
    const size_t ahead_words = std::min(sketch_row_words(words_), kWordsMax);
    const uint64_t* ahead[kBlock];
    const uint64_t* rows[kBlock];
    auto begin_block = [&](size_t begin) {
        const size_t end = std::min(begin + kBlock, count);
        for (size_t at = begin; at < end; ++at) {
            const uint64_t* row = rows_.row(slots[at]);
            ahead[at - begin] = row;
            for (size_t word = 0; word < ahead_words; word += kLineWords)
                prefetch_far_line(row + word);
        }
    };
    begin_block(0);
    for (size_t done = 0; done < count; done += kBlock) {
        const size_t size = std::min(kBlock, count - done);
        std::copy_n(ahead, size, rows);
        begin_block(done + size);
        float* out = promises + done;
        sums_->picked(question.planes.data(), words_, rows, size, out);
        for (size_t at = 0; at < size; ++at) {
            SketchScale scale;
            std::memcpy(&scale, rows[at] + kSketchBits * words_, sizeof scale);
            out[at] =
                scale.factor * (question.fine.gain * out[at] + question.fine.offset) + scale.base;
        }
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
