// MaxSim: the distance of late interaction, a query of several rows against a doc of several rows.
//
// It is minus the sum, over the rows of the query, of their largest dot product with any row of the
// doc (Khattab & Zaharia, "ColBERT", 2020). Sixteen rows of the query are packed side by side,
// position by position, so that one broadcast of a doc's value serves them all and no sum across
// lanes is ever taken. A lane adds its products in the order of the positions, whatever the
// instruction set's width: the distance of two matrices does not depend on their neighbours.
#pragma once

#include <cstddef>
#include <vector>

#include "distance.h"

namespace weft {

// Raises the lanes of `best` to the dot products of 16 packed query rows with `count` doc rows.
using MaxDots = void (*)(const float* packed, const float* rows, size_t count, size_t dimensions,
                         float* best);

constexpr size_t kMaxSimLanes = 16;

class MaxSimQuery {
  public:
    // Takes a copy of rows that are ready for the metric. Requires: count > 0.
    MaxSimQuery(const float* rows, size_t count, size_t dimensions, Simd simd);
    MaxSimQuery(const float* rows, size_t count, size_t dimensions);

    size_t count() const { return count_; }
    size_t dimensions() const { return dimensions_; }
    // Distance to a doc of `count` > 0 rows that lie one after the other.
    float distance(const float* rows, size_t count) const;

  private:
    size_t count_;
    size_t dimensions_;
    MaxDots max_dots_;
    std::vector<float> packed_;  // [groups][dimensions][16], lanes past the last row are zero
};

namespace detail {

// Null where the architecture does not have it.
MaxDots max_dots_avx512();
MaxDots max_dots_avx2();

}  // namespace detail
}  // namespace weft
