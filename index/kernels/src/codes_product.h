// ProductCodes: a vector is cut into segments, each named by the nearest of up to 256 centroids.
//
//   code := u8[segments] padding to 16 bytes
//
// (Jegou, Douze & Schmid 2011.) A query makes a table of the distances between its segments and
// all centroids; the distance to a code is a sum of look-ups. Centroids come from k-means, or
// (`tile`, one dimension a segment) are the middles of equally likely parts of an assumed
// distribution.
#pragma once

#include "code_sums.h"
#include "codes.h"

namespace weft {

class ProductCodes : public Codes {
  public:
    // `learned` are the centroids: f32[segments][centroids][dimensions / segments].
    ProductCodes(const CodeSettings& settings, Metric metric, uint32_t dimensions,
                 std::vector<float> learned, const CodeSums& sums);

    // Raises std::invalid_argument where the dimensions cannot be cut so.
    static uint32_t segments_for(const CodeSettings& settings, uint32_t dimensions);

    void encode(const float* row, float* code, CodeQuestion& spare) const override;
    // O(count * centroids * dimensions), segment by segment, so that centroids stay in the cache.
    void encode_many(const float* const* rows, float* const* codes, size_t count,
                     CodeQuestion& spare) const override;
    void ask(const float* query, CodeQuestion& out) const override;
    void ask_code(const float* code, CodeQuestion& out) const override;
    void many(const CodeQuestion& question, const float* const* codes, size_t count,
              float* out) const override;
    std::vector<float> learned() const override { return centroids_; }
    bool is_coarse() const override { return true; }
    bool accepts(const float* code) const override;
    size_t memory_bytes() const override;

  private:
    const float* centroid(size_t segment, size_t number) const {
        return centroids_.data() + (segment * settings().centroids + number) * width_;
    }
    const float* axes(size_t segment) const {
        return by_axis_.data() + segment * settings().centroids * width_;
    }
    void decode(const float* code, float* out) const;

    uint32_t segments_;
    uint32_t width_;  // dimensions of a segment
    std::vector<float> centroids_;
    std::vector<float> by_axis_;  // the same: f32[segments][width][centroids]
    const CodeSums* sums_;
};

// Finds the centroids, one segment a step.
//
// k-means costs O(rounds * points * centroids * dimensions), points being at most `points_for` and
// rounds at most ten, in steps that any number of threads share.
class ProductTraining : public CodeTraining {
  public:
    ProductTraining(const CodeSettings& settings, uint32_t dimensions, std::vector<float> rows);
    size_t steps() const override { return segments_; }
    void step(size_t number) override;
    // Vectors that k-means looks at; more would not move the centroids.
    static size_t points_for(const CodeSettings& settings);

  private:
    void find_means(const std::vector<float>& points, float* centroids) const;
    void move_centroids(const std::vector<float>& points, const std::vector<uint32_t>& groups,
                        float* centroids) const;
    void find_tiles(const std::vector<float>& points, float* centroids) const;

    CodeSettings settings_;
    uint32_t dimensions_;
    uint32_t segments_;
    std::vector<float> rows_;
};

}  // namespace weft
