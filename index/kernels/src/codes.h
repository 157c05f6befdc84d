// Codes: what a quantizer has learned; it turns vectors into short codes and measures with them.
//
// A code is a row of `words()` floats in a table, so that codes and vectors are stored and walked
// alike; what its bytes mean is known to the kind of code alone. Distances between codes are
// estimates, in the units of the metric; the search measures its best finds again, exactly.
//
// Concurrency: unchanging once it is made; any number of threads encode and measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "distance.h"

namespace weft {

// The numbers are in code files: never renumber one.
enum class CodeKind : uint32_t { rotational = 0, scalar = 1, binary = 2, product = 3 };

struct CodeSettings {
    CodeKind kind = CodeKind::rotational;
    uint32_t bits = 8;                  // rotational: 8, 4 or 1
    uint32_t segments = 0;              // product: 0 chooses by the dimensions
    uint32_t centroids = 256;           // product: a segment
    bool tile = false;                  // product: quantiles of each segment instead of k-means
    bool log_normal = true;             // product with tiles: the distribution that is assumed
    uint64_t training_limit = 100'000;  // scalar, product: vectors that are looked at
    int64_t rescore_limit = -1;         // best finds measured exactly; below 0: all of the walk's

    // Whether codes made for one would be made for the other.
    bool makes_same_codes(const CodeSettings& other) const;
    // Whether codes depend on vectors that were seen before.
    bool is_trained() const { return kind == CodeKind::scalar || kind == CodeKind::product; }
    // Vectors that training looks at; more would not change what it learns.
    size_t sample_count() const;
};

// One query, or one stored code in its place, made ready for measuring. Reused from search to
// search; only the kind of code that filled it can read it.
struct CodeQuestion {
    std::vector<float> values;     // spare room, rotated queries, look-up tables
    std::vector<int8_t> steps;     // affine codes: the query in whole steps
    std::vector<uint64_t> planes;  // codes of one bit: the steps, bit by bit
    uint32_t plane_count = 0;
    float plane_offset = 0;  // what a step counts less than its planes say
    float offset = 0;        // query = offset + scale * steps
    float scale = 0;
    float step_sum = 0;
    float square = 0;      // squared length of the query
    bool is_code = false;  // product codes: `values` is a vector, not a table
};

class Codes {
  public:
    virtual ~Codes() = default;

    const CodeSettings& settings() const { return settings_; }
    Metric metric() const { return metric_; }
    uint32_t dimensions() const { return dimensions_; }
    // Floats that a code takes in a table.
    uint32_t words() const { return words_; }

    // `row` is ready for the metric (cosine: of length one), `code` has words().
    virtual void encode(const float* row, float* code, CodeQuestion& spare) const = 0;
    // Many at once, which is faster for some kinds.
    virtual void encode_many(const float* const* rows, float* const* codes, size_t count,
                             CodeQuestion& spare) const;
    virtual void ask(const float* query, CodeQuestion& out) const = 0;
    virtual void ask_code(const float* code, CodeQuestion& out) const = 0;
    // Estimates of the distances between the question and each code.
    virtual void many(const CodeQuestion& question, const float* const* codes, size_t count,
                      float* out) const = 0;
    // All that was learned; with the settings it makes the same codes again (`restore`).
    virtual std::vector<float> learned() const { return {}; }
    // Whether codes are too coarse to choose links with.
    virtual bool is_coarse() const = 0;
    // Whether `many` can measure with a code that comes from a file.
    virtual bool accepts(const float* code) const = 0;
    virtual size_t memory_bytes() const = 0;

    // Raises std::invalid_argument where the metric has no codes of this kind, a setting does not
    // suit the dimensions, or `learned` is not what such codes learn.
    static std::shared_ptr<const Codes> restore(const CodeSettings& settings, Metric metric,
                                                uint32_t dimensions, std::vector<float> learned,
                                                Simd simd = simds_of_this_cpu().front());

  protected:
    Codes(const CodeSettings& settings, Metric metric, uint32_t dimensions, uint32_t words)
        : settings_(settings), metric_(metric), dimensions_(dimensions), words_(words) {}

  private:
    CodeSettings settings_;
    Metric metric_;
    uint32_t dimensions_;
    uint32_t words_;
};

// Learning from sample vectors, in steps of some ten milliseconds.
//
// Concurrency: any number of threads, each with steps of its own.
class CodeTraining {
  public:
    virtual ~CodeTraining() = default;
    virtual size_t steps() const { return 0; }
    virtual void step(size_t) {}
    // Complete when every step was done once.
    std::vector<float> learned;

    // Raises std::invalid_argument as `Codes::restore` does. `rows` are vectors one after the
    // other, ready for the metric; kinds that learn nothing take none.
    static std::unique_ptr<CodeTraining> begin(const CodeSettings& settings, Metric metric,
                                               uint32_t dimensions, std::vector<float> rows);
};

// Raises std::invalid_argument where `Codes::restore` would, whatever was learned.
void check_codes(const CodeSettings& settings, Metric metric, uint32_t dimensions);

}  // namespace weft
