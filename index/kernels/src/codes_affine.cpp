// AffineCodes: making codes and questions, and what a sum means.
#include "codes_affine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace weft {
namespace {

constexpr size_t kBlock = 64;
constexpr int kPlanes = 5;
constexpr int kPlaneOffset = 1 << (kPlanes - 1);

uint32_t rounded_up(uint32_t value, uint32_t unit) {
    return (value + unit - 1) / unit * unit;
}

}  // namespace

uint32_t AffineCodes::bits_of(const CodeSettings& settings) {
    if (settings.kind == CodeKind::rotational) return settings.bits;
    return settings.kind == CodeKind::binary ? 1 : 8;
}

uint32_t AffineCodes::length_of(const CodeSettings& settings, uint32_t dimensions) {
    // Whole blocks of 16 bytes for the kernels; bits come in words of 64.
    uint32_t bits = bits_of(settings);
    return rounded_up(dimensions, bits == 8 ? 16 : bits == 4 ? 32 : 64);
}

uint32_t AffineCodes::skip_of(const CodeSettings& settings) {
    return settings.kind == CodeKind::binary ? 0 : sizeof(Head) / sizeof(float);
}

uint32_t AffineCodes::words_of(const CodeSettings& settings, uint32_t dimensions) {
    return skip_of(settings) + length_of(settings, dimensions) * bits_of(settings) / 32;
}

AffineCodes::AffineCodes(const CodeSettings& settings, Metric metric, uint32_t dimensions,
                         const std::vector<float>& learned, const CodeSums& sums)
    : Codes(settings, metric, dimensions, words_of(settings, dimensions)),
      bits_(bits_of(settings)),
      length_(length_of(settings, dimensions)),
      real_(dimensions),
      skip_(skip_of(settings)),
      sums_(&sums) {
    if (settings.kind == CodeKind::rotational) {
        real_ = length_;
        rotation_.emplace(dimensions, length_);
    }
    size_t needed = settings.kind == CodeKind::scalar ? 2 : 0;
    if (learned.size() != needed)
        throw std::invalid_argument("codes of this kind learn another number of values");
    if (needed > 0) {
        least_ = learned[0];
        step_ = learned[1];
        if (!(step_ >= 0.0f)) throw std::invalid_argument("the step of scalar codes is negative");
    }
}

std::vector<float> AffineCodes::learned() const {
    if (settings().kind != CodeKind::scalar) return {};
    return {least_, step_};
}

size_t AffineCodes::memory_bytes() const {
    return sizeof(AffineCodes) + (rotation_ ? rotation_->memory_bytes() : 0);
}

const float* AffineCodes::turned(const float* row, std::vector<float>& space) const {
    if (!rotation_) return row;
    space.resize(length_);
    rotation_->turn(row, space.data());
    return space.data();
}

void AffineCodes::encode(const float* row, float* code, CodeQuestion& spare) const {
    const float* values = turned(row, spare.values);
    Head head{};
    double square = 0;
    for (uint32_t at = 0; at < dimensions(); ++at) square += double(row[at]) * double(row[at]);
    head.square = float(square);
    float least = least_;
    float step = step_;
    if (settings().kind == CodeKind::rotational && bits_ > 1) {
        auto [low, high] = std::minmax_element(values, values + real_);
        least = *low;
        step = (*high - *low) / float((1u << bits_) - 1);
    } else if (bits_ == 1) {
        // Signs: -1 and 1. The correction gives them their size.
        least = -1;
        step = 2;
    }
    pack(values, least, step, head, code);
}

void AffineCodes::pack(const float* values, float least, float step, Head& head,
                       float* code) const {
    uint8_t* numbers = reinterpret_cast<uint8_t*>(code + skip_);
    const size_t bytes = size_t(length_) * bits_ / 8;
    std::memset(numbers, 0, bytes);
    const float most = float((1u << bits_) - 1);
    const float inverse = step > 0.0f ? 1.0f / step : 0.0f;
    double sum = 0;
    double product = 0;  // of the vector and its code
    for (size_t at = 0; at < real_; ++at) {
        uint32_t number;
        if (bits_ == 1) {
            number = values[at] > 0.0f ? 1 : 0;
            numbers[at / 8] = uint8_t(numbers[at / 8] | number << (at % 8));
        } else {
            float place = std::nearbyint((values[at] - least) * inverse);
            number = uint32_t(std::min(std::max(place, 0.0f), most));
            if (bits_ == 8)
                numbers[at] = uint8_t(number);
            else if (at < bytes)
                numbers[at] = uint8_t(numbers[at] | number);
            else
                numbers[at - bytes] = uint8_t(numbers[at - bytes] | number << 4);
        }
        sum += number;
        product += double(values[at]) * double(least + step * float(number));
    }
    if (skip_ == 0) return;
    float correction = product > 0.0 ? float(double(head.square) / product) : 1.0f;
    head.offset = least * correction;
    head.scale = step * correction;
    head.sum = float(sum);
    std::memcpy(code, &head, sizeof(head));
}

AffineCodes::Head AffineCodes::head_of(const float* code) const {
    Head head;
    if (skip_ > 0) {
        std::memcpy(&head, code, sizeof(head));
        return head;
    }
    // As for a vector of length one whose positions are all of one size.
    float size = 1.0f / std::sqrt(float(real_));
    return {-size, 2.0f * size, 0.0f, 1.0f};
}

bool AffineCodes::accepts(const float* code) const {
    return is_finite(code, skip_);  // the head; every byte behind it is a number
}

uint32_t AffineCodes::number_at(const float* code, size_t at) const {
    const uint8_t* numbers = reinterpret_cast<const uint8_t*>(code + skip_);
    if (bits_ == 8) return numbers[at];
    if (bits_ == 1) return (numbers[at / 8] >> (at % 8)) & 1u;
    size_t bytes = length_ / 2;
    return at < bytes ? numbers[at] & 15u : numbers[at - bytes] >> 4;
}

std::vector<float> AffineCodes::decoded(const float* code) const {
    Head head = head_of(code);
    std::vector<float> values(length_, 0.0f);
    for (size_t at = 0; at < real_; ++at)
        values[at] = head.offset + head.scale * float(number_at(code, at));
    return values;
}

void AffineCodes::ask(const float* query, CodeQuestion& out) const {
    const float* values = turned(query, out.values);
    double square = 0;
    float greatest = 0;
    for (size_t at = 0; at < real_; ++at) {
        square += double(values[at]) * double(values[at]);
        greatest = std::max(greatest, std::fabs(values[at]));
    }
    const float most = bits_ == 1 ? float(kPlaneOffset - 1) : 127.0f;
    out.square = float(square);
    out.offset = 0;
    out.scale = greatest / most;
    const float inverse = greatest > 0.0f ? most / greatest : 0.0f;
    out.steps.assign(rounded_up(length_, kBlock), 0);
    int32_t sum = 0;
    for (size_t at = 0; at < real_; ++at) {
        int32_t step = int32_t(std::nearbyint(values[at] * inverse));
        out.steps[at] = int8_t(step);
        sum += step;
    }
    out.step_sum = float(sum);
    if (bits_ == 1) set_planes(out);
}

// Cuts the steps, made positive, into planes of bits.
void AffineCodes::set_planes(CodeQuestion& out) const {
    const size_t words = length_ / 64;
    out.plane_count = kPlanes;
    out.plane_offset = float(kPlaneOffset);
    out.planes.assign(words * kPlanes, 0);
    for (size_t at = 0; at < real_; ++at) {
        uint32_t step = uint32_t(int32_t(out.steps[at]) + kPlaneOffset);
        for (uint32_t plane = 0; plane < kPlanes; ++plane)
            out.planes[plane * words + at / 64] |= uint64_t((step >> plane) & 1u) << (at % 64);
    }
}

void AffineCodes::ask_code(const float* code, CodeQuestion& out) const {
    Head head = head_of(code);
    out.square = head.square;
    out.offset = head.offset;
    out.scale = head.scale;
    out.step_sum = head.sum;
    const uint8_t* numbers = reinterpret_cast<const uint8_t*>(code + skip_);
    if (bits_ == 1) {
        const size_t words = length_ / 64;
        out.plane_count = 1;
        out.plane_offset = 0;
        out.planes.resize(words);
        std::memcpy(out.planes.data(), numbers, words * sizeof(uint64_t));
        if (skip_ == 0) {
            int32_t ones = 0;
            for (uint64_t word : out.planes) ones += std::popcount(word);
            out.step_sum = float(ones);
        }
        return;
    }
    out.steps.resize(rounded_up(length_, kBlock));
    // A store to a byte may change anything, so what the loops need is in variables of their own;
    // without, they are not vectors, and this took two fifths of a build.
    int8_t* const steps = out.steps.data();
    const size_t length = length_;
    if (bits_ == 8) {
        // Around zero, so that they fit a signed byte.
        for (size_t at = 0; at < length; ++at) steps[at] = int8_t(numbers[at] ^ 0x80);
        out.offset += 128.0f * head.scale;
        out.step_sum -= 128.0f * float(real_);
        return;
    }
    const size_t bytes = length / 2;
    for (size_t at = 0; at < bytes; ++at) steps[at] = int8_t(numbers[at] & 15);
    for (size_t at = 0; at < bytes; ++at) steps[bytes + at] = int8_t(numbers[at] >> 4);
}

float AffineCodes::distance(const CodeQuestion& question, const Head& head, int32_t sum) const {
    float total = float(real_) * head.offset + head.scale * head.sum;
    float product = question.offset * total +
                    question.scale * (head.offset * question.step_sum + head.scale * float(sum));
    if (skip_ == 0) return 1.0f - product;
    switch (metric()) {
        case Metric::cosine: return 1.0f - product;
        case Metric::dot: return -product;
        default: return question.square + head.square - 2.0f * product;
    }
}

void AffineCodes::many(const CodeQuestion& question, const float* const* codes, size_t count,
                       float* out) const {
    int32_t sums[kBlock];
    int32_t ones[kBlock];
    for (size_t done = 0; done < count; done += kBlock) {
        const float* const* block = codes + done;
        const size_t size = std::min(kBlock, count - done);
        if (bits_ == 8) {
            sums_->bytes(question.steps.data(), block, size, skip_, length_, sums);
        } else if (bits_ == 4) {
            sums_->halves(question.steps.data(), block, size, skip_, length_ / 2, sums);
        } else {
            sums_->bits(question.planes.data(), question.plane_count, block, size, skip_,
                        length_ / 64, sums, ones);
            for (size_t at = 0; at < size; ++at)
                sums[at] -= int32_t(question.plane_offset) * ones[at];
        }
        for (size_t at = 0; at < size; ++at) {
            Head head = head_of(block[at]);
            if (skip_ == 0) head.sum = float(ones[at]);
            out[done + at] = distance(question, head, sums[at]);
        }
    }
}

void ScalarTraining::step(size_t) {
    float least = 0;
    float greatest = 0;
    if (!rows_.empty()) {
        auto [low, high] = std::minmax_element(rows_.begin(), rows_.end());
        least = *low;
        greatest = *high;
    }
    learned = {least, (greatest - least) / 255.0f};
}

}  // namespace weft
