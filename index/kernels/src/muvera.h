// Muvera: turns a matrix of any number of rows into one vector of fixed length, such that the dot
// product of a query's and a doc's vector approximates their MaxSim (Dhulipala, Hadian, Jayaram,
// Lee & Mirrokni, "MUVERA: Multi-Vector Retrieval via Fixed Dimensional Encodings", 2024).
//
// Each of `repetitions` cuts space into 2^ksim parts by the signs of ksim random projections
// (SimHash). A query contributes to each part the sum of its rows there, a doc their mean; a part
// where a doc has no row takes the row whose signs differ least. Both are projected to
// `dprojections` values by a matrix of random signs. All parts of all repetitions, one after the
// other, are the encoding. Where that is longer than kDimensionsMax, a last projection folds it:
// every position is added, with a random sign, to one of kDimensionsMax (a sparse form of the
// paper's final projection).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "distance.h"

namespace weft {

struct MuveraSettings {
    uint32_t ksim = 4;
    uint32_t dprojections = 16;
    uint32_t repetitions = 10;
};

class Muvera {
  public:
    static constexpr size_t kDimensionsMax = 65'536;
    static constexpr uint32_t kSimMax = 10;

    // Two objects with equal arguments encode alike. Raises std::invalid_argument.
    Muvera(const MuveraSettings& settings, size_t dimensions);

    size_t row_dimensions() const { return dimensions_; }
    size_t dimensions() const { return folded_ ? kDimensionsMax : length_; }
    // Products of two floats that the encoding of a query takes.
    double cost(size_t query_rows) const {
        return double(query_rows) * double(row_of_.size()) * double(dimensions_);
    }
    // Writes `dimensions()` values. Requires: count > 0.
    void encode_query(const float* rows, size_t count, float* out) const;
    void encode_doc(const float* rows, size_t count, float* out) const;

  private:
    struct Rows {
        std::vector<uint32_t> parts;   // [repetitions][count]
        std::vector<float> projected;  // [repetitions][count][width]
    };

    Rows project(const float* rows, size_t count) const;
    void add_at(float* out, size_t position, const float* values, float scale) const;

    size_t dimensions_;
    size_t repetitions_;
    size_t ksim_;
    size_t parts_;   // 2^ksim
    size_t width_;   // values a part: dprojections, or all dimensions where there are no more
    size_t length_;  // repetitions * parts * width
    bool folded_;
    bool is_projected_;
    const Distance* dot_;
    std::vector<float> matrix_;         // per repetition: ksim planes, then width sign rows
    std::vector<const float*> row_of_;  // the rows of matrix_
    std::vector<uint32_t> folds_;       // position -> target << 1 | sign
};

}  // namespace weft
