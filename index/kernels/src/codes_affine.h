// AffineCodes: rotational, scalar and binary codes; each position is offset + scale * a whole
// number.
//
//   code := offset:f32 scale:f32 sum:f32 square:f32 numbers    -- rotational and scalar
//   code := numbers                                            -- binary: offset, scale for all
//   numbers := u8[n] | u4[n] | u1[n]
//
// Rotational codes (RaBitQ: Gao & Long 2024, arXiv 2405.12497; extended to more bits in arXiv
// 2409.09913): the vector is turned at random, then each position takes the nearest of 2^bits
// values between the least and the greatest (one bit: the sign). Offset and scale are multiplied
// by |x|^2 / <x, code>, which makes estimated products with other vectors unbiased over the turns.
// Scalar codes take the range of the training sample for all vectors and do not turn. Binary codes
// keep the signs alone: they estimate the angle, whatever the metric.
//
// A query becomes whole numbers too (8 bits; 5 against codes of one bit, which are then counted
// plane by plane). A product is affine in the whole-number sum of CodeSums.
#pragma once

#include <optional>

#include "code_sums.h"
#include "codes.h"
#include "rotation.h"

namespace weft {

class AffineCodes : public Codes {
  public:
    // Scalar: `learned` is the least value and the step.
    AffineCodes(const CodeSettings& settings, Metric metric, uint32_t dimensions,
                const std::vector<float>& learned, const CodeSums& sums);

    void encode(const float* row, float* code, CodeQuestion& spare) const override;
    void ask(const float* query, CodeQuestion& out) const override;
    void ask_code(const float* code, CodeQuestion& out) const override;
    void many(const CodeQuestion& question, const float* const* codes, size_t count,
              float* out) const override;
    std::vector<float> learned() const override;
    bool is_coarse() const override { return bits_ < 8; }
    bool accepts(const float* code) const override;
    size_t memory_bytes() const override;
    // The vector that a code stands for (rotational: turned), `length` values.
    std::vector<float> decoded(const float* code) const;

  private:
    struct Head {
        float offset;
        float scale;
        float sum;  // of the numbers
        float square;
    };

    static uint32_t bits_of(const CodeSettings& settings);
    static uint32_t length_of(const CodeSettings& settings, uint32_t dimensions);
    static uint32_t skip_of(const CodeSettings& settings);
    static uint32_t words_of(const CodeSettings& settings, uint32_t dimensions);
    Head head_of(const float* code) const;
    uint32_t number_at(const float* code, size_t at) const;
    const float* turned(const float* row, std::vector<float>& space) const;
    void pack(const float* values, float least, float step, Head& head, float* code) const;
    void set_planes(CodeQuestion& out) const;
    float distance(const CodeQuestion& question, const Head& head, int32_t sum) const;

    uint32_t bits_;
    uint32_t length_;  // positions of a code, a multiple of 16
    uint32_t real_;    // positions that mean something
    uint32_t skip_;    // floats before the numbers
    float least_ = 0;  // scalar
    float step_ = 0;
    std::optional<Rotation> rotation_;
    const CodeSums* sums_;
};

// The range of the values in a sample.
class ScalarTraining : public CodeTraining {
  public:
    explicit ScalarTraining(std::vector<float> rows) : rows_(std::move(rows)) {}
    size_t steps() const override { return 1; }
    void step(size_t number) override;

  private:
    std::vector<float> rows_;
};

}  // namespace weft
